"""Spikes of a test are counted as the recorded spikes say, over all chips, sequences and parts of the test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim import initial
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments import firing, system
from hwsim.experiments.run import Run, simulate
from hwsim.reports import spiking
from hwsim.results.summary import Spiking

STEPS, TEST = 10, 6
LAYERS = [
    {"cell": {"name": "alif", "units": 7, "decay": 0.8, "beta": 0.2, "adaptation_decay": 0.9, "gain": 2.0}},
    {"cell": {"name": "lif", "units": 5, "decay": 0.7, "readout_decay": 0.5, "gain": 3.0}},
]


def ran(**changes: Any) -> Run:
    data = {
        "name": "small",
        "task": {"name": "random", "steps": STEPS, "width": 3, "train": 8, "test": TEST},
        "network": {"layers": LAYERS},
        "learning": {"name": "eprop"},
        "machine": "ideal",
        **changes,
    }
    return simulate(config.compose(Document("test", data)))


def found(run: Run) -> Spiking:
    spikes = run.systems["substrate"].spiking
    assert spikes is not None
    return spikes


@pytest.mark.parametrize("part", [256, 4])
def test_counts_are_those_of_all_recorded_spikes(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """Of one chip all sequences are recorded here; each spike meets its own layer and the readout's first map."""
    recorded = all_recorded(monkeypatch)
    whole = {layer: recorded.query("layer == @layer") for layer in ("layer 1", "layer 2")}
    monkeypatch.setattr(system, "TEST_BATCH", part)
    run = ran()
    counted = found(run)
    (costs,) = run.costs
    outputs = costs.system.dataset.train.outputs
    fan_out = {"layer 1": 7 + 7, "layer 2": 5 + outputs}  # the readout of layer 1 is as wide as the layer
    for name, spikes in whole.items():
        of, n = counted.layers[name], 7 if name == "layer 1" else 5
        assert len(spikes) > 10
        assert of.spikes == len(spikes) / TEST
        assert of.synaptic_operations == close(len(spikes) / TEST * fan_out[name])
        assert (of.neurons, of.membrane_updates) == (n, n * STEPS)
        assert of.rate == close(len(spikes) / (TEST * n * STEPS))
    for key in ("spikes", "synaptic_operations", "membrane_updates"):
        assert getattr(counted, key) == sum(getattr(each, key) for each in counted.layers.values())
    assert not counted.input_spikes
    assert (counted.input_values, counted.input_operations) == (3 * STEPS, 3 * STEPS * 7)
    assert counted.energy_j is counted.latency_s is counted.learning_step_j is None


def all_recorded(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    with monkeypatch.context() as patched:
        patched.setattr(firing, "SEQUENCES", TEST)
        return ran(**changes).spikes


def test_where_synapses_are_few_a_spike_meets_those_of_its_neuron(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew by seed and name; of a wire of the input, too. Event-driven cores count the same, and inputs."""
    cell = {"name": "lif", "units": 9, "decay": 0.8, "gain": 3.0, "fan_in": 4, "input_fan_in": 2}
    changes: dict[str, Any] = {"network": {"layers": [{"cell": cell}]}, "event_driven": "loihi_like"}
    spikes, run = all_recorded(monkeypatch, **changes), ran(**changes)
    counted, outputs = found(run), run.costs[0].system.dataset.train.outputs
    heard = np.bincount(initial.connections(0, "layer 1 W", 9, 9, 4).draw().ravel(), minlength=9)
    assert heard.min() < heard.max()
    fired = np.bincount(spikes.neuron, minlength=9)
    assert fired.sum() > 10
    assert counted.synaptic_operations == close(fired @ (heard + outputs) / TEST)
    assert counted.input_operations == STEPS * 9 * 2  # all values of the input are above zero
    on = counted.on_event_cores
    assert on is not None
    met = sum(count for name, count in on.counts.items() if name.startswith("synaptic operations"))
    assert met == close(counted.synaptic_operations + counted.input_operations)


def test_it_is_the_mean_over_chips() -> None:
    """Chips that are simulated together count as each of them alone does."""
    machine = {"like": "rram_crossbar"}
    both, alone = found(ran(machine=machine, chips=2)), found(ran(machine=machine))
    assert both.membrane_updates == alone.membrane_updates
    run = ran(machine=machine, chips=2)
    activity = run.costs[0].outcome.activity
    assert activity is not None
    steps = activity.mean["layer 1"]
    assert sorted(steps) == list(range(STEPS))
    assert float(np.sum(list(steps.values()))) == close(both.layers["layer 1"].spikes)
    first, of_both = alone.spikes * TEST, both.spikes * 2 * TEST  # the first chip is the same one
    assert of_both == close(round(of_both))
    assert 0.3 * first < of_both - first < 3 * first


def test_what_an_inference_takes_is_that_of_the_machine() -> None:
    training = {"optimizer": {"name": "sgd", "rate": 0.05}, "batch": 4, "steps": 2}
    run = ran(machine="digital_45nm", training=training)
    system, spikes = run.systems["substrate"], found(run)
    assert spikes.energy_j == system.energy.inference_j_per_sequence
    assert spikes.learning_step_j == system.energy.training_step_j
    assert spikes.learning_step_s == system.time.training_step_s
    (costs,) = run.costs
    (batch,) = {batch for batch in costs.outcome.tests[-1].batches if batch.sequences > 1}
    rounds = -(-batch.sequences // costs.machine.parallel)
    assert spikes.latency_s is not None
    assert spikes.latency_s * rounds == sum(costs.seconds(batch))


def test_a_table_and_a_sentence_tell_it() -> None:
    run = ran(machine="digital_45nm")
    table = spiking.spiking(run.systems)
    assert table is not None
    rows = {row.label: str(row.cells[0]) for row in table.rows}
    assert rows["membrane updates"] == str(12 * STEPS)
    assert rows["energy of a learning step"] == "-"
    assert rows["energy"].endswith("J")
    assert rows["latency"].endswith("s")
    (remark,) = spiking.remarks(run.systems)
    assert "the 30 input values that are not zero take 210 multiply-accumulates" in remark


def test_a_network_that_does_not_spike_has_none() -> None:
    run = ran(network={"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]})
    assert run.systems["substrate"].spiking is None
    assert "spiking" not in run.summary.text()
    assert spiking.spiking(run.systems) is None
