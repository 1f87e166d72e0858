"""A data sheet: what is known of one conductance device, every number with its source."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hwsim.documents import PartError
from hwsim.imperfection import scaled_law
from hwsim.physics.colour import Colour
from hwsim.physics.drift import ByConductance, ConstantExponent, Drift, left
from hwsim.physics.endurance import Endurance
from hwsim.physics.faults import Faults
from hwsim.physics.leak import Leak
from hwsim.physics.programming import Programming
from hwsim.physics.pulses import UpdateLaw
from hwsim.physics.read_noise import ReadNoise
from hwsim.physics.spread import Spread
from hwsim.physics.write import Write
from hwsim.quantities import Conductance, Constant, si

_ROUNDING = 1e-9
"""What is within so much of a bound, as a share of the largest value, may be on it."""


class Conductances(BaseModel, extra="forbid"):
    """The range of conductance that a device is used in."""

    min: Annotated[Constant[Conductance], Field(description="of a device that is off")]
    max: Annotated[Constant[Conductance], Field(description="of a device that is on")]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min.value >= self.max.value:
            raise ValueError("min must be below max")
        return self


class DataSheet(BaseModel, extra="forbid"):
    """A conductance device."""

    name: Annotated[str, Field(description="what it is called in tables")]
    what: Annotated[str, Field(description="one line on the device: material, size, process")]
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that constants name")]
    conductance: Annotated[Conductances, Field(description="the range that the device is used in")]
    programming: Annotated[Programming, Field(description="how it is brought to a conductance")]
    read_noise: Annotated[ReadNoise, scaled_law("read noise"), Field(description="fresh noise of each read")]
    write: Annotated[Write, Field(description="what a write costs")]
    drift: Annotated[
        Drift | None, Field(description="how its conductance falls after programming; without it, it stays")
    ] = None
    update: Annotated[
        UpdateLaw | None,
        Field(
            description="how it answers to pulses, up and down; with it, a weight is one device beside a reference. "
            "Without it, a weight is a pair of devices, which answer linearly and exactly"
        ),
    ] = None
    faults: Annotated[
        Faults | None,
        scaled_law("faulty devices"),
        Field(description="devices that do not work from the start; without it, all do"),
    ] = None
    endurance: Annotated[
        Endurance | None, Field(description="how many writes devices survive; without it, they do not wear out")
    ] = None
    leak: Annotated[
        Leak | None,
        Field(description="how x goes back to 0 by itself; for devices with an `update`; without it, it stays"),
    ] = None

    colour: Annotated[
        Colour | None,
        Field(description="the memory of read noise from one read to the next; without it, noise is white"),
    ] = None
    spread: Annotated[
        Spread | None,
        Field(description="how devices differ in their range and their read noise; without it, they do not"),
    ] = None

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A sheet without one of these keys is what it was before there were such keys."""
        data: dict[str, Any] = written(self)
        for name in ("drift", "update", "faults", "endurance", "leak", "colour", "spread"):
            if getattr(self, name) is None:
                data.pop(name, None)
        return data

    @property
    def window(self) -> float:
        """The width of the range of conductance, in siemens."""
        return self.conductance.max.value - self.conductance.min.value

    @model_validator(mode="after")
    def _leaks_from_x(self) -> Self:
        if self.leak is not None and self.update is None:
            raise PartError(("leak",), "it is x that leaks, which devices without an `update` do not have")
        if self.leak is not None and self.update is not None and self.update.one_way:
            raise PartError(
                ("leak",), "the leak of devices whose pulses lead upward only is not modelled; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _one_spread_of_bounds(self) -> Self:
        for key, instead in (("min", "low_spread"), ("max", "high_spread")):
            if self.update is not None and self.spread is not None and getattr(self.spread, key):
                raise PartError(("spread", key), f"devices with an `update` have `update.{instead}` for that")
        return self

    @model_validator(mode="after")
    def _programmable(self) -> Self:
        step, (low, high) = self.programming.step.value, (self.conductance.min.value, self.conductance.max.value)
        if step > self.window * (1 + _ROUNDING):
            raise PartError(
                ("programming", "step"),
                f"{si(step, 'S')} is wider than the range of conductance, {si(low, 'S')} to {si(high, 'S')}, so that "
                "the device would have one state only",
            )
        (at, least), (_, most) = self.programming.error.extremes(low, high)
        if least < -_ROUNDING * abs(most):
            raise PartError(
                ("programming", "error", "coefficients"),
                f"σ is negative at {si(at, 'S')}: {si(least, 'S')}; a standard deviation is at least 0 "
                f"everywhere from {si(low, 'S')} to {si(high, 'S')}",
            )
        return self

    def programming_error(self, g: np.ndarray) -> np.ndarray:
        """Standard deviation of the conductance after programming to `g`, both in siemens.

        Args:
            g: within the range of conductance; there it is positive but for rounding.
        """
        return self.programming.error.deviation(np.asarray(g), self.conductance.max.value)

    def read_error(
        self, g: np.ndarray, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """Standard deviation of the conductance from one read to the next, in siemens.

        Args:
            g: the conductance now.
            programmed: the conductance after programming; by default it is still the same.
            waited: seconds since then.
        """
        g, g_max = np.asarray(g), self.conductance.max.value
        if programmed is None:
            return self.read_noise.deviation(g, g_max)
        return self.read_noise.deviation(g, g_max, programmed, waited)

    def drifted(self, programmed: np.ndarray, normal: np.ndarray, waited: float) -> np.ndarray:
        """Conductances after a wait, in siemens.

        Args:
            programmed: the conductance after programming.
            normal: a standard normal number of each device.
            waited: seconds since programming.
        """
        if self.drift is None:
            return programmed
        low, high = self.conductance.min.value, self.conductance.max.value
        if isinstance(self.drift, ByConductance | ConstantExponent):
            return programmed * left(self.drift, programmed / high, normal, waited)
        return self.drift.relaxed(programmed, normal, waited, low, high)
