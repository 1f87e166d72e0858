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

    Raises:
        ConfigError: nothing has it; the message suggests the nearest name.
    """
    keys: list[Entry] = []
    with suppress(ConfigError):
        keys = entries.entries(name)
    every = choices.choices()
    found = Meanings(keys, [choice for choice in every if choice.name == name], _columns(name))
    if any(found):
        return found
    if "." in name or name in NOT_MODELLED:
        entries.entries(name)  # which says where a dotted name goes wrong
    known = {
        *entries.names(),
        *(choice.name for choice in every),
        *(each for table in _TABLES.values() for each in table),
    }
    raise ConfigError(documents.unknown("name", name, sorted(known)))


def _columns(name: str) -> list[ColumnOfTable]:
    return [ColumnOfTable(name, tables, columns[name]) for tables, columns in _TABLES.items() if name in columns]
