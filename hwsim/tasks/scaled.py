"""Wires scaled by what the training set shows: to mean 0 and deviation 1, or to the range from 0 to 1."""

from __future__ import annotations

import numpy as np

LOW, HIGH = 1, 99
"""Percentiles of the training set that become 0 and 1 where values are to be encoded."""


def scaled(values: np.ndarray, steps: np.ndarray, to_unit: bool) -> np.ndarray:
    """Each wire of `values`, `(batch, steps, width)`, scaled by what it shows in training, `steps`, `(count, width)`.

    Args:
        to_unit: whether two percentiles of these steps become 0 and 1, and what lies outside is cut; otherwise they get
            mean 0 and deviation 1. A wire that does not change in them is only shifted.
    """
    if to_unit:
        low, high = np.percentile(steps, [LOW, HIGH], axis=0)
        unit: np.ndarray = np.clip((values - low) / _or_one(high - low, steps), 0, 1)
        return unit
    standard: np.ndarray = (values - steps.mean(0)) / _or_one(steps.std(0), steps)
    return standard


def _or_one(spread: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """What a wire is divided by: 1 if it does not change, but for rounding."""
    return np.where(spread > 1e-12 * np.abs(steps).max(0), spread, 1.0)
