"""Weights on devices in parallel, and beside a common offset: products, errors, noise and costs, against closed forms.

Bounds on random numbers are five standard deviations: each is missed by chance less often than once in 10⁶.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import close
from round_device import round_device

from hwsim import machines
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.gradient_check import beyond_range
from hwsim.experiments.one_read import one_read
from hwsim.experiments.run import run
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.physics import DataSheet
from hwsim.units.shared import SharedCut, SharedDevices, places_of, shared
from hwsim.units.wires import Wires

KEYS = np.array([[1, 2], [3, 4]], np.uint32)


device = partial(round_device, "10 nS")


def programmed(sheet: DataSheet, steps: np.ndarray, mapping: str, parallel: int, lines: int = 8) -> SharedDevices:
    """Devices of weights at so many steps, `(chips, rows, columns)`, on tiles of `lines` by `lines`."""
    how: Any = mapping, parallel
    made = shared(sheet, 1.0, 1.0, 1.0, how, (lines, lines))
    chips, *shape = steps.shape
    rows, columns = places_of(made, (shape[0], shape[1]))
    size = [len(side.weights) + len(side.references) for side in (rows, columns)]
    devices = SharedDevices(
        made, np.zeros((chips, len(made.signs), *size)), [sheet] * chips, (shape[0], shape[1]), KEYS[:chips]
    )
    write(devices, steps, np.full(steps.shape, np.nan))
    return devices


def write(devices: SharedDevices, steps: np.ndarray, before: np.ndarray) -> np.ndarray:
    words, old = (each.reshape(len(steps), 1, -1) * devices.mapping.unit for each in (steps, before))
    draws = [np.random.default_rng(chip) for chip in range(len(steps))]
    return devices.program(words, old, 1.0 * (words != old), draws)[0]


EACH = pytest.mark.parametrize(
    ("mapping", "parallel"), [("pair", 2), ("pair", 3), ("offset_column", 1), ("offset_column", 4)]
)


@EACH
def test_exact_devices_hold_the_weights_read_from_either_side(mapping: str, parallel: int) -> None:
    sheet = device()
    made = shared(sheet, 1.0, 1.0, 1.0, (mapping, parallel), (8, 8))  # type: ignore[arg-type]
    steps = np.random.default_rng(0).integers(-made.levels, made.levels + 1, (2, 19, 11))
    devices = programmed(sheet, steps, mapping, parallel)
    weights = steps / made.levels
    np.testing.assert_allclose(devices.weights, weights, atol=1e-6)
    np.testing.assert_allclose(devices.cut(False, slice(0, 11)).weights, weights.swapaxes(1, 2), atol=1e-6)
    np.testing.assert_allclose(devices.cut(True, slice(0, 19)).weights, weights, atol=1e-6)
    places = (19 + 3) * (11 + 2) if mapping == "offset_column" else 2 * 19 * 11
    assert devices.count == places * parallel
    assert devices.writes.min() == devices.writes.max() == 1


@EACH
def test_only_devices_whose_target_moved_are_written_again(mapping: str, parallel: int) -> None:
    before = np.array([[[0, 5, -5, 7]]])
    devices = programmed(device(), before, mapping, parallel)
    written = write(devices, np.array([[[0, 6, 5, 7]]]), before)
    assert written[0] == parallel * (1 + 2 if mapping == "pair" else 2)


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("mapping", ["pair", "offset_column"])
def test_scatter_falls_by_the_root_of_devices(mapping: str, parallel: int) -> None:
    """σ of a weight over weights: two devices' errors, s σ √(2 / N), where a line of references has its share."""
    sheet = device(error="0.5 uS")
    devices = programmed(sheet, np.zeros((1, 200, 400), int), mapping, parallel, lines=400)
    error = devices.weights[0]
    own = 0.5e-6 * (1 / 20e-6 if mapping == "pair" else 2 / 20e-6) / np.sqrt(parallel)
    if mapping == "offset_column":
        shared_error = error.mean(0)  # of the reference of each column of inputs
        assert float(shared_error.std()) == close(own, rel=5 / np.sqrt(2 * 400))
        error = error - shared_error
    assert float(error.std()) == close(own * (np.sqrt(2) if mapping == "pair" else 1.0), rel=0.02)


@pytest.mark.parametrize("transposed", [False, True])
def test_noise_of_references_is_common_to_the_outputs_of_a_tile(transposed: bool) -> None:
    """Two outputs of one tile have the variance of references as their covariance, those of two tiles none."""
    from hwsim.units.shared import _with_common

    sheet, reads = device(noise=0.02), 40_000
    devices = programmed(sheet, np.zeros((1, 16, 16), int), "offset_column", 2)
    cut = devices.cut(transposed, slice(0, 16))
    x = np.random.default_rng(0).uniform(-1, 1, 16).astype(np.float32)
    behind, v = _with_common(cut, np.broadcast_to(x, (1, reads, 16)), (0, 0, 0))
    y = np.matmul(v, behind.weights)[0]
    variance = float((x**2).sum()) * (2 / 20e-6 * 11e-6 * 0.02) ** 2 / 2  # of each device 0.02 of 11 µS, N = 2
    found, bound = np.cov(y.T), 5 * np.sqrt(2 / reads)
    assert found[0, 7] / variance == close(1.0, rel=bound)
    assert found[8, 8] / variance == close(1.0, rel=bound)
    assert abs(found[0, 8] / variance) < bound
    np.testing.assert_allclose((cut.weights**0 * cut.spread).swapaxes(1, 2)[0] @ x**2, variance, rtol=1e-5)


def chip(**tiles: Any) -> Any:
    changed = {"like": "pcm_crossbar", "name": "x", "parts": {"tiles": tiles}}
    return hardware.machine(Document("test", changed))


def test_what_a_read_takes() -> None:
    """A tile has one more line of either kind; devices in parallel conduct N times as much, and circuits stay."""
    pair, twice, offset = (one_read(chip(**each)) for each in ({}, {"parallel": 2}, {"mapping": "offset_column"}))
    for part, energy in pair.by_component.items():
        assert energy is not None
        factor = {"tile drivers": 257 / 256, "tile outputs": 257 / 256}.get(part, 1.0)
        if part != "devices":
            assert twice.by_component[part] == close(energy)
            assert offset.by_component[part] == close(energy * factor)
    assert twice.by_component["devices"] == close(2 * (pair.by_component["devices"] or 0), rel=1e-3)  # errors


@pytest.mark.parametrize("tiles", [{"mapping": "offset_column"}, {"parallel": 3}])
@pytest.mark.parametrize("wires", [False, True])
def test_a_product_on_a_chip_is_that_of_its_weights(tiles: dict[str, Any], wires: bool) -> None:
    ohms = {"wires": {"resistance": {"value": "1e-6 ohm", "assumed": "none"}, "solution": "exact"}} if wires else {}
    options = {"device": "ideal", "parts": {"tiles": {**tiles, **ohms, "rows": 8, "columns": 8, "output_noise": 0}}}
    made = hardware.machine(Document("test", {"like": "pcm_crossbar", "name": "x", **options}))
    built = machines.build(made)
    random = np.random.default_rng(1)
    weights, x = random.uniform(-1, 1, (20, 13)).astype(np.float32), random.uniform(-1, 1, 13)
    matrix = Matrix(built, "W", "readout", Initial(weights.shape, lambda: weights))
    for _ in built.phase("programming"):
        matrix.program()
    with built.showing(Episode(x[None, None, :], labels=np.zeros(1, int), classes=2)), built.workspace():
        for step in built.forward_pass("read"):
            y = built.digital(matrix @ step.input)
            back = built.digital(matrix.T @ y)
    exact = weights @ x
    assert np.abs(y._value.reshape(-1) - exact).max() < 0.15  # converters of 8 bits, two tiles
    assert np.abs(back._value.reshape(-1) - weights.T @ y._value.reshape(-1)).max() < 0.4
    assert built.devices.fill == close(20 * 13 / (6 * 64))


@pytest.mark.parametrize("changed", [{}, {"slices": {"cells": 4, "bits": 2}, "interface": "digital"}, {"parallel": 2}])
def test_weights_beyond_a_percentile_are_clipped(changed: dict[str, Any]) -> None:
    """Ninety of a hundred weights from 0.01 to 1 are at most 0.901, the percentile that NumPy finds between two."""
    tiles = {**changed, "percentile": 90, "weight_range": 1}
    made = hardware.machine(
        Document("test", {"like": "pcm_crossbar", "name": "x", "device": "ideal", "parts": {"tiles": tiles}})
    )
    built, weights = machines.build(made), np.arange(1, 101).reshape(10, 10) / 100
    matrix = Matrix(built, "W", "readout", Initial(weights.shape, lambda: weights))
    for _ in built.phase("programming"):
        matrix.program()
    np.testing.assert_allclose(matrix.programmed[0], np.minimum(weights, 0.901), atol=0.01)
    assert matrix.programmed.max() == close(0.901, rel=1e-6)
    assert beyond_range(built) == {"W": close(0.1)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"device": "reram_sb", "parts": {"tiles": {"parallel": 2}}}, "answer to pulses by a law"),
        ({"parts": {"tiles": {"parallel": 2, "interface": "digital", "slices": {"cells": 2, "bits": 2}}}}, "slices"),
        ({"parts": {"tiles": {"mapping": "offset"}}}, "offset_column"),
    ],
)
def test_what_does_not_go_together(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(HwsimError, match=said):
        hardware.machine(Document("test", {"like": "pcm_crossbar", "name": "x", **changed}))


def small(**tiles: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": "small",
        "seed": 3,
        "task": {"name": "digits", "order": "rows"},
        "network": {
            "layers": [{"cell": {"name": "lru", "modes": 8, "r_min": 0.9}, "readout": {"width": 8}}],
            "pooling": "cumulative_mean",
        },
        "learning": {"name": "fpe"},
        "machine": {"like": "pcm_crossbar", "parts": {"tiles": {"rows": 8, "columns": 8, "count": 100, **tiles}}},
        "chips": 2,
        "training": {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 256, "epochs": 1},
    }


@pytest.mark.parametrize("tiles", [{"mapping": "offset_column"}, {"parallel": 2}])
def test_learning_forward_in_time_and_its_estimate(tiles: dict[str, Any]) -> None:
    ran, expected = run(small(**tiles)).summary.systems, estimate(small(**tiles)).summary.systems
    found, said = ran["substrate"].model_dump(), expected["substrate"].model_dump()
    assert found["memory"]["peak_bytes"] == said["memory"]["peak_bytes"]
    assert found["time"] == said["time"]
    assert found["energy"]["training_step_j"] == close(said["energy"]["training_step_j"], rel=0.02)


@EACH
def test_what_all_devices_lose_to_drift_one_factor_gives_back(mapping: str, parallel: int) -> None:
    """With one exponent for all, (t / t₀)^-ν scales weights, and the current of all devices has the same factor."""
    steps = np.random.default_rng(0).integers(-900, 900, (1, 19, 11))
    devices = programmed(device(), steps, mapping, parallel)
    before, total = devices.weights.copy(), devices.current([np.random.default_rng(0)])
    devices.conductance *= 0.7
    devices.refresh()
    np.testing.assert_allclose(devices.weights, 0.7 * before, atol=2e-6)
    np.testing.assert_allclose(devices.current([np.random.default_rng(0)]), 0.7 * total, rtol=1e-12)


@EACH
def test_a_run_with_faults_drift_and_noise_with_a_memory(mapping: str, parallel: int) -> None:
    """Learned on faulty devices, then tested after a wait, with one factor."""
    data = small(mapping=mapping, parallel=parallel)
    data["machine"]["device"] = {
        "like": "pcm_gst_90nm",
        "faults": {"low": 0.02, "high": 0.02, "assumed": "for a test"},
        "colour": {name: {"value": of, "assumed": "x"} for name, of in (("slow", "1 s"), ("fast", "1 us"))},
    }
    data["deploy"] = {"after": ["1 h"], "compensation": "global"}
    found = run(data).summary.systems["substrate"]
    assert found.weights is not None
    assert found.weights.faulty is not None


def test_a_chip_reads_with_the_noise_of_references() -> None:
    """Reads of a chip go by `SharedDevices.cut`, from either side."""
    built = machines.build(chip(mapping="offset_column"))
    matrix = Matrix(built, "W", "readout", Initial((20, 13), lambda: np.ones((20, 13))))
    for _ in built.phase("programming"):
        matrix.program()
    for transposed in (False, True):
        cut = matrix.unit.cut(transposed)
        assert isinstance(cut, SharedCut)
        assert cut.behind.weights.shape[1:] == ((21, 13) if transposed else (14, 20))


def by_nodes(g: np.ndarray, ohms: float) -> np.ndarray:
    """What each of n inputs of 1 V alone brings to m grounded outputs, by nodal analysis, as conductances `(n, m)`."""
    n, m = g.shape
    upper = np.arange(n * m).reshape(n, m)
    lower, y, driven = upper + n * m, np.zeros((2 * n * m, 2 * n * m)), np.zeros((2 * n * m, n))

    def join(one: np.ndarray, other: np.ndarray, between: np.ndarray) -> None:
        for a, b, siemens in zip(one.flat, other.flat, between.flat, strict=True):
            y[np.ix_([a, b], [a, b])] += siemens * np.array([[1, -1], [-1, 1]])

    join(upper, lower, g)
    join(upper[:, :-1], upper[:, 1:], np.full((n, m - 1), 1 / ohms))
    join(lower[:-1], lower[1:], np.full((n - 1, m), 1 / ohms))
    y[upper[:, 0], upper[:, 0]] += 1 / ohms
    y[lower[-1], lower[-1]] += 1 / ohms
    driven[upper[:, 0], np.arange(n)] = 1 / ohms
    return np.asarray(np.linalg.solve(y, driven)[lower[-1]].T / ohms)


@pytest.mark.parametrize("parallel", [1, 2])
def test_wires_of_a_tile_with_references_are_solved_as_one_circuit(parallel: int) -> None:
    """Tiles of 4 by 4 weights are circuits of 5 by 5 crossings; devices in parallel are at one crossing."""
    steps, ohms = np.random.default_rng(4).integers(-900, 900, (1, 6, 7)), 300.0
    devices = programmed(device(), steps, "offset_column", parallel, lines=4)
    behind = Wires.model_validate({"solution": "exact", "resistance": {"value": f"{ohms} ohm", "assumed": "x"}})
    devices.through = (behind, 4, 4)
    devices.refresh()
    total, forward, back = devices.conductance[0].sum(0), np.empty((6, 7)), np.empty((6, 7))
    for i, rows in enumerate((slice(0, 4), slice(4, 6))):
        for j, columns in enumerate((slice(0, 4), slice(4, 7))):
            lines = total[rows.start + i : rows.stop + i + 1, columns.start + j : columns.stop + j + 1]
            found = by_nodes(lines.T, ohms).T * devices.mapping.scale
            forward[rows, columns] = (found - found[-1])[:-1, :-1]
            back[rows, columns] = (found - found[:, -1:])[:-1, :-1]
    np.testing.assert_allclose(devices.cut(False, slice(0, 7)).weights[0].T, forward, atol=2e-6)
    np.testing.assert_allclose(devices.cut(True, slice(0, 6)).weights[0], back, atol=2e-6)
    assert np.abs(forward - devices.weights[0]).max() > 0.005


@EACH
def test_devices_that_are_written_and_their_number(mapping: str, parallel: int) -> None:
    """20 by 13 weights on 3 by 2 tiles have 23 by 15 places beside an offset; one update then writes single weights."""
    steps = np.random.default_rng(5).integers(-900, 900, (2, 20, 13))
    devices = programmed(device(), steps, mapping, parallel)
    count = 23 * 15 * parallel if mapping == "offset_column" else 20 * 13 * 2 * parallel
    assert devices.writes.reshape(2, -1).sum(1).tolist() == [count, count]
    after = steps.copy()
    after[0, 3, 4], after[1, 19, 12] = 1 - np.sign(steps[0, 3, 4]), steps[1, 19, 12] + 1
    written = write(devices, after, steps)
    assert (devices.writes.reshape(2, -1).sum(1) - count).tolist() == written.tolist()
    assert written[1] == parallel


@pytest.mark.parametrize("tiles", [{"mapping": "offset_column"}, {"parallel": 2}])
def test_management_scales_inputs_before_references_are_subtracted(tiles: dict[str, Any]) -> None:
    """A vector of 1/64 of the size reads as 1/64 of the product to the last digit; otherwise steps get lost."""
    weights, x = np.random.default_rng(1).uniform(-1, 1, (20, 13)), np.random.default_rng(2).uniform(-1, 1, 13)

    def read(managed: bool) -> list[np.ndarray]:
        more = {"rows": 8, "columns": 8, "output_noise": 0, "interface": "digital", "management": {"noise": managed}}
        options = {"device": "ideal", "parts": {"tiles": {**tiles, **more}}}
        built = machines.build(hardware.machine(Document("test", {"like": "pcm_crossbar", "name": "x", **options})))
        matrix = Matrix(built, "W", "readout", Initial(weights.shape, lambda: weights))
        for _ in built.phase("programming"):
            matrix.program()
        with built.showing(Episode(x[None, None], labels=np.zeros(1, int), classes=2)), built.workspace():
            for step in built.forward_pass("read"):
                number = built.digital(step.input)
                found = [built.digital(matrix @ (number * factor)) for factor in (1.0, 1 / 64)]
        return [y._value.reshape(-1).astype(float) for y in found]

    large, small = read(True)
    np.testing.assert_allclose(64 * small, large, rtol=1e-6)
    large, small = read(False)
    assert np.abs(64 * small - large).max() > 0.1
