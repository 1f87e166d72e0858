"""Feedback: a linear system that amplifiers solve by driving the lines of a matrix until its currents cancel."""

from __future__ import annotations

import numpy as np

from hwsim.operations.held import Held
from hwsim.operations.operation import Traffic
from hwsim.operations.reductions import solve


def system(weights: np.ndarray, slope: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """diag(k) + Wᵀ diag(φ), `(chips, batch, n, n)`.

    Args:
        weights: W, `(chips, n, n)`.
        slope: φ, `(chips, batch, n)`.
        kept: k, `(chips, n)`.
    """
    made = weights.swapaxes(1, 2)[:, None] * slope[:, :, None, :]
    n = np.arange(weights.shape[-1])
    made[:, :, n, n] += kept[:, None]
    return np.asarray(made)


def _solved(weights: np.ndarray, slope: np.ndarray, v: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.solve(system(weights, slope, kept), v[..., None])[..., 0])


solve_in_loop = Held(
    "solve in a loop",
    _solved,
    shape=lambda held, slope, v, *_: v,
    size=lambda held, slope, v, *_: held,
    work=solve.work,
    product=True,
    traffic=Traffic.NONE,
    named=True,
)
"""y with (diag(k) + Wᵀ diag(φ)) y = v: `loop.solve(φ, v)`, by amplifiers around the devices of W."""
