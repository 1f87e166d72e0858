"""What a journal says of steps and rounds that are repeated is what it says of those that are carried out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hwsim.accounts.journal import PASS, PHASE, Batch, Journal, Sweep
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
    leapt.repeat(6)
    leapt.close_sweep()
    done.open_sweep("pass", PASS)
    for step in range(7):
        done.step(READ, SECOND, step)
    done.close_sweep()
    for each in (leapt, done):
        each.close_batch(1)
        assert each.latest == Batch(1, (Sweep("before", PASS, ((0, 1), (1, 1))), Sweep("pass", PASS, ((0, 7),))))
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
