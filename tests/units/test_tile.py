"""A matrix on devices: how it is programmed, what it is read as, with which noise, and what a read draws.

Bounds on random numbers are p-values of one in a million, or five standard deviations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hwsim import machines
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.machine.numerics import Numerics, Pulses
from hwsim.machines.chip import Chip
from hwsim.operations import BY_NAME
from hwsim.physics import DataSheet
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping, levels, splits, tiles
from hwsim.units.read import drawn_by

ONE_IN_A_MILLION = 1e-6
MICRO = 1e-6


def described(
    low: str = "1 uS", high: str = "21 uS", step: str = "1 uS", error: tuple[str, ...] = ("0 uS",), noise: float = 0.0
) -> dict[str, Any]:
    """A data sheet with round numbers: 20 steps of 1 µS, exact unless `error` or `noise` say otherwise."""
    return {
        "name": "round",
        "what": "a device for tests",
        "sources": {"here": "this test"},
        "conductance": {"min": {"value": low, "source": "here"}, "max": {"value": high, "source": "here"}},
        "programming": {
            "error": {"coefficients": list(error), "source": "here"},
            "step": {"value": step, "source": "here"},
        },
        "read_noise": {"law": "relative", "deviation_of_g": noise, "source": "here"},
        "write": {
            "law": "voltage",
            "voltage": {"value": "1 V", "source": "here"},
            "time": {"value": "1 ns", "source": "here"},
        },
    }


def device(**changes: Any) -> DataSheet:
    return hardware.device(Document("test", described(**changes)))


def shipped(name: str) -> DataSheet:
    return hardware.device(Document("test", name))


def draws(chips: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, chip]) for chip in range(chips)]


class Array(Devices):
    """Devices of a matrix, with the words that a digital unit would hand to them."""

    def __init__(self, mapping: Mapping, shape: tuple[int, int, int]) -> None:
        super().__init__(mapping, np.zeros((shape[0], 2, *shape[1:])))
        self.words = np.full((shape[0], 1, shape[1] * shape[2]), np.nan)

    def write(self, targets: np.ndarray, draws: list[np.random.Generator]) -> tuple[np.ndarray, np.ndarray]:
        most, before = self.mapping.levels, self.words
        steps = np.clip(np.rint(targets / self.mapping.w_max * most), -most, most)
        self.words = steps.reshape(before.shape) * self.mapping.unit
        return self.program(self.words, before, 1.0 * (self.words != before), draws)


def blank(sheet: DataSheet, shape: tuple[int, int, int], w_max: float = 1.0) -> Array:
    return Array(Mapping(sheet, w_max), shape)


def programmed(sheet: DataSheet, targets: np.ndarray, w_max: float = 1.0, seed: int = 0) -> Array:
    array = blank(sheet, targets.shape, w_max)
    array.write(targets, draws(len(targets), seed))
    return array


def weights(chips: int = 2, rows: int = 5, columns: int = 7, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (chips, rows, columns))


# ---- programming ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("pcm_gst_90nm", 50), ("rram_hfox_130nm", 39), ("ideal", 25_000_000)])
def test_a_range_has_so_many_programming_steps(name: str, count: int) -> None:
    assert levels(shipped(name)) == count


def test_a_step_that_is_as_wide_as_the_range_leaves_one() -> None:
    assert levels(device(step="20 uS")) == 1


def test_an_ideal_device_holds_the_weights() -> None:
    targets = weights()
    np.testing.assert_allclose(programmed(shipped("ideal"), targets).weights, targets, atol=1e-7)
    np.testing.assert_allclose(programmed(shipped("ideal"), 3 * targets, 3.0).weights, 3 * targets, atol=3e-7)


def test_exact_devices_hold_the_nearest_step() -> None:
    targets = weights()
    array = programmed(device(), targets)
    np.testing.assert_allclose(array.weights, np.rint(targets * 20) / 20, atol=1e-7)
    assert np.abs(array.weights - targets).max() <= 0.5 / 20 + 1e-7


def test_weights_beyond_the_largest_are_clipped() -> None:
    targets = np.array([[[1.5, -7, 1, -1]]])
    np.testing.assert_allclose(programmed(device(), targets).weights, [[[1, -1, 1, -1]]], atol=1e-7)


def test_a_weight_is_the_difference_of_a_pair_with_one_device_at_its_least() -> None:
    targets = np.array([[[0.5, -0.25, 0, 1, -1]]])
    array = programmed(device(), targets)
    np.testing.assert_allclose(array.plus / MICRO, [[[11, 1, 1, 21, 1]]], rtol=1e-12)
    np.testing.assert_allclose(array.minus / MICRO, [[[1, 6, 1, 1, 21]]], rtol=1e-12)
    np.testing.assert_allclose(array.weights, targets, atol=1e-7)


def test_at_first_every_device_is_written() -> None:
    array = blank(device(), (2, 5, 7))
    written, conductance = array.write(weights(), draws(2))
    np.testing.assert_array_equal(written, [70, 70])
    np.testing.assert_allclose(conductance, (array.plus + array.minus).sum((1, 2)), rtol=1e-12)


def test_only_what_moved_by_more_than_half_a_step_is_written() -> None:
    start = np.array([[[0.5, 0.5, 0.5, 0.5, -0.5, -0.5, 0, 0]]])
    array = programmed(device(error=("0.1 uS",)), start)
    plus, minus, read = array.plus.copy(), array.minus.copy(), array.weights.copy()
    move = np.array([[[0.49, -0.49, 0.51, -0.51, 0.51, 0.3, 0.51, 0.49]]]) / 20
    written, conductance = array.write(start + move, draws(1, seed=9))
    np.testing.assert_array_equal((array.plus != plus)[0, 0], [0, 0, 1, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal((array.minus != minus)[0, 0], [0, 0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal((array.weights != read)[0, 0], [0, 0, 1, 1, 1, 0, 1, 0])
    np.testing.assert_array_equal(written, [4])
    np.testing.assert_allclose(conductance, [(12 + 10 + 10 + 2) * MICRO], rtol=1e-12)


def test_a_weight_that_changes_sign_has_both_devices_written() -> None:
    array = programmed(device(), np.full((1, 1, 1), 0.2))
    written, conductance = array.write(np.full((1, 1, 1), -0.3), draws(1))
    np.testing.assert_array_equal(written, [2])
    np.testing.assert_allclose(conductance, [(1 + 7) * MICRO], rtol=1e-12)
    np.testing.assert_allclose([array.plus[0, 0, 0], array.minus[0, 0, 0]], [1e-6, 7e-6], rtol=1e-12)


def test_programming_the_same_weights_again_writes_nothing() -> None:
    array = programmed(shipped("pcm_gst_90nm"), weights())
    before = array.plus.tobytes(), array.minus.tobytes(), array.weights.tobytes()
    written, conductance = array.write(weights(), draws(2, seed=5))
    assert not written.any()
    assert not conductance.any()
    assert (array.plus.tobytes(), array.minus.tobytes(), array.weights.tobytes()) == before


def test_small_changes_add_up_until_a_device_is_written() -> None:
    array, target, times = programmed(device(), np.zeros((1, 1, 1))), 0.0, 0.0
    for _ in range(100):
        target += 0.2 / 20
        times += array.write(np.full((1, 1, 1), target), draws(1))[0][0]
    assert times == 20
    assert array.weights[0, 0, 0] == close(1, abs=1e-6)


# ---- programming error ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pcm_gst_90nm", "rram_hfox_130nm"])
@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_conductances_miss_their_target_by_the_programming_error(name: str, share: float) -> None:
    sheet = shipped(name)
    array = programmed(sheet, np.full((1, 100, 100), share))
    most, low = levels(sheet), sheet.conductance.min.value
    goal = low + round(share * most) * (sheet.conductance.max.value - low) / most
    sigma = float(sheet.programming_error(np.array(goal)))
    assert 0.01 * goal < sigma < goal / 5  # so nothing is cut off at zero
    assert stats.kstest((array.plus - goal).ravel() / sigma, "norm").pvalue > ONE_IN_A_MILLION


def test_a_conductance_is_never_below_zero() -> None:
    """The error of a device at its least exceeds it: what would fall below zero is zero, the rest is as it was."""
    sheet = shipped("pcm_gst_90nm")
    array = programmed(sheet, np.zeros((1, 200, 200)))
    low, found = sheet.conductance.min.value, np.concatenate([array.plus.ravel(), array.minus.ravel()])
    sigma = float(sheet.programming_error(np.array(low)))
    zero = found == 0
    assert found.min() == 0
    assert stats.binomtest(int(zero.sum()), found.size, stats.norm.cdf(-low / sigma)).pvalue > ONE_IN_A_MILLION
    kept = stats.truncnorm(-low / sigma, np.inf, low, sigma)
    assert stats.kstest(found[~zero], kept.cdf).pvalue > ONE_IN_A_MILLION


def test_devices_and_chips_have_errors_of_their_own() -> None:
    array = programmed(shipped("rram_hfox_130nm"), np.full((3, 100, 100), 0.5))
    errors = [*array.plus, *array.minus]
    for i, left in enumerate(errors):
        for right in errors[:i]:
            assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 5 / 100  # 10 000 devices


def test_each_write_has_an_error_of_its_own() -> None:
    sheet, shape = device(error=("0.5 uS",)), (1, 100, 100)
    array = programmed(sheet, np.full(shape, 0.5))
    first = array.plus - 11 * MICRO
    array.write(np.full(shape, 0.9), draws(1, seed=1))
    second = array.plus - 19 * MICRO
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / 100
    assert stats.kstest(second.ravel() / (0.5 * MICRO), "norm").pvalue > ONE_IN_A_MILLION


def test_the_error_of_weights_is_that_of_both_devices_on_the_scale_of_weights() -> None:
    sheet = device(error=("0.3 uS", "2.1 uS"))
    array = programmed(sheet, np.full((1, 200, 200), 1.5), w_max=2.0)
    high, low = 0.3 + 2.1 * 16 / 21, 0.3 + 2.1 * 1 / 21  # at 16 and 1 of 21 µS
    expected = (high**2 + low**2) * (2 / 20) ** 2
    found = array.weights.var(dtype=np.float64)
    low_end, high_end = stats.chi2.ppf([5e-7, 1 - 5e-7], 40_000) / 40_000
    assert low_end * expected < found < high_end * expected


# ---- reading -------------------------------------------------------------------------------------------------


def test_a_read_multiplies_with_the_conductances_there_are() -> None:
    array = programmed(shipped("pcm_gst_90nm"), weights(), 1.2)
    scale = 1.2 / (24.75 * MICRO)
    np.testing.assert_allclose(array.weights, (array.plus - array.minus) * scale, rtol=1e-6)
    for transposed, axis in ((False, 1), (True, 2)):
        lit = array.cut(transposed, slice(0, array.weights.shape[3 - axis])).conductance
        np.testing.assert_allclose(lit, (array.plus + array.minus).sum(axis), rtol=1e-6)


def test_the_spread_of_a_weight_is_that_of_reads_of_both_devices() -> None:
    sheet = device(noise=0.02)
    array = programmed(sheet, np.array([[[0.5, -0.25, 0]]]))
    pairs = np.array([[11, 1], [1, 6], [1, 1]])
    expected = (0.02 * pairs / 20) ** 2
    np.testing.assert_allclose(array.spread[0, 0], expected.sum(1), rtol=1e-6)
    assert array.noisy
    assert not programmed(device(), weights()).noisy


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 7, 256])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_cuts_of_tiles_are_what_the_matrix_was_last_programmed_to(transposed: bool, lines: int) -> None:
    array = programmed(device(noise=0.01), weights())
    for targets in (weights(), -weights(seed=2)):
        array.write(targets, draws(2))
        size = array.weights.shape[1 if transposed else 2]
        cuts = [array.cut(transposed, part) for part in splits(size, lines)]
        for whole, parts in (
            (array.weights, [cut.weights for cut in cuts]),
            (array.spread, [cut.spread for cut in cuts]),
        ):
            found = np.concatenate(parts, 1)
            np.testing.assert_array_equal(found if transposed else found.swapaxes(1, 2), whole)
        lit = (array.plus + array.minus).sum(2 if transposed else 1)
        np.testing.assert_allclose(np.concatenate([cut.conductance for cut in cuts], 1), lit, rtol=1e-6)
        assert all(cut.weights.shape[1] <= lines for cut in cuts)


def reprogrammed(change: float, **functions: Any) -> tuple[Chip, np.ndarray, np.ndarray]:
    """Weights of 20 steps a unit, programmed, changed and programmed again: the machine, and what was held each time.

    Args:
        functions: what the digital unit computes the second time, by operation; those of this machine alone.
    """
    stage = machines.build(
        machine_options({"like": "ideal_crossbar", "device": described()}), chips=2, numerics=Numerics()
    )
    assert isinstance(stage, Chip)
    made, found = Matrix(stage, "W", "input", Initial((5, 7), lambda: weights()[0])), []
    for _ in stage.phase("programming"):
        made.program()
    for _ in range(2):
        found.append(stage.devices["W"].devices.weights.copy())
        made.trainable.master.value = made.trainable.master.value + np.float32(change)
        for name, function in functions.items():
            stage.functions[BY_NAME[name]] = function
        for _ in stage.phase("programming"):
            made.program()
    return stage, found[0], found[1]


def test_programming_stores_the_steps_that_the_digital_unit_computes() -> None:
    stage, _, _ = reprogrammed(0.01)
    mapping = stage.devices["W"].mapping
    target = stage.storages["W"].value.astype(float)
    steps = np.rint(target / mapping.w_max * mapping.levels)
    np.testing.assert_array_equal(stage.storages["W steps"].value, steps / 2 ** len(f"{mapping.levels:b}"))
    np.testing.assert_allclose(
        stage.devices["W"].devices.weights.reshape(target.shape), steps * mapping.w_max / mapping.levels, atol=1e-6
    )


@pytest.mark.parametrize("on", ["ideal_crossbar", "pcm_crossbar_in_the_loop"])
def test_records_of_programming_say_what_each_took_and_where_it_went(on: str) -> None:
    stage = machines.build(machine_options(on))
    made = Matrix(stage, "W", "input", Initial((5, 7), lambda: weights()[0]))
    for _ in stage.phase("programming"):
        made.program()
    (trace,) = stage.journal.traces
    assert [(record.kind, record.reads, record.writes) for record in trace] == [
        ("load", ("W",), 0),
        ("quantise", (0,), 1),
        ("load", ("W steps",), 2),
        ("unequal", (1, 2), 3),
        ("store", (1,), "W steps"),
        ("program", (1, 2, 3), "W devices"),
    ]


@pytest.mark.parametrize(
    ("function", "computed", "follows"),
    [
        ("unequal", lambda x, y: np.zeros_like(x), lambda first, step: first),
        ("quantise", lambda x, *_: np.full_like(x, 2.0**-3), lambda first, step: np.full_like(first, 4 * step)),
    ],
)
def test_devices_are_written_to_what_the_digital_unit_hands_over(function: str, computed: Any, follows: Any) -> None:
    """A comparison that finds no difference leaves them alone; steps of another origin are what they are written to."""
    stage, first, second = reprogrammed(0.5, **{function: computed})
    mapping = stage.devices["W"].mapping
    assert mapping.levels == 20  # 5 bits, so that one eighth stands for four steps
    np.testing.assert_allclose(second, follows(first, mapping.w_max / 20), atol=1e-6)
    _, first, second = reprogrammed(0.5)
    assert np.abs(second - first).min() > 0.3


def on_tiles(
    sheet: dict[str, Any] | str,
    matrix: np.ndarray,
    inputs: np.ndarray,
    chips: int = 1,
    **parts: Any,
) -> tuple[Chip, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs `(batch, columns)` through a matrix and back: the machine, what went in, came out, and came back."""
    stage = machines.build(machine_options({"like": "ideal_crossbar", "device": sheet, "parts": parts}), chips=chips)
    assert isinstance(stage, Chip)
    made, seen = Matrix(stage, "W", "input", Initial(matrix.shape, lambda: matrix)), []
    with stage.showing(Episode(inputs[:, None], values=np.zeros((len(inputs), 1, 1)))), stage.workspace():
        for _ in stage.phase("programming"):
            made.program()
        for step in stage.forward_pass("once"):
            forward = made @ step.input
            back = made.T @ forward
            seen = [stage.see(signal) for signal in (stage.analog(step.input), forward, back)]
    return stage, seen[0], seen[1], seen[2]


@pytest.mark.parametrize("name", ["pcm_gst_90nm", "rram_hfox_130nm"])
def test_reads_forward_and_transposed_meet_the_same_conductances(name: str) -> None:
    """With read noise off; programming errors are what would tell two sets of devices apart."""
    sheet = shipped(name).model_dump(mode="json", exclude_none=True)
    sheet["read_noise"] = {"law": "relative", "deviation_of_g": 0, "source": next(iter(sheet["sources"]))}
    inputs = np.random.default_rng(2).uniform(-1, 1, (50, 6))
    stage, x, y, z = on_tiles(sheet, weights()[0], inputs[:, :7] @ np.eye(6, 7), chips=2)
    array = stage.devices["W"].devices
    error = np.abs(array.weights - weights()[0]).max()
    assert error > 0.02
    for chip in range(2):
        np.testing.assert_allclose(y[chip], x[chip] @ array.weights[chip].T, atol=1e-4)
        np.testing.assert_allclose(z[chip], y[chip] @ array.weights[chip], atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(2, 256), (256, 3), (2, 3), (1, 1), (5, 7)])
def test_a_matrix_on_several_tiles_is_the_one_on_a_single_tile(rows: int, columns: int) -> None:
    inputs = np.random.default_rng(3).uniform(-1, 1, (50, 7))
    whole = on_tiles(described(error=("1 uS",)), weights()[0], inputs)
    parts = on_tiles(described(error=("1 uS",)), weights()[0], inputs, tiles={"rows": rows, "columns": columns})
    assert parts[0].devices.arrays["W"].plus.tobytes() == whole[0].devices.arrays["W"].plus.tobytes()
    for mine, other in zip(parts[1:], whole[1:], strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)
    assert parts[0].devices.used == -(-5 // rows) * -(-7 // columns)
    assert whole[0].devices.used == 1


READS = 20_000
CHI = stats.chi2.ppf([5e-8, 1 - 5e-8], READS - 1) / (READS - 1)
"""Bounds of a sample variance over the true one; missed once in ten million, for the dozen outputs of a test."""


def test_a_read_is_as_noisy_as_its_devices() -> None:
    """Σ x² (σ²⁺ + σ²⁻), for the conductances that there are; fresh in each read, and its own in the read back."""
    one = np.array([0.9, -0.5, 0.25, 0, 0.75, -1, 0.1])
    stage, x, y, z = on_tiles(described(error=("1 uS",), noise=0.05), weights()[0], np.tile(one, (READS, 1)))
    array = stage.devices["W"].devices
    scale = array.mapping.w_max / (20 * MICRO)
    each = (0.05 * scale) ** 2 * (array.plus[0] ** 2 + array.minus[0] ** 2)
    ratio = y[0].var(0, ddof=1, dtype=np.float64) / (each @ x[0, 0] ** 2)
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()
    back = (z[0] - y[0] @ array.weights[0]) / np.sqrt(y[0].astype(np.float64) ** 2 @ each)
    ratio = back.var(0, ddof=1, dtype=np.float64)
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()
    assert abs(np.corrcoef(y[0, :, 0], y[0, :, 1])[0, 1]) < 5 / np.sqrt(READS)
    assert abs(np.corrcoef(y[0, :, 0], back[:, 0])[0, 1]) < 5 / np.sqrt(READS)
    assert abs(np.corrcoef(y[0, :-1, 0], y[0, 1:, 0])[0, 1]) < 5 / np.sqrt(READS)


@pytest.mark.parametrize(("columns", "side_by_side"), [(256, 1), (4, 2), (3, 3)])
def test_each_tile_adds_noise_of_its_own_to_what_it_puts_out(columns: int, side_by_side: int) -> None:
    noisy = {"rows": 256, "columns": columns, "output_noise": 0.01}
    inputs = np.full((READS, 7), 0.5)
    stage, x, y, _ = on_tiles("ideal", weights()[0], inputs, tiles=noisy, ranges={"forward": 8})
    array = stage.devices["W"].devices
    np.testing.assert_allclose(y[0].mean(0), array.weights[0] @ x[0, 0], atol=5 * 0.08 * np.sqrt(3 / READS))
    ratio = y[0].var(0, ddof=1, dtype=np.float64) / (side_by_side * (0.01 * 8) ** 2)
    assert (CHI[0] < ratio).all()
    assert (ratio < CHI[1]).all()


# ---- what a read draws ---------------------------------------------------------------------------------------


def test_the_power_of_a_read_by_hand() -> None:
    """0.2 V on 10 µS and -0.1 V on 20 µS for 250 ns: (0.4 + 0.2) µW, hence 0.15 pJ."""
    x, conductance = np.array([[[1, -0.5]]], np.float32), np.array([[10e-6, 20e-6]], np.float32)
    np.testing.assert_allclose(drawn_by(x, conductance, 1.0) * 0.2**2 * 250e-9, [0.15e-12], rtol=1e-6)


def test_the_power_of_a_read_adds_up_over_lines_and_vectors() -> None:
    draw = np.random.default_rng(4)
    x = draw.normal(size=(3, 20, 50)).astype(np.float32)
    conductance = draw.uniform(1e-6, 1e-3, (3, 50)).astype(np.float32)
    expected = ((x.astype(np.float64) / 4) ** 2 * conductance[:, None]).sum((1, 2))
    np.testing.assert_allclose(drawn_by(x, conductance, 4.0), expected, rtol=1e-5)


# ---- tiles ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 300))
def test_splits_cover_every_line_once_and_fit_their_tiles(size: int, tile: int) -> None:
    cuts = splits(size, tile)
    lines = np.arange(size)
    np.testing.assert_array_equal(np.concatenate([lines[cut] for cut in cuts]), lines)
    assert all(0 < len(lines[cut]) <= tile for cut in cuts)
    assert len(cuts) == tiles(size, 1, tile, 1) == tiles(1, size, 1, tile)


@pytest.mark.parametrize(
    ("shape", "tile", "count"),
    [
        ((256, 256), (256, 256), 1),
        ((257, 256), (256, 256), 2),
        ((257, 513), (256, 256), 6),
        ((1, 1), (256, 256), 1),
        ((10, 784), (256, 128), 7),
    ],
)
def test_a_matrix_takes_so_many_tiles(shape: tuple[int, int], tile: tuple[int, int], count: int) -> None:
    assert tiles(*shape, *tile) == count


# ---- pulses --------------------------------------------------------------------------------------------------


def steps(*numbers: float) -> np.ndarray:
    """Changes of weights in programming steps of `device()`, of which 20 lead from zero to the largest weight, 1."""
    return np.array(numbers).reshape(1, 1, -1) / 20


@pytest.mark.parametrize("pulses", [None, Pulses(1 / 20, 30)])
def test_pulses_move_the_devices_of_a_pair_by_so_many_steps(pulses: Pulses | None) -> None:
    """From 5, -5, 2, 0, 18 and -18 steps: on, back, through zero, off zero, and beyond the largest of either sign."""
    array = programmed(device(), steps(5, -5, 2, 0, 18, -18))
    before = array.writes.copy()
    change = steps(3, 4, -6, 7, 4, -4)
    met = array.conductance.copy()
    counted, conductance = array.count_pulses(change, pulses)
    weights = array.pulse(change, pulses)
    np.testing.assert_allclose(weights, steps(8, -1, -4, 7, 20, -20), atol=1e-7)
    np.testing.assert_allclose(array.plus[0, 0], np.array([9, 1, 1, 8, 21, 1]) * MICRO, rtol=1e-12)
    np.testing.assert_allclose(array.minus[0, 0], np.array([1, 2, 5, 1, 1, 21]) * MICRO, rtol=1e-12)
    plus, minus = [3, 0, 2, 7, 4, 0], [0, 4, 4, 0, 0, 4]  # also those that find the device at its end
    if pulses is None:
        plus, minus = np.sign(plus), np.sign(minus)
    np.testing.assert_array_equal((array.writes - before)[0, :, 0], [plus, minus])
    assert counted == [np.sum(plus) + np.sum(minus)]
    assert conductance == close([(met[0, :, 0] * [plus, minus]).sum()])


@given(st.integers(0, 1000), st.integers(1, 40))
def test_pulses_add_up_whatever_the_errors_of_programming(seed: int, count: int) -> None:
    """Until a device meets its end; that of the other sign first goes back to its least."""
    sheet = device(error=("0.4 uS",))
    draw = np.random.default_rng(seed)
    array = programmed(sheet, 0.4 * weights(seed=seed), seed=seed)
    wanted = (array.plus - array.minus) / 20e-6
    for _ in range(count):
        change = draw.uniform(-1, 1, wanted.shape) * 0.5 / count
        array.pulse(change, None)
        wanted = wanted + change
    np.testing.assert_allclose(array.weights, wanted, atol=1e-6)
    assert array.conductance.min() >= 0


def test_writes_are_counted_beyond_what_few_bits_hold() -> None:
    array = programmed(device(), steps(0))
    for _ in range(3):
        array.pulse(steps(10), Pulses(1 / 20 / 10_000, 1_000_000))
        array.pulse(steps(-10), Pulses(1 / 20 / 10_000, 1_000_000))
    assert array.writes.tolist() == [[[[600_001]], [[1]]]]


def test_changes_that_are_no_numbers_leave_devices_alone() -> None:
    array = programmed(device(), steps(5, 6, 7))
    np.testing.assert_allclose(array.pulse(steps(np.nan, np.inf, 1), None), steps(5, 6, 8), atol=1e-7)
