"""A parameter over devices: its mean and its spread, apart from the errors of its estimates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


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
