"""The horizon of a sequence: how far fresh and frozen errors of one step let errors be carried."""

from __future__ import annotations

from math import expm1, inf, log1p, sqrt
from typing import NamedTuple

TOLERANCE = 0.2
"""Relative error of the errors at the end of a sequence that leaves their direction: a cosine of 0.98."""


class Horizon(NamedTuple):
    """How long a sequence errors can be carried forward, against how long it is.

    An error made at one step grows by exp(rate) with each further one. Fresh errors of relative size ε add up at
    random, to ε √((exp(2 T rate) - 1) / (2 rate)) after T steps; frozen ones in step, to about T ε.

    Attributes:
        steps: T, the length of the sequence.
        rate: ln(1/|λ|min): how fast the recurrence forgets along the direction that it forgets fastest; infinite where
            one is forgotten at once.
        fresh, frozen: ε of one step, drawn at each use, or the same in all of them.
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
        """The longest sequence that fresh errors allow; any, where they shrink before they add up to so much."""
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
