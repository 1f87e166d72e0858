"""Backward through a step: errors at the signals of a step, in the step, from the error at the state behind it."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.errors import CapabilityError
from hwsim.machine import Machine, Signal
from hwsim.operations import join, take, total, zeros
from hwsim.operations.derivative import Node


class OperatingPoint:
    """Where the derivatives of a step are taken: the operations that led from the state and the input to the new state.

    Attributes:
        machine: what the step was carried out on.
        h, x, new: the state before the step, the input, and the state behind it.
        nodes: in the order in which they were carried out.
    """

    def __init__(self, machine: Machine, h: Signal, x: Signal, new: Signal, nodes: list[Node]) -> None:
        self.machine, self.h, self.x, self.new, self.nodes = machine, h, x, new, nodes
        self.users: dict[int, list[tuple[Node, int]]] = {}
        for node in nodes:
            for position, operand in enumerate(node.operands):
                self.users.setdefault(id(operand), []).append((node, position))


class Adjoints:
    """Adjoints at the signals of a step, from the one at the new state; each is found when it is first asked for.

    Attributes:
        at: where the derivatives are taken.
    """

    def __init__(self, at: OperatingPoint, delta: Signal) -> None:
        self.at = at
        self._known: dict[int, Signal | None] = {id(at.new): delta}

    def of(self, signal: Signal) -> Signal | None:
        """The error at a signal; None if the new state does not depend on it.

        A step may be a chain of thousands of operations, so what an error follows from is kept on a list here, rather
        than found by recursion.
        """
        wanted = [] if id(signal) in self._known else [(signal, self._results(signal))]
        while wanted:
            latest, results = wanted[-1]
            behind = next((result for result in results if id(result) not in self._known), None)
            if behind is not None:
                wanted.append((behind, self._results(behind)))
            else:
                self._known[id(latest)] = self._found(latest)
                wanted.pop()
        return self._known[id(signal)]

    def _results(self, signal: Signal) -> Iterator[Signal]:
        """What was made of a signal."""
        return (node.result for node, _ in self.at.users.get(id(signal), []))

    def _found(self, signal: Signal) -> Signal | None:
        users = self.at.users.get(id(signal), [])
        users = [(node, at) for node, at in users if self._known[id(node.result)] is not None]
        if len(users) > 1 and all(node.operation is take for node, _ in users):
            joined = self._joined(signal, [node for node, _ in users])
            if joined is not None:
                return joined
        error: Signal | None = None
        for node, position in users:
            part = self.back(node, position, self._known[id(node.result)])
            if part is not None:
                error = part if error is None else error + part
        return error

    def back(self, node: Node, position: int, error: Signal | None) -> Signal | None:
        """The error at an operand, from the one at the result; wires that one wire fanned out to are summed.

        None where the derivative is cut.
        """
        derivative = node.operation.derivative
        if derivative is None:
            raise CapabilityError(
                f"{node.operation.name} has no derivative, so a cell that uses it writes its own products"
            )
        part: Signal | None = derivative.back(node, position, error)
        if part is None:
            return None
        return total(part) if node.operands[position].width == 1 < part.width else part

    def _joined(self, signal: Signal, nodes: list[Node]) -> Signal | None:
        """The errors of parts of a signal side by side, which is wiring; None if the parts overlap."""
        parts, end = [], 0
        for node in sorted(nodes, key=lambda node: node.constants[0]):
            start, stop = node.constants
            if start < end:
                return None
            if start > end:
                parts.append(zeros(self.at.machine, int(start - end)))
            parts.append(self._known[id(node.result)])
            end = stop
        if end < signal.width:
            parts.append(zeros(self.at.machine, signal.width - end))
        whole: Signal = join(*parts)
        return whole
