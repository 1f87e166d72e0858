"""What a recurrent cell is: its dynamics, and the products with its Jacobian that learning rules are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from hwsim.errors import CapabilityError
from hwsim.machine import Machine, Register, Signal, Trainable, Workspace


class Cell(ABC):
    """h_t = f(h_{t-1}, x_t), with J = ∂f/∂h and F = ∂f/∂θ at (h_{t-1}, x_t).

    Every method works within one step. `at` is the point at which the cell's derivatives are taken, as `step` or
    `recall` gave it: signals of this step. Errors δ are ∂L/∂h, for complex states ∂L/∂Re h + i ∂L/∂Im h.

    Attributes:
        width: wires of the state.
        trainables: its parameters.
        dense: whether the product of Jacobians is a matrix, rather than one number a mode.
    """

    width: int
    dense: bool
    trainables: list[Trainable]

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name

    @abstractmethod
    def step(self, h: Signal, x: Signal) -> tuple[Signal, Any]:
        """The next state, and the point of its derivatives."""

    @abstractmethod
    def recall(self, before: Signal, x: Signal, h: Signal) -> Any:
        """The point of the derivatives, from a state, the input, and the state `h` that they led to."""

    @abstractmethod
    def drive_error(self, at: Any, delta: Signal) -> Signal:
        """The error at the sum of recurrent and external input; both F and ∂f/∂x begin with it."""

    @abstractmethod
    def input_error(self, drive: Signal) -> Signal:
        """(∂f/∂x)ᵀ δ, from the error at the drive."""

    @abstractmethod
    def transposed(self, at: Any, delta: Signal, drive: Signal | None = None) -> Signal:
        """Jᵀ δ; `drive` is the error at the drive, if it is known already."""

    @abstractmethod
    def inverse_transposed(self, at: Any, v: Signal) -> Signal:
        """J⁻ᵀ v."""

    @abstractmethod
    def product(self, workspace: Workspace, name: str) -> Register:
        """A register for a product P of transposed Jacobians, holding the identity."""

    @abstractmethod
    def extend(self, product: Signal, at: Any) -> Signal:
        """P Jᵀ."""

    @abstractmethod
    def through(self, product: Signal, g: Signal) -> Signal:
        """P g."""

    @abstractmethod
    def accumulate(self, at: Any, delta: Signal, drive: Signal, recurrent: bool = True) -> None:
        """Add Fᵀ δ to the gradient; not for the recurrent factor unless `recurrent`."""

    def traces(self, workspace: Workspace) -> Any:
        """Registers for the sensitivities ∂h/∂θ, where they are one number a parameter."""
        raise CapabilityError(f"{self.name} has a dense Jacobian, so its sensitivities are not one number a parameter")

    def advance(self, traces: Any, at: Any) -> Any:
        """M_t = J M_{t-1} + F, stored in `traces`; what `accumulate_along` needs of it."""
        raise NotImplementedError

    def accumulate_along(self, sensitivities: Any, g: Signal) -> None:
        """Add M_tᵀ g to the gradient."""
        raise NotImplementedError

    @abstractmethod
    def program(self) -> None:
        """In a phase: bring the units to the master values."""

    def begin_training(self) -> None:
        """Allocate gradients."""
        for trainable in self.trainables:
            trainable.begin_training()

    def finish_gradient(self) -> None:
        """In a phase after the passes: what is left to do to the sums to make them the gradient."""
