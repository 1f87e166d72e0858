"""Dotted keys, such as `network.layers.0.cell.r_min`: they name places in a document, and set values there.

A step into a list is an index, the name of an item, or `*` for all items. A step may lead into a machine, a device or a
periphery that is given by name; the content of its file then replaces the name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hwsim import documents
from hwsim.config import hardware
from hwsim.documents import Document, Mark, Place
from hwsim.errors import ConfigError
from hwsim.quantities import same

VARIED = "varied in a study"
"""The reason of an assumed constant that a study has changed: its source does not hold any more."""

_SHELVES = {"device": "devices", "periphery": "configs/periphery", "neuron": "configs/neurons"}
"""The folders of shipped files of what is no machine, by the key that names them."""
_LIKE = "like"
_BY_NAME = ("machine", _LIKE, "digital", "references", *_SHELVES)


class KeyChange(NamedTuple):
    """A new value for a dotted key, and where both stand in the study's file."""

    key: str
    value: Any
    key_mark: Mark
    value_mark: Mark


Open = Callable[[Document, str], Document]
"""Takes a part that is given by name and its kind, such as `machine`; returns the content of its file."""


def content_of(part: Document, kind: str) -> Document:
    """The file of a machine, device, periphery or set of references by name, merged with those that it is `like`."""
    if kind == "references":
        return hardware.opened(part, "configs/references").part(("references",))
    return hardware.inherited(part, _SHELVES.get(kind, "configs/hardware"))


def mark(document: Document, place: Place) -> Mark:
    """The file, line and column of the value at a place; the place may lead into files that the document names."""
    for depth, step in enumerate(place, 1):
        if step in _BY_NAME:
            part = document.part(place[:depth])
            if isinstance(part.data, str) or (isinstance(part.data, dict) and _LIKE in part.data):
                return mark(content_of(part, str(step)), place[depth:])
    problem = document.problem(place, "")
    return Mark(problem.file, problem.line, problem.column)


def changed(document: Document, changes: list[KeyChange], content_of: Open = content_of) -> tuple[Document, list[str]]:
    """A copy of a document with all changes applied, shallow keys first; and the error messages for invalid keys.

    A machine or device that is `like` another keeps its own differences if `like` changes, so that comes first.
    Errors that are found later in a changed value point to the study's file.
    """
    changes = sorted(changes, key=lambda change: (change.key.count("."), not change.key.endswith(f".{_LIKE}")))
    result = document.copied()
    messages = []
    for change in changes:
        try:
            for place in list(_places(result, change, content_of)):
                _put(result, place, change)
        except ConfigError as error:
            messages.append(str(error))
    return result, messages


def value_of(document: Document, key: str, content_of: Open = content_of) -> Any:
    """What a dotted key names, the first if it names several; of a constant its value, None if nothing stands there.

    Raises:
        ConfigError: the key leads nowhere.
    """
    copied = document.copied()
    nowhere = Mark(document.file, 1, 1)
    places = list(_places(copied, KeyChange(key, None, nowhere, nowhere), content_of))
    if not places:
        return None
    place = places[0]
    within = _at(copied.data, place[:-1])
    value = within.get(place[-1]) if isinstance(within, dict) else within[place[-1]]
    return value["value"] if isinstance(value, dict) and "value" in value else value


def spelled_out(document: Document, kind: str = "", content_of: Open = content_of, trail: tuple[str, ...] = ()) -> Any:
    """The data of a document, with the path of each machine or device file replaced by the content of the file.

    Args:
        kind: the key that the data stands under.
        trail: the files that led to it.

    Raises:
        ConfigError: a file names itself as a part of it.
    """

    def walk(data: Any, place: Place, kind: str) -> Any:
        if isinstance(data, str) and kind in _BY_NAME and data.endswith((".yaml", ".yml")):
            part = document.part(place)
            whole = content_of(part, kind)
            if whole.file in trail:
                circle = " → ".join((*trail[trail.index(whole.file) :], whole.file))
                raise documents.refuse([part.problem((), f"a file cannot be part of itself: {circle}")])
            return spelled_out(whole, "", content_of, (*trail, whole.file))
        if isinstance(data, dict):
            return {key: walk(value, (*place, key), str(key)) for key, value in data.items()}
        if isinstance(data, list):
            return [walk(value, (*place, number), kind) for number, value in enumerate(data)]
        return data

    return walk(document.data, (), kind)


def _places(document: Document, change: KeyChange, content_of: Open) -> Iterator[Place]:
    """The places that a key names; missing mappings on the way to them are added to the document."""

    def walk(data: Any, place: Place, steps: list[str]) -> Iterator[Place]:
        if not steps:
            yield place
            return
        named = place and place[-1] in _BY_NAME
        base = named and steps == [_LIKE]
        if base and isinstance(data, str):
            raise _refused(change, f"{_name(place)} is given by its name, {data!r}; set {_name(place)} itself")
        if isinstance(data, str) or (named and isinstance(data, dict) and _LIKE in data and not base):
            data = _opened(document, place, change, content_of)
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
    """The number of steps that select items of a list, and the indices of the items; names may contain dots."""
    if steps[0] == "*":
        return 1, list(range(len(data)))
    if steps[0].isdecimal():
        return 1, [int(steps[0])] if int(steps[0]) < len(data) else []
    for taken in range(len(steps), 0, -1):
        named = ".".join(steps[:taken])
        numbers = [number for number, item in enumerate(data) if isinstance(item, dict) and item.get("name") == named]
        if numbers:
            return taken, numbers
    return 1, []


def _opened(document: Document, place: Place, change: KeyChange, content_of: Open) -> Any:
    """The content of the machine or device that a place gives by name; it replaces the name in the document."""
    part, kind = document.part(place), str(place[-1])
    if kind not in _BY_NAME:
        raise _refused(change, f"{_name(place)} is {part.data!r}, which has no parts")
    whole = content_of(part, kind)
    _adopt(document, place, copy.deepcopy(spelled_out(whole, "", content_of)), change)
    document.marks.update({(*place, *inner): mark for inner, mark in whole.marks.items() if inner})
    document.keys.update({(*place, *inner): mark for inner, mark in whole.keys.items()})
    return _at(document.data, place)


def _put(document: Document, place: Place, change: KeyChange) -> None:
    there = _at(document.data, place[:-1])
    before = there.get(place[-1]) if isinstance(there, dict) else there[place[-1]]
    is_constant = isinstance(before, dict) and "value" in before and len(before) > 1  # it has a source, too
    if before is not None and is_constant and not isinstance(change.value, dict):
        if same(change.value, before["value"]):
            return  # it keeps its source
        there, place = before, (*place, "value")
    _adopt(document, place, copy.deepcopy(change.value), change)
    if isinstance(there, dict) and place[-1] == "value":
        if there.pop("source", None) is not None:
            there["assumed"] = VARIED
        there.pop("range", None)
    elif isinstance(there, dict) and isinstance(there.get("source"), str):
        there["source"] = f"{there['source'].removesuffix(f', {VARIED}')}, {VARIED}"


def _adopt(document: Document, place: Place, value: Any, change: KeyChange) -> None:
    """Set a value at a place; errors in it are reported at the change."""
    for table in (document.marks, document.keys):
        for known in [known for known in table if known[: len(place)] == place]:
            del table[known]
    _at(document.data, place[:-1])[place[-1]] = value
    document.keys[place], document.marks[place] = change.key_mark, change.value_mark


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data


def _refused(change: KeyChange, text: str) -> ConfigError:
    return documents.refuse([documents.Problem(*change.key_mark, f"{change.key}: {text}")])


def _name(place: Place) -> str:
    return ".".join(map(str, place)) or "the experiment"
