"""A study folder, read back: what varied, the table of all trials, its summary, and the figures that were asked for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim import documents
from hwsim.config import grid
from hwsim.config.study import Figure
from hwsim.errors import HwsimError, ResultsError

STUDY = "study.yaml"
_NEEDED = ("table.parquet", "summary.csv")
TABLES = ("table.csv", "table.parquet", "summary.csv", "pairs.csv", "curves.csv")
"""What a study that is over may have found; the last two only where there is something to compare, and training."""


class StudyFolder(NamedTuple):
    """A study that is over.

    Attributes:
        path: where it is.
        study: what stands in `study.yaml`, as plain data.
        table: `table.parquet`: a row for each trial, system and chip.
        summary: `summary.csv`: a row for each point, system and quantity.
        figures: the drawings in `figures/`, by name.
        pairs: `pairs.csv`: each two systems compared within seeds; empty if there is none.
        curves: `curves.csv`: a row for each test of a training; empty if there is none.
    """

    path: Path
    study: dict[str, Any]
    table: pd.DataFrame
    summary: pd.DataFrame
    figures: dict[str, str]
    pairs: pd.DataFrame = pd.DataFrame()
    curves: pd.DataFrame = pd.DataFrame()

    def rows(self, figure: Figure) -> pd.DataFrame:
        """The table that a figure is about."""
        return self.curves if figure.over_training else self.table


def is_study(path: Path) -> bool:
    """Whether a folder says of itself that it is one of a study."""
    try:
        return (path / STUDY).is_file()
    except OSError:
        return False


def how_far(folder: Path) -> str | None:
    """How far a study is that is not finished, in words; None for one that is.

    Raises:
        ResultsError: what is there cannot be read.
    """
    if all((folder / name).is_file() for name in _NEEDED):
        return None
    trials = folder / "trials.sqlite"
    try:
        total = grid.load(folder / STUDY).trials
        with closing(sqlite3.connect(f"{trials.resolve().as_uri()}?mode=ro", uri=True, timeout=0)) as base:
            query = "SELECT COUNT(*), COALESCE(SUM(status = 'failed'), 0) FROM plan JOIN trials USING (id)"
            over, failed = base.execute(query).fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return f"{folder}: the study is not finished; a process is at work on it, and shows how far it is"
        raise ResultsError(f"{trials}: cannot be read: {error}") from None
    except sqlite3.Error as error:
        raise ResultsError(f"{trials}: cannot be read: {error}") from None
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    lost = f", {failed} of them failed" if failed else ""
    return (
        f"{folder}: the study is not finished; {over:,} of {total:,} trials are over{lost}; the command that began it "
        "goes on where it stopped"
    )


def read(path: str | Path) -> StudyFolder:
    """A study folder.

    Raises:
        ResultsError: it is not of a study, not finished, damaged, or may not be read.
    """
    folder = Path(path)
    try:
        if not is_study(folder):
            raise ResultsError(f"{folder} is not the folder of a study: it has no {STUDY}")
        missing = [name for name in _NEEDED if not (folder / name).is_file()]
        if missing:
            said = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
            raise ResultsError(
                f"{folder} is a study that is not finished: {said}; the command that began it goes on where it stopped"
            )
        study = documents.load(folder / STUDY).data
        table = pd.read_parquet(folder / "table.parquet")
        kinds = table.dtypes.drop("non_finite", errors="ignore").to_dict()  # CSV tells no null from a word
        summary, pairs, curves = (_table(folder / name, kinds) for name in ("summary.csv", "pairs.csv", "curves.csv"))
        figures = {each.stem: each.read_text(encoding="utf-8") for each in sorted(folder.glob("figures/*.svg"))}
    except OSError as error:
        raise ResultsError(f"{error.filename or folder}: cannot be read: {error.strerror}") from None
    except ResultsError:
        raise
    except HwsimError as error:
        raise ResultsError(str(error)) from None
    except ValueError as error:  # of pandas, and of bytes that are no text
        raise ResultsError(f"{folder}: a table or figure is damaged ({error})") from None
    lacking = {"system", "status"} - set(table) | {"system", "quantity", "median"} - set(summary)
    if lacking or not isinstance(study, dict):
        said = f"its tables lack {', '.join(sorted(lacking))}" if lacking else f"its {STUDY} is no mapping"
        raise ResultsError(f"{folder} is not the folder of a study: {said}")
    return StudyFolder(folder, study, table, summary, figures, pairs, curves)


def _table(path: Path, kinds: Any) -> pd.DataFrame:
    """A table with columns of these kinds, as far as it has them; an empty one if there is no such file."""
    if not path.is_file():
        return pd.DataFrame()
    return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
