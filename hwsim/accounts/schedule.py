"""The schedule: when each operation starts and ends in hardware time, by discrete-event simulation.

Units serve their operations in program order, one at a time, and so does each memory that several units use. An
operation starts when its unit and its memories are free, its operands are there, and the wire that it drives is free
again: a value stays on its wire until its readers are done with it, and its maker waits (back pressure). A register's
new value can be loaded once it is stored, and stored once the old one has been loaded; a register is a pair of cells
that take turns, so one drives its wires while the other is written. A step is issued with its first operation. Steps
overlap where none of this forbids it; a pass ends when all its operations have.

Times are integer picoseconds. Steps of one trace that meet units, registers and wires in the same state, relative to
their own issue, are scheduled alike, so each such meeting is simulated once; after a few steps a pass repeats itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import simpy

from hwsim.accounts.energy import Occupied
from hwsim.accounts.journal import Batch, Sweep
from hwsim.accounts.passes import Occurrence, Pass, Passes
from hwsim.accounts.runs import Runs
from hwsim.operations import moves
from hwsim.records import Record, Trace, slotless

Wire = tuple[str, str, str, int]
"""What drives it: unit, layer and kind of operation, and which one of these in the step it is."""


def drivers(trace: Trace) -> list[Wire]:
    """The wire that each record drives; the same ones in every trace, wherever in it the operation stands."""
    count: Counter[tuple[str, str, str]] = Counter()
    found = []
    for record in trace:
        what = record.unit, record.layer, record.kind
        found.append((*what, count[what]))
        count[what] += 1
    return found


class State(NamedTuple):
    """What is still busy when a step is issued, in picoseconds from then; what is free by then is left out.

    Attributes:
        units: `(unit or memory, when it has served what it was given)`.
        loaded, stored: `(storage, when it has last been loaded, or stored)`.
        wires: `(wire, when the readers of its value are done)`.
    """

    units: tuple[tuple[str, int], ...] = ()
    loaded: tuple[tuple[str, int], ...] = ()
    stored: tuple[tuple[str, int], ...] = ()
    wires: tuple[tuple[Wire, int], ...] = ()


class Span(NamedTuple):
    """When an operation starts and ends."""

    start: int
    end: int


class Scheduled(NamedTuple):
    """A step as it was scheduled, in picoseconds from the issue of the step before.

    Attributes:
        spans: of each record; the first one's start is this step's issue.
        end: when the last operation of the step ends.
        state: what the next step meets.
    """

    spans: tuple[Span, ...]
    end: int
    state: State

    @property
    def issue(self) -> int:
        return self.spans[0].start if self.spans else 0


Engine = Callable[[Trace, list[Occupied], State], list[Span]]
"""Schedules a trace whose records take so long, in a state; spans from the issue of the step before."""


def recursion(trace: Trace, occupied: list[Occupied], state: State) -> list[Span]:
    """The closed form: start = max(issue, unit free, memories free, operands there, storage ready, wire free)."""
    units, loaded, stored, wires = (dict(part) for part in state)
    spans: list[Span] = []
    for wire, record, (duration, _, memories) in zip(drivers(trace), trace, occupied, strict=True):
        start = max(spans[0].start if spans else 0, units.get(record.unit, 0))
        for memory, _ in memories:
            start = max(start, units.get(memory, 0))
        for operand in record.reads:
            start = max(start, spans[operand].end if isinstance(operand, int) else stored.get(operand, 0))
        if isinstance(record.writes, int):
            start = max(start, wires.get(wire, 0))
        else:
            start = max(start, loaded.get(record.writes, 0))
        span = Span(start, start + duration)
        spans.append(span)
        for memory, time in memories:
            units[memory] = start + time
        units[record.unit] = max(span.end, units.get(record.unit, 0))
        for operand in record.reads:
            if isinstance(operand, str):
                loaded[operand] = max(loaded.get(operand, 0), span.end)
    return spans


def simulation(trace: Trace, occupied: list[Occupied], state: State) -> list[Span]:
    """The same by SimPy: a process for each unit; it waits for the events that its next operation needs."""
    env = simpy.Environment()
    units, loaded, stored, wires = (dict(part) for part in state)
    issued, done = env.event(), [env.event() for _ in trace]
    released: list[dict[str, simpy.Event]] = [{} for _ in trace]
    spans = [Span(0, 0)] * len(trace)
    needs: list[list[simpy.Event]] = []
    work: dict[str, list[int]] = {}
    loads: dict[str, list[simpy.Event]] = {}
    served: dict[str, simpy.Event] = {}  # when a unit or memory is free again, so far
    driven = drivers(trace)
    for slot, record in enumerate(trace):
        free = wires.get(driven[slot], 0) if isinstance(record.writes, int) else loaded.get(record.writes, 0)
        events: list[simpy.Event] = [] if slot == 0 else [issued]
        if record.unit in served:  # as a memory by another one
            events.append(served[record.unit])
        for memory, _ in occupied[slot].memories:
            if memory != record.unit:
                if memory in served:
                    events.append(served[memory])
                else:
                    free = max(free, units.get(memory, 0))
                served[memory] = released[slot][memory] = env.event()
        served[record.unit] = done[slot]
        for operand in record.reads:
            if isinstance(operand, int):
                events.append(done[operand])
            else:
                free = max(free, stored.get(operand, 0))
        if free:  # what steps before have left busy; one event for all of it
            events.append(env.timeout(free))
        events += loads.get(record.writes, []) if isinstance(record.writes, str) else []
        for operand in record.reads:
            if isinstance(operand, str):
                loads.setdefault(operand, []).append(done[slot])
        needs.append(events)
        work.setdefault(record.unit, []).append(slot)

    def release(memory: simpy.Event, over: simpy.Event) -> None:
        memory.succeed()

    def serve(unit: str) -> Generator[simpy.Event, None, None]:
        yield env.timeout(units.get(unit, 0))
        for slot in work[unit]:
            for event in needs[slot]:  # in any order: the last one to come is waited for
                if not event.processed:
                    yield event
            start = int(env.now)
            if slot == 0:
                issued.succeed()
            for memory, time in occupied[slot].memories:
                if memory in released[slot]:
                    env.timeout(time).callbacks.append(partial(release, released[slot][memory]))
            yield env.timeout(occupied[slot].duration)
            spans[slot] = Span(start, int(env.now))
            done[slot].succeed()

    servers = {unit: env.process(serve(unit)) for unit in work}
    env.run()
    stuck = [unit for unit, server in servers.items() if server.is_alive]
    if stuck:  # SimPy ends quietly when everybody waits
        raise RuntimeError(f"these units wait for each other: {', '.join(stuck)}")
    return spans


def afterwards(trace: Trace, occupied: list[Occupied], spans: list[Span], state: State) -> State:
    """What the next step meets."""
    units, loaded, stored, wires = (dict(part) for part in state)
    issue, driven = spans[0].start if spans else 0, drivers(trace)
    for slot, (record, span) in enumerate(zip(trace, spans, strict=True)):
        units[record.unit] = max(units.get(record.unit, 0), span.end)
        for memory, time in occupied[slot].memories:
            units[memory] = max(units.get(memory, 0), span.start + time)
        for operand in record.reads:
            if isinstance(operand, int):
                wires[driven[operand]] = max(wires[driven[operand]], span.end)
            else:
                loaded[operand] = max(loaded.get(operand, 0), span.end)
        if isinstance(record.writes, int):
            wires[driven[slot]] = span.end
        else:
            stored[record.writes] = max(stored.get(record.writes, 0), span.end)

    def left(times: dict[Any, int]) -> tuple[Any, ...]:
        return tuple(sorted((what, time - issue) for what, time in times.items() if time > issue))

    return State(left(units), left(loaded), left(stored), left(wires))


@dataclass
class SweepTiming:
    """A pass or phase as it was scheduled, for one sequence, in picoseconds.

    Attributes:
        makespan: from the first issue to the end of the last operation.
        period: from issue to issue once the pass repeats itself, the mean of a round; for a single step, its makespan.
        busy: how long each unit, and each memory, worked.
        held: for each register, how long from the end of its store to the end of its next load, likewise.
        misses: how many steps had to be simulated.
    """

    makespan: int = 0
    period: float = 0
    busy: dict[str, int] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    misses: int = 0

    def settle(self, period: float, held: list[dict[str, int]]) -> None:
        """Enter what a round has shown, step by step, that goes on like this."""
        self.period = period
        for name in {name for step in held for name in step}:
            times = [step[name] for step in held if name in step]
            self.held[name] = sum(times) / len(times)


_LONGEST = 64
"""The most runs of a block that is looked for."""


def folded(runs: Runs) -> Iterator[tuple[Runs, int]]:
    """The runs as blocks of them that come so many times in a row."""
    at = 0
    while at < len(runs):
        length, times = 1, 1
        for size in range(1, min(_LONGEST, (len(runs) - at) // 2) + 1):
            if runs[at] == runs[at + size] and runs[at : at + size] == runs[at + size : at + 2 * size]:
                length = size
                while runs[at : at + size] == runs[at + times * size : at + (times + 1) * size]:
                    times += 1
                break
        yield Runs(runs[at : at + length]), times
        at += length * times


@dataclass
class _Way:
    """How far a sweep has been scheduled.

    Attributes:
        before: the latest issue.
        state: what the next step meets.
        longest: the longest run that has shown its pace.
        stored: when registers were stored that have not been loaded since.
        known: blocks that were scheduled, by where they began: in which state, and how long ago the registers were
            stored that they load.
    """

    pass_: Pass
    result: SweepTiming = field(default_factory=SweepTiming)
    before: int = 0
    state: State = field(default_factory=State)
    longest: int = 0
    stored: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[Runs, State, frozenset[tuple[str, int]]], _Block] = field(default_factory=dict)


class _Block(NamedTuple):
    """A block of runs as it was scheduled, in picoseconds from the issue of the step before.

    Attributes:
        issue: of its last step.
        end: when the last operation of the block ends.
        state: what the next step meets.
        stored: when each register was stored that it stores and does not load since.
        loaded: the other registers that it loads.
        period, held: as a sweep has them that ends with it, and in which no run has shown its pace.
    """

    issue: int
    end: int
    state: State
    stored: dict[str, int]
    loaded: frozenset[str]
    period: float
    held: dict[str, float]


class Scheduler:
    """Schedules passes, remembering every meeting of a trace with a state.

    Args:
        traces: the journal's traces.
        occupies: how long a record keeps its unit and memories busy where it stands.
        engine: how a step is scheduled: `simulation`, or `recursion`, which must agree.
        memoise: remember, and jump over what repeats; without it every step is scheduled.
        passes: of these traces, if they have been looked at.
    """

    def __init__(
        self,
        traces: list[Trace],
        occupies: Callable[[Record, Occurrence], Occupied],
        engine: Engine = simulation,
        memoise: bool = True,
        passes: Passes | None = None,
    ) -> None:
        self.traces, self.engine, self.memoise = traces, engine, memoise
        self._occupies, self._passes = occupies, passes or Passes(traces)
        self._occupied: dict[tuple[Pass, int], list[Occupied]] = {}
        self._times: dict[tuple[Record, Occurrence], Occupied] = {}
        self._known: dict[tuple[Pass, int, State], Scheduled] = {}
        self._sweeps: dict[Sweep, SweepTiming] = {}
        self._touched: dict[Runs, tuple[frozenset[str], frozenset[str]]] = {}

    def batch(self, batch: Batch) -> list[SweepTiming]:
        """All sweeps of a batch, for one sequence each."""
        return [self.sweep(sweep) for sweep in batch.sweeps]

    def sweep(self, sweep: Sweep) -> SweepTiming:
        """A whole sweep; a long run of equal steps takes no more work than its first ones."""
        if sweep not in self._sweeps:
            known = len(self._known)
            result = self._schedule(sweep)
            result.misses = len(self._known) - known
            self._sweeps[sweep] = result
        return self._sweeps[sweep]

    def steps(self, sweep: Sweep) -> Iterator[tuple[int, int, Scheduled]]:
        """Every step of a sweep: its trace, the issue of the step before it from the sweep's start, and its timing."""
        before, state, pass_ = 0, State(), self._passes.of(sweep)
        for trace, count in sweep.runs.flat:
            for _ in range(count):
                timing = self.step(pass_, trace, state)
                yield trace, before, timing
                before, state = before + timing.issue, timing.state

    def step(self, pass_: Pass, trace: int, state: State) -> Scheduled:
        """One step of a pass that meets `state`."""
        key = pass_, trace, state
        if not self.memoise or key not in self._known:
            records, occupied = self.traces[trace], self.occupied(pass_, trace)
            spans = self.engine(records, occupied, state)
            end = max((span.end for span in spans), default=0)
            timing = Scheduled(tuple(spans), end, afterwards(records, occupied, spans, state))
            if not self.memoise:
                return timing
            self._known[key] = timing
        return self._known[key]

    def occupied(self, pass_: Pass, trace: int) -> list[Occupied]:
        """How long each record of a trace keeps its unit and memories busy in a pass."""
        if (pass_, trace) not in self._occupied:
            found = self._occupied[pass_, trace] = []
            for record, where in zip(self.traces[trace], pass_.occurrences(trace), strict=True):
                key = slotless(record), where  # most records stand in several traces, or several times in one
                if key not in self._times:
                    self._times[key] = self._occupies(*key)
                found.append(self._times[key])
        return self._occupied[pass_, trace]

    def _schedule(self, sweep: Sweep) -> SweepTiming:
        way = _Way(self._passes.of(sweep))
        for trace, count in sweep.runs.steps.items():
            for record, occupied in zip(self.traces[trace], self.occupied(way.pass_, trace), strict=True):
                for name, time in occupied.busy(record.unit).items():
                    way.result.busy[name] = way.result.busy.get(name, 0) + time * count
        for block, times in folded(sweep.runs):
            self._blocks(way, block, times)
        return way.result

    def _blocks(self, way: _Way, block: Runs, times: int) -> None:
        """Schedule a block so many times, and jump over what repeats."""
        met: dict[State, tuple[int, int, int]] = {}
        done = 0
        while done < times:
            first, then, seen = met.get(way.state, (done, way.before, 0))
            if seen == 2 and self.memoise:
                rounds = (times - done) // (done - first)
                self._jump(way, block.steps, rounds * (way.before - then))
                done, met = done + rounds * (done - first), {}
                continue
            met[way.state] = done, way.before, min(seen + 1, 2)
            for what, count in block:
                if isinstance(what, int):
                    self._run(way, what, count)
                elif count == 1 and self.memoise:
                    self._block(way, what)
                else:
                    self._blocks(way, what, count)
            done += 1

    def _block(self, way: _Way, block: Runs) -> None:
        """Schedule a block once, if it was not met like this before."""
        _, loads = self._registers(block)
        ages = frozenset((name, way.before - way.stored[name]) for name in loads & way.stored.keys())
        met = block, way.state, ages
        known = way.known.get(met)
        if known is None:
            way.known[met] = self._scheduled(way, block)
            return
        for name in known.loaded:
            way.stored.pop(name, None)
        way.stored.update((name, way.before + time) for name, time in known.stored.items())
        way.result.makespan = max(way.result.makespan, way.before + known.end)
        if not way.longest:
            way.result.period, way.result.held = known.period, {**way.result.held, **known.held}
        way.before, way.state = way.before + known.issue, known.state

    def _scheduled(self, way: _Way, block: Runs) -> _Block:
        """Schedule a block, and what it came to."""
        before, result, ended = way.before, way.result, way.result.makespan
        result.makespan = before
        self._blocks(way, block, 1)
        end, result.makespan = result.makespan - before, max(result.makespan, ended)
        stores, loads = self._registers(block)
        stored = {name: way.stored[name] - before for name in stores & way.stored.keys()}
        held = {name: result.held[name] for name in loads & result.held.keys()}
        loaded = frozenset(loads - stored.keys())
        return _Block(way.before - before, end, way.state, stored, loaded, result.period, held)

    def _registers(self, block: Runs) -> tuple[frozenset[str], frozenset[str]]:
        """The storages that a block stores, and the registers that it loads."""
        if block not in self._touched:
            traces = [self.traces[trace] for trace in block.steps]
            self._touched[block] = frozenset().union(*map(_stores, traces)), frozenset().union(*map(_loads, traces))
        return self._touched[block]

    def _run(self, way: _Way, trace: int, count: int) -> None:
        """Schedule steps that are alike; a round in which all went on as in the one before shows the pace of a pass."""
        met: dict[State, tuple[int, int, int]] = {}
        held: list[dict[str, int]] = []
        position, result = 0, way.result
        while position < count:
            first, then, times = met.get(way.state, (position, way.before, 0))
            if times == 2:
                length, span = position - first, way.before - then
                if count > way.longest:
                    way.longest = count
                    result.settle(span / length, held[-length:])
                if self.memoise:
                    rounds = (count - position) // length
                    self._jump(way, [trace], rounds * span)
                    position, met = position + rounds * length, {}
                    continue
            met[way.state] = position, way.before, min(times + 1, 2)
            timing = self.step(way.pass_, trace, way.state)
            held.append(self._held(trace, timing, way.before, way.stored))
            result.makespan = max(result.makespan, way.before + timing.end)
            if not way.longest:
                result.period = timing.issue or result.period or timing.end
            result.held = {**held[-1], **result.held} if way.longest else {**result.held, **held[-1]}
            way.before, way.state, position = way.before + timing.issue, timing.state, position + 1

    def _jump(self, way: _Way, traces: Iterable[int], span: int) -> None:
        """Go on by a time in which steps of these traces are carried out over and over again."""
        for name in set().union(*(_stores(self.traces[trace]) for trace in traces)) & way.stored.keys():
            way.stored[name] += span
        way.result.makespan += span
        way.before += span

    def _held(self, trace: int, timing: Scheduled, before: int, stored: dict[str, int]) -> dict[str, int]:
        """How long the registers that a step loads were held; `stored` is brought to the end of the step."""
        held = {}
        for record, span in zip(self.traces[trace], timing.spans, strict=True):
            if record.kind == moves.load.kind and record.reads[0] in stored:
                held[str(record.reads[0])] = before + span.end - stored.pop(str(record.reads[0]))
        for record, span in zip(self.traces[trace], timing.spans, strict=True):
            if isinstance(record.writes, str):
                stored[record.writes] = before + span.end
        return held


def _stores(trace: Trace) -> set[str]:
    return {record.writes for record in trace if isinstance(record.writes, str)}


def _loads(trace: Trace) -> set[str]:
    return {str(record.reads[0]) for record in trace if record.kind == moves.load.kind}
