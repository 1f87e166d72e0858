"""Tiles with wires: what a read multiplies with, tile by tile, forward and transposed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options

from hwsim import machines
from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.imperfection import found
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.machines.chip import Chip
from hwsim.physics import ir_drop
from hwsim.physics.wires import resistance
from hwsim.units.wires import Wires

OHMS = 300.0


def wires(solution: str = "exact", ohms: float = OHMS) -> dict[str, Any]:
    return {"solution": solution, "resistance": {"value": f"{ohms} ohm", "assumed": "for this test"}}


WEIGHTS = np.random.default_rng(1).uniform(-1, 1, (5, 7))
INPUTS = np.random.default_rng(2).uniform(-1, 1, (50, 7))


def read(**tiles: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs through a matrix and back, on two chips: the devices, and what went in, came out, and came back."""
    options = {"like": "ideal_crossbar", "device": "pcm_gst_90nm", "parts": {"tiles": tiles}}
    stage = machines.build(machine_options(options), chips=2)
    assert isinstance(stage, Chip)
    made, seen = Matrix(stage, "W", "input", Initial(WEIGHTS.shape, lambda: WEIGHTS)), []
    for _ in stage.phase("programming"):
        made.program()
    devices = stage.devices["W"].devices
    devices.noisy = False
    with stage.showing(Episode(INPUTS[:, None], values=np.zeros((len(INPUTS), 1, 1)))), stage.workspace():
        for step in stage.forward_pass("once"):
            forward = made @ step.input
            back = made.T @ forward
            seen = [stage.see(signal) for signal in (stage.analog(step.input), forward, back)]
    return devices, seen[0], seen[1], seen[2]


@pytest.mark.parametrize("solution", ["exact", "approximate"])
@pytest.mark.parametrize(("rows", "columns"), [(256, 256), (256, 3), (2, 256), (2, 3)])
def test_tiles_multiply_with_what_is_behind_their_wires(solution: str, rows: int, columns: int) -> None:
    """Each tile is a circuit of its own, and each sign an array of its own; a read back meets the same weights."""
    devices, x, y, z = read(wires=wires(solution), rows=rows, columns=columns)
    solve = getattr(ir_drop, solution)
    for chip in range(2):
        seen = np.empty((5, 7))
        for first in range(0, 5, rows):
            for start in range(0, 7, columns):
                tile = slice(first, first + rows), slice(start, start + columns)
                plus, minus = (solve(side[chip][tile].T, OHMS) for side in (devices.plus, devices.minus))
                seen[tile] = (plus - minus).T * devices.mapping.scale
        np.testing.assert_allclose(y[chip], x[chip] @ seen.T, atol=1e-4)
        np.testing.assert_allclose(z[chip], y[chip] @ seen, atol=3e-4)
        assert np.abs(x[chip] @ devices.weights[chip].T - y[chip]).max() > 0.005


def test_wires_change_nothing_but_what_is_seen() -> None:
    """Devices and their draws stay; wires that are off have no resistance."""
    without, off, with_wires = read(), read(wires=wires("off")), read(wires=wires())
    np.testing.assert_array_equal(without[0].conductance, with_wires[0].conductance)
    for with_key, plain in zip(off[1:], without[1:], strict=True):
        np.testing.assert_array_equal(with_key, plain)


def test_devices_that_are_written_again_are_seen_anew() -> None:
    array = read(wires=wires())[0]
    before = array.seen
    assert array.seen is before
    array.conductance *= 2
    array.refresh()
    assert np.abs(array.seen / before).mean() > 1.5


def test_a_line_is_told_by_its_resistance_or_by_its_width() -> None:
    length = {"value": "100 nm", "assumed": "for this test"}
    made = Wires.model_validate({"width_nm": 40, "length": length, "temperature": "350 K"})
    assert made.ohms == close(resistance(40, 100e-9, 350.0))
    assert made.doubled().ohms == close(2 * made.ohms)
    for wrong in ({}, {"width_nm": 40}, {"length": length}, {**wires(), "width_nm": 40, "length": length}):
        with pytest.raises(ConfigError, match=r"parts\.tiles\.wires.*either a `resistance`"):
            machine_options({"like": "pcm_crossbar", "name": "c", "parts": {"tiles": {"wires": wrong}}})


def test_ir_drop_is_an_imperfection() -> None:
    machine = machine_options(
        {"like": "pcm_crossbar", "name": "c", "parts": {"tiles": {"wires": wires("approximate")}}}
    )
    (each,) = (one for one in found(machine) if one.key == "parts.tiles.wires")
    assert each.off.parts.tiles.wires.solution == "off"
    assert each.doubled.parts.tiles.wires.ohms == close(2 * OHMS)
    assert "parts.tiles.wires" not in [one.key for one in found(machine_options("pcm_crossbar"))]


def test_a_chip_without_wires_is_written_as_before() -> None:
    assert "wires" not in machine_options("pcm_crossbar").model_dump()["parts"]["tiles"]
