"""Devices that have drifted: a pulse begins where drift has left them, and they are as they were once the wait ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim import streams
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.machine.numerics import Pulses
from hwsim.physics.pulses import SoftBounds
from hwsim.units.by_law import DevicesByLaw
from hwsim.units.mapping import mapping
from hwsim.units.one_way import OneWayDevices
from hwsim.units.pulsed import PulsedDevices

HOUR = 3600.0
FALLS = {"law": "constant", "mean": 0.05, "deviation": 0.01, "start": "20 s"}
QUIET = {"noise": 0, "write_noise": 0}
SHAPE = (6, 8)


def devices(like: str, **update: Any) -> DevicesByLaw:
    """Devices of one chip, each at a state of its own, with references at x = 0."""
    update = {**QUIET, **update}
    cited = "aihwkit" if like == "reram_sb" else "nandakumar2020"
    of = hardware.device(Document("test", {"like": like, "update": update, "drift": {**FALLS, "source": cited}}))
    how, one_way = mapping(of, 1.0, 1.0), bool(of.update and of.update.one_way)
    x = np.random.default_rng(2).uniform(0.1, 0.6, (1, 2, *SHAPE))
    g = how.zero + how.per_x * x  # type: ignore[attr-defined]
    if not one_way:
        x, g[:, 1] = x[:, 0], how.zero  # type: ignore[attr-defined]
    make = OneWayDevices if one_way else PulsedDevices
    return make(how, g, [of], x.copy(), lambda chip, purpose: streams.generator(1, f"chip {chip}", purpose))  # type: ignore[arg-type]


def draws() -> list[np.random.Generator]:
    return [np.random.default_rng(9)]


def present(of: DevicesByLaw) -> np.ndarray:
    """x of what devices conduct."""
    return (of.conductance[:, 0] - of.mapping.zero) / of.mapping.per_x


@pytest.mark.parametrize("upward", [True, False])
def test_a_pulse_begins_where_drift_has_left_a_device(upward: bool) -> None:
    """One pulse of the law of soft bounds, by hand, at the conductance after an hour."""
    made = devices("reram_sb", low_spread=0, high_spread=0)
    drawn = made.responses[0]
    assert isinstance(made.laws[0], SoftBounds)
    made.wait(HOUR, draws())
    left, step = present(made).ravel(), made.mapping.pulse
    made.pulse(np.full((1, *SHAPE), step if upward else -step), Pulses(step, 31))
    change = drawn.up * (1 - left / 1.25) if upward else -drawn.down * (1 - left / -0.75)
    np.testing.assert_allclose(present(made).ravel(), left + change, rtol=1e-9, atol=1e-12)


def test_devices_that_are_not_pulsed_stay_as_drift_left_them_and_all_come_back() -> None:
    made = devices("reram_sb")
    state, conductance = made.state.copy(), made.conductance.copy()
    made.wait(HOUR, draws())
    drifted = made.conductance.copy()
    change = np.zeros((1, *SHAPE))
    change[0, 0, 0] = made.mapping.pulse
    made.pulse(change, Pulses(made.mapping.pulse, 31))
    moved = made.conductance != drifted
    assert moved.sum() == 1
    assert moved[0, 0, 0, 0]
    assert (drifted < conductance).all()
    made.unwait()
    assert np.array_equal(made.state, state)
    assert np.array_equal(made.conductance, conductance)


def test_pairs_that_are_pulsed_upward_begin_where_drift_has_left_them() -> None:
    made = devices("pcm_update", noise_added=0, noise_slope=0)
    made.wait(HOUR, draws())
    before = present(made)
    made.pulse(np.full((1, *SHAPE), made.mapping.pulse), Pulses(made.mapping.pulse, 31))
    law, drawn = made.laws[0], made.responses[0]
    assert len(drawn.up) == 2 * before.size
    kept = drawn._replace(**{name: getattr(drawn, name)[: before.size] for name in drawn._fields})
    expected = np.minimum(before.ravel() + law.change(before.ravel(), True, kept), kept.high)
    np.testing.assert_allclose(present(made).ravel(), expected, rtol=1e-9)


def test_weights_that_are_programmed_after_a_wait_count_from_the_reference_as_it_is() -> None:
    """Without an error of programming they are what was asked for, where the device reaches that."""
    made = devices("reram_sb", low_spread=0, high_spread=0)
    exact = made.mapping.sheet.programming.error.times(0)
    made.mapping.sheet.programming.__dict__["error"] = exact
    made.wait(HOUR, draws())
    words = np.full((1, 1, made.state[0].size), 3 * made.mapping.unit)
    made.program(words, np.zeros_like(words), np.ones_like(words), draws())
    step = made.mapping.w_max / made.mapping.levels
    np.testing.assert_allclose(made.weights, 3 * step, rtol=1e-5)
    assert (made.minus < made.mapping.zero * 0.9).all()


def test_without_drift_a_wait_changes_no_state() -> None:
    made = devices("reram_sb")
    state = made.state.copy()
    made.wait(0.0, draws())
    np.testing.assert_allclose(made.state, state, rtol=1e-12)
