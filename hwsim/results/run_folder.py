"""The run folder: all results of a run, written atomically, and read back only if they are complete and unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
from pydantic import ValidationError

from hwsim import documents
from hwsim.config import experiment, plausible
from hwsim.errors import ConfigError, HwsimError, ResultsError
from hwsim.free_memory import MemoryNeed, check_memory
from hwsim.results import tables
from hwsim.results.summary import SCHEMA_VERSION, Summary, SystemSummary
from hwsim.results.tables import TABLES

_TABLE, _EVENTS = 2, 7
"""Bytes in memory per byte of a table, and per byte of the timeline."""

CHECKSUMS = "SHA256SUMS"
"""The file with the checksums of all other files, in the format of `sha256sum --check`."""

FILES = ("config.yaml", "summary.json", *TABLES, "timeline.json")


def places(out: Path | None, name: str) -> Iterator[Path]:
    """The folders that a run may get: `out` alone, or `runs/NAME`, `runs/NAME-2` and so on."""
    if out is not None:
        yield out
        return
    first = Path("runs") / name.replace(" ", "_")
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in count(2))


def write(
    folder: Path,
    config: dict[str, Any],
    summary: Summary,
    rows: Mapping[str, Iterable[Any]],
    timeline: Callable[[TextIO], None],
) -> None:
    """Write the results of a run into an empty folder.

    Args:
        config: the resolved experiment.
        rows: the rows of each table, by the name of its file.
        timeline: writes the events to the file that it is given.
    """
    (folder / "config.yaml").write_text(documents.dump(config), encoding="utf-8")
    (folder / "summary.json").write_text(summary.text(), encoding="utf-8")
    for name in TABLES:
        tables.write(folder / name, rows[name])
    with (folder / "timeline.json").open("w", encoding="utf-8") as file:
        timeline(file)
    sums = (f"{_checksum(folder / name)}  {name}\n" for name in FILES)
    (folder / CHECKSUMS).write_text("".join(sums), encoding="utf-8")


class RunFolder:
    """A run folder that was read back.

    Attributes:
        path: where it is.
        summary: the content of `summary.json`.
        config: the content of `config.yaml`, as plain data.
    """

    def __init__(self, path: Path, summary: Summary, config: dict[str, Any]) -> None:
        self.path, self.summary, self.config = path, summary, config

    @property
    def systems(self) -> Mapping[str, SystemSummary]:
        """The results of each system; the first is the substrate."""
        return self.summary.systems

    @cached_property
    def doubts(self) -> list[str]:
        """Warnings about implausible values of the experiment, or that this version no longer accepts it."""
        try:
            return [doubt.text for doubt in plausible.doubts(experiment.load(self.config))]
        except ConfigError as error:
            first, *_ = documents.anywhere(str(error)).splitlines()
            return [f"the configuration is no longer valid, and its numbers were not looked at: {first}"]

    @cached_property
    def energy(self) -> pd.DataFrame:
        """`energy.csv`."""
        return tables.read(self._fitting("energy.csv", _TABLE))

    @cached_property
    def memory(self) -> pd.DataFrame:
        """`memory.csv`."""
        return tables.read(self._fitting("memory.csv", _TABLE))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """`metrics.csv`."""
        return tables.read(self._fitting("metrics.csv", _TABLE))

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """`histograms.csv`."""
        return tables.read(self._fitting("histograms.csv", _TABLE))

    @cached_property
    def clipping(self) -> pd.DataFrame:
        """`clipping.csv`."""
        return tables.read(self._fitting("clipping.csv", _TABLE))

    @cached_property
    def timeline(self) -> list[dict[str, Any]]:
        """The events of `timeline.json`, in the trace-event format."""
        return json.loads(self._fitting("timeline.json", _EVENTS).read_text(encoding="utf-8"))["traceEvents"]

    def _fitting(self, name: str, times: float) -> Path:
        """The path of a file, if this computer has `times` its size of memory free.

        Raises:
            MemoryEstimateError: it has not; a long sequence has rows for every step.
        """
        path = self.path / name
        rows = MemoryNeed(
            "its rows", ceil(times * path.stat().st_size), "shorter sequences, or what reads it row by row"
        )
        check_memory(f"{path}: reading it", rows)
        return path


def read(path: str | Path) -> RunFolder:
    """The run folder at a path; it must be complete, unchanged and of this version.

    Raises:
        ResultsError: it is not, or cannot be read.
    """
    folder = Path(path)
    data = _summary_data(folder)
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
        config = documents.read(folder / "config.yaml").data
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    return RunFolder(folder, _typed(folder, data), config)


def _summary_data(folder: Path) -> dict[str, Any]:
    """The content of `summary.json`; it must be that of a run, and of this version."""
    try:
        there = folder.is_dir()
        exists = there or folder.exists()
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be read: {error.strerror}") from None
    if not there:
        reason = "is a file, not the folder of a run" if exists else "no such folder"
        raise ResultsError(f"{folder}: {reason}; `hwsim run FILE` makes one")
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


def _typed(folder: Path, data: dict[str, Any]) -> Summary:
    """The summary; it must have all required keys, and no others."""
    try:
        return Summary.model_validate(data)
    except ValidationError as error:
        first, *others = error.errors()
        more = f", and {len(others)} more like this" if others else ""
        place = ".".join(map(str, first["loc"]))
        raise ResultsError(
            f"{folder / 'summary.json'}: {place}: {first['msg'].lower()}{more}; {_again(folder)}"
        ) from None


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
