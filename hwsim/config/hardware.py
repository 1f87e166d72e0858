"""Machines, devices, peripheries and neurons: documents merged with those that they are `like`, and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hwsim import documents
from hwsim.config.files import CALLED, kind_of, names, opened, shelf
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.documents import Document, Place
from hwsim.machines import MACHINES
from hwsim.physics import DataSheet
from hwsim.quantities import located
from hwsim.units.neuron_text import NeuronText
from hwsim.units.periphery import Periphery

if TYPE_CHECKING:
    from hwsim.units.event_cores import EventMachine

__all__ = [
    "device",
    "event_driven",
    "inherited",
    "kind_of",
    "machine",
    "names",
    "neuron",
    "opened",
    "periphery",
    "shelf",
]


def machine(document: Document, root: str = "") -> Any:
    """The options of a machine. The document is its name, a path, or the changes to the machine that it is `like`.

    Args:
        root: the dotted key of the machine, where it is part of an experiment; constants know theirs.

    Raises:
        ConfigError: each problem with its file, line and column.
    """
    document = inherited(document)
    kind = document.data.get("kind")
    if not isinstance(kind, str) or kind not in MACHINES:
        text = "kind is missing" if kind is None else documents.unknown("kind", str(kind), list(MACHINES))
        raise documents.refuse([document.problem(("kind",), text)])
    messages: list[str] = []
    options = MACHINES[kind].Options
    for key, options_of, stand_in in (
        ("device", device, "ideal"),
        ("periphery", periphery, "none"),
        ("digital", _digital, "digital_45nm"),
    ):
        if key in document.data and key in options.model_fields:
            make = partial(options_of, document.part((key,)))
            document.data[key] = documents.collect(messages, make, partial(options_of, Document(key, stand_in)))
    return _checked(options, document, messages, root)


def device(document: Document) -> DataSheet:
    """The data sheet of a device. The document is its name, a path, the sheet itself, or its changes to another one."""
    sheet: DataSheet = _checked(DataSheet, inherited(document, "devices"), [])
    return sheet


def periphery(document: Document) -> Periphery:
    """The periphery of a tile. The document is its name, a path, its keys, or its changes to another one."""
    checked: Periphery = _checked(Periphery, inherited(document, "configs/periphery"), [])
    return checked


def neuron(document: Document) -> NeuronText:
    """A neuron as text. The document is its name, a path, its keys, or its changes to another one.

    Raises:
        ConfigError: each problem with its file, line and column; of equations the line within them.
    """
    document = inherited(document, "configs/neurons")
    text: NeuronText = _checked(NeuronText, document, [])
    fault = text.fault()
    if fault is not None:
        place: Place = fault.place
        problem = document.problem(place, fault.text)
        if "\n" in str(document.data.get(place[0], "")):  # lines stand below their key
            problem = dataclasses.replace(problem, line=problem.line + 1 + fault.line, column=1)
        raise documents.refuse([problem])
    return text


def event_driven(document: Document) -> EventMachine:
    """An event-driven machine. The document is its name, a path, its keys, or its changes to another one."""
    from hwsim.units.event_cores import EventMachine  # it loads SciPy and SimPy, which other files do without

    checked: EventMachine = _checked(EventMachine, inherited(document, "configs/hardware/event_driven"), [])
    return checked


def _digital(document: Document) -> Any:
    """The options of a machine that must be digital."""
    unit = inherited(document)
    kind = unit.data.get("kind")
    if isinstance(kind, str) and kind in MACHINES and kind != "digital":
        raise documents.refuse([document.problem((), f"must be a machine of the kind 'digital', not {kind!r}")])
    return machine(unit)


def inherited(document: Document, kind: str = "configs/hardware", trail: tuple[Path, ...] = ()) -> Document:
    """The document merged over the one that it is `like`.

    Args:
        kind: the folder with the shipped files that it may name.
        trail: the files that led to it.
    """
    named, what = opened(document, kind), CALLED[kind]
    if named is not document:
        path = Path(named.file).resolve()
        if path in trail:
            circle = " → ".join(step.name for step in (*trail[trail.index(path) :], path))
            raise documents.refuse([document.problem((), f"a {what} cannot be like itself: {circle}")])
        trail = (*trail, path)
    if not isinstance(named.data, dict):
        raise documents.refuse([named.problem((), f"must be the name of a {what}, or a mapping")])
    if "like" not in named.data:
        return named
    base, changes = inherited(named.part(("like",)), kind, trail), named.without("like")
    _require_kind(changes, base)
    merged = changes.over(base)
    if changes.data and "name" not in changes.data:
        merged.data["name"] = _renamed(base, changes)
    return merged


def _require_kind(changes: Document, base: Document) -> None:
    """Refuse changes that make a kind of machine of one whose keys it does not have.

    Raises:
        ConfigError: they do.
    """
    kind, other = (each.data.get("kind") for each in (changes, base))
    if kind in MACHINES and other in MACHINES and not issubclass(MACHINES[kind].Options, MACHINES[other].Options):
        near = next((name for name in names("configs/hardware") if name.startswith(str(kind))), None)
        instead = f", or take one of that kind, such as `like: {near}`" if near else ""
        text = f"kind ({kind!r}): {base.data.get('name')} is of the kind {other!r}; leave out this key{instead}"
        raise documents.refuse([changes.problem(("kind",), text)])


def _renamed(base: Document, changes: Document) -> str:
    """What tables call something that differs from what it is `like`, where it has no name of its own."""
    name, device = base.data.get("name"), changes.data.get("device")
    if isinstance(device, dict):
        device = device.get("name")
    return f"{name} with {Path(device).stem}" if isinstance(device, str) else f"{name} (changed)"


def _checked(model: type[BaseModel], document: Document, messages: list[str], root: str = "") -> Any:
    """The document as a model whose constants know where they stand, and name listed sources.

    Raises an error if there are `messages` already.
    """
    checked = documents.collect(messages, lambda: documents.check(model, document, NOT_MODELLED))
    known = document.data.get("sources")
    if isinstance(known, dict):
        problems = []
        for place, source in _sources(document.data, ()):
            key = source.split(",")[0].strip()
            if key not in known:
                problems.append(document.problem(place, documents.unknown("source", key, sorted(known))))
        if problems:
            messages.append(str(documents.refuse(problems)))
    documents.complain(messages)
    return located(checked, root)


def _sources(data: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """The sources that a document names. Data sheets and machines inside it list their own, and are left out."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "source" and isinstance(value, str):
                yield (*place, key), value
            elif (*place, key) != ("sources",):
                yield from _sources(value, (*place, key))
