"""Spikes, membranes and traces of a few sequences, written down while a network works; it costs the machine nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np

from hwsim.episode import Episode
from hwsim.experiments.activity import neurons, spikes
from hwsim.machine.sequencer import Sequencer
from hwsim.networks import Layer, Network, stepped, traced

SEQUENCES = 4
"""Sequences whose spikes are recorded, at most."""
NEURONS = 4
"""Neurons of a layer whose membranes are recorded, at most."""
CANDIDATES = 64
"""Neurons of a layer that these are chosen from, evenly spaced."""
_ROOM = 10_000_000
"""Neurons times steps times sequences, beyond which fewer sequences are recorded."""


class Spike(NamedTuple):
    """A row of spikes.csv, without the system. Neurons, sequences and steps count from 0."""

    layer: str
    sequence: int
    step: int
    neuron: int


class Traced(NamedTuple):
    """A row of traces.csv, without the system."""

    layer: str
    step: int
    neuron: int
    quantity: str
    value: float


class Firing:
    """What is recorded of one batch, on the first chip.

    A step is recorded when it is shown for the first time; a rule may show it again.

    Args:
        episode: what is shown; its first sequences are recorded.
    """

    def __init__(self, network: Network, episode: Episode) -> None:
        self._network = network
        layers = [layer for layer in network.layers if layer.cell.membranes is not None]
        size = sum(map(neurons, layers)) * episode.steps
        sequences = min(SEQUENCES, episode.batch, max(1, _ROOM // max(1, size)))
        self._layers = [_Layer(layer, sequences) for layer in layers]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record what is shown in here."""
        machine = self._network.machine
        watchers: dict[str, Callable[..., None]] = {}
        for each in self._layers:
            watchers[stepped(each.name)] = partial(each.see, machine.sequencer)
            watchers[traced(each.name)] = partial(each.see_trace, machine.sequencer)
        machine.watchers.update(watchers)
        try:
            yield
        finally:
            for name in watchers:
                machine.watchers.pop(name, None)

    def spikes(self) -> Iterator[Spike]:
        """The rows of spikes.csv: one for each spike, by layer, sequence, step and neuron."""
        for layer in self._layers:
            yield from layer.spikes()

    def traces(self) -> Iterator[Traced]:
        """The rows of traces.csv: of the neurons that spiked most in the first sequence."""
        for layer in self._layers:
            yield from layer.traces()


class _Layer:
    """What is recorded of a layer."""

    def __init__(self, layer: Layer, sequences: int) -> None:
        where = layer.cell.membranes
        assert where is not None, "its units fire"
        self.name, self._layer, self._where, self._sequences = layer.name, layer, where, sequences
        self._n = neurons(layer)
        count = min(CANDIDATES, self._n)
        self._candidates = np.arange(count) * self._n // count
        self._spikes: dict[int, np.ndarray] = {}  # by step: (sequences, N)
        self._membranes: dict[int, np.ndarray] = {}  # of the candidates, and so are the others
        self._thresholds: dict[int, np.ndarray] = {}
        self._traces: dict[int, np.ndarray] = {}

    def see(self, sequencer: Sequencer, h: np.ndarray, fired: np.ndarray | None = None) -> None:
        """Take the state behind the present step, and which units fired, if the state does not have it."""
        step, where = sequencer.step_index, self._where
        if step in self._spikes:  # shown again
            return
        fired = spikes(self._layer, h) if fired is None else fired
        self._spikes[step] = fired[0, : self._sequences].astype(np.int16)
        wires = self._block(h, where.first)[0, 0, self._candidates]
        self._membranes[step] = where.start + where.scale * wires.astype(float)
        if where.threshold is not None:
            raised = 0.0 if where.raised is None else self._block(h, where.raised)[0, 0, self._candidates].astype(float)
            self._thresholds[step] = np.broadcast_to(where.threshold + raised, wires.shape)

    def see_trace(self, sequencer: Sequencer, trace: np.ndarray) -> None:
        """Take the trace of each unit, or of each weight of W: then of those to themselves.

        W has `(chips, batch, N, N)`, and with few synapses per neuron `(chips, batch, synapses, N)`: then the trace of
        the first one is taken.
        """
        if sequencer.step_index not in self._traces:
            own = trace[0, 0]
            if trace.ndim > 3:
                own = own.diagonal() if len(own) == self._n else own[0]
            self._traces[sequencer.step_index] = own[self._candidates].astype(float)

    def spikes(self) -> Iterator[Spike]:
        for sequence in range(self._sequences):
            for step, fired in sorted(self._spikes.items()):
                for neuron in np.flatnonzero(fired[sequence]):
                    yield from [Spike(self.name, sequence, step, int(neuron))] * int(fired[sequence, neuron])

    def traces(self) -> Iterator[Traced]:
        quantities = {"membrane": self._membranes, "threshold": self._thresholds, "trace": self._traces}
        for place in self._most_active():
            for quantity, found in quantities.items():
                for step, values in sorted(found.items()):
                    neuron, value = int(self._candidates[place]), float(values[place])
                    yield Traced(self.name, step, neuron, quantity, value)

    def _most_active(self) -> list[int]:
        """Places of the candidates with the most spikes in the first sequence, in the order of neurons."""
        counts = sum((fired[0, self._candidates] for fired in self._spikes.values()), np.zeros(len(self._candidates)))
        most = np.argsort(-counts, kind="stable")[:NEURONS]
        return sorted(most.tolist())

    def _block(self, h: np.ndarray, first: int) -> np.ndarray:
        return h[..., first : first + self._n]
