"""The kinds of files that one can write: what each is called, how it is used, and the models that describe it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pydantic import BaseModel

from hwsim.config.experiment import Experiment
from hwsim.config.files import USES
from hwsim.config.study import Study
from hwsim.machines import MACHINES
from hwsim.physics import DataSheet
from hwsim.units.neuron_text import NeuronText
from hwsim.units.periphery import Periphery


class FileKind(NamedTuple):
    """A kind of file.

    Attributes:
        name: what files of the kind are called.
        models: gives the models of a whole file: one, or one of several.
        aliases: other names of the kind.
        new: the word for it in `hwsim new --kind`; None if that writes none.
        remark: what one has to know besides its keys.
    """

    name: str
    models: Callable[[], tuple[type[BaseModel], ...]]
    aliases: tuple[str, ...] = ()
    new: str | None = None
    remark: str = ""

    @property
    def used(self) -> str:
        """How a file of the kind is used."""
        return USES[self.name].format(file="FILE")


def _event_machine() -> tuple[type[BaseModel], ...]:
    from hwsim.units.event_cores import EventMachine  # it loads SciPy and SimPy, which other files do without

    return (EventMachine,)


def _event_network() -> tuple[type[BaseModel], ...]:
    from hwsim.config.event_network import Network

    return (Network,)


FILE_KINDS = (
    FileKind("experiment", lambda: (Experiment,), new="experiment"),
    FileKind("study", lambda: (Study,), new="study"),
    FileKind("machine", lambda: tuple(kind.Options for kind in MACHINES.values()), ("hardware",), "machine"),
    FileKind(
        "device",
        lambda: (DataSheet,),
        ("data sheet", "sheet"),
        "device",
        "A measurement can make one: `hwsim fit` fits tables of programmed and read conductances.",
    ),
    FileKind("periphery", lambda: (Periphery,), new="periphery"),
    FileKind("neuron", lambda: (NeuronText,), ("neuron circuit",), "neuron"),
    FileKind("event-driven machine", _event_machine, ("event driven machine", "event machine"), "event_driven"),
    FileKind(
        "network on cores",
        _event_network,
        ("events", "event network", "network"),
        "network",
        "SPIKES is a CSV file with the columns step, group and neuron: a row for each spike, in the order of steps.",
    ),
)
"""All kinds of files with keys, those that one begins with first."""
