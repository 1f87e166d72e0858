"""The run folder: all results of a run, written atomically, and read back only if they are complete and unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from pydantic import ValidationError

from hwsim import documents
from hwsim.config import experiment, plausible
from hwsim.config.weights import KEPT
from hwsim.errors import ConfigError, HwsimError, ResultsError
from hwsim.free_memory import MemoryNeed, check_memory
from hwsim.results import checksums, tables
from hwsim.results.checksums import CHECKSUMS
from hwsim.results.shown import Shown
from hwsim.results.summary import SCHEMA_VERSION, Summary, SystemSummary
from hwsim.results.tables import RECORDINGS, TABLES, WORDS

_TABLE, _EVENTS = 2, 7
"""Bytes in memory per byte of a table, and per byte of the timeline."""

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
    weights: Iterable[tuple[str, int, Mapping[str, np.ndarray]]] = (),
) -> None:
    """Write the results of a run into an empty folder.

    Args:
        config: the resolved experiment.
        rows: the rows of each table, by the name of its file; there may be recordings among them.
        timeline: writes the events to the file that it is given.
        weights: the final weights of systems and chips, as many of which are kept as the file has room for.
    """
    (folder / "config.yaml").write_text(documents.dump(config), encoding="utf-8")
    (folder / "summary.json").write_text(summary.text(), encoding="utf-8")
    recorded = [name for name in RECORDINGS if name in rows]
    for name in (*TABLES, *recorded):
        tables.write(folder / name, rows[name])
    with (folder / "timeline.json").open("w", encoding="utf-8") as file:
        timeline(file)
    np.savez(folder / KEPT, allow_pickle=False, **_fitting_in(weights))
    checksums.write(folder, (*FILES, *recorded, KEPT))


ROOM = 64 * 2**20
"""Bytes of weights that a folder keeps at most; chips that come when there is no more room are left out."""


def _fitting_in(weights: Iterable[tuple[str, int, Mapping[str, np.ndarray]]]) -> dict[str, Any]:
    """Arrays by `SYSTEM/CHIP/PARAMETER`: of whole chips, in their order, as long as there is room."""
    kept, left = dict[str, Any](), ROOM
    for system, chip, arrays in weights:
        left -= sum(values.nbytes for values in arrays.values())
        if left < 0:
            break
        kept |= {f"{system}/{chip}/{name}": values for name, values in arrays.items()}
    return kept


class RunFolder(Shown):
    """A run folder that was read back. A notebook shows its tables and figures.

    Attributes:
        path: where it is.
        summary: the content of `summary.json`.
        config: the content of `config.yaml`, as plain data.
    """

    def __init__(self, path: Path, summary: Summary, config: dict[str, Any]) -> None:
        self.path, self.summary, self.config = path, summary, config

    def __repr__(self) -> str:
        return f"<RunFolder {self.path}: {', '.join(self.systems)}>"

    def opened(self) -> AbstractContextManager[RunFolder]:
        return nullcontext(self)

    @property
    def systems(self) -> Mapping[str, SystemSummary]:
        """The results of each system; the first is the substrate."""
        return self.summary.systems

    def weights(self, system: str | None = None, chip: int = 0) -> dict[str, np.ndarray]:
        """The target value of each parameter after the run, by name, as `weights` of an experiment takes them.

        Args:
            system: its name; by default the substrate.
            chip: its number, counted from 0.

        Raises:
            ResultsError: the folder keeps none of that system and chip.
        """
        name = next(iter(self.systems)) if system is None else system
        if name not in self.systems:
            raise ResultsError(f"{self.path}: no system {name!r}; there are {', '.join(self.systems)}")
        begin, path = f"{name}/{chip}/", self.path / KEPT
        if KEPT not in checksums.names(self.path):
            raise ResultsError(f"{self.path} keeps no weights: it was made by an older hwsim; {_again(self.path)}")
        with np.load(path, allow_pickle=False) as kept:
            found = {key.removeprefix(begin): kept[key] for key in kept.files if key.startswith(begin)}
        if not found:
            chips = self.systems[name].chips
            raise ResultsError(
                f"{self.path} keeps no weights of chip {chip} of {name}, which has {chips}, counted from 0; at most "
                f"{ROOM // 2**20} MiB are kept"
            )
        return found

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
        return self._table("energy.csv")

    @cached_property
    def memory(self) -> pd.DataFrame:
        """`memory.csv`."""
        return self._table("memory.csv")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """`metrics.csv`."""
        return self._table("metrics.csv")

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """`histograms.csv`."""
        return self._table("histograms.csv")

    @cached_property
    def clipping(self) -> pd.DataFrame:
        """`clipping.csv`."""
        return self._table("clipping.csv")

    @cached_property
    def spikes(self) -> pd.DataFrame:
        """`spikes.csv`; no rows if nothing was recorded."""
        return self._recording("spikes.csv")

    @cached_property
    def traces(self) -> pd.DataFrame:
        """`traces.csv`; no rows if nothing was recorded."""
        return self._recording("traces.csv")

    @cached_property
    def timeline(self) -> list[dict[str, Any]]:
        """The events of `timeline.json`, in the trace-event format."""
        path = self._fitting("timeline.json", _EVENTS)
        try:
            events = json.loads(_text(path))["traceEvents"]
        except (ValueError, LookupError, TypeError, RecursionError):
            events = None
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise ResultsError(f"{path} is no timeline; {_again(self.path)}")
        return events

    def _recording(self, name: str) -> pd.DataFrame:
        """A table that a run may lack."""
        if name in checksums.names(self.path):
            return self._table(name)
        return pd.DataFrame({column: pd.Series(dtype=str if column in WORDS else float) for column in RECORDINGS[name]})

    def _table(self, name: str) -> pd.DataFrame:
        """A table, whose columns must be there, and be of names or of numbers as they should.

        Raises:
            ResultsError: they are not.
        """
        path = self._fitting(name, _TABLE)
        try:
            return tables.read(path)
        except (ValueError, OSError) as error:
            raise ResultsError(f"{path} is not such a table ({error}); {_again(self.path)}") from None

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
    listed = checksums.names(folder)
    files = (*FILES, *(name for name in (*RECORDINGS, KEPT) if name in listed))
    missing = [name for name in (*files, CHECKSUMS) if not (folder / name).is_file()]
    if missing:
        raise ResultsError(f"{folder} is incomplete: {', '.join(missing)} is missing; {_again(folder)}")
    checksums.check(folder, files, _again(folder))
    return RunFolder(folder, _typed(folder, data), _config(folder, data["config_sha256"]))


def _config(folder: Path, fingerprint: str) -> dict[str, Any]:
    """The content of `config.yaml`; it must be the experiment whose hash is in the summary."""
    path = folder / "config.yaml"
    try:
        config = documents.read(path).data
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    if not isinstance(config, dict) or documents.fingerprint(config) != fingerprint:
        raise ResultsError(f"{path} is not the experiment that summary.json is of; copy the folder again")
    return config


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
        text = f"{place}: {documents.in_words(first)}{more}"
        raise ResultsError(f"{folder / 'summary.json'}: {text}; {_again(folder)}") from None


def _again(folder: Path) -> str:
    return f"run its config.yaml again: hwsim run {folder / 'config.yaml'}"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
