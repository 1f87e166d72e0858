"""Which shipped data sheets follow a law, and where they have its numbers from."""

from __future__ import annotations

from typing import Any, NamedTuple

from hwsim import documents
from hwsim.config import hardware
from hwsim.guide.constants import constants
from hwsim.guide.keys import Section

_DEVICE = "machine.device."


class ShippedLaw(NamedTuple):
    """A shipped data sheet that follows a law, and the citations of the numbers that it gives to it."""

    sheet: str
    sources: tuple[str, ...]


def shipped_laws(section: Section, place: str) -> list[ShippedLaw]:
    """The shipped data sheets that have a section at a place, such as `machine.device.read_noise`."""
    if not place.startswith(_DEVICE):
        return []
    key, found = place.removeprefix(_DEVICE), []
    for name in hardware.names("devices"):
        document = hardware.inherited(documents.read(hardware.shelf("devices") / f"{name}.yaml"))
        value: Any = document.data
        for step in key.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if not isinstance(value, dict) or not follows(section, value.get("law")):
            continue
        rows = constants(document, document.data.get("sources", {}))
        cited = (row.source or row.key for row in rows if row.place.startswith(f"{key}.") and row.kind == "source")
        found.append(ShippedLaw(name, tuple(dict.fromkeys(cited))))
    return found


def follows(section: Section, law: str | None) -> bool:
    """Whether a mapping with such a `law`, or with none, is described by a section."""
    unsaid = {key.default for key in section.keys if key.name == "law"}
    return law_of(section) == law or (law is None and law_of(section) in unsaid)


def law_of(section: Section) -> str | None:
    """The value of `law` or `kind` that chooses a section among several; None if it is the only one."""
    kinds = (key.kind for key in section.keys if key.name in ("law", "kind") and key.default in (None, key.kind))
    return next((kind for kind in kinds if kind.isidentifier()), None)
