"""Recorded spikes, membranes and traces: against equations written here, and without a trace of their own in a run."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwsim import tasks
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments import firing, system
from hwsim.experiments.run import Run, simulate

STEPS, N = 12, 10
ALIF = {"name": "alif", "units": N, "decay": 0.8, "beta": 0.3, "adaptation_decay": 0.9, "gain": 2.0}
LIF = {"name": "lif", "units": 6, "decay": 0.7, "readout_decay": 0.5, "gain": 2.0}


def ran(cell: dict[str, Any], learning: dict[str, Any], **changes: Any) -> Run:
    data = {
        "name": "small",
        "task": {"name": "random", "steps": STEPS, "width": 5, "train": 16, "test": 6},
        "network": {"layers": [{"cell": cell}]},
        "learning": learning,
        "machine": "ideal",
        **changes,
    }
    return simulate(config.compose(Document("test", data)))


def spiked(run: Run, sequence: int, n: int, system: str = "substrate") -> np.ndarray:
    """Recorded spikes `(steps, n)`."""
    found = np.zeros((STEPS, n))
    rows = run.spikes.query("system == @system and layer == 'layer 1' and sequence == @sequence")
    np.add.at(found, (rows.step, rows.neuron), 1)
    return found


def traced(run: Run, quantity: str) -> pd.DataFrame:
    """A recorded quantity of layer 1 by step, one column per neuron."""
    rows = run.traces.query("system == 'substrate' and layer == 'layer 1' and quantity == @quantity")
    return rows.pivot(index="step", columns="neuron", values="value")


@pytest.mark.parametrize("cell", [ALIF, LIF], ids=["alif", "lif"])
def test_without_training_they_are_those_of_the_first_test_sequences(cell: dict[str, Any]) -> None:
    run = ran(cell, {"name": "eprop"})
    weights, n = run.weights(), cell["units"]
    inputs = tasks.build(run.experiment.task, run.experiment.seed, None).test.inputs
    assert set(run.spikes.sequence) == {0, 1, 2, 3}
    for sequence in range(4):
        v, raised, z = np.zeros((3, n))
        membranes, thresholds, expected = [], [], []
        for x in inputs[sequence]:
            W, U, b = (weights[f"layer 1 {name}"] for name in "WUb")
            v = cell["decay"] * v + W @ z + U @ x + b - z
            raised = cell.get("adaptation_decay", 0) * raised + cell.get("beta", 0) * z
            z = (v > 1 + raised).astype(float)
            membranes.append(v), thresholds.append(1 + raised), expected.append(z)
        assert np.sum(expected) > 5
        np.testing.assert_array_equal(spiked(run, sequence, n), expected)
        if sequence == 0:
            chosen = traced(run, "membrane").columns
            assert list(chosen) == sorted(np.argsort(-np.sum(expected, 0), kind="stable")[:4])
            np.testing.assert_allclose(traced(run, "membrane"), np.array(membranes)[:, chosen], rtol=0, atol=1e-12)
            np.testing.assert_allclose(traced(run, "threshold"), np.array(thresholds)[:, chosen], rtol=0, atol=1e-12)


TRAINING = {"optimizer": {"name": "sgd", "rate": 0.05}, "batch": 4, "steps": 5, "test_every": 2}


def test_with_training_they_are_of_the_batch_that_energy_is_told_of() -> None:
    """Of the third batch of five, of which the last steps are carried out from the records of others."""
    run = ran(ALIF, {"name": "eprop"}, training=TRAINING)
    energies = run.energy.query("part == 'step' and sweep == 'forward'")
    assert set(energies.step) == set(range(STEPS)) == set(traced(run, "membrane").index)
    (costs,) = run.costs
    third = list(costs.system.dataset.batches(4, run.experiment.seed, 1))[2]
    inputs = third.inputs
    first = ran(ALIF, {"name": "eprop"}, training=TRAINING | {"steps": 2}).weights()
    W, U, b = (first[f"layer 1 {name}"] for name in "WUb")  # after two updates
    v, raised, z = np.zeros((3, N))
    for step, x in enumerate(inputs[0]):
        v, raised = 0.8 * v + W @ z + U @ x + b - z, 0.9 * raised + 0.3 * z
        z = (v > 1 + raised).astype(float)
        np.testing.assert_array_equal(spiked(run, 0, N)[step], z)


def test_the_trace_of_eprop_is_that_of_the_weight_from_a_neuron_to_itself() -> None:
    """ε ← α ε + z, with the spikes that arrive: those of the step before (Bellec et al. 2020, equation 22)."""
    run = ran(LIF, {"name": "eprop"}, training=TRAINING)
    found, z = traced(run, "trace"), spiked(run, 0, 6)
    trace, before = np.zeros(6), np.zeros(6)
    for step in range(STEPS):
        trace, before = 0.7 * trace + before, z[step]
        np.testing.assert_allclose(found.loc[step], trace[found.columns], rtol=0, atol=1e-12)
    assert trace.any()


def test_the_trace_of_stdp_is_that_of_the_spikes_of_a_neuron() -> None:
    stdp = {"name": "stdp", "a_plus": 0.01, "a_minus": 0.01, "decay_plus": 0.9, "decay_minus": 0.8}
    run = ran(LIF, stdp, training=TRAINING)
    found, z = traced(run, "trace"), spiked(run, 0, 6)
    trace = np.zeros(6)
    for step in range(STEPS):
        trace = 0.8 * trace + z[step]
        np.testing.assert_allclose(found.loc[step], trace[found.columns], rtol=0, atol=1e-12)
    assert trace.any()


def test_what_comes_behind_the_first_sequences_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is recorded when it is first shown: tests have parts, and some rules show steps again."""
    whole = ran(ALIF, {"name": "eprop"})
    monkeypatch.setattr(system, "TEST_BATCH", 4)
    parts = ran(ALIF, {"name": "eprop"})
    pd.testing.assert_frame_equal(whole.spikes, parts.spikes)
    pd.testing.assert_frame_equal(whole.traces, parts.traces)


def test_recording_leaves_the_run_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"training": TRAINING, "machine": "rram_crossbar", "chips": 2}
    recorded = ran(ALIF, {"name": "eprop"}, **changes)
    assert len(recorded.spikes)
    assert len(recorded.traces) == 4 * STEPS * 3
    monkeypatch.setattr(firing.Firing, "watching", lambda self: nullcontext())
    alone = ran(ALIF, {"name": "eprop"}, **changes)
    assert not len(alone.spikes)
    assert recorded.summary == alone.summary
    for table in ("energy", "memory", "metrics"):
        pd.testing.assert_frame_equal(getattr(recorded, table), getattr(alone, table))


def test_a_circuit_that_fires_twice_in_a_step_has_two_rows() -> None:
    neuron = {
        "name": "fast",
        "equations": "dv/dt = (drive - v)/tau : 1",
        "threshold": "v > 1",
        "reset": "v = 0",
        "surrogate": {"name": "triangle"},
        "parameters": {"tau": {"value": "10 ms", "assumed": "a test"}},
        "dt": "0.25 ms",
        "step": "1 ms",
    }
    cell = {"name": "circuit", "units": 3, "neuron": neuron, "gain": 0.01, "input_gain": 0.01, "bias": 30.0}
    run = ran(cell, {"name": "bptt"}, test=True)
    counts = spiked(run, 0, 3)
    assert counts.max() == 2  # from 0, two steps of 0.25 ms take v to 0.75 and 1.48: a spike at every second one
    assert list(traced(run, "membrane").index) == list(range(STEPS))
    assert not len(traced(run, "threshold"))


def test_nothing_is_recorded_where_nothing_fires() -> None:
    run = ran({"name": "leaky_tanh", "units": 4, "leak": 0.3}, {"name": "bptt"}, training=TRAINING)
    assert not len(run.spikes)
    assert list(run.spikes) == ["system", "layer", "sequence", "step", "neuron"]
