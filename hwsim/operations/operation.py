"""An operation: values, shape, work, circuit and derivative, in one declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from math import prod
from typing import Any, TypeVar

import numpy as np

from hwsim.operations.derivative import Elementwise, Linear
from hwsim.records import Shape

Size = tuple[int, ...]
Work = Mapping[str, int]
"""Counts of elementary operations by name: mac (multiply, accumulate), multiply, add, compare, divide, root, exp, …"""

Lowered = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of arrays and of plain numbers behind them, with these numbers."""

S = TypeVar("S", bound="Any")
"""A signal of any machine; operations find their machine through it."""

BY_NAME: dict[str, Operation] = {}
"""All operations that were declared."""
BY_KIND: dict[str, Operation] = {}
"""The operation that stands for each kind of record; those that share a kind share their work."""


def same(shape: Shape, *_: Any) -> Shape:
    """The shape of the first operand."""
    return shape


def last(*shapes: Any) -> Shape:
    """The shape of the last operand."""
    return shapes[-1]


def together(first: Shape, second: Shape) -> Shape:
    """The shape of two operands that meet: a single wire fans out."""
    return first if first == second else np.broadcast_shapes(first, second)


def one_wire(shape: Shape, *_: Any) -> Shape:
    """One wire in place of all wires."""
    return *shape[:-1], 1


def half(shape: Shape, *_: Any) -> Shape:
    """One wire per pair of wires."""
    return *shape[:-1], shape[-1] // 2


def no_work(size: Size) -> Work:
    """No arithmetic: values are moved, or wired."""
    return {}


def each(**counts: int) -> Callable[[Size], Work]:
    """Counts of elementary operations per wire."""
    return lambda size: {name: count * prod(size) for name, count in counts.items()}


def mode(**counts: int) -> Callable[[Size], Work]:
    """Counts of elementary operations per mode, which is two wires."""
    return lambda size: {name: count * (prod(size) // 2) for name, count in counts.items()}


def macs(size: Size) -> Work:
    """One multiply-accumulate per number of the size."""
    return {"mac": prod(size)}


class Traffic(Enum):
    """What an operation fetches from memories besides the storages that its record names."""

    NONE = "nothing"
    PRODUCT = "a matrix, for products with vectors"
    TRANSPOSED_PRODUCT = "a matrix, for products of its transpose with vectors"
    MATRIX = "a matrix, as plain numbers"
    COEFFICIENTS = "one number per wire"
    MODE_COEFFICIENTS = "one number per mode, which is two wires"
    SUMS = "sums, to add to each of them"
    OUTER_SUMS = "sums, to add outer products"
    CHANGES = "weights, to change each of them"
    OUTER_CHANGES = "weights, to change them by outer products"
    SPARSE_PRODUCT = "weights and indices of a sparse matrix, for products with vectors"
    SPARSE_TRANSPOSED_PRODUCT = "the same, for products of its transpose with vectors"
    SPARSE_MATRIX = "the same, as plain numbers"
    SPARSE_OUTER_SUMS = "indices of a sparse matrix, and sums, to add outer products at its connections"
    DOT_PRODUCTS = "nothing, but every operand is used in a product"
    DECOMPOSITION = "nothing, but a matrix made in the step is decomposed"
    ORTHOGONALISATION = "nothing, but vectors made in the step are made orthogonal"


SPARSE = (
    Traffic.SPARSE_PRODUCT,
    Traffic.SPARSE_TRANSPOSED_PRODUCT,
    Traffic.SPARSE_MATRIX,
    Traffic.SPARSE_OUTER_SUMS,
)
"""What operations fetch that go by a list of connections; the size of their work is `(…, rows, fan-in, columns)`."""


class Operation:
    """What a machine carries out; declaring one makes it known to machines, prices and documentation.

    Rules call it like a function of signals: `tanh(x)`.

    Attributes:
        name: unique among operations.
        kind: what its records are called; operations of one kind cost the same.
        values: from arrays, and constants, to the array of the result, or a tuple of two of them.
        shape: from the shapes of the operands, and constants, to that of the result.
        second: the same for a second result; None if there is none.
        size: of the work, from the shapes of the operands, and constants; None if it is that of the result.
        work: counts of elementary operations, from the size.
        circuit: the analog circuit that can carry it out; None if only the digital unit can.
        wiring: whether it only reorders wires, which is exact and free in either domain.
        product: whether the systolic array of a digital machine carries it out, and not the vector unit.
        traffic: what it fetches from memories.
        aligned: whether `values` takes operands of one shape only.
        derivative: what its Jacobian does, in operations; None if it has none that is declared.
        lowered: from its constants to what `values` calls with them, and the numbers that it calls it with, so that a
            step which is carried out often calls that itself; None if there is nothing to gain.
    """

    __slots__ = (
        "aligned", "circuit", "derivative", "kind", "lowered", "name", "product", "second", "shape", "size", "traffic",
        "values", "wiring", "work",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        values: Callable[..., Any],
        *,
        kind: str | None = None,
        shape: Callable[..., Shape] = same,
        second: Callable[..., Shape] | None = None,
        size: Callable[..., Size] | None = None,
        work: Callable[[Size], Work] = no_work,
        circuit: str | None = None,
        wiring: bool = False,
        product: bool = False,
        traffic: Traffic = Traffic.NONE,
        aligned: bool = False,
        derivative: Elementwise | Linear | None = None,
        lowered: Callable[..., Lowered] | None = None,
    ) -> None:
        self.name, self.kind, self.values = name, kind or name, values
        self.shape, self.second, self.size = shape, second, size
        self.work, self.circuit, self.wiring = work, circuit, wiring
        self.product, self.traffic, self.aligned, self.derivative = product, traffic, aligned, derivative
        self.lowered = lowered
        if name in BY_NAME:
            raise ValueError(f"there is an operation {name!r} already")
        BY_NAME[name] = self
        BY_KIND.setdefault(self.kind, self)

    def shapes(self, *operands: Any) -> tuple[Shape, ...]:
        """The shapes of its results, from arrays and constants that it would take."""
        known = [operand.shape if isinstance(operand, np.ndarray) else operand for operand in operands]
        first = self.shape(*known)
        return (first,) if self.second is None else (first, self.second(*known))

    def forget(self) -> None:
        """Take the declaration back, so that the name is free again."""
        del BY_NAME[self.name]
        if BY_KIND[self.kind] is self:
            del BY_KIND[self.kind]

    def __call__(self, first: Any, *others: Any) -> Any:
        return first._machine.carry_out(self, first, *others)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


class Unary(Operation):
    """An operation on each wire of one signal, or on all of its wires, with a fixed number if it takes one."""

    __slots__ = ()

    def __call__(self, x: S, *constant: float) -> S:
        signal: S = x._machine.one(self, x, *constant)
        return signal


class Binary(Operation):
    """An operation on two signals, wire by wire. A single wire fans out; a vector meets each vector of a bundle."""

    __slots__ = ()

    def __call__(self, x: S, y: S) -> S:
        signal: S = x._machine.two(self, x, y)
        return signal
