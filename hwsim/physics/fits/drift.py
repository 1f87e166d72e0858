"""Drift: how the conductance of each device falls with time, and how much devices differ in it.

ln g = ln g₀ − ν ln(t / t₀) is fitted to each device by least squares. The errors of these fits are taken out of the
spread of ν over devices, and what is left beside the lines is the noise of reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from hwsim.documents import Problem, refuse
from hwsim.physics.fits.found import Aside, Fit, Parameter, Z
from hwsim.physics.fits.population import FEW, far, population
from hwsim.quantities import si

_TIMES = 3
"""Times at which a device is read, at least, so that something is left to tell its noise."""
_CURVED = 4.0
"""Standard errors from which lines are said to be bent."""
_DEAD = 0.01
"""A device reads nothing if its median is less than so much of that of all."""


class Lines(NamedTuple):
    """A line through each device, in logarithms."""

    devices: list[str]
    level: np.ndarray  # ln g₀
    exponent: np.ndarray  # ν
    spread_of_times: np.ndarray  # Σ (x − mean x)²
    residual: pd.Series  # of each read
    noise: float  # standard deviation of a read about the line
    free: int


class Drifting(NamedTuple):
    """What a figure draws: the reads, the line of each device, and mean and spread of ν from `start` on."""

    kept: pd.DataFrame
    lines: Lines
    start: float
    mean: float
    spread: float


def fit(path: Path, measured: pd.DataFrame) -> Fit:
    """Mean and spread of ν over devices, and the noise of a read.

    Args:
        measured: `device`, `time` in seconds and `conductance` in siemens.

    Raises:
        ConfigError: the measurement tells nothing: times of 0, too few of them, or fewer than two devices.
    """
    if (wrong := measured["time"] <= 0).any():
        text = "a time of 0 or less; times count from the end of programming"
        raise refuse([Problem(str(path), int(measured.index[wrong][0]), 1, text)])
    aside = _silent(measured)
    kept = measured[~measured["device"].isin([each.device for each in aside])]
    start = float(kept["time"].min()) if len(kept) else 0.0
    lines = _lines(kept, start) if len(kept) else None
    if lines is None or len(lines.devices) < 2:
        text = f"ν needs two devices or more, such as forty, each read at {_TIMES} times or more, and more than 0"
        raise refuse([Problem(str(path), 1, 1, text)])
    strange = _strange(lines)
    if strange:
        aside += strange
        kept = kept[~kept["device"].isin([each.device for each in strange])]
        lines = _lines(kept, start)
    variances = lines.noise**2 / lines.spread_of_times
    mean, spread = population(lines.exponent, variances)
    noise = [(lines.free / float(stats.chi2.ppf(share, lines.free))) ** 0.5 * lines.noise for share in (0.975, 0.025)]
    slope, half = _over_conductance(lines)
    bend, error = _bend(kept, lines, start)
    devices = len(lines.devices)
    remarks = [f"ν depends on the conductance: by {slope:.3g} ± {half:.2g} per ln g; the sheet has its mean"] * (
        abs(slope) > half * _CURVED / Z
    ) + ["lines are bent in logarithms, so that a power law is not all: beyond the times measured, mistrust it"] * (
        abs(bend) > _CURVED * error
    )
    if devices < FEW:
        remarks.append(f"{devices} devices tell the spread of ν to ± {100 * Z / (2 * (devices - 1)) ** 0.5:.0f} %")
    if aside:
        remarks.append(f"{len(aside)} of {devices + len(aside)} devices are left out of ν and of the noise")
    return Fit(
        "drift",
        path,
        f"{devices + len(aside)} devices, {len(measured)} reads, {si(start, 's')} to {si(measured['time'].max(), 's')}",
        [
            f"drift: g = g₀ (t / {si(start, 's')})^−ν; residual {lines.noise:.2%} of a read; "
            f"ν changes by {slope:.2g} ± {half:.2g} per ln g₀, and along ln t by {2 * bend:.2g} ± {2 * Z * error:.2g}"
        ],
        [
            Parameter("drift, mean of ν", *mean),
            Parameter("drift, spread of ν over devices", *spread),
            Parameter("noise of a read, share of g", lines.noise, *noise),
        ],
        aside,
        remarks,
        {"drift": _sheet(mean[0], spread[0], start)},
        data=Drifting(kept, lines, start, mean[0], spread[0]),
    )


def _sheet(mean: float, spread: float, start: float) -> dict[str, Any]:
    """The key of a data sheet, whose clock starts where the first read is.

    There a wait t leaves ((t + t₀) / t₀)^−ν. With t₀ the time of the first read after programming, and t counted from
    it, t + t₀ is the time since programming, as in the fit.
    """
    return {
        "law": "constant",
        "mean": round(max(mean, 0.0), 5),
        "deviation": round(spread, 5),
        "start": f"{start:g} s",
        "source": f"measurement, a power law of each device; a wait begins at the first read, {si(start, 's')} after "
        "programming",
    }


def _silent(measured: pd.DataFrame) -> list[Aside]:
    """Devices that read nothing, or have too few times."""
    found = []
    by_device = measured.groupby("device", sort=False)
    median, times = by_device["conductance"].median(), by_device["time"].nunique()
    least, usual = by_device["conductance"].min(), float(median.median())
    for device in median.index.tolist():
        if median[device] < _DEAD * usual or least[device] <= 0:
            here, others = si(float(median[device]), "S"), si(usual, "S")
            found.append(Aside(device, f"dead: reads {here}, where others read {others}"))
        elif times[device] < _TIMES:
            found.append(Aside(device, f"read at {times[device]} times; {_TIMES} or more tell ν and its noise"))
    return found


def _lines(kept: pd.DataFrame, start: float) -> Lines:
    """The line of each device, by least squares."""
    x, y = np.log(kept["time"] / start), np.log(kept["conductance"])
    by = kept["device"]
    dx, dy = x - x.groupby(by).transform("mean"), y - y.groupby(by).transform("mean")
    squares = (dx**2).groupby(by, sort=False).sum()
    exponent = -(dx * dy).groupby(by, sort=False).sum() / squares
    residual = dy + by.map(exponent) * dx
    free = len(kept) - 2 * len(squares)
    level = y.groupby(by, sort=False).mean() + exponent * x.groupby(by, sort=False).mean()
    noise = float(((residual**2).sum() / max(free, 1)) ** 0.5)
    return Lines(
        squares.index.tolist(), level.to_numpy(), exponent.to_numpy(), squares.to_numpy(), residual, noise, free
    )


def _strange(lines: Lines) -> list[Aside]:
    """Devices whose ν is far from that of others."""
    found = far(lines.exponent)
    return [
        Aside(device, f"ν = {nu:.3g}, where others have {found.middle:.3g} ± {found.scale:.2g}")
        for device, nu, away in zip(lines.devices, lines.exponent, found.found, strict=True)
        if away
    ]


def _over_conductance(lines: Lines) -> tuple[float, float]:
    """How ν changes per ln g₀, and half of its 95 % interval."""
    if len(lines.devices) < 3 or not np.ptp(lines.level):
        return 0.0, 0.0
    found = stats.linregress(lines.level, lines.exponent)
    return float(found.slope), float(stats.t.ppf(0.975, len(lines.devices) - 2) * found.stderr)


def _bend(kept: pd.DataFrame, lines: Lines, start: float) -> tuple[float, float]:
    """The mean coefficient of (ln t / t₀)² beside the lines, and its standard error."""
    x, by = np.log(kept["time"] / start), kept["device"]
    centred = x - x.groupby(by).transform("mean")
    square = centred**2 - (centred**2).groupby(by).transform("mean")
    slope = (square * centred).groupby(by).sum() / (centred**2).groupby(by).sum()
    square = square - by.map(slope) * centred
    weight = float((square**2).sum())
    if weight <= 0:
        return 0.0, 0.0
    return float((square * lines.residual).sum()) / weight, lines.noise / weight**0.5
