"""The leaky tanh cell: h_t = (1 - a) h_{t-1} + a tanh(W h_{t-1} + U x_t + b)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim import initial
from hwsim.cells.cell import LOOP, Cell, Size
from hwsim.cells.factor import Factor
from hwsim.machine import Bias, FeedbackLoop, Machine, Matrix, Signal, SparseMatrix
from hwsim.operations import identity, join, ones, plus_identity, solve, take, tanh, tanh_slope

Leak = Annotated[float, Field(gt=0, le=1)]


class Group(BaseModel, extra="forbid"):
    """Units that leak alike."""

    value: Annotated[Leak, Field(description="a of these units")]
    units: Annotated[int, Field(ge=1, description="number of units")]


class Options(BaseModel, extra="forbid"):
    """A recurrent network of leaky tanh units."""

    name: Literal["leaky_tanh"]
    units: Annotated[int, Field(ge=1, description="number of units N")]
    leak: Annotated[
        Leak | Annotated[list[Group], Field(min_length=1)],
        Field(
            description="a: the fraction of the state that each step replaces; or groups of units, each with its own"
        ),
    ] = 1.0
    gain: Annotated[float, Field(gt=0, description="approximate spectral radius of the initial W")] = 1.0
    recurrence: Annotated[Literal["normal", "orthogonal"], Field(description="initial W")] = "normal"
    fan_in: Annotated[
        int | None,
        Field(
            ge=1,
            description="connections per unit from other units or itself, drawn once: W is sparse, which crossbars "
            "cannot hold; by default all N",
        ),
    ] = None

    @model_validator(mode="after")
    def _can_be_sparse(self) -> Self:
        if self.fan_in is not None and self.fan_in > self.units:
            raise ValueError(f"fan_in: {self.fan_in} connections per unit, but there are {self.units} units")
        if self.fan_in is not None and self.recurrence == "orthogonal":
            raise ValueError("fan_in: a sparse W starts with normal weights; leave out recurrence: orthogonal")
        return self

    @model_validator(mode="after")
    def _groups_are_all_units(self) -> Self:
        if isinstance(self.leak, list) and sum(group.units for group in self.leak) != self.units:
            raise ValueError(
                f"leak: the groups have {sum(group.units for group in self.leak)} units, and the cell has {self.units}"
            )
        return self

    @property
    def groups(self) -> list[Group]:
        """Units with equal leaks, in their order."""
        return self.leak if isinstance(self.leak, list) else [Group(value=self.leak, units=self.units)]


def size(options: Options, inputs: int) -> Size:
    """N wires, all visible; W, U and b."""
    n = options.units
    return Size(n, n, n * ((options.fan_in or n) + inputs + 1), n)


class OperatingPoint:
    """State and input before the step, s = tanh(v), and φ = a tanh'(v), which is computed when it is first needed."""

    __slots__ = ("_cell", "_slope", "h", "s", "x")

    def __init__(self, cell: LeakyTanh, h: Signal, x: Signal, s: Signal) -> None:
        self._cell, self.h, self.x, self.s = cell, h, x, s
        self._slope: Signal | None = None

    @property
    def slope(self) -> Signal:
        if self._slope is None:
            self._slope = self._cell.each(lambda a: a, tanh_slope(self.s))
        return self._slope


class LeakyTanh(Cell):
    """h' = (1 - a) h + a tanh(v), v = W h + U x + b.

    With φ = a (1 - tanh² v): J = (1 - a) I + diag(φ) W, Jᵀδ = (1 - a) δ + Wᵀ(φδ), and the gradient is φδ hᵀ for W,
    φδ xᵀ for U, φδ for b. J has no structure that makes its inverse cheap, so the solver gets the dense J. An analog
    solver has the devices of W in a feedback loop: multipliers put φ in front of them, and 1 - a comes past them.
    """

    dense = loops = True

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        self.width, self._groups = options.units, options.groups
        self._stops = list(accumulate(group.units for group in options.groups))
        self.leaks = any(group.value < 1 for group in self._groups)
        self.W = _recurrent(machine, f"{name} W", options)
        self.U = Matrix(machine, f"{name} U", "input", initial.normal(machine.seed, f"{name} U", self.width, inputs))
        self.b = Bias.trained(machine, f"{name} b", "input", initial.zeros(self.width))
        self.trainables = [self.W.trainable, self.U.trainable, self.b.trainable]
        kept = [1 - group.value for group in options.groups for _ in range(group.units)]
        self._loop = FeedbackLoop(self.W, kept) if LOOP in uses else None

    def step(self, h: Signal, x: Signal) -> tuple[Signal, OperatingPoint]:
        s = tanh(self.W @ h + self.U @ x + self.b)
        return self._leaky(h, self.each(lambda a: a, s)), OperatingPoint(self, h, x, s)

    def recall(self, before: Signal, x: Signal, h: Signal) -> OperatingPoint:
        s = self.each(lambda a: 1 / a, h - self._kept(before)) if self.leaks else h
        return OperatingPoint(self, before, x, s)

    def drive_error(self, at: OperatingPoint, delta: Signal) -> Signal:
        return at.slope * delta

    def input_error(self, drive: Signal) -> Signal:
        return self.U.T @ drive

    def transposed(self, at: OperatingPoint, delta: Signal, drive: Signal | None = None) -> Signal:
        return self._leaky(delta, self.W.T @ (at.slope * delta if drive is None else drive))

    def inverse_transposed(self, at: OperatingPoint, v: Signal) -> Signal:
        if self._loop is not None and self._loop.unit is not None:
            return self._loop.solve(at.slope, v)
        transposed = at.slope * self.W.columns()
        if len(self._groups) > 1:
            transposed = transposed + self._kept(identity(self.machine, self.width))
        elif self.leaks:
            transposed = plus_identity(transposed, 1 - self._groups[0].value)
        return solve(transposed, v)

    def along(self, at: OperatingPoint, v: Signal) -> Signal:
        return self._leaky(v, at.slope * (self.W @ v))

    def along_input(self, at: OperatingPoint, v: Signal) -> Signal:
        return at.slope * (self.U @ v)

    def accumulate(self, at: OperatingPoint, delta: Signal, drive: Signal, recurrent: bool = True) -> None:
        if recurrent:
            self.W.gradient.add_outer(drive, at.h)
        self.U.gradient.add_outer(drive, at.x)
        self.b.gradient.add(drive)

    def factors(self, at: OperatingPoint) -> list[Factor]:
        entries = ("W", self.W, at.h), ("U", self.U, at.x), ("b", self.b, None)
        factors = [Factor(name, (at.slope,), column, unit.gradient) for name, unit, column in entries]
        if isinstance(self.W, SparseMatrix):
            factors[0] = Factor("W", (at.slope * self.W.sources(at.h),), None, self.W.gradient)
        return factors

    @property
    def together(self) -> list[list[str]]:
        return [["W"], ["U", "b"]] if isinstance(self.W, SparseMatrix) else [["W", "U", "b"]]

    @property
    def links(self) -> list[list[int]] | None:
        return self.W.connections if isinstance(self.W, SparseMatrix) else None

    def own_decay(self, at: OperatingPoint, recurrent: bool = True) -> list[list[Signal | float | None]]:
        alike = len(self._groups) == 1
        kept = 1 - self._groups[0].value if alike else self._kept(ones(self.machine, self.width))
        if not recurrent:
            return [[kept if self.leaks else None]]
        own = at.slope * self.W.diagonal()
        return [[own + kept if self.leaks else own]]

    def program(self) -> None:
        self.W.program()
        self.U.program()
        self.b.program()
        if self._loop is not None and self._loop.unit is not None:
            self._loop.program()

    def each(self, of: Callable[[float], float], x: Signal) -> Signal:
        """x with the wire of each unit, of a vector or of all in a bundle, multiplied by a function of its leak."""
        if len(self._groups) == 1:
            return _times(of(self._groups[0].value), x)
        parts = [take(x, stop - group.units, stop) for group, stop in zip(self._groups, self._stops, strict=True)]
        return join(*(_times(of(group.value), part) for group, part in zip(self._groups, parts, strict=True)))

    def _kept(self, x: Signal) -> Signal:
        return self.each(lambda a: 1 - a, x)

    def _leaky(self, kept: Signal, new: Signal) -> Signal:
        return self._kept(kept) + new if self.leaks else new


def _times(factor: float, x: Signal) -> Signal:
    return x if factor == 1 else factor * x


def _recurrent(machine: Machine, name: str, options: Options) -> Matrix:
    """W, dense or sparse; normal weights have standard deviation gain / √(connections per unit)."""
    n, seed = options.units, machine.seed
    if options.fan_in is not None:
        weights = initial.normal(seed, name, n, options.fan_in, options.gain)
        places = initial.connections(seed, name, n, n, options.fan_in)
        return SparseMatrix(machine, name, "recurrent", weights, places, n)
    start = {"normal": initial.normal, "orthogonal": initial.orthogonal}[options.recurrence]
    return Matrix(machine, name, "recurrent", start(seed, name, n, n, options.gain))
