"""Which devices met their bounds, of laws whose pulses stop there, and how the bounds differ over devices.

A bound at the furthest of the reads has these likelier than none does, even where a device met none: there is always
one read that no other goes beyond. Taken for bounds, such places have bounds of devices spread too widely, and steps
near them too small. So both are kept for each device: the likelihood with its bound at the likeliest place, and the
one without a bound. The devices that met theirs for certain tell where bounds are, and so which of both is likelier of
the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.physics.fits.likeliest import Found
from hwsim.physics.fits.limited import CERTAIN, Limited, limited
from hwsim.physics.fits.pulse_filter import Series
from hwsim.physics.fits.pulse_search import BOUNDED, Kind, fitted, foretold

_TOLD = 3
"""Devices that met a bound for certain, at least, for what the others tell to be judged by them."""
_PLAIN = 3.0
"""Where there are fewer, a bound counts as met from this logarithm of the factor by which reads are likelier."""
_STEPS = 16
"""Steps from a fit with bounds to one without."""


class Bounds(NamedTuple):
    """What reads tell of the lower, or of the upper, bound of each device.

    Attributes:
        side: -1 for lower bounds, 1 for upper ones.
        place: where a bound that the device met is likeliest.
        variance: of it.
        gain: logarithm of the factor by which reads are likelier so than if the device met none.
        went: how far the device went; if it met no bound, its bound lies beyond.
        met: whether the device likelier met its bound than not.
    """

    side: int
    place: np.ndarray
    variance: np.ndarray
    gain: np.ndarray
    went: np.ndarray
    met: np.ndarray

    @property
    def told(self) -> bool:
        """Whether enough devices met their bounds for certain."""
        return int((self.gain > CERTAIN).sum()) >= _TOLD

    @property
    def of_logs(self) -> bool:
        """Whether bounds differ by their logarithms, as they do if all are above 0."""
        return bool((self.place > 0).all() and (self.went > 0).all())

    def over_devices(self, found: Found) -> Limited:
        """Mean and spread over devices.

        Args:
            found: the fit that the places are from.
        """
        place, variance, went, follows = self.place, self.variance, self.went, found.follows[:, _at(self.side)]
        if self.of_logs:
            variance, follows, went, place = variance / place**2, follows / place[:, None], np.log(went), np.log(place)
        of_shared = follows[self.met].mean(0)
        common = float(of_shared @ found.shared_errors @ of_shared)
        return limited(place, variance, went, self.gain, self.side, common)

    def refitted(self, found: Found) -> Bounds:
        """The same, with bounds that were met where another fit has them."""
        at = _at(self.side)
        return self._replace(
            place=np.where(self.met, found.own[:, at], self.place),
            variance=np.where(self.met, found.own_errors[:, at, at], self.variance),
        )


def _at(side: int) -> int:
    """Which number of a device the bound is."""
    return (5 + side) // 2


def bounds_of(series: Series, kind: Kind, found: Found) -> tuple[Bounds, Bounds]:
    """The lower and the upper bounds.

    Args:
        found: a fit in which each device has both.
    """
    return _bounds(series, kind, found, -1), _bounds(series, kind, found, 1)


def _bounds(series: Series, kind: Kind, found: Found, side: int) -> Bounds:
    at = _at(side)
    there = np.ones((len(found.own), 2), bool)
    there[:, at - 2] = False
    without = fitted(series, kind, found, there, held=True, steps=_STEPS)
    variance = found.own_errors[:, at, at]
    gain = np.where(variance**0.5 < BOUNDED[kind.law] / 2, without.loss - found.loss, -np.inf)
    went = [_furthest(series, kind, without, there[device], device, side) for device in range(len(there))]
    bounds = Bounds(side, found.own[:, at], variance, gain, np.array(went), gain > _PLAIN)
    return bounds._replace(met=bounds.over_devices(found).met > 0.5) if bounds.told else bounds


def _furthest(series: Series, kind: Kind, found: Found, bounds: np.ndarray, device: int, side: int) -> float:
    """How far a device went, by the means of its state after each read."""
    error, variance, expected = foretold(series, kind, found.own[device], found.shared, bounds, device)
    told, square = variance > 0, float(np.exp(2 * found.shared[1]))
    error, variance, expected = error[told], variance[told], expected[told]
    read = square if kind.additive else square * (variance + expected**2) / (1 + square)
    state = expected + np.maximum(1 - read / variance, 0) * error
    return float((side * state).max() * side)
