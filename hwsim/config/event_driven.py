"""The event-driven machine that an experiment puts its spikes on, beside the machines that it learns on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from hwsim.config import hardware
from hwsim.documents import ByName, Document


class EventDriven(BaseModel, extra="forbid"):
    """What the spikes of the test would cost on an event-driven machine; it changes nothing else."""

    machine: Annotated[
        dict[str, Any],
        ByName(),
        Field(
            description="a machine in configs/hardware/event_driven/, by name, a path, or the changes to the one that "
            "it is `like`"
        ),
    ]
    neurons_per_core: Annotated[
        int | None,
        Field(
            ge=1,
            description="neurons on each core, at most; by default as many as a core holds. Each layer, and the "
            "outputs of each, begin on a core of their own, if the machine has enough of them; inputs enter at the "
            "first",
        ),
    ] = None


def written_out(document: Document) -> dict[str, Any]:
    """A document in full: a name, or a mapping with the machine under `machine`, whose file is put in its place.

    Raises:
        ConfigError: there is no such machine, or something is wrong with it.
    """
    named = isinstance(document.data, str) or "like" in document.data
    options = {} if named else dict(document.data)
    part = document if named else document.part(("machine",))
    hardware.event_driven(part)
    return {**options, "machine": hardware.inherited(part, "configs/hardware/event_driven").data}
