"""What spikes cost on an event-driven machine: counts of events, energy, and the time of each step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import tee

import numpy as np

from hwsim.accounts import spikes as counted
from hwsim.accounts.events import PICO, Wiring, Work, ends
from hwsim.accounts.placement import Placement
from hwsim.accounts.spikes import Counter
from hwsim.results.event_cost import EventCost
from hwsim.units.event_cores import EventMachine

Block = np.ndarray | tuple[np.ndarray, np.ndarray | None]
"""Spikes of some steps, or spikes and which membranes were updated; `(steps, …, neurons)` each."""


def cost(
    machine: EventMachine,
    placement: Placement,
    blocks: Iterable[Block],
    timed: Sequence[int] = (0,),
    links: bool = True,
) -> EventCost:
    """Count, price and time a stream of spikes, which is read once and not kept.

    Args:
        blocks: activities `(steps, …, neurons)` of some steps at a time. Axes between are chips and sequences.
        timed: the sequences for which times are found, numbered through chips and sequences; the others are taken to
            be as long as these are on average. Without any, only counts and the energy of events are found.
        links: whether packets take hops and share links; otherwise cores alone take time.

    Raises:
        ValueError: an activity does not fit the placement.
    """
    counter = Counter(placement, machine.shape)
    found = EventCost(machine)
    stream = _accounted(found, counter, blocks)
    plain = machine.wiring(placement, None)
    meshed = machine.wiring(placement, counter.routes) if links and timed else plain
    with_links = bool(meshed.hops) and any(meshed.hops)
    copies = iter(tee(stream, max(1, len(timed) * (1 + with_links))))
    if not timed:
        for _ in next(copies):
            pass
        return found
    runs = []
    for sequence in timed:
        for wiring in (meshed, plain) if with_links else (plain,):
            runs.append(ends(wiring, machine.pace, _works(machine, counter, wiring, next(copies), sequence)))
    ended = np.array(list(zip(*runs, strict=True)), dtype=np.int64).reshape(-1, len(runs)).T
    each = ended[:: 1 + with_links]
    found.step_times = np.diff(each, axis=1, prepend=0) / PICO
    found.without_links = float(ended[with_links :: 1 + with_links, -1].mean()) / PICO if found.steps else 0.0
    if machine.pace.interval is not None:
        found.late = int((np.diff(each, axis=1, prepend=0) > machine.pace.interval).sum())
    return found


def _accounted(
    found: EventCost, counter: Counter, blocks: Iterable[Block]
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The blocks as `(steps, sequences, neurons)`, counted on their way."""
    neurons, homes = counter.placement.neurons, counter.placement.homes
    found.by_core = dict.fromkeys(np.flatnonzero(homes.sum(1)).tolist(), 0.0)
    for block in blocks:
        activity, updated = block if isinstance(block, tuple) else (block, None)
        for name, each in counter.totals(activity, updated).items():
            found.counts[name] = found.counts.get(name, 0.0) + float(each.sum())
            if name == counted.SPIKE:
                found.by_step += each.reshape(len(each), -1).sum(1).tolist()
        activity = activity.reshape(len(activity), -1, neurons)
        fired = homes @ activity.sum((0, 1), dtype=float)
        found.by_core = {core: spikes + float(fired[core]) for core, spikes in found.by_core.items()}
        found.steps, found.sequences = found.steps + len(activity), activity.shape[1]
        yield activity, None if updated is None else updated.reshape(activity.shape)


def _works(
    machine: EventMachine,
    counter: Counter,
    wiring: Wiring,
    blocks: Iterator[tuple[np.ndarray, np.ndarray | None]],
    sequence: int,
) -> Iterator[Work]:
    for activity, updated in blocks:
        of = None if updated is None else updated[:, sequence]
        yield from machine.works(counter, wiring, activity[:, sequence], of)
