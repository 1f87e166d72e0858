"""Program and verify: what scatters where devices are programmed to targets, and read repeatedly.

Many devices are programmed to each of some targets, and each of them is read several times. How far the devices of a
target are from it on average is a bias; the scatter of their mean reads about that average is the error of programming;
the scatter of the reads of one device is the noise of reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from hwsim.documents import Problem, refuse
from hwsim.physics.fits import read_noise
from hwsim.physics.fits.faulty import Faulty
from hwsim.physics.fits.found import FALSE_ALARM, Aside, Fit, Parameter, Z, simplest
from hwsim.quantities import si

DEGREES = 3
"""Highest degree of the polynomial for the error of programming."""
FOLDS = 5
"""Parts of the devices that are held out in turn."""
_FEW = 10
"""Devices at a target that tell a standard deviation to about half of it."""
_JUDGED = 5
"""Devices at a target that tell which of them is an outlier."""
_DEAD = 0.01
"""A dead device reads less than so much of what the others of its target read."""


def fit(path: Path, measured: pd.DataFrame) -> Fit:
    """Bias, error of programming and noise of reading, with the keys of a data sheet that they give.

    Args:
        measured: `device`, `target` and `read`, the last two in siemens.

    Raises:
        ConfigError: the measurement tells nothing: one target, one read of each device, reads in another unit.
    """
    refuse_silent(path, measured)
    every = of_devices(measured)
    aside = outliers(every)
    devices = every[~every.index.isin(aside)].reset_index(drop=True)
    found = scatter(devices)
    noise = read_noise.fit(devices["mean"].to_numpy(), devices["var"].to_numpy(), devices["count"].to_numpy() - 1)
    programming = _programming(devices, noise)
    biased = bias(devices, programming.deviation**2 + noise.variance(devices["mean"].to_numpy()) / devices["count"])
    largest = float(found["target"].max())
    laws = [*programming.said, *noise.said, biased.said]
    lowest = float(found["target"].min())
    faulty = Faulty(len(every), sum(why.startswith("dead") for why in aside.values()))

    def keys(g_max: float) -> dict[str, Any]:
        return {
            "programming": {
                "error": {
                    "coefficients": [_us(each) for each in programming.of_largest(largest, g_max)],
                    "source": "measurement, a fit over the targets, apart from the bias",
                    "valid": [_us(lowest), _us(largest)],
                },
                "step": {
                    "value": _us(float(found["programming"].median()) / 2, 2),
                    "assumed": "half the usual programming error; finer writes would drown in it",
                },
            },
            "read_noise": {**noise.sheet(g_max, lowest), "valid": [_us(lowest), _us(largest)]},
        }

    return Fit(
        "reads",
        path,
        f"{len(every)} devices, {len(found)} targets, {len(measured)} reads",
        laws,
        [*biased.parameters, *programming.parameters, *noise.parameters, *faulty.parameters],
        [
            Aside(str(every.loc[at, "device"]), why, "dead" if why.startswith("dead") else "far")
            for at, why in aside.items()
        ],
        [*_doubts(found), *_left_out(len(aside), len(every)), *biased.remarks],
        {
            "conductance": {
                "min": {"value": _us(lowest), "source": "measurement, the lowest target"},
                "max": {"value": _us(largest), "source": "measurement, the highest target"},
            },
            **keys(largest),
            **faulty.sheet,
        },
        found,
        keys,
        Scatter(devices, programming, noise, biased, largest),
        len(every),
    )


def refuse_silent(path: Path, measured: pd.DataFrame) -> None:
    """Refuse a measurement that tells nothing.

    Raises:
        ConfigError: what keeps it from that.
    """
    if (below := measured["target"] < 0).any():
        text = "a target below 0; conductances are 0 or more"
        raise refuse([Problem(str(path), int(measured.index[below][0]), 1, text)])
    if fault := _fault(measured):
        raise refuse([Problem(str(path), 1, 1, fault)])


def _fault(measured: pd.DataFrame) -> str | None:
    targets = measured["target"].nunique()
    if targets < 2:
        return f"one target only, {si(measured['target'].iloc[0], 'S')}; σ is fitted over several, such as ten"
    above = measured[measured["target"] > 0]
    ratio = float((above["read"] / above["target"]).median())
    if not 0.1 < ratio < 10:
        return f"reads are {ratio:.3g} times their targets (median); are both in the units that their columns name?"
    reads = measured.groupby(["target", "device"]).size().reset_index(name="count")
    for target in reads["target"].unique().tolist():
        where, of_device = f"at the target {si(target, 'S')}", reads["count"][reads["target"] == target]
        if of_device.max() < 2:
            return (
                f"{where} each device has one read, which is too few: programming and reading cannot be told apart; "
                "two or more of a device tell the noise of reading"
            )
        if len(of_device) < 2:
            return f"{where} there is one device; two or more, such as twenty, tell the error of programming"
    return None


def of_devices(measured: pd.DataFrame) -> pd.DataFrame:
    """A row per device and target: `target`, `device`, and `mean`, `var` and `count` of its reads."""
    found = measured.groupby(["target", "device"], sort=False)["read"].agg(["mean", "var", "count"]).reset_index()
    return found.fillna({"var": 0.0}).sort_values("target", kind="stable", ignore_index=True)


def outliers(devices: pd.DataFrame) -> dict[Any, str]:
    """Rows of devices that are no part of the scatter, and why.

    A first rule compares the distance from the median of a target with the median of such distances, smoothed
    over targets. The law of scatter is fitted without those that it names, and then judges all: a device is dead if it
    reads next to nothing, and far off if it is far from the others of its target, where normal scatter has either
    happen to any device in half of `FALSE_ALARM` of files.
    """
    by_target = devices.groupby("target")["mean"]
    centre, mean = by_target.transform("median").to_numpy(), devices["mean"].to_numpy()
    away, count = np.abs(mean - centre), len(devices)
    per_target = pd.Series(away).groupby(devices["target"].to_numpy())
    n, at, middle = per_target.size().to_numpy(), per_target.median().index.to_numpy(), per_target.median().to_numpy()
    raw = middle / stats.norm.ppf(0.75) * n / np.maximum(n - 0.8, 1)
    smooth = np.polynomial.Polynomial.fit(at, raw, min(1, len(at) - 1), w=np.sqrt(n))
    scale = np.maximum(smooth(devices["target"].to_numpy()), float(np.median(raw)) / 4)
    judged = (by_target.transform("size") >= _JUDGED).to_numpy() & bool(scale.max() > 0)
    free = max(0.37 * (count - len(at)), 1.0)  # of a median of distances: its efficiency is 0.37
    nothing = judged & (np.abs(mean) < _DEAD * centre)
    far = judged & (away > float(stats.t.ppf(1 - 0.05 / (2 * count), free)) * scale)
    if not (far | nothing).any():
        return {}
    kept = devices[~far & ~nothing].reset_index(drop=True)
    noise = read_noise.fit(kept["mean"].to_numpy(), kept["var"].to_numpy(), kept["count"].to_numpy() - 1)
    law = np.polynomial.Polynomial(_programming(kept, noise).coefficients)
    centre = devices["target"].map(kept.groupby("target")["mean"].mean()).to_numpy()
    relative = devices["target"].to_numpy() / float(devices["target"].max())
    others = devices["target"].map(kept.groupby("target").size()).to_numpy()
    scale = np.sqrt((law(relative) ** 2 + noise.variance(centre) / devices["count"].to_numpy()) * (1 + 1 / others))
    chance = stats.norm.cdf((_DEAD - 1) * centre / scale) - stats.norm.cdf((-_DEAD - 1) * centre / scale)
    dead = judged & (np.abs(mean) < _DEAD * centre) & (chance < FALSE_ALARM / (2 * count))
    sigmas = np.abs(mean - centre) / scale
    far = judged & (sigmas > float(stats.t.ppf(1 - FALSE_ALARM / (4 * count), max(len(kept) - len(at) - 2, 1))))
    said = {}
    for row in np.flatnonzero(dead | far).tolist():
        g, those, target = (si(float(each), "S") for each in (mean[row], centre[row], devices["target"][row]))
        what = "dead" if dead[row] else f"{sigmas[row]:.1f} σ off"
        said[row] = f"{what}: reads {g} at the target {target}, where others read {those}"
    return said


def scatter(devices: pd.DataFrame) -> pd.DataFrame:
    """Bias, and standard deviations of programming and of reading, at each target, with half of their 95 % intervals.

    With the mean read m of a device from n reads, and the variance of reading v pooled over devices, programming has
    σ² = var(m) − v mean(1 / n), at least 0, about the mean of the target's devices.

    Args:
        devices: as from `of_devices`.

    Returns:
        A row per target: `target`, `devices`, `reads`, `bias` (the mean of m − target), `programming`, `reading`, and
        `bias_half`, `programming_half`, `reading_half`; conductances are in siemens.
    """
    rows = []
    for target in devices["target"].unique().tolist():
        here = devices[devices["target"] == target]
        n, free = len(here), float((here["count"] - 1).sum())
        variance = float((here["var"] * (here["count"] - 1)).sum()) / max(free, 1)
        square = float(here["mean"].var(ddof=1)) if n > 1 else 0.0
        programming = max(square - variance * float((1 / here["count"]).mean()), 0.0) ** 0.5
        rows.append(
            {
                "target": target,
                "devices": n,
                "reads": int(here["count"].sum()),
                "bias": float(here["mean"].mean()) - target,
                "bias_half": Z * (square / n) ** 0.5,
                "programming": programming,
                # of a variance s² from k values the standard error is s² √(2 / k), and of σ that over 2 σ
                "programming_half": Z * square / (2 * max(n - 1, 1)) ** 0.5 / max(programming, square**0.5 / 2, 1e-30),
                "reading": variance**0.5,
                "reading_half": Z * (variance / (2 * max(free, 1))) ** 0.5,
            }
        )
    return pd.DataFrame(rows)


class Programming(NamedTuple):
    """The error of programming.

    Attributes:
        coefficients: in siemens, of powers of target / largest target.
        deviation: of each device, in siemens.
        parameters, said: for the reader.
    """

    coefficients: np.ndarray
    deviation: np.ndarray
    parameters: list[Parameter]
    said: list[str]

    def of_largest(self, largest: float, now: float) -> np.ndarray:
        """The coefficients of powers of target / `now`."""
        return np.asarray(self.coefficients * (now / largest) ** np.arange(self.coefficients.size))


def _programming(devices: pd.DataFrame, noise: read_noise.NoiseFit) -> Programming:
    """The polynomial whose likelihood is largest, with the degree that held-out devices prefer."""
    largest = float(devices["target"].max())
    relative = devices["target"].to_numpy() / largest
    by_target = devices.groupby("target")["mean"]
    n = by_target.transform("size").to_numpy()
    away = (devices["mean"] - by_target.transform("mean")).to_numpy() * np.sqrt(n / np.maximum(n - 1, 1))
    reading = noise.variance(devices["mean"].to_numpy()) / devices["count"].to_numpy()
    told = n > 1
    unit = float(away[told].std())
    if not unit:
        return Programming(np.zeros(1), np.zeros(n.size), [], ["devices do not differ from each other at all"])
    x, y, w = relative[told], away[told] / unit, reading[told] / unit**2
    degrees = range(min(DEGREES, np.unique(x).size - 1) + 1)
    fold = devices[told].groupby("target").cumcount().to_numpy() % FOLDS
    losses = []
    for degree in degrees:
        loss = np.empty(x.size)
        for part in range(FOLDS):
            out = fold == part
            c = _likeliest(x[~out], y[~out], w[~out], degree)
            loss[out] = _losses(c, x[out], y[out], w[out])
        losses.append(loss)
    degree = simplest(losses)
    c = _likeliest(x, y, w, degree)
    powers = np.vander(x, degree + 1, increasing=True)
    sigma = powers @ c
    share = powers * (2 * sigma / (sigma**2 + w))[:, None]
    free = ((n - 1) / n)[told, None]  # the mean of a target is estimated
    half = Z * np.sqrt(np.diag(np.linalg.pinv(0.5 * share.T @ (free * share))))
    names = [f"programming error, {power}" for power in ("constant", "of r", "of r²", "of r³")]
    parameters = [
        Parameter(name, unit * value, unit * (value - wide), unit * (value + wide), "S")
        for name, value, wide in zip(names, c, half, strict=False)
    ]
    chosen = f"programming error: a polynomial of degree {degree} in r = target / {si(largest, 'S')}"
    return Programming(
        unit * c,
        np.maximum(unit * np.polynomial.polynomial.polyval(relative, c), 0),
        parameters,
        [
            f"{chosen}, chosen of degrees 0 to {degrees[-1]} on held-out devices; {_agreement(x, y, w, sigma)}",
        ],
    )


def _agreement(x: np.ndarray, y: np.ndarray, w: np.ndarray, sigma: np.ndarray) -> str:
    """The residual of the law over targets, beside what chance gives."""
    frame = pd.DataFrame({"x": x, "got": y**2, "law": sigma**2 + w}).groupby("x")
    ratio, n = np.sqrt((frame["got"].mean() / frame["law"].mean()).to_numpy()), frame.size().to_numpy()
    rms, chance = np.sqrt(np.mean((ratio - 1) ** 2)), np.sqrt(np.mean(1 / (2 * n)))
    return f"it is off the scatter of a target by {rms:.1%} (rms), where chance gives {chance:.1%}"


def _losses(c: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Minus the logarithm of the likelihood of each device, but for a constant."""
    variance = np.polynomial.polynomial.polyval(x, c) ** 2 + w + 1e-12
    return np.asarray(np.log(variance) + y**2 / variance) / 2


def _likeliest(x: np.ndarray, y: np.ndarray, w: np.ndarray, degree: int) -> np.ndarray:
    """The polynomial of a degree with the largest likelihood that is nowhere negative between the targets."""
    powers = np.vander(x, degree + 1, increasing=True)

    def loss(c: np.ndarray) -> tuple[float, np.ndarray]:
        sigma = powers @ c
        variance = sigma**2 + w + 1e-12
        slope = sigma / variance * (1 - y**2 / variance)
        return float(np.mean(np.log(variance) + y**2 / variance) / 2), powers.T @ slope / x.size

    grid = np.vander(np.linspace(x.min(), 1, 41), degree + 1, increasing=True)
    start = np.zeros(degree + 1)
    start[0] = max(float(np.mean(y**2) - np.mean(w)), 0.01) ** 0.5
    within = {"type": "ineq", "fun": lambda c: grid @ c - 1e-6, "jac": lambda _: grid}
    found = optimize.minimize(loss, start, jac=True, method="SLSQP", constraints=within, options={"ftol": 1e-10})
    return np.asarray(found.x)


class Bias(NamedTuple):
    """How far devices end from their target on average: `coefficients`, an offset in siemens and a share."""

    coefficients: np.ndarray
    parameters: list[Parameter]
    said: str
    remarks: list[str]


class Scatter(NamedTuple):
    """What a figure draws: devices with `target` and `mean`, and the laws; `largest` is the highest target."""

    devices: pd.DataFrame
    programming: Programming
    noise: read_noise.NoiseFit
    bias: Bias
    largest: float


def bias(devices: pd.DataFrame, variance: np.ndarray) -> Bias:
    """How far devices end from their target on average: by nothing, by an offset, by a share of it, or by both.

    Least squares with the variance of each device; the law is the one that held-out devices prefer.
    """
    x, y = devices["target"].to_numpy(), (devices["mean"] - devices["target"]).to_numpy()
    largest, v = float(x.max()), np.asarray(variance) + 1e-30
    both = np.stack([np.ones_like(x), x / largest], axis=1)
    fold = devices.groupby("target").cumcount().to_numpy() % FOLDS
    laws: list[tuple[str, list[int]]] = [("none", []), ("a share of the target", [1]), ("an offset", [0])]
    laws.append(("an offset and a share of the target", [0, 1]))

    def solved(rows: np.ndarray, used: list[int]) -> tuple[np.ndarray, np.ndarray]:
        c, error, weight = np.zeros(2), np.zeros(2), 1 / np.sqrt(v[rows])
        if used:
            design = both[rows][:, used] * weight[:, None]
            c[used] = np.linalg.lstsq(design, y[rows] * weight, rcond=None)[0]
            error[used] = np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
        return c, error

    losses = []
    for _, used in laws:
        loss = np.empty(x.size)
        for part in range(FOLDS):
            out = fold == part
            loss[out] = ((y[out] - both[out] @ solved(~out, used)[0]) ** 2 / v[out]) / 2
        losses.append(loss)
    name, used = laws[simplest(losses)]
    c, error = solved(np.ones(x.size, bool), used)
    c, error = c / [1, largest], error / [1, largest]
    names = [("bias, offset", "S"), ("bias, share of the target", "")]
    parameters = [
        Parameter(names[at][0], c[at], c[at] - Z * error[at], c[at] + Z * error[at], names[at][1]) for at in used
    ]
    remarks = []
    if used:
        terms = [si(c[0], "S")] * (0 in used) + [f"{c[1]:.1%} of the target"] * (1 in used)
        remarks.append(
            f"devices read beside their target by {' and '.join(terms)} on average; a data sheet has no key for a "
            "bias, so it is left out of σ and of the sheet: correct it where devices are programmed, or calibrate reads"
        )
    return Bias(c, parameters, f"bias: {name}, chosen on held-out devices", remarks)


def _left_out(count: int, all_of_them: int) -> list[str]:
    if not count:
        return []
    return [
        f"{count} of {all_of_them} devices are left out of the bias and of every σ; the rule names a sound device in "
        f"{FALSE_ALARM:.0%} of files, if scatter is normal"
    ]


def _doubts(found: pd.DataFrame) -> list[str]:
    """What a reader of the fit should know."""
    said = []
    few = found[found["devices"] < _FEW]
    if len(few):
        least = int(few["devices"].min())
        share = Z / (2 * max(least - 1, 1)) ** 0.5
        said.append(
            f"{len(few)} of {len(found)} targets have fewer than {_FEW} devices; from {least} the error of "
            f"programming is known to ± {100 * share:.0f} %"
        )
    if (found["devices"] < _JUDGED).any():
        said.append(f"outliers are not looked for at targets with fewer than {_JUDGED} devices")
    if len(found) <= DEGREES:
        said.append(f"{len(found)} targets are met exactly by the richest polynomial; more of them would test it")
    return said


def _us(value: float, digits: int = 4) -> str:
    return f"{value * 1e6:.{digits}g} uS"
