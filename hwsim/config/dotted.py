"""Dotted keys: `network.layers.0.cell.r_min` names a place in a document, and puts a value there.

A step into a list is a number, the name of one of its items, or `*` for each of them. Where a step goes below a machine
or a device that stands there by name, what its file says is put in its place first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hwsim import documents
from hwsim.config import hardware
from hwsim.documents import Document, Mark, Place
from hwsim.errors import ConfigError

VARIED = "varied in a study"
"""What stands for the source of a constant that a study changes."""

_BY_NAME = ("machine", "like", "digital", "device", "references")


class Change(NamedTuple):
    """One value at one dotted key, and where the study says so."""

    key: str
    value: Any
    key_mark: Mark
    value_mark: Mark


Open = Callable[[Document, str], Document]
"""What a machine or device says that stands somewhere by name, and which of both it is."""


def read(part: Document, kind: str) -> Document:
    """The content of the file that a machine, device or set of references names, with that of those that it is like."""
    if kind == "references":
        return hardware.opened(part, "configs/references").part(("references",))
    return hardware.opened(part, "devices") if kind == "device" else hardware.inherited(part)


def mark(document: Document, place: Place) -> Mark:
    """Where in which file that stands which a place names, through the files of what stands there by name."""
    for depth, step in enumerate(place, 1):
        if step in _BY_NAME:
            part = document.part(place[:depth])
            if isinstance(part.data, str) or (isinstance(part.data, dict) and "like" in part.data):
                return mark(read(part, str(step)), place[depth:])
    found = document.problem(place, "")
    return Mark(found.file, found.line, found.column)


def changed(document: Document, changes: list[Change], read: Open = read) -> tuple[Document, list[str]]:
    """A copy of a document with all changes made, those that reach less deep first; and what is wrong with keys.

    Problems that are found in the copy later are said to be where the study asks for what is changed.
    """
    changes = sorted(changes, key=lambda change: change.key.count("."))
    result = Document(document.file, copy.deepcopy(document.data), dict(document.marks), dict(document.keys))
    messages = []
    for change in changes:
        try:
            for place in list(_places(result, change, read)):
                _put(result, place, change)
        except ConfigError as error:
            messages.append(str(error))
    return result, messages


def spelled_out(document: Document, kind: str = "", read: Open = read) -> Any:
    """The data of a document with the content of each machine and device in place of the path of its file."""
    data = document.data
    if isinstance(data, str) and kind in _BY_NAME and data.endswith((".yaml", ".yml")):
        return spelled_out(read(document, kind), "", read)
    if isinstance(data, dict):
        return {key: spelled_out(Document(document.file, value), key, read) for key, value in data.items()}
    if isinstance(data, list):
        return [spelled_out(Document(document.file, value), kind, read) for value in data]
    return data


def _places(document: Document, change: Change, read: Open) -> Iterator[Place]:
    """The places that a key names, with all that leads to them in the document."""

    def walk(data: Any, place: Place, steps: list[str]) -> Iterator[Place]:
        if not steps:
            yield place
            return
        if isinstance(data, str) or (isinstance(data, dict) and "like" in data):
            data = _opened(document, place, change, read)
        if isinstance(data, list):
            taken, numbers = _items(data, steps)
            if not numbers:
                names = [str(item["name"]) for item in data if isinstance(item, dict) and "name" in item]
                allowed = [*map(str, range(len(data))), *names, "*"]
                unknown = documents.unknown("item", steps[0], allowed)
                raise _refused(change, f"{_name(place)} has {len(data)} items; {unknown}")
            for number in numbers:
                yield from walk(data[number], (*place, number), steps[taken:])
        elif isinstance(data, dict):
            step, *rest = steps
            if rest and data.get(step) is None:
                _adopt(document, (*place, step), {}, change)
            yield from walk(data[step] if rest else data.get(step), (*place, step), rest)
        else:
            raise _refused(change, f"{_name(place)} is {data!r}, which has no {steps[0]!r} in it")

    yield from walk(document.data, (), change.key.split("."))


def _items(data: list[Any], steps: list[str]) -> tuple[int, list[int]]:
    """How many steps name items of a list, and which; names may contain dots."""
    if steps[0] == "*":
        return 1, list(range(len(data)))
    if steps[0].isdecimal():
        return 1, [int(steps[0])] if int(steps[0]) < len(data) else []
    for taken in range(len(steps), 0, -1):
        named = ".".join(steps[:taken])
        found = [number for number, item in enumerate(data) if isinstance(item, dict) and item.get("name") == named]
        if found:
            return taken, found
    return 1, []


def _opened(document: Document, place: Place, change: Change, read: Open) -> Any:
    """What the machine or device says that stands at a place by name, put there in full."""
    part, kind = document.part(place), str(place[-1])
    if kind not in _BY_NAME:
        raise _refused(change, f"{_name(place)} is {part.data!r}, which has no parts")
    whole = read(part, kind)
    _adopt(document, place, copy.deepcopy(spelled_out(whole, "", read)), change)
    document.marks.update({(*place, *inner): mark for inner, mark in whole.marks.items() if inner})
    document.keys.update({(*place, *inner): mark for inner, mark in whole.keys.items()})
    return _at(document.data, place)


def _put(document: Document, place: Place, change: Change) -> None:
    there = _at(document.data, place[:-1])
    before = there.get(place[-1]) if isinstance(there, dict) else there[place[-1]]
    if isinstance(before, dict) and "value" in before and not isinstance(change.value, dict):  # a constant
        there, place = before, (*place, "value")
    _adopt(document, place, copy.deepcopy(change.value), change)
    if isinstance(there, dict) and place[-1] == "value":
        if there.pop("source", None) is not None:
            there["assumed"] = VARIED
        there.pop("range", None)
    elif isinstance(there, dict) and isinstance(there.get("source"), str):
        there["source"] = f"{there['source'].removesuffix(f', {VARIED}')}, {VARIED}"


def _adopt(document: Document, place: Place, value: Any, change: Change) -> None:
    """Put a value at a place; whatever is wrong with it is wrong with the change."""
    for table in (document.marks, document.keys):
        for known in [known for known in table if known[: len(place)] == place]:
            del table[known]
    _at(document.data, place[:-1])[place[-1]] = value
    document.keys[place], document.marks[place] = change.key_mark, change.value_mark


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data


def _refused(change: Change, text: str) -> ConfigError:
    return documents.refuse([documents.Problem(*change.key_mark, f"{change.key}: {text}")])


def _name(place: Place) -> str:
    return ".".join(map(str, place)) or "the experiment"
