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
        delta: the distance of levels, float32.
        full_scale: the last level, float32.
    """
    out = np.empty_like(x)
    a, o, beyond = x.ravel(), out.ravel(), 0
    inverse = np.float32(1) / delta
    for i in range(a.size):
        beyond += (a[i] > full_scale) | (a[i] < -full_scale)
        o[i] = min(max(np.rint(a[i] * inverse) * delta, -full_scale), full_scale)
    return out, beyond
