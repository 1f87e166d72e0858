"""Relaxation: filaments settle after programming, and conductances shift and scatter with the logarithm of time."""

from __future__ import annotations

from math import log
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim.quantities import ConductanceError, ConductanceSpread, Time


class Relaxation(BaseModel, extra="forbid"):
    """g(t) = g₀ + shift ln(t / t₁) + (spread + growth ln(t / t₁)) ξ, within the device's range, t after programming.

    ξ is a standard normal number of each device, the same at all times. What was measured begins at t₁; before it the
    spread is that of t₁. It does not depend on the conductance.

    (Falcone et al., "All-in-one analog AI hardware: on-chip training and inference with conductive-metal-oxide/HfOx
    ReRAM devices", arXiv:2502.04524, 2025, as fitted in aihwkit, where t is in seconds, so t₁ is 1 s.)
    """

    law: Literal["relaxation"]
    shift: Annotated[ConductanceError, Field(description="of the mean, per e-fold of time")]
    spread: Annotated[ConductanceSpread, Field(description="σ over devices at t₁")]
    growth: Annotated[ConductanceSpread, Field(description="of σ, per e-fold of time")]
    start: Annotated[Time, Field(description="t₁, the earliest time that was measured")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def times(self, factor: float) -> Relaxation:
        """The same, with shift and scatter so many times as large."""
        scaled = {name: factor * getattr(self, name) for name in ("shift", "spread", "growth")}
        return self.model_copy(update=scaled)

    def moments(self, waited: float) -> tuple[float, float]:
        """How far the mean has shifted after a wait, and σ of devices about it, in siemens."""
        folds = log(max(waited, self.start) / self.start)
        return self.shift * folds, self.spread + self.growth * folds

    def relaxed(self, g: np.ndarray, normal: np.ndarray, waited: float, low: float, high: float) -> np.ndarray:
        """Conductances after a wait, in siemens; those that were just programmed are as they were.

        Args:
            g: the conductance after programming.
            normal: ξ of each device.
            waited: t, in seconds since programming.
            low, high: the range of conductance, which a device that was programmed beyond it does not come back into.
        """
        if not waited:
            return g
        shift, deviation = self.moments(waited)
        moved = g + shift + deviation * normal
        return np.clip(moved, np.minimum(g, low), np.maximum(g, high))
