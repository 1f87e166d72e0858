"""Streams: keyed by all their names, and by nothing else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import streams

NAMES: list[tuple[int | str, ...]] = [
    (1, "chip 0", "layer 1 B", "programming"),
    (2, "chip 0", "layer 1 B", "programming"),  # another seed
    (1, "chip 1", "layer 1 B", "programming"),
    (1, "chip 0", "layer 2 B", "programming"),
    (1, "chip 0", "layer 1 B", "read"),
    (1, "chip 0", "layer 1 B"),
    (1, "chip 0", "layer 1 B", "programming", ""),
    (1, "layer 1 B", "chip 0", "programming"),
    (1, "chip 0layer 1 B", "programming"),
    (1, "chip", "0", "layer 1 B", "programming"),
]


@pytest.mark.parametrize(("first", "second"), list(combinations(NAMES, 2)))
def test_any_other_name_is_another_stream(first: tuple[int | str, ...], second: tuple[int | str, ...]) -> None:
    assert streams.key(*first) != streams.key(*second)  # type: ignore[arg-type]
    draws = [streams.generator(*names).normal(size=10_000) for names in (first, second)]  # type: ignore[arg-type]
    # independent draws: beyond 5 / √n once in two million
    assert abs(np.corrcoef(*draws)[0, 1]) < 5 / 100


@given(st.integers(0, 2**63), st.lists(st.text(max_size=9), max_size=4))
def test_a_stream_starts_where_its_names_say(seed: int, names: list[str]) -> None:
    assert 0 <= streams.key(seed, *names) < 2**64
    first, second = (streams.generator(seed, *names).normal(size=4) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_keys_are_the_same_in_every_process_and_version() -> None:
    assert streams.key(1, "chip 0", "layer 1 B", "programming") == 8_578_980_851_185_415_951
    assert streams.generator(0).normal() == 1.0180559771477773


def test_a_number_is_a_name_like_any_other() -> None:
    assert streams.key(1, 7, "a") == streams.key(1, "7", "a")
