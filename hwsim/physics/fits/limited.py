"""A parameter over devices of which some tell only a limit, as devices that never come to a bound tell of that bound.

Where a device went as far as c and met no bound, its bound lies beyond c. To leave it out would have the others speak
for it, which have the nearer bounds. With estimates x of variance v, and z the parameter over devices, normal with
mean μ and spread τ, the likelihood is

    Π φ((x − μ) / √(τ² + v)) / √(τ² + v)  over those that are told,  Π Φ(± (μ − c) / τ)  over the others,

+ where z ≥ c (J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26:24, 1958). The
spread is where it is largest for the best μ, times √(1 / Σ 1 / (τ² + v)) for the degree of freedom that μ takes.
Intervals are those of the likelihood's ratio: for τ with χ² of one degree of freedom, and for μ with
n ln(1 + t² / (n − 1)), with which it is Student's where all are told.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from hwsim.physics.fits.population import Population, population

_RATIO = float(stats.chi2.ppf(0.95, 1))


def limited(estimates: np.ndarray, variances: np.ndarray, beyond: np.ndarray, common: float = 0.0) -> Population:
    """Mean and spread, with intervals.

    Args:
        estimates: of each device, or its limit.
        variances: of the estimates; none is used of limits.
        beyond: 0 where a device is told, as two or more are; 1 where its number is the estimate or above, -1 where that
            or below.
        common: variance of an error that all estimates share.
    """
    told = beyond == 0
    if told.all():
        return population(estimates, variances, common)
    x, v, c, side = estimates[told], variances[told], estimates[~told], beyond[~told]
    n, scale = x.size, float(np.ptp(estimates)) + float(np.sqrt(v.mean())) + 1e-12
    middle = float(np.mean(estimates))

    def loss(mean: float, spread: float, freedom: bool) -> float:
        """Minus twice the logarithm of the likelihood."""
        square = spread**2 + v
        found = np.log(square) + (x - mean) ** 2 / square
        out = stats.norm.logcdf(side * (mean - c) / spread)
        lost = np.log((1 / square).sum() + c.size / spread**2) if freedom else 0.0
        return float(found.sum() - 2 * out.sum() + lost)

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
    means = optimize.minimize_scalar(of_mean, bounds=(mean - scale, mean + scale), method="bounded")
    t = float(stats.t.ppf(0.975, n - 1))
    level = float(means.fun) + n * np.log1p(t**2 / (n - 1))
    step = (spread + float(np.sqrt(v.mean()))) / n**0.5
    low, high = (_end(of_mean, float(means.x), level, by, 60) for by in (-step, step))
    shared = 1.959964 * common**0.5
    return Population(
        (mean, mean - float(np.hypot(mean - low, shared)), mean + float(np.hypot(high - mean, shared))),
        (spread, low_spread, spreads[1]),
    )


def _end(of: Callable[[float], float], start: float, level: float, by: float, furthest: int) -> float:
    """Where a loss comes to a level, from its least on, in steps of growing size."""
    near, far = start, start + by
    for _ in range(furthest):
        if of(far) >= level:
            return float(optimize.brentq(lambda at: of(at) - level, near, far, xtol=1e-4 * abs(by)))
        near, far = far, far + by
        by *= 1.3
    return far
