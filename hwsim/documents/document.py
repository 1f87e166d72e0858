"""Documents: plain data with the position of every key and value in its file."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

from hwsim.errors import ConfigError

Place = tuple[str | int, ...]


class Mark(NamedTuple):
    """A position in a file, counted from 1; text typed on the command line has line 0 and column 0."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a document: where, what, and what is allowed."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}" if self.line else f"{self.file}: {self.text}"


def refuse(problems: Iterable[Problem]) -> ConfigError:
    """An error that lists all problems, in the order of the document."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))
    return ConfigError("\n".join(map(str, ordered)))


class PartError(ValueError):
    """An error in one part of a model, raised by a validator of the whole model.

    Args:
        place: the keys that lead from the whole to the part.
    """

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(place, text)
        self.place, self.text = place, text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ByName:
    """Marks a part of a model that a document may give by name, or by its changes to one that it is `like`.

    The mark only affects the JSON schema: when a document is checked, the part itself has replaced its name.
    """

    like: bool = True

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        changed = [{"type": "object", "required": ["like"]}] if self.like else []
        return {"anyOf": [{"type": "string"}, *changed, handler(core)]}


@dataclass
class Document:
    """Plain data, with the place of every key and value in its file.

    Attributes:
        file: the name of the file, as the user gave it.
        data: nested dictionaries, lists and scalars.
        marks: where the value at each place stands; a place is the keys and indices that lead to it.
        keys: where the key itself stands, for places in dictionaries.
        lent: files among these that nobody has written for this document: problems are told where it differs from them.
    """

    file: str
    data: Any
    marks: dict[Place, Mark] = field(default_factory=dict)
    keys: dict[Place, Mark] = field(default_factory=dict)
    lent: frozenset[str] = frozenset()

    def copied(self, lent: frozenset[str] | None = None) -> Document:
        """The same with data of its own, which may be changed; with other files that are lent, if they are given."""
        lent = self.lent if lent is None else lent
        return Document(self.file, copy.deepcopy(self.data), dict(self.marks), dict(self.keys), lent)

    def problem(self, place: Place, text: str, at_key: bool = False) -> Problem:
        """A problem at a place, or at the nearest enclosing place that the file contains.

        What stands in a file that is `lent` is told at the nearest enclosing place outside of it, if there is one.
        """
        table = self.keys if at_key and place in self.keys else self.marks
        while place not in table and place:
            place = place[:-1]
        mark = table.get(place, Mark(self.file, 1, 1))
        if mark.file in self.lent:
            around = [self.marks[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self.marks]
            own = next((each for each in around if each.file not in self.lent), None)
            if own is not None:
                return Problem(*own, f"{text} (line {mark.line} of {PurePath(mark.file).stem}, which this is like)")
            if self.file not in self.lent:  # it has no lines, as what comes from Python
                return Problem(self.file, 1, 1, text)
        return Problem(*mark, text)

    def part(self, place: Place) -> Document:
        """The part of this document at a place, as part of the file in which it stands."""
        data, n = at(self.data, place), len(place)
        stands = self.marks.get(place)
        marks = {where[n:]: mark for where, mark in self.marks.items() if where[:n] == place}
        keys = {where[n:]: mark for where, mark in self.keys.items() if where[:n] == place and len(where) > n}
        return Document(stands.file if stands and stands.line else self.file, data, marks, keys, self.lent)

    def without(self, key: str) -> Document:
        """The document without one of its keys."""
        data = {name: value for name, value in self.data.items() if name != key}
        marks = {place: mark for place, mark in self.marks.items() if place[:1] != (key,)}
        return Document(self.file, data, marks, self.keys, self.lent)

    def over(self, base: Document) -> Document:
        """This document merged over another one: mappings key by key; constants and other values are replaced."""
        lent = self.lent | base.lent
        merged = Document(self.file, _merged(self.data, base.data), dict(base.marks), dict(base.keys), lent)
        for place in list(merged.marks):  # a replaced value loses the marks of its parts
            around = (place[:n] for n in range(len(place) + 1))
            replaced = any(
                part in self.marks and not _merges(at(self.data, part), at(base.data, part)) for part in around
            )
            if replaced:
                del merged.marks[place]
        merged.marks.update(self.marks)
        merged.keys.update(self.keys)
        return merged


def _merged(data: Any, base: Any) -> Any:
    if _merges(data, base):
        return {**base, **{key: _merged(value, base.get(key)) for key, value in data.items()}}
    return data


def _merges(data: Any, base: Any) -> bool:
    """Whether data is merged key by key: not a constant, which has a `value`, nor what follows another `law`."""
    if not isinstance(data, dict) or not isinstance(base, dict):
        return False
    return "value" not in data and data.get("law", base.get("law")) == base.get("law")


def at(data: Any, place: Place) -> Any:
    """What stands at a place of nested data."""
    for step in place:
        data = data[step]
    return data


def collect(messages: list[str], make: Callable[[], Any], stand_in: Callable[[], Any] = lambda: None) -> Any:
    """The result of `make`; if it raises a ConfigError, a valid stand-in, and the message is collected."""
    try:
        return make()
    except ConfigError as error:
        messages.append(str(error))
        return stand_in()


def complain(messages: list[str]) -> None:
    """Raise one error with all collected messages, if any: each problem once, the problems of a file in its order."""
    lines = list(dict.fromkeys(line for message in messages for line in message.splitlines()))
    files = list(dict.fromkeys(_position(line)[0] for line in lines))
    if lines:
        ordered = sorted(lines, key=lambda line: (files.index(_position(line)[0]), *_position(line)[1:]))
        raise ConfigError("\n".join(ordered))


def anywhere(message: str) -> str:
    """A list of problems without their positions, which does not depend on where the files are."""
    return re.sub(r"^.*?:\d+:\d+: ", "", message, flags=re.MULTILINE)


def _position(line: str) -> tuple[str, int, int]:
    """The file, line and column at the start of a problem's line."""
    match = re.match(r"(.*?):(\d+):(\d+): ", line)
    return (match[1], int(match[2]), int(match[3])) if match else ("", 0, 0)
