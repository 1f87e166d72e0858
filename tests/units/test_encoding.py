"""Coded inputs: which parts a read has, how noisy their sum is, what it draws, and what it costs.

Bounds on random numbers are missed once in ten million for each output.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import round_device
from conftest import close, machine_options
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import hwsim
from hwsim import machines
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.experiments.one_read import one_read
from hwsim.imperfection import found
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.machines.chip import Chip
from hwsim.units.encoding import Encoding, joined, parts

READS = 20_000
CHI = stats.chi2.ppf([5e-8, 1 - 5e-8], READS - 1) / (READS - 1)
"""Bounds of a sample variance over the true one."""
SCALE, FULL = 1.5, 8.0
"""Full scales of inputs and outputs."""


described = partial(round_device.described, "1 uS", "1 uS")
"""20 steps of 1 µS from 1 µS on, with an error of 1 µS."""


def weights() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (5, 7))


CODINGS = [(coding, phases) for coding in ("parallel", "pulse_width", "bit_serial") for phases in (1, 2, 4)]
each_coding = pytest.mark.parametrize(("coding", "phases"), CODINGS)


def tiles(coding: str | None, phases: int = 1, noise: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"inputs": coding, "phases": phases, "interface": "digital", "output_noise": noise, **more}


def chip(sheet: Any, tiles: dict[str, Any], bits: int = 4, adc: int = 24, chips: int = 1) -> Chip:
    """HERMES with inputs of few bits."""
    made = machines.build(
        machine_options(
            {
                "like": "hermes_14nm",
                "name": "coded",
                "device": sheet,
                "parts": {
                    "tiles": tiles,
                    "dac": {"bits": bits},
                    "adc": {"bits": adc, "energy": {"value": "1 pJ", "assumed": "a test"}},
                    "ranges": {"input": SCALE, "forward": FULL, "error": FULL},
                },
            }
        ),
        chips=chips,
    )
    assert isinstance(made, Chip)
    return made


def read(made: Chip, matrix: np.ndarray, inputs: np.ndarray, back: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Inputs `(batch, columns)` as they reach the tiles, and their product, with the transposed matrix if `back`."""
    held = Matrix(made, "W", "input", Initial(matrix.shape, lambda: matrix))
    with made.showing(Episode(inputs[:, None], values=np.zeros((len(inputs), 1, 1)))), made.workspace():
        for _ in made.phase("programming"):
            held.program()
        for step in made.forward_pass("once"):
            product = made.digital((held.T if back else held) @ step.input)
            seen = [made.see(each) for each in (step.input, product)]
    return seen[0], seen[1]


# ---- the parts of a read -----------------------------------------------------------------------------------------


@each_coding
@given(bits=st.integers(1, 12), seed=st.integers(0, 100))
def test_the_parts_of_inputs_add_up_to_them(coding: Any, phases: int, bits: int, seed: int) -> None:
    encoding = Encoding(coding, phases, bits)
    random = np.random.default_rng(seed)
    levels = random.integers(-encoding.most, encoding.most + 1, (2, 3, 5))
    x = (SCALE * levels / encoding.most).astype(np.float32)
    found = parts(x, SCALE, encoding).reshape(2, 3, encoding.inputs, 5)
    sides = 2 if phases == 4 else 1
    np.testing.assert_allclose(joined(encoding.places[: encoding.inputs], found), x, atol=1e-5)
    assert encoding.reads == sides * encoding.inputs
    if phases > 1:
        assert found.min() >= 0
    if encoding.serial:
        assert set(np.unique(found)) <= {0, np.float32(SCALE)}


def test_reads_are_as_many_as_bits_and_phases() -> None:
    assert [Encoding("bit_serial", phases, 8).reads for phases in (1, 2, 4)] == [8, 14, 28]
    assert [Encoding("pulse_width", phases, 8).reads for phases in (1, 2, 4)] == [1, 2, 4]
    assert [Encoding("bit_serial", phases, 1).reads for phases in (1, 2, 4)] == [1, 2, 4]


def test_numbers_that_are_none_stay_so() -> None:
    x = np.array([[[np.nan, 1.0]]], np.float32)
    found = parts(x, 1.0, Encoding("bit_serial", 1, 4))
    assert np.isnan(found[..., 0]).all()
    assert not np.isnan(found[..., 1]).any()


@each_coding
@pytest.mark.parametrize("back", [False, True])
def test_without_errors_each_coding_gives_the_product(coding: str, phases: int, back: bool) -> None:
    made = chip("ideal", tiles(coding, phases, columns=3, rows=4), chips=2)
    x, y = read(made, weights(), np.random.default_rng(1).uniform(-1, 1, (4, 5 if back else 7)), back)
    held = made.devices["W"].devices.weights
    np.testing.assert_allclose(y, x @ (held if back else held.swapaxes(1, 2)), atol=2e-5)


# ---- noise -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "phases", "bits", "share"),
    [
        ("parallel", 1, 4, 1.0),
        ("parallel", 2, 4, 2.0),
        ("pulse_width", 4, 4, 4.0),
        ("bit_serial", 1, 4, (4**4 - 1) / 3 / 7**2),  # the sign counts 8/7
        ("bit_serial", 2, 4, 2 * (4**3 - 1) / 3 / 7**2),
        ("bit_serial", 1, 2, 1 + 2**2),
    ],
)
def test_noise_of_outputs_adds_up_over_bits_and_phases(coding: str, phases: int, bits: int, share: float) -> None:
    made = chip("ideal", tiles(coding, phases, noise=0.002), bits)
    _, y = read(made, weights(), np.full((READS, 7), 0.5))
    ratio = y[0].var(0, ddof=1, dtype=float) / (share * (0.002 * FULL) ** 2)
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()
    assert abs(np.corrcoef(y[0, :, 0], y[0, :, 1])[0, 1]) < 5.3 / np.sqrt(READS)


@each_coding
def test_noise_of_devices_is_that_of_the_time_and_amplitude_they_are_read_with(coding: str, phases: int) -> None:
    """Amplitudes: Σ x² s; widths: Σ X |x| s; bits: Σ_k p_k² X² Σ s over the devices whose bit k is one."""
    made = chip(described(noise=0.05), tiles(coding, phases))
    one = np.array([0.9, -0.5, 0.25, 0, 0.75, -1, 0.1])
    x, y = read(made, weights(), np.tile(one, (READS, 1)))
    array, x = made.devices["W"].devices, x.reshape(-1, 7)[0].astype(float)
    each = (0.05 * array.mapping.scale) ** 2 * (array.plus[0] ** 2 + array.minus[0] ** 2)
    if coding == "bit_serial":
        level = np.rint(7 * x / SCALE).astype(int)
        word, bits = (level & 15, 4) if phases == 1 else (abs(level), 3)
        on = sum(4**bit * ((word >> bit) & 1) for bit in range(bits)) * (SCALE / 7) ** 2
    else:
        on = x**2 if coding == "parallel" else SCALE * abs(x)
    ratio = y[0].var(0, ddof=1, dtype=float) / (each @ on)
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()
    np.testing.assert_allclose(y[0].mean(0), array.weights[0] @ x, atol=5.3 * np.sqrt((each @ on).max() / READS))


# ---- conversion --------------------------------------------------------------------------------------------------


@each_coding
def test_each_part_is_rounded_and_saturates_for_itself(coding: str, phases: int) -> None:
    made = chip(described(noise=0.0), tiles(coding, phases), bits=5, adc=5)
    array = made.devices
    x, y = read(made, 4 * weights(), np.random.default_rng(2).uniform(-1, 1, (9, 7)))
    held, x = array["W"].devices, x.reshape(9, 7).astype(float)
    step, total = FULL / 15, np.zeros(y[0].shape)
    w, plus, minus = held.weights[0], *(side[0] * held.mapping.scale for side in (held.plus, held.minus))
    signed = [(x, 1)] if phases == 1 else [(np.maximum(x, 0), 1), (np.maximum(-x, 0), -1)]
    for v, sign in signed:
        level = np.rint(15 * v / SCALE).astype(int)
        bits = {"bit_serial": 5 if phases == 1 else 4}.get(coding, 0)
        digits = [(SCALE * ((level >> k) & 1), 2**k / 15 * (-1 if k == 4 else 1)) for k in range(bits)] or [(v, 1.0)]
        for part, place in digits:
            for matrix, side in [(w, 1)] if phases < 4 else [(plus, 1), (minus, -1)]:
                total += sign * side * place * step * np.rint(np.clip(part @ matrix.T, -FULL, FULL) / step)
    np.testing.assert_allclose(y[0], total, atol=1e-4)


# ---- what it costs -----------------------------------------------------------------------------------------------


@each_coding
def test_a_read_takes_as_many_times_as_it_has_parts_and_each_converts(coding: str, phases: int) -> None:
    """Powers of the periphery times 130 ns, for each part; 222 µW for each of 256 converters."""
    one, coded = (
        one_read(machine_options({"like": "hermes_14nm", "name": "x", "parts": {"tiles": each}}))
        for each in ({"phases": 1}, {"inputs": coding, "phases": phases})
    )
    reads = Encoding(coding, phases, 8).reads  # type: ignore[arg-type]
    assert coded.time == close(reads * 130e-9)
    assert coded.by_component["adc"] == close(reads * 256 * 222e-6 * 130e-9)
    if phases > 1 or coding != "bit_serial":  # inputs are at full scale, whose magnitude has seven ones
        ones = 7 if coding == "bit_serial" else 1
        assert coded.by_component["devices"] == close(ones * one.by_component["devices"], rel=1e-6)  # type: ignore[operator]
    for component in ("tile control", "tile drivers", "tile outputs", "adc"):
        assert coded.by_component[component] == close(reads * one.by_component[component])  # type: ignore[operator]


@each_coding
def test_what_devices_draw_goes_with_squares_widths_or_bits(
    coding: str, phases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Σ (x/X)² G, Σ |x|/X G, or Σ G over bits that are one; with four phases, each device in one of them only."""
    made, drawn = chip("ideal", tiles(coding, phases)), []
    plain = made.measure
    monkeypatch.setattr(made, "measure", lambda *each: (drawn.append(each[0]), plain(*each)))
    x, _ = read(made, weights(), np.random.default_rng(3).uniform(-1, 1, (6, 7)))
    level = np.rint(7 * x.reshape(6, 7) / SCALE).astype(int)
    plus, minus = (side[0].sum(0) for side in (made.devices["W"].devices.plus, made.devices["W"].devices.minus))
    if coding == "bit_serial":
        word, bits = (level & 15, 4) if phases == 1 else (abs(level), 3)
        on = sum((word >> bit) & 1 for bit in range(bits))
    else:
        on = (level / 7) ** 2 if coding == "parallel" else abs(level) / 7
    assert float(drawn[-1][0]) == close(float((on @ (plus + minus)).sum()), rel=1e-5)


def experiment(tiles: dict[str, Any]) -> dict[str, Any]:
    parts = {"tiles": {"rows": 16, "columns": 16, **tiles}}
    return {
        "name": "coded",
        "task": {"name": "adding", "steps": 4},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 6}}]},
        "machine": {"like": "neurram_130nm", "name": "x", "device": "ideal", "parts": parts},
        "learning": {"name": "one_step"},
        "training": {"batch": 2, "steps": 2, "optimizer": {"name": "sgd", "rate": 0.01}},
    }


@pytest.mark.parametrize(("coding", "phases"), [("pulse_width", 1), ("bit_serial", 2)])
def test_estimates_are_of_the_same_reads(coding: str, phases: int) -> None:
    """But for writing, which depends on values; there is nothing else on this machine that does."""
    data = experiment({"inputs": coding, "phases": phases})
    ran, sketched = (work(data).summary.systems["substrate"] for work in (hwsim.run, hwsim.estimate))
    assert sketched.time == ran.time
    assert sketched.memory == ran.memory
    expected = close(ran.energy.gradient_j_per_sequence, rel=1e-12)
    assert sketched.energy.gradient_j_per_sequence == expected


def test_an_estimate_of_widths_expects_no_more_of_two_phases_than_of_one() -> None:
    """Each input is on in one of the two phases alone; all else that devices draw is the same."""
    draw = []
    for phases in (1, 2):
        data = experiment({"inputs": "pulse_width", "phases": phases})
        data["machine"] |= {"like": "pcm_crossbar"}
        data["machine"]["parts"]["tiles"]["interface"] = "digital"
        draw.append(hwsim.estimate(data).summary.systems["substrate"].energy.by_unit["devices"])
    assert draw[1] == close(draw[0], rel=1e-12)


# ---- what does not go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("like", "changed", "said"),
    [
        ("hermes_14nm", {"parts": {"tiles": {"inputs": "bit_serial", "interface": "analog"}}}, "interface: digital"),
        ("hermes_14nm", {"parts": {"tiles": {"inputs": "parallel", "phases": 3}}}, "1, 2 or 4 phases"),
        ("hermes_14nm", {"parts": {"tiles": {"inputs": "serial"}}}, "bit_serial"),
        ("hermes_14nm", {"periphery": "none", "parts": {"tiles": {"inputs": "parallel"}}}, "converters of their own"),
        ("hermes_14nm", {"periphery": "sar_bitserial_32nm", "parts": {"tiles": {"inputs": "parallel"}}}, "bit by bit"),
        ("hermes_14nm", {"device": "reram_sb", "parts": {"tiles": {"inputs": "parallel"}}}, "no partners"),
        ("isaac_ce_32nm", {"parts": {"tiles": {"inputs": "parallel"}}}, "bit by bit"),
    ],
)
def test_what_coded_inputs_do_not_go_with(like: str, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(HwsimError, match=said):
        machine_options({"like": like, "name": "x", **changed})


def test_machines_without_the_key_are_described_as_before() -> None:
    assert "inputs" not in machine_options("hermes_14nm").model_dump(mode="json")["parts"]["tiles"]


def test_bits_that_are_applied_in_turn_are_not_side_by_side() -> None:
    apart = {
        coding: {each.key: each.side_by_side for each in found(machine_options(machine))}["parts.dac.bits"]
        for coding in ("parallel", "bit_serial")
        if (machine := {"like": "hermes_14nm", "name": "x", "parts": {"tiles": {"inputs": coding}}})
    }
    assert apart == {"parallel": True, "bit_serial": False}
