"""A parameter over devices of which some tell only a limit, as devices that never come to a bound tell of that bound.

Where a device went as far as c and met no bound, its bound lies beyond c. To leave it out would have the others speak
for it, which have the nearer bounds. Whether a device met its bound may be in doubt: its reads are likelier by a
factor of e^G with a bound at x, to within the variance v, than with none as far as c. With z the parameter over
devices, normal with mean μ and spread τ, the reads of a device are as likely as

    e^G √(v / (τ² + v)) exp(−(x − μ)² / (2 (τ² + v))) + Φ(± (μ − c) / τ),

+ where z ≥ c: the first where it met its bound, the second where it did not. Only one of both is left where G is large,
or far below 0 (J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26:24, 1958). The
spread is where the likelihood is largest for the best μ, times √(1 / Σ 1 / (τ² + v)) for the degree of freedom that μ
takes. Intervals are those of the likelihood's ratio: for τ with χ² of one degree of freedom, and for μ with
n ln(1 + t² / (n − 1)), with which it is Student's where all are told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from hwsim.physics.fits.found import Z
from hwsim.physics.fits.population import Population, population

CERTAIN = 20.0
"""From this G on, none of the limit is left."""
_RATIO = float(stats.chi2.ppf(0.95, 1))


class Limited(NamedTuple):
    """Mean and spread, and how likely each device met its bound."""

    over_devices: Population
    met: np.ndarray


def limited(
    places: np.ndarray,
    variances: np.ndarray,
    limits: np.ndarray,
    gains: np.ndarray,
    side: int,
    common: float = 0.0,
) -> Limited:
    """Mean and spread, with intervals.

    Args:
        places, variances: x and v of each device.
        limits: c of each.
        gains: G of each; ∞ where x is certain, as that of two devices is, and −∞ where there is only the limit.
        side: 1 where z is c or above if no bound was met, -1 where that or below.
        common: variance of an error that all places share.
    """
    certain = gains > CERTAIN
    if certain.all():
        return Limited(population(places, variances, common), np.ones(places.size))
    x, v, c = places, np.maximum(variances, 1e-300), limits
    known = np.where(certain, x, c)
    scale, middle = float(np.ptp(known)) + float(np.sqrt(v[certain].mean())) + 1e-12, float(known.mean())
    factor, none = np.where(certain, 0.0, gains), np.where(certain, -np.inf, 0.0)

    def likely(mean: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of both parts."""
        square = spread**2 + v
        there = factor + (np.log(v / square) - (x - mean) ** 2 / square) / 2
        return there, special.log_ndtr(side * (mean - c) / spread) + none

    def chance(mean: float, spread: float) -> np.ndarray:
        """That each met its bound."""
        there, beyond = likely(mean, spread)
        return np.exp(there - np.logaddexp(there, beyond))

    def loss(mean: float, spread: float, freedom: bool) -> float:
        """Minus twice the logarithm of the likelihood."""
        there, beyond = likely(mean, spread)
        both = np.logaddexp(there, beyond)
        if not freedom:
            return float(-2 * both.sum())
        met = np.exp(there - both)
        return float(-2 * both.sum() + np.log((met / (spread**2 + v) + (1 - met) / spread**2).sum()))

    def best_mean(spread: float) -> float:
        ends = (middle - 5 * scale, middle + 5 * scale)
        return float(optimize.minimize_scalar(lambda mean: loss(mean, spread, False), bounds=ends, method="bounded").x)

    def of_spread(log: float) -> float:
        return loss(best_mean(float(np.exp(log))), float(np.exp(log)), True)

    def of_mean(mean: float) -> float:
        return least(lambda log: loss(mean, float(np.exp(log)), False))[1]

    def least(of: Callable[[float], float]) -> tuple[float, float]:
        found = optimize.minimize_scalar(of, bounds=(np.log(1e-4 * scale), np.log(5 * scale)), method="bounded")
        return float(found.x), float(found.fun)

    log, lowest = least(of_spread)
    spreads = [float(np.exp(_end(of_spread, log, lowest + _RATIO, by, 8))) for by in (-0.3, 0.3)]
    spread = float(np.exp(log))
    low_spread = 0.0 if spreads[0] < 1e-3 * spread else spreads[0]
    mean = best_mean(spread)
    met = chance(mean, spread)
    means = optimize.minimize_scalar(of_mean, bounds=(mean - scale, mean + scale), method="bounded")
    n = max(float(met.sum()), 2.0)
    level = float(means.fun) + n * np.log1p(float(stats.t.ppf(0.975, n - 1)) ** 2 / (n - 1))
    step = (spread + float(np.sqrt(v[certain].mean()))) / n**0.5
    low, high = (_end(of_mean, float(means.x), level, by, 60) for by in (-step, step))
    shared = Z * common**0.5
    over_devices = Population(
        (mean, mean - float(np.hypot(mean - low, shared)), mean + float(np.hypot(high - mean, shared))),
        (spread, low_spread, spreads[1]),
    )
    return Limited(over_devices, met)


def _end(of: Callable[[float], float], start: float, level: float, by: float, furthest: int) -> float:
    """Where a loss comes to a level, from its least on, in steps of growing size."""
    near, far = start, start + by
    for _ in range(furthest):
        if of(far) >= level:
            return float(optimize.brentq(lambda at: of(at) - level, near, far, xtol=1e-4 * abs(by)))
        near, far = far, far + by
        by *= 1.3
    return far
