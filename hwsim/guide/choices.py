"""What a document can name: shipped files, and the rules, cells, tasks and optimizers that there are."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from hwsim import cells, documents, learning, tasks
from hwsim.config import hardware
from hwsim.errors import ConfigError
from hwsim.learning import optimizers

_LONG = 60
"""Characters of a sentence that is too long for a line."""


class Choice(NamedTuple):
    """One thing that can be named.

    Attributes:
        where: the key that names it, such as `machine: NAME`.
        name: as it is written.
        text: one line on it.
        origin: its file, or its module.
    """

    where: str
    name: str
    text: str
    origin: Path | ModuleType


_FILES = {
    "device: NAME": "devices",
    "periphery: NAME": "configs/periphery",
    "machine: NAME": "configs/hardware",
    "references: NAME": "configs/references",
    "hwsim run NAME": "configs/experiments",
    "hwsim study NAME": "configs/studies",
}
_MODULES = {
    "learning: {name: NAME}": learning.RULES,
    "cell: {name: NAME}": cells.CELLS,
    "task: {name: NAME}": tasks.TASKS,
    "optimizer: {name: NAME}": optimizers.OPTIMIZERS,
}


def choices() -> list[Choice]:
    """All of them, by the key that names them."""
    files = [
        Choice(
            where, name, _line(opening(hardware.shelf(kind) / f"{name}.yaml")), hardware.shelf(kind) / f"{name}.yaml"
        )
        for where, kind in _FILES.items()
        for name in hardware.names(kind)
    ]
    modules = [
        Choice(where, name, _line(str(module.__doc__)), module)
        for where, found in _MODULES.items()
        for name, module in found.items()
    ]
    return files + modules


def named(name: str) -> list[Choice]:
    """What has a name, or is the file of that path.

    Raises:
        ConfigError: there is no such thing; the nearest name is told.
    """
    if name.endswith((".yaml", ".yml")):
        keys = {"data sheet": "device", "periphery": "periphery"}
        where = f"{keys.get(hardware.kind_of(documents.load(name)), 'machine')}: FILE"
        return [Choice(where, name, _line(opening(Path(name))), Path(name))]
    found = [choice for choice in choices() if choice.name == name]
    if not found:
        raise ConfigError(documents.unknown("name", name, sorted({choice.name for choice in choices()})))
    return found


def opening(path: Path) -> str:
    """What a file says of itself in the comment that it begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:end])


def _line(text: str) -> str:
    """The first sentence, without its full stop; of a long one its beginning."""
    sentence = " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
    return sentence if len(sentence) < _LONG else re.split(r": | \(|, ", sentence)[0]
