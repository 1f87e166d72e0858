"""The time of each step of an event-driven machine, found from its activities by discrete-event simulation.

A core first updates its neurons and sends their spikes, and takes in what it receives, after that or beside it. A link
carries packets one after another. A unit is done when its own work is, and not before the last of those that feed it,
and a link hands its last packet on one hop later:

    end = max(begin + work, latest end of its feeders + hop)

where the hop is that of a link, and a unit begins when the first of its feeders does. So this is the least time
that the loads of cores and links allow, the largest of several sums rather than their sum; packets that meet by chance
within a step are not seen. The next step begins for all cores together behind a barrier, at a fixed interval, or,
without either, for each core as soon as it has what the others sent, up to some steps ahead of the slowest.

There is one SimPy event for each core's sending and receiving, each link and each step; never one for a packet or a
synapse. Steps are taken from a stream, and times are integer picoseconds. Nothing of this calls back into values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import simpy

from hwsim.accounts.contention import Routes

PICO = 1e12


class Work(NamedTuple):
    """How long each unit is busy with one step, in picoseconds.

    Attributes:
        sends: of each used core, with updates of its neurons and with sending, `(cores,)`.
        receives: of each used core, with packets and synapses, `(cores,)`.
        links: of each link, `(links,)`; empty if links are left out.
    """

    sends: np.ndarray
    receives: np.ndarray
    links: np.ndarray


@dataclass(frozen=True)
class Wiring:
    """Which units wait for which.

    Attributes:
        used: the cores that hold neurons, or send or receive; they are numbered from 0 here, in this order.
        hops: how long a packet takes over each link, in picoseconds.
        feeds: `(from, to)` by the numbers of units.
    """

    used: tuple[int, ...]
    hops: tuple[int, ...] = ()
    feeds: frozenset[tuple[int, int]] = frozenset()

    @property
    def cores(self) -> int:
        """How many are used."""
        return len(self.used)

    def sends(self, core: int) -> int:
        """The number of the unit with which a core sends."""
        return core

    def receives(self, core: int) -> int:
        """The number of the unit with which a core receives."""
        return self.cores + core

    def carries(self, link: int) -> int:
        """The number of a link's unit."""
        return 2 * self.cores + link

    @property
    def units(self) -> int:
        """How many there are."""
        return 2 * self.cores + len(self.hops)

    @staticmethod
    def without_links(used: Sequence[int], pairs: Iterable[tuple[int, int]] = ()) -> Wiring:
        """Cores alone. Pairs `(origin, target)` matter only where steps have neither a barrier nor an interval."""
        at = {core: place for place, core in enumerate(used)}
        return Wiring(tuple(used), (), frozenset((at[one], len(at) + at[other]) for one, other in pairs))

    @staticmethod
    def with_links(used: Sequence[int], routes: Routes, hop: Callable[[int], int]) -> Wiring:
        """Cores and the links of all routes.

        Args:
            hop: how long a packet takes over a link, in picoseconds, by its number in the mesh.
        """
        at = {core: place for place, core in enumerate(used)}
        place_of = {link: place for place, link in enumerate(routes.links)}
        wiring = Wiring(tuple(used), tuple(hop(link) for link in routes.links))
        feeds: set[tuple[int, int]] = set()
        for (origin, target), route in zip(routes.pairs, routes.of_pairs, strict=True):
            over = (wiring.carries(place_of[link]) for link in route)
            feeds.update(pairwise([wiring.sends(at[origin]), *over, wiring.receives(at[target])]))
        return replace(wiring, feeds=frozenset(feeds))


class Pace(NamedTuple):
    """How one step follows another.

    Attributes:
        barrier: how long all cores take to agree that a step is done, in picoseconds; None without a barrier.
        interval: steps begin no closer than this, in picoseconds; None if they begin as soon as they can.
        while_sending: whether a core takes spikes in while it sends its own, rather than after that.
        ahead: how many steps a core may be ahead of the slowest, where they do not begin together.
    """

    barrier: int | None = None
    interval: int | None = None
    while_sending: bool = False
    ahead: int = 16

    @property
    def together(self) -> bool:
        """Whether all cores begin a step together."""
        return self.barrier is not None or self.interval is not None


def ends(wiring: Wiring, pace: Pace, works: Iterable[Work]) -> Iterator[int]:
    """When each step ends, in picoseconds from the start of the first; steps are taken from the stream as needed."""
    return _Simulation(wiring, pace, works).run()


class _Simulation:
    """One stream of steps: units count how many of their feeders are done, and take their time after the last."""

    def __init__(self, wiring: Wiring, pace: Pace, works: Iterable[Work]) -> None:
        self.env, self.wiring, self.pace, self.works = simpy.Environment(), wiring, pace, iter(works)
        self.feeds: list[list[int]] = [[] for _ in range(wiring.units)]
        own = {(wiring.sends(core), wiring.receives(core)) for core in range(wiring.cores)}
        for one, other in sorted(wiring.feeds | own):
            self.feeds[one].append(other)
        self.awaited = [0] * wiring.units
        for fed in self.feeds:
            for unit in fed:
                self.awaited[unit] += 1
        self.free = [0] * wiring.units
        """When each unit is done with the step before; it gets to know of steps in their order."""
        self.held: list[tuple[int, int]] = []
        """Steps and cores that are as far ahead as they may be."""
        self.complete = 0
        self.steps: dict[int, _Step] = {}
        self.taken, self.last = 0, False

    def run(self) -> Iterator[int]:
        number, ended = 0, 0
        step = self._step(0)
        if step is not None:
            self._all(step)
        while step is not None:
            while step.units_left:
                self.env.step()
            ended = max(ended, int(self.env.now))
            if self.pace.together:
                ended = self._released(number, ended)
            yield ended
            del self.steps[number]
            number = self.complete = number + 1
            step = self._step(number)
            self._go_on()
            if step is not None and self.pace.together:
                self.env.timeout(ended - int(self.env.now)).callbacks.append(partial(self._all, step))

    def _all(self, step: _Step, _: object = None) -> None:
        """All cores begin a step."""
        for core in range(self.wiring.cores):
            self._begin(step, self.wiring.sends(core))

    def _released(self, number: int, ended: int) -> int:
        """When the next step begins for all cores."""
        after = ended + (self.pace.barrier or 0)
        return after if self.pace.interval is None else max(after, (number + 1) * self.pace.interval)

    def _step(self, number: int) -> _Step | None:
        """A step that is under way, or the next one of the stream; None behind the last."""
        while number >= self.taken and not self.last:
            work = next(self.works, None)
            if work is None:
                self.last = True
            else:
                busy = np.concatenate([work.sends, work.receives, work.links])
                self.steps[self.taken] = _Step(self.taken, busy.tolist(), list(self.awaited))
                self.taken += 1
        return self.steps.get(number)

    def _begin(self, step: _Step, unit: int) -> None:
        """A unit begins its work, and with it those that take its packets in while it sends."""
        if unit in step.begun:
            return
        step.begun[unit] = int(self.env.now)
        if unit < self.wiring.cores and self.pace.while_sending:
            self._begin(step, self.wiring.receives(unit))
        if unit < self.wiring.cores or unit >= 2 * self.wiring.cores:
            for fed in self.feeds[unit]:
                if fed >= 2 * self.wiring.cores:
                    self._begin(step, fed)
        if not step.awaited[unit]:
            self._finish(step, unit)

    def _finish(self, step: _Step, unit: int) -> None:
        """All feeders of a unit are done: it takes what time its own work still needs."""
        now, link = int(self.env.now), unit - 2 * self.wiring.cores
        left = max(max(step.begun[unit], self.free[unit]) + step.work[unit] - now, 0)
        if link >= 0 and step.work[unit]:
            left = max(left, self.wiring.hops[link])  # the last packet that comes still takes its hop
        self.free[unit] = now + left
        self.env.timeout(left).callbacks.append(lambda _: self._done(step, unit))

    def _done(self, step: _Step, unit: int) -> None:
        step.units_left -= 1
        for fed in self.feeds[unit]:
            step.awaited[fed] -= 1
            if fed == self.wiring.receives(unit) and not self.pace.while_sending:
                self._begin(step, fed)
            elif not step.awaited[fed] and fed in step.begun:
                self._finish(step, fed)
        if not self.pace.together and self.wiring.cores <= unit < 2 * self.wiring.cores:
            self.held.append((step.number + 1, unit - self.wiring.cores))
            self._go_on()

    def _go_on(self) -> None:
        """Cores begin their next step if they are not too far ahead."""
        held, self.held = self.held, []
        for number, core in held:
            if number > self.complete + self.pace.ahead:
                self.held.append((number, core))
            elif (step := self._step(number)) is not None:
                self._begin(step, self.wiring.sends(core))


class _Step:
    """A step under way: what each unit has to do, for how many feeders it waits, and when it began."""

    def __init__(self, number: int, work: list[int], awaited: list[int]) -> None:
        self.number, self.work, self.awaited = number, work, awaited
        self.begun: dict[int, int] = {}
        self.units_left = len(work)
