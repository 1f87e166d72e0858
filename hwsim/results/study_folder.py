"""A study folder, read back: what varied, the table of its trials, its summary, and the figures that were asked for.

Of a study that is not finished, what is known so far.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim import documents
from hwsim.config import grid
from hwsim.config.study import FigureOptions
from hwsim.errors import HwsimError, ResultsError
from hwsim.results.study import reader
from hwsim.results.study import table as tables
from hwsim.results.study.store import FILE, StudyProgress, Trials

STUDY = "study.yaml"
_OTHERS = (tables.SUMMARY, tables.PAIRS, tables.CURVES)
"""Tables beside the first."""


class StudyFolder(NamedTuple):
    """What a study found, or has found so far.

    Attributes:
        path: where it is.
        study: what stands in `study.yaml`, as plain data.
        table: `table.parquet`: a row for each trial, system and chip.
        summary: `summary.csv`: a row for each point, system and quantity.
        figures: the drawings in `figures/`, by name.
        pairs: `pairs.csv`: each two systems compared within seeds; empty if there is none.
        curves: `curves.csv`: a row for each test of a training; empty if there is none.
        progress: how many trials are over and how many of them failed, of how many; None once the study has written its
            tables. Until then, tables are what they would be if no other trial came.
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
        """What is implausible in what was asked; nothing where this version would not take it any more."""
        try:
            return grid.load_study(self.path / STUDY).doubts()
        except HwsimError:
            return []

    def rows(self, figure: FigureOptions) -> pd.DataFrame:
        """The table that a figure is about."""
        return self.curves if figure.over_training else self.table


def is_study(path: Path) -> bool:
    """Whether a folder says of itself that it is one of a study."""
    try:
        return (path / STUDY).is_file()
    except OSError:
        return False


def read(path: str | Path) -> StudyFolder:
    """A study folder; the study may be at work in it, or have been stopped. Nothing is written there.

    Raises:
        ResultsError: it is not of a study, damaged, or may not be read.
    """
    folder = Path(path)
    try:
        if not is_study(folder):
            raise ResultsError(f"{folder} is not the folder of a study: it has no {STUDY}")
        study = documents.load(folder / STUDY).data
        results = _finished(folder, study) or _so_far(folder, study)
    except OSError as error:
        raise ResultsError(f"{error.filename or folder}: cannot be read: {error.strerror}") from None
    except ResultsError:
        raise
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    except ValueError as error:  # of pandas, and of bytes that are no text
        raise ResultsError(f"{folder}: a table or figure is damaged ({error})") from None
    lacking = {"system", "status"} - set(results.table) | {"system", "quantity", "median"} - set(results.summary)
    if lacking or not isinstance(study, dict):
        said = f"its tables lack {', '.join(sorted(lacking))}" if lacking else f"its {STUDY} is no mapping"
        raise ResultsError(f"{folder} is not the folder of a study: {said}")
    return results


def _finished(folder: Path, study: Any) -> StudyFolder | None:
    """What stands in its tables, if they are there."""
    if not all((folder / name).is_file() for name in (tables.TYPED, tables.SUMMARY)):
        return None
    table = pd.read_parquet(folder / tables.TYPED)
    summary, pairs, curves = (
        _table(folder / name, table) if (folder / name).is_file() else pd.DataFrame() for name in _OTHERS
    )
    figures = {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("figures/*.svg"))}
    return StudyFolder(folder, study, table, summary, figures, pairs, curves)


def _so_far(folder: Path, study: Any) -> StudyFolder:
    """What is known of the trials that are over; drawings that lie there may be of others."""
    if not (folder / FILE).is_file():
        raise ResultsError(f"{folder} is a study without results: it has neither its tables nor {FILE}")
    asked = grid.load_study(folder / STUDY)

    def look(trials: Trials) -> tuple[StudyProgress, dict[str, pd.DataFrame]]:
        return StudyProgress.of(trials.count(), asked.trials), tables.tables(asked, trials)

    progress, frames = reader.read(folder / FILE, look)
    table = frames[tables.TABLE]
    files = (StringIO(frames[name].to_csv(index=False)) for name in _OTHERS)  # to be read as those of a finished study
    summary, pairs, curves = (_table(file, table) for file in files)
    return StudyFolder(folder, study, table, summary, {}, pairs, curves, progress)


def _table(file: Path | StringIO, kinds: pd.DataFrame) -> pd.DataFrame:
    """A table in CSV, with columns of the same kinds as those of another one; CSV tells no null from a word."""
    known = kinds.dtypes.drop("non_finite", errors="ignore").to_dict()
    return pd.read_csv(file, dtype=known, keep_default_na=False, na_values=[""])
