"""Synapses of a layer: all with all, or a few per neuron, which are drawn once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import Field

from hwsim import initial
from hwsim.cells.factor import Factor
from hwsim.errors import CapabilityError
from hwsim.machine import Bias, Machine, Matrix, Signal, SparseMatrix

FanIn = Annotated[
    int | None,
    Field(
        ge=1,
        description="synapses per neuron from neurons of the layer, itself among them, drawn once: W is sparse, which "
        "crossbars cannot hold; by default all N",
    ),
]
InputFanIn = Annotated[
    int | None,
    Field(ge=1, description="synapses per neuron from the input, drawn once: U is sparse; by default all of them"),
]


class Few(Protocol):
    """Options of a cell whose neurons may have few synapses."""

    units: int
    fan_in: int | None
    input_fan_in: int | None


def require_neurons_to_hear(options: Few) -> None:
    """Refuse more synapses per neuron than there are neurons.

    Raises:
        ValueError: there are fewer.
    """
    if options.fan_in is not None and options.fan_in > options.units:
        raise ValueError(f"fan_in: {options.fan_in} synapses per neuron, but there are {options.units} neurons")


def per_neuron(options: Few, inputs: int) -> int:
    """Synapses of a neuron, from its layer and from the input.

    Raises:
        CapabilityError: those from the input are more than it has wires.
    """
    of_input = options.input_fan_in or inputs
    if of_input > inputs:
        raise CapabilityError(f"input_fan_in: {of_input} synapses per neuron, but the input has {inputs} wires")
    return (options.fan_in or options.units) + of_input


def synapses(
    machine: Machine,
    name: str,
    options: Few,
    inputs: int,
    gain: float = 1.0,
    input_gain: float = 1.0,
    of_spikes: bool = True,
) -> tuple[Matrix, Matrix]:
    """W and U, with standard deviations gain / √(synapses per neuron) and input_gain / √(the same).

    Args:
        of_spikes: whether what neurons hear is spikes, see `SparseMatrix`.

    Raises:
        CapabilityError: more synapses come from the input than it has wires; or the machine has no sparse products.
    """
    n, seed = options.units, machine.seed
    per_neuron(options, inputs)

    def made(part: str, group: str, columns: int, fan_in: int | None, gain: float) -> Matrix:
        called = f"{name} {part}"
        weights = initial.normal(seed, called, n, fan_in or columns, gain)
        if fan_in is None:
            return Matrix(machine, called, group, weights)
        places = initial.connections(seed, called, n, columns, fan_in)
        return SparseMatrix(machine, called, group, weights, places, columns, of_spikes)

    recurrent = made("W", "recurrent", n, options.fan_in, gain)
    return recurrent, made("U", "input", inputs, options.input_fan_in, input_gain)


Entries = tuple[tuple[str, Matrix | Bias, Signal | None], ...]
"""Parameters that reach the state by the same rows: name, unit, and what arrives at its columns."""


def factors(entries: Entries, rows: Sequence[Signal | None], one: Signal | None = None) -> list[Factor]:
    """The factor of each parameter; that of a sparse matrix has what arrives at its synapses, one by one.

    Args:
        rows: r for each block of the state.
        one: what among them is 1 on all wires, so that nothing is multiplied by it.
    """
    found = []
    for name, unit, column in entries:
        if isinstance(unit, SparseMatrix) and column is not None:
            heard = unit.sources(column)
            through = tuple(r if r is None else heard if r is one else r * heard for r in rows)
            found.append(Factor(name, through, None, unit.gradient))
        else:
            found.append(Factor(name, tuple(rows), column, unit.gradient))
    return found


def together(recurrent: Matrix, driven: Matrix) -> list[list[str]]:
    """Names of W, U and b, in groups that have columns of their own or one for all rows."""
    sparse = [[name] for name, unit in (("W", recurrent), ("U", driven)) if isinstance(unit, SparseMatrix)]
    return [*sparse, [name for name in ("W", "U", "b") if [name] not in sparse]]
