"""Colour of read noise: how long a device remembers what its conductance was at the read before."""

from __future__ import annotations

from math import ceil, log10
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.documents import PartError
from hwsim.quantities import Constant, Time

_MOST = 64
"""Signals of a device, at most: each is a number in memory, and a normal number per device and step."""
_FUZZ = 1e-9
"""A decade by rounding is a decade."""


class Colour(BaseModel, extra="forbid"):
    """δg = σ(g) (√share Σₖ zₖ / √K + √(1 - share) ξ), where σ(g) is that of `read_noise`, and ξ is fresh in each read.

    Each device has K signals zₖ of its own, of mean 0 and variance 1, with ⟨zₖ(0) zₖ(t)⟩ = exp(-|t| / τₖ). They are
    `gaussian` (Ornstein and Uhlenbeck's process), or `telegraph`: zₖ is 1 or -1, and flips at the rate 1 / (2 τₖ).
    K = 1 + ⌈per_decade log₁₀(slow / fast)⌉, and τₖ are equally spaced on a logarithmic scale from `fast` to `slow`,
    the same in all devices. So the variance of δg is σ², whatever its colour.

    The one-sided spectrum of Σₖ zₖ / √K is the mean of the Lorentzians 4 τₖ / (1 + (2π f τₖ)²). With many signals it is
    near 1 / (f ln(slow / fast)) from f = 1 / (2π slow) to 1 / (2π fast), is flat below, and falls with 1/f² above.
    Equal `slow` and `fast` give one signal: random telegraph noise of one time constant.

    (Dutta and Horn, "Low-frequency fluctuations in solids: 1/f noise", Rev. Mod. Phys. 53:497, 1981, on sums of
    Lorentzians; Gillespie, "Exact numerical simulation of the Ornstein-Uhlenbeck process and its integral", Phys. Rev.
    E 54:2084, 1996, on the step in time; Machlup, J. Appl. Phys. 25:341, 1954, on the telegraph.)
    """

    slow: Annotated[Constant[Time], Field(description="the longest τ; below 1 / (2π τ) the spectrum is flat")]
    fast: Annotated[
        Constant[Time], Field(description="the shortest τ, at most `slow`; equal to it, there is one signal")
    ]
    per_decade: Annotated[int, Field(ge=1, le=10, description="signals per decade of τ")] = 1
    share: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="of the variance, that has memory; the rest is white")
    ] = 1.0
    signals: Annotated[
        Literal["gaussian", "telegraph"], Field(description="whether a signal has a normal value, or one of two")
    ] = "gaussian"

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.fast.value > self.slow.value:
            raise PartError(("fast",), "it is at most `slow`")
        if self.count > _MOST:
            raise PartError(
                ("per_decade",),
                f"{self.count} signals of each device; at most {_MOST}: take fewer, or a shorter range of τ",
            )
        return self

    @property
    def count(self) -> int:
        """K, the signals of each device."""
        return 1 + ceil(self.per_decade * log10(self.slow.value / self.fast.value) - _FUZZ)

    @property
    def times(self) -> np.ndarray:
        """τ of each signal, in seconds, `(K,)`, the shortest first."""
        return np.geomspace(self.fast.value, self.slow.value, self.count)

    def start(self, normal: np.ndarray) -> np.ndarray:
        """Signals that have been there for ever, from as many standard normal numbers."""
        return np.asarray(np.where(normal < 0, -1.0, 1.0) if self.signals == "telegraph" else normal)
