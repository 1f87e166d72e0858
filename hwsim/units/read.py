"""What a read of tiles does to values: a product with the weights, noise, and saturation; and what it draws.

The product is BLAS's. What comes before it, and what comes after, is one call of a kernel each: where matrices are
small, calls take longer than what they do.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.operations.kernels import compiled
from hwsim.operations.noise import NO_GAIN, NONE, Moment, PerChip, Source, add_each, add_scaled
from hwsim.units.devices import Cut
from hwsim.units.expected_inputs import square

_SMALL = 1_000_000
"""Multiplications of a product up to which OpenBLAS, where processors have AVX-512, takes matrices as they lie."""
_WIDTHS, _STEP = (64, 32, 16), 16
"""Outputs of a part of a product, the most first, and those of one vector register."""
_DEEP = 448
"""Inputs that BLAS sums at once; it adds the sums of more."""


def product(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x W for inputs `(chips, vectors, n)` and weights `(chips, n, outputs)`, in parts where BLAS is faster so.

    For a product that is not small BLAS first copies the weights into an order of its own, which for few vectors takes
    as long as the product. So it gets some outputs at a time, each part small enough to be worked out without a copy.
    More inputs than it would sum at once are cut where it cuts them, so that sums are the same to the last bit.
    """
    chips, vectors, n = x.shape
    outputs = weights.shape[2]
    if vectors * n * outputs <= _SMALL or outputs < _WIDTHS[0] or x.dtype != np.float32 or not _takes_as_they_lie():
        return _at_once(x, weights)
    wide = next((wide for wide in _WIDTHS if vectors * min(n, _DEEP) * wide <= _SMALL), 0)
    if not wide:
        return _at_once(x, weights)
    whole = outputs // wide * wide
    y = np.empty((chips, vectors, outputs), x.dtype)
    _sum_parts(x, weights[..., :whole], y[..., :whole], wide)
    if whole < outputs:
        last = -(-(outputs - whole) // _STEP) * _STEP  # the last part is of full registers, some of them once more
        _sum_parts(x, weights[..., -last:], y[..., -last:], last)
    return y


def _at_once(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same in one part; of one chip by `dot`, which gives the same and takes less time to get to BLAS."""
    return x[0].dot(weights[0])[None] if len(x) == 1 else np.matmul(x, weights)


@cache
def _takes_as_they_lie() -> bool:
    """Whether processors have what OpenBLAS needs for products without a copy."""
    from llvmlite import binding  # takes long to import, as kernels do, which a read needs too

    return bool(binding.get_host_cpu_features().get("avx512f"))


def _sum_parts(x: np.ndarray, weights: np.ndarray, y: np.ndarray, wide: int) -> None:
    """The same for so many parts of `wide` outputs, into `y`."""
    chips, n, outputs = weights.shape
    w = weights.reshape(chips, n, outputs // wide, wide).swapaxes(1, 2)  # views: one axis becomes two
    out = y.reshape(*y.shape[:2], outputs // wide, wide).swapaxes(1, 2)
    start = 0
    while start < n:
        stop = start + _summed(n - start)
        v = x[:, None, :, start:stop]
        if start:
            out += np.matmul(v, w[:, :, start:stop])
        else:
            np.matmul(v, w[:, :, :stop], out=out)
        start = stop


def _summed(left: int) -> int:
    """How many of the inputs that are left BLAS sums at once: all, half of them, or as many as it can."""
    if left <= _DEEP:
        return left
    return _DEEP if left >= 2 * _DEEP else -(-left // (2 * _STEP)) * _STEP


def squares(x: np.ndarray, conductance: np.ndarray, full_scale: PerChip) -> tuple[np.ndarray, np.ndarray]:
    """The squares of inputs, and for each chip Σ (x / full scale)² G: what a read draws, but for V² t.

    Args:
        x: inputs `(chips, vectors, n)`.
        conductance: of all devices on each input line together, `(chips, n)`.
    """
    out, drawn = np.empty(x.shape, x.dtype), np.empty(len(x))
    _square(x, conductance, full_scale, out, drawn)
    return out, drawn


# Arrays are made for kernels, since those that a kernel gives take it longer than NumPy.


@compiled
def _square(x, conductance, full_scale, out, drawn):  # type: ignore[no-untyped-def]
    """The same, into `out` and `drawn`."""
    chips, vectors, n = x.shape
    line = np.empty(n, np.float32)
    for c in range(chips):
        line[:] = 0
        drawn[c] = 0
        for v in range(vectors):
            for i in range(n):
                square = x[c, v, i] * x[c, v, i]
                out[c, v, i] = square
                line[i] += square
        for i in range(n):
            drawn[c] += line[i] * conductance[c, i]
    np.divide(drawn, full_scale**2, drawn)


@compiled
def _finish(y, x, conductance, full_scale, additive, limit, keys, moment, drawn):  # type: ignore[no-untyped-def]
    """Noise and saturation of outputs, in place; what the read draws, as above; gives how many outputs saturate."""
    chips, vectors, n = x.shape
    line = np.empty(n, np.float32)
    for c in range(chips):
        line[:] = 0
        drawn[c] = 0
        for v in range(vectors):
            for i in range(n):
                line[i] += x[c, v, i] * x[c, v, i]
        for i in range(n):
            drawn[c] += line[i] * conductance[c, i]
    np.divide(drawn, full_scale**2, drawn)
    return add_scaled(y, NO_GAIN, additive, NONE, limit, keys, moment)


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
        y = product(v, cut.weights)
        return y, drawn, add_each(y, product(squared, cut.spread), noise, limit, source.keys, moment)
    y, drawn = product(v, cut.weights), np.empty(len(v))
    return y, drawn, _finish(y, v, cut.conductance, scale, noise, limit, source.keys, moment, drawn)


def _expected_read(expected: Any, noisy: bool, cut: Cut, v: np.ndarray, *_: Any) -> tuple[np.ndarray, np.ndarray, int]:
    chips, vectors_, inputs = v.shape
    drawn = vectors_ * inputs * square(expected, v) * cut.conductance[:, 0]
    return blank((chips, vectors_, cut.weights.shape[-1])), drawn, 0


READ = Primitive(
    _read,
    _expected_read,
    # squares, and the variance that they give
    lambda made, noisy, cut, v, *_: v.nbytes + made[0].nbytes,
)
