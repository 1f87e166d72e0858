"""A spread of currents that grows with the current and saturates: a law of programming errors, and of read noise."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hwsim.physics.law import Assumed, Law, Measured, Source
from hwsim.quantities import Current, Voltage


class Saturating(Law):
    """A standard deviation that saturates: σ(g) = A (1 − exp(−V g / B)) / V.

    What was measured are currents I = V g at one voltage V, whose standard deviation is A (1 − exp(−I / B)).

    (Agrawal et al., IEDM 2022, 21.7, figures 10 and 11, as fitted in CrossSim, for SONOS cells.)
    """

    law: Literal["saturating"]
    amplitude: Annotated[Current, Field(description="A, σ of a large current")]
    scale: Annotated[Current, Field(description="B, the current at which σ is 63 % of A")]
    voltage: Annotated[Voltage, Field(description="V, at which the currents were measured")]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    def times(self, factor: float) -> Saturating:
        """The same, so many times as large."""
        return self.model_copy(update={"amplitude": factor * self.amplitude})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of the conductances `g`, both in siemens, at any age; negative ones have none."""
        currents = self.voltage * np.maximum(g, 0.0)
        return np.asarray(-np.expm1(-currents / self.scale) * (self.amplitude / self.voltage))

    def extremes(self, low: float, g_max: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where from `low` to `g_max` it is smallest and largest: `(g, σ)` of each, in siemens. It only grows."""
        at_low, at_max = (float(self.deviation(np.array(g), g_max)) for g in (low, g_max))
        return (low, at_low), (g_max, at_max)
