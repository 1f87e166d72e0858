"""Intervals of accuracies: closed forms of the literature, and how often they are right."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import close
from scipy import stats

from hwsim.results.accuracy import accuracy, difference, difference_of_losses, matched, wilson


def test_wilsons_interval_is_that_of_scipy() -> None:
    for right, answers in ((0, 10), (3, 10), (326, 359), (50, 50)):
        wanted = stats.binomtest(right, answers).proportion_ci(method="wilson")
        assert wilson(right / answers, answers) == close((wanted.low, wanted.high), abs=1e-15)


def test_answers_of_one_chip_have_wilsons_interval() -> None:
    right = np.array([[1.0] * 80 + [0.0] * 20])
    found = accuracy(right)
    assert (found.mean, found.over_chips) == (0.8, None)
    assert (found.low, found.high) == close(wilson(0.8, 99.0))  # the variance is that of a sample: one less
    assert found.over_sequences == close((found.low, found.high))


def test_chips_that_answer_alike_are_one_and_those_that_do_not_are_more_answers() -> None:
    one = (np.random.default_rng(0).uniform(size=(1, 400)) < 0.8).astype(float)
    alike = accuracy(np.repeat(one, 4, axis=0))
    assert alike.over_sequences == close(accuracy(one).over_sequences)
    assert alike.over_chips == close((one.mean(), one.mean()))
    other = accuracy((np.random.default_rng(1).uniform(size=(4, 400)) < 0.8).astype(float))
    low, high = other.over_sequences or (0, 0)
    assert high - low == close((alike.over_sequences[1] - alike.over_sequences[0]) / 2, rel=0.1)  # type: ignore[index]


def test_perfect_and_hopeless_systems_have_an_interval_as_well() -> None:
    for share in (0.0, 1.0):
        found = accuracy(np.full((2, 30), share))
        assert found.over_sequences == close(wilson(share, 30))
        assert found.high - found.low > 0.1


def test_matched_pairs_have_the_interval_of_agresti_and_min() -> None:
    """Of 100 pairs 12 differ one way and 5 the other: (12 - 5) / 102 ± 1.96 √(18 - 7² / 102) / 102."""
    pairs = np.array([1.0] * 12 + [-1.0] * 5 + [0.0] * 83)
    half = stats.norm.isf(0.025) * (18 - 49 / 102) ** 0.5 / 102
    assert matched(pairs) == close((7 / 102 - half, 7 / 102 + half))
    low, high = matched(np.zeros(100))
    assert low == -high < -0.01


def test_intervals_of_sequences_and_chips_are_squared_and_added() -> None:
    draw = np.random.default_rng(5)
    chips = np.array([0.7, 0.75, 0.85])[:, None]
    first, second = draw.uniform(size=(3, 200)) < chips, draw.uniform(size=(1, 200)) < 0.9
    found = difference(first.astype(float), second.astype(float))
    assert found.mean == close(first.mean() - second.mean())
    assert found.over_sequences is not None
    assert found.over_chips is not None
    parts = np.array([found.over_sequences, found.over_chips])
    assert found.low == close(found.mean - np.hypot(*(found.mean - parts[:, 0])))
    assert found.high == close(found.mean + np.hypot(*(parts[:, 1] - found.mean)))
    t = stats.ttest_1samp(first.mean(1) - second.mean(), 0.0).confidence_interval(0.95)
    assert found.over_chips == close((t.low, t.high))


def test_intervals_end_where_accuracies_do() -> None:
    """Two chips that differ much: Student's t alone would go far beyond 100 %."""
    right = np.concatenate([np.ones((1, 40)), np.zeros((1, 40))])
    assert accuracy(right)[1:3] == (0.0, 1.0)
    assert difference(right, np.zeros((1, 40)))[1:3] == (-1.0, 1.0)


def test_losses_are_paired_by_chip() -> None:
    first, second = np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.5, 3.0])
    found = difference_of_losses(first, second)
    assert found is not None
    t = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == close((t.low, t.high))
    assert difference_of_losses(first[:1], second[:1]) is None


def answers(draw: np.random.Generator, chips: int, ability: float, ease: np.ndarray) -> np.ndarray:
    """Right answers of chips that differ to sequences that differ: `(chips, sequences)`."""
    able = ability + draw.normal(scale=0.3, size=(chips, 1)) * (chips > 1)
    return (draw.logistic(size=(chips, len(ease))) < able + ease).astype(float)


@pytest.mark.parametrize("chips", [1, 4])
def test_intervals_cover_the_truth_at_least_as_often_as_they_say(chips: int) -> None:
    """A system and a reference, 200 sequences of unlike ease, 1500 times.

    Misses are at most 5 % of 1500, binomial: 5 standard errors more are a false alarm once in 3.5 million. Comparisons
    that forget the pairing are wider: here by a fifth.
    """
    draw, times = np.random.default_rng([11, chips]), 1500
    ease = draw.normal(scale=2.0, size=20_000)
    mine = answers(draw, 400 if chips > 1 else 1, 1.5, ease).mean()
    theirs = answers(draw, 1, 2.0, ease).mean()
    missed, widths = np.zeros(2), list[float]()
    for _ in range(times):
        shown = draw.normal(scale=2.0, size=200)
        first, second = answers(draw, chips, 1.5, shown), answers(draw, 1, 2.0, shown)
        alone, both = accuracy(first), difference(first, second)
        missed += (not alone.low <= mine <= alone.high, not both.low <= mine - theirs <= both.high)
        unpaired = np.hypot(np.ptp(alone.over_sequences), np.ptp(accuracy(second).over_sequences))  # type: ignore[arg-type]
        widths.append(float(np.ptp(both.over_sequences) / unpaired))  # type: ignore[arg-type]
    assert (missed < 0.05 * times + 5 * (0.05 * 0.95 * times) ** 0.5).all()
    assert (missed > 0.005 * times).all()  # nor are they so wide that they say nothing
    assert np.median(widths) < 0.9
