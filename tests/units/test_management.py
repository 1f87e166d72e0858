"""Management of noise and bounds: published numbers, closed forms, and what repeats take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options
from scipy import stats

import hwsim
from hwsim import machines
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.records import ANALOG, Record

READS = 20_000
CHI = stats.chi2.ppf([5e-8, 1 - 5e-8], READS - 1) / (READS - 1)
"""Bounds of a sample variance over the true one, missed once in ten million."""
FREE = {"value": "1 pJ", "assumed": "a test"}


def chip(
    management: dict[str, Any] | None, dac: int = 7, adc: int = 9, bound: float = 12.0, chips: int = 1, **tiles: Any
) -> Any:
    """An ideal device with the converters of a simulated tile of aihwkit: 2^7 - 1 levels in, 2^9 - 1 out of ±12."""
    parts = {
        "tiles": {"output_noise": 0, "phases": 1, "management": management, **tiles},
        "dac": {"bits": dac},
        "adc": {"bits": adc, "energy": FREE},
        "ranges": {"input": 1.0, "forward": bound, "error": bound},
    }
    options = {"like": "hermes_14nm", "name": "x", "device": "ideal", "parts": parts}
    return machines.build(machine_options(options), chips=chips)


def read(made: Any, matrix: Any, inputs: Any, back: bool = False, factor: float = 1.0) -> np.ndarray:
    """Products with inputs `(batch, columns)`, as numbers that a digital unit has multiplied by a factor."""
    weights, x = np.array(matrix, float), np.array(inputs, float)
    held = Matrix(made, "W", "input", Initial(weights.shape, lambda: weights))
    with made.showing(Episode(x[:, None], values=np.zeros((len(x), 1, 1)))), made.workspace():
        for _ in made.phase("programming"):
            held.program()
        for step in made.forward_pass("once"):
            number = factor * step.input
            made.numbers_seen = made.see(number).copy()
            product = made.see((held.T if back else held) @ number).copy()
    return product


W = [[0.5, -0.25, 1], [-1, 0.125, 0.75]]


def test_reads_are_those_of_aihwkit() -> None:
    """Golden values of a tile without noise, by absmax noise management; iterative bound management stops at 8."""
    managed = {"noise": True}
    np.testing.assert_allclose(read(chip(managed), W, [[0.3, -0.7, 1]])[0, 0], [1.31764706, 0.37647059], atol=1e-6)
    coarse = read(chip(managed, 4, 4, 2.0), W, [[0.3, -0.7, 1]])[0, 0]
    np.testing.assert_allclose(coarse, [1.42857143, 0.28571429], atol=1e-6)
    both = chip({"noise": True, "bound": 5})
    np.testing.assert_allclose(read(both, np.ones((2, 64)), np.ones((1, 64)))[0, 0], 65.12941176, rtol=1e-6)
    assert read(chip(managed), np.ones((2, 64)), np.ones((1, 64)))[0, 0].tolist() == [12, 12]
    two = chip({"noise": True, "bound": 2})  # a quarter of 64 saturates still
    assert read(two, np.ones((2, 64)), np.ones((1, 64)))[0, 0].tolist() == [48, 48]


@pytest.mark.parametrize("back", [False, True])
def test_noise_is_in_proportion_to_the_largest_number(back: bool) -> None:
    """σ X max|x|, where without management it is σ X; steps of converters shrink as well."""
    weights, x = np.random.default_rng(0).uniform(-1, 1, (3, 3)), np.array([0.5, -1.0, 0.25])
    for factor in (1.0, 2.0**-7):
        made = chip({"noise": True}, 12, 24, output_noise=0.002)
        y = read(made, weights, np.tile(x, (READS, 1)), back, factor)[0]
        held = made.devices["W"].devices.weights[0]
        ratio = y.var(0, ddof=1, dtype=float) / (0.002 * 12 * factor) ** 2
        assert (CHI[0] < ratio).all()
        assert (ratio < CHI[1]).all()
        exact = factor * x @ (held if back else held.T)
        np.testing.assert_allclose(y.mean(0), exact, atol=factor * (5.3 * 0.024 / READS**0.5 + 2e-3))


def test_each_vector_is_managed_for_itself() -> None:
    made = chip({"noise": True, "bound": 4}, 16, 16, 1.0, chips=2)
    x = np.random.default_rng(1).uniform(-1, 1, (40, 6)) * 10.0 ** -np.arange(0, 4, 0.1)[:, None]
    x[7] = 0
    y = read(made, np.random.default_rng(2).uniform(-1, 1, (5, 6)), x)
    x = np.broadcast_to(made.numbers_seen, (2, 40, 6))[0].astype(float)  # on the levels that inputs arrive with
    exact = x @ made.devices["W"].devices.weights.swapaxes(1, 2)
    size = np.abs(x).max(1)[:, None]
    assert (np.abs(y - exact) <= size * (16 * 5e-5 + 6 * 16 * 2.0**-16)).all()
    assert not y[:, 7].any()


def test_repeats_are_paid_for_as_they_happen_and_take_their_longest_time() -> None:
    """64 ones saturate three times on a bound of 12, 16 of them once; a read takes the time of five."""
    taken = []
    for size in (0.0, 16 / 64, 1.0):
        made, measured = chip({"bound": 4}, 16, columns=64, rows=16), list[Any]()
        plain = made.measure

        def measure(*each: np.ndarray, seen: list[Any] = measured, go: Any = plain) -> None:
            seen.append(each)
            go(*each)

        made.measure = measure
        read(made, np.ones((2, 64)), np.full((3, 64), size))
        taken.append(float(measured[-1][1][0]))
    assert taken == [0, 3, 9]
    record = Record("read", "W tiles", "l1", "inference", ANALOG, (2, 64), 2, (0, 1), 2)
    prices = made.prices()
    charges = prices.charges(record)
    once, more = ([each for each in charges if each.activity == number] for number in (None, 1))
    assert prices.occupied(record).duration == 5 * 130_000
    assert prices.activities(record) == 2
    assert [each.component for each in more] == [*(each.component for each in once), "dac"]
    assert [each.amount for each in more] == [*(each.amount for each in once), 64]
    assert [each.price for each in more[:-1]] == [each.price for each in once]
    back = record._replace(kind="read transposed")
    assert prices.occupied(back).duration == 130_000
    assert prices.activities(back) == 1


def experiment(management: dict[str, Any] | None) -> dict[str, Any]:
    parts = {"tiles": {"rows": 8, "columns": 8, "phases": 1, "management": management}}
    return {
        "name": "managed",
        "task": {"name": "adding", "steps": 4},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 6}}]},
        "machine": {"like": "neurram_130nm", "name": "x", "device": "ideal", "parts": parts},
        "learning": {"name": "one_step"},
        "training": {"batch": 2, "steps": 2, "optimizer": {"name": "sgd", "rate": 0.01}},
    }


def test_estimates_are_of_the_same_reads_where_nothing_saturates() -> None:
    data = experiment({"noise": True, "bound": 2})
    ran, sketched = (work(data).summary.systems["substrate"] for work in (hwsim.run, hwsim.estimate))
    assert sketched.time == ran.time
    assert sketched.memory == ran.memory
    assert sketched.energy.gradient_j_per_sequence == close(ran.energy.gradient_j_per_sequence, rel=1e-12)


def test_estimates_expect_of_scaled_vectors_what_they_expect_of_inputs() -> None:
    """Scaled vectors of a few numbers have a mean square of 0.1 to 0.7, taken at 0.2; states are at 0.004."""
    data = experiment({"noise": True})
    data["machine"] |= {"like": "pcm_crossbar"}
    data["machine"]["parts"]["tiles"]["interface"] = "digital"
    ran, sketched = (work(data).summary.systems["substrate"].energy.by_unit for work in (hwsim.run, hwsim.estimate))
    assert 0.25 < sketched["devices"] / ran["devices"] < 4


def test_management_needs_numbers() -> None:
    with pytest.raises(HwsimError, match="interface: digital"):
        machine_options({"like": "pcm_crossbar", "name": "x", "parts": {"tiles": {"management": {"noise": True}}}})
    parts: dict[str, Any] = {"tiles": {"management": {"bound": 1}}}
    with pytest.raises(HwsimError, match="converters of their own"):
        machine_options({"like": "hermes_14nm", "name": "x", "periphery": "none", "parts": parts})
    parts["tiles"]["inputs"] = "bit_serial"
    with pytest.raises(HwsimError, match="full amplitude"):
        machine_options({"like": "hermes_14nm", "name": "x", "parts": parts})
    assert "management" not in machine_options("hermes_14nm").model_dump(mode="json")["parts"]["tiles"]
