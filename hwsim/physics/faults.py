"""Faults: devices that do not work from the start, each stuck at one conductance."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from hwsim.physics.law import Assumed, Source, Sourced

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Faults(Sourced):
    """Shares of the devices of a chip that are stuck: at the least conductance, at the largest, or at none at all.

    Each device is faulty with a chance of `low` + `high` + `unformed`, whatever others are, and stays so: programming
    and pulses leave it, and it does not drift. A chip does not know its faulty devices: it writes them like the others,
    and is charged for that. Chances are shares of devices as they stand, so 1 % is .01, not its square.
    """

    low: Annotated[Share, Field(description="share of devices stuck at the least conductance")] = 0.0
    high: Annotated[Share, Field(description="share of devices stuck at the largest conductance")] = 0.0
    unformed: Annotated[Share, Field(description="share of devices that conduct nothing, since they never formed")] = (
        0.0
    )
    source: Source = None
    assumed: Assumed = None

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.share > 1:
            raise ValueError(f"low, high and unformed are {self.share:g} of all devices together; at most 1")
        return self

    @property
    def share(self) -> float:
        """Of all faulty devices."""
        return self.low + self.high + self.unformed

    def times(self, factor: float) -> Faults:
        """The same with so many times as many faulty devices, but never more than there are devices."""
        factor = min(factor, 1 / self.share) if self.share else factor
        return self.model_copy(update={name: factor * getattr(self, name) for name in ("low", "high", "unformed")})

    def draw(self, devices: int, least: float, most: float, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Which of so many devices are stuck, and at what conductance, in siemens.

        With more faults, what was faulty stays so, of the same kind.

        Args:
            least, most: the range of conductance.
            draw: a stream from its start.
        """
        where = np.flatnonzero(draw.random(devices) < self.share)
        kinds = draw.random(devices)[where] * self.share
        at = np.where(kinds < self.low, least, np.where(kinds < self.low + self.high, most, 0.0))
        return where, at
