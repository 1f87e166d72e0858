"""The choices of a document on a terminal: a list of all, or the details of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from hwsim import documents
from hwsim.config import hardware
from hwsim.guide.choices import Choice, description
from hwsim.guide.constants import ListedConstant, constants
from hwsim.guide.entries import Entry
from hwsim.guide.keys import Section, sections
from hwsim.guide.kinds import FILE_KINDS, FileKind
from hwsim.guide.law_sources import law_of, shipped_laws
from hwsim.guide.mathematics import mathematics
from hwsim.guide.names import TABLES, ColumnOfTable, Meanings
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
    """Print the constants of a device or machine with their sources, or the keys of a rule, cell, task or optimizer.

    What a rule, cell, optimizer or task computes stands above its keys.
    """
    console.print(Text.assemble((choice.name, "bold"), f" ({choice.where}): {choice.text}"))
    if not isinstance(choice.origin, Path):
        _prose(mathematics(choice.origin).removeprefix(f"{choice.text}.").strip(), console)
        console.print(_keys(choice))
    elif not choice.where.startswith(("device", "machine")):
        console.print(choice.origin.read_text(encoding="utf-8"), end="", highlight=False, soft_wrap=True)
    else:
        _constants(choice, choice.origin, console)


def meanings(found: Meanings, console: Terminal) -> None:
    """Print everything that has a name; a section that several of its meanings lead to is printed once."""
    shown = set[str]()
    for each in found.keys:
        entry(each, console, shown)
    for kind in found.kinds:
        _kind(kind, console, shown)
    for described in found.sections:
        if described.section.title not in shown:
            shown.add(described.section.title)
            _section(described.section, described.places, console)
            console.print()
    for choice in found.choices:
        detail(choice, console)
    for each_column in found.columns:
        column(each_column, console)


def entry(found: Entry, console: Terminal, shown: set[str]) -> None:
    """Print the entry of a key: what it is for, its allowed values and its default, and what stands below it.

    Laws, of which there are few, stand below it in full, each with its mathematics; of many rules or cells, a line.

    Args:
        shown: the titles of sections that are on the page already; those of the entry are added.
    """
    key, section = found.key, found.section
    default = "required" if key.default is None else f"by default {key.default}"
    console.print(Text.assemble((found.place, "bold"), f" ({section.title}): {key.kind}; {default}"), soft_wrap=True)
    if key.text:
        console.print(Padding(key.text, (0, 0, 0, 1)), highlight=False)
    below = [each for each in found.below if each.title not in shown]
    if len(found.below) == 1:
        for each in below:
            _prose(each.text, console)
            console.print(_table(each))
            _law_sources(each, [found.place], console)
    elif found.below and all(map(law_of, found.below)) and len(found.below) <= _LAWS:
        for each in below:
            console.print()
            _section(each, [found.place], console)
    elif found.below:
        console.print(_one_of(found.below))
        console.print(" hwsim docs NAME shows the keys of one, and what it computes.")
    if len(found.below) <= _LAWS:
        shown.update(each.title for each in below)
    console.print()


_LAWS = 8
"""Largest number of sections that stand in full below the key that chooses one."""


def _one_of(sections: tuple[Section, ...]) -> Table:
    """A line for each of many sections that a key chooses from."""
    table = Table("one of", "what it is")
    for each in sections:
        table.add_row(each.title, each.text.partition("\n")[0])
    return table


def _kind(kind: FileKind, console: Terminal, shown: set[str]) -> None:
    """Print how a kind of file is used, how to begin one, and its keys."""
    console.print(Text.assemble((kind.name, "bold"), f" (a kind of file): {kind.used}"), soft_wrap=True)
    if kind.new is not None:
        console.print(f" `hwsim new --kind {kind.new}` writes one to start from, with a comment on each key.")
    if kind.remark:
        console.print(f" {kind.remark}")
    for first, *_ in _groups(kind):
        if first.title not in shown:
            shown.add(first.title)
            console.print()
            _section(first, (), console)
    below = list(dict.fromkeys(_below(kind)))
    if below:
        console.print(f" Below that: {', '.join(below)}. hwsim docs NAME shows each.")
    console.print()


def _below(kind: FileKind) -> Iterator[str]:
    """The titles of the sections of a kind of file below its first, without those that a name chooses, as rules."""
    for first, *rest in _groups(kind):
        yield from (each.title for each in rest if not each.title.startswith(_CHOSEN) and each.title != first.title)


def _groups(kind: FileKind) -> Iterator[list[Section]]:
    """The sections of each model of a kind of file, its own first."""
    for model in kind.models():
        yield next(iter(sections(model).values()))


_CHOSEN = ("rule ", "cell ", "task ", "encoder ", "optimizer ", "update scheme ", "machine ")
"""How the titles of sections begin that a name or a kind chooses."""


def overview(choices: list[Choice], console: Terminal) -> None:
    """Print what `hwsim docs` can be asked: kinds of files with their sections, what files name, columns of tables."""
    console.print(
        "hwsim docs NAME prints what a name stands for: a key of a file, by its dotted name or the end of it, such as "
        "machine.parts.ranges or ranges; or one of these."
    )
    below = {kind.name: list(dict.fromkeys(_below(kind))) for kind in FILE_KINDS}
    kinds = []
    for name, titles in below.items():
        smaller = {title for other in below.values() if len(other) < len(titles) for title in other}
        kinds.append((name, [title for title in titles if title not in smaller]))  # a data sheet is part of a machine
    named = [(where, [each.name for each in group]) for where, group in groupby(choices, lambda each: each.where)]
    tables = [(name, list(columns)) for name, columns in TABLES.items()]
    groups = ("kinds of files, and their sections", kinds), ("what files and commands name", named), ("columns", tables)
    for title, rows in groups:
        table = Table(title=title, title_style="bold", title_justify="left", box=None, show_header=False)
        table.add_column(max_width=30, overflow="fold")
        table.add_column()
        for head, names in rows:
            table.add_row(head, ", ".join(names))
        console.print()
        console.print(table)


def _section(section: Section, places: Sequence[str], console: Terminal) -> None:
    """Print a section: its mathematics or what it is, its keys, and where shipped files have its numbers from."""
    law = law_of(section)
    chosen = [f"law: {law}"] if law and any(key.name == "law" for key in section.keys) else []
    where = [f"at {', '.join(places[:_PLACES])}"] if places else []
    about = f" ({'; '.join([*chosen, *where])})" if chosen or where else ""
    console.print(Text.assemble((section.title, "bold"), about), soft_wrap=True)
    _prose(section.text, console)
    console.print(_table(section))
    _law_sources(section, places, console)


_PLACES = 3
"""Largest number of places of a section that are printed."""


def _law_sources(section: Section, places: Sequence[str], console: Terminal) -> None:
    """Print which shipped data sheets follow a law, and the sources of their numbers; nothing of other sections."""
    if not any(key.name in ("law", "source") for key in section.keys):
        return
    for place in places:
        for shipped in shipped_laws(section, place):
            sources = "; ".join(shipped.sources) or "assumed, or no numbers"
            console.print(Padding(f"{place.rpartition('.')[2]} of {shipped.sheet}: {sources}", (0, 0, 0, 1)))


def _prose(text: str, console: Terminal) -> None:
    """Print a docstring: the terminal breaks the lines of a paragraph; what stands indented keeps its lines."""
    if text:
        joined = re.sub(r"(?<!\n)\n(?![\n ])", " ", text)
        console.print(Padding(joined, (0, 0, 0, 1)), highlight=False)


def column(found: ColumnOfTable, console: Terminal) -> None:
    """Print what a column of a table of results is."""
    console.print(Text.assemble((found.name, "bold"), f" (column of {found.tables}): {found.text}"), soft_wrap=True)


def _constants(choice: Choice, path: Path, console: Terminal) -> None:
    folder = "devices" if choice.where.startswith("device") else "configs/hardware"
    document = hardware.inherited(documents.read(path), folder)
    what = description(document)
    if what and what != choice.text:
        console.print(Padding(what, (0, 0, 0, 1)))
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
