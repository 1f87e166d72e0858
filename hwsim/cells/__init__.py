"""Recurrent cells: one file each, found by its name."""

from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.cells.cell import LOOP, Cell, Size
from hwsim.errors import CapabilityError
from hwsim.machine import Machine

CELLS = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(CELLS)


def build(machine: Machine, name: str, options: Any, inputs: int, uses: frozenset[str]) -> Cell:
    """The cell that `options` describe, on `machine`, for `inputs` input wires.

    Args:
        uses: products with the Jacobian that the learning rule uses: `"transposed"`, `"inverse"`, both or neither;
            with `"loop"` a dense Jacobian is inverted by an analog inverse solver.

    Raises:
        CapabilityError: the machine lacks something, or no feedback loop inverts the Jacobian of the cell.
    """
    cell: Cell = implementation(CELLS[options.name], Cell)(machine, name, options, inputs, uses)
    if LOOP in uses and cell.dense and not cell.loops:
        raise CapabilityError(
            f"learning.inverse: analog solves with one matrix in a feedback loop, and the Jacobian of {name}, "
            f"{options.name}, is not made of one alone; take leaky_tanh, or inverse: exact"
        )
    return cell


def dense(name: str) -> bool:
    """Whether Jacobians of a cell of this name are matrices, rather than one number per mode."""
    kind: type[Cell] = implementation(CELLS[name], Cell)
    return kind.dense


def size(options: Any, inputs: int) -> Size:
    """The size of the cell that `options` describe."""
    size: Size = CELLS[options.name].size(options, inputs)
    return size


__all__ = ["CELLS", "AnyOptions", "Cell", "Size", "build", "dense", "size"]
