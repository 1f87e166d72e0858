"""What the spikes of a test would cost on the cores of an event-driven machine."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from hwsim.accounts import placement as places
from hwsim.accounts.placement import Placement, Reach
from hwsim.accounts.spikes import SPIKE
from hwsim.config import hardware
from hwsim.config.event_driven import EventDriven
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.errors import CapabilityError
from hwsim.experiments.activity import Activity, neurons
from hwsim.experiments.event_cost import cost
from hwsim.machine import Matrix, SparseMatrix
from hwsim.networks import Network
from hwsim.results.event_cost import EventCost
from hwsim.units.event_cores import EventMachine


class Placed:
    """A network on cores: inputs, and the units and the outputs of each layer, one group after the other.

    Each layer, and the outputs of each, begin on a new core, and are spread evenly over as few as hold them. Where a
    machine has too few cores for that, they fill cores one after the other. The inputs enter at the first core. All
    weights are synapses, zero or not; of sparse matrices, those that are there.

    Attributes:
        groups: the first neuron and the number of neurons, by name.
    """

    def __init__(self, machine: EventMachine, network: Network, each: int | None) -> None:
        inputs = network.layers[0].inputs
        counts = {"input": inputs}
        for layer in network.layers:
            counts |= {layer.name: neurons(layer), f"{layer.name} outputs": layer.outputs}
        firsts = np.cumsum([0, *counts.values()]).tolist()
        self.groups = {name: (at, count) for at, (name, count) in zip(firsts, counts.items(), strict=False)}
        own = list(counts.values())[1:]
        core = _apart(own, each or machine.core.neurons)
        if core.max() >= machine.cores:
            core = np.arange(sum(own)) // (each or machine.core.neurons or sum(own))
        first = int(core.max()) + 1
        if first > machine.cores:
            raise CapabilityError(
                f"event_driven: the network takes {first} cores, and {machine.name} has {machine.cores}; take fewer "
                "units, or more neurons_per_core"
            )
        core = np.concatenate([np.zeros(inputs, np.int64), core])
        self.cores = first
        self.placement = self._placement(machine, network, core)
        over = self.placement.excesses(machine.core.neurons, machine.core.synapses)
        if over:
            excess = over[0]
            raise CapabilityError(
                f"event_driven: core {excess.core} would hold {excess.found} {excess.what}; a core of {machine.name} "
                f"holds {excess.allowed}: take fewer neurons_per_core"
            )

    def _placement(self, machine: EventMachine, network: Network, core: np.ndarray) -> Placement:
        source, before, reaches = np.zeros(len(core), bool), "input", []
        source[: self.groups["input"][1]] = True
        for layer in network.layers:
            outputs = f"{layer.name} outputs"
            recurrent, driven = layer.cell.synapses
            for origin, to, by in (
                (before, layer.name, driven),
                (layer.name, layer.name, recurrent),
                (layer.name, outputs, None),
            ):
                reaches.append(_reach(machine, self._of(origin), self._of(to), by, core))
            before = outputs
        return Placement(core, source, tuple(reaches), machine.cores)

    def _of(self, group: str) -> np.ndarray:
        first, count = self.groups[group]
        return np.arange(first, first + count)

    def block(self, inputs: np.ndarray, layers: dict[str, np.ndarray]) -> np.ndarray:
        """Activities `(steps, sequences, neurons)`, from those of the inputs and of each layer.

        The outputs of a layer go on to the next one in each step; those of the last one go nowhere.
        """
        found = np.zeros((*inputs.shape[:2], self.placement.neurons))
        for name, values in {"input": inputs, **layers}.items():
            found[..., self._of(name)] = values
        for name in list(self.groups)[2:-1:2]:
            found[..., self._of(name)] = 1
        return found


def _reach(machine: EventMachine, origin: np.ndarray, to: np.ndarray, by: Matrix | None, core: np.ndarray) -> Reach:
    """The synapses of a matrix from some neurons to others: of all with all, but where it is sparse."""
    if not isinstance(by, SparseMatrix):
        return places.dense(machine.default_synapse, origin, to, core)
    heard = np.array(by.connections)
    return places.reach(
        machine.default_synapse, origin[heard.ravel()], np.repeat(to, heard.shape[1]), core, machine.cores
    )


def _apart(counts: list[int], each: int | None) -> np.ndarray:
    """The core of each neuron, where each group begins on a new core and is spread over as few as hold it."""
    core, first = [], 0
    for count in counts:
        taken = ceil(count / (each or count))
        core.append(places.spread(count, range(first, first + taken)))
        first += taken
    return np.concatenate(core)


def placed(options: EventDriven, network: Network) -> tuple[EventMachine, Placed]:
    """The machine, and the network on its cores.

    Raises:
        CapabilityError: the machine has too few cores, or a core would hold too much.
    """
    machine = hardware.event_driven(Document("event_driven", dict(options.machine)))
    return machine, Placed(machine, network, options.neurons_per_core)


def on_event_cores(options: EventDriven, network: Network, activity: Activity, episode: Episode) -> dict[str, Any]:
    """Counts of events, energy and time of an inference, the mean over the test; times over its first sequences.

    An event of the input is a value that is not zero: a spike, or a number that an event carries.

    Raises:
        CapabilityError: the machine has too few cores, or a core would hold too much.
    """
    machine, on = placed(options, network)
    few = next(iter(activity.firsts[network.layers[0].name].values())).shape[0]
    heard = (episode.inputs != 0).astype(float)
    mean = on.block(heard.mean(0)[:, None], {name: _steps(of)[:, None] for name, of in activity.mean.items()})
    first = on.block(heard[:few].swapaxes(0, 1), {name: _steps(of) for name, of in activity.firsts.items()})
    counted = cost(machine, on.placement, [mean], timed=())
    timed = cost(machine, on.placement, [first], timed=range(few))
    counted.step_times = timed.step_times
    return _told(on, counted, mean.sum((0, 1)))


def _steps(by_step: dict[int, np.ndarray]) -> np.ndarray:
    """`(steps, …)`, from what there is of each step."""
    return np.stack([each for _, each in sorted(by_step.items())])


def _told(on: Placed, found: EventCost, fired: np.ndarray) -> dict[str, Any]:
    spent, placement = found.spent, on.placement
    per_core = np.bincount(placement.core, np.where(placement.source, 0, fired), on.cores)
    assert abs(per_core.sum() - found.counts[SPIKE]) <= 1e-9 * max(1.0, per_core.sum()), "each spike is on a core"
    told: dict[str, Any] = {
        "machine": found.machine.name,
        "cores": on.cores,
        "counts": {name: float(count) for name, count in found.counts.items()},
        "energy_j": spent.energy,
        "latency_s": found.latency or None,
        "spikes_per_core": per_core.tolist(),
    }
    if spent.unknown:
        told["why_null"] = f"no energy is known of {', '.join(sorted(spent.unknown))}"
    return told
