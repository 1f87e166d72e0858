"""The words in which cells, networks and rules write elementwise operations."""

from hwsim.machine.signal import Signal


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


def at_least(x: Signal, bound: float) -> Signal:
    """The larger of x and a fixed bound."""
    return x._machine.one("at least", x, bound)


def larger(x: Signal, y: Signal) -> Signal:
    """The larger of x and y."""
    return x._machine.two("larger", x, y)


def hypot(x: Signal, y: Signal) -> Signal:
    """√(x² + y²), also where a square would be out of range."""
    return x._machine.two("hypot", x, y)


def total(x: Signal) -> Signal:
    """The sum over wires: n wires in, one out."""
    return x._machine.reduced("sum", x)


def largest(x: Signal) -> Signal:
    """The largest absolute value of all wires: n wires in, one out."""
    return x._machine.reduced("largest", x)


def norm(x: Signal, share: float) -> Signal:
    """A fixed share of √Σx² over wires: n wires in, one out. Squares are summed as products are; only it is rounded."""
    return x._machine.reduced("norm", x, share)


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
