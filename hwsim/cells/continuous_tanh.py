"""The continuous-time tanh cell: τ dh/dt = -h + tanh(W h + U x + b), whose errors are integrated beside the state."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim import initial
from hwsim.cells.cell import Cell, Euler, Size
from hwsim.cells.factor import Factor
from hwsim.documents import PartError
from hwsim.errors import CapabilityError
from hwsim.machine import Bias, Machine, Matrix, Signal
from hwsim.operations import integrate, tanh, tanh_slope
from hwsim.quantities import Time, si

MOST = 10_000
"""Most Euler steps in one step of the input."""


class Options(BaseModel, extra="forbid"):
    """Tanh units in continuous time, integrated by Euler steps; the input is held for each step of the input."""

    name: Literal["continuous_tanh"]
    units: Annotated[int, Field(ge=1, description="number of units N")]
    tau: Annotated[Time, Field(description="τ: time constant of every unit")]
    step: Annotated[Time, Field(description="how long each step of the input is held")]
    dt: Annotated[Time, Field(description="of one Euler step; it divides `step`, and is at most τ")]
    gain: Annotated[float, Field(gt=0, description="approximate spectral radius of the initial W")] = 1.0
    recurrence: Annotated[Literal["normal", "orthogonal"], Field(description="initial W")] = "normal"

    @model_validator(mode="after")
    def _euler_steps_fit(self) -> Self:
        dt, step = si(self.dt, "s", 6), si(self.step, "s", 6)
        if self.dt > self.tau:
            raise ValueError(f"dt: {dt} is longer than tau, {si(self.tau, 's', 6)}; Euler steps have to be shorter")
        if self.step / self.dt > MOST + 0.5:
            raise ValueError(
                f"dt: {dt} makes {self.step / self.dt:.4g} Euler steps of {step}; at most {MOST} are taken"
            )
        steps = self.step / self.dt
        if abs(steps - self.euler.steps) > 1e-6 * steps:
            near = [
                self.step / each for each in (ceil(steps), ceil(steps) - 1) if each and self.step / each <= self.tau
            ]
            would = " or ".join(si(each, "s", 6) for each in near)
            raise PartError(("dt",), f"dt: {dt} does not divide the step of the input, {step}; {would} would")
        return self

    @property
    def euler(self) -> Euler:
        """Euler steps in a step of the input, and the share of τ that each takes."""
        steps = max(round(self.step / self.dt), 1)
        return Euler(steps, self.step / steps / self.tau)


def size(options: Options, inputs: int) -> Size:
    """N wires, all visible; W, U and b."""
    n = options.units
    return Size(n, n, n * (n + inputs + 1), n)


class OperatingPoint:
    """The course of a step: the input, and for each Euler step the state before it, tanh(v), and its slope.

    Attributes:
        x: the input, held all the while.
        states, tanhs: h and s = tanh(W h + U x + b), one for each Euler step.
        run: courses of errors that were integrated beside the state, by the last signal of each.
    """

    __slots__ = ("_slopes", "run", "states", "tanhs", "x")

    def __init__(self, x: Signal, states: list[Signal], tanhs: list[Signal]) -> None:
        self.x, self.states, self.tanhs = x, states, tanhs
        self.run: dict[int, list[Signal]] = {}
        self._slopes: list[Signal] | None = None

    @property
    def slopes(self) -> list[Signal]:
        """φ = 1 - s², which is computed when it is first needed."""
        if self._slopes is None:
            self._slopes = [tanh_slope(s) for s in self.tanhs]
        return self._slopes


class Drive:
    """The errors behind each Euler step, and φ times them; their sum is the error at the drive, but for dt/τ.

    Attributes:
        errors: δ behind each Euler step, in the order of time.
        driven: φδ of each.
    """

    __slots__ = ("_sum", "driven", "errors")

    def __init__(self, errors: list[Signal], driven: list[Signal]) -> None:
        self.errors, self.driven = errors, driven
        self._sum: Signal | None = None

    def total(self, a: float) -> Signal:
        """dt/τ Σ φδ."""
        if self._sum is None:
            self._sum = a * sum(self.driven[1:], self.driven[0])
        return self._sum


class ContinuousTanh(Cell):
    """τ dh/dt = -h + tanh(v), v = W h + U x + b, in K Euler steps h ← h + a (tanh(v) - h), a = dt/τ.

    Errors obey dδ/dt = -Aᵀδ - ∂l/∂h with A = (diag(φ) W - I)/τ, φ = 1 - tanh² v, as adjoints do (Pontryagin et al.,
    1962; backwards in time, they are BPTT's). With them the gradient is ∫ φδ hᵀ dt/τ for W, φδ xᵀ for U, φδ for b.

    Run forward, errors take Euler steps of their own beside those of the state, and see φ as the state passes it:
    δ ← δ - a (Wᵀ(φδ) - δ). So J⁻ᵀ is a subtraction: with M = I + dt A of one Euler step, J = M_K … M_1, and what
    stands for M⁻ᵀ is 2I - Mᵀ, which is off by (dt A)². The error of a gradient is of first order in dt, and nothing is
    inverted. Each Euler step adds to the gradient as it is taken, so no state within a step is kept for longer.

    `transposed`, and gradients of errors that were not run forward in this step, go back through its Euler steps, which
    are exact for the Euler scheme: that is BPTT at this dt. With K = 1 this is a leaky tanh cell of leak dt/τ.
    """

    dense = True

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        n, seed = options.units, machine.seed
        self.width, self.euler = n, options.euler
        self._steps, self._a = options.euler
        start = {"normal": initial.normal, "orthogonal": initial.orthogonal}[options.recurrence]
        self.W = Matrix(machine, f"{name} W", "recurrent", start(seed, f"{name} W", n, n, options.gain))
        self.U = Matrix(machine, f"{name} U", "input", initial.normal(seed, f"{name} U", n, inputs))
        self.b = Bias.trained(machine, f"{name} b", "input", initial.zeros(n))
        self.trainables = [self.W.trainable, self.U.trainable, self.b.trainable]

    def step(self, h: Signal, x: Signal) -> tuple[Signal, OperatingPoint]:
        driven = self.U @ x + self.b
        states, tanhs = [], []
        for _ in range(self._steps):
            s = tanh(self.W @ h + driven)
            states.append(h)
            tanhs.append(s)
            h = integrate(h, s - h, self._a)
        return h, OperatingPoint(x, states, tanhs)

    def recall(self, before: Signal, x: Signal, h: Signal) -> OperatingPoint:
        """Take the step again, which is charged: states between Euler steps are not kept."""
        return self.step(before, x)[1]

    def inverse_transposed(self, at: OperatingPoint, v: Signal) -> Signal:
        """δ behind the step, from v before it, by the circuit that runs errors beside the state."""
        course = []
        for slope in at.slopes:
            v = integrate(v, self._back(slope * v, v), -self._a)
            course.append(v)
        at.run[id(v)] = course
        return v

    def drive_error(self, at: OperatingPoint, delta: Signal) -> Drive:
        """φδ at each Euler step, of errors that were run forward to `delta`; of others, back from `delta`."""
        course = at.run.get(id(delta))
        if course is not None:
            return Drive(course, [slope * error for slope, error in zip(at.slopes, course, strict=True)])
        errors, driven = [delta], []
        for slope in reversed(at.slopes):
            driven.append(slope * errors[-1])
            if len(driven) < self._steps:
                errors.append(integrate(errors[-1], self._back(driven[-1], errors[-1]), self._a))
        return Drive(errors[::-1], driven[::-1])

    def input_error(self, drive: Drive) -> Signal:
        return self.U.T @ drive.total(self._a)

    def transposed(self, at: OperatingPoint, delta: Signal, drive: Drive | None = None) -> Signal:
        drive = drive or self.drive_error(at, delta)
        first: Signal = integrate(drive.errors[0], self._back(drive.driven[0], drive.errors[0]), self._a)
        return first

    def _back(self, driven: Signal, error: Signal) -> Signal:
        """τ Aᵀδ = Wᵀ(φδ) - δ."""
        return self.W.T @ driven - error

    def along(self, at: OperatingPoint, v: Signal) -> Signal:
        for slope in at.slopes:
            v = integrate(v, slope * (self.W @ v) - v, self._a)
        return v

    def along_input(self, at: OperatingPoint, v: Signal) -> Signal:
        driven = self.U @ v
        first, *others = at.slopes
        change = self._a * (first * driven)
        for slope in others:
            change = integrate(change, slope * (self.W @ change + driven) - change, self._a)
        return change

    def accumulate(self, at: OperatingPoint, delta: Signal, drive: Drive, recurrent: bool = True) -> None:
        if recurrent:
            for driven, h in zip(drive.driven, at.states, strict=True):
                self.W.gradient.add_outer(self._a * driven, h)
        total = drive.total(self._a)
        self.U.gradient.add_outer(total, at.x)
        self.b.gradient.add(total)

    def factors(self, at: OperatingPoint) -> list[Factor]:
        self._is_one_step("say by which factors its parameters enter the state")
        scaled = self._a * at.slopes[0]
        entries = ("W", self.W, at.states[0]), ("U", self.U, at.x), ("b", self.b, None)
        return [Factor(name, (scaled,), column, unit.gradient) for name, unit, column in entries]

    @property
    def together(self) -> list[list[str]]:
        return [["W", "U", "b"]]

    def own_decay(self, at: OperatingPoint, recurrent: bool = True) -> list[list[Signal | float | None]]:
        self._is_one_step("say how much of its state each unit keeps")
        kept = 1 - self._a
        if not recurrent:
            return [[kept if kept else None]]
        own = self._a * (at.slopes[0] * self.W.diagonal())
        return [[own + kept]]

    def _is_one_step(self, what: str) -> None:
        """Refuse what holds for one Euler step alone."""
        if self._steps > 1:
            raise CapabilityError(
                f"{self.name} cannot {what}: its units mix within a step, which has {self._steps} Euler steps; with dt "
                "equal to step it has one"
            )

    def program(self) -> None:
        self.W.program()
        self.U.program()
        self.b.program()
