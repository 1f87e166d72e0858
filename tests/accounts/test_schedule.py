"""The schedule: both engines and an independent third one agree, and no unit, wire or register has too much to do."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from conftest import LRU, built, close, gradient_of, random_episode, rule
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hwsim.accounts.energy import Occupied
from hwsim.accounts.journal import PASS, Sweep
from hwsim.accounts.passes import ONCE, Occurrence, Passes
from hwsim.accounts.runs import Runs
from hwsim.accounts.schedule import Scheduler, Span, State, SweepTiming, drivers, folded, recursion, simulation
from hwsim.records import Record, Trace

UNITS, REGISTERS, MEMORY = ("adder", "multiplier", "converter", "memory"), ("h", "error"), "memory"
Spans = list[tuple[Trace, list[Span]]]
"""Every step of a sweep: its trace, and when each of its operations starts and ends, from the sweep's start."""

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def operation(
    unit: str, works: int, reads: tuple[int | str, ...], writes: int | str, kind: str = "add", memory: int = 0
) -> Record:
    """A record whose size says how long its unit works, and how long the memory is busy with it."""
    return Record(kind, unit, "layer 1", "inference", "float32", (works, memory), works, reads, writes)


def occupies(record: Record, where: Occurrence = ONCE) -> Occupied:
    works, memory = record.size
    return Occupied(max(works, memory), works, ((MEMORY, memory),) if memory else ())


def length(record: Record) -> int:
    return occupies(record).duration


@st.composite
def traces(draw: Any) -> Trace:
    """A step of up to eight operations; some load registers or store into them, and some take no time."""
    records: list[Record] = []
    made: list[int] = []
    for slot in range(draw(st.integers(1, 8))):
        unit, duration = draw(st.sampled_from(UNITS)), draw(st.integers(0, 5))
        what = draw(st.sampled_from(("operate", "operate", "load", "store")))
        register, memory = draw(st.sampled_from(REGISTERS)), draw(st.sampled_from((0, 0, 1, 4, 9)))
        if what == "load":
            records.append(operation(unit, duration, (register,), slot, "load", memory))
        elif what == "store" and made:
            records.append(operation(unit, duration, (draw(st.sampled_from(made)),), register, "store", memory))
            continue
        else:
            operands = draw(st.lists(st.sampled_from(made), max_size=3)) if made else []
            records.append(operation(unit, duration, tuple(operands), slot, "add", memory))
        made.append(slot)
    return tuple(records)


runs = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 8)), min_size=1, max_size=4)
sweeps = runs.map(lambda runs: Sweep("pass", PASS, Runs(runs)))


def flat(traces: list[Trace], sweep: Sweep) -> Spans:
    """The rules of the schedule carried out operation by operation on one clock, without states or repetition."""
    unit_free: dict[str, int] = {}
    stored: dict[str, int] = {}
    loaded: dict[str, int] = {}
    wire_free: dict[Any, int] = {}
    issue, steps = 0, []
    for number, count in sweep.runs:
        for _ in range(count):
            spans: list[Span] = []
            stores: list[tuple[str, int]] = []
            busy: dict[int, int] = {}
            kinds = [(record.unit, record.layer, record.kind) for record in traces[number]]
            names = [(kind, kinds[:slot].count(kind)) for slot, kind in enumerate(kinds)]
            for slot, record in enumerate(traces[number]):
                waits = [spans[0].start if spans else issue, unit_free.get(record.unit, 0)]
                for memory, _ in occupies(record).memories:
                    waits.append(unit_free.get(memory, 0))
                for operand in record.reads:
                    waits.append(spans[operand].end if isinstance(operand, int) else stored.get(operand, 0))
                wire = isinstance(record.writes, int)
                waits.append(wire_free.get(names[slot], 0) if wire else loaded.get(str(record.writes), 0))
                spans.append(Span(max(waits), max(waits) + length(record)))
                end = unit_free[record.unit] = spans[-1].end
                for memory, time in occupies(record).memories:
                    unit_free[memory] = max(unit_free.get(memory, 0), spans[-1].start + time)
                for operand in record.reads:
                    if isinstance(operand, int):
                        busy[operand] = max(busy[operand], end)
                    else:
                        loaded[operand] = max(loaded.get(operand, 0), end)
                if wire:
                    busy[slot] = end
                else:
                    stores.append((str(record.writes), end))
            for name, end in stores:
                stored[name] = max(stored.get(name, 0), end)
            wire_free.update((names[slot], end) for slot, end in busy.items())
            issue = spans[0].start if spans else issue
            steps.append((traces[number], spans))
    return steps


def scheduled(scheduler: Scheduler, sweep: Sweep) -> Spans:
    """What a scheduler makes of a sweep, on one clock."""
    return [
        (scheduler.traces[trace], [Span(before + span.start, before + span.end) for span in timing.spans])
        for trace, before, timing in scheduler.steps(sweep)
    ]


def holding(steps: Spans) -> dict[str, float]:
    """For each register how long from the end of its store to the end of its next load: the mean of many times, if any.

    Sixty steps are whole rounds of any pass whose steps take turns up to six by six; the last one may be different.
    """
    stored: dict[str, int] = {}
    times: dict[str, list[int]] = {}
    for trace, spans in steps:
        for record, span in zip(trace, spans, strict=True):
            if record.kind == "load" and record.reads[0] in stored:
                name = str(record.reads[0])
                times.setdefault(name, []).append(span.end - stored.pop(name))
        stored.update((str(r.writes), s.end) for r, s in zip(trace, spans, strict=True) if isinstance(r.writes, str))
    return {name: sum(many[-61:-1]) / 60 if len(many) > 61 else many[-1] for name, many in times.items()}


def last_end(steps: Spans) -> int:
    return max(span.end for _, spans in steps for span in spans)


# ---- agreement -----------------------------------------------------------------------------------------------


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_simulation_and_recursion_give_the_same_spans(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    first, second = (Scheduler(list(pair), occupies, engine) for engine in (simulation, recursion))
    assert list(first.steps(sweep)) == list(second.steps(sweep))


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_the_schedule_is_that_of_one_clock_without_states(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    assert scheduled(Scheduler(list(pair), occupies), sweep) == flat(list(pair), sweep)


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_a_sweep_is_summed_up_as_its_steps_say(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    found, steps = Scheduler(list(pair), occupies).sweep(sweep), flat(list(pair), sweep)
    busy = dict.fromkeys((record.unit for trace, _ in steps for record in trace), 0)
    for trace, _ in steps:
        for record in trace:
            works, memory = record.size
            if record.unit == MEMORY:
                works, memory = max(works, memory), 0
            for name, time in ((record.unit, works), (MEMORY, memory)):
                busy[name] = busy.get(name, 0) + time
    assert (found.makespan, {MEMORY: 0} | found.busy) == (last_end(steps), busy)


@unhurried
@given(st.tuples(traces(), traces()), st.integers(1, 100), st.integers(1, 20))
def test_remembering_steps_changes_nothing(pair: tuple[Trace, Trace], many: int, few: int) -> None:
    sweep = Sweep("pass", PASS, Runs(((0, many), (1, few), (0, few), (1, many))))
    quick, slow = (Scheduler(list(pair), occupies, recursion, memoise).sweep(sweep) for memoise in (True, False))
    assert (quick.makespan, quick.busy, quick.period) == (slow.makespan, slow.busy, slow.period)
    assert quick.held == slow.held


STORE = (operation("adder", 1, (), 0), operation("register", 1, (0,), "h", "store"))
LOAD = (operation("register", 1, ("h",), 0, "load"),)
REST = (operation("adder", 5, (), 0),)


@pytest.mark.parametrize(
    ("runs", "held"),
    [
        pytest.param(((0, 1), (1, 1)), 1, id="at once"),
        pytest.param(((0, 1), (2, 2), (1, 1)), 6, id="after a few steps"),
        pytest.param(((0, 1), (2, 1000), (1, 1)), 4996, id="after many steps"),
        pytest.param(((0, 1), (1, 7)), 1, id="loaded again"),
    ],
)
def test_a_register_is_held_until_it_is_next_loaded(runs: tuple[tuple[int, int], ...], held: int) -> None:
    found = Scheduler([STORE, LOAD, REST], occupies).sweep(Sweep("pass", PASS, Runs(runs)))
    assert found.held == {"h": held}


# ---- what a schedule must never do ---------------------------------------------------------------------------


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_a_unit_does_one_thing_at_a_time(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    free = dict.fromkeys(UNITS, 0)
    for trace, spans in scheduled(Scheduler(list(pair), occupies), sweep):
        for record, span in zip(trace, spans, strict=True):
            occupied = occupies(record)
            assert span.start >= free[record.unit]
            assert span.end - span.start == occupied.duration
            assert all(span.start >= free[memory] for memory, _ in occupied.memories)
            free.update((memory, span.start + time) for memory, time in occupied.memories)
            free[record.unit] = max(free[record.unit], span.end)


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_nothing_is_read_before_it_is_there(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    stored = dict.fromkeys(REGISTERS, 0)
    for trace, spans in scheduled(Scheduler(list(pair), occupies), sweep):
        for record, span in zip(trace, spans, strict=True):
            for operand in record.reads:
                assert span.start >= (spans[operand].end if isinstance(operand, int) else stored[operand])
        for record, span in zip(trace, spans, strict=True):
            if isinstance(record.writes, str):
                stored[record.writes] = max(stored[record.writes], span.end)


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_a_register_is_not_overwritten_while_it_is_loaded(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    loaded = dict.fromkeys(REGISTERS, 0)
    for trace, spans in scheduled(Scheduler(list(pair), occupies), sweep):
        for record, span in zip(trace, spans, strict=True):
            assert isinstance(record.writes, int) or span.start >= loaded[record.writes]
            for operand in record.reads:
                if isinstance(operand, str):
                    loaded[operand] = max(loaded[operand], span.end)


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_a_wire_carries_a_value_until_all_its_readers_are_done(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    free: dict[Any, int] = {}
    for trace, spans in scheduled(Scheduler(list(pair), occupies), sweep):
        readers: dict[int, list[int]] = {}
        wires = drivers(trace)
        for slot, (record, span) in enumerate(zip(trace, spans, strict=True)):
            for operand in record.reads:
                if isinstance(operand, int):
                    readers[operand].append(span.end)
            if isinstance(record.writes, int):
                assert span.start >= free.get(wires[slot], 0)
                readers[slot] = [span.end]
        free.update((wires[slot], max(ends)) for slot, ends in readers.items())


def test_another_operation_in_the_same_place_of_another_trace_drives_another_wire() -> None:
    """The second trace's multiplier need not wait for the readers of the first one's adder, though both come second."""
    slow = (operation("adder", 1, (), 0), operation("adder", 1, (0,), 1), operation("converter", 50, (1,), 2))
    other = (operation("adder", 1, (), 0), operation("multiplier", 1, (0,), 1))
    timings = [
        timing for _, _, timing in Scheduler([slow, other], occupies).steps(Sweep("pass", PASS, Runs(((0, 1), (1, 1)))))
    ]
    assert timings[1].spans[1].start < 10


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_steps_are_issued_in_order_with_their_first_operation(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    issue = 0
    for _, spans in scheduled(Scheduler(list(pair), occupies), sweep):
        assert spans[0].start >= issue
        assert min(span.start for span in spans) == spans[0].start
        issue = spans[0].start


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_a_sweep_takes_at_least_its_busiest_unit_and_its_longest_chain(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    found = Scheduler(list(pair), occupies).sweep(sweep)
    chain = 0
    for number, _ in sweep.runs:
        longest: list[int] = []
        for record in pair[number]:
            before = [longest[operand] for operand in record.reads if isinstance(operand, int)]
            longest.append(max(before, default=0) + length(record))
        chain = max(chain, *longest)
    assert found.makespan >= max(chain, *found.busy.values())


@unhurried
@given(st.tuples(traces(), traces()), sweeps)
def test_a_register_is_never_held_for_less_than_no_time(pair: tuple[Trace, Trace], sweep: Sweep) -> None:
    assert all(time >= 0 for time in Scheduler(list(pair), occupies).sweep(sweep).held.values())


# ---- runs that repeat ----------------------------------------------------------------------------------------

some_runs = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6)), min_size=1, max_size=4)


@given(some_runs, st.integers(1, 9), some_runs)
def test_runs_are_folded_into_blocks_that_unfold_to_them(
    block: list[tuple[int, int]], times: int, other: list[tuple[int, int]]
) -> None:
    runs = (*other, *(block * times), *other)
    assert tuple(run for block, times in folded(Runs(runs)) for run in block * times) == runs


def test_a_block_that_repeats_is_found() -> None:
    assert list(folded(Runs(((2, 5), (0, 1), (1, 9), (0, 1), (1, 9), (0, 1), (1, 9), (3, 1))))) == [
        (Runs([(2, 5)]), 1),
        (Runs([(0, 1), (1, 9)]), 3),
        (Runs([(3, 1)]), 1),
    ]


@unhurried
@given(st.tuples(traces(), traces()), some_runs, st.integers(1, 12))
def test_jumping_over_blocks_changes_nothing(
    pair: tuple[Trace, Trace], block: list[tuple[int, int]], times: int
) -> None:
    sweep = Sweep("pass", PASS, Runs(block * times))
    quick, slow = (Scheduler(list(pair), occupies, recursion, memoise).sweep(sweep) for memoise in (True, False))
    assert (quick.makespan, quick.busy) == (slow.makespan, slow.busy)
    assert quick.period == close(slow.period)
    assert quick.held == close(slow.held)


IDLE = (operation("adder", 0, (), 0),)
LATER = (*IDLE, operation("adder", 0, (0,), "h", "store"), operation("adder", 0, ("h",), 2, "load"))
"""Takes no time, and loads what the step before has stored, if there was one."""


@unhurried
@given(st.tuples(traces(), traces()), some_runs, some_runs, st.integers(1, 4), st.integers(1, 3))
@example((IDLE, LATER), [(1, 1)], [(0, 1)], 1, 1)
def test_blocks_in_blocks_are_scheduled_as_their_steps(
    pair: tuple[Trace, Trace], first: list[tuple[int, int]], other: list[tuple[int, int]], times: int, again: int
) -> None:
    inner, outer = Runs(first), Runs(other)
    for _ in range(3):
        outer = Runs([(inner, times), *outer[:2], (outer, 1), (inner, 1), (outer, again)])
    sweep = Sweep("pass", PASS, outer)
    quick, slow = (Scheduler(list(pair), occupies, recursion, memoise).sweep(sweep) for memoise in (True, False))
    assert (quick.makespan, quick.busy) == (slow.makespan, slow.busy)
    assert (quick.period, quick.held) == (close(slow.period), close(slow.held))
    walked = Scheduler(list(pair), occupies, recursion).sweep(sweep._replace(runs=Runs(outer.flat)))
    assert (quick.makespan, quick.busy) == (walked.makespan, walked.busy)


def test_a_block_is_scheduled_once_from_each_state() -> None:
    """2^40 steps, in 40 blocks of which each holds the one before twice."""
    step, other = (operation("adder", 3, (), 0), operation("multiplier", 5, (0,), 1)), (operation("adder", 4, (), 0),)
    runs = Runs([(0, 1), (1, 1)])
    for _ in range(40):
        runs = Runs([(runs, 1), (1, 1), (runs, 1)])
    scheduler = Scheduler([step, other], occupies)
    found = scheduler.sweep(Sweep("pass", PASS, runs))
    assert found.busy["multiplier"] == 5 * 2**40
    assert found.misses < 10


def test_what_a_known_block_leaves_behind() -> None:
    """Its last step shows the pace, and a register that it has loaded is not held when it is loaded again."""
    block, other = Runs([(1, 1), (2, 1)]), Runs([(0, 1), (1, 1)])
    for runs in (
        Runs([(0, 1), (block, 1), (2, 1), (0, 1), (block, 1), (1, 1)]),
        Runs([(2, 1), (other, 1), (0, 1), (2, 1), (1, 1), (2, 1), (other, 1)]),
    ):
        sweeps = [Sweep("pass", PASS, each) for each in (runs, Runs(runs.flat))]
        quick, slow = (Scheduler([STORE, LOAD, REST], occupies, recursion).sweep(sweep) for sweep in sweeps)
        assert quick.held == slow.held
    steps = [(operation("adder", took, (), 0),) for took in (3, 4, 5)]
    ends = Sweep("pass", PASS, Runs([(0, 1), (block, 1), (2, 1), (0, 1), (block, 1)]))
    assert Scheduler(steps, occupies).sweep(ends).period == 4


def test_many_blocks_take_no_more_work_than_few() -> None:
    step = (operation("adder", 3, (), 0), operation("multiplier", 5, (0,), 1))
    other = (operation("adder", 4, (), 0),)
    sweeps = (Sweep("pass", PASS, Runs([(0, 1), (1, 9)] * times)) for times in (8, 10_000))
    few, many = (Scheduler([step, other], occupies).sweep(sweep) for sweep in sweeps)
    assert many.misses == few.misses


# ---- by hand -------------------------------------------------------------------------------------------------


def test_two_units_in_a_row_work_on_two_steps_at_once() -> None:
    chain = (operation("adder", 3, (), 0), operation("multiplier", 5, (0,), 1))
    found = Scheduler([chain], occupies).sweep(Sweep("pass", PASS, Runs([(0, 10)])))
    # the adder may only drive its wire again when the multiplier has read it: 8 in all for the first step, and then
    # 8 more for each, since reading lasts as long as multiplying
    assert found == SweepTiming(80, 8, {"adder": 30, "multiplier": 50}, {}, 2)


def test_a_register_is_held_from_its_store_to_its_next_load() -> None:
    loop = (
        operation("register", 1, ("h",), 0, "load"),
        operation("adder", 4, (0,), 1),
        operation("register", 2, (1,), "h", "store"),
    )
    scheduler, sweep = Scheduler([loop], occupies), Sweep("pass", PASS, Runs([(0, 100)]))
    assert scheduled(scheduler, sweep)[:2] == [
        (loop, [Span(0, 1), Span(1, 5), Span(5, 7)]),
        (loop, [Span(7, 8), Span(8, 12), Span(12, 14)]),
    ]
    found = scheduler.sweep(sweep)
    assert (found.makespan, found.period, found.held) == (700, 7, {"h": 1})


def test_a_state_says_what_is_still_busy_from_the_issue_on() -> None:
    step = (
        operation("adder", 2, (), 0),
        operation("multiplier", 7, (0,), 1),
        operation("adder", 1, (0,), "h", "store"),
    )
    scheduler, sweep = Scheduler([step], occupies), Sweep("pass", PASS, Runs([(0, 1)]))
    ((_, _, timing),) = scheduler.steps(sweep)
    assert timing.state == State(
        units=(("adder", 3), ("multiplier", 9)),
        stored=(("h", 3),),
        wires=((("adder", "layer 1", "add", 0), 9), (("multiplier", "layer 1", "add", 0), 9)),
    )


def test_units_that_share_a_memory_wait_for_each_other_and_are_not_called_busy() -> None:
    """Two units that work for 1 each need a memory for 4 each, one after the other."""
    step = (operation("adder", 1, (), 0, memory=4), operation("multiplier", 1, (), 1, memory=4))
    scheduler, sweep = Scheduler([step], occupies), Sweep("pass", PASS, Runs([(0, 10)]))
    assert scheduled(scheduler, sweep)[:2] == [(step, [Span(0, 4), Span(4, 8)]), (step, [Span(8, 12), Span(12, 16)])]
    assert scheduler.sweep(sweep).busy == {"adder": 10, "multiplier": 10, "memory": 80}
    assert scheduler.sweep(sweep).makespan == 80


def test_a_step_without_operations_takes_no_time() -> None:
    found = Scheduler([()], occupies).sweep(Sweep("pass", PASS, Runs([(0, 5)])))
    assert (found.makespan, found.period, found.busy) == (0, 0, {})


def test_a_long_run_takes_no_more_work_than_a_short_one() -> None:
    chain = (operation("adder", 3, (), 0), operation("multiplier", 5, (0,), 1))
    short, long = (Scheduler([chain], occupies).sweep(Sweep("pass", PASS, Runs([(0, n)]))) for n in (10, 1_000_000_000))
    assert long.misses == short.misses
    assert long.makespan == short.makespan + (1_000_000_000 - 10) * 8


@pytest.mark.parametrize("steps", [100, 101])
def test_the_period_is_the_mean_where_distances_of_issues_take_turns(steps: int) -> None:
    step = (
        operation("adder", 2, (), 0),
        operation("adder", 1, (0,), 1),
        operation("multiplier", 2, (0,), 2),
        operation("converter", 1, (2,), 3),
        operation("converter", 3, (1,), 4),
    )
    scheduler, sweep = Scheduler([step], occupies), Sweep("pass", PASS, Runs([(0, steps)]))
    assert [timing.issue for _, _, timing in scheduler.steps(sweep)][:7] == [0, 4, 5, 4, 5, 4, 5]
    assert scheduler.sweep(sweep).period == 4.5


# ---- on real networks ----------------------------------------------------------------------------------------

DEEP = {"layers": [LRU | {"readout": {"hidden": [5], "width": 6}}] * 3 + [LRU], "pooling": "cumulative_mean"}


@cache
def passes_of(on: str, learner: str, target: str) -> tuple[Scheduler, list[Sweep]]:
    """The passes of a rule over a sequence of 98 steps, in a network of four layers."""
    found = rule(learner)
    loss_from = {"each": 0, "one": 97}[target]
    episode = random_episode(batch=1, steps=98, target=target, loss_from=loss_from)
    network = built(DEEP, found, episode, on=on)
    gradient_of(network, found, episode)
    machine = network.machine
    batch = machine.journal.latest
    assert batch is not None
    scheduler = Scheduler(
        machine.journal.traces, machine.prices().occupied, passes=Passes(machine.journal.traces, lambda _: 98)
    )
    return scheduler, [sweep for sweep in batch.sweeps if sweep.kind == PASS]


REAL = [
    ("digital_45nm", "bptt"),
    ("pcm_crossbar", "fpe"),
    ("pcm_crossbar_in_the_loop", "bptt"),
    ("rram_crossbar", "rtrl"),
]


@pytest.mark.parametrize("target", ["each", "one"])
@pytest.mark.parametrize(("on", "learner"), REAL)
def test_a_pass_of_four_layers_repeats_itself_after_a_few_steps(on: str, learner: str, target: str) -> None:
    known, sweeps = passes_of(on, learner, target)
    assert sweeps
    for sweep in sweeps:  # by one that has not seen it before
        scheduler = Scheduler(known.traces, known._occupies, passes=known._passes)
        assert 0 < scheduler.sweep(sweep).misses <= 30, sweep.name


@pytest.mark.parametrize("target", ["each", "one"])
@pytest.mark.parametrize(("on", "learner"), REAL)
def test_all_schedulers_agree_on_real_passes(on: str, learner: str, target: str) -> None:
    scheduler, sweeps = passes_of(on, learner, target)
    other = Scheduler(scheduler.traces, scheduler._occupies, recursion, memoise=False, passes=scheduler._passes)
    for sweep in sweeps:
        quick, slow = scheduler.sweep(sweep), other.sweep(sweep)
        assert (quick.makespan, quick.busy, quick.period) == (slow.makespan, slow.busy, slow.period)
        assert scheduled(scheduler, sweep) == scheduled(other, sweep)
        assert quick.held == slow.held
        assert quick.held == close(holding(scheduled(scheduler, sweep)), rel=1e-12)
        assert quick.makespan == last_end(scheduled(scheduler, sweep))


@pytest.mark.parametrize(("on", "learner"), REAL)
def test_the_period_of_real_passes_is_the_mean_distance_of_issues(on: str, learner: str) -> None:
    scheduler, sweeps = passes_of(on, learner, "each")
    for sweep in sweeps:
        issues = [timing.issue for _, _, timing in scheduler.steps(sweep)]
        assert scheduler.sweep(sweep).period == close(sum(issues[-60:]) / 60, rel=1e-12), sweep.name


@pytest.mark.parametrize(("on", "learner"), REAL)
def test_how_long_registers_are_held_does_not_hang_on_the_last_step(on: str, learner: str) -> None:
    scheduler, sweeps = passes_of(on, learner, "each")
    for sweep in sweeps:
        *before, (trace, count) = sweep.runs
        for more in (1, 2, 3):
            longer = sweep._replace(runs=Runs([*before, (trace, count + more)]))
            assert scheduler.sweep(longer).held == close(scheduler.sweep(sweep).held, rel=1e-6), sweep.name


@pytest.mark.parametrize(("on", "learner"), REAL)
def test_registers_of_real_passes_are_held_for_less_than_two_steps(on: str, learner: str) -> None:
    scheduler, sweeps = passes_of(on, learner, "each")
    for sweep in sweeps:
        issues = [timing.issue for _, _, timing in scheduler.steps(sweep)]
        held = scheduler.sweep(sweep).held
        assert held
        assert all(0 <= time <= 2 * max(issues) for time in held.values())
