"""The tables of a study: a row per trial, system and chip; and statistics over chips and seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hwsim.accounts.memory import LEARNING
from hwsim.columns import (
    BESIDE,
    COLUMNS,
    GROUPS,
    JUDGED,
    NUMBERS,
    OF_A_SEQUENCE,
    REPORTED,
    TEXTS,
    WHOLES,
    memory_column,
)
from hwsim.columns import SUMMARY as STATISTICS
from hwsim.config.grid import Grid
from hwsim.errors import OutputError
from hwsim.results.study.areas import Areas, areas
from hwsim.results.study.curves import curves
from hwsim.results.study.pairs import pairs
from hwsim.results.study.store import KeptTrial, Trials
from hwsim.results.whole import replace

Fields = dict[str, Any]

OF_SYSTEM = ("system", "rule", "machine")
FILES = TABLE, TYPED, SUMMARY, PAIRS, CURVES = "table.csv", "table.parquet", "summary.csv", "pairs.csv", "curves.csv"
"""The tables of a finished study; the last two exist only if there are systems to compare, and training."""


def write(folder: Path, grid: Grid, trials: Trials) -> None:
    """Write `table.csv`, `table.parquet` and `summary.csv`, each atomically, and the summary last.

    `pairs.csv` is written if there are several seeds and systems, and `curves.csv` if there was training.

    Raises:
        OutputError: a file cannot be written.
    """
    try:
        frames = tables(grid, trials)
        replace(folder / TABLE, _csv(frames[TABLE]))
        replace(folder / TYPED, frames[TABLE].to_parquet(index=False, engine="pyarrow"))
        _optional(folder / PAIRS, frames[PAIRS])
        _optional(folder / CURVES, frames[CURVES])
        replace(folder / SUMMARY, _csv(frames[SUMMARY]))
    except OSError as error:
        raise OutputError(
            f"cannot write the tables in {folder}: {error.strerror or error}; all trials are kept, and the "
            "same command writes them again"
        ) from None


def remove(folder: Path) -> None:
    """Remove the tables of a study that goes on: they are of other trials, or of fewer.

    Raises:
        OutputError: a file cannot be removed.
    """
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write the tables in {folder}: {error.strerror}") from None


def tables(grid: Grid, trials: Trials) -> dict[str, pd.DataFrame]:
    """The tables of the trials that are over, by the names of their files."""
    table, asked = frame(grid, trials)
    return {
        TABLE: table,
        SUMMARY: summary(grid, table, asked),
        PAIRS: pairs(grid, table, asked),
        CURVES: curves(grid, trials),
    }


Asked = set[tuple[str, str]]
"""Pairs of a system and a quantity that was asked of it, whether its values are finite or not."""


def frame(grid: Grid, trials: Trials) -> tuple[pd.DataFrame, Asked]:
    """The table of the trials that are over, and the quantities that were asked of each system.

    Rows are in the order of points, seeds, systems and chips.
    """
    columns: dict[str, list[Any]] = {column: [] for column in (*grid.columns, *COLUMNS)}
    asked: Asked = set()
    for kept in trials.kept():
        point, at = divmod(kept.number, len(grid.seeds))
        for row in rows(kept, {**grid.labels(point), "seed": grid.seeds[at]}):
            asked |= {(row["system"], name) for name in NUMBERS if name in row and name not in BESIDE}
            for column, values in columns.items():
                values.append(row.get(column))
    return pd.DataFrame({name: _typed(name, values) for name, values in columns.items()}), asked


def rows(kept: KeptTrial, labels: Fields) -> Iterator[Fields]:
    """The rows of a trial, one per system and chip; one row if it failed."""
    begin = {**labels, "status": kept.status, "error": kept.error, "config_sha256": kept.id}
    if kept.summary is None:
        yield begin
        return
    summary = json.loads(kept.summary)
    constant = {f"constant_{name}": value for name, value in (summary.get("constant") or {}).items()}
    under = areas(kept.metrics) if kept.metrics else {}
    for name, system in summary["systems"].items():
        whole = {**begin, "system": name, **constant, **_of_system(system)}
        for chip in range(system["chips"]):
            yield {**whole, **_of_chip(system, chip, under.get((name, chip), {}))}


def _of_system(system: Fields) -> Fields:
    """The known values that are the same on all chips."""
    energy, memory, time = system["energy"], system["memory"], system["time"]
    values = {
        "rule": system["rule"],
        "machine": system["machine"],
        **{each["name"]: _worst(each["value"]) for each in system["diagnostics"] if each["name"] in REPORTED},
        **_energies(energy),
        "training_step_sequences": energy.get("sequences"),
        "assumed_fraction": energy["assumed_fraction"],
        "peak_memory_bytes": memory["peak_bytes"],
        "most_learning_state_bytes": memory.get("most_by_class", {}).get(LEARNING),
        "operations_gradient": (system.get("work") or {}).get("operations"),
        "accesses_gradient": (system.get("work") or {}).get("accesses"),
        "time_sequence_s": time.get("sequence_s"),
        "time_training_step_s": time.get("training_step_s"),
        "passes": time.get("passes"),
        "writes_per_device": (system["weights"] or {}).get("writes_per_device"),
        "saturation_rate": (system["signal_health"] or {}).get("saturation_rate"),
        **{memory_column(kind): held for kind, held in memory["peak_by_class"].items()},
        "memory_to_learn_bytes": sum(memory["peak_by_class"].get(kind, 0) for kind in OF_A_SEQUENCE),
    }
    values = {name: value for name, value in values.items() if value is not None}
    for group in GROUPS if system["gradient"] else ():
        values[f"relative_error_{group}"] = system["gradient"][group]["target"]["relative_error"]
    return values


def _worst(values: float | Mapping[str, float | None] | None) -> float | None:
    """A number, or the largest of several; None if there is none, or if one is too large for a number."""
    if not isinstance(values, Mapping):
        return values
    known = list(values.values())
    return None if None in known else max(known, default=None)  # type: ignore[type-var]


def _energies(energy: Fields) -> Fields:
    """Each energy with its lowest and its highest value."""
    energies: Fields = {}
    for part, unit in (
        ("inference", "j_per_sequence"),
        ("gradient", "j_per_sequence"),
        ("training_step", "j"),
        ("run", "j"),
    ):
        low, high = energy.get(f"{part}_range_{unit}") or (None, None)
        energies |= {
            f"energy_{part}_j": energy[f"{part}_{unit}"],
            f"energy_{part}_low_j": low,
            f"energy_{part}_high_j": high,
        }
    return energies


def _of_chip(system: Fields, chip: int, under: Areas) -> Fields:
    """The values of one chip, and whether one that was asked for is not finite."""
    values: Fields = {"chip": chip, **under}
    lost = None in under.values() or (bool(system["diverged"]) and chip in system["diverged"]["chips"])
    for quantity in JUDGED:
        if system[quantity] is not None:
            values[quantity] = system[quantity]["per_chip"][chip]
            lost |= values[quantity] is None
    values |= {name: found["per_chip"][chip] for name, found in system.get("measures", {}).items()}
    for group in GROUPS if system["gradient"] else ():
        for against, column in (("target", "cosine"), ("recorded", "cosine_recorded")):
            alignment = system["gradient"][group][against]
            values[f"{column}_{group}"] = alignment["per_chip"][chip]
            errors = alignment.get("relative_error_per_chip")  # trials of earlier versions do not have it
            error = errors[chip] if errors else alignment["relative_error"]
            lost |= alignment["per_chip"][chip] is None and error is None
    return {**values, "non_finite": lost}


def summary(grid: Grid, table: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """Statistics of each quantity over chips and seeds, per point and system.

    Args:
        table: the table of the study.
        asked: pairs of a system and a quantity that was asked of it.
    """
    known = table[table["status"] == "done"]
    by = [*grid.columns, *OF_SYSTEM]
    lines: list[Fields] = []
    for key, rows in known.groupby(by, sort=False, dropna=False):
        where = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        for name in NUMBERS:
            if (where["system"], name) not in asked:
                continue
            values = rows[name].dropna()
            if len(values) or rows["non_finite"].any():
                low, middle, high = values.quantile([0.25, 0.5, 0.75])
                with np.errstate(over="ignore"):  # squares of large errors overflow
                    deviation = values.std(ddof=1)
                lines.append(
                    {
                        **where,
                        "quantity": name,
                        "median": middle,
                        "lower_quartile": low,
                        "upper_quartile": high,
                        "min": values.min(),
                        "max": values.max(),
                        "mean": values.mean(),
                        "deviation": deviation,
                        "count": len(values),
                        "non_finite": int((rows[name].isna() & rows["non_finite"]).sum()),
                    }
                )
    return pd.DataFrame(lines, columns=[*by, *STATISTICS])


def _optional(path: Path, table: pd.DataFrame) -> None:
    """Write a table; an empty one has no file."""
    if table.empty:
        path.unlink(missing_ok=True)
    else:
        replace(path, _csv(table))


def _typed(name: str, values: list[Any]) -> pd.Series[Any]:
    if name in TEXTS:
        return pd.Series(values, dtype="string")
    if name in WHOLES or name.endswith("_bytes"):
        return pd.Series(values, dtype="Int64")
    if name == "non_finite":
        return pd.Series(values, dtype="boolean")
    if name in NUMBERS:
        return pd.Series(values, dtype="float64")
    kinds = {type(value) for value in values}
    if kinds <= {int}:
        return pd.Series(values, dtype="int64")
    if kinds <= {bool}:
        return pd.Series(values, dtype="bool")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series([str(value) for value in values], dtype="string")


def _csv(table: pd.DataFrame) -> bytes:
    """The table as CSV: numbers keep all their digits, unknown values are empty."""
    return table.to_csv(index=False, lineterminator="\n").encode()
