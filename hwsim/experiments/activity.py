"""How much a network spikes while it goes through a test: counts over all chips and sequences, which are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from hwsim.episode import Episode
from hwsim.machine import Matrix, SparseMatrix
from hwsim.machine.sequencer import Sequencer
from hwsim.networks import Layer, Network, stepped
from hwsim.networks.readout import Dense


class Activity:
    """Spikes of each layer whose units fire, at each step of a test.

    A synaptic operation is a spike that meets a synapse: each spike meets the recurrent weights of its layer, where
    they are sparse those from its neuron, and the first map of its readout, zero or not. A leaky readout counts as the
    map of spikes that it is equal to. The spikes of the last step count as well. What is no spike is no synaptic
    operation: values of the input, and what a readout gives to the next layer.

    Attributes:
        firsts: spikes of the first chip in a few sequences, by layer and step: `(sequences, N)`.
        mean: spikes per sequence of each unit, by layer and step: `(N,)`, the mean over chips and sequences.
    """

    FEW = 4

    def __init__(self, network: Network, episode: Episode) -> None:
        self._network, self._steps, self._sequences = network, episode.steps, episode.batch * network.machine.chips
        self._layers = [layer for layer in network.layers if layer.cell.membranes is not None]
        self._inputs = episode.inputs
        self.firsts: dict[str, dict[int, np.ndarray]] = {layer.name: {} for layer in self._layers}
        self._sums: dict[str, dict[int, np.ndarray]] = {layer.name: {} for layer in self._layers}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what is shown in here, beside who watches already."""
        machine, before = self._network.machine, dict[str, Callable[..., None]]()
        for layer in self._layers:
            name = stepped(layer.name)
            see = partial(self._see, machine.sequencer, layer)
            other = machine.watchers.get(name)
            if other is not None:
                before[name], see = other, partial(_both, other, see)
            machine.watchers[name] = see
        try:
            yield
        finally:
            for layer in self._layers:
                machine.watchers.pop(stepped(layer.name), None)
            machine.watchers.update(before)

    def _see(self, sequencer: Sequencer, layer: Layer, h: np.ndarray, fired: np.ndarray | None = None) -> None:
        step, fired = sequencer.step_index, spikes(layer, h) if fired is None else fired
        sums, firsts = self._sums[layer.name], self.firsts[layer.name]
        firsts.setdefault(step, fired[0, : self.FEW].astype(float))
        sums[step] = sums.get(step, 0.0) + fired.sum((0, 1), dtype=float)

    @property
    def mean(self) -> dict[str, dict[int, np.ndarray]]:
        return {
            name: {step: each / self._sequences for step, each in sums.items()} for name, sums in self._sums.items()
        }

    def summary(self) -> dict[str, Any]:
        """The counts of an inference, in all and by layer."""
        layers = {layer.name: self._of(layer) for layer in self._layers}
        whole = sum(each["neurons"] for each in layers.values()) * self._steps
        keys = "spikes", "synaptic_operations", "membrane_updates"
        found: dict[str, Any] = {key: sum(each[key] for each in layers.values()) for key in keys}
        first = self._network.layers[0]
        nonzero = np.count_nonzero(self._inputs) / len(self._inputs)
        return {
            **found,
            "rate": found["spikes"] / whole,
            "input_values": nonzero,
            "input_operations": None if first.cell.membranes is None else self._input_operations(first),
            "input_spikes": bool(((self._inputs >= 0) & (self._inputs == np.round(self._inputs))).all()),
            "layers": layers,
        }

    def _input_operations(self, first: Layer) -> float:
        """Synapses that the values of an inference which are not zero meet."""
        heard = fan_out(first.cell.synapses[1])
        if isinstance(heard, np.ndarray):
            return float(np.count_nonzero(self._inputs, (0, 1)) @ heard) / len(self._inputs)
        return np.count_nonzero(self._inputs) / len(self._inputs) * heard

    def _of(self, layer: Layer) -> dict[str, Any]:
        n = neurons(layer)
        by_step = list(self._sums[layer.name].values())
        spikes = float(sum(each.sum() for each in by_step)) / self._sequences
        heard = fan_out(layer.cell.synapses[0])
        if isinstance(heard, np.ndarray):
            recurrent = float(sum(each @ heard for each in by_step)) / self._sequences
            operations = recurrent + spikes * first_map(layer)
        else:
            operations = spikes * (heard + first_map(layer))
        return {
            "neurons": n,
            "spikes": spikes,
            "rate": spikes / (n * self._steps),
            "synaptic_operations": operations,
            "membrane_updates": n * self._steps,
        }


def neurons(layer: Layer) -> int:
    """How many units it has."""
    return layer.cell.synapses[0].shape[0]


def spikes(layer: Layer, h: np.ndarray) -> np.ndarray:
    """How often each unit fired in a step, `(…, N)`, from a state `(…, wires)` that counts it."""
    where = layer.cell.membranes
    assert where is not None, "its units fire"
    assert where.counts is not None, "the state counts spikes"
    return h[..., where.counts : where.counts + neurons(layer)]


def fan_out(synapses: Matrix) -> int | np.ndarray:
    """Synapses that a spike meets: the same on every wire, or those of each wire where they are sparse, `(wires,)`."""
    if isinstance(synapses, SparseMatrix):
        return np.bincount(np.ravel(synapses.connections), minlength=synapses.shape[-1])
    return synapses.shape[0]


def first_map(layer: Layer) -> int:
    """Synapses that a spike meets behind its layer: those to what the readout makes first."""
    first = next(block for block in layer.readout.blocks if isinstance(block, Dense))
    return first.W.shape[0]


def _both(first: Callable[..., None], second: Callable[..., None], *values: np.ndarray) -> None:
    first(*values)
    second(*values)
