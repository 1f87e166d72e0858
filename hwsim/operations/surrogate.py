"""Surrogate slopes: what learning takes for the slope of a threshold, which is zero or infinite.

Each is γ s(u) of u = x / w, where x = (v - A) / θ is how far a membrane v is above its threshold A, in multiples of the
threshold θ at rest. A spike changes with the membrane by γ s(u) / θ.
"""

from __future__ import annotations

from math import exp, pi, sqrt
from typing import NamedTuple

import numpy as np

from hwsim.operations.kernels import compiled, inlined
from hwsim.operations.operation import Work


class Shape(NamedTuple):
    """One shape of a surrogate slope.

    Attributes:
        number: by which kernels know it.
        height, width: γ and w, where a file does not say them.
        work: elementary operations of s(u), for one wire.
    """

    number: int
    height: float
    width: float
    work: Work


SHAPES = {
    "triangle": Shape(0, 0.3, 1.0, {"add": 1, "compare": 1}),
    "fast_sigmoid": Shape(1, 1.0, 0.01, {"add": 1, "multiply": 1, "divide": 1}),
    "multi_gaussian": Shape(2, 0.5, 0.5, {"add": 4, "multiply": 6, "exp": 3}),
    "atan": Shape(3, 1.0, 1 / pi, {"add": 1, "multiply": 1, "divide": 1}),
    "sigmoid": Shape(4, 6.25, 0.04, {"add": 1, "multiply": 2, "divide": 1, "exp": 1}),
    "exponential": Shape(5, 0.5, 0.2, {"exp": 1}),
}
"""Shapes by name, with the numbers of the code that introduced each.

`triangle`: max(0, 1 - |u|) (Esser et al., PNAS 113:11441, 2016; Bellec et al., Nat. Commun. 11:3625, 2020).
`fast_sigmoid`: 1 / (1 + |u|)² (Zenke and Ganguli, Neural Computation 30:1514, 2018).
`multi_gaussian`: (1 + h) G(0, σ) - h G(σ, 6σ) - h G(-σ, 6σ) with w = σ and h = .15, in x (Yin, Corradi and Bohté,
arXiv:2005.11633, 2020); it is negative far from threshold.
`atan`: 1 / (1 + u²) (Fang et al., ICCV 2021, p. 2661).
`sigmoid`: 4 e^-u / (1 + e^-u)², the slope of a logistic function with its peak at 1.
`exponential`: e^-|u|.
"""

LOWERED, SPREAD = 0.15, 6.0
"""h and s of the multi-Gaussian: how much lower its sides are, and how much wider."""


@inlined
def shaped(number, u, width):  # type: ignore[no-untyped-def]
    """s(u)."""
    size = abs(u)
    value = u * 0
    if number == 0:
        value = max(1 - size, value)
    elif number == 1:
        value = 1 / (1 + size) ** 2
    elif number == 2:
        peak = (1 + LOWERED) * exp(-0.5 * u * u)
        sides = exp(-0.5 * ((u - 1) / SPREAD) ** 2) + exp(-0.5 * ((u + 1) / SPREAD) ** 2)
        value = (peak - LOWERED / SPREAD * sides) / (width * sqrt(2 * pi))
    elif number == 3:
        value = 1 / (1 + u * u)
    elif number == 4:
        value = 4 * exp(-size) / (1 + exp(-size)) ** 2
    else:
        value = exp(-size)
    return value


def slopes(name: str, u: np.ndarray) -> np.ndarray:
    """s(u) of each number, of height and width 1."""
    return _each(SHAPES[name].number, np.ascontiguousarray(u, float))


@compiled
def _each(number, u):  # type: ignore[no-untyped-def]
    out = np.empty_like(u)
    a, o = u.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = shaped(number, a[i], 1.0)
    return out
