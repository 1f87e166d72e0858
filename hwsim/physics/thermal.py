"""Thermal and shot noise: what any conductor has, whatever it is made of."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hwsim.physics.law import Assumed, Law, Measured, Source
from hwsim.quantities import Frequency, Temperature, Voltage

BOLTZMANN = 1.380649e-23
"""k, in joules per kelvin; exact since the SI of 2019."""
CHARGE = 1.602176634e-19
"""q, in coulombs; exact since the SI of 2019."""


class Thermal(Law):
    """Thermal and shot noise: σ(g) = √((4 k T g + 2 q I) B) / V, where I = V g, and k and q are those of the SI.

    What fluctuates is the current I at the voltage V, within the bandwidth B of the circuit that reads. Both parts are
    equal at V = 2 k T / q, 52 mV at 300 K. Noise is white, and its conductance is that of an input at full scale; of a
    smaller input it is taken to be as much smaller, so that this is a lower bound of thermal noise.

    (Johnson, Phys. Rev. 32:97, 1928; Nyquist, Phys. Rev. 32:110, 1928; Schottky, Ann. Phys. 362:541, 1918.)
    """

    law: Literal["thermal"]
    bandwidth: Annotated[Frequency, Field(description="B, of the circuit that reads; of an integrator 1 / (2 × time)")]
    voltage: Annotated[Voltage, Field(description="V, of an input at full scale")]
    temperature: Annotated[Temperature, Field(description="T; by default 300 K, which is assumed")] = 300.0
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    def times(self, factor: float) -> Thermal:
        """The same, so many times as large."""
        return self.model_copy(update={"bandwidth": factor**2 * self.bandwidth})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of conductances `g`, in siemens; their age makes no difference."""
        per_conductance = 4 * BOLTZMANN * self.temperature + 2 * CHARGE * self.voltage
        return np.asarray(np.sqrt(per_conductance * self.bandwidth * np.maximum(g, 0.0)) / self.voltage)
