"""Integration: one Euler step of a differential equation, in one operation, as an integrator takes it."""

import numpy as np

from hwsim.operations.derivative import Elementwise
from hwsim.operations.operation import Operation, each, together


def _stepped(x: np.ndarray, dx: np.ndarray, a: float) -> np.ndarray:
    return x + a * dx


integrate = Operation(
    "integrate",
    _stepped,
    shape=lambda x, dx, a: together(x, dx),
    work=each(multiply=1, add=1),
    circuit="integrate",
    derivative=Elementwise(1, lambda node: node.constants[0]),
)
"""x + a dx, wire by wire: `integrate(x, dx, a)`, with a = dt/τ for τ dx/dt."""
