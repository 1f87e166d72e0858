"""What a read of tiles does to values: a product with the weights, noise, and saturation; and what it draws.

Products are BLAS's. Where matrices are small, calls take longer than what they do: such a read is one call of a kernel,
which calls BLAS itself. Larger products are cut into parts where that is faster.
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

_FLOAT32 = np.dtype(np.float32)
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
        return np.matmul(x, weights)
    wide = next((wide for wide in _WIDTHS if vectors * min(n, _DEEP) * wide <= _SMALL), 0)
    if not wide:
        return np.matmul(x, weights)
    whole = outputs // wide * wide
    y = np.empty((chips, vectors, outputs), x.dtype)
    _sum_parts(x, weights[..., :whole], y[..., :whole], wide)
    if whole < outputs:
        last = -(-(outputs - whole) // _STEP) * _STEP  # the last part is of full registers, some of them once more
        _sum_parts(x, weights[..., -last:], y[..., -last:], last)
    return y


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


def drawn_by(x: np.ndarray, conductance: np.ndarray, full_scale: PerChip) -> np.ndarray:
    """For each chip Σ (x / full scale)² G: what a read draws, but for V² t.

    Args:
        x: inputs `(chips, vectors, n)`.
        conductance: of all devices on each input line together, `(chips, n)`.
        full_scale: of all chips, or of each.
    """
    drawn = np.empty(len(x))  # an array that a kernel makes takes longer
    _draw(x, conductance, full_scale, drawn)
    return drawn


@compiled
def _draw(x, conductance, full_scale, drawn):  # type: ignore[no-untyped-def]
    """The same, into `drawn`."""
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


@compiled
def _small(noisy, x, weights, spread, conductance, full_scale, noise, limit, keys, moment, y, drawn):  # type: ignore[no-untyped-def]
    """A read whose products are small; fills in `y` and `drawn`, and gives how many outputs saturate."""
    _draw(x, conductance, full_scale, drawn)
    for c in range(len(x)):
        np.dot(x[c], weights[c], y[c])
    if not noisy:
        return add_scaled(y, NO_GAIN, noise, NONE, limit, keys, moment)
    variances = np.empty_like(y)
    for c in range(len(x)):
        np.dot(x[c] * x[c], spread[c], variances[c])
    return add_each(y, variances, noise, limit, keys, moment)


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
    _, weights, spread, conductance, _ = cut
    (chips, vectors, n), outputs = v.shape, weights.shape[2]
    if vectors * n * outputs <= _SMALL:
        y, drawn = np.empty((chips, vectors, outputs), _FLOAT32), np.empty(chips)
        how = conductance, scale, noise, limit, source.keys, moment
        return y, drawn, _small(noisy, v, weights, spread, *how, y, drawn)
    y, drawn = product(v, weights), drawn_by(v, conductance, scale)
    if noisy:
        return y, drawn, add_each(y, product(np.square(v), spread), noise, limit, source.keys, moment)
    return y, drawn, add_scaled(y, NO_GAIN, noise, NONE, limit, source.keys, moment)


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
