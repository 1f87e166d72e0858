"""What a run left on its devices and showed of its circuits: conductances, writes, values that were clipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwsim.machine import CrossbarMachine, Machine

BINS = 40
"""Of a histogram, at most."""

CONDUCTANCE, WRITES = "conductance_s", "writes"


class Bin(NamedTuple):
    """A line of histograms.csv: so many devices of an array, over all chips, have at least `low` and less than `high`.

    The last bin of a histogram contains its `high`.
    """

    system: str
    array: str
    quantity: str
    low: float
    high: float
    devices: int


class Clipping(NamedTuple):
    """A line of clipping.csv: how many values a unit converted or made, and how many of them were beyond full scale."""

    system: str
    kind: str
    unit: str
    values: int
    clipped: int


def histograms(system: str, machine: Machine) -> Iterator[Bin]:
    """Of the conductances at the end, and of how often each device was written, by array; without empty bins."""
    if not isinstance(machine, CrossbarMachine):
        return
    largest = machine.sheet.conductance.max.value
    for name, array in machine.arrays.items():
        conductance = np.stack([array.plus, array.minus])
        conductance = conductance[np.isfinite(conductance)]
        edges = np.linspace(0.0, max(largest, float(conductance.max(initial=0.0))), BINS + 1)
        yield from _bins(system, name, CONDUCTANCE, conductance, edges)
        most = int(array.writes.max(initial=0))
        width = -(-(most + 1) // BINS)  # whole numbers: 0, 1, … to a bin each, or as few as that needs
        edges = np.arange(0, most + width + 1, width, dtype=float)
        yield from _bins(system, name, WRITES, array.writes, edges)


def clipping(system: str, machine: Machine) -> Iterator[Clipping]:
    """For each unit with a full scale, in all that the machine did."""
    if isinstance(machine, CrossbarMachine):
        for kind, units in machine.clipped.items():
            for unit, (values, beyond) in units.items():
                yield Clipping(system, kind, unit, values, beyond)


def _bins(system: str, array: str, quantity: str, values: np.ndarray, edges: np.ndarray) -> Iterator[Bin]:
    counts, _ = np.histogram(values, edges)
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            yield Bin(system, array, quantity, float(low), float(high), int(count))
