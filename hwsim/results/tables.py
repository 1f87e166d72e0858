"""The tables of a run folder: their rows, and how they are written and read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim.columns import METRICS, SPIKES, TRACES


class EnergyRow(NamedTuple):
    """A row of energy.csv: energy_j is constant_si times count."""

    system: str
    part: str
    epoch: int | None
    sweep: str | None
    step: int | None
    layer: str
    purpose: str
    unit: str
    operation: str
    component: str
    constant: str
    constant_si: float | None
    count: float  # type: ignore[assignment]
    energy_j: float | None
    low_j: float | None
    high_j: float | None
    assumed_j: float | None


class MemoryRow(NamedTuple):
    """A row of memory.csv: a change of memory, and the bits held after it."""

    system: str
    sweep: str | None
    step: int | None
    holder: str
    memory_class: str
    technology: str
    values: int
    bits_per_value: int
    change_bits: int
    live_bits: int


CONDUCTANCE, WRITES = "conductance_s", "writes"
"""The quantities in histograms.csv."""


class HistogramRow(NamedTuple):
    """A row of histograms.csv: the number of devices of an array, over all chips, from `low` to below `high`.

    The last bin of a histogram contains its `high`.
    """

    system: str
    array: str
    quantity: str
    low: float
    high: float
    devices: int


class ClippingRow(NamedTuple):
    """A row of clipping.csv: the number of values that a unit converted or made, and of those beyond full scale."""

    system: str
    kind: str
    unit: str
    values: int
    clipped: int


TABLES: dict[str, tuple[str, ...]] = {
    "energy.csv": EnergyRow._fields,
    "memory.csv": MemoryRow._fields,
    "metrics.csv": METRICS,
    "histograms.csv": HistogramRow._fields,
    "clipping.csv": ClippingRow._fields,
}
"""The columns of each table."""

RECORDINGS: dict[str, tuple[str, ...]] = {"spikes.csv": SPIKES, "traces.csv": TRACES}
"""The columns of tables that a run has only if its network spikes."""

WORDS = (
    "system", "part", "sweep", "layer", "purpose", "unit", "operation", "component", "constant", "holder",
    "memory_class", "technology", "array", "quantity", "kind",
)  # fmt: skip
"""Columns of names; all others hold numbers."""


def write(path: Path, rows: Iterable[Any]) -> None:
    """Stream the rows of a table to its file.

    Numbers keep all their digits; unknown values and NaN are empty.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((TABLES | RECORDINGS)[path.name])
        for row in rows:
            writer.writerow(map(_entry, row))


def read(path: Path) -> pd.DataFrame:
    """One of the tables as a frame. CSV tells no name from a number, or from nothing: a system may be called `null`.

    Raises:
        ValueError: it is not that table: its columns are others, or hold words in place of numbers.
    """
    columns = (TABLES | RECORDINGS)[path.name]
    names = dict.fromkeys((column for column in columns if column in WORDS), str)
    table = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    if tuple(table.columns) != columns:
        raise ValueError("its columns are others")
    for column in columns:
        if column not in WORDS and not pd.api.types.is_numeric_dtype(table[column]) and len(table):
            raise ValueError(f"{column} is not all numbers")
    return table


def _entry(value: Any) -> Any:
    if value is None or value != value:  # not a number
        return ""
    return repr(value) if isinstance(value, float) else value
