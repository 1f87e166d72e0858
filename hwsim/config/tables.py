"""Tables in CSV files that a user gives: read in blocks, and refused with the line of what they should not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from hwsim import documents
from hwsim.documents import Problem
from hwsim.errors import ConfigError

BLOCK = 200_000
"""Rows that are read at once."""
_FOREIGN = {
    **dict.fromkeys(("source", "src", "pre", "presynaptic"), "from"),
    **dict.fromkeys(("target", "dest", "destination", "dst", "post", "postsynaptic"), "to"),
    **dict.fromkeys(("t", "time", "timestep", "time_step"), "step"),
    **dict.fromkeys(("population", "layer"), "group"),
    **dict.fromkeys(("id", "index", "unit", "neuron_id", "sender", "senders"), "neuron"),
}
"""The column that is meant, by its name in tables of other tools."""


def table(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    """A whole table.

    Raises:
        ConfigError: the file cannot be read, or lacks a column, or an entry is not of the column's type.
    """
    blocks = list(blocks_of(path, columns))
    return (
        pd.concat(blocks) if blocks else pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    )


def blocks_of(path: Path, columns: dict[str, str], rows: int = BLOCK) -> Iterator[pd.DataFrame]:
    """A table in blocks of rows; the index goes on from block to block, so that row i stands in line i + 2.

    Args:
        columns: `int64` or `str` by name.

    Raises:
        ConfigError: as for `table`.
    """
    try:
        with pd.read_csv(path, dtype=str, chunksize=rows, keep_default_na=False, skip_blank_lines=False) as read:
            for block in read:
                yield _typed(path, block, columns)
    except FileNotFoundError:
        raise ConfigError(f"no file {str(path)!r}") from None
    except (OSError, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ConfigError(f"{path}: no CSV table: {str(error).strip()}") from None


def _typed(path: Path, block: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    lacks = [name for name in columns if name not in block]
    if lacks:
        text = f"the column {lacks[0]!r} is missing; needed: {', '.join(columns)}; there: {', '.join(map(str, block))}"
        other = next((str(each) for each in block if _FOREIGN.get(str(each).strip().lower()) == lacks[0]), None)
        hint = "" if other is None else f"; is it {other!r}? Call it {lacks[0]!r}"
        raise documents.refuse([Problem(str(path), 1, 1, text + hint)])
    for name in (name for name, kind in columns.items() if kind == "int64"):
        wrong = block.index[~block[name].str.fullmatch(r" *[0-9]{1,15} *")]
        if len(wrong):
            text = f"{name} {documents.cut(repr(block[name][wrong[0]]))}: must be a whole number, 0 or more"
            raise documents.refuse([Problem(str(path), int(wrong[0]) + 2, 1, text)])
    return block[list(columns)].astype({name: kind for name, kind in columns.items() if kind == "int64"})
