"""Programming: how far from its target a device ends, and how fine targets are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.imperfection import Imperfection, scaled_law
from hwsim.physics.law import Assumed, Law, Measured, Source
from hwsim.physics.saturating import Saturating
from hwsim.quantities import ConductanceError, ConductanceStep, Constant

FINER = 1024
"""So many times as many programming steps are as good as no steps."""


class Polynomial(Law):
    """A standard deviation as a polynomial: σ(g) = c₀ + c₁ r + c₂ r² + …, with r = g / g_max.

    Nowhere in the range of conductance may it be negative.
    """

    law: Literal["polynomial"] = "polynomial"
    coefficients: Annotated[
        list[ConductanceError], Field(min_length=1, description="of 1, r, r², … with r = g / g_max")
    ]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    def times(self, factor: float) -> Polynomial:
        """The same, so many times as large."""
        return self.model_copy(update={"coefficients": [factor * each for each in self.coefficients]})

    def deviation(self, g: np.ndarray, g_max: float) -> np.ndarray:
        """σ of the conductances `g`, both in siemens."""
        return np.maximum(np.polynomial.polynomial.polyval(np.asarray(g) / g_max, self.coefficients), 0.0)

    def extremes(self, low: float, g_max: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where from `low` to `g_max` it is smallest and largest: `(g, σ)` of each, in siemens."""
        law = np.polynomial.Polynomial(self.coefficients)
        turns = np.real(law.deriv().trim(1e-12 * max(map(abs, self.coefficients))).roots()).tolist()
        candidates = [(r * g_max, float(law(r))) for r in (low / g_max, 1.0, *turns) if low / g_max <= r <= 1]
        return min(candidates, key=lambda one: one[1]), max(candidates, key=lambda one: one[1])


ProgrammingError = Annotated[Polynomial | Saturating, Field(discriminator="law")]
"""The laws that a data sheet may have; one without a `law` is a polynomial."""


class Programming(BaseModel, extra="forbid"):
    """How a device is brought to a conductance."""

    error: Annotated[
        ProgrammingError,
        scaled_law("programming error"),
        Field(description="σ of the conductance after a write"),
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

    @model_validator(mode="before")
    @classmethod
    def _polynomial_unless_said(cls, data: Any) -> Any:
        error = data.get("error") if isinstance(data, dict) else None
        if isinstance(error, dict) and "law" not in error:
            return {**data, "error": {"law": "polynomial", **error}}
        return data
