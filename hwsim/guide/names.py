"""What a name stands for, wherever one meets it: keys of files, what a file can name, and columns of tables."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from hwsim import documents
from hwsim.columns import COLUMNS, CURVES
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.errors import ConfigError
from hwsim.guide import choices, entries
from hwsim.guide.choices import Choice
from hwsim.guide.entries import Entry

_TABLES = {"table.csv of a study": COLUMNS, "metrics.csv of a run, curves.csv of a study": CURVES}


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
    choices: list[Choice]
    columns: list[ColumnOfTable]


def meanings(name: str) -> Meanings:
    """What has a name: a key, by its dotted name or its end; a rule, cell, task, machine or device; a column.

    What a file can name may stand behind the key that names it, such as `task.digits`.

    Raises:
        ConfigError: nothing has it; the message suggests the nearest name.
    """
    keys: list[Entry] = []
    with suppress(ConfigError):
        keys = entries.entries(name)
    every = choices.choices()
    *_, key, last = ["", *name.split(".")]
    named = [choice for choice in every if choice.name == last and key in ("", choice.where.partition(":")[0])]
    found = Meanings(keys, named, _columns(name))
    if any(found):
        return found
    if "." in name or name in NOT_MODELLED:
        entries.entries(name)  # which says where a dotted name goes wrong
    of_tables = (each for table in _TABLES.values() for each in table)
    known = sorted({*entries.names(), *(choice.name for choice in every), *of_tables})
    if not documents.nearest(name, known):
        raise ConfigError(
            f"nothing is called {documents.cut(repr(name))}; a name is a key, a column of a table, or what a file can "
            "name, and `hwsim devices` lists the latter"
        )
    raise ConfigError(documents.unknown("name", name, known))


def _columns(name: str) -> list[ColumnOfTable]:
    return [ColumnOfTable(name, tables, columns[name]) for tables, columns in _TABLES.items() if name in columns]
