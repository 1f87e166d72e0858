"""What a journal says of steps and rounds that are repeated is what it says of those that are carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts.journal import PASS, PHASE, Batch, Journal, Sweep, Totals
from hwsim.accounts.runs import Runs
from hwsim.records import INFERENCE, Entry, Head

CHIPS = 2


def entries(kind: str) -> list[Entry]:
    return [(Head(kind, "unit", "layer 1", INFERENCE, "float32"), (CHIPS, 1, 3), None, (), 0)]


READ, ADD = entries("read"), entries("add")
FIRST, SECOND = np.array([[2.0, 3.0]]), np.array([[5.0, 7.0]])
"""Activities of a step: one of them, on two chips."""


def journal(detail: bool = False) -> Journal:
    made = Journal(CHIPS)
    made.detail = [] if detail else None
    made.open_sweep("before", PASS)
    made.step(READ, FIRST, 0)
    made.step(ADD, None, 1)
    made.close_sweep()
    return made


def one_round(made: Journal, steps: int = 1) -> None:
    made.open_sweep("round", PASS)
    for step in range(steps):
        made.step(READ, SECOND, step)
    made.step(ADD, None, steps)
    made.close_sweep()
    made.open_sweep("between", PHASE)
    made.step(ADD, None, 0)
    made.close_sweep()


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("times", [1, 4])
def test_rounds_that_are_repeated_are_as_those_that_are_carried_out(times: int, detail: bool) -> None:
    leapt, done = journal(detail), journal(detail)
    mark = leapt.mark()
    one_round(leapt)
    assert [sweep.name for sweep in leapt.since(mark)] == ["round", "between"]
    leapt.repeat_since(mark, times)
    for _ in range(1 + times):
        one_round(done)
    for each in (leapt, done):
        each.close_batch(3)
    assert leapt.totals.batches == done.totals.batches
    assert leapt.latest == done.latest
    (number,) = leapt.totals.activities
    np.testing.assert_array_equal(leapt.totals.activities[number], FIRST + (1 + times) * SECOND)
    np.testing.assert_array_equal(done.totals.activities[number], FIRST + (1 + times) * SECOND)
    if detail:
        assert leapt.detail is not None
        assert done.detail is not None
        assert Counter((each.trace, each.times) for each in leapt.detail[2:5]) == Counter([(0, 1), (1, 1), (1, 1)])
        for trace in (0, 1):
            assert sum(each.times for each in leapt.detail if each.trace == trace) == sum(
                each.times for each in done.detail if each.trace == trace
            )
        total = sum(each.activities for each in leapt.detail if each.activities is not None)
        np.testing.assert_array_equal(total, FIRST + (1 + times) * SECOND)


@pytest.mark.parametrize("detail", [False, True])
def test_steps_that_are_repeated_are_as_those_that_are_carried_out(detail: bool) -> None:
    leapt, done = journal(detail), journal(detail)
    leapt.open_sweep("pass", PASS)
    leapt.step(READ, SECOND, 0)
    leapt.leap(Runs([(leapt.last, 6)]), [(leapt.entered, 6)])
    leapt.close_sweep()
    done.open_sweep("pass", PASS)
    for step in range(7):
        done.step(READ, SECOND, step)
    done.close_sweep()
    for each in (leapt, done):
        each.close_batch(1)
        assert each.latest == Batch(
            1, (Sweep("before", PASS, Runs(((0, 1), (1, 1)))), Sweep("pass", PASS, Runs(((0, 7),))))
        )
        np.testing.assert_array_equal(each.totals.activities[0], FIRST + 7 * SECOND)
    if detail:
        assert leapt.detail is not None
        assert [(each.sweep, each.step, each.trace, each.times) for each in leapt.detail[2:]] == [
            (1, 0, 0, 1),
            (1, 0, 0, 6),
        ]


def test_passes_count_for_every_sequence_and_phases_once() -> None:
    made = journal()
    one_round(made, steps=4)
    made.close_batch(3)
    one_round(made, steps=4)
    made.close_batch(5)
    assert made.totals.steps() == {0: 3 * 1 + 3 * 4 + 5 * 4, 1: 3 * 1 + 3 * 1 + 5 * 1 + 2}
    twice = made.totals.times(2)
    assert twice.steps() == {0: 70, 1: 26}
    np.testing.assert_array_equal(twice.activities[0], 2 * (FIRST + 8 * SECOND))
    both = made.totals + twice
    assert both.steps() == {0: 105, 1: 39}
    np.testing.assert_array_equal(both.activities[0], 3 * (FIRST + 8 * SECOND))
    collected = made.collect()
    assert collected.steps() == {0: 35, 1: 13}
    assert made.totals.steps() == {}


# ---- whatever is entered, against a journal that keeps every step --------------------------------------------------


class Run(NamedTuple):
    """Equal steps in a row: which ones, how many, and what was measured in each of them."""

    which: int
    steps: int
    measured: int


class Planned(NamedTuple):
    """A sweep that is to be carried out."""

    kind: str
    period: list[Run]
    times: int

    @property
    def runs(self) -> list[Run]:
        return self.period * self.times


class Round(NamedTuple):
    """Sweeps that are carried out so many times, one round after the other."""

    times: int
    sweeps: list[Planned]


class Work(NamedTuple):
    """A batch."""

    sequences: int
    rounds: list[Round]


KINDS = ("read", "add", "read and add", "nothing")
"""Steps; the first and the third have an activity that is measured."""

runs = st.builds(Run, st.integers(0, 3), st.integers(1, 4), st.integers(0, 9))
sweeps = st.builds(
    Planned, st.sampled_from([PASS, PHASE]), st.lists(runs, min_size=1, max_size=4), st.sampled_from([1, 1, 2, 5])
)
batches = st.builds(
    Work,
    st.integers(1, 3),
    st.lists(st.builds(Round, st.integers(1, 3), st.lists(sweeps, min_size=1, max_size=3)), min_size=1, max_size=3),
)


def step(which: int, sequences: int) -> list[Entry]:
    """The entries of a step; the batch has an axis in all shapes, though not in records."""
    kinds = {"read and add": ["read", "add"], "nothing": []}.get(KINDS[which], [KINDS[which]])
    return [
        (Head(kind, "unit", "layer 1", INFERENCE, "float32"), (CHIPS, sequences, 3), None, (), slot)
        for slot, kind in enumerate(kinds)
    ]


def measured(run: Run) -> np.ndarray | None:
    return np.array([[run.measured, 2.0 * run.measured + 1]]) if run.which in (0, 2) else None


def carry_out(made: Journal, work: Work, leaps: bool) -> None:
    """Enter a batch, step by step, or with a leap wherever steps or rounds are alike."""

    def once(one: Round) -> None:
        for number, sweep in enumerate(one.sweeps):
            made.open_sweep(f"sweep {number}", sweep.kind)
            at, periods, entered = 0, leaps and sweep.times > 1, []
            for run in sweep.period if periods else sweep.runs:
                for more in range(1 if leaps and not periods else run.steps):
                    made.step(step(run.which, work.sequences), measured(run), at + more)
                    entered.append(made.entered)
                if leaps and not periods and run.steps > 1:
                    made.leap([(made.last, run.steps - 1)], [(made.entered, run.steps - 1)])
                at += run.steps
            if periods:
                again = sweep.times - 1
                made.leap([(trace, 1) for trace, _ in entered] * again, [(each, again) for each in entered])
            made.close_sweep()

    for each in work.rounds:
        mark = made.mark()
        once(each)
        if leaps and each.times > 1:
            made.repeat_since(mark, each.times - 1)
        for _ in range(0 if leaps else each.times - 1):
            once(each)
    made.close_batch(work.sequences)


def name(made: Journal, trace: int) -> str:
    """Which of `KINDS` a trace is."""
    return " and ".join(record.kind for record in made.traces[trace]) or "nothing"


def every_step(works: list[Work]) -> Iterator[tuple[Work, Planned, Run]]:
    """Each step of each sweep of each round, one by one."""
    for work in works:
        for each in work.rounds:
            for _ in range(each.times):
                for sweep in each.sweeps:
                    for run in sweep.runs:
                        for _ in range(run.steps):
                            yield work, sweep, run


def same(one: Totals, other: Totals) -> None:
    assert one.batches == other.batches
    assert set(one.activities) == set(other.activities)
    for trace, values in one.activities.items():
        np.testing.assert_array_equal(values, other.activities[trace])


@settings(max_examples=60, deadline=None)
@given(st.lists(batches, min_size=1, max_size=3), st.booleans())
def test_totals_are_those_of_every_step_one_by_one(works: list[Work], leaps: bool) -> None:
    made = Journal(CHIPS)
    for work in works:
        carry_out(made, work, leaps)
    totals = made.collect()
    steps: Counter[str] = Counter()
    activities: dict[str, Any] = {}
    for work, sweep, run in every_step(works):
        kind, values = KINDS[run.which], measured(run)
        steps[kind] += work.sequences if sweep.kind == PASS else 1
        if values is not None:  # which are sums over the sequences already
            activities[kind] = activities.get(kind, 0) + values
    assert {name(made, trace): times for trace, times in totals.steps().items()} == steps
    assert {name(made, trace) for trace in totals.activities} == set(activities)
    for trace, values in totals.activities.items():
        np.testing.assert_array_equal(values, activities[name(made, trace)])
    assert sum(totals.in_sweeps().values()) == steps.total()
    assert len({name(made, trace) for trace in range(len(made.traces))}) == len(made.traces) == len(steps)


@settings(max_examples=60, deadline=None)
@given(st.lists(batches, min_size=1, max_size=3))
def test_leaps_are_the_steps_that_they_leap_over(works: list[Work]) -> None:
    leapt, done = Journal(CHIPS), Journal(CHIPS)
    for work in works:
        carry_out(leapt, work, leaps=True)
        carry_out(done, work, leaps=False)
        assert leapt.latest == done.latest
    assert leapt.traces == done.traces
    same(leapt.totals, done.totals)


@settings(max_examples=60, deadline=None)
@given(batches, st.booleans())
def test_equal_steps_are_one_run_and_runs_are_in_order(work: Work, leaps: bool) -> None:
    made = Journal(CHIPS)
    carry_out(made, work, leaps)
    assert made.latest is not None
    planned = [sweep for each in work.rounds for _ in range(each.times) for sweep in each.sweeps]
    assert [sweep.kind for sweep in made.latest.sweeps] == [sweep.kind for sweep in planned]
    for sweep, wanted in zip(made.latest.sweeps, planned, strict=True):
        assert all(before[0] != behind[0] for before, behind in pairwise(sweep.runs))
        taken = [name(made, trace) for trace, steps in sweep.runs for _ in range(steps)]
        assert taken == [KINDS[run.which] for run in wanted.runs for _ in range(run.steps)]


@settings(max_examples=60, deadline=None)
@given(batches, st.booleans())
def test_the_detail_of_a_batch_adds_up_to_its_totals(work: Work, leaps: bool) -> None:
    made = Journal(CHIPS)
    made.detail = []
    carry_out(made, work, leaps)
    assert made.latest is not None
    steps: Counter[int] = Counter()
    activities: dict[int, Any] = {}
    for done in made.detail:
        kind = made.latest.sweeps[done.sweep].kind
        steps[done.trace] += done.times * (work.sequences if kind == PASS else 1)
        if done.activities is not None:
            activities[done.trace] = activities.get(done.trace, 0) + done.activities
    assert steps == made.totals.steps()
    assert set(activities) == set(made.totals.activities)
    for trace, values in activities.items():
        np.testing.assert_array_equal(values, made.totals.activities[trace])
    if not leaps:  # every step stands there, in order
        places = [(done.sweep, done.step) for done in made.detail]
        assert places == sorted(set(places))
        assert all(done.times == 1 for done in made.detail)


@settings(max_examples=60, deadline=None)
@given(st.lists(batches, min_size=1, max_size=4), st.integers(1, 5))
def test_totals_are_added_in_any_order_and_times_distributes(works: list[Work], count: int) -> None:
    made = Journal(CHIPS)
    parts = []
    for work in works:
        carry_out(made, work, leaps=False)
        parts.append(made.collect())
        assert made.totals.steps() == {}
        assert made.totals.activities == {}
    for work in works:
        carry_out(made, work, leaps=False)
    whole = made.collect()
    before = [part.times(1) for part in parts]
    ahead, back = Totals(), Totals()
    for part in parts:
        ahead, back = ahead + part, part + back
    same(ahead, whole)
    same(back, whole)
    same(whole.times(1), whole)
    separately, together = Totals(), Totals()
    for part in parts:
        separately = separately + part.times(count)
    for _ in range(count):
        together = together + whole
    same(separately, whole.times(count))
    same(together, whole.times(count))
    assert whole.times(count).steps() == {trace: count * times for trace, times in whole.steps().items()}
    for part, kept in zip(parts, before, strict=True):  # sums leave what is added as it was
        same(part, kept)


def test_a_batch_in_which_nothing_was_done_is_none() -> None:
    made = Journal(CHIPS)
    made.close_batch(3)
    assert made.totals.batches == {}
    assert made.latest is None


def test_totals_that_were_collected_do_not_grow() -> None:
    made = journal()
    made.close_batch(1)
    totals = made.collect()
    one_round(made)
    made.close_batch(1)
    np.testing.assert_array_equal(totals.activities[0], FIRST)
    np.testing.assert_array_equal(made.totals.activities[0], SECOND)
    assert (FIRST.tolist(), SECOND.tolist()) == ([[2, 3]], [[5, 7]])  # nor does what was handed in


def test_steps_of_other_batch_sizes_are_the_same_trace() -> None:
    made = Journal(CHIPS)
    for sequences in (1, 3, 1):
        made.open_sweep("pass", PASS)
        assert made.step(step(0, sequences), None, 0) == 0
        assert made.step(step(3, sequences), None, 1) == 1
        made.close_sweep()
        made.close_batch(sequences)
    assert len(made.traces) == 2
    assert made.totals.batches == {
        Batch(1, (Sweep("pass", PASS, Runs(((0, 1), (1, 1)))),)): 2,
        Batch(3, (Sweep("pass", PASS, Runs(((0, 1), (1, 1)))),)): 1,
    }


def test_a_sum_shares_no_array_with_its_parts() -> None:
    one, other = (Totals(activities={0: FIRST.copy(), trace: SECOND.copy()}) for trace in (1, 2))
    for both in (one + other, one + Totals(), Totals() + one, one.times(1)):
        for values in both.activities.values():
            values[:] = -1
    for part, trace in ((one, 1), (other, 2)):
        np.testing.assert_array_equal(part.activities[0], FIRST)
        np.testing.assert_array_equal(part.activities[trace], SECOND)
