"""Derivatives: what an operation's Jacobian does to errors and to changes of its operands, in operations.

A `Node` is an operation that was carried out. For each of its operands, `back` takes an error at the result to the one
at the operand, and `along` takes a change of the operand to that of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Slope = Callable[["Node"], Any]
"""The slope of a result by an operand: a signal, or a fixed number, such as 1."""


class Node:
    """An operation that was carried out in the present step.

    Attributes:
        operands, constants: signals and fixed numbers that it took.
        holder: what holds the numbers that it was carried out with; None for operations on signals alone.
        result: the signal that it made.
    """

    __slots__ = ("_slopes", "constants", "holder", "operands", "operation", "result")

    def __init__(
        self, operation: Any, operands: tuple[Any, ...], constants: tuple[Any, ...], holder: Any, result: Any
    ) -> None:
        self.operation, self.operands, self.constants = operation, operands, constants
        self.holder, self.result = holder, result
        self._slopes: dict[int, Any] = {}

    def slope(self, position: int, of: Slope) -> Any:
        """A slope, worked out when it is first needed."""
        if position not in self._slopes:
            self._slopes[position] = of(self)
        return self._slopes[position]


class Elementwise:
    """The derivative of an operation that works wire by wire: a slope for each operand, as often as there are any."""

    def __init__(self, *slopes: Slope | float) -> None:
        self._slopes = slopes

    def back(self, node: Node, position: int, error: Any) -> Any:
        return self._scaled(node, position, error)

    def along(self, node: Node, position: int, change: Any) -> Any:
        return self._scaled(node, position, change)

    def _scaled(self, node: Node, position: int, signal: Any) -> Any:
        slope = self._slopes[position]
        if callable(slope):
            slope = node.slope(position, slope)
        if not isinstance(slope, int | float):
            return slope * signal
        return signal if slope == 1 else -signal if slope == -1 else slope * signal


class Linear:
    """The derivative of an operation by what it does to errors and to changes; None where it is cut, or is zero."""

    def __init__(self, back: Callable[[Node, int, Any], Any], along: Callable[[Node, int, Any], Any]) -> None:
        self.back, self.along = back, along
