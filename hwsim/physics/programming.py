"""Programming: how far from its target a device ends, and how fine targets are."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from hwsim.imperfection import Imperfection, scaled_law
from hwsim.quantities import ConductanceError, ConductanceStep, Constant

FINER = 1024
"""So many times as many programming steps are as good as no steps."""


class Polynomial(BaseModel, extra="forbid"):
    """A standard deviation as a polynomial: σ(g) = c₀ + c₁ r + c₂ r² + …, with r = g / g_max.

    Nowhere in the range of conductance may it be negative.
    """

    coefficients: Annotated[
        list[ConductanceError], Field(min_length=1, description="of 1, r, r², … with r = g / g_max")
    ]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def times(self, factor: float) -> Polynomial:
        """The same, so many times as large."""
        return self.model_copy(update={"coefficients": [factor * each for each in self.coefficients]})

    def extremes(self, low: float, high: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where between two values of g / g_max it is smallest and largest: `(g / g_max, σ in siemens)` of each."""
        law = np.polynomial.Polynomial(self.coefficients)
        turns = np.real(law.deriv().trim(1e-12 * max(map(abs, self.coefficients))).roots()).tolist()
        candidates = [(r, float(law(r))) for r in (low, high, *turns) if low <= r <= high]
        return min(candidates, key=lambda one: one[1]), max(candidates, key=lambda one: one[1])


class Programming(BaseModel, extra="forbid"):
    """How a device is brought to a conductance."""

    error: Annotated[
        Polynomial,
        scaled_law("programming error"),
        Field(description="σ of the conductance after a write, by r = g / g_max"),
    ]
    step: Annotated[
        Constant[ConductanceStep],
        Imperfection(
            "programming steps",
            lambda step: step.model_copy(update={"value": step.value / FINER}),
            lambda step: step.model_copy(update={"value": 2 * step.value}),
            f"off: {FINER} times as many steps, so that every update writes every device; doubled: half as many",
        ),
        Field(
            description="smallest change that is worth a write: the range is divided into steps of about this size, "
            "and each target is rounded to one of them"
        ),
    ]
