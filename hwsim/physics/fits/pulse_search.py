"""A law of pulses fitted to a pulse response: where the search begins, and what is believed beforehand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.physics.fits import pulse_filter
from hwsim.physics.fits.likeliest import STEPS, Found, Prior, Scored, likeliest
from hwsim.physics.fits.pulse_filter import LAWS, NUMBERS, SHAPES, Series

BOUNDED = {"constant": 0.1, "linear": 0.1}
"""Laws whose pulses stop at bounds, and how far from the reads these are believed to be where no read meets them."""
_FAR = 5.0
"""The same for other laws."""
_WIDTH = 1e-6
"""Of differences that stand for derivatives."""
_WITHIN, _FEW_CHANGES = 0.8, 6
"""Changes that tell steps to begin with: from so much of the half range about its middle, and how many at least."""


class Kind(NamedTuple):
    """What is fitted: a law, and what its errors go with."""

    law: str
    of_step: bool = False
    additive: bool = False


def fitted(
    series: Series,
    kind: Kind,
    start: Found | None = None,
    bounds: np.ndarray | None = None,
    held: bool = False,
    steps: int = STEPS,
) -> Found:
    """A law with the largest likelihood, searched from where another one was found, or from what reads show.

    Args:
        bounds: which bounds there are, as `score` takes them; by default all.
        held: whether numbers that devices share stay as they are.
        steps: the largest number of them.
    """
    believed = prior(series, kind)
    own, shared = (believed.own, believed.shared) if start is None else (start.own, start.shared)

    def of_reads(own: np.ndarray, shared: np.ndarray) -> Scored:
        return score(series, kind, own, shared, bounds)

    return likeliest(of_reads, believed, own, shared, steps, held=held)


def score(
    series: Series,
    kind: Kind,
    own: np.ndarray,
    shared: np.ndarray,
    bounds: np.ndarray | None = None,
    used: np.ndarray | None = None,
) -> Scored:
    """Loss, its gradient, and information, as `likeliest` takes them.

    Args:
        own, shared: numbers of devices, and of all.
        bounds: whether each device has a lower and an upper bound, `(devices, 2)`; by default both.
        used: 1 for each read that counts, by default for all.
    """
    bounds = np.ones((len(own), 2), bool) if bounds is None else bounds
    used = np.ones(series.read.size, np.int64) if used is None else used
    words = series.read, series.pulses, series.fresh, series.ends, used
    loss, slope, information = pulse_filter.score(
        LAWS.index(kind.law), own, shared, kind.of_step, kind.additive, bounds, *words, _WIDTH
    )
    return loss, slope, information


def foretold(
    series: Series, kind: Kind, own: np.ndarray, shared: np.ndarray, bounds: np.ndarray, device: int
) -> np.ndarray:
    """What is foretold for each read of a device from the reads before: errors, their variances, and predictions.

    Args:
        own, bounds: of this device.
    """
    part = series.parts[device]
    read, pulses, fresh = series.read[part], series.pulses[part], series.fresh[part]
    used, out = np.ones(read.size, np.int64), np.zeros((4, read.size))
    number = LAWS.index(kind.law)
    pulse_filter.follow(number, own, shared, kind.of_step, kind.additive, bounds, read, pulses, fresh, used, *out)
    return out[:3]


def prior(series: Series, kind: Kind) -> Prior:
    """What is believed of a law beforehand, wide but for bounds, of which reads may tell nothing.

    A search begins there. Bounds are where reads end, and steps follow from how many pulses most of the way takes.
    """
    low, high = series.span
    own = np.zeros((low.size, NUMBERS[kind.law]))
    own[:, 2], own[:, 3] = low, high
    way = np.ones(low.size) if kind.law == "soft_bounds" else high - low
    own[:, :2] = np.log(series.shares * way[:, None])
    if kind.law in BOUNDED:
        for device in range(low.size):
            _along(series, device, own[device])
    far = BOUNDED.get(kind.law, _FAR)
    shared = np.zeros(2 + SHAPES[kind.law])
    shared[:2] = np.log([0.3, 0.02])
    widths = np.array([4.0, 4.0, far, far, 3.0, 3.0][: own.shape[1]])
    return Prior(own, widths, shared, np.array([5.0, 5.0, 1.5, 1.5][: shared.size]))


def _along(series: Series, device: int, own: np.ndarray) -> None:
    """Steps, and bends if there are any, from changes by pulses well within the bounds, by least squares."""
    part = series.parts[device]
    read, pulses, fresh = series.read[part], series.pulses[part], series.fresh[part]
    middle, half = (own[2] + own[3]) / 2, max((own[3] - own[2]) / 2, 1e-6)
    away = read[:-1] - middle
    for side, sign in enumerate((1, -1)):
        here = (pulses[1:] * sign > 0) & (fresh[1:] == 0) & (np.abs(away) < _WITHIN * half)
        if here.sum() < _FEW_CHANGES:
            continue
        change = np.abs(1 / pulses[1:][here]) * sign * np.diff(read)[here]
        if own.size > 4:
            slope, step = np.polyfit(away[here], change, 1)
            own[4 + side] = np.clip(-slope / max(step, 1e-3), -0.9 / half, 0.9 / half)
        else:
            step = change.mean()
        own[side] = np.log(max(step, 1e-3))
