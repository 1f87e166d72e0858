"""The horizon: the number of steps over which errors can be carried forward, given the errors of one step."""

from __future__ import annotations

from math import expm1, hypot, inf, isnan, log1p, sqrt
from typing import NamedTuple, Self

from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.operations import held, moves, subtract

TOLERANCE = 0.2
"""Accepted relative error at the end of a sequence; it still leaves a cosine of 0.98 with the exact errors."""


class Precision(NamedTuple):
    """Relative errors of one step of a recursion of errors.

    Attributes:
        fresh: errors that are drawn at each use, such as noise and rounding.
        frozen: mismatch between the units that carry errors and those that they should equal; the same in every step.
    """

    fresh: float
    frozen: float

    @classmethod
    def of(cls, look: Look) -> Self:
        """The precision of δ ← J⁻ᵀ (δ - g), from the errors of the units that carry it out.

        Fresh: noise of the tile that sends an error back, of subtraction, of the inverse multipliers and of storing,
        relative to the smallest exact errors of a layer. Frozen: mismatch of the inverse multipliers to the forward
        ones, unless they are the same circuits.
        """
        forward, inverse = look.errors(held.diagonal), look.errors(held.inverse_diagonal)
        way = look.errors(held.read_transposed), look.errors(subtract), inverse, look.errors(moves.store)
        noise = sqrt(sum(unit.noise**2 for unit in way))
        size = look.size() if noise else 1.0
        fresh = hypot(noise / size if size else 0.0, inverse.relative)
        frozen = 0.0 if inverse.unit == forward.unit else sqrt(inverse.mismatch**2 + forward.mismatch**2)
        return cls(max(fresh, inverse.rounding), frozen)


class Horizon(NamedTuple):
    """The number of steps over which errors can be carried forward, beside the number over which they are.

    An error made at one step grows by exp(rate) with each further step. After T steps, fresh errors of relative size ε
    are summed at random, to ε √((exp(2 T rate) - 1) / (2 rate)); frozen errors are summed coherently, to about T ε.

    Attributes:
        steps: T, the number of steps over which the rule carries errors: the length of the sequence, unless the rule
            computes them anew in between.
        rate: ln(1/|λ|min), per step: how fast the recurrence forgets along its fastest direction; infinite if a
            direction is forgotten within one step.
        fresh, frozen: relative error ε of one step: drawn at each use, or the same in all steps.
        tolerance: accepted relative error after T steps.
    """

    steps: int
    rate: float
    fresh: float
    frozen: float
    tolerance: float = TOLERANCE

    @classmethod
    def of(cls, steps: int, rate: float, precision: Precision, tolerance: float = TOLERANCE) -> Self | None:
        """The horizon for units of a precision; None if the rate or the precision is undefined."""
        if isnan(rate) or isnan(precision.fresh):
            return None
        return cls(steps, rate, precision.fresh, precision.frozen, tolerance)

    @property
    def fresh_error(self) -> float:
        """Relative error after `steps` steps from fresh errors."""
        growth = 2 * self.steps * self.rate
        if growth > 700:
            return inf
        return self.fresh * sqrt(expm1(growth) / (2 * self.rate) if self.rate else self.steps)

    @property
    def frozen_error(self) -> float:
        """Relative error after `steps` steps from frozen errors."""
        return self.frozen * self.steps

    @property
    def fresh_steps(self) -> float:
        """Largest number of steps within the tolerance with fresh errors; infinite if their sum never reaches it."""
        ratio, rate = (self.tolerance / self.fresh) ** 2, self.rate
        if rate == inf or not rate:
            return 0.0 if rate else ratio
        return log1p(2 * rate * ratio) / (2 * rate) if 2 * rate * ratio > -1 else inf

    @property
    def frozen_steps(self) -> float:
        """Largest number of steps within the tolerance with frozen errors."""
        return self.tolerance / self.frozen if self.frozen else inf

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
