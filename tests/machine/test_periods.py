"""Periods: kinds of steps, where they come next and last, and their sequence."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.machine import periods

NESTED = st.tuples(st.integers(2, 5), st.lists(st.integers(2, 4), max_size=4)).map(
    lambda drawn: tuple((product, 0) for product in _products(drawn[0], drawn[1]))
)
ANY = st.lists(
    st.integers(2, 9).flatmap(lambda period: st.tuples(st.just(period), st.integers(0, period - 1))),
    max_size=3,
    unique=True,
).map(lambda drawn: tuple(sorted(drawn)))


def _products(first: int, factors: list[int]) -> list[int]:
    found = [first]
    for factor in factors:
        found.append(found[-1] * factor)
    return found


@given(NESTED | ANY, st.integers(-200, 200), st.integers(1, 400))
def test_runs_are_the_kinds_of_the_steps(asked: tuple[tuple[int, int], ...], start: int, steps: int) -> None:
    kinds, indices = periods.of(*asked), range(start, start + steps)
    wanted = [sum((index % period == at) << bit for bit, (period, at) in enumerate(asked)) for index in indices]
    runs = kinds.runs(start, start + steps)
    assert [kind for kind, count in runs.flat for _ in range(count)] == wanted
    assert set(wanted) <= set(kinds.kinds)
    assert wanted == [kinds.kind(index) for index in indices]
    assert wanted == [kinds.mirrored.kind(-index) for index in indices]


@given(NESTED | ANY, st.integers(-200, 200), st.integers(1, 400))
def test_the_next_and_the_last_step_of_a_kind(asked: tuple[tuple[int, int], ...], start: int, steps: int) -> None:
    kinds, stop = periods.of(*asked), start + steps
    for kind in kinds.kinds:
        places = [index for index in range(start, stop) if kinds.kind(index) == kind]
        assert kinds.next(kind, start, stop) == (places[0] if places else stop)
        assert kinds.last(kind, start, stop) == (places[-1] if places else stop)


@pytest.mark.parametrize("asked", [(), (2,), (7, 14, 28, 112), (3, 5)])
@pytest.mark.parametrize("place", [0, 1])
def test_a_long_sequence_takes_no_more_room_than_a_short_one(asked: tuple[int, ...], place: int) -> None:
    kinds = periods.of(*((period, place) for period in asked))
    few, many = (len(kinds.runs(1, 112 * times)) for times in (10, 10**7))
    assert abs(many - few) <= 2 * len(asked) * (1 if not place else max(asked, default=0))
    assert kinds.runs(1, 10**9).steps.total() == 10**9 - 1


def test_a_kind_that_no_step_has_is_not_searched_for_ever() -> None:
    kinds = periods.of((2, 0), (2, 1))
    assert kinds.next(periods.PLAIN, 1, 10**12) == kinds.last(periods.PLAIN, 1, 10**12) == 10**12


def test_periods_without_a_short_common_multiple_take_the_room_of_their_steps() -> None:
    """As layers have whose distances are each their own; their common multiple is 10^12 steps."""
    kinds = periods.of((9967, 0), (9973, 0), (10007, 0))
    assert kinds.kinds == list(range(8))
    runs = kinds.runs(1, 100_001)
    assert runs.steps.total() == 100_000
    assert len(runs) == 2 * (10 + 10 + 9) + 1


def test_blocks_are_shared() -> None:
    kinds = periods.of((4, 0), (8, 0), (16, 0), (32, 0))
    one, other = (dict(groupby(kinds.runs(start, start + 40), lambda run: id(run[0]))) for start in (1, 33))
    assert one.keys() & other.keys()
