"""Operations in which every wire counts for a result: sums, norms, softmax, products of vectors, linear systems."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from hwsim.operations import kernels
from hwsim.operations.operation import (
    Operation,
    Size,
    Traffic,
    Unary,
    Work,
    each,
    half,
    last,
    macs,
    mode,
    one_wire,
    same,
)
from hwsim.records import Shape


def _vectors(*shapes: Shape) -> Size:
    """The size of the first operand."""
    return shapes[0][2:]


# ---- n wires in, one out -----------------------------------------------------------------------------------------


def _sum(size: Size) -> Work:
    return {"add": prod(size[:-1]) * (size[-1] - 1)}


def _largest(size: Size) -> Work:
    return {"compare": prod(size[:-1]) * (size[-1] - 1)}


def _norm(size: Size) -> Work:
    """Products of all wires with themselves, summed; the root; a share of it."""
    vectors = prod(size[:-1])
    return {"mac": prod(size), "root": vectors, "multiply": vectors}


total = Unary("sum", lambda v: v.sum(-1, keepdims=True), shape=one_wire, size=_vectors, work=_sum)
"""The sum over wires."""
largest = Unary("largest", lambda v: np.abs(v).max(-1, keepdims=True), shape=one_wire, size=_vectors, work=_largest)
"""The largest absolute value of all wires."""
peak = Operation(
    "peak",
    lambda v: np.abs(v).max(-1, keepdims=True),
    shape=one_wire,
    size=_vectors,
    work=_largest,
    circuit="compare",
)
"""The largest absolute value of all wires, found by comparators on the lines of a tile that is to be pulsed."""
norm = Unary(
    "norm",
    lambda v, share: share * np.sqrt(np.square(v).sum(-1, keepdims=True)),
    shape=one_wire,
    size=_vectors,
    work=_norm,
)
"""A fixed share of √Σx² over wires. Squares are summed as products are; only the result is rounded."""

# ---- 2N wires of two complex signals in, N out -------------------------------------------------------------------

pair_dot = Operation("pair dot", kernels.pair_dot, shape=half, size=_vectors, work=mode(multiply=2, add=1))
"""Re(x ȳ), mode by mode."""
pair_cross = Operation("pair cross", kernels.pair_cross, shape=half, size=_vectors, work=mode(multiply=2, add=1))
"""Im(x ȳ), mode by mode."""

# ---- within a vector ---------------------------------------------------------------------------------------------


def _softmax(size: Size) -> Work:
    """Maximum, differences, exponentials, their sum, its reciprocal, products."""
    n, vectors = size[-1], prod(size[:-1])
    counts = {"compare": n - 1, "add": 2 * n - 1, "exp": n, "divide": 1, "multiply": n}
    return {name: vectors * count for name, count in counts.items()}


def _standardise(size: Size) -> Work:
    """Mean, differences, squares, variance, root, reciprocal, products."""
    n = size[-1]
    return {"add": 3 * n - 1, "multiply": 2 * n + 2, "root": 1, "divide": 1}


def _standardise_error(size: Size) -> Work:
    """Two means, one of them of products, then e - mean - y mean, scaled."""
    n, vectors = size[-1], prod(size[:-1])
    return {"add": vectors * (4 * n - 2), "multiply": vectors * (3 * n + 2)}


def _before_standardise(e: np.ndarray, standard: np.ndarray, scale: np.ndarray) -> np.ndarray:
    if e.ndim == 3:
        return kernels.standardise_error(e, standard, scale)
    vectors = (np.repeat(each, e.shape[2], 1) for each in (standard, scale))
    flat = kernels.standardise_error(e.reshape(e.shape[0], -1, e.shape[-1]), *vectors)
    return flat.reshape(e.shape)


softmax = Unary("softmax", kernels.softmax, work=_softmax)
standardise = Operation("standardise", kernels.standardise, second=one_wire, work=_standardise)
"""(x - mean) s with s = 1 / √(variance + ε) over the wires, and s on one wire: `standardise(x, epsilon)`."""
standardise_error = Operation("standardise error", _before_standardise, work=_standardise_error)
"""The error before `standardise`, from the error behind it and the two results; the same for each vector of a bundle.

Its Jacobian is symmetric, so this is also the change of its result with a change of its operand."""

# ---- bundles -----------------------------------------------------------------------------------------------------


def _solve_work(size: Size) -> Work:
    """LU decomposition of an n by n matrix, then both substitutions (Golub and Van Loan, Matrix Computations, 3.2)."""
    n = size[-1]
    return {"mac": n * (n - 1) * (2 * n - 1) // 6 + n * (n - 1), "divide": n * (n - 1) // 2 + n}


def _qr_work(size: Size) -> Work:
    """Householder's decomposition of k vectors of n numbers, and its orthonormal factor (Golub and Van Loan, 5.2)."""
    k, n = size
    macs_ = 2 * (n * k * k - k**3 // 3)
    return {"mac": macs_, "root": k, "divide": k}


def _orthogonalised(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q, r = np.linalg.qr(v.swapaxes(2, 3))
    return np.ascontiguousarray(q.swapaxes(2, 3)), np.ascontiguousarray(r.swapaxes(2, 3))


def _placed(v: np.ndarray, rows: np.ndarray, columns: np.ndarray, start: int, units: int) -> np.ndarray:
    value, row = v.copy(), np.arange(rows.shape[-1])
    entries = value.reshape(*v.shape[:2], row.size, -1, v.shape[-1])  # (chips, batch, i, j, wire)
    entries[:, :, row, :, start + row % units] += np.moveaxis(rows[..., None] * columns[..., None, :], 2, 0)
    return value


def _placed_each(v: np.ndarray, own: np.ndarray, start: int, units: int) -> np.ndarray:
    own = own[:, :, None] if own.ndim == 3 else own
    value, row = v.copy(), np.arange(own.shape[-1])
    entries = value.reshape(*v.shape[:2], row.size, -1, v.shape[-1])  # (chips, batch, i, j, wire)
    entries[:, :, row, :, start + row % units] += np.moveaxis(own, 3, 0)
    return value


def _collected(v: np.ndarray, places: Any, width: int) -> np.ndarray:
    order = np.argsort(places.index, kind="stable")
    wires, starts = np.unique(places.index[order], return_index=True)
    value = np.zeros((*v.shape[:-1], width), v.dtype)
    value[..., wires] = np.add.reduceat(v[..., order], starts, -1)
    return value


def _plus_identity(v: np.ndarray, factor: float) -> Any:
    return v + factor * np.eye(v.shape[-1], dtype=v.dtype)


project = Operation(
    "project",
    lambda v, w: np.matmul(v, w[..., None])[..., 0],
    shape=lambda bundle, vector: bundle[:-1],
    size=_vectors,
    work=macs,
    product=True,
    traffic=Traffic.DOT_PRODUCTS,
)
"""The dot products of each of a bundle's k vectors with one vector: k numbers."""
lookup = Operation(
    "look up",
    lambda table, v: np.matmul(v, table.reshape(table.shape[0], v.shape[-1], -1)),
    shape=lambda table, vector: (*vector[:-1], table[-1] // vector[-1]),
    size=lambda table, vector: (vector[-1], table[-1] // vector[-1]),
    work=macs,
    product=True,
    traffic=Traffic.DOT_PRODUCTS,
)
"""The row of a table that a one-hot vector names: `lookup(table, vector)`, with the rows one after another on wires."""
gather = Operation(
    "gather",
    lambda v: v.sum(2),
    shape=lambda bundle: (*bundle[:2], bundle[-1]),
    size=_vectors,
    work=lambda size: {"add": (size[0] - 1) * size[1]},
)
"""The sum of a bundle's vectors."""
place = Operation(
    "place",
    _placed,
    size=lambda bundle, rows, columns, *_: (rows[-1], columns[-1]),
    work=macs,
)
"""A bundle with r_i c_j added to vector (i, j), j fastest, on wire start + i mod n: `place(bundle, r, c, start, n)`.

It adds the derivative of a state by a matrix, from the slope r of the state by W c, and the vector c."""
place_each = Operation(
    "place each",
    _placed_each,
    size=lambda bundle, own, *_: own[2:],
    work=each(add=1),
)
"""The same with number i of vector j of a bundle in place of r_i c_j: `place_each(bundle, x, start, n)`."""
collect = Operation(
    "collect",
    _collected,
    shape=lambda v, places, width: (*v[:-1], width),
    size=_vectors,
    work=each(add=1),
)
"""The sums of wires that go to the same place, zero where none does: `collect(x, Places(…), width)`."""
qr = Operation(
    "qr",
    _orthogonalised,
    second=lambda bundle: (*bundle[:-1], bundle[-2]),
    size=_vectors,
    work=_qr_work,
    product=True,
    traffic=Traffic.ORTHOGONALISATION,
)
"""Q and R for a bundle V of k vectors on n wires, V = R Q with orthonormal vectors in Q and R lower triangular."""
plus_identity = Operation(
    "plus identity", _plus_identity, kind="offset", shape=same, size=lambda bundle, *_: bundle[2:-1], work=each(add=1)
)
"""A square bundle with a fixed number added on its diagonal: `plus_identity(bundle, number)`."""
solve = Operation(
    "solve",
    lambda v, w: np.linalg.solve(v, w[..., None])[..., 0],
    shape=last,
    size=_vectors,
    work=_solve_work,
    product=True,
    traffic=Traffic.DECOMPOSITION,
)
"""y with Jᵀ y = x for each sequence, from a bundle Jᵀ and x."""
