"""Paired differences: what is compared has seeds and chips in common, so that their chance cancels in the difference.

Systems with the same seed start from the same weights, see the same data, and, on the same machine, have the same
devices. A seed is drawn anew as a whole, and its chips share all of that; so the seed is what counts as one
observation, and chips count only if there is one seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit  # SciPy's statistics take most of a second to load

CONFIDENCE = 0.95
"""How often an interval contains what it is an interval of."""


class Interval(NamedTuple):
    """A mean and its confidence interval; NaN where there are too few observations.

    Attributes:
        mean: NaN without an observation.
        low, high: NaN for fewer than two observations.
        observations: their number.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    observations: np.ndarray

    @property
    def half(self) -> np.ndarray:
        """Half of the width: what stands behind ±."""
        return (self.high - self.low) / 2


def student(observations: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """The mean of independent observations along the last axis, and its interval by Student's t (1908).

    An observation that is not finite is left out. Observations that are all alike have an interval without width.
    """
    values = np.asarray(observations, float)
    known = np.isfinite(values)
    count = known.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.where(known, values, 0).sum(-1) / count
        squares = np.where(known, values - mean[..., None], 0) ** 2
        half = -stdtrit(count - 1, (1 - confidence) / 2) * np.sqrt(squares.sum(-1) / (count - 1) / count)
    return Interval(mean, mean - half, mean + half, count)


class PairedDifference(NamedTuple):
    """The difference of two things over the seeds and chips that they share: first − second.

    Attributes:
        mean, low, high: the mean difference and its confidence interval.
        leads: the number of observations whose difference is positive.
        observations: their number.
        non_finite: the number of observations without a finite difference; they are in no mean.
        over: what an observation is, `seeds` or `chips`.
    """

    mean: float
    low: float
    high: float
    leads: int
    observations: int
    non_finite: int
    over: str


def paired_difference(first: np.ndarray, second: np.ndarray, confidence: float = CONFIDENCE) -> PairedDifference:
    """Compare two quantities that were measured on the same seeds and chips.

    A seed gives one difference, between the means over its chips; none if a chip of either is not finite. With one
    seed each chip gives one.

    Args:
        first, second: values `(seeds, chips)`. One of them may have a single chip, such as a digital machine, whose
            value then stands beside that of each chip.
    """
    with np.errstate(invalid="ignore"):  # from infinities
        differences = np.asarray(first, float) - np.asarray(second, float)
        seeds, _ = differences.shape
        observed = differences[0] if seeds == 1 else differences.mean(1)  # what is not finite makes the mean so
    known = np.isfinite(observed)
    found = student(observed, confidence)
    return PairedDifference(
        float(found.mean),
        float(found.low),
        float(found.high),
        leads=int((observed[known] > 0).sum()),
        observations=int(known.sum()),
        non_finite=int((~known).sum()),
        over="chips" if seeds == 1 else "seeds",
    )
