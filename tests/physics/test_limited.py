"""A parameter over devices of which some tell only a limit."""

from __future__ import annotations

import numpy as np
from conftest import close
from scipy import integrate, stats

from hwsim.physics.fits.limited import limited
from hwsim.physics.fits.population import population


def test_intervals_cover_where_a_quarter_of_devices_tells_a_limit() -> None:
    """60 populations of 16: mean and spread each cover in 50 or more (at 95 %, fewer in 1 of 2,000 tests)."""
    draw, covered, means, left = np.random.default_rng(1), np.zeros(2), [], []
    for _ in range(60):
        true = 1 + 0.1 * draw.normal(size=16)
        limit = 1.07 + 0.1 * draw.normal(size=16)  # far enough for three of four
        out = true > limit
        places = true + 0.02 * draw.normal(size=16)
        (mean, spread), met = limited(places, np.full(16, 4e-4), limit, np.where(out, -np.inf, np.inf), 1)
        assert (met == ~out).all()
        covered += mean[1] <= 1 <= mean[2], spread[1] <= 0.1 <= spread[2]
        means.append(mean[0])
        left.append(places[~out].mean())
    assert (covered >= 50).all()
    assert np.mean(means) == close(1, abs=0.016)  # 4.5 standard errors
    assert np.mean(left) < 0.975  # what leaving them out gives


def test_intervals_cover_where_it_is_in_doubt_whether_devices_met_a_bound() -> None:
    """40 populations of 16: mean and spread each cover in 33 or more (at 95 %, fewer in 1 of 1,000 tests).

    Each device tries six times, to y about a place of its own, and reads min(y, bound) with noise. A bound at the last
    of its reads is likelier than none even where it met none.
    """
    draw, covered, sharp, wide, noise = np.random.default_rng(3), np.zeros(2), 0, 0.03, 0.004
    for _ in range(40):
        true, goal = 1 + 0.1 * draw.normal(size=(16, 1)), 1 + 0.25 * draw.normal(size=(16, 1))
        reads = np.minimum(goal + wide * draw.normal(size=(16, 6)), true) + noise * draw.normal(size=(16, 6))
        place, variance, gain = _peaks(reads, goal, wide, noise)
        (mean, spread), _met = limited(place, variance, reads.max(1), gain, 1)
        covered += mean[1] <= 1 <= mean[2], spread[1] <= 0.1 <= spread[2]
        certain = np.where(gain > 1, np.inf, -np.inf)
        _mean, spread = limited(place, variance, reads.max(1), certain, 1).over_devices
        sharp += spread[1] <= 0.1 <= spread[2]
    assert (covered >= 33).all()
    assert sharp < 33  # where what is e times as likely is taken for certain


def _peaks(reads: np.ndarray, goal: np.ndarray, wide: float, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The likeliest bound of each device, its variance, and how much likelier than none it is."""
    at = np.linspace(reads.min() - 0.05, reads.max() + 0.05, 1001)[:, None, None]
    square = wide**2 + noise**2
    before = (goal * noise**2 + reads * wide**2) / square  # where y was, by a read that met no bound
    short = stats.norm.pdf(reads, goal, square**0.5)
    within = short * stats.norm.cdf((at - before) / (wide * noise / square**0.5))
    loss = np.log(within + stats.norm.sf(at, goal, wide) * stats.norm.pdf(reads, at, noise) + 1e-300).sum(2)
    top = np.clip(loss.argmax(0), 1, len(at) - 2)
    device = np.arange(len(reads))
    bend = 2 * loss[top, device] - loss[top - 1, device] - loss[top + 1, device]
    gain = loss[top, device] - np.log(short).sum(1)
    return at[top, 0, 0], (at[1, 0, 0] - at[0, 0, 0]) ** 2 / np.maximum(bend, 1e-6), gain


def test_the_chance_that_a_device_met_its_bound_is_that_of_both_likelihoods() -> None:
    """Of one device in doubt among others that are certain, by integration of its likelihood over its bound."""
    draw = np.random.default_rng(4)
    places = np.append(draw.normal(size=15), 1.5)
    variances, limits = np.full(16, 0.01), np.append(np.full(15, 9.0), 1.4)
    (mean, spread), met = limited(places, variances, limits, np.append(np.full(15, np.inf), 1.0), 1)
    bounds = stats.norm(mean[0], spread[0])
    there = integrate.quad(lambda z: np.exp(1 - (z - 1.5) ** 2 / 0.02) * bounds.pdf(z), 0.5, 2.5)[0]
    assert met[-1] == close(there / (there + bounds.sf(1.4)), rel=1e-6)
    assert (met[:-1] == 1).all()


def test_limits_far_from_the_others_tell_next_to_nothing() -> None:
    """With one device whose limit is certain to be beyond it, numbers are those of the others."""
    draw = np.random.default_rng(2)
    places, variances = draw.normal(size=15), np.full(15, 0.04)
    of_others = population(places, variances)
    every, gains = (np.append(places, -8.0), np.append(variances, 0.04)), np.append(np.full(15, np.inf), -np.inf)
    found = limited(*every, every[0], gains, 1).over_devices
    for one, other in zip(found.mean, of_others.mean, strict=True):
        assert one == close(other, abs=0.02)
    assert found.spread[0] == close(of_others.spread[0], rel=0.06)
    mirrored = limited(-every[0], every[1], -every[0], gains, -1).over_devices
    assert mirrored.mean[0] == close(-found.mean[0], abs=1e-3)
    assert mirrored.spread[2] == close(found.spread[2], rel=1e-3)
