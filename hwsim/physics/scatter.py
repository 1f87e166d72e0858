"""Scatter: devices move away from what they were programmed to, by how much was measured at a few ages."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, Field, model_validator

from hwsim.physics.ages import ascending, place
from hwsim.quantities import ConductanceError, Time


class Scatter(BaseModel, extra="forbid"):
    """g(t) = max(g₀ + √(σ(t)² - σ(t₁)²) ξ, 0), where σ(t) is measured about the target, and t₁ is the first age.

    σ at each age is a polynomial of r = g₀ / g_max. That at t₁ is part of the error of programming, so scatter begins
    there. Between two ages σ goes linearly with ln t, as in `relaxation`. After the last one devices stay as they are.
    ξ is a standard normal number of each device, the same at all times.

    (Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 608:504, 2022, extended data
    figure 3, as fitted in aihwkit at three ages.)
    """

    law: Literal["scatter"]
    ages: Annotated[
        list[Time],
        Field(min_length=2, description="when σ was measured, after programming, the earliest first"),
        AfterValidator(ascending),
    ]
    coefficients: Annotated[
        list[list[ConductanceError]],
        Field(description="for each age, σ by 1, r, r², … with r = g / g_max"),
    ]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(self.coefficients) != len(self.ages) or not all(self.coefficients):
            raise ValueError(f"coefficients: one list for each of the {len(self.ages)} ages, and none of them empty")
        return self

    @property
    def longest(self) -> float:
        """The last age that was measured, in seconds."""
        return self.ages[-1]

    def times(self, factor: float) -> Scatter:
        """The same, so many times as large."""
        scaled = [[factor * each for each in of_age] for of_age in self.coefficients]
        return self.model_copy(update={"coefficients": scaled})

    def deviation(self, r: np.ndarray, waited: float) -> np.ndarray:
        """σ of devices about their targets at an age, in siemens."""
        number, share = place(self.ages, waited, logarithmic=True)
        first, second = (
            np.polynomial.polynomial.polyval(r, self.coefficients[which]) for which in (number, number + 1)
        )
        return np.maximum((1 - share) * first + share * second, 0.0)

    def added(self, g: np.ndarray, waited: float, high: float) -> np.ndarray:
        """σ of devices about what they were after programming, in siemens."""
        now, then = (self.deviation(g / high, age) for age in (waited, self.ages[0]))
        return np.sqrt(np.maximum(now**2 - then**2, 0.0))

    def relaxed(self, g: np.ndarray, normal: np.ndarray, waited: float, low: float, high: float) -> np.ndarray:
        """Conductances after a wait, in siemens.

        Args:
            g: the conductance after programming.
            normal: ξ of each device.
            waited: t, in seconds since programming.
            low, high: the range of conductance.
        """
        return np.maximum(g + self.added(g, waited, high) * normal, 0.0)
