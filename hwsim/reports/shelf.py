"""The choices of a document on a terminal: a list of all, or the details of one."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from hwsim import documents
from hwsim.config import hardware
from hwsim.guide.choices import Choice
from hwsim.guide.constants import ListedConstant, constants
from hwsim.guide.entries import Entry
from hwsim.guide.keys import Section, sections
from hwsim.guide.names import ColumnOfTable
from hwsim.printing import Terminal


def show(choices: list[Choice], console: Terminal) -> None:
    """Print all names, each with a description, under the key that names them."""
    width = max(len(choice.name) for choice in choices)
    for where, group in groupby(choices, lambda choice: choice.where):
        table = Table(title=where, title_style="bold", title_justify="left", box=None, show_header=False)
        table.add_column(min_width=width, no_wrap=True)
        table.add_column()
        for choice in group:
            table.add_row(choice.name, choice.text)
        console.print(table)
        console.print()
    console.print("hwsim devices NAME shows the constants of a device or machine, or the keys of the others.")


def detail(choice: Choice, console: Terminal) -> None:
    """Print the constants of a device or machine with their sources, or the keys of a rule, cell, task or optimizer."""
    console.print(Text.assemble((choice.name, "bold"), f" ({choice.where}): {choice.text}"))
    if not isinstance(choice.origin, Path):
        console.print(_keys(choice))
    elif not choice.where.startswith(("device", "machine")):
        console.print(choice.origin.read_text(encoding="utf-8"), end="", highlight=False, soft_wrap=True)
    else:
        _constants(choice.origin, console)


def entry(found: Entry, console: Terminal) -> None:
    """Print the entry of a key: what it is for, its allowed values and its default, and the keys below it."""
    key, section = found.key, found.section
    default = "required" if key.default is None else f"by default {key.default}"
    console.print(Text.assemble((found.place, "bold"), f" ({section.title}): {key.kind}; {default}"), soft_wrap=True)
    if key.text:
        console.print(Padding(key.text, (0, 0, 0, 1)), highlight=False)
    if len(found.below) == 1:
        (below,) = found.below
        if below.text:
            text = re.sub(r"(?<!\n)\n(?!\n)", " ", below.text)  # the terminal breaks lines
            console.print(Padding(text, (0, 0, 0, 1)), highlight=False)
        console.print(_table(below))
    elif found.below:
        console.print(f" one of: {', '.join(each.title for each in found.below)}", highlight=False)
    console.print()


def column(found: ColumnOfTable, console: Terminal) -> None:
    """Print what a column of a table of results is."""
    console.print(Text.assemble((found.name, "bold"), f" (column of {found.tables}): {found.text}"), soft_wrap=True)


def _constants(path: Path, console: Terminal) -> None:
    document = hardware.inherited(documents.read(path))
    rows = constants(document, document.data.get("sources", {}))
    table = Table(Column("constant", overflow="fold"), "value", "source")
    for row in rows:
        value = f"{row.value} ({row.range})" if row.range else row.value
        table.add_row(row.place, value, _origin(row))
    if rows:
        console.print(table)
    for key, source in {row.key: row.source for row in rows if row.key}.items():
        console.print(Padding(f"{key}: {source}", (0, 0, 0, 1)), highlight=False)
    console.print(f" in {Path(*path.parts[-2:])}", highlight=False, soft_wrap=True)


def _origin(row: ListedConstant) -> str | Text:
    if row.kind == "source":
        return f"{row.key}, {row.because}" if row.because else row.key
    return Text.assemble((row.kind, "yellow"), f": {row.because}" if row.because else "")


def _keys(choice: Choice) -> Table:
    return _table(next(iter(sections(choice.origin.Options).values()))[0])  # type: ignore[union-attr]


def _table(section: Section) -> Table:
    table = Table("key", "allowed values", "default", "what it is for")
    for key in section.keys:
        default = "required" if key.default is None else key.default
        table.add_row(key.name, key.kind, default, key.text)
    return table
