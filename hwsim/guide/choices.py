"""The choices that a document has: shipped files, and all rules, cells, tasks and optimizers."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from hwsim import cells, documents, learning, tasks
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.learning import optimizers, updates

_LONG = 60
"""Number of characters from which a sentence is too long for a line."""


class Choice(NamedTuple):
    """Something that a document can name.

    Attributes:
        where: the key that names it, such as `machine: NAME`.
        name: as it is written.
        text: its description, one line.
        origin: its file, or its module.
    """

    where: str
    name: str
    text: str
    origin: Path | ModuleType


_FILES = {
    "device: NAME": "devices",
    "periphery: NAME": "configs/periphery",
    "neuron: NAME": "configs/neurons",
    "machine: NAME": "configs/hardware",
    "hwsim events NAME NETWORK SPIKES": "configs/hardware/event_driven",
    "references: NAME": "configs/references",
    "hwsim run NAME": "configs/experiments",
    "hwsim study NAME": "configs/studies",
}
_MODULES = {
    "learning: {name: NAME}": learning.RULES,
    "cell: {name: NAME}": cells.CELLS,
    "task: {name: NAME}": tasks.TASKS,
    "encoder: {name: NAME}": tasks.encoders.ENCODERS,
    "optimizer: {name: NAME}": optimizers.OPTIMIZERS,
    "update: {name: NAME}": updates.UPDATES,
}


def choices() -> list[Choice]:
    """All choices, in the order of the keys that name them."""
    files = [
        Choice(
            where, name, _line(opening(hardware.shelf(kind) / f"{name}.yaml")), hardware.shelf(kind) / f"{name}.yaml"
        )
        for where, kind in _FILES.items()
        for name in hardware.names(kind)
    ]
    modules = [
        Choice(where, name, _line(str(module.__doc__)), module)
        for where, members in _MODULES.items()
        for name, module in members.items()
    ]
    return files + modules


def named(name: str) -> list[Choice]:
    """The choices with a name, or the file at a path.

    Raises:
        ConfigError: nothing has that name; the message suggests the nearest one.
    """
    if name.endswith((".yaml", ".yml")):
        document = documents.read(name)
        text = _line(opening(Path(name))) or description(document)
        return [Choice(f"{hardware.kind_of(document)}: FILE", name, text, Path(name))]
    matches = [choice for choice in choices() if choice.name == name]
    if not matches:
        raise ConfigError(documents.unknown("name", name, sorted({choice.name for choice in choices()})))
    return matches


def description(document: Document) -> str:
    """What a data sheet, a periphery, a neuron or a machine says that it is; empty if it does not say it."""
    what = document.data.get("what") if isinstance(document.data, dict) else None
    return what if isinstance(what, str) else ""


def opening(path: Path) -> str:
    """The comment at the start of a file, which describes it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:end])


def _line(text: str) -> str:
    """The first sentence, without its full stop; a long one is cut after a clause."""
    sentence = " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
    return sentence if len(sentence) < _LONG else re.split(r": | \(|, ", sentence)[0]
