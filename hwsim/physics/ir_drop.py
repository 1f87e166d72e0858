"""IR drop: what the resistance of wires leaves of the voltages in a crossbar, and so of its currents.

The circuit has a device of conductance G between each input line i and each output line j. Every cell has a segment of
wire of resistance r in either line. A source drives an input line through the segment of its first cell, and an output
line is grounded behind the segment of its last cell, input line n - 1. The nodes of cell (i, j) on the two lines are at
the voltages V and U, and the sums of currents into them are zero:

    (2 V - V[i, j - 1] - V[i, j + 1]) / r + G (V - U) = 0,    V[i, -1] = x[i]
    (2 U - U[i - 1, j] - U[i + 1, j]) / r + G (U - V) = 0,    U[n, j] = 0

with one segment fewer at the far end of an input line and at the near end of an output line. The current of output line
j is U[n - 1, j] / r; for one cell it is x / (1 / G + 2 r).

Devices here are linear, so currents are: I = xᵀ A with a matrix A that depends on conductances and wires alone. It is
worked out once, when devices are written; after that a read takes no longer than without wires. Driven from the ground
of its output lines and sensed where its sources were, the same array gives A x, since the circuit is reciprocal.

The circuit is that of badcrossbar (Joksas and Mehonic, SoftwareX 12:100617, 2020) and of one of CrossSim's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.operations.kernels import compiled

_TOGETHER = 8
"""Patterns of inputs that are solved for at the same time: one vector register, or two."""

TOLERANCE = 1e-11
"""What is left of the sums of currents, over those that flow in without voltages on output lines; root mean squares."""

_MOST = 1000
"""Steps after which a solution that has not been found is given up; published wires take about ten."""


class Solution(NamedTuple):
    """Voltages and currents of a crossbar, for each pattern of inputs.

    Attributes:
        inputs, outputs: V and U at the cells, `(patterns, n, m)`.
        currents: of the output lines, `(patterns, m)`.
        steps: of the iteration; 0 for a direct solution.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    currents: np.ndarray
    steps: int


# ---- the reference -----------------------------------------------------------------------------------------------


def direct(conductance: np.ndarray, x: np.ndarray, resistance: float) -> Solution:
    """The voltages by elimination in one sparse system of 2 n m equations: slow, and a reference for `solved`.

    Args:
        conductance: G in siemens, `(n, m)`.
        x: voltages of the sources, `(patterns, n)`.
        resistance: r in ohms, above 0.
    """
    from scipy.sparse import bmat, diags, identity, kron
    from scipy.sparse.linalg import splu

    n, m = conductance.shape
    on_inputs = kron(identity(n), _chain(m, free=m - 1))
    on_outputs = kron(_chain(n, free=0), identity(m))
    devices = diags(resistance * conductance.ravel())
    system = bmat([[on_inputs + devices, -devices], [-devices, on_outputs + devices]], "csc")
    sources = np.zeros((2, n, m, len(x)))
    sources[0, :, 0] = x.T
    voltages = splu(system).solve(sources.reshape(2 * n * m, -1)).reshape(sources.shape)
    inputs, outputs = (np.moveaxis(each, -1, 0) for each in voltages)
    return Solution(inputs, outputs, outputs[:, -1] / resistance, 0)


def _chain(length: int, free: int) -> object:
    """Segments along a line that ends free at one cell, and at a fixed voltage beyond the cell at its other end."""
    from scipy.sparse import diags

    meet = np.full(length, 2.0)
    meet[free] -= 1
    return diags([np.full(length - 1, -1.0), meet, np.full(length - 1, -1.0)], [-1, 0, 1])


def residual(conductance: np.ndarray, x: np.ndarray, resistance: float, found: Solution) -> float:
    """The largest sum of currents into a node, over the largest current of a source; Kirchhoff's law says zero."""
    v, u = found.inputs, found.outputs
    device = conductance * (v - u)
    along = np.diff(np.concatenate([x[:, :, None], v], 2), axis=2) / resistance  # towards the source
    down = np.diff(np.concatenate([u, np.zeros_like(u[:, :1])], 1), axis=1) / resistance  # towards smaller i
    into_inputs, into_outputs = -along - device, device + down
    into_inputs[:, :, :-1] += along[:, :, 1:]
    into_outputs[:, 1:] -= down[:, :-1]
    largest = max(np.abs(into_inputs).max(), np.abs(into_outputs).max())
    return float(largest / np.abs(along[:, :, 0]).max())


# ---- conjugate gradients -----------------------------------------------------------------------------------------


def solved(conductance: np.ndarray, x: np.ndarray, resistance: float, tolerance: float = TOLERANCE) -> Solution:
    """The same voltages, found by conjugate gradients with exact solutions along lines.

    With V eliminated, the voltages of output lines obey (C + D - D (L + D)⁻¹ D) U = D (L + D)⁻¹ s, where D is r G, L
    and C are the segments along input and output lines, and s the sources. L + D and C + D are tridiagonal, one system
    a line. The preconditioner is C + D, so that a step takes one solution along all lines of either kind. What is far
    from the identity then is (C + D)⁻¹ D (L + D)⁻¹ D: of second order in r.

    Args:
        conductance: G in siemens, `(n, m)`.
        x: voltages of the sources, `(patterns, n)`.
        resistance: r in ohms, above 0.
        tolerance: see `TOLERANCE`.

    Raises:
        ArithmeticError: it has not converged.
    """
    d = np.ascontiguousarray(resistance * conductance, np.float64)
    n, m = d.shape
    along, down = _pivots(d, False), _pivots(np.ascontiguousarray(d.T), True)
    down = np.ascontiguousarray(down.T)
    v, u, most = np.empty((len(x), n, m)), np.empty((len(x), n, m)), 0
    for first in range(0, len(x), _TOGETHER):
        some = x[first : first + _TOGETHER]
        block = np.zeros((n, _TOGETHER))
        block[:, : len(some)] = some.T
        inputs, outputs, steps = _conjugate_gradients(d, along, down, block, tolerance)
        if steps > _MOST:
            raise ArithmeticError(f"currents of {n} by {m} devices have not been found in {_MOST} steps")
        v[first : first + len(some)] = np.moveaxis(inputs, 2, 0)[: len(some)]
        u[first : first + len(some)] = np.moveaxis(outputs, 2, 0)[: len(some)]
        most = max(most, steps)
    return Solution(v, u, u[:, -1] / resistance, most)


@compiled
def _pivots(d: np.ndarray, free_first: bool) -> np.ndarray:
    """Inverse pivots of the tridiagonal systems along the last axis, whose first or last cell is the free end."""
    lines, cells = d.shape
    inverse = np.empty_like(d)
    for i in range(lines):
        before = 0.0
        for j in range(cells):
            meet = 1.0 if j == (0 if free_first else cells - 1) else 2.0
            before = 1.0 / (meet + d[i, j] - before)
            inverse[i, j] = before
    return inverse


@compiled
def _along_inputs(pivots, y):  # type: ignore[no-untyped-def]
    """(L + D)⁻¹ y, in place."""
    n, m, _ = y.shape
    for i in range(n):
        for j in range(1, m):
            for k in range(8):
                y[i, j, k] += pivots[i, j - 1] * y[i, j - 1, k]
        for k in range(8):
            y[i, m - 1, k] *= pivots[i, m - 1]
        for j in range(m - 2, -1, -1):
            for k in range(8):
                y[i, j, k] = pivots[i, j] * (y[i, j, k] + y[i, j + 1, k])


@compiled
def _along_outputs(pivots, y):  # type: ignore[no-untyped-def]
    """(C + D)⁻¹ y, in place."""
    n, m, _ = y.shape
    for i in range(1, n):
        for j in range(m):
            for k in range(8):
                y[i, j, k] += pivots[i - 1, j] * y[i - 1, j, k]
    for j in range(m):
        for k in range(8):
            y[n - 1, j, k] *= pivots[n - 1, j]
    for i in range(n - 2, -1, -1):
        for j in range(m):
            for k in range(8):
                y[i, j, k] = pivots[i, j] * (y[i, j, k] + y[i + 1, j, k])


@compiled
def _directions(d, left, z, turn, p, cp, dp):  # type: ignore[no-untyped-def]
    """The next direction p, with (C + D) p and D p."""
    n, m = d.shape
    for i in range(n):
        for j in range(m):
            for k in range(8):
                p[i, j, k] = z[i, j, k] + turn[k] * p[i, j, k]
                cp[i, j, k] = left[i, j, k] + turn[k] * cp[i, j, k]
                dp[i, j, k] = d[i, j] * p[i, j, k]


@compiled
def _curvatures(d, p, cp, w, along):  # type: ignore[no-untyped-def]
    """w becomes (C + D) p - D w, and `along` the sums of p times that."""
    n, m = d.shape
    for i in range(n):
        for j in range(m):
            for k in range(8):
                w[i, j, k] = cp[i, j, k] - d[i, j] * w[i, j, k]
                along[k] += p[i, j, k] * w[i, j, k]


@compiled
def _advance(far, p, w, u, left):  # type: ignore[no-untyped-def]
    """Go so far in the directions p."""
    n, m, _ = p.shape
    for i in range(n):
        for j in range(m):
            for k in range(8):
                u[i, j, k] += far[k] * p[i, j, k]
                left[i, j, k] -= far[k] * w[i, j, k]


@compiled
def _products(x, y, sums):  # type: ignore[no-untyped-def]
    """Add up x y for each pattern."""
    n, m, _ = x.shape
    for i in range(n):
        for j in range(m):
            for k in range(8):
                sums[k] += x[i, j, k] * y[i, j, k]


def _product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sums = np.zeros(_TOGETHER)
    _products(x, y, sums)
    return sums


def _over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y, and 0 where a pattern has been solved to the last bit."""
    return np.divide(x, y, out=np.zeros_like(x), where=y > 0)


def _conjugate_gradients(
    d: np.ndarray, along: np.ndarray, down: np.ndarray, x: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """V and U, `(n, m, 8)`, for eight patterns x, `(n, 8)`, and the number of steps, above `_MOST` if in vain."""
    each = d[:, :, None]
    v = np.zeros((*d.shape, _TOGETHER))
    v[:, 0] = x
    _along_inputs(along, v)
    left = each * v  # of the sums of currents
    u, p, cp = (np.zeros_like(v) for _ in range(3))
    w, z = np.empty_like(v), np.empty_like(v)
    target, before, steps = tolerance**2 * _product(left, left), np.ones(_TOGETHER), 0
    while not (_product(left, left) <= target).all() and steps <= _MOST:
        steps += 1
        z[:] = left
        _along_outputs(down, z)
        now = _product(left, z)
        _directions(d, left, z, _over(now, before), p, cp, w)
        _along_inputs(along, w)
        curvature = np.zeros(_TOGETHER)
        _curvatures(d, p, cp, w, curvature)
        _advance(_over(now, curvature), p, w, u, left)
        before = now
    v = each * u
    v[:, 0] += x
    _along_inputs(along, v)
    return v, u, steps


# ---- the matrix that inputs are multiplied with ------------------------------------------------------------------


def exact(conductance: np.ndarray, resistance: float) -> np.ndarray:
    """The matrix A, `(n, m)` in siemens, to within `TOLERANCE`: one solution for each input line, or output line.

    Args:
        conductance: G in siemens, `(n, m)`.
        resistance: r in ohms.
    """
    n, m = conductance.shape
    if not resistance:
        return conductance
    if n > m:  # the same circuit, driven from the other side
        return exact(conductance[::-1, ::-1].T, resistance).T[::-1, ::-1]
    return solved(conductance, np.eye(n), resistance).currents


def approximate(conductance: np.ndarray, resistance: float) -> np.ndarray:
    """The matrix A with each line solved exactly, as if the lines that cross it had no resistance; in siemens.

    An input line then has x q(i, j) at cell j, and an output line takes the share p(i, j) of the current into cell i to
    its ground: A = p q G. This is exact to first order in r, and for one line that crosses wires without resistance.

    Args:
        conductance: G in siemens, `(n, m)`.
        resistance: r in ohms.
    """
    return _approximate(np.ascontiguousarray(conductance, np.float64), resistance)


@compiled
def _approximate(g, r):  # type: ignore[no-untyped-def]
    n, m = g.shape
    a, ratio = g.copy(), np.empty((n, m))
    for i in range(n):  # from the free end of an input line, V falls by so much from one cell to the next
        after = 0.0
        for j in range(m - 1, -1, -1):
            after = 1.0 / ((1.0 if j == m - 1 else 2.0) + r * g[i, j] - after)
            ratio[i, j] = after
        share = 1.0
        for j in range(m):
            share *= ratio[i, j]
            a[i, j] *= share
    before, shares = np.zeros(m), np.ones(m)
    for i in range(n):
        for j in range(m):
            before[j] = 1.0 / ((1.0 if i == 0 else 2.0) + r * g[i, j] - before[j])
            ratio[i, j] = before[j]
    for i in range(n - 1, -1, -1):
        for j in range(m):
            shares[j] *= ratio[i, j]
            a[i, j] *= shares[j]
    return a
