"""What an estimate expects of the inputs of tiles, as shares of full scale, where these are rounded or coded.

States and errors are taken to be normal numbers with a mean of 0 and the mean square that is expected. Inputs of the
network are taken not to be negative: 0, or with a probability p uniform from 0 to a. From their mean square s and mean
size m, as E|x| = p a / 2 and E x² = p a² / 3,

    a = 3 s / (2 m), at most 1,  p = 2 m / a, at most 1.

A converter brings them to the nearest of the levels k / M, -M ≤ k ≤ M. What is not known to be on levels, or is on
more than `COARSE` of them, is taken as it is.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi, sqrt
from statistics import NormalDist

import numpy as np

from hwsim.machine.shapes import Expectations, Shown, levels_of

COARSE = 16
"""With fewer levels of either sign, that numbers are on levels changes their mean square by a percent and more."""


def square(of: Expectations, v: np.ndarray) -> float:
    """E x² of the inputs in an array."""
    most = levels_of(v)
    if most == 0:  # signs alone
        return 1.0
    if most is not None and most < COARSE:
        levels, share = _on_levels(of, isinstance(v, Shown), most)
        return float(share @ (levels / most) ** 2)
    return of.input if isinstance(v, Shown) else of.signal


def size(of: Expectations, v: np.ndarray) -> float:
    """E|x|."""
    most = levels_of(v)
    if most == 0:
        return 1.0
    if most is not None and most < COARSE:
        levels, share = _on_levels(of, isinstance(v, Shown), most)
        return float(share @ np.abs(levels / most))
    return of.mean_input if isinstance(v, Shown) else sqrt(2 / pi * of.signal)


def ones(of: Expectations, shown: bool, bits: int, signed: bool) -> float:
    """How many bits of an input are expected to be 1.

    Args:
        shown: whether inputs are those of the network.
        bits: of an input, with its sign.
        signed: whether numbers are in two's complement, rather than by their magnitude.
    """
    first = min(bits, FIRST)
    levels, share = _on_levels(of, shown, 2 ** (first - 1) - 1)
    words = np.where(levels < 0, levels + 2**first, levels) if signed else np.abs(levels)
    some = of.of_input[1] if shown else float(of.signal > 0)
    return float(share @ sum((words >> bit) & 1 for bit in range(first))) + (bits - first) * some / 2


FIRST = 12
"""Bits, from the sign on, whose values are counted one by one; half of what follows is taken to be 1."""


@lru_cache
def _on_levels(of: Expectations, shown: bool, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The levels -M … M, and how likely each of them is."""
    levels = np.arange(-most, most + 1)
    edges = np.concatenate([[-np.inf], (levels[:-1] + 0.5) / most, [np.inf]])
    if shown:
        end, some = of.of_input
        below = np.where(edges < 0, 0.0, 1 - some + some * np.minimum(edges / end, 1.0))
    elif of.signal:
        normal = NormalDist(0, sqrt(of.signal))
        below = np.array([0.0, *(normal.cdf(edge) for edge in edges[1:-1]), 1.0])
    else:
        below = (edges > 0).astype(float)
    return levels, np.diff(below)
