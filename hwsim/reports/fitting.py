"""Tables as narrow as a terminal: in parts of whole columns, with words broken only where they may be."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence

from rich.table import Table as RichTable

from hwsim.printing import Terminal
from hwsim.reports.tables import Table, TableCell, TableRow, printable

_HEADS, _HEAD = 2, 12
"""Lines that a heading may take before its column becomes wider, and letters that it may have in one line."""
_LABELS, _TIGHT, _LEAST = 0.45, 0.3, 20
"""Largest share of the width that labels may take before they are broken, the same where all columns fit so, and the
least number of letters."""
_CELL = 24
"""Letters from which a cell is broken, in a table that is too wide."""
_BREAKS = re.compile(r"(?<= )|(?<=[A-Za-z_*\]]\.)")


def put(table: Table, console: Terminal, drawn: Callable[[Table], RichTable] = printable, title: bool = False) -> None:
    """Print a table; one that is too wide continues below with its other columns, each whole.

    Args:
        drawn: makes it for the terminal.
        title: whether the title is a line of its own.
    """
    for part in parts(table, console, drawn):
        if title:
            console.print(part.title, style="bold")
        console.print(drawn(part))


def parts(table: Table, console: Terminal, drawn: Callable[[Table], RichTable]) -> Iterator[Table]:
    """The table in parts that fit; each repeats the labels, and the columns that name a row.

    If these leave no room for a value, they become part of the label.
    """
    most, tight = (max(int(share * console.width), _LEAST) for share in (_LABELS, _TIGHT))

    def fits(made: Table, chosen: Sequence[int]) -> bool:
        unbounded = console.options.update(max_width=10_000)
        return console.measure(drawn(_chosen(made, chosen)), options=unbounded).maximum <= console.width

    narrower = (table, _broken(table, most), _folded(_broken(table, most)), _folded(_broken(table, tight)))
    made = next((each for each in narrower if fits(each, _values(each))), narrower[2])
    if made.keys and not all(fits(made, [column]) for column in _values(made)):
        made = _folded(_broken(_joined(table), most))
    chosen, first = list[int](), True
    for column in _values(made):
        if chosen and not fits(made, [*chosen, column]):
            yield _chosen(made, chosen, first)
            chosen, first = [], False
        chosen.append(column)
    if chosen or first:
        yield _chosen(made, chosen, first)


def _values(table: Table) -> range:
    """The columns behind those that name a row."""
    return range(table.keys, len(table.columns))


def broken(text: str, width: int) -> str:
    """Text in lines of at most so many letters: broken at spaces and behind the dots of a key, and in words that are
    longer.

    >>> print(broken("machine.device.read_noise", 16))
    machine.device.
    read_noise
    """
    lines = [""]
    for piece in _BREAKS.split(text):
        if len(lines[-1]) + len(piece.rstrip()) <= width:
            lines[-1] += piece
            continue
        lines += [piece[at : at + width] for at in range(0, len(piece), width)]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _broken(table: Table, most: int) -> Table:
    """The table with its headings and labels in lines."""
    rows = tuple(TableRow(broken(row.label, most), row.cells) for row in table.rows)
    heads = []
    for place, head in enumerate(table.columns):
        widest = max((len(str(row.cells[place])) for row in table.rows), default=0)
        heads.append(_heading(head, widest))
    return table._replace(rows=rows, columns=tuple(heads), corner=broken(table.corner, most))


def _folded(table: Table) -> Table:
    """The table with its long cells in lines."""
    rows = []
    for row in table.rows:
        cells = (c if len(str(c)) <= _CELL else c._replace(text=broken(str(c), _CELL), beside="") for c in row.cells)
        rows.append(TableRow(row.label, tuple(cells)))
    return table._replace(rows=tuple(rows))


def _heading(text: str, width: int) -> str:
    """A heading in few lines, none wider than the cells below it if possible."""
    longest = max(map(len, text.split()), default=1)
    for wide in range(max(longest, width, _HEAD), len(text) + 1):
        lines = textwrap.wrap(text, wide)
        if len(lines) <= _HEADS:
            return "\n".join(lines)
    return text


def _joined(table: Table) -> Table:
    """The table with the columns that name a row in its labels."""
    names, rows = table.columns[: table.keys], []
    for row in table.rows:
        point = [f"{name} {cell}" for name, cell in zip(names, row.cells, strict=False)]
        rows.append(TableRow(", ".join([row.label, *point]), row.cells[table.keys :]))
    return table._replace(columns=table.columns[table.keys :], rows=tuple(rows), keys=0)


def _chosen(table: Table, columns: Sequence[int], first: bool = True) -> Table:
    """Some of the columns, behind those that name a row."""
    places = [*range(table.keys), *columns]

    def cells(row: TableRow) -> tuple[TableCell, ...]:
        return tuple(row.cells[place] for place in places)

    return table._replace(
        title=table.title if first else f"{table.title}, continued",
        columns=tuple(table.columns[place] for place in places),
        rows=tuple(TableRow(row.label, cells(row)) for row in table.rows),
        total=table.total and TableRow(table.total.label, cells(table.total)),
    )
