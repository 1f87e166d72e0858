"""Columns of slices that are converted one by one: integers, rounding, saturation, noise, costs, and what is refused.

Bounds on random numbers are missed once in ten million for each output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import round_device
from conftest import close, machine_options
from scipy import stats

import hwsim
from hwsim import machines
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.experiments.one_read import one_read
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.machines.chip import Chip
from hwsim.operations import moves
from hwsim.records import ANALOG, Head, Record
from hwsim.units.encoding import Encoding

SCALE = 1.5
"""Full scale of inputs."""
CODINGS = [(coding, phases) for coding in ("parallel", "pulse_width", "bit_serial") for phases in (1, 2)]
each_coding = pytest.mark.parametrize(("coding", "phases"), CODINGS)
each_way = pytest.mark.parametrize("back", [False, True])


def described(
    coding: str,
    phases: int = 1,
    bits: int = 6,
    adc: int = 8,
    device: Any = "ideal",
    full_scale: float | None = 254.0,
    circuit: dict[str, Any] | None = None,
    saturates: float = 1.0,
    **tiles: Any,
) -> dict[str, Any]:
    """HERMES's tiles, with weights of 3 cells of 2 bits and inputs of few bits."""
    slices = {"cells": 3, "bits": 2, **({} if full_scale is None else {"full_scale": full_scale})}
    said = {"inputs": coding, "phases": phases, "interface": "digital", "output_noise": 0.0, "slices": slices, **tiles}
    return {
        "like": "hermes_14nm",
        "name": "sliced",
        "device": device,
        "parts": {
            "tiles": said,
            "dac": {"bits": bits},
            "adc": {"bits": adc, "energy": {"value": "1 pJ", "assumed": "a test"}, "circuit": circuit, "shared_by": 1},
            "ranges": {"input": SCALE, "forward": SCALE, "error": SCALE, "reach": saturates},
        },
    }


def chip(*args: Any, chips: int = 1, **more: Any) -> Chip:
    made = machines.build(machine_options(described(*args, **more)), chips=chips)
    assert isinstance(made, Chip)
    return made


def weights(rows: int = 5, columns: int = 7) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (rows, columns))


def read(made: Chip, matrix: np.ndarray, inputs: np.ndarray, back: bool) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as they reach the tiles, `(batch, n)`, and their product, with the transposed matrix if `back`."""
    held = Matrix(made, "W", "input", Initial(matrix.shape, lambda: matrix))
    with made.showing(Episode(inputs[:, None], values=np.zeros((len(inputs), 1, 1)))), made.workspace():
        for _ in made.phase("programming"):
            held.program()
        for step in made.forward_pass("once"):
            product = made.digital((held.T if back else held) @ step.input)
            seen = [made.see(each) for each in (step.input, product)]
    return seen[0].reshape(-1, len(inputs), inputs.shape[1])[0], seen[1]


def of(made: Chip, back: bool) -> tuple[np.ndarray, float]:
    """The steps of the weights that are held, from the side that is read, and what a step is."""
    array = made.devices["W"].devices
    steps = np.rint(array.weights[0] / array.mapping.step).astype(int)
    return (steps.T if back else steps), array.mapping.step


def digits(steps: np.ndarray) -> np.ndarray:
    """The three digits of weights, by division, `(cells, …)`."""
    return np.stack([(steps + 32) // 4**cell % 4 for cell in range(3)])


def signals(coding: str, phases: int, x: np.ndarray, bits: int) -> list[tuple[np.ndarray, float]]:
    """The parts of inputs as shares of full scale, and what each counts, by arithmetic of its own."""
    most = 2 ** (bits - 1) - 1
    level = np.rint(x / SCALE * most).astype(int)
    if coding != "bit_serial":
        return [(level / most, 1.0)] if phases == 1 else [(level.clip(0) / most, 1.0), ((-level).clip(0) / most, -1.0)]
    if phases == 1:
        word = level % 2**bits
        return [(word >> k & 1, (2**k if k < bits - 1 else -(2**k)) / most) for k in range(bits)]
    return [
        (each >> k & 1, sign * 2**k / most)
        for each, sign in ((level.clip(0), 1), ((-level).clip(0), -1))
        for k in range(bits - 1)
    ]


# ---- values ------------------------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("phases", [1, 2])
def test_bits_on_slices_give_the_product_of_integers(phases: int, back: bool) -> None:
    """Where a converter of 8 bits resolves states: its 254 steps have the range of 254 states, more than 7 × 3."""
    made = chip("bit_serial", phases, columns=4, rows=3, chips=2)
    x, y = read(made, weights(), np.random.default_rng(2).uniform(-1, 1, (6, 5 if back else 7)), back)
    steps, step = of(made, back)
    level = np.rint(x / SCALE * 31).astype(int)
    found = y / (step * SCALE / 31)
    np.testing.assert_allclose(found, np.broadcast_to(level @ steps.T, found.shape), atol=1e-3)
    assert np.abs(level @ steps.T).max() > 100


@each_way
@each_coding
def test_each_coding_gives_the_product_where_converters_are_fine(coding: str, phases: int, back: bool) -> None:
    made = chip(coding, phases, adc=24, full_scale=None, columns=4, rows=3, chips=2)
    x, y = read(made, weights(), np.random.default_rng(2).uniform(-1, 1, (6, 5 if back else 7)), back)
    steps, step = of(made, back)
    np.testing.assert_allclose(y, np.broadcast_to(x @ steps.T * step, y.shape), atol=2e-4)


@each_way
@each_coding
def test_each_column_is_rounded_and_saturates_for_itself(coding: str, phases: int, back: bool) -> None:
    """With 14 steps for the range, and a full scale of 2.9 states that some sums exceed; added by the offset of 32."""
    made = chip(coding, phases, adc=4, full_scale=2.9)
    x, y = read(made, weights(), np.random.default_rng(3).uniform(-1.5, 1.5, (9, 5 if back else 7)), back)
    steps, step = of(made, back)
    low = -2.9 if coding != "bit_serial" and phases == 1 else 0.0
    total, beyond = np.zeros(y[0].shape), 0
    for part, place in signals(coding, phases, x, 6):
        for cell, digit in enumerate(digits(steps)):
            sums = part @ digit.T
            beyond += np.count_nonzero((sums > 2.9) | (sums < low))
            delta = (2.9 - low) / 14
            total += place * 4.0**cell * (low + delta * np.rint((np.clip(sums, low, 2.9) - low) / delta))
        total -= place * 32 * part.sum(1, keepdims=True)
    np.testing.assert_allclose(y[0], total * step * SCALE, atol=1e-4)
    assert made.clipped["analog"]["W tiles"][1] == beyond > 0


def test_without_a_full_scale_converters_reach_the_largest_sum_of_a_line_of_a_tile() -> None:
    made = chip("bit_serial", full_scale=None, rows=3, columns=4)
    read(made, weights(), np.ones((1, 7)), False)
    reads = made.devices["W"].reads._coded
    assert reads is not None
    assert (reads.limit(False), reads.limit(True)) == (4 * 3 / 2, 3 * 3 / 2)  # beside the middle of the range
    signed = chip("parallel", full_scale=None, rows=3, columns=4)
    read(signed, weights(), np.ones((1, 7)), False)
    assert signed.devices["W"].reads._coded.limit(False) == 4 * 3


def test_weights_beyond_their_range_are_read_as_others_where_it_is_wider() -> None:
    """A reach gives the last cell more states; columns of weights within the range bring the same sums as without."""
    x, found = np.random.default_rng(4).uniform(-1, 1, (3, 7)), []
    for reach in (1.0, 4.0):
        made = chip("bit_serial", reach=reach)
        found.append(read(made, weights(), x, False)[1])
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


def test_converters_of_neighbouring_columns_are_those_of_the_slices_of_a_weight() -> None:
    """Each of the 15 columns of 5 weights has an offset of its own, in the order of lines."""
    circuit = {"kind": "uniform", "offset": 0.02}
    made = chip("parallel", adc=16, circuit=circuit, full_scale=50.0)
    _, y = read(made, weights(), np.zeros((1, 7)), False)
    drawn = made.converters._banks._banks["W tiles", 15]  # type: ignore[union-attr]
    step = of(made, False)[1]
    expected = step * SCALE * (50 * drawn.offset[0].reshape(5, 3)) @ 4.0 ** np.arange(3)
    np.testing.assert_allclose(y[0, 0], expected, atol=step * SCALE * 21 * 50 / 2**15)


# ---- noise -------------------------------------------------------------------------------------------------------

READS = 20_000
CHI = stats.chi2.ppf([5e-8, 1 - 5e-8], READS - 1) / (READS - 1)
"""Bounds of a sample variance over the true one."""


@each_way
@pytest.mark.parametrize(("coding", "phases"), [("parallel", 1), ("pulse_width", 2), ("bit_serial", 1)])
def test_noise_of_outputs_counts_by_bits_and_digits(coding: str, phases: int, back: bool) -> None:
    """σ F in each part and column gives w X σ F √(Σ p² Σ 16^k), where it does not saturate at the ends of the range."""
    made = chip(coding, phases, bits=4, adc=24, full_scale=200.0, saturates=4.0, output_noise=0.02)
    _, y = read(made, weights(), np.full((READS, 5 if back else 7), 0.5), back)
    places = sum(place**2 for _, place in signals(coding, phases, np.zeros((1, 1)), 4))
    each = of(made, back)[1] * SCALE * 0.02 * 200
    ratio = y[0].var(0, ddof=1, dtype=float) / (each**2 * places * (1 + 16 + 256))
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()


@each_way
@each_coding
def test_noise_of_cells_is_fresh_for_each_bit_and_counts_by_its_place(coding: str, phases: int, back: bool) -> None:
    made = chip(coding, phases, bits=4, adc=24, device=round_device.described("1 uS", noise=0.02))
    one = np.array([0.9, -0.5, 0.25, 0, 0.75, -1, 0.1])[: 5 if back else 7]
    x, y = read(made, weights(), np.tile(one, (READS, 1)), back)
    array = made.devices["W"].devices
    g = array.conductance[0].swapaxes(1, 2) if back else array.conductance[0]
    variance = np.einsum("k,kij->ij", 16.0 ** np.arange(3), (0.02 * g / array.mapping.per_digit) ** 2)
    square = 1 if coding == "pulse_width" else 2
    on = sum(place**2 * np.abs(part[0]) ** square for part, place in signals(coding, phases, x[:1], 4))
    steps, step = of(made, back)
    expected = (step * SCALE) ** 2 * (variance @ on)
    ratio = y[0].var(0, ddof=1, dtype=float) / expected
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()
    np.testing.assert_allclose(y[0].mean(0), steps @ x[0] * step, atol=5.3 * np.sqrt(expected.max() / READS))


# ---- what it costs -----------------------------------------------------------------------------------------------


@each_coding
def test_a_read_takes_as_many_times_as_inputs_have_parts_and_transposed_as_often_again_as_there_are_slices(
    coding: str, phases: int
) -> None:
    """Powers of the periphery times 130 ns for each part; 768 columns and 256 lines have converters of 222 µW."""
    options = machine_options(described(coding, phases, bits=8))
    forward, reads = one_read(options), Encoding(coding, phases, 8).reads  # type: ignore[arg-type]
    assert forward.time == close(reads * 130e-9)
    assert forward.by_component["adc"] == close(reads * 768 * 222e-6 * 130e-9)
    prices = machines.build(options).prices()
    record = Record(*Head("read transposed", "W tiles", "readout", "error propagation", ANALOG), (256, 256), 1, (), ())
    assert prices.occupied(record).duration == close(3 * reads * 130e3)
    (converted,) = [each.energy for each in prices.charges(record) if each.component == "adc"]
    assert converted == close(3 * reads * 256 * 222e-6 * 130e-9)


@each_way
@each_coding
def test_what_cells_draw_is_that_of_all_slices_once(
    coding: str, phases: int, back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Σ G over bits that are one, widths or squares, of all cells of a line: forward at once, transposed in turn."""
    made, drawn = chip(coding, phases), []
    plain = made.measure
    monkeypatch.setattr(made, "measure", lambda *each: (drawn.append(each[0]), plain(*each)))
    x, _ = read(made, weights(), np.random.default_rng(3).uniform(-1, 1, (6, 5 if back else 7)), back)
    on_line = made.devices["W"].devices.conductance[0].sum(0).sum(1 if back else 0)
    square = 2 if coding == "parallel" else 1
    on = sum(np.abs(part) ** square for part, _ in signals(coding, phases, x, 6))
    assert float(drawn[-1][0]) == close(float((on @ on_line).sum()), rel=1e-5)


def experiment(machine: dict[str, Any], learned: str = "one_step") -> dict[str, Any]:
    return {
        "name": "coded slices",
        "task": {"name": "adding", "steps": 4},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 18}}]},
        "machine": machine,
        "learning": {"name": learned},
        "training": {"batch": 2, "steps": 2, "optimizer": {"name": "sgd", "rate": 0.01}},
    }


@pytest.mark.parametrize("phases", [1, 2])
def test_estimates_are_of_the_same_reads(phases: int) -> None:
    """But for writing, which depends on values; cells of this periphery draw the same whatever they hold."""
    tiles = {"inputs": "bit_serial", "phases": phases, "slices": {"cells": 4, "bits": 2}}
    data = experiment({"like": "isaac_ce_32nm", "name": "x", "parts": {"tiles": tiles, "dac": {"bits": 8}}})
    ran, sketched = (work(data).summary.systems["substrate"] for work in (hwsim.run, hwsim.estimate))
    assert (sketched.time, sketched.memory) == (ran.time, ran.memory)
    assert sketched.energy.gradient_j_per_sequence == close(ran.energy.gradient_j_per_sequence, rel=1e-12)


@pytest.mark.parametrize("own", ["auto", "per_kind"])
def test_chips_that_choose_full_scales_learn_from_coded_slices(own: str) -> None:
    """Columns keep theirs; those of inputs change, and their exponent is added to products."""
    machine = described("bit_serial", 1, bits=10, adc=16, full_scale=None, rows=18, columns=18)
    machine["parts"]["ranges"] = own
    data = experiment(machine)
    ran, sketched = (work(data).summary.systems["substrate"] for work in (hwsim.run, hwsim.estimate))
    assert sketched.time == ran.time


def test_a_product_of_signals_with_a_full_scale_that_is_chosen_has_its_exponent_added() -> None:
    """One addition as a number becomes a voltage, and one as the product becomes a number; none for the input."""
    machine = described("bit_serial")
    machine["parts"]["ranges"] = "auto"
    made = machines.build(machine_options(machine))
    held = Matrix(made, "W", "input", Initial((5, 7), weights))
    with made.showing(Episode(np.ones((1, 1, 7)), values=np.zeros((1, 1, 1)))), made.workspace():
        for _ in made.phase("programming"):
            held.program()
        for step in made.forward_pass("once"):
            held.T @ (held @ step.input)
    made.journal.close_batch(1)
    records = [each for trace in made.journal.traces for each in trace]
    assert [each.size for each in records if each.kind == moves.shift.kind] == [(5,), (7,)]


# ---- what does not go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"phases": 4}, "no devices of negative weights"),
        ({"management": {"bound": 1}, "inputs": "parallel"}, "not modelled where columns of slices"),
        ({"inputs": None}, "leave out `slices.full_scale`"),
        ({"slices": {"cells": 3, "bits": 2, "full_scale": 0}}, "greater than 0"),
        ({"interface": "analog"}, "interface: digital"),
    ],
)
def test_what_does_not_go_with_coded_slices(changed: dict[str, Any], said: str) -> None:
    machine = described("bit_serial")
    machine["parts"]["tiles"] |= changed
    with pytest.raises(HwsimError, match=said):
        machine_options(machine)


def test_slices_need_converters_in_the_tiles_where_inputs_are_coded() -> None:
    with pytest.raises(HwsimError, match="converters of their own"):
        machine_options(described("parallel") | {"periphery": "none"})


def test_slices_without_the_key_are_described_as_before() -> None:
    tiles = machine_options("isaac_ce_32nm").model_dump(mode="json")["parts"]["tiles"]
    assert tiles["slices"] == {"cells": 8, "bits": 2}
    assert "inputs" not in tiles
