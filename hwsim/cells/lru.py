"""The linear recurrent unit: h_t = λ h_{t-1} + γ (B x_t + b), complex and diagonal (Orvieto et al., ICML 2023)."""

from __future__ import annotations

from math import tau
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, model_validator

from hwsim import initial
from hwsim.accounts.memory import LEARNING
from hwsim.cells.cell import Cell, Size
from hwsim.cells.factor import Factor
from hwsim.machine import (
    Accumulator,
    Bias,
    Diagonal,
    InverseDiagonal,
    Machine,
    Matrix,
    ModeGain,
    Register,
    Signal,
    Trainable,
    Workspace,
)
from hwsim.operations import (
    complex_product,
    conjugate_product,
    cos,
    exp,
    interleave,
    ones,
    pair_cross,
    pair_dot,
    reciprocal,
    sin,
    zeros,
)
from hwsim.records import GRADIENT, Shape


class Options(BaseModel, extra="forbid"):
    """A linear recurrent unit: N complex modes, each with an eigenvalue λ of its own."""

    name: Literal["lru"]
    modes: Annotated[int, Field(ge=1, description="number of complex modes N; the state is 2N real numbers")]
    r_min: Annotated[float, Field(gt=0, lt=1, description="smallest initial |λ|")] = 0.9
    r_max: Annotated[float, Field(gt=0, le=1, description="largest initial |λ|")] = 1.0
    max_phase: Annotated[float, Field(gt=0, le=tau, description="largest initial phase of λ; the smallest is 0")] = tau
    normalise: Annotated[bool, Field(description="initial γ is √(1 - |λ|²) rather than 1")] = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.r_min >= self.r_max:
            raise ValueError(f"r_min ({self.r_min}) must be below r_max ({self.r_max})")
        return self


def size(options: Options, inputs: int) -> Size:
    """2N wires, all visible; ν, θ, log γ, b and B."""
    n = options.modes
    return Size(2 * n, 2 * n, n * (3 + 2 + 2 * inputs), n)


class OperatingPoint(NamedTuple):
    """State and input before the step, and the driven part γ (B x + b) of the new state."""

    h: Signal
    x: Signal
    driven: Signal


class LRU(Cell):
    """h' = λ h + γ (B x + b), mode by mode, with λ = exp(-exp ν + i exp θ) and γ = exp(log γ).

    Errors are δ = ∂L/∂Re h + i ∂L/∂Im h, for which Jᵀ is multiplication by λ̄ and J⁻ᵀ by 1/λ̄. Then
    ∂L/∂λ = Σ_t δ_t h̄_{t-1} =: D, and with it ∂L/∂ν = -exp(ν) Re(D̄ λ), ∂L/∂θ = exp(θ) Im(D λ̄);
    ∂L/∂log γ = Σ Re(δ̄ γu), ∂L/∂b = Σ γδ, ∂L/∂B = Σ γδ xᵀ, with u = B x + b.
    (JAX's cotangents are the conjugates of these errors, so code in JAX multiplies by λ.)
    """

    dense = False
    gained = True

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        n = options.modes
        self.width = 2 * n
        ring = initial.ring(
            machine.seed, f"{name} ring", n, options.r_min, options.r_max, options.max_phase, options.normalise
        )
        self.first_rates = ring.nu  # ln of ln(1/|λ|)
        self.nu = Trainable(machine, f"{name} nu", "recurrent", ring.nu)
        self.theta = Trainable(machine, f"{name} theta", "recurrent", ring.theta)
        self.log_gamma = Trainable(machine, f"{name} log gamma", "input", ring.log_gamma)
        self.B = Matrix(machine, f"{name} B", "input", initial.complex_rows(machine.seed, f"{name} B", n, inputs))
        self.b = Bias.trained(machine, f"{name} b", "input", initial.zeros(2 * n))
        self.gamma = ModeGain(machine, f"{name} gamma", n)
        self.eigenvalues = Diagonal(machine, f"{name} lambda", 2 * n, "transposed" in uses)
        self.inverse = InverseDiagonal(self.eigenvalues.T) if "inverse" in uses else None
        self.trainables = [self.nu, self.theta, self.log_gamma, self.B.trainable, self.b.trainable]
        self.eigenvalue_gradient: Accumulator

    def step(self, h: Signal, x: Signal) -> tuple[Signal, OperatingPoint]:
        driven = self.gamma * (self.B @ x + self.b)
        return self.eigenvalues * h + driven, OperatingPoint(h, x, driven)

    def recall(self, before: Signal, x: Signal, h: Signal) -> OperatingPoint:
        return OperatingPoint(before, x, h - self.eigenvalues * before)

    def drive_error(self, at: OperatingPoint, delta: Signal) -> Signal:
        return self.gamma * delta

    def input_error(self, drive: Signal) -> Signal:
        return self.B.T @ drive

    def transposed(self, at: OperatingPoint, delta: Signal, drive: Signal | None = None) -> Signal:
        return self.eigenvalues.T * delta

    def inverse_transposed(self, at: OperatingPoint, v: Signal) -> Signal:
        assert self.inverse is not None, "a rule that needs the inverse says so in `uses`"
        return self.inverse * v

    def along(self, at: OperatingPoint, v: Signal) -> Signal:
        return self.eigenvalues * v

    def along_input(self, at: OperatingPoint, v: Signal) -> Signal:
        return self.gamma * (self.B @ v)

    def product(self, workspace: Workspace, name: str) -> Register:
        return workspace.register(name, self.width, LEARNING, initial=(1.0, 0.0))

    def identity(self) -> Signal:
        n = self.width // 2
        unit: Signal = interleave(ones(self.machine, n), zeros(self.machine, n))
        return unit

    def extend(self, product: Signal, at: OperatingPoint) -> Signal:
        return self.eigenvalues.T * product

    def through(self, product: Signal, g: Signal) -> Signal:
        return complex_product(product, g)

    def accumulate(self, at: OperatingPoint, delta: Signal, drive: Signal, recurrent: bool = True) -> None:
        with self.machine.part(purpose=GRADIENT):
            if recurrent:
                self.eigenvalue_gradient.add(conjugate_product(delta, at.h))
            self.log_gamma.gradient.add(pair_dot(delta, at.driven))
        self.B.gradient.add_outer(drive, at.x)
        self.b.gradient.add(drive)

    @property
    def traced(self) -> dict[str, Shape]:
        n = self.width
        return {"lambda": (n,), "gamma": (n,), "b": (n,), "B": (n, self.B.shape[1])}

    @property
    def sums(self) -> dict[str, Accumulator]:
        named = ("gamma", self.log_gamma), ("b", self.b), ("B", self.B)
        return {"lambda": self.eigenvalue_gradient, **{name: each.gradient for name, each in named}}

    def factors(self, at: OperatingPoint) -> list[Factor]:
        """h for λ, γu for log γ, γ for b, and for each input j the vector γ x_j for B."""
        entries = (
            ("lambda", at.h, self.eigenvalue_gradient, conjugate_product),
            ("gamma", at.driven, self.log_gamma.gradient, pair_dot),
            ("b", self.gamma.constant(), self.b.gradient, conjugate_product),
            ("B", self.gamma.spread(at.x), self.B.gradient, conjugate_product),
        )
        return [Factor(name, (r,), None, sums, product) for name, r, sums, product in entries]

    def slowest(self, modes: int) -> list[int]:
        rates = self.first_rates.draw().tolist()
        return sorted(sorted(range(len(rates)), key=rates.__getitem__)[:modes])

    def own_decay(self, at: OperatingPoint, recurrent: bool = True) -> list[list[Diagonal | None]]:
        return [[self.eigenvalues if recurrent else None]]

    def begin_training(self) -> None:
        super().begin_training()
        self.eigenvalue_gradient = Accumulator(self.machine, f"{self.name} lambda gradient", (self.width,))

    def accumulate_gained(self, at: OperatingPoint, drive: Signal) -> None:
        self.accumulate(at, drive, drive)

    def divide_by_gain(self) -> None:
        inverse = reciprocal(exp(self.log_gamma.master.load()))
        self.log_gamma.gradient.store(self.log_gamma.gradient.load() * inverse)
        self.eigenvalue_gradient.store(self.eigenvalue_gradient.load() * interleave(inverse, inverse))

    def finish_gradient(self) -> None:
        sums, rate, turn = self.eigenvalue_gradient.load(), exp(self.nu.master.load()), exp(self.theta.master.load())
        radius = exp(-rate)
        eigenvalues = interleave(radius * cos(turn), radius * sin(turn))
        self.nu.gradient.store(-(rate * pair_dot(sums, eigenvalues)))
        self.theta.gradient.store(turn * pair_cross(sums, eigenvalues))

    def program(self) -> None:
        radius, angle = exp(-exp(self.nu.master.load())), exp(self.theta.master.load())
        x, y = cos(angle), sin(angle)
        self.eigenvalues.program(interleave(radius * x, radius * y))
        if self.inverse is not None:
            growth = reciprocal(radius)
            self.inverse.program(interleave(growth * x, growth * y))
        self.gamma.program(exp(self.log_gamma.master.load()))
        self.B.program()
        self.b.program()
