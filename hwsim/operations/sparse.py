"""Operations with a sparse matrix: products with it, sums of outer products at its connections, and what it holds.

The size of their work is `(…, rows, fan-in, columns)`, so that its numbers without the last are the connections, each
of which is one multiply-accumulate per vector. The vector unit carries them out: each product takes an operand from a
place of its own, which a systolic array cannot do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hwsim.operations import kernels
from hwsim.operations.derivative import Linear
from hwsim.operations.held import Held, vectorwise
from hwsim.operations.operation import Operation, Size, Traffic, Work, macs


class Outgoing(NamedTuple):
    """The connections of a sparse matrix by the column that they come from, for products with vectors of few spikes.

    Attributes:
        starts: where the connections of each column begin, and where the last ones end, `(columns + 1,)`.
        rows: the row that each leads to, rising within a column, `(connections,)`; the same on all chips.
        weights: of each, `(chips, connections)`.
    """

    starts: np.ndarray
    rows: np.ndarray
    weights: np.ndarray


class Connected(NamedTuple):
    """What a sparse matrix holds.

    Attributes:
        weights: of the connections of each row, `(chips, rows, fan-in)`.
        places: the column that each connection comes from, `(1, rows, fan-in)`; the same on all chips.
        columns: of the matrix.
        outgoing: the same connections by column; None where products go by row, whatever a vector holds.
    """

    weights: np.ndarray
    places: np.ndarray
    columns: int
    outgoing: Outgoing | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of the weights."""
        return self.weights.dtype


def by_column(places: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connections in the order of the columns that they come from.

    Args:
        places: the column of each connection, `(1, rows, fan-in)`.
        columns: of the matrix.

    Returns:
        The order, `(connections,)`, and `starts` and `rows` of `Outgoing`.
    """
    index = np.uint32 if places.size < 2**32 else np.uint64  # without a sign, so that kernels index faster
    order, rows = np.empty(places.size, index), np.empty(places.size, index)
    starts: np.ndarray = kernels.sort_by_column(places[0], columns, order, rows)
    return order, starts, rows


def outgoing(weights: np.ndarray, order: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> Outgoing | None:
    """Weights `(chips, rows, fan-in)` by column; None if one is no finite number, whose product with zero is none."""
    if not np.isfinite(weights).all():
        return None
    return Outgoing(starts, rows, weights.reshape(len(weights), -1)[:, order])


def connections(size: Size) -> Work:
    """One multiply-accumulate per connection and vector."""
    return macs(size[:-1])


def _product(name: str, values: Callable[..., np.ndarray], width: Callable[..., int], **declared: Any) -> Held:
    """A product with a sparse matrix, for a vector or each vector of a bundle."""
    return Held(
        name,
        vectorwise(values),
        shape=lambda held, shape: (*shape[:-1], width(held)),
        size=lambda held, shape: (*shape[2:-1], *held),
        work=connections,
        named=True,
        **declared,
    )


read = _product(
    "sparse read",
    kernels.sparse_product,
    lambda held: held.places.shape[1],
    traffic=Traffic.SPARSE_PRODUCT,
    derivative=Linear(
        lambda node, position, error: node.holder.T @ error, lambda node, position, change: node.holder @ change
    ),
)
"""W x with a sparse W."""
read_transposed = _product(
    "sparse read transposed",
    kernels.sparse_transposed_product,
    lambda held: held.columns,
    traffic=Traffic.SPARSE_TRANSPOSED_PRODUCT,
    derivative=Linear(
        lambda node, position, error: node.holder @ error, lambda node, position, change: node.holder.T @ change
    ),
)
"""Wᵀ e with a sparse W."""
outer = Operation("sparse outer", lambda v, w: v, work=connections, traffic=Traffic.SPARSE_OUTER_SUMS)
"""Add outer products of two signals, summed over sequences, to one sum per connection of a sparse matrix."""

# ---- what is held, as a signal -----------------------------------------------------------------------------------


def _columns(held: Connected, batch: int) -> np.ndarray:
    weights, (_, rows, _) = held.weights, held.places.shape
    dense = np.zeros((len(weights), held.columns, rows), weights.dtype)
    dense[:, held.places[0], np.arange(rows)[:, None]] = weights
    return np.repeat(dense[:, None], batch, 1)


def _own(held: Connected, batch: int) -> np.ndarray:
    row = np.arange(held.places.shape[1])
    return np.repeat(_columns(held, 1)[:, :, row % held.columns, row], batch, 1)


columns = Held(
    "sparse columns",
    _columns,
    kind="sparse fetch",
    shape=lambda held, batch: (held.weights.shape[0], batch, held.columns, held.places.shape[1]),
    size=lambda held, batch: held,
    traffic=Traffic.SPARSE_MATRIX,
    named=True,
)
"""The target weights as a bundle of columns, zero where nothing is connected, the same for every sequence."""
main_diagonal = Held(
    "sparse main diagonal",
    _own,
    kind="sparse fetch",
    shape=lambda held, batch: (held.weights.shape[0], batch, held.places.shape[1]),
    size=lambda held, batch: held,
    traffic=Traffic.SPARSE_MATRIX,
    named=True,
)
"""The diagonals of the square blocks of the target weights, one below the other, zero where nothing is connected."""
