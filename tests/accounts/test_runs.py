"""Runs: blocks say the same as the steps that they stand for."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hwsim.accounts.runs import Runs

times = st.integers(1, 3)
flat_runs = st.lists(st.tuples(st.integers(0, 2), times), min_size=1, max_size=3).map(Runs)
nested = st.recursive(
    flat_runs, lambda inner: st.lists(st.tuples(st.integers(0, 2) | inner, times), min_size=1, max_size=3).map(Runs)
)


def unfolded(runs: Runs) -> list[int]:
    """The trace of each step."""
    steps: list[int] = []
    for what, count in runs:
        steps += ([what] if isinstance(what, int) else unfolded(what)) * count
    return steps


@given(nested)
def test_blocks_unfold_to_their_steps(runs: Runs) -> None:
    steps = unfolded(runs)
    flat = Runs(runs.flat)
    assert unfolded(flat) == steps
    assert all(one[0] != other[0] for one, other in pairwise(flat))
    assert runs.steps == Counter(steps)
    assert (runs == flat, runs != flat, hash(runs) == hash(flat)) == (True, False, True)
    assert len({runs, flat}) == 1


@given(nested, nested)
def test_two_are_equal_if_their_steps_are(one: Runs, other: Runs) -> None:
    assert (one == other) == (unfolded(one) == unfolded(other))
    assert (one != other) == (unfolded(one) != unfolded(other))


@given(nested, st.lists(st.integers(5, 7), min_size=3, max_size=3))
def test_runs_of_other_traces(runs: Runs, traces: list[int]) -> None:
    known: dict[Any, Runs] = {}
    mapped = runs.mapped(dict(enumerate(traces)), known)
    assert unfolded(mapped) == [traces[step] for step in unfolded(runs)]
    again = runs.mapped(dict(enumerate(traces)), known)
    blocks = [[what for what, _ in each if isinstance(what, Runs)] for each in (mapped, again)]
    assert all(one is other for one, other in zip(*blocks, strict=True))


def test_the_same_trace_everywhere_is_one_run() -> None:
    runs = Runs([(Runs([(0, 2), (1, 1)]), 4), (0, 3)])
    assert tuple(runs.mapped({0: 8, 1: 8}, {})) == ((8, 15),)
