"""A study folder, read back: what varied, the table of all trials, its summary, and the figures that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim import documents
from hwsim.errors import HwsimError, ResultsError

STUDY = "study.yaml"
_TABLES = ("table.csv", "summary.csv")


class StudyFolder(NamedTuple):
    """A study that is over.

    Attributes:
        path: where it is.
        study: what stands in `study.yaml`, as plain data.
        table: `table.csv`: a row for each trial, system and chip.
        summary: `summary.csv`: a row for each point, system and quantity.
        figures: the drawings in `figures/`, by name.
    """

    path: Path
    study: dict[str, Any]
    table: pd.DataFrame
    summary: pd.DataFrame
    figures: dict[str, str]


def is_study(path: Path) -> bool:
    """Whether a folder says of itself that it is one of a study."""
    try:
        return (path / STUDY).is_file()
    except OSError:
        return False


def read(path: str | Path) -> StudyFolder:
    """A study folder.

    Raises:
        ResultsError: it is not of a study, not finished, damaged, or may not be read.
    """
    folder = Path(path)
    try:
        if not is_study(folder):
            raise ResultsError(f"{folder} is not the folder of a study: it has no {STUDY}")
        missing = [name for name in _TABLES if not (folder / name).is_file()]
        if missing:
            said = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
            raise ResultsError(
                f"{folder} is a study that is not finished: {said}; the command that began it goes on where it stopped"
            )
        study = documents.load(folder / STUDY).data
        table, summary = (pd.read_csv(folder / name) for name in _TABLES)
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
    return StudyFolder(folder, study, table, summary, figures)
