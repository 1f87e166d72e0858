"""Leak: how the state of a device that pulses change goes back by itself, as the charge of a capacitor does."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from hwsim.quantities import Constant, Time


class Leak(BaseModel, extra="forbid"):
    """x(t) = x(0) exp(-t / τ), with τ = `time_constant` (1 + spread ξ) of each device, where ξ is standard normal.

    The time is that of the hardware: what the passes of learning take by the schedule, and the waits of `deploy`.
    A device whose τ would not be above 0 loses its charge at once.

    (Li et al., "Capacitor-based cross-point array for analog neural network with record symmetry and linearity", VLSI
    Technology 2018, for capacitors; the spread is that of IBM's aihwkit, Rasch et al., AICAS 2021.)
    """

    time_constant: Annotated[Constant[Time], Field(description="τ, after which 1/e of x is left")]
    spread: Annotated[float, Field(ge=0, allow_inf_nan=False, description="σ of τ over devices, as a share of it")] = (
        0.0
    )

    def rates(self, normal: np.ndarray) -> np.ndarray:
        """1 / τ of each device, in 1/s, from a standard normal number of each; infinite where τ is not above 0."""
        tau = self.time_constant.value * (1 + self.spread * normal)
        return np.where(tau > 0, 1 / np.where(tau > 0, tau, 1.0), np.inf)


def left(rates: np.ndarray, seconds: float) -> np.ndarray:
    """What is left of each device's x after so long, as a share."""
    return np.asarray(np.exp(-rates * seconds)) if seconds else np.ones_like(rates)
