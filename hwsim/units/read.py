"""What a read of tiles does to values: a product with the weights, noise, and saturation; and what it draws.

The product is BLAS's. What comes before it, and what comes after, is one call of a kernel each: where matrices are
small, calls take longer than what they do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import Shown, blank
from hwsim.operations.kernels import compiled
from hwsim.operations.noise import NO_GAIN, NONE, Moment, PerChip, Source, add_each, add_scaled
from hwsim.units.devices import Cut


@compiled
def squares(x: np.ndarray, conductance: np.ndarray, full_scale: PerChip) -> tuple[np.ndarray, np.ndarray]:
    """The squares of inputs, and for each chip Σ (x / full scale)² G: what a read draws, but for V² t.

    Args:
        x: inputs `(chips, vectors, n)`.
        conductance: of all devices on each input line together, `(chips, n)`.
    """
    chips, vectors, n = x.shape
    out, drawn, line = np.empty_like(x), np.zeros(chips), np.empty(n, np.float32)
    for c in range(chips):
        line[:] = 0
        for v in range(vectors):
            for i in range(n):
                square = x[c, v, i] * x[c, v, i]
                out[c, v, i] = square
                line[i] += square
        for i in range(n):
            drawn[c] += line[i] * conductance[c, i]
    return out, drawn / full_scale**2


@compiled
def _finish(y, x, conductance, full_scale, additive, limit, keys, moment):  # type: ignore[no-untyped-def]
    """Noise and saturation of outputs, in place; what the read draws, as above; and how many outputs saturate."""
    chips, vectors, n = x.shape
    drawn, line = np.zeros(chips), np.empty(n, np.float32)
    for c in range(chips):
        line[:] = 0
        for v in range(vectors):
            for i in range(n):
                line[i] += x[c, v, i] * x[c, v, i]
        for i in range(n):
            drawn[c] += line[i] * conductance[c, i]
    return drawn / full_scale**2, add_scaled(y, NO_GAIN, additive, NONE, limit, keys, moment)


def _read(
    noisy: bool,
    cut: Cut,
    v: np.ndarray,
    scale: PerChip,
    noise: np.ndarray,
    limit: np.ndarray,
    source: Source,
    moment: Moment,
) -> tuple[np.ndarray, np.ndarray, int]:
    """What tiles give for inputs `(chips, vectors, n)` of full scale `scale`; outputs saturate at `limit`.

    Args:
        noisy: whether devices are noisy, so that each output has a variance of its own.
        noise, limit: of each chip, or one for all of them, float32.

    Returns:
        Outputs, Σ (x / scale)² G on each chip, and how many outputs saturate.
    """
    if noisy:
        squared, drawn = squares(v, cut.conductance, scale)
        y = np.matmul(v, cut.weights)
        return y, drawn, add_each(y, np.matmul(squared, cut.spread), noise, limit, source.keys, moment)
    y = np.matmul(v, cut.weights)
    drawn, beyond = _finish(y, v, cut.conductance, scale, noise, limit, source.keys, moment)
    return y, drawn, beyond


def _expected_read(expected: Any, noisy: bool, cut: Cut, v: np.ndarray, *_: Any) -> tuple[np.ndarray, np.ndarray, int]:
    chips, vectors_, inputs = v.shape
    square = expected.input if isinstance(v, Shown) else expected.signal
    drawn = vectors_ * inputs * square * cut.conductance[:, 0]
    return blank((chips, vectors_, cut.weights.shape[-1])), drawn, 0


READ = Primitive(
    _read,
    _expected_read,
    # squares, and the variance that they give
    lambda made, noisy, cut, v, *_: v.nbytes + made[0].nbytes,
)
