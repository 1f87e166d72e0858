"""Counts of what spikes set off on an event-driven machine: updates, packets, hops and synaptic operations.

Everything is a sum over neurons that fired, or whose membrane changed, so a block of steps is counted by products with
matrices that the placement fixes; no packet and no synapse is looked at one by one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from hwsim.accounts.contention import Mesh, Routes
from hwsim.accounts.placement import Placement

INPUT = "input spikes"
SPIKE = "spikes"
IDLE = "idle neurons"
UPDATE = "membrane updates"
PACKET = "packets"
RECEIVED = "packets received"
WITHIN = "packets within a tile"
HOP_X = "hops along x"
HOP_Y = "hops along y"
SENDING = IDLE, UPDATE, SPIKE, PACKET
"""What keeps a core busy before its spikes are out; what it receives keeps it busy besides."""
_OPERATION = "synaptic operations"


def operation(kind: str) -> str:
    """The name of synaptic operations of a kind; the kind without a name is the only one."""
    return f"{_OPERATION}, {kind}" if kind else _OPERATION


Counts = dict[str, np.ndarray]
"""By name of the event."""


class Counter:
    """Counts events for one placement on one machine.

    Activities are arrays `(..., neurons)` whose leading axes are steps, chips and sequences, in any number: 1 where a
    neuron fired, or a number if it may fire several times in a step. `updated` is 1 where the membrane was updated in
    the step; without it, all neurons that are no sources are. A neuron that is not updated is idle.
    """

    def __init__(self, placement: Placement, mesh: Mesh | None = None) -> None:
        self.placement = placement
        self.routes = Routes(mesh, placement) if mesh is not None else None

    @property
    def events(self) -> list[str]:
        """Names of all that is counted."""
        return [*self._by_spike, IDLE, UPDATE]

    def totals(self, spikes: np.ndarray, updated: np.ndarray | None = None) -> Counts:
        """Events of the whole machine: an array of the leading axes for each name.

        Raises:
            ValueError: an activity has another number of neurons, or is negative or no number.
        """
        self._check(spikes, updated)
        found = np.asarray(spikes, dtype=float) @ np.stack(list(self._by_spike.values()), 1)
        counts = {name: found[..., place] for place, name in enumerate(self._by_spike)}
        neurons = np.asarray(~self.placement.source, dtype=float)
        busy = np.full(spikes.shape[:-1], neurons.sum()) if updated is None else np.asarray(updated, float) @ neurons
        return counts | {IDLE: neurons.sum() - busy, UPDATE: busy}

    def by_core(self, spikes: np.ndarray, updated: np.ndarray | None = None) -> Counts:
        """Events that keep cores busy: an array `(..., cores)` for each name."""
        self._check(spikes, updated)
        held = np.asarray(self.placement.homes.sum(1), dtype=float)
        busy = np.broadcast_to(held, (*spikes.shape[:-1], held.size))
        if updated is not None:
            busy = _product(self.placement.homes, updated)
        counts = {IDLE: held - busy, UPDATE: busy}
        return counts | {name: _product(matrix, spikes) for name, matrix in self._by_core.items()}

    def by_link(self, spikes: np.ndarray) -> np.ndarray:
        """Packets over each link of the routes, `(..., links)`."""
        if self.routes is None:
            return np.zeros((*spikes.shape[:-1], 0))
        return _product(self.routes.loads, spikes)

    @cached_property
    def _by_spike(self) -> dict[str, np.ndarray]:
        """What one spike of each neuron sets off, `(neurons,)` each."""
        placement, routes = self.placement, self.routes
        packets = np.asarray(placement.packets.sum(0), dtype=float)
        of = {INPUT: placement.source.astype(float), SPIKE: (~placement.source).astype(float)}
        of |= {PACKET: packets, RECEIVED: packets}
        if routes is not None:
            of |= {WITHIN: routes.within, HOP_X: routes.hops_x, HOP_Y: routes.hops_y}
        return of | {operation(kind): np.asarray(placement.synapses(kind).sum(0)) for kind in placement.kinds}

    @cached_property
    def _by_core(self) -> dict[str, Any]:
        """What one spike of each neuron sets off on each core, sparse `(cores, neurons)` each."""
        placement = self.placement
        sent = _at_home(placement, np.asarray(placement.packets.sum(0), dtype=float))
        of = {SPIKE: placement.homes, PACKET: sent, RECEIVED: placement.packets}
        return of | {operation(kind): placement.synapses(kind) for kind in placement.kinds}

    def _check(self, spikes: np.ndarray, updated: np.ndarray | None) -> None:
        for name, activity in (("spikes", spikes), ("updated", updated)):
            if activity is None:
                continue
            if activity.ndim == 0 or activity.shape[-1] != self.placement.neurons:
                raise ValueError(
                    f"{name}: the last axis must have one entry for each of the {self.placement.neurons} neurons; "
                    f"the shape is {activity.shape}"
                )
            if activity.dtype != bool and not (activity >= 0).all():
                raise ValueError(f"{name}: counts are 0 or more")


def _at_home(placement: Placement, each: np.ndarray) -> Any:
    """Sparse `(cores, neurons)`: a number of each neuron, on its own core."""
    shape = placement.cores, placement.neurons
    return sparse.csr_array((each, (placement.core, np.arange(placement.neurons))), shape=shape)


def _product(matrix: Any, activity: np.ndarray) -> np.ndarray:
    """A sparse `(rows, neurons)` times an activity `(..., neurons)`; `(..., rows)`."""
    flat = np.asarray(activity, dtype=float).reshape(-1, activity.shape[-1])
    product: np.ndarray = (matrix @ flat.T).T
    return product.reshape(*activity.shape[:-1], matrix.shape[0])
