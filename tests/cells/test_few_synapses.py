"""Spiking cells with few synapses per neuron: those of the dense ones whose other weights are zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, gradient_of, machine_options, perturb, random_episode, rule
from pydantic import ValidationError

from hwsim import cells, documents, machines, networks
from hwsim.accounts.memory import LEARNING
from hwsim.cells import alif, lif
from hwsim.config import hardware
from hwsim.errors import CapabilityError
from hwsim.learning import Rule
from hwsim.machine import SparseMatrix, resume, snapshot
from hwsim.networks import Network

INPUTS = 4
LIF: dict[str, Any] = {"name": "lif", "units": 6, "decay": 0.9, "threshold": 0.3, "gain": 2.0}
ALIF: dict[str, Any] = {**LIF, "name": "alif", "beta": 0.1, "adaptation_decay": 0.97, "refractory": 2}
CELLS = {"lif": LIF, "alif": ALIF, "filtered": {**ALIF, "readout_decay": 0.8}}
FEW: dict[str, Any] = {"fan_in": 3, "input_fan_in": 2}


def network(cell: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"layers": [{"cell": {**cell, **changes}, "readout": {"hidden": [5]}}]}


def told(neuron: dict[str, Any]) -> dict[str, Any]:
    """Neurons of equations that fire often from the start."""
    text = hardware.neuron(documents.Document("test", neuron))
    return {"name": "circuit", "units": 6, "neuron": text, "bias": 0.4, "input_gain": 3.0}


def pair(cell: dict[str, Any], few: dict[str, Any], learners: list[Rule]) -> tuple[Network, Network]:
    """A network with few synapses per neuron, and the dense one with the same weights, zero elsewhere."""
    episode = random_episode(width=INPUTS)
    made, full = (
        built(network(cell, **each), learner, episode, seed=3)
        for each, learner in zip((few, {}), learners, strict=True)
    )
    perturb(made)
    for mine, theirs in zip(full.trainables, made.trainables, strict=True):
        values = theirs.values
        if isinstance(theirs.holder, SparseMatrix):
            values = np.zeros_like(mine.values)
            np.put_along_axis(values, theirs.holder.fetched.places.repeat(len(values), 0), theirs.values, 2)
        mine.master.value = values.reshape(mine.master.value.shape)
    full.program()
    return made, full


@pytest.mark.parametrize("few", [FEW, {"fan_in": 2}, {"input_fan_in": 3}], ids=["both", "W", "U"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("learner", ["bptt", "eprop random", "rtrl", "fpe", "stdp"])
def test_rules_find_what_they_find_in_the_dense_cell_at_the_connections(
    learner: str, cell: str, few: dict[str, Any]
) -> None:
    compare(CELLS[cell], few, learner, 1e-9 if learner == "fpe" else 1e-12)


@pytest.mark.parametrize(
    ("cell", "learner"),
    [("liquid", "bptt"), ("liquid", "stdp"), ("lif", "bptt"), ("lif", "eprop random"), ("lif", "rtrl")],
)
def test_liquid_neurons_and_neurons_of_equations_have_them_too(cell: str, learner: str) -> None:
    liquid = {"name": "liquid", "units": 6, "threshold": 0.1, "gain": 2.0}
    compare(liquid if cell == "liquid" else told({"like": "lif", "dt": "0.5 ms"}), FEW, learner, 1e-12)


def compare(cell: dict[str, Any], few: dict[str, Any], learner: str, bound: float) -> None:
    """Gradients of a cell with few synapses against those of the dense one, at the connections."""
    episode = random_episode(1, steps=12, width=INPUTS)
    learners = [rule(learner), rule(learner)]
    made, full = pair(cell, few, learners)
    found, expected = (gradient_of(*each, episode) for each in zip((made, full), learners, strict=True))
    for trainable in made.trainables:
        if isinstance(trainable.holder, SparseMatrix):
            places = trainable.holder.fetched.places
            expected[trainable.name] = np.take_along_axis(expected[trainable.name], places, 2)
    assert np.abs(expected["layer 1 W"]).max() > 0
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=bound * np.abs(expected[name]).max())


@pytest.mark.parametrize("cell", CELLS)
def test_e_prop_holds_one_trace_for_each_synapse_that_is_there(cell: str) -> None:
    """On a digital machine: weights, gradients and each block's traces in the ledger."""
    episode, learner = random_episode(width=INPUTS), rule("eprop random")
    made = built(network(CELLS[cell], **FEW), learner, episode, on="digital_45nm")
    held: dict[str, int] = {}
    made.machine.sequencer.after_step = lambda: held.update(
        {name: each.values for name, each in made.machine.memory.live.items() if each.kind == LEARNING}
    )
    gradient_of(made, learner, episode)
    for name, synapses in (("W", 6 * 3), ("U", 6 * 2), ("b", 6)):
        traces = [values for what, values in held.items() if f"trace of {name}" in what]
        assert len(traces) == made.layers[0].cell.traced_blocks
        assert set(traces) == {synapses}
    live = made.machine.memory.live
    assert [live[f"layer 1 {name}"].values for name in ("W", "U")] == [18, 12]
    assert [live[f"layer 1 {name} gradient"].values for name in ("W", "U")] == [18, 12]


@pytest.mark.parametrize("learner", ["bptt", "eprop random"])
def test_going_through_the_synapses_of_what_fired_changes_no_byte(learner: str, monkeypatch: Any) -> None:
    """Against products that go through all synapses: gradients, records and, alone or beside others, chips."""
    episode, learned = random_episode(steps=12, width=INPUTS), rule(learner)
    episode.inputs[...] = episode.inputs > 0.7
    found, records = [], []
    for of_spikes, chips in ((True, 3), (True, [1]), (False, 3)):
        stage = machines.build(machine_options("digital_45nm"), chips=chips, seed=2)
        made = built(network(ALIF, **FEW), learned, episode, stage=stage)
        for unit in made.layers[0].cell.synapses:
            assert isinstance(unit, SparseMatrix)
            if not of_spikes:
                monkeypatch.setattr(unit, "_outgoing", None)
        found.append(gradient_of(made, learned, episode))
        records.append(stage.journal.traces)
    for name, value in found[0].items():
        assert value.tobytes() == found[2][name].tobytes()
        assert value[[1]].tobytes() == found[1][name].tobytes()
    assert records[0] == records[2]


def test_a_run_goes_on_from_what_the_ledger_lists() -> None:
    """Which neurons are heard is part of it: it is restored, and not drawn again."""
    learned, episode, shots = rule("eprop random"), random_episode(steps=5, width=INPUTS), []
    stage = machines.build(machine_options("digital_45nm"), seed=3)
    made = built(network(LIF, **FEW), learned, episode, stage=stage)
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found = gradient_of(made, learned, episode)
    again = machines.build(machine_options("digital_45nm"), seed=4)  # other draws
    resume(again, shots[2])
    resumed = gradient_of(built(network(LIF, **FEW), learned, episode, stage=again), learned, episode)
    for name, value in found.items():
        assert resumed[name].tobytes() == value.tobytes(), name


def test_its_size_is_known_before_it_is_built() -> None:
    options = networks.Options.model_validate(network(ALIF, **FEW))
    assert cells.size(options.layers[0].cell, INPUTS).parameters == 6 * (3 + 2 + 1)
    made = built(network(ALIF, **FEW), rule("bptt"), random_episode(width=INPUTS))
    assert networks.parameters(options, INPUTS, 3) == sum(each.values[0].size for each in made.trainables)


def test_more_synapses_than_neurons_or_wires_are_refused() -> None:
    for module in (lif, alif):
        like = LIF if module is lif else ALIF
        with pytest.raises(ValidationError, match="fan_in: 7 synapses per neuron, but there are 6 neurons"):
            module.Options.model_validate({**like, "fan_in": 7})
    with pytest.raises(CapabilityError, match="input_fan_in: 5 synapses per neuron, but the input has 4 wires"):
        built(network(LIF, input_fan_in=5), rule("bptt"), random_episode(width=INPUTS))


def test_a_crossbar_refuses_them() -> None:
    with pytest.raises(CapabilityError, match="leave out `fan_in`"):
        built(network(LIF, fan_in=2), rule("eprop random"), random_episode(width=INPUTS), on="pcm_crossbar")


def test_bounds_of_stdp_are_refused() -> None:
    learner = rule({**rule("stdp").options.model_dump(), "bounds": {"smallest": -1.0, "largest": 1.0}})
    made = built(network(LIF, fan_in=2), learner, random_episode(width=INPUTS))
    with pytest.raises(CapabilityError, match="sparse synapses; leave out bounds"):
        learner.check(made)
