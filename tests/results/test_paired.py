"""Paired differences: closed forms, what is not finite, and how often the intervals are right."""

from __future__ import annotations

import numpy as np
from conftest import close
from scipy import stats

from hwsim.results.paired import paired_difference, student


def test_three_observations_have_the_interval_of_the_table() -> None:
    """Mean 2, standard error 1/√3, and t(0.975, 2) = 4.302653."""
    found = student(np.array([1.0, 2.0, 3.0]))
    assert (found.mean, found.observations) == (2.0, 3)
    assert found.half == close(4.302653 / 3**0.5, rel=1e-6)
    assert found.high + found.low == close(4.0)


def test_the_interval_is_that_of_scipy_for_each_row() -> None:
    values = np.random.default_rng(1).normal(size=(3, 7))
    found = student(values, confidence=0.9)
    for row, low, high in zip(values, found.low, found.high, strict=True):
        test = stats.ttest_1samp(row, 0.0).confidence_interval(0.9)
        assert (low, high) == close((test.low, test.high))


def test_what_is_not_finite_is_left_out_and_one_observation_has_no_interval() -> None:
    found = student(np.array([[1.0, np.nan, 3.0], [5.0, np.inf, np.nan], [np.nan] * 3]))
    assert found.mean == close([2.0, 5.0, np.nan], nan_ok=True)
    assert found.observations.tolist() == [2, 1, 0]
    assert np.isnan(found.low).tolist() == [False, True, True]


def test_seeds_are_observations_and_chips_are_averaged_within_them() -> None:
    second = np.array([[10.0, 20.0], [30.0, 40.0]])
    found = paired_difference(second + np.array([[1.0, 3.0], [3.0, 5.0]]), second)
    assert (found.mean, found.observations, found.over, found.leads) == (3.0, 2, "seeds", 2)
    assert found.high - found.mean == close(stats.t.isf(0.025, 1) * 1.0)


def test_with_one_seed_chips_are_observations_beside_the_one_chip_of_a_digital_machine() -> None:
    found = paired_difference(np.array([[0.5, 0.7, 0.9]]), np.array([[0.6]]))
    assert (found.observations, found.over, found.leads) == (3, "chips", 2)
    assert found.mean == close(0.1)


def test_a_seed_with_a_lost_chip_gives_no_difference() -> None:
    first = np.array([[1.0, np.inf], [2.0, 2.0], [4.0, 4.0]])
    found = paired_difference(first, np.array([[0.0, np.inf], [0.0, 0.0], [0.0, 0.0]]))
    assert (found.mean, found.observations, found.non_finite) == (3.0, 2, 1)
    assert np.isnan(paired_difference(first[:1, 1:], np.zeros((1, 1))).mean)


def test_intervals_cover_the_true_difference_as_often_as_they_say() -> None:
    """Seeds with an effect of their own, chips within them: 4 seeds of 3 chips, 20 000 times.

    The number of misses is binomial, 5 % of 20 000: a deviation beyond 5 standard errors is a false alarm once in 1.7
    million. Chips counted as independent observations would miss more than twice as often.
    """
    random, times = np.random.default_rng(7), 20_000
    shared = random.normal(size=(times, 4, 1))  # of both, so that it cancels
    effect = random.normal(scale=0.7, size=(times, 4, 1))  # of the difference, by seed
    first = shared + 0.3 + effect + random.normal(size=(times, 4, 3))
    found = student((first - shared).mean(-1))
    misses = int(((found.low > 0.3) | (found.high < 0.3)).sum())
    assert abs(misses - 0.05 * times) < 5 * (0.05 * 0.95 * times) ** 0.5
    each = paired_difference(first[0], np.broadcast_to(shared[0], first[0].shape))
    assert (each.low, each.high) == close((found.low[0], found.high[0]))
    naive = student((first - shared).reshape(times, 12))
    assert ((naive.low > 0.3) | (naive.high < 0.3)).sum() > 2 * 0.05 * times
