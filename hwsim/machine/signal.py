"""A signal: a value on wires, in the step that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from hwsim.errors import CausalityError

if TYPE_CHECKING:
    from hwsim.machine.machine import Machine


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
    _machine: Machine
    _analog: bool
    """On machines with analog circuits: whether it is a voltage rather than a number."""
    _full_scale: float | None
    """Of an analog signal, or of the converter that a digital one would go through."""
    _twin: Signal | None
    """The same signal in the other domain, once it was needed there."""

    def __add__(self, other: Signal) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two("add", self, other)
        return NotImplemented

    def __sub__(self, other: Signal) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two("subtract", self, other)
        return NotImplemented

    def __mul__(self, other: Signal) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two("multiply", self, other)
        return NotImplemented

    def __truediv__(self, other: Signal) -> Signal:
        if other.__class__ is self.__class__:
            return self._machine.two("divide", self, other)
        return NotImplemented

    def __rmul__(self, factor: float) -> Signal:
        """A fixed factor times the signal."""
        return self._machine.one("scale", self, factor)

    def __neg__(self) -> Signal:
        return self._machine.one("negate", self)

    @property
    def width(self) -> int:
        """Number of wires n."""
        return int(self._value.shape[-1])

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise CausalityError("a signal has no value outside its machine; look at it with machine.probe")

    __array__ = __float__ = __bool__ = __iter__ = __len__ = __getitem__ = _refuse

    def __repr__(self) -> str:
        return f"<signal on {self.width} wires, step {self._step}, slot {self._slot}>"
