"""Read noise with a memory on chips: time between steps, reads, snapshots, captured steps, waits; and its streams."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options, random_episode, rule

import hwsim
from hwsim import machines, networks
from hwsim.experiments.footprint import footprint
from hwsim.machine import resume, snapshot
from hwsim.networks import Network
from hwsim.units.register import Hold

TANH: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]}
PERIOD, STEPS = 1e-3, 12
ONE = {"slow": {"value": "50 ms", "assumed": "a test"}, "fast": {"value": "50 ms", "assumed": "a test"}}
MANY = {**ONE, "fast": {"value": "1 ms", "assumed": "a test"}}


class Run:
    """A network on chips whose steps take 1 ms, and what it puts out."""

    def __init__(self, device: str, colour: Any, chips: Any = 2) -> None:
        on = {
            "like": "rram_crossbar",
            "device": {"like": device, "name": "test", **({"colour": colour} if colour else {})},
        }
        self.stage = machines.build(machine_options(on), seed=1, chips=chips)
        self.outputs: list[np.ndarray] = []
        self.stage.probe.watchers["output"] = lambda x: self.outputs.append(x.copy())

    def started(self) -> Run:
        self.made = Network(self.stage, networks.Options.model_validate(TANH), 2, 3, rule("one_step").uses)
        self.made.program()
        self.stage.journal.close_batch(1)
        self.stage.holds = {"inference": Hold(PERIOD, {})}
        return self

    def infer(self, seed: int = 0, batch: int = 1, routine: Hashable = None) -> Run:
        with self.stage.showing(random_episode(seed, batch=batch, steps=STEPS), routine):
            self.made.infer()
        return self

    @property
    def arrays(self) -> list[Any]:
        return list(self.stage.devices.arrays.values())

    @property
    def signals(self) -> np.ndarray:
        return np.concatenate([each.coloured.state.ravel() for each in self.arrays])


def test_noise_that_is_all_white_is_as_it_was() -> None:
    """Signals have streams of their own: with a share of nothing, each bit is that of a sheet without the key."""
    plain, white = (Run("rram_milo", colour).started().infer() for colour in (None, {**MANY, "share": 0.0}))
    assert np.array_equal(plain.outputs, white.outputs)
    assert all(each.coloured is None for each in plain.arrays)


@pytest.mark.parametrize("device", ["rram_milo", "pcm_gst_90nm", "reram_sb", "pcm_update"])
def test_what_a_read_multiplies_with_has_the_variance_of_the_law(device: str) -> None:
    """(w - mean) over its σ has a variance of 1, in 36 weights of 600 chips; 6 standard errors, missed once in 10⁸."""
    plain, found = (Run(device, colour, chips=600).started() for colour in (None, MANY))
    shares = []
    for white, each in zip(plain.arrays, found.arrays, strict=True):
        assert np.array_equal(white.weights, each.weights)
        assert not each.noisy
        assert not each.spread.any()
        read = each.cut(False, slice(None)).weights.swapaxes(1, 2)
        assert np.array_equal(read, each.cut(True, slice(None)).weights)
        some = white.spread > 0
        shares.append(((read - each.weights)[some].astype(float) ** 2) / white.spread[some])
    found_ = np.concatenate(shares)
    assert found_.mean() == close(1.0, rel=0, abs=6 * np.sqrt(2 / found_.size))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_pass_takes_the_time_of_all_its_sequences(batch: int) -> None:
    """Signals keep exp(-12 T B / τ) of themselves; 43 200 of them, 6 standard errors, missed once in 10⁸."""
    run = Run("rram_milo", ONE, chips=600).started()
    before = run.signals.copy()
    run.infer(batch=batch)
    kept = np.exp(-STEPS * PERIOD * batch / 50e-3)
    assert np.mean(before * run.signals, dtype=float) == close(kept, rel=0, abs=6 * np.sqrt(2 / before.size))


@pytest.mark.parametrize("signals", ["gaussian", "telegraph"])
def test_captured_steps_read_what_devices_now_are(signals: str) -> None:
    """A routine, whose later batches are carried out from records, gives the bytes of batches that are none."""
    plain, captured = (
        Run("rram_milo", {**MANY, "signals": signals}).started().infer(1, 2, name).infer(2, 2, name).infer(3, 2, name)
        for name in (None, "a routine")
    )
    assert np.array_equal(plain.outputs, captured.outputs)
    assert np.array_equal(plain.signals, captured.signals)


def test_a_run_goes_on_from_a_snapshot_to_the_same_bytes() -> None:
    """From any step; and not without the signals."""
    colour: dict[str, Any] = {**MANY, "share": 0.7}
    found, shots = Run("rram_milo", colour, [0, 3]).started(), []
    found.infer(0, 2)
    found.stage.sequencer.after_step = lambda: shots.append(snapshot(found.stage))
    found.infer(1, 2)
    signals, outputs = found.signals.copy(), found.outputs
    for shot in (shots[0], shots[4], shots[STEPS - 1]):
        again = Run("rram_milo", colour, [0, 3])
        resume(again.stage, shot)
        again.started().infer(1, 2)
        assert np.array_equal(again.signals, signals)
        left = len(again.outputs)
        assert left == STEPS - 1 - shot.step
        assert np.array_equal(again.outputs, outputs[len(outputs) - left :])
    lost = {name: value for name, value in shots[4].values.items() if not name.endswith("noise with memory")}
    assert len(lost) < len(shots[4].values)
    again = Run("rram_milo", colour, [0, 3])
    resume(again.stage, shots[4]._replace(values=lost))
    again.started().infer(1, 2)
    assert not np.array_equal(again.signals, signals)


def test_chips_have_signals_of_their_own_by_their_numbers() -> None:
    run, other = (Run("rram_milo", MANY, chips).started().infer() for chips in ([0, 1, 0], [1]))
    for each, alone in zip(run.arrays, other.arrays, strict=True):
        assert np.array_equal(each.coloured.state[0], each.coloured.state[2])
        assert np.array_equal(each.coloured.state[1], alone.coloured.state[0])
        assert not np.array_equal(each.coloured.state[0], each.coloured.state[1])


def test_a_wait_lets_noise_go_on_and_ends() -> None:
    """Noise after 10 ms is that before, times exp(-1/5), and something fresh; after a wait all is as it was."""
    run = Run("rram_milo", ONE, chips=600).started().infer()
    before = run.signals.copy()
    for compensated in (False, True):
        with run.stage.devices.aged(10e-3, compensated):
            waited = run.signals.copy()
            kept = np.mean(before * waited, dtype=float)
            assert kept == close(np.exp(-0.2), rel=0, abs=6 * np.sqrt(2 / before.size))
            run.infer()
        assert np.array_equal(run.signals, before)


def test_footprints_include_the_signals() -> None:
    """K signals of each device, σ and their sum, of four bytes each; while devices are aged, the signals twice."""
    found = []
    for colour in ({}, {"colour": MANY}):
        machine = {"like": "rram_crossbar", "device": {"like": "pcm_gst_90nm", "name": "test", **colour}}
        task = {"name": "random", "steps": 20, "width": 3, "outputs": 2, "train": 16, "test": 4}
        asked = {"name": "sized", "task": task, "network": TANH, "learning": {"name": "one_step"}, "machine": machine}
        training = {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 8, "steps": 2}
        sized = footprint(hwsim.load({**asked, "training": training, "deploy": {"after": ["1 s"]}}))
        found.append({moment.when: moment.size for moment in sized.moments})
    devices, signals = 2 * (4 * 4 + 4 * 3 + 2 * 4), 3
    more = {when: size - found[0][when] for when, size in found[1].items()}
    kept = more["substrate: in a test, simulating it"]
    assert kept >= devices * (signals + 2) * 4
    assert more["substrate: to test aged devices, simulating it"] >= kept + devices * signals * 4
