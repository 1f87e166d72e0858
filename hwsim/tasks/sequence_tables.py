"""Tables of sequences in CSV: a line is a step of a sequence, and the lines of a sequence stand together.

    sequence,step,x,y,label
    a,0,0.5,1.25,left
    a,1,0.75,1,left
    b,0,-1,2,right

Delimiters, decimal commas and encodings are those of all tables (see `hwsim.documents.table`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 50_000
"""Lines that are held at a time."""


class Piece(NamedTuple):
    """Lines of one sequence, all of them unless a block ends between.

    Attributes:
        path: of the table.
        name: of the sequence.
        first: the step of the first of these lines, counted from the start of the sequence.
        rows: the values by column; the index is the number of the line.
    """

    path: Path
    name: str
    first: int
    rows: pd.DataFrame

    def where(self, row: int) -> str:
        """The file and the line of one of the rows, as messages say it."""
        return f"{self.path}, line {self.rows.index[row]}"


def pieces(path: Path, columns: Mapping[str, str], sequence: str, step: str | None) -> Iterator[Piece]:
    """The sequences of a table, in their order.

    Args:
        columns: the kinds of columns, as for `blocks_of`.
        sequence, step: those that name the sequence, and count its steps.

    Raises:
        ConfigError: the table cannot be read, as for `blocks_of`.
        DataError: a sequence goes on after another one, or its steps do not follow each other.
    """
    from hwsim.documents.table import blocks_of  # it loads pandas, which other tasks do without

    seen, name, count, last = set[str](), "", 0, -1
    for block in blocks_of(path, columns, BLOCK):
        names = block[sequence].to_numpy()
        begins = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
        for start, stop in zip(begins, [*begins[1:], len(names)], strict=True):
            piece = Piece(path, str(names[start]), 0, block.iloc[start:stop])
            if not piece.name:
                raise DataError(f"{piece.where(0)}: {sequence} is empty; each line names the sequence that it is of")
            if not seen or piece.name != name:
                if piece.name in seen:
                    raise DataError(
                        f"{piece.where(0)}: {sequence} {piece.name!r} goes on after another one; its lines stand "
                        "together"
                    )
                seen.add(piece.name)
                name, count, last = piece.name, 0, -1
            if step is not None:
                last = _followed(piece, step, last)
            yield piece._replace(first=count)
            count += len(piece.rows)


def _followed(piece: Piece, step: str, last: int) -> int:
    """The last step of a piece, whose steps rise by one; a sequence may begin with any, `last` is -1 then."""
    steps = piece.rows[step].to_numpy()
    before = np.append(last if last >= 0 else steps[0] - 1, steps[:-1])
    if len(wrong := np.flatnonzero(steps != before + 1)):
        at = int(wrong[0])
        raise DataError(
            f"{piece.where(at)}: {step} {steps[at]} of {piece.name!r} follows {before[at]}; steps of a sequence rise "
            "by one from line to line"
        )
    return int(steps[-1])


def same(piece: Piece, column: str, expected: object) -> None:
    """Refuse a piece in which a column has another value than the one of its sequence.

    Raises:
        DataError: it has.
    """
    values = piece.rows[column].to_numpy()
    if len(other := np.flatnonzero(values != expected)):
        at = int(other[0])
        raise DataError(
            f"{piece.where(at)}: {column} {values[at]} in {piece.name!r}, whose {column} is {expected}; all lines of a "
            "sequence have the same"
        )
