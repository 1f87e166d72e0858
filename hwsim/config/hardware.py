"""Files of machines, devices and peripheries: looked up by name, and merged with the files that they are `like`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hwsim import documents
from hwsim.documents import Document, Place
from hwsim.machines import MACHINES
from hwsim.physics import DataSheet
from hwsim.quantities import located
from hwsim.units.periphery import Periphery

_CALLED = {"devices": "device", "configs/periphery": "periphery", "configs/references": "set of references"}
"""What a file in each folder describes; files in other folders describe machines."""
_BY_KEY = {
    "conductance": "data sheet",
    "driver": "periphery",
    "kind": "machine",
    "like": "machine",
    "experiment": "study",
}
"""The kind of a document, by a key that only this kind has."""
_PACKAGE = Path(__file__).resolve().parents[1]


def shelf(kind: str) -> Path:
    """The folder of shipped files of a kind: `configs/hardware`, `configs/experiments` or `devices`."""
    installed, checkout = _PACKAGE / "shipped" / kind, _PACKAGE.parent / kind
    return installed if installed.is_dir() else checkout


def names(kind: str) -> list[str]:
    """The shipped files of a kind, by name."""
    return sorted(path.stem for path in shelf(kind).glob("*.yaml"))


def kind_of(document: Document) -> str:
    """What a document is, by its keys: a `"data sheet"`, `"periphery"`, `"machine"`, `"study"` or `"experiment"`."""
    keys = set(document.data) if isinstance(document.data, dict) else set()
    return next((kind for key, kind in _BY_KEY.items() if key in keys), "experiment")


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
    """The data sheet of a device. The document is its name, a path, or the sheet itself."""
    document = opened(document, "devices")
    if not isinstance(document.data, dict):
        raise documents.refuse([document.problem((), "must be the name of a device, or a mapping")])
    sheet: DataSheet = _checked(DataSheet, document, [])
    return sheet


def periphery(document: Document) -> Periphery:
    """The periphery of a tile. The document is its name, a path, or the keys themselves."""
    document = opened(document, "configs/periphery")
    if not isinstance(document.data, dict):
        raise documents.refuse([document.problem((), "must be the name of a periphery, or a mapping")])
    checked: Periphery = _checked(Periphery, document, [])
    return checked


def _digital(document: Document) -> Any:
    """The options of a machine that must be digital."""
    unit = inherited(document)
    kind = unit.data.get("kind")
    if isinstance(kind, str) and kind in MACHINES and kind != "digital":
        raise documents.refuse([document.problem((), f"must be a machine of the kind 'digital', not {kind!r}")])
    return machine(unit)


def inherited(document: Document, trail: tuple[Path, ...] = ()) -> Document:
    """The document merged over the one that it is `like`; `trail` lists the files that led to it."""
    named = opened(document, "configs/hardware")
    if named is not document:
        path = Path(named.file).resolve()
        if path in trail:
            circle = " → ".join(step.name for step in (*trail[trail.index(path) :], path))
            raise documents.refuse([document.problem((), f"a machine cannot be like itself: {circle}")])
        trail = (*trail, path)
    document = named
    if not isinstance(document.data, dict):
        raise documents.refuse([document.problem((), "must be the name of a machine, or a mapping")])
    if "like" not in document.data:
        return document
    return document.without("like").over(inherited(document.part(("like",)), trail))


def opened(document: Document, kind: str) -> Document:
    """The document itself, or the file that it names."""
    name = document.data
    if not isinstance(name, str):
        return document
    path = Path(document.file).parent / name if name.endswith((".yaml", ".yml")) else shelf(kind) / f"{name}.yaml"
    if not path.is_file():
        what = _CALLED.get(kind, "machine")
        if name.endswith((".yaml", ".yml")):
            beside = [file.name for file in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
            close = documents.nearest(path.name, beside)
            hint = f"; did you mean {str(path.with_name(close[0]))!r}?" if close else ""
            text = f"no file {str(path)!r}{hint}"
        else:
            text = documents.unknown(what, name, names(kind))
        raise documents.refuse([document.problem((), text)])
    return documents.read(path)


def _checked(model: type[BaseModel], document: Document, messages: list[str], root: str = "") -> Any:
    """The document as a model whose constants know where they stand, and name listed sources.

    Raises an error if there are `messages` already.
    """
    checked = documents.collect(messages, lambda: documents.check(model, document))
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
