"""How much arithmetic each kind of operation is, in counts of elementary ones."""

from collections import Counter
from collections.abc import Callable
from math import prod

from hwsim.records import Record

Work = dict[str, int]
"""Elementary operations by name: mac (multiply, accumulate), multiply, add, compare, divide, root, exp, tanh, cos."""

Size = tuple[int, ...]


def _each(**counts: int) -> Callable[[Size], Work]:
    """So many elementary operations a wire."""
    return lambda size: {name: count * prod(size) for name, count in counts.items()}


def _mode(multiply: int, add: int) -> Callable[[Size], Work]:
    """So many elementary operations a mode, which is two wires."""
    return lambda size: {"multiply": multiply * (prod(size) // 2), "add": add * (prod(size) // 2)}


def _none(size: Size) -> Work:
    return {}


def _macs(size: Size) -> Work:
    return {"mac": prod(size)}


def _sum(size: Size) -> Work:
    return {"add": prod(size[:-1]) * (size[-1] - 1)}


def _largest(size: Size) -> Work:
    return {"compare": prod(size[:-1]) * (size[-1] - 1)}


def _norm(size: Size) -> Work:
    """Products of all wires with themselves, summed, the root, and a share of it."""
    vectors = prod(size[:-1])
    return {"mac": prod(size), "root": vectors, "multiply": vectors}


def _softmax(size: Size) -> Work:
    """Maximum, differences, exponentials, their sum, its reciprocal, products."""
    n, vectors = size[-1], prod(size[:-1])
    each = {"compare": n - 1, "add": 2 * n - 1, "exp": n, "divide": 1, "multiply": n}
    return {name: vectors * count for name, count in each.items()}


def _standardise(size: Size) -> Work:
    """Mean, differences, squares, variance, root, reciprocal, products."""
    n = size[-1]
    return {"add": 3 * n - 1, "multiply": 2 * n + 2, "root": 1, "divide": 1}


def _standardise_error(size: Size) -> Work:
    """Two means, one of them of products, then e - mean - y mean, scaled."""
    n = size[-1]
    return {"add": 4 * n - 2, "multiply": 3 * n + 2}


def _solve(size: Size) -> Work:
    """LU decomposition of an n by n matrix, then both substitutions (Golub and Van Loan, Matrix Computations, 3.2)."""
    n = size[-1]
    return {"mac": n * (n - 1) * (2 * n - 1) // 6 + n * (n - 1), "divide": n * (n - 1) // 2 + n}


WORK: dict[str, Callable[[Size], Work]] = {
    # signals
    "add": _each(add=1),
    "subtract": _each(add=1),
    "offset": _each(add=1),
    "multiply": _each(multiply=1),
    "scale": _each(multiply=1),
    "square": _each(multiply=1),
    "divide": _each(divide=1),
    "reciprocal": _each(divide=1),
    "sqrt": _each(root=1),
    "exp": _each(exp=1),
    "cos": _each(cos=1),
    "sin": _each(cos=1),
    "tanh": _each(tanh=1),
    "tanh slope": _each(multiply=1, add=1),
    "relu": _each(compare=1),
    "gate": _each(compare=1),
    "at most": _each(compare=1),
    "at least": _each(compare=1),
    "larger": _each(compare=1),
    "hypot": _each(multiply=2, add=1, root=1),
    "complex multiply": _mode(multiply=4, add=2),
    "conjugate multiply": _mode(multiply=4, add=2),
    "pair dot": _mode(multiply=2, add=1),
    "pair cross": _mode(multiply=2, add=1),
    "sum": _sum,
    "largest": _largest,
    "norm": _norm,
    "softmax": _softmax,
    "standardise": _standardise,
    "standardise error": _standardise_error,
    "project": _macs,
    "solve": _solve,
    # parameters
    "read": _macs,
    "read transposed": _macs,
    "bias": _each(add=1),
    "gain": _each(multiply=1),
    "mode gain": _each(multiply=1),
    "spread": _each(multiply=1),
    "diagonal": _mode(multiply=4, add=2),
    "conjugate diagonal": _mode(multiply=4, add=2),
    "inverse diagonal": _mode(multiply=4, add=2),
    # sums
    "accumulate": _each(add=1),
    "outer": _macs,
    # moves: no arithmetic
    **dict.fromkeys(
        ("wire", "negate", "load", "store", "push", "pop", "keep", "replay", "fetch", "input", "target"), _none
    ),
    "dac": _none,
    "adc": _none,
    "tile adc": _none,
    "program": _none,
}
"""Arithmetic of each kind of record, from its size."""


def work(record: Record) -> Work:
    """The elementary operations of one record."""
    return WORK[record.kind](record.size)


def total_work(trace: tuple[Record, ...]) -> Counter[str]:
    """The elementary operations of a step."""
    total: Counter[str] = Counter()
    for record in trace:
        total.update(work(record))
    return total
