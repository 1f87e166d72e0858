"""Endurance: how many writes a device survives, and how its range narrows meanwhile."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim.quantities import Constant

Cycles = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
YEAR = 31_557_600.0
"""Seconds of a Julian year, 365.25 days."""


class Endurance(BaseModel, extra="forbid"):
    """A device dies with its write number N = cycles exp(spread ξ), ξ a standard normal number of each device.

    Each pulse in training is a write, and so is each programming, whatever rounds it takes: what wears a device less
    than a full cycle is counted as one. A dead device stays as its last write left it, or where `dead` says, and the
    chip goes on to write it.

    Until then its range narrows, if `narrows` says so: after n writes its largest conductance is
    g_min + (g_max - g_min) (1 - narrows min(n / N, 1)).
    """

    cycles: Annotated[
        Constant[Cycles],
        Field(description="writes after which half of the devices are dead"),
    ]
    spread: Annotated[
        Constant[Amount] | None, Field(description="σ of ln N over devices; without it all die at `cycles`")
    ] = None
    narrows: Annotated[
        Constant[Share] | None,
        Field(description="share of the range that is lost at the top until a device dies; without it, none"),
    ] = None
    dead: Annotated[
        Literal["kept", "low", "high", "open"],
        Field(
            description="where a dead device stays: as its last write left it, at the least conductance, at the "
            "largest, or without any"
        ),
    ] = "kept"

    def lives(self, normal: np.ndarray) -> np.ndarray:
        """N of each device, a whole number of at least one write, for its ξ."""
        spread = 0.0 if self.spread is None else self.spread.value
        return np.maximum(np.rint(self.cycles.value * np.exp(spread * normal)), 1.0)

    def largest(self, used: np.ndarray, least: float, most: float) -> np.ndarray:
        """The largest conductance of devices that have used such a share of their lives, in siemens."""
        narrows = 0.0 if self.narrows is None else self.narrows.value
        return np.asarray(least + (most - least) * (1 - narrows * np.minimum(used, 1.0)))

    def years(self, writes_per_update: float, updates_per_second: float) -> float:
        """How long a device of N = `cycles` lasts at so many writes per update: N / (writes per second), in years."""
        return float(self.cycles.value / (writes_per_update * updates_per_second) / YEAR)
