"""Placement: on which core of an event-driven machine each neuron stands, and what a spike of it sets off where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse


class Reach(NamedTuple):
    """Connections of one kind, summed by core: one entry for each neuron and each core that a spike of it is sent to.

    Attributes:
        kind: of synapse, a key of the machine's prices.
        neuron: the neurons that spikes come from, numbered through all groups.
        core: where they are received.
        synapses: how many synapses one spike meets there.
    """

    kind: str
    neuron: np.ndarray
    core: np.ndarray
    synapses: np.ndarray


class Excess(NamedTuple):
    """A core that would have to hold more than it can.

    Attributes:
        what: neurons or synapses.
    """

    core: int
    what: str
    found: int
    allowed: int


@dataclass(frozen=True)
class Placement:
    """Where neurons stand, and whom they reach.

    Attributes:
        core: of each neuron `(neurons,)`; for a source, the core at which its spikes enter.
        source: which neurons are sources `(neurons,)`: their spikes come from outside, and no core updates them.
        reaches: the connections.
        cores: number of cores of the machine.
    """

    core: np.ndarray
    source: np.ndarray
    reaches: tuple[Reach, ...]
    cores: int

    @property
    def neurons(self) -> int:
        """How many there are, sources included."""
        return int(self.core.size)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of synapses, in the order in which they were met first."""
        return tuple(dict.fromkeys(reach.kind for reach in self.reaches))

    @cached_property
    def homes(self) -> Any:
        """Sparse `(cores, neurons)`: 1 where a core updates a neuron."""
        updated = np.flatnonzero(~self.source)
        ones = np.ones(updated.size)
        return sparse.csr_array((ones, (self.core[updated], updated)), shape=(self.cores, self.neurons))

    def synapses(self, kind: str | None = None) -> Any:
        """Sparse `(cores, neurons)`: how many synapses of a kind, or of all, a spike of a neuron meets on a core."""
        found = [reach for reach in self.reaches if kind in (None, reach.kind)]
        shape = self.cores, self.neurons
        if not found:
            return sparse.csr_array(shape)
        rows, columns = (np.concatenate([getattr(each, name) for each in found]) for name in ("core", "neuron"))
        return sparse.csr_array(
            (np.concatenate([each.synapses for each in found]).astype(float), (rows, columns)), shape
        )

    @cached_property
    def packets(self) -> Any:
        """Sparse `(cores, neurons)`: 1 where a spike of a neuron sends a packet to a core.

        One packet serves all synapses of a neuron on a core, and the core that the neuron stands on gets one as well.
        """
        sent = self.synapses()
        sent.sum_duplicates()
        sent.data = np.ones_like(sent.data)
        return sent

    @cached_property
    def used(self) -> list[int]:
        """The cores that hold neurons, or take spikes in, or receive."""
        held: list[int] = np.union1d(self.core, self.packets.tocoo().coords[0]).tolist()
        return held

    def excesses(self, neurons: int | None, synapses: int | None) -> list[Excess]:
        """The cores that hold more neurons, or more synapses, than so many; None for no limit."""
        held = self.homes.sum(1), self.synapses().sum(1)
        found = []
        for what, each, allowed in zip(("neurons", "synapses"), held, (neurons, synapses), strict=True):
            if allowed is not None:
                found += [Excess(int(c), what, int(each[c]), allowed) for c in np.flatnonzero(each > allowed)]
        return found


def reach(kind: str, pre: np.ndarray, post: np.ndarray, core: np.ndarray, cores: int) -> Reach:
    """The connections from neurons `pre` to neurons `post`, one by one, summed by the cores of the latter."""
    keys, synapses = np.unique(pre.astype(np.int64) * cores + core[post], return_counts=True)
    return Reach(kind, keys // cores, keys % cores, synapses)


def dense(kind: str, pre: np.ndarray, post: np.ndarray, core: np.ndarray) -> Reach:
    """The connections from each of `pre` to each of `post`, without a list of them."""
    onto, synapses = np.unique(core[post], return_counts=True)
    return Reach(kind, np.repeat(pre, onto.size), np.tile(onto, pre.size), np.tile(synapses, pre.size))


def spread(neurons: int, cores: Iterable[int]) -> np.ndarray:
    """The core of each of so many neurons, spread evenly over cores in their order."""
    on = np.fromiter(cores, dtype=np.int64)
    return np.repeat(on, [part.size for part in np.array_split(np.arange(neurons), on.size)])
