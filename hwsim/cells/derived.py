"""Cells that write their step only: products with their Jacobians follow from the operations of the step."""

from __future__ import annotations

from abc import abstractmethod

from hwsim.cells.cell import Cell
from hwsim.errors import CapabilityError
from hwsim.machine import Bias, Gain, Machine, Matrix, Signal
from hwsim.machine.following import following
from hwsim.operations import Traffic, join, total, zeros
from hwsim.operations.derivative import Node
from hwsim.operations.wiring import take


class OperatingPoint:
    """Where the derivatives of a step are taken: the operations that led from the state and the input to the new state.

    Attributes:
        machine: what the step was carried out on.
        h, x, new: the state before the step, the input, and the state after it.
        nodes: the operations, in the order in which they were carried out.
    """

    def __init__(self, machine: Machine, h: Signal, x: Signal, new: Signal, nodes: list[Node]) -> None:
        self.machine, self.h, self.x, self.new, self.nodes = machine, h, x, new, nodes
        self.users: dict[int, list[tuple[Node, int]]] = {}
        for node in nodes:
            for position, operand in enumerate(node.operands):
                self.users.setdefault(id(operand), []).append((node, position))


class Adjoints:
    """Errors at the signals of a step, from the error at the new state; each is computed when it is first needed.

    Attributes:
        at: where the derivatives are taken.
    """

    def __init__(self, at: OperatingPoint, delta: Signal) -> None:
        self.at = at
        self._known: dict[int, Signal | None] = {id(at.new): delta}

    def of(self, signal: Signal) -> Signal | None:
        """The error at a signal; None if the new state does not depend on it."""
        if id(signal) not in self._known:
            self._known[id(signal)] = self._from_users(signal)
        return self._known[id(signal)]

    def _from_users(self, signal: Signal) -> Signal | None:
        users = [(node, at) for node, at in self.at.users.get(id(signal), []) if self.of(node.result) is not None]
        if len(users) > 1 and all(node.operation is take for node, _ in users):
            joined = self._joined(signal, [node for node, _ in users])
            if joined is not None:
                return joined
        error: Signal | None = None
        for node, position in users:
            part = _back(node, position, self.of(node.result))
            error = part if error is None else error + part
        return error

    def _joined(self, signal: Signal, nodes: list[Node]) -> Signal | None:
        """The errors of parts of a signal side by side, which is wiring; None if the parts overlap."""
        parts, end = [], 0
        for node in sorted(nodes, key=lambda node: node.constants[0]):
            start, stop = node.constants
            if start < end:
                return None
            if start > end:
                parts.append(zeros(self.at.machine, int(start - end)))
            parts.append(self.of(node.result))
            end = stop
        if end < signal.width:
            parts.append(zeros(self.at.machine, signal.width - end))
        whole: Signal = join(*parts)
        return whole


def _back(node: Node, position: int, error: Signal | None) -> Signal:
    """The error at an operand, from the error at the result; summed where one wire fanned out to several."""
    derivative = node.operation.derivative
    if derivative is None:
        raise CapabilityError(
            f"{node.operation.name} has no derivative, so a cell that uses it writes its own products"
        )
    part: Signal = derivative.back(node, position, error)
    return total(part) if node.operands[position].width == 1 < part.width else part


class Derived(Cell):
    """A cell that writes `next`, its step; everything else follows, carried out and recorded like all operations.

    Errors follow by reverse accumulation through the operations of the step (Linnainmaa, BIT 16:146, 1976), products
    J v by forward accumulation (Wengert, Comm. ACM 7:463, 1964).

    Attributes:
        units: the units that hold parameters, in the order in which they are programmed.
    """

    dense = True
    units: list[Matrix | Bias | Gain]

    def __init__(self, machine: Machine, name: str) -> None:
        super().__init__(machine, name)
        self.units = []

    @abstractmethod
    def next(self, h: Signal, x: Signal) -> Signal:
        """The next state, from the state h and the input x."""

    def keep(self, *units: Matrix | Bias | Gain) -> None:
        """Add units to the cell: they are trained and programmed with it."""
        self.units += units
        self.trainables = [unit.trainable for unit in self.units]

    def step(self, h: Signal, x: Signal) -> tuple[Signal, OperatingPoint]:
        with following(self.machine) as nodes:
            new = self.next(h, x)
        return new, OperatingPoint(self.machine, h, x, new, nodes)

    def recall(self, before: Signal, x: Signal, h: Signal) -> OperatingPoint:
        """Carry the step out again, which is charged: the states alone do not give the values within the step."""
        return self.step(before, x)[1]

    def drive_error(self, at: OperatingPoint, delta: Signal) -> Adjoints:
        return Adjoints(at, delta)

    def input_error(self, drive: Adjoints) -> Signal:
        error = drive.of(drive.at.x)
        assert error is not None, "the input reaches the state"
        return error

    def transposed(self, at: OperatingPoint, delta: Signal, drive: Adjoints | None = None) -> Signal:
        error = (drive or Adjoints(at, delta)).of(at.h)
        assert error is not None, "the state reaches the next one"
        return error

    def along(self, at: OperatingPoint, v: Signal) -> Signal:
        changes: dict[int, Signal] = {id(at.h): v}
        for node in at.nodes:
            change: Signal | None = None
            for position, operand in enumerate(node.operands):
                if id(operand) in changes:
                    part = node.operation.derivative.along(node, position, changes[id(operand)])
                    change = part if change is None else change + part
            if change is not None:
                changes[id(node.result)] = change
        return changes[id(at.new)]

    def accumulate(self, at: OperatingPoint, delta: Signal, drive: Adjoints, recurrent: bool = True) -> None:
        for node in at.nodes:
            if node.holder is None:
                continue
            trainable, error = node.holder.trainable, drive.of(node.result)
            if error is None or (trainable.group == "recurrent" and not recurrent):
                continue
            if node.operation.traffic is Traffic.PRODUCT:
                trainable.gradient.add_outer(error, node.operands[0])
            elif isinstance(node.holder, Gain):
                trainable.gradient.add(error * node.operands[0])
            else:
                trainable.gradient.add(error)

    def program(self) -> None:
        for unit in self.units:
            unit.program()
