"""Digital-to-analog and analog-to-digital converters: a uniform, mid-tread grid, clipped at its ends."""

from __future__ import annotations

import numpy as np

from hwsim.kernels import compiled


def step(bits: int, full_scale: float) -> float:
    """The distance of neighbouring levels: 2^bits - 1 of them, symmetric about zero and including it.

    With the ends at levels, rounding before clipping and clipping before rounding give the same.
    """
    return 2 * full_scale / (2**bits - 2)


@compiled
def convert(x, delta, full_scale):  # type: ignore[no-untyped-def]
    """The nearest levels of a converter, and how many values lay beyond its ends.

    Args:
        x: an array of float32.
        delta: the distance of levels.
        full_scale: the last level.
    """
    out = np.empty(x.shape, x.dtype)  # in C order, whatever that of x is
    a, o, beyond = x.ravel(), out.ravel(), 0
    step, last = np.float32(delta), np.float32(full_scale)
    inverse = np.float32(1) / step
    for i in range(a.size):
        beyond += (a[i] > last) | (a[i] < -last)
        inside = min(max(a[i], -last), last)
        o[i] = min(max(np.rint(inside * inverse) * step, -last), last)  # the last level may round beyond
    return out, beyond
