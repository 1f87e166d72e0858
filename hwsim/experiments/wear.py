"""Wear and clipping: final conductances and writes of devices, and values that circuits clipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.machine import Machine
from hwsim.results.tables import CONDUCTANCE, WRITES, ClippingRow, HistogramRow

BINS = 40
"""Largest number of bins of a histogram."""


def histograms(system: str, machine: Machine) -> Iterator[HistogramRow]:
    """Histograms of final conductances and of writes per device, by array; empty bins are left out.

    All arrays of a machine have the same bins.
    """
    if not machine.devices:
        return
    arrays = machine.devices.arrays
    conductances = {name: array.conductance.swapaxes(0, 1).ravel() for name, array in arrays.items()}
    conductances = {name: values[np.isfinite(values)] for name, values in conductances.items()}
    sheet = next(iter(arrays.values())).mapping.sheet
    largest = max([sheet.conductance.max.value, *(values.max(initial=0.0) for values in conductances.values())])
    edges = np.linspace(0.0, largest, BINS + 1)
    for name, values in conductances.items():
        yield from _bins(system, name, CONDUCTANCE, values, edges)
    most = max(int(array.writes.max(initial=0)) for array in arrays.values())
    width = -(-(most + 1) // BINS)  # one count of writes per bin, or `width` counts if there are too many
    edges = np.arange(0, most + width + 1, width, dtype=float)
    for name, array in arrays.items():
        yield from _bins(system, name, WRITES, array.writes, edges)


def clipping(system: str, machine: Machine) -> Iterator[ClippingRow]:
    """The rows of `clipping.csv`: one per unit with a full scale, over the whole run."""
    if machine.clipped is not None:
        for kind, units in machine.clipped.items():
            for unit, (values, beyond) in units.items():
                yield ClippingRow(system, kind, unit, values, beyond)


def _bins(system: str, array: str, quantity: str, values: np.ndarray, edges: np.ndarray) -> Iterator[HistogramRow]:
    counts, _ = np.histogram(values, edges)
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            yield HistogramRow(system, array, quantity, float(low), float(high), int(count))
