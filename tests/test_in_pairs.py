"""What the cover of cases promises: each two things that stand in one case meet in one that is chosen."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from conftest import RULES, in_pairs
from hypothesis import given
from hypothesis import strategies as st


def met(cases: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {pair for case in cases for pair in combinations(enumerate(case), 2)}


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1))
def test_all_pairs_of_all_cases_are_there(cases: list[tuple[Any, ...]]) -> None:
    chosen = in_pairs(cases)
    assert met(chosen) == met(cases)
    assert [case for case in cases if case in chosen] == chosen  # in their order, and no others


def test_it_takes_hardly_more_cases_than_the_two_longest_columns_have_pairs() -> None:
    rules, machines = len(RULES), 5
    chosen = in_pairs(product(range(rules), range(machines), range(3)))
    assert rules * machines <= len(chosen) < 1.1 * rules * machines
