"""A bank of analog circuits, one for each wire: frozen gain errors and fresh noise."""

from __future__ import annotations

import numpy as np

from hwsim import streams
from hwsim.circuits.noise import Moment, Source, perturb
from hwsim.kernels import compiled


class Bank:
    """What leaves an analog circuit is off by a gain that is frozen, and by noise that is fresh at each use.

    Attributes:
        gains: frozen gain of each instance on each chip, `(chips, *instances)`; its stream has the name of the bank.
        source: streams of fresh noise.

    Args:
        mismatch: standard deviation of the frozen gains.
        gain_noise: standard deviation of the gain from use to use.
        noise: standard deviation of what is added, as a share of full scale.
        apply: whether the frozen gains are applied to the outputs; otherwise they are inside what makes them.
    """

    def __init__(
        self,
        seed: int,
        name: str,
        chips: int,
        instances: tuple[int, ...],
        mismatch: float,
        gain_noise: float,
        noise: float,
        apply: bool = True,
    ) -> None:
        draws = [
            streams.generator(seed, f"chip {chip}", name, "frozen").standard_normal(instances) for chip in range(chips)
        ]
        self.gains = (1 + mismatch * np.array(draws)).astype(np.float32)
        self.name, self.source = name, Source(seed, name, chips)
        self._gain = self.gains if apply and mismatch else np.empty((0, 0), np.float32)
        self._gain_noise, self._noise = gain_noise, noise

    def spoil(self, values: np.ndarray, full_scale: float, moment: Moment) -> int:
        """Make outputs `(chips, vectors, n)` imperfect, in place; returns how many of them saturate at full scale."""
        additive = self._noise * full_scale
        return perturb(values, self._gain, additive, self._gain_noise, full_scale, self.source.keys, moment)


@compiled
def pairs(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A 2 by 2 matrix for each mode: m `(chips, 4, N)` row by row, x `(chips, vectors, 2N)`."""
    chips, vectors, n = x.shape
    if m.shape != (chips, 4, n // 2) or n % 2:
        raise ValueError("coefficients do not match the signal")
    out = np.empty_like(x)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n // 2):
                y, z = x[c, v, 2 * i], x[c, v, 2 * i + 1]
                out[c, v, 2 * i] = m[c, 0, i] * y + m[c, 1, i] * z
                out[c, v, 2 * i + 1] = m[c, 2, i] * y + m[c, 3, i] * z
    return out
