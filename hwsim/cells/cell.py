"""The recurrent cell: its dynamics, and the products with its Jacobian that learning rules use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from hwsim.accounts.memory import LEARNING
from hwsim.cells.factor import Factor
from hwsim.errors import CapabilityError
from hwsim.machine import Accumulator, Machine, Matrix, Register, Signal, Trainable, Workspace
from hwsim.operations import identity, project, solve
from hwsim.operations.derivative import Node
from hwsim.records import Shape

LOOP = "loop"
"""Among what a rule uses: the inverse of a dense Jacobian by a feedback loop, on machines with analog circuits."""


class Size(NamedTuple):
    """The size of a cell.

    Attributes:
        width: wires of the state.
        visible: number of wires that the readout sees, the first of the state.
        parameters: number of parameters.
        units: number of units or modes; each may have several wires.
    """

    width: int
    visible: int
    parameters: int
    units: int


class Euler(NamedTuple):
    """How a cell in continuous time is integrated.

    Attributes:
        steps: Euler steps in one step of the input.
        share: of the cell's time constant that one Euler step takes, dt/τ.
    """

    steps: int
    share: float


class Membranes(NamedTuple):
    """Where the state of a cell whose units fire has their membranes, for who looks at it from outside.

    Attributes:
        first: the first wire; there is one for each unit, side by side.
        threshold: at which a unit fires, at rest; None where equations say when it does.
        raised: the first wire of what raises the threshold; None if nothing does.
        start, scale: the membrane where its wire is 0, and how much of it is 1 on the wire.
        counts: the first wire of how often units fired in the step; None if the cell says `fired` without an operation.
    """

    first: int
    threshold: float | None = None
    raised: int | None = None
    start: float = 0.0
    scale: float = 1.0
    counts: int | None = None


class Cell(ABC):
    """h_t = f(h_{t-1}, x_t), with J = ∂f/∂h and F = ∂f/∂θ at (h_{t-1}, x_t).

    Every method works within one step. `at` is the operating point at which the derivatives are taken, from
    `step` or `recall`: signals of this step. Errors δ are ∂L/∂h, for complex states ∂L/∂Re h + i ∂L/∂Im h.

    Every module of a cell has a function `size(options, inputs)`, from which all widths are taken.

    Attributes:
        width: wires of the state.
        trainables: its parameters.
        dense: whether the product of Jacobians is a matrix, rather than one number per mode.
        emits: whether the readout sees what `emitted` makes of the state, such as spikes, and not wires of it.
        synapses: the matrices by which spikes and inputs arrive at its units, of cells whose units fire.
        membranes: where the state has them, of cells whose units fire.
        traced_blocks: how many of these, the first ones, change with parameters; None if all do.
        gained: whether J is diagonal, and the error at the drive is γδ, with a real gain γ per mode: then rules may
            carry γδ in place of δ, see `accumulate_gained`.
        blocks: how many blocks of one wire per unit the state has, one behind the other: 2 for h and c.
        forgets: the most bits that a wire of the state forgets in a step that can be undone; None if none can.
        fraction: fraction bits of a state in fixed point, where steps can be undone.
        euler: how it is integrated, for cells in continuous time; None for those in discrete time.
        loops: whether its Jacobian is such that one matrix in a feedback loop inverts it, where it is dense.
    """

    width: int
    blocks = 1
    traced_blocks: int | None = None
    emits = False
    gained = False
    forgets: int | None = None
    fraction = 0
    euler: Euler | None = None
    loops = False
    synapses: tuple[Matrix, ...] = ()
    membranes: Membranes | None = None
    dense: bool
    trainables: list[Trainable]

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name

    @abstractmethod
    def step(self, h: Signal, x: Signal) -> tuple[Signal, Any]:
        """The next state, and the operating point of the step."""

    @abstractmethod
    def recall(self, before: Signal, x: Signal, h: Signal) -> Any:
        """The operating point of a step, from the state before it, the input, and the state `h` after it."""

    def emitted(self, h: Signal) -> Node:
        """What the readout sees of the state of a cell that `emits`, with the operation that made it.

        Raises:
            CapabilityError: the readout sees wires of the state.
        """
        raise CapabilityError(f"{self.name} emits nothing: the readout sees its state")

    def fired(self, at: Any, emitted: Signal | None) -> Signal:
        """Which units fired at the end of a step: 1 for each that did, 0 for the others.

        Args:
            emitted: what the readout saw in this step, of a cell that `emits`.

        Raises:
            CapabilityError: its units do not fire.
        """
        raise CapabilityError(f"{self.name} has units that do not fire")

    def arriving(self, at: Any) -> tuple[Signal, ...]:
        """What arrived by each of its `synapses` in a step.

        Raises:
            CapabilityError: its units do not fire.
        """
        raise CapabilityError(f"{self.name} has units that do not fire")

    def forgotten(self, at: Any) -> Signal:
        """What a step that can be undone forgot of the state before it: `forgets` bits on each wire.

        Raises:
            CapabilityError: it cannot be undone.
        """
        raise CapabilityError(f"{self.name} cannot undo a step")

    def back(self, h: Signal, x: Signal, lost: Signal) -> tuple[Signal, Any]:
        """The state before a step, and its operating point, from the state behind it and what it forgot.

        Raises:
            CapabilityError: it cannot be undone.
        """
        raise CapabilityError(f"{self.name} cannot undo a step")

    @abstractmethod
    def drive_error(self, at: Any, delta: Signal) -> Any:
        """The error at the drive, where state and input meet; products with Fᵀ and (∂f/∂x)ᵀ start from it.

        Opaque to rules, as `at` is: they pass it to the methods below.
        """

    @abstractmethod
    def input_error(self, drive: Any) -> Signal:
        """(∂f/∂x)ᵀ δ, from the error at the drive."""

    @abstractmethod
    def transposed(self, at: Any, delta: Signal, drive: Any = None) -> Signal:
        """Jᵀ δ; `drive` is the error at the drive, if it was computed already."""

    @abstractmethod
    def along(self, at: Any, v: Signal) -> Signal:
        """J v, for a vector, or for each vector of a bundle."""

    def along_input(self, at: Any, v: Signal) -> Signal:
        """(∂f/∂x) v, for a vector, or for each vector of a bundle.

        Raises:
            CapabilityError: the cell does not say it.
        """
        raise CapabilityError(f"{self.name} does not say how its state changes with its input")

    def inverse_transposed(self, at: Any, v: Signal) -> Signal:
        """J⁻ᵀ v; by default by solving a linear system with the dense Jacobian."""
        columns = self.along(at, identity(self.machine, self.width))  # vector k of this bundle is J e_k
        return solve(columns, v)

    def product(self, workspace: Workspace, name: str) -> Register:
        """A register for a product P of transposed Jacobians, holding the identity."""
        return workspace.register(name, self.width, LEARNING, bundle=self.width, initial=(1.0,))

    def identity(self) -> Signal:
        """The product of no Jacobians."""
        unit: Signal = identity(self.machine, self.width)
        return unit

    def extend(self, product: Signal, at: Any) -> Signal:
        """P Jᵀ; vector k of the bundle P is row k of the matrix."""
        return self.along(at, product)

    def through(self, product: Signal, g: Signal) -> Signal:
        """P g."""
        return project(product, g)

    @abstractmethod
    def accumulate(self, at: Any, delta: Signal, drive: Any, recurrent: bool = True) -> None:
        """Add Fᵀ δ to the gradient; leave out the recurrent factor unless `recurrent`."""

    def accumulate_gained(self, at: Any, drive: Any) -> None:
        """As `accumulate`, from γδ alone; sums that need δ are too large by γ until `divide_by_gain`."""
        raise CapabilityError(f"{self.name} has no gain per mode, so errors cannot be carried with it")

    def divide_by_gain(self) -> None:
        """Divide γ out of the sums that `accumulate_gained` made too large; called in a phase after the passes."""
        raise CapabilityError(f"{self.name} has no gain per mode, so errors cannot be carried with it")

    @property
    def traced(self) -> dict[str, Shape]:
        """Shapes of the parameters that `factors` gives factors of, by their name in the cell."""
        return {self.traced_as(trainable): trainable.shape for trainable in self.trainables}

    @property
    def sums(self) -> dict[str, Accumulator]:
        """The sums of the gradient that `factors` name, by the same names."""
        return {self.traced_as(trainable): trainable.gradient for trainable in self.trainables}

    @property
    def together(self) -> list[list[str]]:
        """Names of traced parameters, in groups that enter the state by the same rows, each by its own columns."""
        return [[name] for name in self.traced]

    @property
    def links(self) -> list[list[int]] | None:
        """The units that each unit hears in one step, besides itself, by fixed connections; None if it may be all."""
        return None

    def traced_as(self, trainable: Trainable) -> str:
        """The name of a parameter in the cell."""
        return trainable.name.removeprefix(f"{self.name} ")

    def factors(self, at: Any) -> list[Factor]:
        """F of each parameter, as an outer product on its own rows; see `Factor`.

        Raises:
            CapabilityError: a parameter reaches other rows as well.
        """
        raise CapabilityError(f"{self.name} does not say by which factors its parameters enter the state")

    def slowest(self, modes: int) -> list[int]:
        """The modes that forgot most slowly at first, by their numbers.

        Raises:
            CapabilityError: its state has no modes of its own.
        """
        raise CapabilityError(f"{self.name} mixes its units, so there are no modes that forget by themselves")

    def own_decay(self, at: Any, recurrent: bool = True) -> list[list[Any]]:
        """The part of J from the state of each unit to its own: `own_decay(at)[to][of]` for the blocks of the state.

        Each is what multiplies the wires of block `of`, a signal, coefficients or a number; None if nothing arrives.

        Args:
            recurrent: whether weights from a unit to itself count, or only what it keeps without them.

        Raises:
            CapabilityError: it takes more than such weights.
        """
        raise CapabilityError(f"{self.name} does not say how much of its state each unit keeps")

    @abstractmethod
    def program(self) -> None:
        """Program the units to the master values; called in a phase."""

    def begin_training(self) -> None:
        """Allocate gradients."""
        for trainable in self.trainables:
            trainable.begin_training()

    def finish_gradient(self) -> None:
        """Turn the accumulated sums into the gradient; called in a phase after the passes."""
