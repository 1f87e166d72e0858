"""The horizon: the number of steps over which errors can be carried forward, given the errors of one step."""

from __future__ import annotations

from math import expm1, hypot, inf, isnan, log1p, nan, sqrt
from typing import NamedTuple, Self

from hwsim.cells.cell import Euler
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.operations import held, integrate, moves, subtract

TOLERANCE = 0.2
"""Accepted relative error at the end of a sequence; it still leaves a cosine of 0.98 with the exact errors."""


class Precision(NamedTuple):
    """Relative errors of one step of a recursion of errors.

    Attributes:
        fresh: errors that are drawn at each use, such as noise and rounding.
        frozen: mismatch between the units that carry errors and those that they should equal; the same in every step.
        drift: in continuous time, where every direction is forgotten at a rate: error of that rate, relative to it,
            also the same in every step.
    """

    fresh: float
    frozen: float
    drift: float = 0.0

    @classmethod
    def of(cls, look: Look) -> Self:
        """The precision of δ ← J⁻ᵀ (δ - g), from the errors of the units that carry it out.

        Fresh: noise of the tile that sends an error back, of subtraction, of the inverse multipliers and of storing,
        relative to the smallest exact errors of a layer. Frozen: mismatch of the inverse multipliers to the forward
        ones, unless they are the same circuits. Cells in continuous time have integrators in place of multipliers: see
        `of_integrators`.
        """
        parts = [cls.of_multipliers(look)] if look.discrete else []
        parts += [cls.of_integrators(look, euler) for euler in look.euler.values()]
        fresh, frozen, drift = zip(*parts, strict=True)
        return cls(nan if any(map(isnan, fresh)) else max(fresh), max(frozen), max(drift))

    @classmethod
    def of_multipliers(cls, look: Look) -> Self:
        """The precision in discrete time."""
        forward, inverse = look.errors(held.diagonal), look.errors(held.inverse_diagonal)
        way = look.errors(held.read_transposed), look.errors(subtract), inverse, look.errors(moves.store)
        noise = sqrt(sum(unit.noise**2 for unit in way))
        size = look.size() if noise else 1.0
        fresh = hypot(noise / size if size else 0.0, inverse.relative)
        frozen = 0.0 if inverse.unit == forward.unit else sqrt(inverse.mismatch**2 + forward.mismatch**2)
        return cls(max(fresh, inverse.rounding), frozen)

    @classmethod
    def of_integrators(cls, look: Look, euler: Euler) -> Self:
        """The precision in continuous time, from K Euler steps of a share a = dt/τ.

        Fresh: in each Euler step the noise of an integrator, and a of that of what it integrates, a tile and a
        subtraction; K of them add at random. Drift: mismatch of 1/τ between the integrators of errors and of states,
        and the first order of Euler's method: where the state shrinks by 1 - ρ, errors grow by 1 + ρ in place of
        1/(1 - ρ), which is an error ρ of the rate, with ρ = rate/K.
        """
        unit, store = look.errors(integrate), look.errors(moves.store)
        input_noise = hypot(look.errors(held.read_transposed).noise, look.errors(subtract).noise)
        noise = hypot(sqrt(euler.steps) * hypot(unit.noise, euler.share * input_noise), store.noise)
        size = look.size() if noise else 1.0
        fresh = max(noise / size if size else 0.0, unit.rounding * sqrt(euler.steps))
        return cls(fresh, 0.0, sqrt(2) * unit.mismatch + max(look.forgetting(), 0.0) / euler.steps)


class Horizon(NamedTuple):
    """The number of steps over which errors can be carried forward, beside the number over which they are.

    An error made at one step grows by exp(rate) with each further step. After T steps, fresh errors of relative size ε
    are summed at random, to ε √((exp(2 T rate) - 1) / (2 rate)); frozen errors are summed coherently, to about T ε. In
    continuous time, a frozen error ε of the rate, relative to it, puts an error of ε rate into every step; these are
    summed coherently and grow, to ε (exp(T rate) - 1). So errors can be carried for T ≤ τ ln(1 + tolerance/ε), where τ
    is 1/rate.

    Attributes:
        steps: T, the number of steps over which the rule carries errors: the length of the sequence, unless the rule
            computes them anew in between.
        rate: ln(1/|λ|min), per step: how fast the recurrence forgets along its fastest direction; infinite if a
            direction is forgotten within one step.
        fresh, frozen: relative error ε of one step: drawn at each use, or the same in all steps.
        tolerance: accepted relative error after T steps.
        drift: frozen error of the rate, relative to it, in continuous time.
    """

    steps: int
    rate: float
    fresh: float
    frozen: float
    tolerance: float = TOLERANCE
    drift: float = 0.0

    @classmethod
    def of(cls, steps: int, rate: float, precision: Precision, tolerance: float = TOLERANCE) -> Self | None:
        """The horizon for units of a precision; None if the rate or the precision is undefined."""
        if isnan(rate) or isnan(precision.fresh):
            return None
        return cls(steps, rate, precision.fresh, precision.frozen, tolerance, precision.drift)

    @property
    def fresh_error(self) -> float:
        """Relative error after `steps` steps from fresh errors."""
        growth = 2 * self.steps * self.rate
        if growth > 700:
            return inf
        return self.fresh * sqrt(expm1(growth) / (2 * self.rate) if self.rate else self.steps)

    @property
    def frozen_error(self) -> float:
        """Relative error after `steps` steps from frozen errors: of a step, or of the rate, whichever is larger."""
        growth = self.steps * self.rate
        drifted = self.drift and (inf if growth > 700 else self.drift * abs(expm1(growth)))
        return max(self.frozen * self.steps, drifted)

    @property
    def fresh_steps(self) -> float:
        """Largest number of steps within the tolerance with fresh errors; infinite if their sum never reaches it."""
        ratio, rate = (self.tolerance / self.fresh) ** 2, self.rate
        if rate == inf or not rate:
            return 0.0 if rate else ratio
        return log1p(2 * rate * ratio) / (2 * rate) if 2 * rate * ratio > -1 else inf

    @property
    def frozen_steps(self) -> float:
        """Largest number of steps within the tolerance with frozen errors; infinite if there are none."""
        return min(self.tolerance / self.frozen if self.frozen else inf, self._drifting_steps)

    @property
    def _drifting_steps(self) -> float:
        """The same with a frozen error of the rate; what does not shrink, or nothing drifts, is carried for ever."""
        if self.drift <= 0 or self.rate <= 0:
            return inf
        return 0.0 if inf in (self.drift, self.rate) else log1p(self.tolerance / self.drift) / self.rate

    @property
    def fits(self) -> bool:
        """Whether `steps` is within both limits."""
        return self.steps <= min(self.fresh_steps, self.frozen_steps)

    @property
    def reached(self) -> str:
        """The smaller of both limits, in words."""
        by = "frozen" if self.frozen_steps < self.fresh_steps else "fresh"
        return f"{min(self.fresh_steps, self.frozen_steps):.3g} (by {by} errors)"

    @property
    def verdict(self) -> str:
        """Whether `steps` is within the horizon, as a sentence without its full stop."""
        where = "within" if self.fits else "beyond"
        return f"for the circuits that carry errors, {self.steps} steps are {where} the horizon of {self.reached}"

    def diagnostics(self) -> list[Diagnostic]:
        """The horizon as diagnostics."""
        shorter = min(self.fresh_steps, self.frozen_steps)
        what = "steps over which errors can be carried"
        return [
            Diagnostic("horizon", "steps", what, shorter, self.reached, self.verdict, self.fits),
            Diagnostic("horizon_fresh_steps", "steps", "steps that fresh errors allow", self.fresh_steps),
            Diagnostic("horizon_frozen_steps", "steps", "steps that frozen errors allow", self.frozen_steps),
        ]
