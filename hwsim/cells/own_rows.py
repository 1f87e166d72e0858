"""Own rows: what of a step stays within a unit, from parameters or states of a unit to its own wires.

The wires of a state are blocks of N, one behind the other, with one wire per unit each. Between them and the rows of
parameters, operations wire by wire and wiring by whole blocks keep units apart; a product with a matrix mixes them, and
of it the weights from each unit to itself stay within.
"""

from __future__ import annotations

from hwsim.cells.backward import Adjoints, OperatingPoint
from hwsim.errors import CapabilityError
from hwsim.machine import Signal
from hwsim.operations import held, join, pad, sparse, take
from hwsim.operations.derivative import Elementwise, Node
from hwsim.operations.neurons import BLOCKWISE

PRODUCTS = (held.read, sparse.read)
"""Products with matrices, which mix units."""


def products_behind(at: OperatingPoint, signal: Signal, units: int) -> int | None:
    """The most products with matrices on a way from a signal to the new state; None if there is no way.

    Raises:
        CapabilityError: something else on the way mixes units.
    """
    most = {id(signal): 0}
    for node in at.nodes:
        before = [most[id(operand)] for operand in node.operands if id(operand) in most]
        if before:
            if not _keeps_units_apart(node, units):
                where = f"{at.machine.layer}, {node.operation.name} of {node.operands[0].width} wires"
                raise CapabilityError(f"{where}: it mixes the cell's {units} units, so none has rows of its own")
            most[id(node.result)] = max(before) + (node.operation in PRODUCTS)
    return most.get(id(at.new))


def _keeps_units_apart(node: Node, units: int) -> bool:
    """Whether wire i of an operand reaches wires of unit i mod N alone, or the operation is a product of all units."""
    operation, widths = node.operation, [signal.width for signal in (*node.operands, node.result)]
    if any(width % units for width in widths):
        return False
    if operation in PRODUCTS:
        return widths[0] == units
    if operation in BLOCKWISE:
        return True
    if operation in (join, take, pad):
        return not any(constant % units for constant in node.constants)
    return len(set(widths)) == 1 and (operation is held.gain or isinstance(operation.derivative, Elementwise))


class OwnErrors(Adjoints):
    """Adjoints that go back through a product by the weights from each unit to itself, or not at all.

    Attributes:
        recurrent: whether they go back through products.
    """

    def __init__(self, at: OperatingPoint, delta: Signal, recurrent: bool) -> None:
        super().__init__(at, delta)
        self.recurrent = recurrent

    def back(self, node: Node, position: int, error: Signal | None) -> Signal | None:
        if node.operation not in PRODUCTS or error is None:
            return super().back(node, position, error)
        if not self.recurrent:
            return None
        scaled = node.slope(position, lambda node: node.holder.diagonal()) * error
        units, rows = node.operands[0].width, error.width
        parts = [take(scaled, start, start + units) for start in range(0, rows, units)] if rows > units else [scaled]
        return sum(parts[1:], parts[0])
