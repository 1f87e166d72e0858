"""Tables in CSV files that a user gives: read in blocks of rows, and refused with the line of what should not be there.

The first line names the columns, in any order; others may stand beside those that are asked for. Commas, semicolons,
tabs or bars separate values, whichever of them the first line has, or spaces if it has none of these. Numbers have
decimal points; where commas do not separate values, they may have decimal commas instead, in the whole table. The text
is UTF-8, or UTF-16 that begins with its mark, as spreadsheets write it. Empty lines, and spaces around values, do not
count.
"""

from __future__ import annotations

import codecs
import csv
import os.path
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd

from hwsim.documents.check import cut, nearest
from hwsim.documents.document import Problem, refuse
from hwsim.documents.missing import missing
from hwsim.documents.reader import is_file
from hwsim.errors import ConfigError

BLOCK = 200_000
"""Rows that are read at once."""
_SAVE = "save the table as UTF-8, which spreadsheets call `CSV UTF-8`"
_SEPARATORS = ",;\t|"
_WHOLE = r"[0-9]{1,15}"
_NUMBER = r"[-+]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
_ELSEWHERE = {
    **dict.fromkeys(("source", "src", "pre", "presynaptic"), "from"),
    **dict.fromkeys(("target", "dest", "destination", "dst", "post", "postsynaptic"), "to"),
    **dict.fromkeys(("t", "time", "timestep", "time_step"), "step"),
    **dict.fromkeys(("population", "layer"), "group"),
    **dict.fromkeys(("id", "index", "unit", "neuron_id", "sender", "senders"), "neuron"),
}
"""The column that is meant, by its name in tables of other tools."""
_SHOWN = 5
"""Lines that a message names."""


class _Start(NamedTuple):
    """How a table begins.

    Attributes:
        path: as the user gave it.
        header: the names of the columns.
        line: where they stand.
        separator: between values.
        encoding: of the text.
    """

    path: Path
    header: list[str]
    line: int
    separator: str
    encoding: str


def header(path: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        ConfigError: the file cannot be read, or has no first line of names.
    """
    with _readable(path):
        return _started(path).header


def table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """A whole table, as `blocks_of` gives it.

    Raises:
        ConfigError: as for `blocks_of`.
    """
    blocks = list(blocks_of(path, columns))
    return (
        pd.concat(blocks) if blocks else pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    )


def blocks_of(path: Path, columns: Mapping[str, str], rows: int = BLOCK) -> Iterator[pd.DataFrame]:
    """A table in blocks of rows, whose index is the number of the line that a row stands in.

    Args:
        columns: what is asked for, by name: `int64`, a whole number from 0 on; `float64`, a finite number; or `str`.

    Raises:
        ConfigError: the file cannot be read, or lacks a column, or an entry is not of the column's type.
    """
    with _readable(path):
        start = _started(path)
        where = _found(start, columns)
        commas = None if start.separator != "," else False  # whether numbers have decimal commas; None: not seen yet
        for block in _texts(start, rows):
            given = {name: block[column] for name, column in where.items()}
            commas = _decimal(start, given, columns, commas)
            yield pd.DataFrame({name: _typed(path, name, each, columns[name], commas) for name, each in given.items()})


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Errors of reading in the words of hwsim."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(_undecoded(path)) from None


def _undecoded(path: Path) -> str:
    """Where a text is no UTF-8, and what to do."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            text = f"not UTF-8 (byte 0x{line[error.start]:02x}); {_SAVE}"
            return str(Problem(str(path), number, error.start + 1, text))
    return f"{path}: not UTF-8; {_SAVE}"


def _started(path: Path) -> _Start:
    """The first line of a table, and what it tells of the others."""
    if not is_file(path):
        raise ConfigError(f"{path}: is no regular file" if os.path.exists(path) else missing(path))
    with path.open("rb") as raw:
        marked = raw.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if marked else "utf-8-sig"
    with path.open(encoding=encoding) as stream:
        line, first = next(((line, text) for line, text in enumerate(stream, 1) if text.strip()), (1, ""))
    separator = max(_SEPARATORS, key=first.count)
    if separator not in first and " " in first.strip() and "(" not in first:
        separator = " "
    line_of_names = first.strip("\n")
    if separator == " ":
        line_of_names = " ".join(first.split())
    names = [name.strip() for name in next(csv.reader([line_of_names], delimiter=separator), [])]
    if not names:
        raise ConfigError(f"{path}: no CSV table: the file is empty; its first line names the columns")
    if "\0" in first:
        raise ConfigError(f"{path}: no CSV table: not a text in UTF-8; {_SAVE}")
    if all(pd.Series(names).str.fullmatch(_NUMBER)):
        _refuse(path, line, f"{cut(', '.join(names))}: numbers; the first line names the columns")
    return _Start(path, names, line, separator, encoding)


def _texts(start: _Start, rows: int) -> Iterator[pd.DataFrame]:
    """The values as texts, with columns by number and lines as index; empty lines are left out."""
    count = len(start.header)
    try:
        with pd.read_csv(
            start.path,
            sep=start.separator if start.separator != " " else r"\s+",
            encoding=start.encoding,
            header=None,
            names=range(count + 1),  # the last is empty, unless a line has more values than there are names
            index_col=False,
            skiprows=start.line,
            skip_blank_lines=False,
            skipinitialspace=start.separator != "\t",
            dtype="str",
            keep_default_na=False,
            chunksize=rows,
        ) as read:
            while (block := _next(read)) is not None:
                block.index += start.line + 1
                if len(more := block.index[block[count].str.strip() != ""]):
                    _too_many(start, int(more[0]))
                begun = block[0].str.strip() != ""
                if not begun.all():
                    begun |= block.apply(lambda each: each.str.strip() != "").any(axis=1)
                yield block[begun]
    except pd.errors.EmptyDataError:
        return
    except pd.errors.ParserError as error:
        if found := re.search(r"fields in line (\d+)", str(error)):
            _too_many(start, int(found[1]))
        if found := re.search(r"EOF inside string starting at row (\d+)", str(error)):
            _refuse(start.path, int(found[1]) + 1, "a quotation mark that is not closed")
        raise ConfigError(f"{start.path}: no CSV table: {str(error).strip()}") from None


def _next(read: Iterator[pd.DataFrame]) -> pd.DataFrame | None:
    with warnings.catch_warnings(action="ignore", category=pd.errors.ParserWarning):  # of lines that are too long
        return next(read, None)


def _too_many(start: _Start, line: int) -> NoReturn:
    hint = "; with decimal commas, separate values by semicolons" if start.separator == "," else ""
    text = f"more values than line {start.line} names columns, which are {len(start.header)}{hint}"
    _refuse(start.path, line, text)


def _found(start: _Start, columns: Mapping[str, str]) -> dict[str, int]:
    """Where the columns stand that are asked for."""
    needed, there = ", ".join(columns), cut(", ".join(start.header))
    for name in columns:
        if start.header.count(name) > 1:
            _refuse(start.path, start.line, f"the column {name!r} stands twice")
        if name not in start.header:
            others = [each for each in start.header if each not in columns]
            same = [each for each in others if _ELSEWHERE.get(each.lower()) == name]
            close = [f"is it {each!r}? Call it {name!r}; " for each in same[:1]]
            close = close or [f"did you mean {each!r}? " for each in nearest(name, others)]
            text = f"the column {name!r} is missing; {''.join(close)}needed: {needed}; there: {there}"
            _refuse(start.path, start.line, text)
    return {name: start.header.index(name) for name in columns}


def _decimal(
    start: _Start, given: Mapping[str, pd.Series], columns: Mapping[str, str], commas: bool | None
) -> bool | None:
    """Whether numbers have decimal commas; a table that has both is refused."""
    if start.separator == ",":
        return commas
    for name in (name for name, kind in columns.items() if kind == "float64"):
        for sign in (",", "."):
            has = given[name].index[given[name].str.contains(sign, regex=False)]
            if not len(has):
                continue
            if commas is None:
                commas = sign == ","
            if commas != (sign == ","):
                text = f"{name} {_cut(given[name][has[0]])}: decimal commas and decimal points in one table"
                _refuse(start.path, int(has[0]), text)
    return commas


def _typed(path: Path, name: str, given: pd.Series, kind: str, commas: bool | None) -> pd.Series:
    """A column as numbers of a kind, or as text."""
    given = given.str.strip()
    if kind == "str":
        return given
    whole = kind == "int64"
    fits = given.str.fullmatch(_WHOLE if whole else _NUMBER)
    if not whole and not commas:
        fits &= ~given.str.contains(",", regex=False)
    wrong = given.index[~fits.astype(bool)]
    if len(wrong):
        must = "must be a whole number, 0 or more" if whole else "must be a number"
        if any(given[wrong].str.casefold().isin(["", "nan", "na", "n/a", "none", "-"])):
            must += "; leave out lines that have none"
        more = ", ".join(map(str, wrong[1 : 1 + _SHOWN]))
        more = f"; the same in {len(wrong) - 1} more: line {more}{', …' if len(wrong) > 1 + _SHOWN else ''}"
        _refuse(path, int(wrong[0]), f"{name} {_cut(given[wrong[0]])}: {must}{more if len(wrong) > 1 else ''}")
    numbers = (given.str.replace(",", ".") if commas else given).astype(np.int64 if whole else np.float64)
    if not whole and (endless := numbers.index[~(numbers.abs() <= _LARGEST)]).size:
        _refuse(path, int(endless[0]), f"{name} {_cut(given[endless[0]])}: must be at most {_LARGEST:g} in size")
    return numbers


_LARGEST = 1e100
"""Size of numbers, so that products and ratios of a few of them are numbers, too."""


def _cut(value: str) -> str:
    return cut(repr(value))


def _refuse(path: Path, line: int, text: str) -> NoReturn:
    raise refuse([Problem(str(path), line, 1, text)])
