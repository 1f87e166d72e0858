"""Read noise: how much the conductance of a device changes from one read to the next."""

from __future__ import annotations

from math import log
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from hwsim.physics import drift
from hwsim.physics.law import Assumed, Law, Measured, Source
from hwsim.physics.saturating import Saturating
from hwsim.physics.thermal import Thermal
from hwsim.quantities import ConductanceSpread, Constant, Time

_TOO_EARLY = "age must be at least read_time, or the law has no value"

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Flicker(Law):
    """1/f noise: σ = g Q √ln((t + t_read) / (2 t_read)) with Q = min(factor / (g₀ / g_max)^exponent, cap).

    g is the conductance now, and g₀ what it was after programming.

    (Nandakumar et al., "Phase-change memory models for deep learning training and inference", ICECS 2019.)
    """

    law: Literal["flicker"]
    factor: Annotated[Amount, Field(description="of Q")]
    exponent: Annotated[Amount, Field(description="of g / g_max in Q")]
    cap: Annotated[Amount, Field(description="largest Q")]
    read_time: Annotated[Time, Field(description="t_read, how long a read takes")]
    age: Annotated[Constant[Time], Field(description="t, the time between programming and reading")]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    @model_validator(mode="after")
    def _read_once_programmed(self) -> Self:
        if self.age.value < self.read_time:
            raise ValueError(_TOO_EARLY)
        return self

    def times(self, factor: float) -> Flicker:
        """The same, so many times as large."""
        return self.model_copy(update={"factor": factor * self.factor, "cap": factor * self.cap})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of conductances `g`, in siemens, a while after they were `programmed`: t is `age` and what was waited."""
        relative = np.maximum((g if programmed is None else programmed) / g_max, 1e-7)
        q = np.minimum(self.factor / relative**self.exponent, self.cap)
        ratio = (self.age.value + waited + self.read_time) / (2 * self.read_time)
        return np.asarray(g * q * np.sqrt(np.log(ratio) if isinstance(ratio, np.ndarray) else log(ratio)))


class FlickerByConductance(Law):
    """1/f noise: σ = g Q √ln((t + t_read) / (2 t_read)), where Q depends on g₀ / g_max as `amount` says.

    g is the conductance now, and g₀ what it was after programming.

    (Nandakumar et al., ICECS 2019, the form; Le Gallo et al., Nat. Electron. 6:680, 2023, and Vasilopoulos et al., IEEE
    TED, 2023, the devices, as fitted in aihwkit.)
    """

    law: Literal["flicker_by_conductance"]
    amount: Annotated[drift.Logarithmic, Field(description="Q, by g₀ / g_max")]
    read_time: Annotated[Time, Field(description="t_read, how long a read takes")]
    age: Annotated[Constant[Time], Field(description="t, the time between programming and reading")]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    @model_validator(mode="after")
    def _read_once_programmed(self) -> Self:
        if self.age.value < self.read_time:
            raise ValueError(_TOO_EARLY)
        return self

    def times(self, factor: float) -> FlickerByConductance:
        """The same, so many times as large."""
        return self.model_copy(update={"amount": self.amount.times(factor)})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of conductances `g`, in siemens, a while after they were `programmed`: t is `age` and what was waited."""
        q = np.maximum(self.amount.at(np.asarray((g if programmed is None else programmed) / g_max)), 0.0)
        ratio = (self.age.value + waited + self.read_time) / (2 * self.read_time)
        return np.asarray(g * q * np.sqrt(np.log(ratio)))


class Relative(Law):
    """White noise in proportion to the conductance: σ(g) = deviation_of_g × g."""

    law: Literal["relative"]
    deviation_of_g: Annotated[Amount, Field(description="σ / g")]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    def times(self, factor: float) -> Relative:
        """The same, so many times as large."""
        return self.model_copy(update={"deviation_of_g": factor * self.deviation_of_g})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of conductances `g`, in siemens; their age makes no difference."""
        return np.asarray(self.deviation_of_g * g)


class Additive(Law):
    """White noise of one size, whatever the conductance: σ = deviation_of_g_max × g_max."""

    law: Literal["additive"]
    deviation_of_g_max: Annotated[Amount, Field(description="σ / g_max")]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    def times(self, factor: float) -> Additive:
        """The same, so many times as large."""
        return self.model_copy(update={"deviation_of_g_max": factor * self.deviation_of_g_max})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of conductances `g`, in siemens; their age makes no difference."""
        return np.full_like(g, self.deviation_of_g_max * g_max)


class Logarithmic(Law):
    """1/f noise that grows with the logarithm of the conductance: σ = K log₁₀(g / 1 µS) √ln((t + t_read) / (2 t_read)).

    At 1 µS and below there is none.

    (Lombardo et al., DRC 2024, doi:10.1109/DRC61706.2024.10643760, as fitted in aihwkit, for CMO/HfOx cells.)
    """

    law: Literal["logarithmic"]
    slope: Annotated[ConductanceSpread, Field(description="K, per decade of conductance")]
    read_time: Annotated[Time, Field(description="t_read, how long a read takes")]
    age: Annotated[Constant[Time], Field(description="t, the time between programming and reading")]
    source: Source = None
    assumed: Assumed = None
    valid: Measured = None

    @model_validator(mode="after")
    def _read_once_programmed(self) -> Self:
        if self.age.value < self.read_time:
            raise ValueError(_TOO_EARLY)
        return self

    def times(self, factor: float) -> Logarithmic:
        """The same, so many times as large."""
        return self.model_copy(update={"slope": factor * self.slope})

    def deviation(
        self, g: np.ndarray, g_max: float, programmed: np.ndarray | None = None, waited: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """σ of conductances `g`, in siemens, a while after they were programmed: t is `age` and what was waited."""
        decades = np.log10(np.maximum(g, _MICRO) / _MICRO)
        ratio = (self.age.value + waited + self.read_time) / (2 * self.read_time)
        return np.asarray(self.slope * decades * np.sqrt(np.log(ratio)))


_MICRO = 1e-6
"""A microsiemens: the conductance that the fit of `Logarithmic` is relative to."""


ReadNoise = Annotated[
    Flicker | FlickerByConductance | Relative | Additive | Saturating | Logarithmic | Thermal,
    Field(discriminator="law"),
]
"""The laws that a data sheet may have."""
