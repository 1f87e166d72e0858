"""The table of a study: a row for each trial, system and chip; and medians and spread over chips and seeds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hwsim.columns import COLUMNS, GROUPS, NUMBERS, OF_A_SEQUENCE, REPORTED, TEXTS, WHOLES, memory_column
from hwsim.config.grid import Grid
from hwsim.errors import OutputError
from hwsim.results.study.curves import curves
from hwsim.results.study.pairs import pairs
from hwsim.results.study.store import Kept, Trials

Row = dict[str, Any]

OF_SYSTEM = ("system", "rule", "machine")
FILES = TABLE, TYPED, SUMMARY, PAIRS, CURVES = "table.csv", "table.parquet", "summary.csv", "pairs.csv", "curves.csv"
"""What a study that is over may have found; the last two only where there is something to compare, and training."""


def write(folder: Path, grid: Grid, trials: Trials) -> None:
    """Write `table.csv`, `table.parquet` and `summary.csv`, each whole or not at all, and the summary last.

    Where there are several seeds and systems `pairs.csv` compares them, and where something was trained `curves.csv`
    says how that went.

    Raises:
        OutputError: there is no place for them.
    """
    try:
        found = tables(grid, trials)
        replace(folder / TABLE, _csv(found[TABLE]))
        replace(folder / TYPED, found[TABLE].to_parquet(index=False, engine="pyarrow"))
        _optional(folder / PAIRS, found[PAIRS])
        _optional(folder / CURVES, found[CURVES])
        replace(folder / SUMMARY, _csv(found[SUMMARY]))
    except OSError as error:
        raise OutputError(
            f"cannot write the tables in {folder}: {error.strerror or error}; all trials are kept, and the "
            "same command writes them again"
        ) from None


def remove(folder: Path) -> None:
    """Take away tables of a study that goes on: they are of other trials, or of fewer.

    Raises:
        OutputError: they may not be taken away.
    """
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write the tables in {folder}: {error.strerror}") from None


def tables(grid: Grid, trials: Trials) -> dict[str, pd.DataFrame]:
    """All that is known of the trials that are over, by the names of files."""
    found, asked = frame(grid, trials)
    return {
        TABLE: found,
        SUMMARY: summary(grid, found, asked),
        PAIRS: pairs(grid, found, asked),
        CURVES: curves(grid, trials),
    }


Asked = set[tuple[str, str]]
"""Systems and the quantities that are asked of them, be their values finite or not."""


def frame(grid: Grid, trials: Trials) -> tuple[pd.DataFrame, Asked]:
    """The table of the trials that are over, and what was asked of each system.

    Points are in the order of the file, then seeds, systems and chips.
    """
    columns: dict[str, list[Any]] = {column: [] for column in (*grid.columns, *COLUMNS)}
    asked: Asked = set()
    for kept in trials.kept():
        point, at = divmod(kept.number, len(grid.seeds))
        for row in rows(kept, {**grid.labels(point), "seed": grid.seeds[at]}):
            asked |= {(row["system"], name) for name in NUMBERS if name in row}
            for column, values in columns.items():
                values.append(row.get(column))
    return pd.DataFrame({name: _typed(name, values) for name, values in columns.items()}), asked


def rows(kept: Kept, labels: Row) -> Iterator[Row]:
    """What is known of each system and chip of a trial; one row if it failed."""
    begin = {**labels, "status": kept.status, "error": kept.error, "config_sha256": kept.id}
    if kept.summary is None:
        yield begin
        return
    for name, system in json.loads(kept.summary)["systems"].items():
        whole = {**begin, "system": name, **_of_system(system)}
        for chip in range(system["chips"]):
            yield {**whole, **_of_chip(system, chip)}


def _of_system(system: Row) -> Row:
    """What is alike on all chips, as far as it is known."""
    energy, memory, time = system["energy"], system["memory"], system["time"]
    found = {
        "rule": system["rule"],
        "machine": system["machine"],
        **{each["name"]: _worst(each["found"]) for each in system["diagnostics"] if each["name"] in REPORTED},
        **_energies(energy),
        "assumed_fraction": energy["assumed_fraction"],
        "peak_memory_bytes": memory["peak_bytes"],
        "time_sequence_s": time.get("sequence_s"),
        "time_training_step_s": time.get("training_step_s"),
        "passes": time.get("passes"),
        "writes_per_device": (system["weights"] or {}).get("writes_per_device"),
        "saturation_rate": (system["signal_health"] or {}).get("saturation_rate"),
        **{memory_column(kind): held for kind, held in memory["peak_by_class"].items()},
        "memory_to_learn_bytes": sum(memory["peak_by_class"].get(kind, 0) for kind in OF_A_SEQUENCE),
    }
    found = {name: value for name, value in found.items() if value is not None}
    for group in GROUPS if system["gradient"] else ():
        found[f"relative_error_{group}"] = system["gradient"][group]["target"]["relative_error"]
    return found


def _worst(found: float | Mapping[str, float | None] | None) -> float | None:
    """A number, or the largest of several; None if there is none, or one that is more than any number."""
    if not isinstance(found, Mapping):
        return found
    known = list(found.values())
    return None if None in known else max(known, default=None)  # type: ignore[type-var]


def _energies(energy: Row) -> Row:
    """Each energy, and between what it may lie."""
    found: Row = {}
    for part, unit in (
        ("inference", "j_per_sequence"),
        ("gradient", "j_per_sequence"),
        ("training_step", "j"),
        ("run", "j"),
    ):
        low, high = energy.get(f"{part}_range_{unit}") or (None, None)
        found |= {
            f"energy_{part}_j": energy[f"{part}_{unit}"],
            f"energy_{part}_low_j": low,
            f"energy_{part}_high_j": high,
        }
    return found


def _of_chip(system: Row, chip: int) -> Row:
    """What differs from chip to chip, and whether any of it is no number although it was asked for."""
    found: Row = {"chip": chip}
    lost = bool(system["diverged"]) and chip in system["diverged"]["chips"]
    for quantity in ("accuracy", "loss"):
        if system[quantity] is not None:
            found[quantity] = system[quantity]["per_chip"][chip]
            lost |= found[quantity] is None
    for group in GROUPS if system["gradient"] else ():
        for against, column in (("target", "cosine"), ("recorded", "cosine_recorded")):
            one = system["gradient"][group][against]
            found[f"{column}_{group}"] = one["per_chip"][chip]
            errors = one.get("relative_error_per_chip")  # trials of earlier versions do not have it
            error = errors[chip] if errors else one["relative_error"]
            lost |= one["per_chip"][chip] is None and error is None
    return {**found, "non_finite": lost}


def summary(grid: Grid, found: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """Median and spread of each quantity over chips and seeds, at each point for each system.

    Args:
        found: the table of the study.
        asked: the quantities of each system.
    """
    known = found[found["status"] == "done"]
    by = [*grid.columns, *OF_SYSTEM]
    lines: list[Row] = []
    for key, rows in known.groupby(by, sort=False, dropna=False):
        where = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        for name in NUMBERS:
            if (where["system"], name) not in asked:
                continue
            values = rows[name].dropna()
            if len(values) or rows["non_finite"].any():
                low, middle, high = values.quantile([0.25, 0.5, 0.75])
                with np.errstate(over="ignore"):  # errors that have grown large have squares that are not finite
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
    statistics = ["median", "lower_quartile", "upper_quartile", "min", "max", "mean", "deviation"]
    return pd.DataFrame(lines, columns=[*by, "quantity", *statistics, "count", "non_finite"])


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _optional(path: Path, found: pd.DataFrame) -> None:
    """Write a table that may be empty, in which case there is none."""
    if found.empty:
        path.unlink(missing_ok=True)
    else:
        replace(path, _csv(found))


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


def _csv(found: pd.DataFrame) -> bytes:
    """As CSV; numbers keep all their digits, what is unknown stays empty."""
    return found.to_csv(index=False, lineterminator="\n").encode()
