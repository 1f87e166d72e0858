"""What a name stands for, wherever one meets it: keys and sections of files, what files name, columns of tables."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from hwsim import documents
from hwsim.columns import COLUMNS, CURVES
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.errors import ConfigError
from hwsim.guide import choices, entries
from hwsim.guide.choices import Choice
from hwsim.guide.entries import Described, Entry
from hwsim.guide.kinds import FILE_KINDS, FileKind

TABLES = {"table.csv of a study": COLUMNS, "metrics.csv of a run, curves.csv of a study": CURVES}
"""The columns of tables of results, with their meanings."""


class ColumnOfTable(NamedTuple):
    """A column of a table of results.

    Attributes:
        name: its heading.
        tables: the files that have it.
        text: its meaning.
    """

    name: str
    tables: str
    text: str


class Meanings(NamedTuple):
    """Everything that has a name."""

    keys: list[Entry]
    kinds: list[FileKind]
    sections: list[Described]
    choices: list[Choice]
    columns: list[ColumnOfTable]


def meanings(name: str) -> Meanings:
    """What has a name: a key, by its dotted name or its end; a kind of file; a section of one, such as the law of a
    device; a rule, cell, task, machine or device; a column.

    What a file can name may stand behind the key that names it, such as `task.digits`, and a law behind its key, such
    as `read_noise.flicker`. A name that nothing has may be the singular or the plural of one, or a word of a title.

    Raises:
        ConfigError: nothing has it; the message suggests the nearest name.
    """
    name = "_".join(name.split())
    found = _named(name)
    if not any(found):
        near = (_named(each) for each in entries.numbers(name))
        found = next((each for each in near if any(each)), found)
        behind = _law(name) if "." in name else entries.akin(name)
        found = found._replace(sections=found.sections or behind)
    if any(found):
        return found
    if "." in name or name in NOT_MODELLED:
        entries.entries(name)  # which says where a dotted name goes wrong
    known = sorted({*entries.names(), *entries.titles(), *(choice.name for choice in choices.choices()), *_columns()})
    if not documents.nearest(name, known):
        raise ConfigError(
            f"nothing is called {documents.cut(repr(name))}; a name is a key or a section of a file, a column of a "
            "table, or what a file can name; `hwsim docs` lists what can be asked, and `hwsim devices` what a file can "
            "name"
        )
    raise ConfigError(documents.unknown("name", name, known))


def _named(name: str) -> Meanings:
    keys: list[Entry] = []
    with suppress(ConfigError):
        keys = entries.entries(name)
    *_, key, last = ["", *name.split(".")]
    named = [
        choice for choice in choices.choices() if choice.name == last and key in ("", choice.where.partition(":")[0])
    ]
    plain = name.replace("_", " ")
    kinds = [kind for kind in FILE_KINDS if plain in (kind.name, *kind.aliases)]
    columns = [ColumnOfTable(name, tables, columns[name]) for tables, columns in TABLES.items() if name in columns]
    return Meanings(keys, kinds, entries.described(name), named, columns)


def _law(name: str) -> list[Described]:
    """The section that a dotted name ends with, behind a key that may have it."""
    key, _, law = name.rpartition(".")
    known: list[Entry] = []
    with suppress(ConfigError):
        known = entries.entries(key)
    below = {section.title for entry in known for section in entry.below}
    return [each for each in entries.described(law) if each.section.title in below]


def _columns() -> list[str]:
    return [each for table in TABLES.values() for each in table]
