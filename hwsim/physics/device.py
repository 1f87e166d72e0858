"""A data sheet: what is known of one conductance device, every number with its source."""

from __future__ import annotations

from math import log
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.documents import PartError
from hwsim.imperfection import Imperfection
from hwsim.quantities import (
    Conductance,
    ConductanceError,
    ConductanceStep,
    Constant,
    Current,
    Energy,
    Time,
    Voltage,
    si,
)

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]

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


class Polynomial(BaseModel, extra="forbid"):
    """A standard deviation as a polynomial: σ(g) = c₀ + c₁ r + c₂ r² + …, with r = g / g_max.

    Nowhere in the range of conductance may it be negative.
    """

    coefficients: Annotated[
        list[ConductanceError], Field(min_length=1, description="of 1, r, r², … with r = g / g_max")
    ]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def times(self, factor: float) -> Polynomial:
        """The same, so many times as large."""
        return self.model_copy(update={"coefficients": [factor * each for each in self.coefficients]})

    def extremes(self, low: float, high: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where between two values of g / g_max it is smallest and largest: `(g / g_max, σ in siemens)` of each."""
        law = np.polynomial.Polynomial(self.coefficients)
        turns = np.real(law.deriv().trim(1e-12 * max(map(abs, self.coefficients))).roots()).tolist()
        candidates = [(r, float(law(r))) for r in (low, high, *turns) if low <= r <= high]
        return min(candidates, key=lambda one: one[1]), max(candidates, key=lambda one: one[1])


class Flicker(BaseModel, extra="forbid"):
    """1/f noise: σ = g Q √ln((t + t_read) / (2 t_read)) with Q = min(factor / (g / g_max)^exponent, cap).

    (Nandakumar et al., "Phase-change memory models for deep learning training and inference", ICECS 2019.)
    """

    law: Literal["flicker"]
    factor: Annotated[Amount, Field(description="of Q")]
    exponent: Annotated[Amount, Field(description="of g / g_max in Q")]
    cap: Annotated[Amount, Field(description="largest Q")]
    read_time: Annotated[Time, Field(description="t_read, how long a read takes")]
    age: Annotated[Constant[Time], Field(description="t, the time between programming and reading")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    @model_validator(mode="after")
    def _read_once_programmed(self) -> Self:
        if self.age.value < self.read_time:
            raise ValueError("age must be at least read_time, or the law has no value")
        return self

    def times(self, factor: float) -> Flicker:
        """The same, so many times as large."""
        return self.model_copy(update={"factor": factor * self.factor, "cap": factor * self.cap})

    def deviation(self, g: np.ndarray, g_max: float) -> np.ndarray:
        relative = np.maximum(g / g_max, 1e-7)
        q = np.minimum(self.factor / relative**self.exponent, self.cap)
        return np.asarray(g * q * np.sqrt(log((self.age.value + self.read_time) / (2 * self.read_time))))


class Relative(BaseModel, extra="forbid"):
    """White noise in proportion to the conductance: σ(g) = deviation_of_g × g."""

    law: Literal["relative"]
    deviation_of_g: Annotated[Amount, Field(description="σ / g")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def times(self, factor: float) -> Relative:
        """The same, so many times as large."""
        return self.model_copy(update={"deviation_of_g": factor * self.deviation_of_g})

    def deviation(self, g: np.ndarray, g_max: float) -> np.ndarray:
        return np.asarray(self.deviation_of_g * g)


class Additive(BaseModel, extra="forbid"):
    """White noise of one size, whatever the conductance: σ = deviation_of_g_max × g_max."""

    law: Literal["additive"]
    deviation_of_g_max: Annotated[Amount, Field(description="σ / g_max")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def times(self, factor: float) -> Additive:
        """The same, so many times as large."""
        return self.model_copy(update={"deviation_of_g_max": factor * self.deviation_of_g_max})

    def deviation(self, g: np.ndarray, g_max: float) -> np.ndarray:
        return np.full_like(g, self.deviation_of_g_max * g_max)


class CurrentPulses(BaseModel, extra="forbid"):
    """Writing drives a fixed current: E = pulses × voltage × current × time."""

    law: Literal["current"]
    voltage: Annotated[Constant[Voltage], Field(description="across device and driver")]
    current: Annotated[Constant[Current], Field(description="of a pulse")]
    time: Annotated[Constant[Time], Field(description="of a pulse")]
    pulses: Annotated[Constant[Annotated[float, Field(gt=0)]], Field(description="of one write, on average")]

    @property
    def pulse(self) -> tuple[Constant[Any], ...]:
        """Constants whose product is the energy of a pulse."""
        return self.voltage, self.current, self.time

    @property
    def rounds(self) -> tuple[Constant[Any], ...]:
        """How many pulses a write has, where the energy is that of one of them."""
        return (self.pulses,)

    @property
    def by_conductance(self) -> bool:
        """Whether the energy goes with the conductance that a pulse meets, as well."""
        return False

    @property
    def duration(self) -> float:
        return self.time.value * self.pulses.value

    @property
    def reads(self) -> float:
        """Verifying reads of a write: one behind each pulse."""
        return self.pulses.value


class MeasuredPulses(BaseModel, extra="forbid"):
    """Writing takes what was measured: E = pulses × energy, whatever the conductance.

    For a measured energy of whole writes, `pulses` is 1, and `time` is that of the whole write.
    """

    law: Literal["energy"]
    energy: Annotated[Constant[Energy], Field(description="of a pulse, as measured")]
    time: Annotated[Constant[Time], Field(description="of a pulse")]
    pulses: Annotated[Constant[Annotated[float, Field(gt=0)]], Field(description="of one write, on average")]

    @property
    def pulse(self) -> tuple[Constant[Any], ...]:
        """As for a fixed current."""
        return (self.energy,)

    @property
    def rounds(self) -> tuple[Constant[Any], ...]:
        """As for a fixed current."""
        return (self.pulses,)

    @property
    def by_conductance(self) -> bool:
        """The energy that was measured is that of any conductance."""
        return False

    @property
    def duration(self) -> float:
        return self.time.value * self.pulses.value

    @property
    def reads(self) -> float:
        """Verifying reads of a write: one behind each pulse."""
        return self.pulses.value


class VoltagePulses(BaseModel, extra="forbid"):
    """Writing applies a fixed voltage: E = voltage² × conductance × time, time that of all pulses together."""

    law: Literal["voltage"]
    voltage: Annotated[Constant[Voltage], Field(description="across the device")]
    time: Annotated[Constant[Time], Field(description="of all pulses of a write together")]

    @property
    def pulse(self) -> tuple[Constant[Any], ...]:
        """Constants whose product is the energy of a write, or of a pulse, per conductance."""
        return self.voltage, self.voltage, self.time

    @property
    def rounds(self) -> tuple[Constant[Any], ...]:
        """None: the time is that of all pulses."""
        return ()

    @property
    def by_conductance(self) -> bool:
        """As E = V² g t says."""
        return True

    @property
    def duration(self) -> float:
        return self.time.value

    @property
    def reads(self) -> float:
        """Verifying reads of a write: one behind all pulses."""
        return 1.0


FINER = 1024
"""So many times as many programming steps are as good as no steps."""


def _scaled(name: str) -> Imperfection:
    """The imperfection of a law that gives standard deviations."""
    return Imperfection(
        name, lambda law: law.times(0.0), lambda law: law.times(2.0), "off: 0; doubled: times 2", side_by_side=True
    )


class Programming(BaseModel, extra="forbid"):
    """How a device is brought to a conductance."""

    error: Annotated[
        Polynomial,
        _scaled("programming error"),
        Field(description="σ of the conductance after a write, by r = g / g_max"),
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


class DataSheet(BaseModel, extra="forbid"):
    """A conductance device."""

    name: Annotated[str, Field(description="what it is called in tables")]
    what: Annotated[str, Field(description="one line on the device: material, size, process")]
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that constants name")]
    conductance: Annotated[Conductances, Field(description="the range that the device is used in")]
    programming: Annotated[Programming, Field(description="how it is brought to a conductance")]
    read_noise: Annotated[
        Flicker | Relative | Additive,
        _scaled("read noise"),
        Field(discriminator="law", description="fresh noise of each read"),
    ]
    write: Annotated[
        CurrentPulses | VoltagePulses | MeasuredPulses, Field(discriminator="law", description="what a write costs")
    ]

    @property
    def window(self) -> float:
        """The width of the range of conductance, in siemens."""
        return self.conductance.max.value - self.conductance.min.value

    @model_validator(mode="after")
    def _programmable(self) -> Self:
        step, (low, high) = self.programming.step.value, (self.conductance.min.value, self.conductance.max.value)
        if step > self.window * (1 + _ROUNDING):
            raise PartError(
                ("programming", "step"),
                f"{si(step, 'S')} is wider than the range of conductance, {si(low, 'S')} to {si(high, 'S')}, so that "
                "the device would have one state only",
            )
        (at, least), (_, most) = self.programming.error.extremes(low / high, 1.0)
        if least < -_ROUNDING * abs(most):
            raise PartError(
                ("programming", "error", "coefficients"),
                f"σ is negative at {si(at * high, 'S')}: {si(least, 'S')}; a standard deviation is at least 0 "
                f"everywhere from {si(low, 'S')} to {si(high, 'S')}",
            )
        return self

    def programming_error(self, g: np.ndarray) -> np.ndarray:
        """Standard deviation of the conductance after programming to `g`, both in siemens.

        Args:
            g: within the range of conductance; there it is positive but for rounding.
        """
        relative = np.asarray(g) / self.conductance.max.value
        return np.maximum(np.polynomial.polynomial.polyval(relative, self.programming.error.coefficients), 0.0)

    def read_error(self, g: np.ndarray) -> np.ndarray:
        """Standard deviation of the conductance from one read to the next, both in siemens."""
        return self.read_noise.deviation(np.asarray(g), self.conductance.max.value)
