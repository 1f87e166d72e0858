"""Operations on each wire: sums, products, functions and comparisons."""

import numpy as np

from hwsim.operations import kernels
from hwsim.operations.derivative import Elementwise
from hwsim.operations.operation import Binary, Operation, S, Unary, each, last, mode, together

DAMPENING = 0.3
"""Height of the surrogate slope of a spike."""


class Comparison(Binary):
    """A comparison of two signals, or of a signal with a fixed number."""

    __slots__ = ()

    def __call__(self, x: S, y: S | float) -> S:
        if isinstance(y, int | float):
            signal: S = x._machine.one(above, x, y)
            return signal
        return super().__call__(x, y)


def _sigmoid(v: np.ndarray) -> np.ndarray:
    from scipy.special import expit  # slow to import, and needed by some cells only

    value: np.ndarray = expit(v)
    return value


# ---- of two signals ----------------------------------------------------------------------------------------------

add = Binary("add", np.add, shape=together, work=each(add=1), circuit="add", derivative=Elementwise(1, 1))
subtract = Binary(
    "subtract", np.subtract, shape=together, work=each(add=1), circuit="add", derivative=Elementwise(1, -1)
)
multiply = Binary(
    "multiply",
    np.multiply,
    shape=together,
    work=each(multiply=1),
    circuit="multiply",
    derivative=Elementwise(lambda node: node.operands[1], lambda node: node.operands[0]),
)
divide = Binary(
    "divide",
    np.divide,
    shape=together,
    work=each(divide=1),
    derivative=Elementwise(lambda node: reciprocal(node.operands[1]), lambda node: -(node.result / node.operands[1])),
)
larger = Binary(
    "larger",
    np.maximum,
    shape=together,
    work=each(compare=1),
    derivative=Elementwise(lambda node: greater(*node.operands), lambda node: 1.0 - greater(*node.operands)),
)
hypot = Binary(
    "hypot",
    np.hypot,
    shape=together,
    work=each(multiply=2, add=1, root=1),
    derivative=Elementwise(*(lambda node, side=side: node.operands[side] / node.result for side in (0, 1))),
)
"""√(x² + y²), also where a square would be out of range."""
gate = Binary("gate", kernels.gate, shape=together, work=each(compare=1), circuit="compare", aligned=True)
"""x where the second operand is positive, else 0: what relu does to an error."""

greater: Comparison = Comparison(
    "greater", kernels.greater, shape=together, work=each(compare=1), circuit="compare", aligned=True
)
"""1 where the first operand is above the second, else 0: `greater(x, y)`, or `greater(x, 0.5)` for a fixed number."""
unequal = Binary("unequal", kernels.unequal, shape=together, work=each(compare=1), aligned=True)
"""1 where two operands differ, else 0."""
where = Operation("where", kernels.where, shape=last, work=each(compare=1), circuit="compare")
"""x where the mask is not zero, else y: `where(mask, x, y)`, all on the same wires."""

# ---- of a signal and a fixed number ------------------------------------------------------------------------------

above = Unary("above", kernels.above, kind="greater", work=each(compare=1), circuit="compare")
"""1 where the signal is above a fixed number, else 0; rules write `greater(x, number)`."""
scale = Unary(
    "scale",
    np.multiply,
    work=each(multiply=1),
    circuit="multiply",
    derivative=Elementwise(lambda node: node.constants[0]),
)
quantise = Operation(
    "quantise",
    lambda x, full_scale, levels, unit: np.rint(np.clip(x / full_scale, -1, 1) * levels) * unit,
    work=each(multiply=1),
)
"""The nearest of so many levels to each side of zero, as its number times `unit`; full scale is the last level.

`quantise(x, full_scale, levels, unit)` is one product: rounding and saturation are how it is brought to its bits.
"""
whole = Operation(
    "whole",
    lambda x, step, most: np.clip(np.trunc(x / step), -most, most) * step,
    work=each(multiply=2, compare=1),
)
"""The whole steps in x, towards zero and at most so many: `whole(x, step, most)`, as their number times the step."""
plus = Unary("offset", np.add, work=each(add=1), derivative=Elementwise(1))
at_most = Unary("at most", np.minimum, work=each(compare=1))
at_least = Unary("at least", np.maximum, work=each(compare=1))

# ---- of one signal -----------------------------------------------------------------------------------------------

negate = Unary("negate", np.negative, wiring=True, derivative=Elementwise(-1))
square = Unary("square", np.square, work=each(multiply=1), derivative=Elementwise(lambda node: 2.0 * node.operands[0]))
sqrt = Unary("sqrt", np.sqrt, work=each(root=1), derivative=Elementwise(lambda node: reciprocal(2.0 * node.result)))
reciprocal: Unary = Unary(
    "reciprocal", np.reciprocal, work=each(divide=1), derivative=Elementwise(lambda node: -square(node.result))
)
exp = Unary("exp", np.exp, work=each(exp=1), derivative=Elementwise(lambda node: node.result))
cos = Unary("cos", np.cos, work=each(cos=1), derivative=Elementwise(lambda node: -sin(node.operands[0])))
sin: Unary = Unary("sin", np.sin, work=each(cos=1), derivative=Elementwise(lambda node: cos(node.operands[0])))
tanh = Unary(
    "tanh", np.tanh, work=each(tanh=1), circuit="tanh", derivative=Elementwise(lambda node: tanh_slope(node.result))
)
tanh_slope: Unary = Unary("tanh slope", lambda y: 1 - y * y, work=each(multiply=1, add=1), circuit="tanh")
"""The slope of tanh where its value is y: 1 - y²."""
sigmoid = Unary(
    "sigmoid",
    _sigmoid,
    work=each(tanh=1, add=1),
    circuit="tanh",
    derivative=Elementwise(lambda node: sigmoid_slope(node.result)),
)
"""1 / (1 + exp(-x)) = ½ + ½ tanh(x/2), by a tanh and an addition; halves are shifts."""
sigmoid_slope: Unary = Unary("sigmoid slope", lambda y: y * (1 - y), work=each(multiply=1, add=1), circuit="tanh")
"""The slope of sigmoid where its value is y: y (1 - y)."""
spike = Unary(
    "spike",
    kernels.spike,
    work=each(compare=1),
    circuit="compare",
    derivative=Elementwise(lambda node: spike_slope(node.operands[0], DAMPENING)),
)
"""1 where x, the membrane above threshold, is positive, else 0."""
spike_slope: Unary = Unary(
    "spike slope", kernels.spike_slope, work=each(add=1, compare=1, multiply=1), circuit="compare"
)
"""A spike's surrogate slope γ max(0, 1 - |x|): `spike_slope(x, γ)` (Bellec et al., Nat. Commun. 11:3625, 2020)."""
relu = Unary(
    "relu",
    kernels.relu,
    work=each(compare=1),
    circuit="compare",
    derivative=Elementwise(lambda node: greater(node.operands[0], 0.0)),
)

# ---- of complex signals, mode by mode ----------------------------------------------------------------------------

complex_product = Binary(
    "complex multiply",
    kernels.complex_multiply,
    shape=together,
    work=mode(multiply=4, add=2),
    circuit="multiply",
    aligned=True,
)
"""x y."""
conjugate_product = Binary(
    "conjugate multiply", kernels.conjugate_multiply, shape=together, work=mode(multiply=4, add=2), aligned=True
)
"""x times the conjugate of y."""
