"""Machines and devices by name: their files, found and put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hwsim import documents
from hwsim.documents import Document, Place
from hwsim.machine import MACHINES
from hwsim.physics import DataSheet
from hwsim.quantities import Constant

_PACKAGE = Path(__file__).resolve().parents[1]


def shelf(kind: str) -> Path:
    """The folder of shipped files of a kind: `configs/hardware`, `configs/experiments` or `devices`."""
    installed, checkout = _PACKAGE / "shipped" / kind, _PACKAGE.parent / kind
    return installed if installed.is_dir() else checkout


def names(kind: str) -> list[str]:
    """The shipped files of a kind, by name."""
    return sorted(path.stem for path in shelf(kind).glob("*.yaml"))


def machine(document: Document) -> Any:
    """The options of the machine that a document describes: its name, a path, or keys to change `like` another one.

    Raises:
        ConfigError: each problem with its place, in whichever file it stands.
    """
    document = inherited(document)
    kind = document.data.get("kind")
    if not isinstance(kind, str) or kind not in MACHINES:
        text = "kind is missing" if kind is None else documents.unknown("kind", str(kind), list(MACHINES))
        raise documents.refuse([document.problem(("kind",), text)])
    if kind == "crossbar":
        for key, load in (("device", device), ("digital", _digital)):
            if key in document.data:
                document.data[key] = load(document.part((key,)))
    options = documents.check(MACHINES[kind].Options, document)
    _check_sources(document, options, set(options.sources) if hasattr(options, "sources") else set())
    return options


def device(document: Document) -> DataSheet:
    """The data sheet of a device: its name, a path, or the sheet itself."""
    document = opened(document, "devices")
    if not isinstance(document.data, dict):
        raise documents.refuse([document.problem((), "must be the name of a device, or a mapping")])
    sheet: DataSheet = documents.check(DataSheet, document)
    _check_sources(document, sheet, set(sheet.sources))
    return sheet


def _digital(document: Document) -> Any:
    """The options of a machine that has to be a digital one."""
    unit = inherited(document)
    kind = unit.data.get("kind")
    if isinstance(kind, str) and kind in MACHINES and kind != "digital":
        raise documents.refuse([document.problem((), f"must be a machine of the kind 'digital', not {kind!r}")])
    return machine(unit)


def inherited(document: Document, trail: tuple[Path, ...] = ()) -> Document:
    """The document laid over the one that it is `like`; `trail` are the files that led to it."""
    found = opened(document, "configs/hardware")
    if found is not document:
        path = Path(found.file).resolve()
        if path in trail:
            circle = " → ".join(step.name for step in (*trail[trail.index(path) :], path))
            raise documents.refuse([document.problem((), f"a machine cannot be like itself: {circle}")])
        trail = (*trail, path)
    document = found
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
        what = "device" if kind == "devices" else "machine"
        text = (
            f"no file {str(path)!r}" if name.endswith((".yaml", ".yml")) else documents.unknown(what, name, names(kind))
        )
        raise documents.refuse([document.problem((), text)])
    return documents.load(path)


def _check_sources(document: Document, model: BaseModel, known: set[str]) -> None:
    """Every source that a constant names must be listed."""
    problems = []
    for place, source in _sources(model, ()):
        if source.split(",")[0].strip() not in known:
            text = documents.unknown("source", source.split(",")[0].strip(), sorted(known))
            problems.append(document.problem((*place, "source"), text))
    if problems:
        raise documents.refuse(problems)


def _sources(model: Any, place: Place) -> list[tuple[Place, str]]:
    """The sources named in a model, but not in the data sheets and machines inside it, which list their own."""
    if isinstance(model, dict):
        return [found for key, value in model.items() for found in _sources(value, (*place, key))]
    if not isinstance(model, BaseModel) or (place and hasattr(model, "sources")):
        return []
    if isinstance(model, Constant) or "source" in type(model).model_fields:
        return [(place, model.source)] if model.source is not None else []  # type: ignore[attr-defined]
    return [found for key in type(model).model_fields for found in _sources(getattr(model, key), (*place, key))]
