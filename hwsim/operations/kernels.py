"""Compiled arithmetic that NumPy would need several sweeps over memory for.

Every kernel takes arrays `(chips, vectors, n)` of one type, checks their shapes, and gives a new array. Elementwise
ones round as the plain expressions would, operation by operation, since nothing is reordered or contracted; sums within
a vector (softmax, standardise) are kept in float64.
"""

import os
from collections.abc import Callable
from functools import cached_property, update_wrapper
from math import exp, sqrt
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function that is compiled when it is first called: what compiles it takes long to import."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        update_wrapper(self, function)
        self._function, self._options = function, options

    def __call__(self, *operands: Any) -> Any:
        return self.compiled(*operands)

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        """The compiled function, which calls other kernels compiled as well, and is kept beside the source.

        The source is the file itself, also for one that finds it by a link.
        """
        import numba

        function = self._function
        code = function.__code__.replace(co_filename=os.path.realpath(function.__code__.co_filename))
        names = {name: function.__globals__.get(name) for name in code.co_names}
        kernels = {name: kernel.compiled for name, kernel in names.items() if isinstance(kernel, Kernel)}
        calling = FunctionType(code, {**function.__globals__, **kernels}, function.__name__)
        options = {"nogil": True, "error_model": "numpy", **self._options}
        compiled: Callable[..., Any] = numba.njit(**options)(calling)
        return compiled


def compiled(function: F) -> F:
    """A kernel of this function."""
    return cast(F, Kernel(function, cache=True))


def brief(function: F) -> F:
    """A kernel that keeps the interpreter's lock: to give it up and to take it again is a tenth of a short call."""
    return cast(F, Kernel(function, cache=True, nogil=False))


def inlined(function: F) -> F:
    """A kernel that becomes part of those that call it."""
    return cast(F, Kernel(function, inline="always"))


@compiled
def _match(x: np.ndarray, y: np.ndarray, width: int) -> None:
    """Check that y has one row a chip, of `width` numbers, for the vectors of x."""
    if y.shape[0] != x.shape[0] or y.shape[1] != 1 or y.shape[2] != width:
        raise ValueError("coefficients do not match the signal")


@compiled
def _pairs(x: np.ndarray) -> None:
    """Check that the wires of x are real and imaginary parts in turn."""
    if x.shape[-1] % 2:
        raise ValueError("a complex signal has an even number of wires")


@compiled
def bias(b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x + b, with b `(chips, 1, n)`."""
    chips, vectors, n = x.shape
    _match(x, b, n)
    out = np.empty(x.shape, x.dtype)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n):
                out[c, v, i] = x[c, v, i] + b[c, 0, i]
    return out


@compiled
def gain(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """g x, with g `(chips, 1, n)`."""
    chips, vectors, n = x.shape
    _match(x, g, n)
    out = np.empty(x.shape, x.dtype)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n):
                out[c, v, i] = g[c, 0, i] * x[c, v, i]
    return out


@compiled
def mode_gain(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """g times both wires of each mode, with g `(chips, 1, n / 2)`."""
    chips, vectors, n = x.shape
    _pairs(x)
    _match(x, g, n // 2)
    out = np.empty(x.shape, x.dtype)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n // 2):
                out[c, v, 2 * i] = g[c, 0, i] * x[c, v, 2 * i]
                out[c, v, 2 * i + 1] = g[c, 0, i] * x[c, v, 2 * i + 1]
    return out


@compiled
def diagonal(d: np.ndarray, x: np.ndarray) -> np.ndarray:
    """d x for complex modes on pairs of wires, with d `(chips, 1, n)`."""
    chips, vectors, n = x.shape
    _pairs(x)
    _match(x, d, n)
    out = np.empty(x.shape, x.dtype)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n // 2):
                p, q = d[c, 0, 2 * i], d[c, 0, 2 * i + 1]
                y, z = x[c, v, 2 * i], x[c, v, 2 * i + 1]
                out[c, v, 2 * i] = p * y - q * z
                out[c, v, 2 * i + 1] = p * z + q * y
    return out


@compiled
def conjugate_diagonal(d: np.ndarray, x: np.ndarray) -> np.ndarray:
    """d̄ x for complex modes on pairs of wires, with d `(chips, 1, n)`."""
    chips, vectors, n = x.shape
    _pairs(x)
    _match(x, d, n)
    out = np.empty(x.shape, x.dtype)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n // 2):
                p, q = d[c, 0, 2 * i], d[c, 0, 2 * i + 1]
                y, z = x[c, v, 2 * i], x[c, v, 2 * i + 1]
                out[c, v, 2 * i] = p * y + q * z
                out[c, v, 2 * i + 1] = p * z - q * y
    return out


@compiled
def _same(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape:
        raise ValueError("operands have different shapes")


@compiled
def complex_multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x y, mode by mode."""
    _pairs(x)
    _same(x, y)
    out = np.empty(x.shape, x.dtype)
    a, b, o = x.ravel(), y.ravel(), out.ravel()
    for i in range(a.size // 2):
        o[2 * i] = a[2 * i] * b[2 * i] - a[2 * i + 1] * b[2 * i + 1]
        o[2 * i + 1] = a[2 * i] * b[2 * i + 1] + a[2 * i + 1] * b[2 * i]
    return out


@compiled
def conjugate_multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x ȳ, mode by mode."""
    _pairs(x)
    _same(x, y)
    out = np.empty(x.shape, x.dtype)
    a, b, o = x.ravel(), y.ravel(), out.ravel()
    for i in range(a.size // 2):
        o[2 * i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]
        o[2 * i + 1] = a[2 * i + 1] * b[2 * i] - a[2 * i] * b[2 * i + 1]
    return out


@compiled
def pair_dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Re(x ȳ), mode by mode: half as many wires."""
    _pairs(x)
    _same(x, y)
    out = np.empty((x.shape[0], x.shape[1], x.shape[2] // 2), x.dtype)
    a, b, o = x.ravel(), y.ravel(), out.ravel()
    for i in range(o.size):
        o[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]
    return out


@compiled
def pair_cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Im(x ȳ), mode by mode: half as many wires."""
    _pairs(x)
    _same(x, y)
    out = np.empty((x.shape[0], x.shape[1], x.shape[2] // 2), x.dtype)
    a, b, o = x.ravel(), y.ravel(), out.ravel()
    for i in range(o.size):
        o[i] = a[2 * i + 1] * b[2 * i] - a[2 * i] * b[2 * i + 1]
    return out


@compiled
def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0); not a number stays so."""
    out = np.empty(x.shape, x.dtype)
    a, o = x.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = 0 if a[i] < 0 else a[i]
    return out


@compiled
def gate(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    """x where `by` is positive, else 0."""
    _same(x, by)
    out = np.empty(x.shape, x.dtype)
    a, b, o = x.ravel(), by.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = a[i] if b[i] > 0 else 0
    return out


@compiled
def greater(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where x is above y, else 0; not a number is above nothing."""
    _same(x, y)
    out = np.empty(x.shape, x.dtype)
    a, b, o = x.ravel(), y.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = 1 if a[i] > b[i] else 0
    return out


@compiled
def unequal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where x and y differ, else 0; not a number differs from everything."""
    _same(x, y)
    out = np.empty(x.shape, x.dtype)
    a, b, o = x.ravel(), y.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = 1 if a[i] != b[i] else 0
    return out


@brief
def above(x: np.ndarray, number: float) -> np.ndarray:
    """1 where x is above a number, else 0."""
    out = np.empty(x.shape, x.dtype)
    a, o = x.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = 1 if a[i] > number else 0
    return out


def spike(x: np.ndarray) -> np.ndarray:
    """1 where x is positive, else 0."""
    return above(x, 0.0)


@compiled
def spike_slope(x: np.ndarray, height: float) -> np.ndarray:
    """height max(0, 1 - |x|)."""
    out = np.empty(x.shape, x.dtype)
    a, o, h = x.ravel(), out.ravel(), x.dtype.type(height)
    for i in range(a.size):
        o[i] = h * max(1 - abs(a[i]), a[i] * 0)
    return out


@compiled
def where(mask: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x where the mask is not zero, else y; a mask of one wire is for all wires."""
    _same(x, y)
    if mask.shape[:-1] != x.shape[:-1] or mask.shape[-1] not in (1, x.shape[-1]):
        raise ValueError("a mask has one wire, or as many as what it chooses from")
    out = np.empty(x.shape, x.dtype)
    m, a, b, o = mask.ravel(), x.ravel(), y.ravel(), out.ravel()
    wires = x.shape[-1] // mask.shape[-1]
    for i in range(a.size):
        o[i] = a[i] if m[i // wires] != 0 else b[i]
    return out


@compiled
def softmax(x: np.ndarray) -> np.ndarray:
    """exp(x - max x) over its sum, along the last axis."""
    out = np.empty(x.shape, x.dtype)
    rows, answers = x.reshape(-1, x.shape[-1]), out.reshape(-1, x.shape[-1])
    for v in range(rows.shape[0]):
        top = rows[v, 0]
        for i in range(rows.shape[1]):
            top = max(top, rows[v, i])
        total = rows[v, 0] * 0
        for i in range(rows.shape[1]):
            answers[v, i] = exp(rows[v, i] - top)
            total += answers[v, i]
        for i in range(rows.shape[1]):
            answers[v, i] /= total
    return out


@compiled
def standardise(x: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """(x - mean) s with s = 1 / √(variance + ε) along the last axis, and s."""
    chips, vectors, n = x.shape
    out, scale = np.empty(x.shape, x.dtype), np.empty((chips, vectors, 1), x.dtype)
    for c in range(chips):
        for v in range(vectors):
            mean = x[c, v, 0] * 0
            for i in range(n):
                mean += x[c, v, i]
            mean /= n
            variance = mean * 0
            for i in range(n):
                variance += (x[c, v, i] - mean) ** 2
            s = x.dtype.type(1 / sqrt(variance / n + epsilon))
            for i in range(n):
                out[c, v, i] = (x[c, v, i] - mean) * s
            scale[c, v, 0] = s
    return out, scale


@compiled
def standardise_error(e: np.ndarray, standard: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The error before `standardise`, s (e - mean e - y mean(e y)) for its result y."""
    _same(e, standard)
    chips, vectors, n = e.shape
    if scale.shape != (chips, vectors, 1):
        raise ValueError("scales do not match the signal")
    out = np.empty(e.shape, e.dtype)
    for c in range(chips):
        for v in range(vectors):
            mean = along = e[c, v, 0] * 0
            for i in range(n):
                mean += e[c, v, i]
                along += e[c, v, i] * standard[c, v, i]
            mean /= n
            along /= n
            for i in range(n):
                out[c, v, i] = (e[c, v, i] - mean - standard[c, v, i] * along) * scale[c, v, 0]
    return out


@compiled
def add_rows(sums: np.ndarray, x: np.ndarray) -> None:
    """Add the vectors of x to `sums`, `(chips, n)`, in order."""
    chips, vectors, n = x.shape
    if sums.shape != (chips, n):
        raise ValueError("sums do not match the signal")
    for c in range(chips):
        for v in range(vectors):
            for i in range(n):
                sums[c, i] += x[c, v, i]


# ---- sparse matrices: weights `(chips, rows, fan-in)`, and the column of each, `(1, rows, fan-in)` ------------------


def sparse_product(held: Any, x: np.ndarray) -> np.ndarray:
    """W x; where connections are listed by column, only those of columns whose x is not zero are gone through."""
    weights, places, columns, outgoing = held
    _connect(weights, places, x, columns)
    by_row = weights, places[0], x
    out: np.ndarray = _gather(*by_row) if outgoing is None else _deliver(*by_row, *outgoing)
    return out


def sparse_transposed_product(held: Any, e: np.ndarray) -> np.ndarray:
    """Wᵀ e."""
    weights, places, columns, _ = held
    _connect(weights, places, e, weights.shape[1])
    out: np.ndarray = _scatter(weights, places[0], e, columns)
    return out


def add_sparse_outer(sums: np.ndarray, places: np.ndarray, e: np.ndarray, x: np.ndarray, columns: int) -> None:
    """Add e_i x_j, summed over vectors, to the sum of each connection from column j to row i."""
    _connect(sums, places, x, columns)
    _connect(sums, places, e, sums.shape[1])
    _add_products(sums, places[0], e, x)


def _connect(weights: np.ndarray, places: np.ndarray, x: np.ndarray, width: int) -> None:
    if places.shape != (1, *weights.shape[1:]) or x.shape[0] != weights.shape[0] or x.shape[2] != width:
        raise ValueError("connections do not match the signal")


@compiled
def _gather(weights: np.ndarray, places: np.ndarray, x: np.ndarray) -> np.ndarray:
    chips, rows, fan_in = weights.shape
    out = np.zeros((chips, x.shape[1], rows), x.dtype)
    for c in range(chips):
        for v in range(x.shape[1]):
            for i in range(rows):
                for k in range(fan_in):
                    out[c, v, i] += weights[c, i, k] * x[c, v, places[i, k]]
    return out


@compiled
def sort_by_column(places: np.ndarray, columns: int, order: np.ndarray, of_row: np.ndarray) -> np.ndarray:
    """Fill in the order of connections by column, and by row within it, and the row of each; where columns start."""
    rows, fan_in = places.shape
    starts = np.zeros(columns + 1, np.int64)
    for i in range(rows):
        for k in range(fan_in):
            starts[places[i, k] + 1] += 1
    starts = np.cumsum(starts)
    free = starts.copy()
    for i in range(rows):
        for k in range(fan_in):
            at = free[places[i, k]]
            free[places[i, k]] += 1
            order[at] = i * fan_in + k
            of_row[at] = i
    return starts


@compiled
def _deliver(weights, places, x, starts, rows, of_column):  # type: ignore[no-untyped-def]
    """The same, vector by vector, from the connections of each column `(chips, connections)`, if few have anything.

    A row's sum is over rising columns either way, and begins at zero, to which a product with zero adds nothing: both
    ways give the same bits.
    """
    chips, _, fan_in = weights.shape
    columns = x.shape[2]
    out = np.zeros((chips, x.shape[1], weights.shape[1]), x.dtype)
    for c in range(chips):
        for v in range(x.shape[1]):
            active = 0
            for j in range(columns):
                active += x[c, v, j] != 0
            if 2 * active > columns:  # then to go through all of them, in order, is faster
                for i in range(weights.shape[1]):
                    for k in range(fan_in):
                        out[c, v, i] += weights[c, i, k] * x[c, v, places[i, k]]
                continue
            for j in range(columns):
                arriving = x[c, v, j]
                if arriving != 0:
                    for s in range(starts[j], starts[j + 1]):
                        out[c, v, rows[s]] += of_column[c, s] * arriving
    return out


@compiled
def _scatter(weights: np.ndarray, places: np.ndarray, e: np.ndarray, columns: int) -> np.ndarray:
    chips, rows, fan_in = weights.shape
    out = np.zeros((chips, e.shape[1], columns), e.dtype)
    for c in range(chips):
        for v in range(e.shape[1]):
            for i in range(rows):
                for k in range(fan_in):
                    out[c, v, places[i, k]] += weights[c, i, k] * e[c, v, i]
    return out


@compiled
def _add_products(sums: np.ndarray, places: np.ndarray, e: np.ndarray, x: np.ndarray) -> None:
    chips, rows, fan_in = sums.shape
    for c in range(chips):
        for v in range(x.shape[1]):
            for i in range(rows):
                for k in range(fan_in):
                    sums[c, i, k] += e[c, v, i] * x[c, v, places[i, k]]
