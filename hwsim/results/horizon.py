"""The horizon: how many steps errors can be carried forward, given the fresh and frozen errors of one step."""

from __future__ import annotations

from math import expm1, inf, log1p, sqrt
from typing import NamedTuple

TOLERANCE = 0.2
"""Accepted relative error of the errors at the end of a sequence; it leaves them a cosine of 0.98."""


class Horizon(NamedTuple):
    """How many steps errors can be carried forward, beside the length of the sequence.

    An error made in one step grows by exp(rate) per further step. Fresh errors of relative size ε add up at random, to
    ε √((exp(2 T rate) - 1) / (2 rate)) after T steps; frozen errors add up coherently, to about T ε.

    Attributes:
        steps: T, the length of the sequence.
        rate: ln(1/|λ|min): the rate of forgetting in the direction that is forgotten fastest; infinite if a direction
            is forgotten at once.
        fresh, frozen: ε of one step, for errors drawn at each use, and for errors that are the same in all steps.
        tolerance: the relative error at the end that is accepted.
    """

    steps: int
    rate: float
    fresh: float
    frozen: float
    tolerance: float = TOLERANCE

    @property
    def fresh_error(self) -> float:
        """Relative error at the end from fresh errors."""
        growth = 2 * self.steps * self.rate
        if growth > 700:
            return inf
        return self.fresh * sqrt(expm1(growth) / (2 * self.rate) if self.rate else self.steps)

    @property
    def frozen_error(self) -> float:
        """Relative error at the end from frozen errors."""
        return self.frozen * self.steps

    @property
    def fresh_steps(self) -> float:
        """The longest sequence that fresh errors allow; infinite if they shrink before they reach the tolerance."""
        ratio, rate = (self.tolerance / self.fresh) ** 2, self.rate
        if rate == inf or not rate:
            return 0.0 if rate else ratio
        return log1p(2 * rate * ratio) / (2 * rate) if 2 * rate * ratio > -1 else inf

    @property
    def frozen_steps(self) -> float:
        """The longest sequence that frozen errors allow."""
        return self.tolerance / self.frozen if self.frozen else inf

    @property
    def fits(self) -> bool:
        """Whether the sequence is short enough."""
        return self.steps <= min(self.fresh_steps, self.frozen_steps)
