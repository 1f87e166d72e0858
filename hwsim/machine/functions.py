"""The arithmetic of every elementwise operation, and the words in which rules write it.

The tables map a record's kind to exact arithmetic on arrays; a machine rounds its result, or makes it imperfect. The
functions below them are what cells, networks and rules import.
"""

from collections.abc import Callable

import numpy as np

from hwsim import kernels
from hwsim.machine.signal import Signal

UNARY: dict[str, Callable[..., np.ndarray]] = {
    "scale": np.multiply,
    "offset": np.add,
    "at most": np.minimum,
    "negate": np.negative,
    "square": np.square,
    "sqrt": np.sqrt,
    "reciprocal": np.reciprocal,
    "exp": np.exp,
    "cos": np.cos,
    "sin": np.sin,
    "tanh": np.tanh,
    "tanh slope": lambda y: 1 - y * y,
    "relu": kernels.relu,
    "softmax": kernels.softmax,
}
BINARY: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "gate": kernels.gate,
    "complex multiply": kernels.complex_multiply,
    "conjugate multiply": kernels.conjugate_multiply,
}
COMPILED = ("gate", "complex multiply", "conjugate multiply")
"""Binary operations whose kernels take operands of one shape only."""
PAIRED: dict[str, Callable[..., np.ndarray]] = {
    "pair dot": kernels.pair_dot,
    "pair cross": kernels.pair_cross,
}
APPLIED: dict[str, Callable[..., np.ndarray]] = {
    "bias": kernels.bias,
    "gain": kernels.gain,
    "mode gain": kernels.mode_gain,
    "diagonal": kernels.diagonal,
    "conjugate diagonal": kernels.conjugate_diagonal,
    "inverse diagonal": kernels.diagonal,
}


def square(x: Signal) -> Signal:
    return x._machine.one("square", x)


def sqrt(x: Signal) -> Signal:
    return x._machine.one("sqrt", x)


def reciprocal(x: Signal) -> Signal:
    return x._machine.one("reciprocal", x)


def exp(x: Signal) -> Signal:
    return x._machine.one("exp", x)


def cos(x: Signal) -> Signal:
    return x._machine.one("cos", x)


def sin(x: Signal) -> Signal:
    return x._machine.one("sin", x)


def tanh(x: Signal) -> Signal:
    return x._machine.one("tanh", x)


def tanh_slope(y: Signal) -> Signal:
    """The slope of tanh where its value is y: 1 - y²."""
    return y._machine.one("tanh slope", y)


def relu(x: Signal) -> Signal:
    return x._machine.one("relu", x)


def gate(x: Signal, by: Signal) -> Signal:
    """x where `by` is positive, else 0: what relu does to an error."""
    return x._machine.two("gate", x, by)


def softmax(x: Signal) -> Signal:
    return x._machine.one("softmax", x)


def standardise(x: Signal, epsilon: float) -> tuple[Signal, Signal]:
    """(x - mean) s with s = 1 / √(variance + ε) over the wires, and s on one wire."""
    return x._machine.standardise(x, epsilon)


def standardise_error(error: Signal, standard: Signal, scale: Signal) -> Signal:
    """The error before `standardise`, from the one behind it and what it gave."""
    return error._machine.standardise_error(error, standard, scale)


def plus(x: Signal, constant: float) -> Signal:
    """x and a fixed number."""
    return x._machine.one("offset", x, constant)


def at_most(x: Signal, bound: float) -> Signal:
    """The smaller of x and a fixed bound."""
    return x._machine.one("at most", x, bound)


def total(x: Signal) -> Signal:
    """The sum over wires: n wires in, one out."""
    return x._machine.total(x)


def complex_product(x: Signal, y: Signal) -> Signal:
    """x y, mode by mode."""
    return x._machine.two("complex multiply", x, y)


def conjugate_product(x: Signal, y: Signal) -> Signal:
    """x times the conjugate of y, mode by mode."""
    return x._machine.two("conjugate multiply", x, y)


def pair_dot(x: Signal, y: Signal) -> Signal:
    """Re(x ȳ), mode by mode: 2N wires each in, N out."""
    return x._machine.paired("pair dot", x, y)


def pair_cross(x: Signal, y: Signal) -> Signal:
    """Im(x ȳ), mode by mode: 2N wires each in, N out."""
    return x._machine.paired("pair cross", x, y)


def interleave(real: Signal, imaginary: Signal) -> Signal:
    """Wires of a complex signal from those of its parts; only wiring, without cost."""
    return real._machine.interleave(real, imaginary)


def project(bundle: Signal, vector: Signal) -> Signal:
    """The dot products of each of a bundle's k vectors with `vector`: k numbers."""
    return bundle._machine.project(bundle, vector)
