"""The limits folder: what limits a machine, read back as it was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hwsim import documents
from hwsim.errors import HwsimError, ResultsError
from hwsim.imperfection import Found
from hwsim.results import checksums
from hwsim.results.checksums import CHECKSUMS
from hwsim.results.limits import CHANGES, LOSS, MEASURES, Limits, Measured, Method, limit

LIMITS, VALUES, FIGURE = "limits.json", "values.csv", "limits.svg"
FILES = ("config.yaml", LIMITS, "limits.csv", VALUES, FIGURE)
"""Its files, besides the checksums."""


class LimitsFolder(NamedTuple):
    """What limits a machine, from its folder.

    Attributes:
        path: where it is.
        limits: what was found, as `hwsim.limits` gave it.
        says: the content of `limits.json`, as plain data.
        config: the content of `config.yaml`, as plain data.
        figure: the drawing.
    """

    path: Path
    limits: Limits
    says: dict[str, Any]
    config: dict[str, Any]
    figure: str

    def __repr__(self) -> str:
        return f"<LimitsFolder {self.path}: what limits {self.limits.machine} under {self.limits.rule}>"

    @property
    def table(self) -> pd.DataFrame:
        """`limits.csv`: a row per imperfection, change and measure."""
        return self.limits.table

    @property
    def values(self) -> pd.DataFrame:
        """`values.csv`: a row per machine, seed and chip."""
        return self.limits.values

    def _repr_html_(self) -> str:
        """What a notebook shows: the ranked table, its sentences and its figure."""
        from hwsim.reports import notebook  # when it is asked for: Matplotlib takes a second

        return notebook.shown(self)


def is_limits(path: Path) -> bool:
    """Whether a folder is one of limits."""
    try:
        return (path / LIMITS).is_file()
    except OSError:
        return False


def seal(folder: Path) -> None:
    """Write the checksums of a folder whose files are all there."""
    checksums.write(folder, FILES)


def read(path: str | Path) -> LimitsFolder:
    """The limits folder at a path; it must be complete and unchanged.

    Raises:
        ResultsError: it is not, or cannot be read.
    """
    folder = Path(path)
    missing = [name for name in (*FILES, CHECKSUMS) if not (folder / name).is_file()]
    if missing:
        raise ResultsError(f"{folder} is incomplete: {', '.join(missing)} is missing; {_again(folder)}")
    checksums.check(folder, FILES, _again(folder))
    try:
        says = json.loads((folder / LIMITS).read_text(encoding="utf-8"))
        config = documents.read(folder / "config.yaml").data
        values = pd.read_csv(folder / VALUES, dtype=str, keep_default_na=False)
        found = _found(says, values)
        if not isinstance(config, dict):
            raise TypeError("config.yaml is no mapping")
        figure = (folder / FIGURE).read_text(encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from None
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, HwsimError) as error:
        raise ResultsError(f"{folder}: what stands there does not fit together ({error}); {_again(folder)}") from None
    return LimitsFolder(folder, found, says, config, figure)


def _again(folder: Path) -> str:
    return f"find them again: hwsim limits {folder / 'config.yaml'}"


def _found(says: dict[str, Any], values: pd.DataFrame) -> Limits:
    """What was found, from what it is called and from all values.

    Raises:
        LookupError, TypeError, ValueError: they do not fit together.
    """
    method = Method(*(says[name] for name in Method._fields))
    shape = len(method.seeds), method.chips
    names = [measure.name for measure in MEASURES if measure.name in values]

    def measured(key: str, change: str) -> Measured | None:
        rows = values[(values["key"] == key) & (values["change"] == change)]
        if rows.empty:
            return None
        asked = [(str(seed), str(chip)) for seed in method.seeds for chip in range(method.chips)]
        if [*zip(rows["seed"], rows["chip"], strict=True)] != asked:
            raise ValueError(f"{VALUES} lacks seeds or chips of {key or 'the machine as it is'}")
        return {name: _numbers(rows[name]).reshape(shape) for name in names}

    base = measured("", "")
    if base is None or not base.keys() - {LOSS.name}:
        raise ValueError(f"{VALUES} has no values of the machine as it is")
    limits = []
    for each in says["imperfections"]:
        key = _text(each["key"])
        changed = {change: found for change in CHANGES if (found := measured(key, change)) is not None}
        named = Found(key, _text(each["name"]), _text(each["means"]), None, None, None, False)
        limits.append(limit(named, base, changed))
    absent = [_text(name) for name in says["absent"]]
    return Limits(_text(says["name"]), _text(says["rule"]), _text(says["machine"]), method, base, limits, absent)


def _numbers(column: pd.Series) -> np.ndarray:
    """The numbers of a column; NaN where it is empty, which is a chip that was lost."""
    return np.array([float(text or "nan") for text in column])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{LIMITS}: {documents.cut(repr(value))} is no text")
    return value
