"""The study folder: the axes, tables and figures of a study, read back.

For a study that is not finished, the tables are those of its trials so far.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from hwsim import documents
from hwsim.columns import NUMBERS, WHOLES
from hwsim.config import grid
from hwsim.config.study import FigureOptions
from hwsim.errors import HwsimError, MemoryEstimateError, OutputError, ResultsError
from hwsim.free_memory import MemoryNeed, check_memory
from hwsim.results import checksums
from hwsim.results.checksums import CHECKSUMS
from hwsim.results.study import reader
from hwsim.results.study import table as tables
from hwsim.results.study.pairs import OVER, WORDS
from hwsim.results.study.store import FILE, StudyProgress, Trials

STUDY = "study.yaml"
_OTHERS = (tables.SUMMARY, tables.PAIRS, tables.CURVES)
"""The tables after the first."""
_A_CELL = 16
"""Bytes in memory per entry of the table: a number, or what refers to a word."""


def place(out: str | Path | None, name: str) -> Path:
    """The folder of a study: `out`, or `studies/NAME`."""
    return Path("studies") / name.replace(" ", "_") if out is None else Path(out)


class StudyFolder(NamedTuple):
    """The results of a study, or its results so far.

    Attributes:
        path: where it is.
        study: the content of `study.yaml`, as plain data.
        table: `table.parquet`: a row per trial, system and chip.
        summary: `summary.csv`: a row per point, system and quantity.
        figures: the drawings in `figures/`, by name.
        pairs: `pairs.csv`: paired differences between systems, and between points of an axis; empty if there is none.
        curves: `curves.csv`: a row per test of a training; empty if there is none.
        progress: the progress of a study that is not finished, whose tables contain its trials so far; None for a
            finished one.
    """

    path: Path
    study: dict[str, Any]
    table: pd.DataFrame
    summary: pd.DataFrame
    figures: dict[str, str]
    pairs: pd.DataFrame = pd.DataFrame()
    curves: pd.DataFrame = pd.DataFrame()
    progress: StudyProgress | None = None

    @property
    def doubts(self) -> list[str]:
        """Warnings about implausible values; none if this version no longer accepts the study."""
        try:
            return grid.load_study(self.path / STUDY).doubts()
        except HwsimError:
            return []

    def _repr_html_(self) -> str:
        """What a notebook shows: the tables and figures of the report."""
        from hwsim.reports import notebook  # when it is asked for: Matplotlib takes a second

        return notebook.shown(self)

    def rows(self, figure: FigureOptions) -> pd.DataFrame:
        """The table that a figure is drawn from."""
        return self.curves if figure.over_training else self.table


def is_study(path: Path) -> bool:
    """Whether a folder is that of a study."""
    try:
        return (path / STUDY).is_file()
    except OSError:
        return False


def read(path: str | Path) -> StudyFolder:
    """The study folder at a path; the study may be running, or have been stopped. Nothing is written.

    Raises:
        ResultsError: the folder is not that of a study, is damaged, or cannot be read.
    """
    folder = Path(path)
    try:
        if not is_study(folder):
            raise ResultsError(f"{folder} is not the folder of a study: it has no {STUDY}")
        study = documents.read(folder / STUDY).data
        results = _finished(folder, study) or _so_far(folder, study)
    except OSError as error:
        raise ResultsError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from None
    except (ResultsError, MemoryEstimateError):
        raise
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    except (ValueError, LookupError, TypeError, NotImplementedError) as error:  # from pandas, or bytes that are no text
        raise ResultsError(f"{folder}: a table or figure is damaged ({error})") from None
    lacking = {"system", "status"} - set(results.table) | {"system", "quantity", "median"} - set(results.summary)
    if lacking or not isinstance(study, dict):
        reason = f"its tables lack {', '.join(sorted(lacking))}" if lacking else f"its {STUDY} is no mapping"
        raise ResultsError(f"{folder} is not the folder of a study: {reason}")
    return results


def seal(folder: Path) -> None:
    """Write the checksums of all results of a study that are there, which makes it a finished one.

    Raises:
        OutputError: they cannot be written.
    """
    try:
        checksums.write(folder, _present(folder))
    except OSError as error:
        where = error.filename or folder / CHECKSUMS
        raise OutputError(f"cannot write {CHECKSUMS}: {where}: {error.strerror}; all trials are kept") from None


def unseal(folder: Path) -> None:
    """Remove the checksums of a study, whose results are about to change.

    Raises:
        OutputError: they cannot be removed.
    """
    try:
        (folder / CHECKSUMS).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder / CHECKSUMS}: {error.strerror}") from None


def _present(folder: Path) -> list[str]:
    """The files with checksums that are there."""
    files = [name for name in (STUDY, *tables.FILES) if (folder / name).is_file()]
    return [*files, *(f"figures/{path.name}" for path in sorted(folder.glob("figures/*.svg")))]


def _finished(folder: Path, study: Any) -> StudyFolder | None:
    """The results in the tables of a study; None if they are not written yet."""
    if not all((folder / name).is_file() for name in (tables.TYPED, tables.SUMMARY, CHECKSUMS)):
        return None
    checksums.check(folder, _present(folder), f"go on with the study: {_again(folder)}")
    table = _typed(folder / tables.TYPED)
    summary, pairs, curves = (
        _table(folder / name, table) if (folder / name).is_file() else pd.DataFrame() for name in _OTHERS
    )
    figures = {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("figures/*.svg"))}
    return StudyFolder(folder, study, table, summary, figures, pairs, curves)


def _so_far(folder: Path, study: Any) -> StudyFolder:
    """The results of the trials so far. Figures in the folder are left out: they may be of other trials."""
    if not (folder / FILE).is_file():
        raise ResultsError(f"{folder} is a study without results: it has neither its tables, whole, nor {FILE}")
    plan = grid.load_study(folder / STUDY)

    def look(trials: Trials) -> tuple[StudyProgress, dict[str, pd.DataFrame]]:
        return StudyProgress.of(trials.count(), plan.trials), tables.tables(plan, trials)

    progress, frames = reader.read(folder / FILE, look)
    table = frames[tables.TABLE]
    files = (StringIO(frames[name].to_csv(index=False)) for name in _OTHERS)  # read like the files of a finished study
    summary, pairs, curves = (_table(file, table) for file in files)
    return StudyFolder(folder, study, table, summary, {}, pairs, curves, progress)


def _typed(path: Path) -> pd.DataFrame:
    """The table in `table.parquet`, with numbers where they should be, if this computer has memory for its rows.

    A small file may hold many rows.
    """
    head = pq.read_metadata(path)
    cells = MemoryNeed("its rows", max(head.num_rows, 0) * head.num_columns * _A_CELL, "table.csv, row by row")
    check_memory(f"{path}: reading it", cells)
    table = pd.read_parquet(path)
    for name in (*NUMBERS, *WHOLES):
        if name in table and not pd.api.types.is_numeric_dtype(table[name]):
            raise ResultsError(f"{path} is not such a table: {name} is not all numbers")
    return table


def _again(folder: Path) -> str:
    return f"hwsim study {folder / STUDY} --out {folder}"


def _table(file: Path | StringIO, kinds: pd.DataFrame) -> pd.DataFrame:
    """A table from CSV, with the column types of another table.

    CSV does not distinguish null from a word, nor a name from a number: a system may be called `1` or `null`.
    """
    known = kinds.dtypes.drop("non_finite", errors="ignore").to_dict() | dict.fromkeys((*WORDS, OVER), "string")
    return pd.read_csv(file, dtype=known, keep_default_na=False, na_values=[""])
