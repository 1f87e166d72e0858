"""Charge loss: currents of transistors that trap charge shift and scatter over days, as was measured day by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, Field, model_validator

from hwsim.physics.ages import ascending, place
from hwsim.quantities import Current, Time, Voltage

NANO = 1e-9
"""An ampere in the currents of the polynomials, which are in nanoamperes."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ChargeLoss(BaseModel, extra="forbid"):
    """I(t) = max(J + √(σ_t(J)² - σ_0(I₀)²) ξ, 0) with J = I₀ + Σ c_k(t) I₀^k and σ_t(I) = A(t) (1 - exp(-I / B(t))).

    I = V g is the current at the voltage V of the measurement, and I₀ that after programming. σ_t is the deviation of
    cells about the mean of their target, so what scatters since programming is the difference of two variances. From
    programming to the first age, and from each age to the next, c, A and B go linearly with t; c begins at 0. After the
    last age cells stay as they are. ξ is a standard normal number of each cell, the same at all times.

    (Agrawal et al., IEDM 2022, 21.7, figure 10, as fitted in CrossSim 3.2, for SONOS cells of 40 nm.)
    """

    law: Literal["charge_loss"]
    voltage: Annotated[Voltage, Field(description="V, at which the currents were measured")]
    amplitude: Annotated[Current, Field(description="A at once after programming, σ of a large current")]
    scale: Annotated[Current, Field(description="B then, the current at which σ is 63 % of A")]
    ages: Annotated[
        list[Time],
        Field(min_length=1, description="when cells were measured, after programming, the earliest first"),
        AfterValidator(ascending),
    ]
    amplitudes: Annotated[list[Current], Field(description="A at each age")]
    scales: Annotated[list[Current], Field(description="B at each age")]
    shifts: Annotated[
        list[list[Finite]],
        Field(description="for each age, c₀, c₁, c₂, … of the mean shift, of currents in nanoamperes"),
    ]
    largest: Annotated[Current, Field(description="the largest current that was measured; above it the shift is its")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in ("amplitudes", "scales", "shifts"):
            if len(getattr(self, key)) != len(self.ages):
                raise ValueError(f"{key}: one for each of the {len(self.ages)} ages")
        if len({len(each) for each in self.shifts}) > 1 or not self.shifts[0]:
            raise ValueError("shifts: as many numbers at each age, and at least one")
        return self

    @property
    def longest(self) -> float:
        """The last age that was measured, in seconds."""
        return self.ages[-1]

    def times(self, factor: float) -> ChargeLoss:
        """The same, with shifts and deviations so many times as large."""
        return self.model_copy(
            update={
                "amplitude": factor * self.amplitude,
                "amplitudes": [factor * each for each in self.amplitudes],
                "shifts": [[factor * each for each in of_age] for of_age in self.shifts],
            }
        )

    def moments(self, g: np.ndarray, waited: float) -> tuple[np.ndarray, np.ndarray]:
        """How far the mean has shifted after a wait, and σ of cells about it since programming, in siemens.

        Args:
            g: the conductance after programming.
        """
        current = self.voltage * np.asarray(g, float)
        number, share = place((0.0, *self.ages), waited, logarithmic=False)

        def between(first: Any, of_ages: Sequence[Any]) -> np.ndarray:
            values = np.array([first, *of_ages])
            return np.asarray((1 - share) * values[number] + share * values[number + 1])

        shape = between([0.0] * len(self.shifts[0]), self.shifts)
        shift = NANO * np.polynomial.polynomial.polyval(np.minimum(current, self.largest) / NANO, shape)
        a, b = between(self.amplitude, self.amplitudes), between(self.scale, self.scales)
        now, then = _deviation(current + shift, a, b), _deviation(current, self.amplitude, self.scale)
        return shift / self.voltage, np.sqrt(np.maximum(now**2 - then**2, 0.0)) / self.voltage

    def relaxed(self, g: np.ndarray, normal: np.ndarray, waited: float, low: float, high: float) -> np.ndarray:
        """Conductances after a wait, in siemens.

        Args:
            g: the conductance after programming.
            normal: ξ of each cell.
            waited: t, in seconds since programming.
            low, high: the range of conductance.
        """
        if not waited:
            return g
        shift, deviation = self.moments(g, waited)
        return np.maximum(g + shift + deviation * normal, 0.0)


def _deviation(current: np.ndarray, a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """A (1 - exp(-I / B)), of currents in amperes; negative ones have none."""
    return np.asarray(-a * np.expm1(-np.maximum(current, 0.0) / b))
