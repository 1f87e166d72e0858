"""A signal: a value on wires, in the step that made it."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol, Self

import numpy as np

from hwsim.errors import CausalityError
from hwsim.operations import Operation, add, divide, multiply, negate, plus, reciprocal, scale, square, subtract


class Carrier(Protocol):
    """What carries out operations on signals: a machine."""

    def one(self, operation: Operation, x: Any, constant: float | None = None) -> Any:
        """An operation on one signal."""

    def two(self, operation: Operation, x: Any, y: Any) -> Any:
        """An operation on two signals."""

    def carry_out(self, operation: Operation, *operands: Any) -> Any:
        """An operation on any number of signals, followed by its constants."""


class Signal:
    """A value on `n` wires, opaque to the rule that handles it: only operations of its machine look inside.

    It lives in the step that made it; used in a later one it raises `CausalityError`. What is to survive a step goes
    into a register. Shapes are `(chips, batch, n)`, or `(chips, batch, k, n)` for a bundle: k vectors, one after
    another, on the same n wires. Two signals meet element by element; a single wire (n = 1) fans out, and a vector
    meets every vector of a bundle.

    A complex signal of N modes is 2N wires: real and imaginary part of mode 1, of mode 2, and so on.
    """

    __slots__ = ("_analog", "_full_scale", "_machine", "_slot", "_step", "_twin", "_value")
    # filled in by `Machine.emit`, without a constructor: one is made for every operation

    _value: np.ndarray
    _step: int
    _slot: int
    _machine: Carrier
    _analog: bool
    """On machines with analog circuits: whether it is a voltage rather than a number."""
    _full_scale: Any
    """Of an analog signal, or of the converter that a digital one would go through."""
    _twin: Self | None
    """The same signal in the other domain, once it was needed there."""

    # ---- with another signal, or with a fixed number -------------------------------------------------------------

    def __add__(self, other: Signal | float) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two(add, self, other)
        return self._machine.one(plus, self, other) if isinstance(other, int | float) else NotImplemented

    def __radd__(self, number: float) -> Signal:
        """The sum with a fixed number; `sum([x, y])` begins with 0 + x, which is x."""
        return self if isinstance(number, int) and not number else self._machine.one(plus, self, number)

    def __sub__(self, other: Signal | float) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two(subtract, self, other)
        return self._machine.one(plus, self, -other) if isinstance(other, int | float) else NotImplemented

    def __rsub__(self, number: float) -> Signal:
        return self._machine.one(plus, self._machine.one(negate, self), number)

    def __mul__(self, other: Signal | float) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two(multiply, self, other)
        return self._machine.one(scale, self, other) if isinstance(other, int | float) else NotImplemented

    def __rmul__(self, factor: float) -> Signal:
        return self._machine.one(scale, self, factor)

    def __truediv__(self, other: Signal | float) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two(divide, self, other)
        return self._machine.one(scale, self, 1 / other) if isinstance(other, int | float) else NotImplemented

    def __rtruediv__(self, number: float) -> Signal:
        inverse = self._machine.one(reciprocal, self)
        return inverse if number == 1 else self._machine.one(scale, inverse, number)

    def __neg__(self) -> Signal:
        return self._machine.one(negate, self)

    def __pow__(self, power: int) -> Signal:
        if power != 2:
            raise TypeError(f"no operation raises a signal to the power {power}; write x ** 2, or products of signals")
        return self._machine.one(square, self)

    # ---- what it refuses -----------------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Number of wires n."""
        return int(self._value.shape[-1])

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise CausalityError("a signal has no value outside its machine; look at it with machine.probe")

    __array__ = __float__ = __bool__ = __iter__ = __len__ = __getitem__ = _refuse

    def _compare(self, other: object) -> NoReturn:
        raise CausalityError(
            "a rule cannot branch on values: to compare signals write greater(x, y), a signal of ones and zeros, and "
            "where(mask, x, y) to choose between two"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _compare

    def __repr__(self) -> str:
        return f"<signal on {self.width} wires, step {self._step}, slot {self._slot}>"
