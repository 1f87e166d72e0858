"""Cells that write their step only: products with their Jacobians follow from the operations of the step."""

from __future__ import annotations

from abc import abstractmethod

from hwsim.cells.backward import Adjoints, OperatingPoint
from hwsim.cells.cell import Cell
from hwsim.cells.factor import Factor
from hwsim.cells.own_rows import OwnErrors, products_behind
from hwsim.errors import CapabilityError
from hwsim.machine import Bias, Gain, Machine, Matrix, Signal, SparseMatrix
from hwsim.machine.following import following
from hwsim.operations import Traffic, ones, pad, take


class Derived(Cell):
    """A cell that writes `next`, its step; everything else follows, carried out and recorded like all operations.

    Adjoints follow by reverse accumulation through the operations of the step (Linnainmaa, BIT 16:146, 1976), products
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
        return self._along(at, at.h, v)

    def along_input(self, at: OperatingPoint, v: Signal) -> Signal:
        return self._along(at, at.x, v)

    def _along(self, at: OperatingPoint, of: Signal, v: Signal) -> Signal:
        """The change of the new state with a change v of a signal."""
        changes: dict[int, Signal] = {id(of): v}
        for node in at.nodes:
            change: Signal | None = None
            for position, operand in enumerate(node.operands):
                if id(operand) in changes:
                    part = node.operation.derivative.along(node, position, changes[id(operand)])
                    change = part if change is None else change if part is None else change + part
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
            if node.operation.traffic in (Traffic.PRODUCT, Traffic.SPARSE_PRODUCT):
                trainable.gradient.add_outer(error, node.operands[0])
            elif isinstance(node.holder, Gain):
                trainable.gradient.add(error * node.operands[0])
            else:
                trainable.gradient.add(error)

    def factors(self, at: OperatingPoint) -> list[Factor]:
        errors = [Adjoints(at, wires) for wires in self._block_by_block()]
        found = []
        for node in at.nodes:
            products = None if node.holder is None else products_behind(at, node.result, self.width // self.blocks)
            if products is None:
                continue
            if products:
                raise CapabilityError(f"{node.holder.name} reaches other rows of the state through another product")
            rows, trainable = tuple(each.of(node.result) for each in errors), node.holder.trainable
            if isinstance(node.holder, Gain):
                rows = tuple(r if r is None else r * node.operands[0] for r in rows)
            if isinstance(node.holder, SparseMatrix):
                sources = node.holder.sources(node.operands[0])
                rows = tuple(r if r is None else r * sources for r in rows)
            column = node.operands[0] if node.operation.traffic is Traffic.PRODUCT else None
            found.append(Factor(self.traced_as(trainable), rows, column, trainable.gradient))
        return found

    @property
    def links(self) -> list[list[int]] | None:
        recurrent = [unit for unit in self.units if isinstance(unit, Matrix) and unit.trainable.group == "recurrent"]
        sparse = [unit.connections for unit in recurrent if isinstance(unit, SparseMatrix)]
        if len(sparse) < len(recurrent):
            return None
        units = self.width // self.blocks
        rows = [(number % units, heard) for places in sparse for number, heard in enumerate(places)]
        return [sorted({each for unit, heard in rows if unit == number for each in heard}) for number in range(units)]

    def own_decay(self, at: OperatingPoint, recurrent: bool = True) -> list[list[Signal | None]]:
        units = self.width // self.blocks
        if (products_behind(at, at.h, units) or 0) > 1:
            raise CapabilityError(f"the state of {self.name} comes back through one product behind another")
        rows = [OwnErrors(at, wires, recurrent).of(at.h) for wires in self._block_by_block()]
        return [self._cut(row) for row in rows]

    def _cut(self, row: Signal | None) -> list[Signal | None]:
        """A signal on the wires of the state, block by block."""
        units = self.width // self.blocks
        if row is None or self.blocks == 1:
            return [row] * self.blocks
        return [take(row, start, start + units) for start in range(0, self.width, units)]

    def _block_by_block(self) -> list[Signal]:
        """For each block of the state, ones on its wires and zeros on all others."""
        units = self.width // self.blocks
        one = ones(self.machine, units)
        starts = range(0, self.width, units)
        return [pad(one, start, self.width - start - units) for start in starts] if self.blocks > 1 else [one]

    def program(self) -> None:
        for unit in self.units:
            unit.program()
