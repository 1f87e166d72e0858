"""Operations with numbers that a unit holds: products with matrices, coefficients of wires and modes.

The first operand of `values` and `shape` is what the unit holds: weights `(chips, inputs, outputs)` for a product, one
number per wire or mode `(chips, 1, n)` for coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.operations import kernels
from hwsim.operations.derivative import Elementwise, Linear
from hwsim.operations.operation import Operation, Traffic, each, last, macs, mode
from hwsim.records import Shape


class Held(Operation):
    """An operation with what a unit holds: coefficients of a signal's wires, unless it says otherwise.

    Attributes:
        named: whether its records name the holder among what they read.
        multiplier: the multipliers of a diagonal recurrence that can carry it out on a chip; None for other operations.
    """

    __slots__ = ("multiplier", "named")

    def __init__(
        self,
        name: str,
        values: Callable[..., Any],
        *,
        named: bool = False,
        multiplier: str | None = None,
        shape: Callable[..., Shape] = last,
        traffic: Traffic = Traffic.COEFFICIENTS,
        **declared: Any,
    ) -> None:
        self.named, self.multiplier = named, multiplier
        super().__init__(name, values, shape=shape, traffic=traffic, **declared)


# ---- matrices ----------------------------------------------------------------------------------------------------


def _product(w: np.ndarray, v: np.ndarray) -> Any:
    if v.ndim == 3:
        return np.matmul(v, w)
    return np.matmul(v.reshape(v.shape[0], -1, v.shape[-1]), w).reshape(*v.shape[:-1], w.shape[-1])


def _matrix_product(name: str, traffic: Traffic, derivative: Linear) -> Held:
    """A product with the matrix that a unit holds, for a vector or each vector of a bundle."""
    return Held(
        name,
        _product,
        shape=lambda held, shape: (*shape[:-1], held[-1]),
        size=lambda held, shape: (*shape[2:-1], *held),
        work=macs,
        product=True,
        traffic=traffic,
        named=True,
        derivative=derivative,
    )


read = _matrix_product(
    "read",
    Traffic.PRODUCT,
    Linear(lambda node, position, error: node.holder.T @ error, lambda node, position, change: node.holder @ change),
)
"""W x."""
read_transposed = _matrix_product(
    "read transposed",
    Traffic.TRANSPOSED_PRODUCT,
    Linear(lambda node, position, error: node.holder @ error, lambda node, position, change: node.holder.T @ change),
)
"""Wᵀ e."""

# ---- coefficients ------------------------------------------------------------------------------------------------


def vectorwise(kernel: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A kernel for vectors `(chips, vectors, n)`, for bundles as well."""

    def values(held: Any, x: np.ndarray) -> np.ndarray:
        if x.ndim == 3:
            return kernel(held, x)
        return kernel(held, x.reshape(x.shape[0], -1, x.shape[-1])).reshape(*x.shape[:-1], -1)

    return values


_ITSELF = Linear(lambda node, position, error: node.holder * error, lambda node, position, change: node.holder * change)
"""The derivative of a product with real factors."""

bias = Held("bias", vectorwise(kernels.bias), work=each(add=1), circuit="add", derivative=Elementwise(1))
"""x + b."""
gain = Held("gain", vectorwise(kernels.gain), work=each(multiply=1), circuit="multiply", derivative=_ITSELF)
"""g x."""
mode_gain = Held(
    "mode gain",
    vectorwise(kernels.mode_gain),
    work=each(multiply=1),
    circuit="multiply",
    traffic=Traffic.MODE_COEFFICIENTS,
    derivative=_ITSELF,
)
"""g h with one real factor per mode."""


def _spread(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    value = np.zeros((*x.shape, 2 * g.shape[-1]), x.dtype)
    value[..., ::2] = x[..., None] * g[:, :, None]
    return value


spread = Held(
    "spread",
    _spread,
    shape=lambda g, x: (*x, 2 * g[-1]),
    size=lambda held, x: (*x[2:], *held),
    work=each(multiply=1),
    circuit="multiply",
)
"""For each wire j the vector g x_j on the real wires of the modes."""
diagonal = Held(
    "diagonal",
    vectorwise(kernels.diagonal),
    work=mode(multiply=4, add=2),
    multiplier="forward",
    derivative=Linear(
        lambda node, position, error: node.holder.T * error, lambda node, position, change: node.holder * change
    ),
)
"""λ h with one complex factor per mode."""
conjugate_diagonal = Held(
    "conjugate diagonal", vectorwise(kernels.conjugate_diagonal), work=mode(multiply=4, add=2), multiplier="transposed"
)
"""λ̄ h."""
inverse_diagonal = Held(
    "inverse diagonal", vectorwise(kernels.diagonal), work=mode(multiply=4, add=2), multiplier="inverse"
)
"""h / λ̄, with the inverses held."""

# ---- what is held, as a signal -----------------------------------------------------------------------------------


def _columns(weights: np.ndarray, batch: int) -> np.ndarray:
    return np.repeat(weights.swapaxes(1, 2)[:, None], batch, 1)


columns = Held(
    "columns",
    _columns,
    kind="fetch",
    shape=lambda held, batch: (held[0], batch, held[2], held[1]),
    traffic=Traffic.MATRIX,
    named=True,
)
"""The target weights as a bundle of columns, the same for every sequence."""


def _own(weights: np.ndarray, batch: int) -> np.ndarray:
    row = np.arange(weights.shape[1])
    return np.repeat(weights[:, None, row, row % weights.shape[2]], batch, 1)


main_diagonal = Held(
    "main diagonal",
    _own,
    kind="fetch",
    shape=lambda held, batch: (held[0], batch, held[1]),
    traffic=Traffic.MATRIX,
    named=True,
)
"""The diagonals of the square blocks of the target weights, one below the other, the same for every sequence."""
mode_factors = Held(
    "mode factors",
    lambda g, batch: _spread(g, np.ones((len(g), batch, 1), g.dtype))[:, :, 0],
    kind="fetch",
    shape=lambda held, batch: (held[0], batch, 2 * held[-1]),
    size=lambda held, batch: held,
    traffic=Traffic.MATRIX,
    named=True,
)
"""The factors of a mode gain as the real parts of a complex signal, the same for every sequence."""
