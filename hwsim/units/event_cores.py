"""An event-driven machine: cores of spiking neurons on a mesh, and what each event costs in energy and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.accounts import spikes
from hwsim.accounts.contention import Mesh, Routes, along_x
from hwsim.accounts.energy import LEAKAGE, Account, Balance, Ledger, Price
from hwsim.accounts.events import PICO, Pace, Wiring, Work
from hwsim.accounts.placement import Placement
from hwsim.accounts.spikes import Counter
from hwsim.quantities import Constant, Count, Energy, Frequency, Power, Time
from hwsim.records import INFERENCE

Whole = Annotated[int, Field(ge=1)]


class Event(BaseModel, extra="forbid"):
    """What one event costs."""

    energy: Annotated[Constant[Energy] | None, Field(description="of one; without it, the total is unknown")] = None
    time: Annotated[Constant[Time] | None, Field(description="how long one keeps its core, or its link, busy")] = None
    cycles: Annotated[Constant[Count] | None, Field(description="the same in cycles of the clock")] = None

    @model_validator(mode="after")
    def _timed_once(self) -> Self:
        if self.time is not None and self.cycles is not None:
            raise ValueError("cycles: give either time or cycles, not both")
        return self


class Events(BaseModel, extra="forbid"):
    """What events cost. One that is left out takes no time; if it occurs all the same, the total is unknown."""

    idle: Annotated[Event, Field(description="a neuron in a step in which its membrane is not updated")] = Event()
    update: Annotated[Event, Field(description="a neuron in a step in which its membrane is updated")] = Event()
    spike: Annotated[Event, Field(description="a neuron that fires, besides its update")] = Event()
    packet: Annotated[Event, Field(description="a packet that is sent, one to each core that a spike reaches")] = (
        Event()
    )
    received: Annotated[Event, Field(description="a packet that is received, besides its synapses")] = Event()
    within_tile: Annotated[Event, Field(description="a packet that stays in its tile")] = Event()
    hop_x: Annotated[Event, Field(description="a packet over a link along x")] = Event()
    hop_y: Annotated[Event, Field(description="a packet over a link along y")] = Event()
    synapses: Annotated[
        dict[str, Event],
        Field(min_length=1, description="a synaptic operation, by kind of synapse; the first is the default"),
    ]

    def of(self, name: str) -> tuple[str, Event]:
        """The dotted key of an event that was counted, and its costs."""
        key = _KEYS.get(name)
        if key is not None:
            return f"events.{key}", getattr(self, key)
        kind = name.partition(", ")[2]
        return f"events.synapses.{kind}", self.synapses[kind]


_KEYS = {
    spikes.IDLE: "idle",
    spikes.UPDATE: "update",
    spikes.SPIKE: "spike",
    spikes.PACKET: "packet",
    spikes.RECEIVED: "received",
    spikes.WITHIN: "within_tile",
    spikes.HOP_X: "hop_x",
    spikes.HOP_Y: "hop_y",
}


class MeshOptions(BaseModel, extra="forbid"):
    """Tiles of cores in a rectangle, with a router each. Tiles are numbered along y first."""

    width: Annotated[Whole, Field(description="tiles along x")] = 1
    height: Annotated[Whole, Field(description="tiles along y")] = 1
    cores_per_tile: Annotated[Whole, Field(description="cores that share a router")] = 1


class Core(BaseModel, extra="forbid"):
    """What one core holds, and how it works."""

    neurons: Annotated[Whole | None, Field(description="largest number of neurons; null if it is not limited")] = None
    synapses: Annotated[Whole | None, Field(description="largest number of synapses; null if it is not limited")] = None
    receives_while_sending: Annotated[
        bool, Field(description="whether it takes spikes in while it sends its own, rather than after that")
    ] = False


class Steps(BaseModel, extra="forbid"):
    """How one step follows another. Without a barrier and an interval, cores run ahead of each other."""

    barrier: Annotated[
        Constant[Time] | None, Field(description="how long all cores take to agree that a step is done")
    ] = None
    interval: Annotated[Constant[Time] | None, Field(description="steps begin at least this far from each other")] = (
        None
    )
    ahead: Annotated[
        Whole, Field(description="steps that a core may be ahead of the slowest, where they do not begin together")
    ] = 16


class Clock(BaseModel, extra="forbid"):
    """A clock that runs all the time."""

    frequency: Annotated[Constant[Frequency], Field(description="cycles per second")]
    energy: Annotated[Constant[Energy] | None, Field(description="of a cycle, busy or not")] = None


class EventMachine(BaseModel, extra="forbid", title="Event-driven machine"):
    """A machine whose cores work when spikes come, and whose costs are counts of events times constants.

    Attributes:
        sources: citations by key, which constants name.
    """

    name: Annotated[str, Field(description="what tables call it")]
    what: Annotated[str, Field(description="what it is, in a line")] = ""
    sources: Annotated[dict[str, str], Field(description="citations by key; constants name them")] = {}
    mesh: Annotated[MeshOptions, Field(description="tiles and cores")] = MeshOptions()
    core: Annotated[Core, Field(description="what one core holds")] = Core()
    steps: Annotated[Steps, Field(description="how one step follows another")] = Steps()
    clock: Annotated[Clock | None, Field(description="a clock that runs all the time")] = None
    leakage: Annotated[Constant[Power] | None, Field(description="power of all of it, whether or not it works")] = None
    events: Annotated[Events, Field(description="what events cost")]

    @model_validator(mode="after")
    def _cycles_need_a_clock(self) -> Self:
        each = {**{key: getattr(self.events, key) for key in _KEYS.values()}, **self.events.synapses}
        in_cycles = [key for key, event in each.items() if event.cycles is not None]
        if in_cycles and self.clock is None:
            raise ValueError(f"events: {in_cycles[0]} takes cycles, so the machine needs a clock with a frequency")
        return self

    @property
    def shape(self) -> Mesh:
        """The mesh of its tiles."""
        return Mesh(self.mesh.width, self.mesh.height, self.mesh.cores_per_tile)

    @property
    def cores(self) -> int:
        """How many cores it has."""
        return self.shape.cores

    @property
    def default_synapse(self) -> str:
        """The kind of synapses that name none."""
        return next(iter(self.events.synapses))

    @property
    def pace(self) -> Pace:
        """How one step follows another, in picoseconds."""
        barrier, interval = (
            None if each is None else round(each.value * PICO) for each in (self.steps.barrier, self.steps.interval)
        )
        return Pace(barrier, interval, self.core.receives_while_sending, self.steps.ahead)

    def seconds(self, name: str) -> float:
        """How long an event keeps its core, or its link, busy."""
        event = self.events.of(name)[1]
        if event.cycles is not None:
            assert self.clock is not None, "options were checked"
            return event.cycles.value / self.clock.frequency.value
        return event.time.value if event.time is not None else 0.0

    def wiring(self, placement: Placement, routes: Routes | None) -> Wiring:
        """Which cores and links wait for which; without routes, cores alone."""
        if routes is not None:
            hops = [round(self.seconds(name) * PICO) for name in (spikes.HOP_X, spikes.HOP_Y)]
            return Wiring.with_links(placement.used, routes, lambda link: hops[not along_x(link)])
        if self.pace.together:
            return Wiring.without_links(placement.used)
        target, neuron = placement.packets.tocoo().coords
        pairs = set(zip(placement.core[neuron].tolist(), target.tolist(), strict=True))
        return Wiring.without_links(placement.used, pairs)

    def works(
        self, counter: Counter, wiring: Wiring, activity: np.ndarray, updated: np.ndarray | None
    ) -> Iterator[Work]:
        """How long each unit is busy with each step of one sequence.

        Args:
            activity, updated: `(steps, neurons)`.
        """
        of_cores = counter.by_core(activity, updated)
        used = list(wiring.used)
        busy = {name: each[:, used] * (self.seconds(name) * PICO) for name, each in of_cores.items()}
        sends = sum((busy.pop(name) for name in spikes.SENDING), np.zeros(()))
        receives = sum(busy.values(), np.zeros(()))
        links = np.zeros((len(activity), 0))
        if wiring.hops:
            links = counter.by_link(activity) * np.array(wiring.hops)
        for each in zip(sends, receives, links, strict=True):
            yield Work(*(np.rint(part).astype(np.int64) for part in each))

    def ledger(self, counts: Mapping[str, float], seconds: float, purpose: str = INFERENCE) -> Ledger:
        """The energy of events, and of what is drawn all the time.

        Args:
            counts: of each event.
            seconds: how long it all took.
        """
        ledger: Ledger = {}
        for name, count in counts.items():
            if name == spikes.INPUT or not count:
                continue
            key, event = self.events.of(name)
            price = Price(key, None) if event.energy is None else Price.of(event.energy)
            about = Account("all", purpose, _unit(name), name, _unit(name), price.name)
            ledger[about] = Balance(price, count)
        for component, price, amount in self._drawn(seconds):
            ledger[Account("all", LEAKAGE, component, LEAKAGE, component, price.name)] = Balance(price, amount)
        return ledger

    def _drawn(self, seconds: float) -> Iterator[tuple[str, Price, float]]:
        if self.leakage is not None:
            yield "static power", Price.of(self.leakage), seconds
        if self.clock is not None and self.clock.energy is not None:
            yield "clock", Price.of(self.clock.energy, self.clock.frequency), seconds


def _unit(name: str) -> str:
    """What spends the energy of an event."""
    if name in (spikes.IDLE, spikes.UPDATE, spikes.SPIKE):
        return "neurons"
    if name in (spikes.HOP_X, spikes.HOP_Y, spikes.WITHIN):
        return "mesh"
    return "packets" if name in (spikes.PACKET, spikes.RECEIVED) else "synapses"
