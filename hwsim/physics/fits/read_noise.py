"""The noise of reading as a law of conductance: relative, additive, or between the two as flicker noise is."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from hwsim.physics.fits.found import Parameter, Z, simplest

FOLDS = 5
"""Parts of the devices that are held out in turn."""
_AGE, _READ = 1.0, 1e-6
"""Seconds between programming and reading, and of a read, that a sheet with flicker noise is given as a guess."""


class NoiseFit(NamedTuple):
    """σ(g) = size × g^power, in siemens.

    Attributes:
        law: `relative` (power 1), `additive` (power 0) or `flicker`.
        size, power: of the law.
        parameters: with their intervals.
        said: the law in words.
    """

    law: str
    size: float
    power: float
    parameters: list[Parameter]
    said: list[str]

    def variance(self, g: np.ndarray) -> np.ndarray:
        """The variance of a read, in S²."""
        return np.asarray((self.size * _positive(g) ** self.power) ** 2)

    def sheet(self, largest: float, lowest: float) -> dict[str, Any]:
        """The key `read_noise` of a data sheet, for a range of conductance."""
        source = "measurement, reads of one device"
        if self.law == "relative":
            return {"law": "relative", "deviation_of_g": round(self.size, 5), "source": source}
        if self.law == "additive":
            return {"law": "additive", "deviation_of_g_max": round(self.size / largest, 5), "source": source}
        exponent, root = 1 - self.power, sqrt(log((_AGE + _READ) / (2 * _READ)))
        factor = self.size * largest**-exponent / root
        return {
            "law": "flicker",
            "factor": float(f"{factor:.4g}"),
            "exponent": round(exponent, 4),
            "cap": float(f"{factor * (largest / max(lowest, largest / 1000)) ** exponent:.4g}"),
            "read_time": f"{_READ * 1e6:g} us",
            "age": {"value": f"{_AGE:g} s", "assumed": "a guess, as read_time is: the factor makes up for both"},
            "source": f"{source}; the cap is Q at the lowest target, below which nothing was measured",
        }


def fit(g: np.ndarray, variance: np.ndarray, free: np.ndarray) -> NoiseFit:
    """The law that held-out devices prefer: relative or additive, or a power of g where neither is as good.

    The variance of the reads of a device is taken for that of normal reads, with its degrees of freedom.

    Args:
        g: the mean read of each device, in siemens.
        variance: of its reads.
        free: degrees of freedom, its reads but one.
    """
    told = free > 0
    g, variance, free = _positive(g[told]), np.maximum(variance[told], 1e-60), free[told].astype(float)
    fold = np.arange(g.size) % min(FOLDS, g.size)
    trials = [(1.0, 1.0), (0.0, 0.0), (-1.0, 1.0)]  # between which powers
    losses = []
    for bounds in trials:
        loss = np.empty(g.size)
        for part in np.unique(fold):
            out = fold == part
            size, power = _likeliest(g[~out], variance[~out], free[~out], bounds)
            loss[out] = _losses(size, power, g[out], variance[out], free[out])
        losses.append(loss)
    order = [0, 1] if losses[0].mean() <= losses[1].mean() else [1, 0]
    at = [order[0], 2][simplest([losses[order[0]], losses[2]])]
    size, power = _likeliest(g, variance, free, trials[at])
    logs = 2 * np.log(g)
    information = np.array([[free.sum(), free @ logs], [free @ logs, free @ logs**2]]) / 2
    error = np.sqrt(np.diag(np.linalg.pinv(information)))
    law = ("relative", "additive", "flicker")[at]
    if at == 2:
        middle = exp(float(free @ np.log(g)) / free.sum())
        there, half = size * middle ** (power - 1), Z / sqrt(2 * free.sum())
        parameters = [
            Parameter(
                "read noise, exponent of g / g_max in Q", 1 - power, 1 - power - Z * error[1], 1 - power + Z * error[1]
            ),
            Parameter(
                f"read noise at {middle * 1e6:.3g} µS, share of g", there, there * (1 - half), there * (1 + half)
            ),
        ]
    else:
        half = Z / sqrt(2 * free.sum())
        name, unit = ("read noise, share of g", "") if at == 0 else ("read noise", "S")
        parameters = [Parameter(name, size, size * (1 - half), size * (1 + half), unit)]
    ratio = sqrt(float(np.mean((variance / (size * g**power) ** 2 - 1) ** 2 * free / 2)))
    said = (
        f"read noise: {law}, chosen of relative, additive and flicker on held-out devices; the variances of devices "
        f"scatter {ratio:.2f} times as much about it as chance has them do"
    )
    return NoiseFit(law, size, power, parameters, [said])


def _positive(g: np.ndarray) -> np.ndarray:
    """Conductances, of which a power may be taken."""
    return np.maximum(g, 1e-4 * float(np.max(g)))


def _losses(size: float, power: float, g: np.ndarray, variance: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Minus the logarithm of the likelihood of the variance of each device, but for a constant."""
    law = (size * g**power) ** 2
    return np.asarray(free * (np.log(law) + variance / law) / 2)


def _likeliest(
    g: np.ndarray, variance: np.ndarray, free: np.ndarray, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Size and power with the largest likelihood."""

    def size(power: float) -> float:
        return sqrt(float(free @ (variance / g ** (2 * power))) / float(free.sum()))

    low, high = bounds
    if low == high:
        return size(low), low
    found = optimize.minimize_scalar(
        lambda power: float(_losses(size(power), power, g, variance, free).sum()), bounds=bounds, method="bounded"
    )
    return size(float(found.x)), float(found.x)
