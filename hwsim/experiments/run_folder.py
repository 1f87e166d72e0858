"""The run folder: everything that a run found, written whole or not at all, and read back only if it still is."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import groupby
from math import ceil
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim import documents
from hwsim.accounts.energy import total
from hwsim.accounts.journal import PASS
from hwsim.accounts.timeline import TimelineWriter
from hwsim.columns import METRICS
from hwsim.config import experiment, plausible
from hwsim.errors import ConfigError, HwsimError, OutputError, ResultsError
from hwsim.experiments import wear
from hwsim.experiments.costs import Costs, Row
from hwsim.experiments.footprint import Part, check_memory

SCHEMA_VERSION = 3
"""Of what stands in a run folder. Folders of version 1 do not say so."""

_TABLE, _EVENTS = 2, 7
"""Bytes in memory for each byte of a table, and of the timeline."""

CHECKSUMS = "SHA256SUMS"
"""The file with the checksum of each of the others, as `sha256sum --check` reads it."""

FILES = (
    "config.yaml",
    "summary.json",
    "energy.csv",
    "memory.csv",
    "metrics.csv",
    "histograms.csv",
    "clipping.csv",
    "timeline.json",
)


class Held(NamedTuple):
    """A line of memory.csv: what changed, and what was held then."""

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


def place(out: Path | None, name: str) -> Path:
    """Where a run goes: the folder that was asked for, or the next free one in `runs/`.

    Raises:
        OutputError: it exists already, or cannot be made.
    """
    if out is not None:
        try:
            taken = out.exists()
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror}; choose another folder with --out") from None
        if taken:
            raise OutputError(f"{out} exists already, and nothing is overwritten; choose another folder with --out")
        return out
    base = Path("runs") / name.replace(" ", "_")
    number = 2
    chosen = base
    while chosen.exists():
        chosen, number = base.with_name(f"{base.name}-{number}"), number + 1
    return chosen


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name when all is written, and is gone if anything goes wrong.

    Raises:
        OutputError: there is no place to write.
    """
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    new = [parent for parent in folder.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder.parent}: {error.strerror}; choose a folder with --out") from None
    try:
        yield partial
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in new:
            with suppress(OSError):  # it holds the folder
                parent.rmdir()


def write(folder: Path, config: dict[str, Any], summary: dict[str, Any], costs: list[Costs]) -> None:
    """Write what a run found into an empty folder."""
    (folder / "config.yaml").write_text(documents.dump(config), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    _table(folder / "energy.csv", Row._fields, (row for one in costs for row in one.rows()))
    _table(folder / "memory.csv", Held._fields, (row for one in costs for row in held(one)))
    _table(folder / "metrics.csv", METRICS, (row for one in costs for row in metrics(one)))
    worn = [(one.trial.name, one.machine) for one in costs]
    _table(folder / "histograms.csv", wear.Bin._fields, (row for one in worn for row in wear.histograms(*one)))
    _table(folder / "clipping.csv", wear.Clipping._fields, (row for one in worn for row in wear.clipping(*one)))
    with (folder / "timeline.json").open("w", encoding="utf-8") as file:
        writer = TimelineWriter(file)
        for number, one in enumerate(costs, 1):
            _timeline(writer, number, one)
        writer.close()
    sums = (f"{_checksum(folder / name)}  {name}\n" for name in FILES)
    (folder / CHECKSUMS).write_text("".join(sums), encoding="utf-8")


class RunFolder:
    """A run folder that was read back.

    Attributes:
        path: where it is.
        summary: what stands in `summary.json`.
        config: what stands in `config.yaml`, as plain data.
    """

    def __init__(self, path: Path, summary: dict[str, Any], config: dict[str, Any]) -> None:
        self.path, self.summary, self.config = path, summary, config

    @property
    def systems(self) -> dict[str, dict[str, Any]]:
        """What is known of each system; the first is the substrate."""
        return self.summary["systems"]

    @cached_property
    def doubts(self) -> list[str]:
        """What is implausible in what was asked; or that this version would not take it any more."""
        try:
            return [doubt.text for doubt in plausible.doubts(experiment.load(self.config))]
        except ConfigError as error:
            first, *_ = documents.anywhere(str(error)).splitlines()
            return [f"the configuration is no longer valid, and its numbers were not looked at: {first}"]

    @cached_property
    def energy(self) -> pd.DataFrame:
        """`energy.csv`."""
        return pd.read_csv(self._fitting("energy.csv", _TABLE))

    @cached_property
    def memory(self) -> pd.DataFrame:
        """`memory.csv`."""
        return pd.read_csv(self._fitting("memory.csv", _TABLE))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """`metrics.csv`."""
        return pd.read_csv(self._fitting("metrics.csv", _TABLE))

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """`histograms.csv`."""
        return pd.read_csv(self._fitting("histograms.csv", _TABLE))

    @cached_property
    def clipping(self) -> pd.DataFrame:
        """`clipping.csv`."""
        return pd.read_csv(self._fitting("clipping.csv", _TABLE))

    @cached_property
    def timeline(self) -> list[dict[str, Any]]:
        """The events of `timeline.json`, in the trace-event format."""
        return json.loads(self._fitting("timeline.json", _EVENTS).read_text(encoding="utf-8"))["traceEvents"]

    def _fitting(self, name: str, times: float) -> Path:
        """A file that fits this computer, when it is read into so many times its size.

        Raises:
            MemoryEstimateError: it does not; of long sequences every step has its rows.
        """
        path = self.path / name
        rows = Part("its rows", ceil(times * path.stat().st_size), "shorter sequences, or what reads it row by row")
        check_memory(f"{path}: reading it", rows)
        return path


def read(path: str | Path) -> RunFolder:
    """A run folder, if it is one, of this version, whole, and as it was written.

    Raises:
        ResultsError: it is none of that, or may not be read.
    """
    folder = Path(path)
    summary = _summary(folder)
    missing = [name for name in (*FILES, CHECKSUMS) if not (folder / name).is_file()]
    if missing:
        raise ResultsError(f"{folder} is incomplete: {', '.join(missing)} is missing; {_again(folder)}")
    for line in _text(folder / CHECKSUMS).splitlines():
        expected, _, name = line.partition("  ")
        if name in FILES and _checksum(folder / name) != expected:
            raise ResultsError(
                f"{folder / name} is not as it was written (truncated, or changed by hand): its checksum is not the "
                f"one in {CHECKSUMS}; copy the folder again, or {_again(folder)}"
            )
    try:
        config = documents.load(folder / "config.yaml").data
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    return RunFolder(folder, summary, config)


def _summary(folder: Path) -> dict[str, Any]:
    """`summary.json`, if it is one of a run and of this version."""
    try:
        there = folder.is_dir()
        exists = there or folder.exists()
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be read: {error.strerror}") from None
    if not there:
        said = "is a file, not the folder of a run" if exists else "no such folder"
        raise ResultsError(f"{folder}: {said}; `hwsim run FILE` makes one")
    path = folder / "summary.json"
    try:
        summary = json.loads(_text(path))
    except FileNotFoundError:
        raise ResultsError(f"{folder} is not the folder of a run: it has no summary.json") from None
    except (ValueError, RecursionError):
        raise ResultsError(f"{path} is not JSON (truncated?); {_again(folder)}") from None
    if not isinstance(summary, dict) or not {"systems", "hwsim_version", "config_sha256"} <= summary.keys():
        raise ResultsError(f"{folder} is not the folder of a run: its summary.json was not written by hwsim")
    version, by = summary.get("schema_version", 1), summary["hwsim_version"]
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ResultsError(
            f"{folder} was made by a newer hwsim ({by}; its schema_version is {version!r}, and this one reads "
            f"{SCHEMA_VERSION}); update hwsim"
        )
    if version < SCHEMA_VERSION:
        raise ResultsError(
            f"{folder} was made by an older hwsim ({by}; its schema_version is {version}, and this one reads "
            f"{SCHEMA_VERSION}); {_again(folder)}"
        )
    return summary


def _again(folder: Path) -> str:
    return f"run its config.yaml again: hwsim run {folder / 'config.yaml'}"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None


def metrics(costs: Costs) -> Iterator[list[Any]]:
    """A row for each test and chip, with the energy that was spent until the test was over."""
    tests = groupby(costs.outcome.metrics, itemgetter("updates"))
    for (_, chips), spent in zip(tests, costs.spent(), strict=False):  # what is untested is spent, too
        for row in chips:
            yield [spent if key == "energy_j" else row[key] for key in METRICS]


def held(costs: Costs) -> Iterator[Held]:
    """What was held when one batch began, and every change in it."""
    name, detail = costs.trial.name, costs.outcome.detail
    if detail is None:
        return
    live = 0
    for holding in detail.before:
        live += holding.total_bits
        yield Held(
            name, None, None, *holding[:2], holding.technology, holding.values, holding.bits, holding.total_bits, live
        )
    names = [sweep.name for sweep in detail.batch.sweeps]
    for change in detail.changes:
        live += change.bits
        sweep = names[change.sweep - 1] if change.sweep <= len(names) else "end"
        bits = abs(change.bits // change.values) if change.values else 0
        row = change.name, change.kind, change.technology, change.values, bits, change.bits, live
        yield Held(name, sweep, change.step, *row)


def _timeline(writer: TimelineWriter, number: int, costs: Costs) -> None:
    detail = costs.outcome.detail
    if detail is None or not any(timing.makespan for timing in costs.scheduler.batch(detail.batch)):
        return

    def joules() -> Iterator[float]:
        for sweep, _, ledger in costs.steps(detail):
            share = detail.batch.sequences if detail.batch.sweeps[sweep].kind == PASS else 1
            yield (total(ledger).energy or 0.0) / share

    live = sum(holding.total_bits for holding in detail.before)
    writer.system(number, costs.trial.name, costs.scheduler, detail.batch, joules(), live, detail.changes)


def _table(path: Path, header: Iterable[str], rows: Iterable[Any]) -> None:
    """Stream rows to a CSV file; numbers keep all their digits, what is unknown or no number stays empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(map(_entry, row))


def _entry(value: Any) -> Any:
    if value is None or value != value:  # not a number
        return ""
    return repr(value) if isinstance(value, float) else value
