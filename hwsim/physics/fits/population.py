"""A parameter over devices: mean and spread apart from the errors of estimates, and devices far from the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from hwsim.physics.fits.found import FALSE_ALARM, Z

FEW = 10
"""Devices that tell a spread to about a quarter of it, and which of them is far from the others."""


class Population(NamedTuple):
    """Mean and spread of a parameter over devices, each with its 95 % interval: `(value, low, high)`."""

    mean: tuple[float, float, float]
    spread: tuple[float, float, float]


def population(estimates: np.ndarray, variances: np.ndarray, common: float = 0.0) -> Population:
    """Mean and spread of what was estimated on each device.

    Estimates x are normal with variance τ² + v, of which τ is the spread over devices. With w = 1 / (τ² + v), and μ the
    mean weighted by it, Q(τ) = Σ w (x − μ)² is χ² of n − 1 degrees of freedom: the spread is the τ with Q = n − 1, and
    the ends of its interval are those with Q at the quantiles; each is at least 0. The mean is μ, and its interval is
    Student's with variance Q / ((n − 1) Σ w). (R. C. Paule and J. Mandel, J. Res. Natl. Bur. Stand. 87:377, 1982; W.
    Viechtbauer, Stat. Med. 26:37, 2007; J. Hartung and G. Knapp, Stat. Med. 20:1771, 2001.)

    Args:
        estimates: one per device, at least two.
        variances: of the estimates.
        common: variance of an error that all estimates share, as of a number that was fitted to all devices.
    """
    n = estimates.size

    def weighted(square: float) -> tuple[float, float, float]:
        weights = 1 / np.maximum(square + variances, 1e-300)
        mean = float(weights @ estimates / weights.sum())
        return mean, float(weights @ (estimates - mean) ** 2), float(weights.sum())

    def spread_at(q: float) -> float:
        most = float(estimates.var(ddof=1)) * (n - 1) / q * (1 + 1e-9) + 1e-300
        if weighted(0.0)[1] <= q:
            return 0.0
        return float(optimize.brentq(lambda square: weighted(square)[1] - q, 0.0, most, xtol=1e-300, rtol=1e-12))

    square, low, high = (
        spread_at(q) for q in (n - 1, float(stats.chi2.ppf(0.975, n - 1)), float(stats.chi2.ppf(0.025, n - 1)))
    )
    mean, q, weight = weighted(square)
    half = np.hypot(float(stats.t.ppf(0.975, n - 1)) * (q / (n - 1) / weight) ** 0.5, Z * common**0.5)
    return Population((mean, mean - half, mean + half), (square**0.5, low**0.5, high**0.5))


class Far(NamedTuple):
    """Which estimates are far from the others.

    Attributes:
        found: whether each is.
        middle, scale: median, and the spread that the median distance from it tells.
    """

    found: np.ndarray
    middle: float
    scale: float


def far(estimates: np.ndarray, parameters: int = 1) -> Far:
    """Estimates further from the median than normal spread has any be in `FALSE_ALARM` of files.

    Fewer than `FEW` devices do not tell.

    Args:
        parameters: that are judged in one file.
    """
    n, middle = estimates.size, float(np.median(estimates))
    away = np.abs(estimates - middle)
    scale = float(np.median(away)) / float(stats.norm.ppf(0.75)) * n / (n - 0.8)
    if n < FEW:
        return Far(np.zeros(n, bool), middle, scale)
    bound = float(stats.t.ppf(1 - FALSE_ALARM / (2 * n * parameters), 0.37 * (n - 1)))  # 0.37: a median's efficiency
    return Far(away > bound * scale, middle, scale)
