"""A parameter over devices: mean and spread apart from the errors of estimates, and devices far from the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from hwsim.physics.fits.found import FALSE_ALARM

FEW = 10
"""Devices that tell a spread to about a quarter of it, and which of them is far from the others."""


class Population(NamedTuple):
    """Mean and spread of a parameter over devices, each with its 95 % interval: `(value, low, high)`."""

    mean: tuple[float, float, float]
    spread: tuple[float, float, float]


def population(estimates: np.ndarray, variances: np.ndarray) -> Population:
    """Mean and spread of what was estimated on each device.

    With estimates x of variances v on n devices, spread² = var(x) − mean(v), at least 0. The interval of the mean is
    Student's; that of the spread is the one of a normal variance, from which mean(v) is taken as well.

    Args:
        estimates: one per device, at least two.
        variances: of the estimates.
    """
    n, total, noise = estimates.size, float(estimates.var(ddof=1)), float(variances.mean())
    mean, half = float(estimates.mean()), float(stats.t.ppf(0.975, n - 1)) * (total / n) ** 0.5
    ends = [total, *(total * (n - 1) / float(stats.chi2.ppf(share, n - 1)) for share in (0.975, 0.025))]
    spread, low, high = (max(each - noise, 0.0) ** 0.5 for each in ends)
    return Population((mean, mean - half, mean + half), (spread, low, high))


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
