"""Weights in slices: products bit by bit and digit by digit, what they are read and written as, what they cost."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options
from round_device import round_device

from hwsim import machines
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, HwsimError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.limits import limits
from hwsim.experiments.one_read import one_read
from hwsim.experiments.run import run
from hwsim.imperfection import found as imperfections
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.records import ANALOG, Head, Record
from hwsim.units.slices import Sliced, SlicedDevices, Slices, sliced

PICO = 1e-12


device = partial(round_device, "1 uS")


def cells(mapping: Sliced, steps: np.ndarray) -> SlicedDevices:
    """Cells of weights at so many steps, `(rows, columns)`, that were programmed once."""
    made = SlicedDevices(mapping, np.zeros((1, mapping.slices.cells, *steps.shape)))
    write(made, steps, np.full(steps.shape, np.nan))
    return made


def write(made: SlicedDevices, steps: np.ndarray, before: np.ndarray) -> float:
    words, old = (each.reshape(1, 1, -1) * made.mapping.unit for each in (steps, before))
    return float(made.program(words, old, 1.0 * (words != old), [np.random.default_rng(0)])[0][0])


@pytest.mark.parametrize(("count", "bits"), [(4, 2), (8, 1), (2, 4), (3, 3)])
def test_slices_read_bit_by_bit_give_the_product_of_integers(count: int, bits: int) -> None:
    """Columns are converted for each bit of the inputs, then shifted and added, and the offset is taken off."""
    mapping = Sliced(device(), w_max=1.0, slices=Slices(cells=count, bits=bits))
    random, most, sheet = np.random.default_rng(0), mapping.levels, mapping.sheet
    steps, x = random.integers(-most, most + 1, (5, 16)), random.integers(0, 2**8, 16)
    made = cells(mapping, steps)
    total = np.zeros(5, int)
    for bit in range(8):
        on = (x >> bit) & 1
        for cell in range(count):
            current = (made.conductance[0, cell] - sheet.conductance.min.value) @ on
            digits = current / (sheet.window / (2**bits - 1))
            np.testing.assert_allclose(digits, np.rint(digits), atol=1e-6)
            total += np.rint(digits).astype(int) << (bit + bits * cell)
    product = steps @ x
    np.testing.assert_array_equal(total - 2 ** (count * bits - 1) * x.sum(), product)
    np.testing.assert_allclose(made.weights[0].astype(float) @ x * most, product, atol=2e-6 * most * x.sum())


@pytest.mark.parametrize(("count", "bits"), [(4, 2), (8, 1), (2, 4)])
def test_slices_read_transposed_in_turn_give_the_product_of_integers(count: int, bits: int) -> None:
    """The lines of one slice are driven, those of others are not; the sums of input lines are converted each time."""
    mapping = Sliced(device(), w_max=1.0, slices=Slices(cells=count, bits=bits))
    random, most, sheet = np.random.default_rng(0), mapping.levels, mapping.sheet
    steps, x = random.integers(-most, most + 1, (16, 5)), random.integers(0, 2**8, 16)
    made = cells(mapping, steps)
    lines = (made.conductance[0] - sheet.conductance.min.value).transpose(1, 0, 2).reshape(16 * count, 5)
    total = np.zeros(5, int)
    for bit in range(8):
        for cell in range(count):
            driven = np.zeros((16, count))
            driven[:, cell] = (x >> bit) & 1
            digits = driven.reshape(-1) @ lines / (sheet.window / (2**bits - 1))
            total += np.rint(digits).astype(int) << (bit + bits * cell)
    product = x @ steps
    np.testing.assert_array_equal(total - 2 ** (count * bits - 1) * x.sum(), product)
    back = made.cut(True, slice(0, 16))
    np.testing.assert_allclose(x @ back.weights[0].astype(float) * most, product, atol=2e-6 * most * x.sum())
    np.testing.assert_allclose(back.conductance[0], made.conductance[0].sum((0, 2)), rtol=1e-6)


def test_the_converter_of_isaac_resolves_a_column_of_its_array() -> None:
    """128 cells of 2 bits sum to 384 at most: 9 bits, of which its encoding of columns saves one."""
    assert (128 * (2**2 - 1)).bit_length() - 1 == 8


def test_noise_and_drift_count_by_the_place_of_a_digit() -> None:
    mapping = Sliced(device(noise=0.02), w_max=2.0, slices=Slices(cells=2, bits=2))
    made = cells(mapping, np.array([[5]]))  # held as 13: digits 1 and 3
    g = np.array([1 + 20 / 3, 21]) * 1e-6
    np.testing.assert_allclose(made.conductance[0, :, 0, 0], g, rtol=1e-12)
    step = 2.0 / 7
    deviation = 0.02 * g / (20e-6 / 3) * step * np.array([1, 4])
    assert float(made.spread[0, 0, 0]) == close(float((deviation**2).sum()), rel=1e-6)
    assert float(made.weights[0, 0, 0]) == close(5 * step, rel=1e-6)
    made.conductance[0, 1] -= 2e-6
    made.refresh()
    assert float(made.weights[0, 0, 0]) == close(step * (5 - 4 * 2 / (20 / 3)), rel=1e-6)


def test_only_cells_whose_digit_changes_are_written() -> None:
    mapping = Sliced(device(), w_max=1.0, slices=Slices(cells=4, bits=2))
    made = cells(mapping, np.array([[0, 1]]))  # held as 128 and 129
    assert made.writes[0, :, 0].tolist() == [[1, 1]] * 4  # the first time all are
    assert write(made, np.array([[1, 0]]), np.array([[0, 1]])) == 2
    assert write(made, np.array([[-1, 0]]), np.array([[1, 0]])) == 4  # 127: all digits of the first, 2 0 0 1 before
    assert made.writes[0, :, 0].sum() == 8 + 2 + 4
    assert np.rint(made.weights[0, 0] * mapping.levels).tolist() == [-1, 0]


def test_the_largest_weight_lies_on_a_step_and_a_reach_widens_the_last_digit() -> None:
    mapping = sliced(device(), 0.7, 2.0, 1.0, Slices(cells=4, bits=2))
    assert (mapping.levels, mapping.furthest, mapping.offset) == (127, 127, 128)
    assert 0.7 / mapping.step == close(63.0)
    wide = sliced(device(), 0.7, 2.0, 2.0, Slices(cells=4, bits=2))
    assert (wide.furthest, wide.offset, wide.step) == (254, 256, mapping.step)
    for step in (-254, -1, 0, 254):
        digits = wide.digits(np.array([step]))[:, 0]
        assert int(digits @ 4 ** np.arange(4)) - wide.offset == step
        assert digits.min() >= 0
        assert digits[-1] < 8


@pytest.mark.parametrize("coded", [{}, {"inputs": "bit_serial"}])
def test_what_a_read_of_slices_takes(coded: dict[str, str]) -> None:
    """ISAAC's Table I: 24.08 mW for 8 arrays, 16 cycles of 100 ns, of which 3.01 mW and 4.8 nJ are an array's."""
    found = one_read(machine_options({"like": "isaac_ce_32nm", "name": "x", "parts": {"tiles": coded}}))
    assert found.energy is not None
    assert (found.rows, found.columns) == (16, 128)
    assert found.time == close(16 * 100e-9)
    cycle = {each: energy / 16 / PICO for each, energy in found.by_component.items() if energy}
    published = {"tile control": 20.9, "tile drivers": 50, "tile outputs": 0.125, "adc": 200, "devices": 30}
    assert cycle.keys() == published.keys()
    for each, energy in published.items():
        assert cycle[each] == close(energy, rel=0.01)
    assert 8 * found.energy == close(24.08e-3 * 1.6e-6, rel=0.002)


def test_a_transposed_read_takes_the_periphery_once_for_each_slice_and_the_cells_once_in_all() -> None:
    """For a matrix on 2 by 2 tiles; 128 lines on either side of each have drivers, outputs and converters."""
    chip = machines.build(machine_options("isaac_ce_32nm"))
    head = Head("read transposed", "W tiles", "readout", "error propagation", ANALOG)
    record = Record(*head, (20, 200), 1, (), ())
    spent: dict[str, float] = {}
    for each in chip.prices().charges(record):
        assert each.activity is None
        spent[each.component] = spent.get(each.component, 0.0) + each.energy
    cycle = {"tile control": 20.9, "tile drivers": 128 * 0.39, "tile outputs": 128 * 0.00098, "adc": 128 * 1.56}
    assert spent.keys() == {*cycle, "devices"}
    for each, energy in cycle.items():
        assert spent[each] == close(4 * 8 * 16 * energy * PICO, rel=1e-3)
    assert spent["devices"] == close(4 * 16 * 128 * 128 * 18.3e-9 * 100e-9)
    assert chip.prices().occupied(record).duration == close(8 * 16 * 100e-9 / PICO)


def test_lines_of_slices_are_written_one_after_another() -> None:
    """A cell of the ideal device takes a pulse; then all cells of its line are read, for one bit."""
    chip = machines.build(machine_options("isaac_ce_32nm"))
    head = Head("program", "W tiles", "readout", "weight write", ANALOG)
    write, found = chip.sheet.write, chip.prices().occupied(Record(*head, (20, 200), 1, (), ()))
    assert found.duration == close(20 * 8 * (write.duration + write.reads * 100e-9) / PICO)


def test_a_product_on_isaac_is_that_of_its_weights() -> None:
    chip = machines.build(machine_options("isaac_ce_32nm"))
    random = np.random.default_rng(1)
    weights, x = random.uniform(-1, 1, (20, 30)).astype(np.float32), random.uniform(-1, 1, 30)
    matrix = Matrix(chip, "W", "readout", Initial(weights.shape, lambda: weights))
    for _ in chip.phase("programming"):
        matrix.program()
    with chip.showing(Episode(x[None, None, :], labels=np.zeros(1, int), classes=2)), chip.workspace():
        for step in chip.forward_pass("read"):
            product = chip.digital(matrix @ step.input)
            back = chip.digital(matrix.T @ product)
    y = product._value.reshape(-1)
    step = 16 / 32767  # of the converters, whose full scale is 16
    np.testing.assert_allclose(y, weights @ x, atol=step / 2 + 30 * (1 / 16383 + 1 / 32767) / 2)
    more = 20 * (y.max() / 16383 + step) / 2
    np.testing.assert_allclose(back._value.reshape(-1), weights.T @ y, atol=step / 2 + more)
    assert chip.devices.count == 8 * weights.size
    assert chip.devices.used == 2
    assert chip.devices.fill == close(weights.size / (2 * 16 * 128))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parts": {"tiles": {"interface": "analog"}}}, "interface: digital"),
        ({"parts": {"tiles": {"slices": {"cells": 13, "bits": 2}}}}, "more than 24 bits"),
        ({"device": "reram_sb"}, "answer to pulses by a law"),
        (
            {
                "device": {
                    "like": "ideal",
                    "colour": {name: {"value": "1 s", "assumed": "x"} for name in ("slow", "fast")},
                }
            },
            "has a memory",
        ),
        ({"parts": {"tiles": {"wires": {"resistance": {"value": "1 ohm", "assumed": "x"}}}}}, "wires"),
    ],
)
def test_what_slices_do_not_go_with(changed: dict[str, object], said: str) -> None:
    with pytest.raises(HwsimError, match=said):
        hardware.machine(Document("test", {"like": "isaac_ce_32nm", "name": "x", **changed}))


@pytest.mark.parametrize("of", ["pulse_of", "current"])
def test_what_slices_are_not_asked_for(of: str) -> None:
    chip = machines.build(machine_options("isaac_ce_32nm"))
    matrix = Matrix(chip, "W", "readout", Initial((2, 3), lambda: np.ones((2, 3))))
    if of == "pulse_of":
        with pytest.raises(CapabilityError, match="pulses that train devices in place"):
            matrix.unit.pulse_of(None, matrix)
        return
    with chip.devices.aged(3600.0):  # ideal cells do not drift
        pass
    with pytest.raises(CapabilityError, match="whose offset does not drift"), chip.devices.aged(3600.0, True):
        pass


def test_digits_change_as_often_as_their_places_are_passed() -> None:
    """Against weights that move at random, by one step or none; five standard deviations are 3 %."""
    mapping, random = Sliced(device(), w_max=1.0, slices=Slices(cells=4, bits=2)), np.random.default_rng(0)
    before = random.integers(-60, 60, 200_000)
    for change in (0.2, 0.7):  # small steps carry: 1 + 1/4 + 1/16 + 1/64 digits of each change
        after = before + (random.random(before.size) < change) * random.choice([-1, 1], before.size)
        found = (mapping.digits(after) != mapping.digits(before)).mean()
        assert mapping.changed(change) == close(change * (1 + 1 / 4 + 1 / 16 + 1 / 64) / 4)
        assert mapping.changed(change) == close(found, rel=0.06)
    assert mapping.changed(1e9) == close(3 / 4)


def small(count: int, bits: int) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": "slices",
        "seed": 1,
        "task": {"name": "digits", "order": "rows"},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 16}}], "pooling": "cumulative_mean"},
        "learning": {"name": "eprop", "feedback": "random"},
        "machine": {"like": "isaac_ce_32nm", "parts": {"tiles": {"slices": {"cells": count, "bits": bits}}}},
        "chips": 1,
        "training": {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 32, "epochs": 1},
    }


@pytest.mark.parametrize(("count", "bits"), [(8, 2), (4, 2), (8, 1)])
def test_an_estimate_expects_the_writes_of_a_run(count: int, bits: int) -> None:
    """Within a factor of 1.5, for Adam at its usual rate."""
    data = small(count, bits)
    found, said = (each(data).summary.systems["substrate"].weights for each in (run, estimate))
    assert found is not None
    assert said is not None
    assert 1 / 1.5 < (said.writes_per_device - 1) / (found.writes_per_device - 1) < 1.5


def test_what_limits_a_chip_with_slices() -> None:
    """Coarse slices limit it, and other cells give another cosine; steps of the device change nothing."""
    data = small(5, 1)
    found = limits({**data, "training": None, "gradient_check": {"sequences": 8}}, seeds=1, chips=1)
    keys = [each.key for each in found.limits]
    assert "parts.tiles.slices" in keys
    assert "device.programming.step" not in keys
    of = found.limits[keys.index("parts.tiles.slices")].measured
    cosine = {change: float(of[change]["cosine"].mean()) for change in of}
    whole = {key: float(found.base[key].mean()) for key in found.base}["cosine"]
    assert cosine["off"] != whole
    assert cosine["doubled"] != whole


def test_slices_are_finer_with_more_cells() -> None:
    machine = machine_options("isaac_ce_32nm")
    (each,) = (one for one in imperfections(machine) if one.key == "parts.tiles.slices")
    assert each.off.parts.tiles.slices == Slices(cells=12, bits=2)
    assert each.doubled is None
