"""Drift: how the conductance of a device falls with the time since it was programmed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.physics.charge_loss import ChargeLoss
from hwsim.physics.relaxation import Relaxation
from hwsim.physics.scatter import Scatter
from hwsim.quantities import Time

LEAST = 1e-7
"""The least g / g_max that a logarithm is taken of."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Upper(BaseModel, extra="forbid"):
    """The upper part of a law in two parts: from `start` on it is c₀ + c₁ r + c₂ r² + …"""

    start: Annotated[float, Field(gt=0, lt=1, description="g / g_max from which it holds")]
    coefficients: Annotated[list[Finite], Field(min_length=1, description="of 1, r, r², … with r = g / g_max")]


class Logarithmic(BaseModel, extra="forbid", title="Clipped logarithm"):
    """A number that depends on the conductance: clip(slope × ln r + offset, low, high), with r = g / g_max ≥ 10⁻⁷."""

    slope: Annotated[Finite, Field(description="of ln r, with r = g / g_max")]
    offset: Annotated[Finite, Field(description="at r = 1, before it is limited")]
    low: Annotated[Amount, Field(description="what it is at least")]
    high: Annotated[Amount, Field(description="what it is at most")]
    above: Annotated[Upper | None, Field(description="another law from some r on; by default there is none")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    def times(self, factor: float) -> Logarithmic:
        """The same, so many times as large."""
        scaled = {each: factor * getattr(self, each) for each in ("slope", "offset", "low", "high")}
        above = self.above
        if above is not None:
            above = above.model_copy(update={"coefficients": [factor * each for each in above.coefficients]})
        return self.model_copy(update={**scaled, "above": above})

    def at(self, r: np.ndarray) -> np.ndarray:
        """Its value at each g / g_max."""
        below = np.clip(self.slope * np.log(np.maximum(r, LEAST)) + self.offset, self.low, self.high)
        if self.above is None:
            return np.asarray(below)
        return np.where(r < self.above.start, below, np.polynomial.polynomial.polyval(r, self.above.coefficients))


class ByConductance(BaseModel, extra="forbid"):
    """g(t) = g₀ ((t + t₀) / t₀)^−ν, t after programming, with ν = |μ + σ ξ|, where μ and σ depend on r = g₀ / g_max.

    ξ is a standard normal number of each device. Devices of low conductance drift faster, and scatter more.

    (Nandakumar et al., "Phase-change memory models for deep learning training and inference", ICECS 2019; Joshi et al.,
    "Accurate deep neural network inference using computational phase-change memory", Nat. Commun. 11:2473, 2020.)
    """

    law: Literal["by_conductance"]
    mean: Annotated[Logarithmic, Field(description="μ, the mean exponent")]
    deviation: Annotated[Logarithmic, Field(description="σ, the standard deviation of the exponent over devices")]
    start: Annotated[Time, Field(description="t₀, the time after programming at which g₀ is measured")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def moments(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """μ and σ of devices programmed to each g / g_max."""
        return self.mean.at(r), np.maximum(self.deviation.at(r), 0)


class ConstantExponent(BaseModel, extra="forbid"):
    """g(t) = g₀ ((t + t₀) / t₀)^−ν, t after programming, with ν = |μ + σ ξ|, the same μ and σ for all conductances.

    ξ is a standard normal number of each device.

    (Joshi et al., "Accurate deep neural network inference using computational phase-change memory", Nat. Commun.
    11:2473, 2020, the power law.)
    """

    law: Literal["constant"]
    mean: Annotated[Finite, Field(ge=0, description="μ, the mean exponent")]
    deviation: Annotated[Amount, Field(description="σ, the standard deviation of the exponent over devices")]
    start: Annotated[Time, Field(description="t₀, the time after programming at which g₀ is measured")]
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    def moments(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """μ and σ of devices programmed to each g / g_max."""
        return np.full_like(r, self.mean), np.full_like(r, self.deviation)


Drift = Annotated[ByConductance | ConstantExponent | Relaxation | Scatter | ChargeLoss, Field(discriminator="law")]
"""The laws that a data sheet may have."""


def left(law: ByConductance | ConstantExponent, r: np.ndarray, normal: np.ndarray, waited: float) -> np.ndarray:
    """What is left of each device's conductance after a wait, as a share: ((t + t₀) / t₀)^−|μ + σ ξ|.

    Args:
        r: the conductance after programming, over g_max.
        normal: ξ of each device.
        waited: t, in seconds since programming.
    """
    mean, deviation = law.moments(r)
    exponent = np.abs(mean + deviation * normal)
    return np.asarray(((waited + law.start) / law.start) ** -exponent)
