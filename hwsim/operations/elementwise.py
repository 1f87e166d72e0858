"""Operations on each wire: sums, products, functions and comparisons."""

import numpy as np

from hwsim.operations import kernels
from hwsim.operations.operation import Binary, Unary, each, mode, together

# ---- of two signals ----------------------------------------------------------------------------------------------

add = Binary("add", np.add, shape=together, work=each(add=1), circuit="add")
subtract = Binary("subtract", np.subtract, shape=together, work=each(add=1), circuit="add")
multiply = Binary("multiply", np.multiply, shape=together, work=each(multiply=1), circuit="multiply")
divide = Binary("divide", np.divide, shape=together, work=each(divide=1))
larger = Binary("larger", np.maximum, shape=together, work=each(compare=1))
hypot = Binary("hypot", np.hypot, shape=together, work=each(multiply=2, add=1, root=1))
"""√(x² + y²), also where a square would be out of range."""
gate = Binary("gate", kernels.gate, shape=together, work=each(compare=1), circuit="compare", aligned=True)
"""x where the second operand is positive, else 0: what relu does to an error."""

# ---- of a signal and a fixed number ------------------------------------------------------------------------------

scale = Unary("scale", np.multiply, work=each(multiply=1), circuit="multiply")
plus = Unary("offset", np.add, work=each(add=1))
at_most = Unary("at most", np.minimum, work=each(compare=1))
at_least = Unary("at least", np.maximum, work=each(compare=1))

# ---- of one signal -----------------------------------------------------------------------------------------------

negate = Unary("negate", np.negative, wiring=True)
square = Unary("square", np.square, work=each(multiply=1))
sqrt = Unary("sqrt", np.sqrt, work=each(root=1))
reciprocal = Unary("reciprocal", np.reciprocal, work=each(divide=1))
exp = Unary("exp", np.exp, work=each(exp=1))
cos = Unary("cos", np.cos, work=each(cos=1))
sin = Unary("sin", np.sin, work=each(cos=1))
tanh = Unary("tanh", np.tanh, work=each(tanh=1), circuit="tanh")
tanh_slope = Unary("tanh slope", lambda y: 1 - y * y, work=each(multiply=1, add=1), circuit="tanh")
"""The slope of tanh where its value is y: 1 - y²."""
relu = Unary("relu", kernels.relu, work=each(compare=1), circuit="compare")

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
