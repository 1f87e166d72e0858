"""Repeated reads of programmed devices: what scatters in such a measurement, and the data sheet that fits it.

Many devices are programmed to each of some targets, and each of them is read several times. The scatter of the devices'
mean reads about their target is the error of programming, and the scatter of the reads of one device is the noise of
reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hwsim.documents import Problem, refuse
from hwsim.documents.table import header, table
from hwsim.quantities import si

DEGREE = 2
"""Of the polynomial for the error of programming; three numbers are as much as ten targets can tell."""
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Endings of columns of conductances, in siemens."""
_INTERVAL = 1.96
"""Standard errors in half of a 95 % interval."""
_FEW = 10
"""Devices at a target that tell a standard deviation to about half of it."""


def read(path: Path) -> pd.DataFrame:
    """A measurement from a CSV table with a row for each read of each device.

    Its columns are `device`, and `target_us` and `read_us` in microsiemens, or with another ending of `UNITS`.

    Returns:
        `device`, `target` and `read`, the last two in siemens; rows have the number of their line as index.

    Raises:
        ConfigError: what is wrong, with its line.
    """
    there = header(path)
    names = {stem: _with_unit(path, there, stem) for stem in ("target", "read")}
    given = table(path, {"device": "str", **{name: "float64" for name, _ in names.values()}})
    if given.empty:
        raise refuse([Problem(str(path), 1, 1, "no reads stand below the names of the columns")])
    scaled = {stem: given[name] * unit for stem, (name, unit) in names.items()}
    measured = pd.DataFrame({"device": given["device"], **scaled})
    for wrong, text in (
        (measured["device"] == "", "device '': which device was read? Leave out lines of none"),
        (measured["target"] < 0, "a target below 0; conductances are 0 or more"),
    ):
        if wrong.any():
            raise refuse([Problem(str(path), int(measured.index[wrong][0]), 1, text)])
    if fault := _fault(measured):
        raise refuse([Problem(str(path), 1, 1, fault)])
    return measured


def _with_unit(path: Path, there: list[str], stem: str) -> tuple[str, float]:
    """The column of a conductance, and its unit in siemens."""
    found = [(name, unit) for ending, unit in UNITS.items() if (name := f"{stem}_{ending}") in there]
    if len(found) == 1:
        return found[0]
    ask = "stands twice, in several units" if found else "is missing"
    text = (
        f"the column {stem}_us {ask}; needed: device, target_us, read_us, where _us is in microsiemens, and _s, _ms "
        f"and _ns may stand for it; there: {', '.join(there)}"
    )
    raise refuse([Problem(str(path), 1, 1, text)])


def _fault(measured: pd.DataFrame) -> str | None:
    """What keeps a measurement from telling anything."""
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
            return f"{where} each device has one read; two or more of a device tell the noise of reading"
        if len(of_device) < 2:
            return f"{where} there is one device; two or more, such as twenty, tell the error of programming"
    return None


def scatter(measured: pd.DataFrame) -> pd.DataFrame:
    """Standard deviations of programming and of reading at each target, with half of their 95 % intervals.

    With the mean read m of a device from n reads, target t, and the variance of reading v pooled over devices,
    programming has σ² = mean((m − t)²) − v mean(1 / n), at least 0. A systematic offset is part of it.

    Args:
        measured: `device`, `target` and `read`, as from `read`.

    Returns:
        A row per target: `target`, `devices`, `reads`, `offset` (the mean of m − t), `programming`, `programming_half`,
        `reading`, `reading_half`; conductances are in siemens.
    """
    of_device = measured.groupby(["target", "device"])["read"].agg(["mean", "var", "count"]).reset_index()
    rows = []
    for target in of_device["target"].unique().tolist():
        devices = of_device[of_device["target"] == target]
        n, free, error = len(devices), float((devices["count"] - 1).sum()), devices["mean"] - target
        variance = float((devices["var"].fillna(0) * (devices["count"] - 1)).sum()) / free
        square = float((error**2).mean())
        programming = max(square - variance * float((1 / devices["count"]).mean()), 0.0) ** 0.5
        rows.append(
            {
                "target": target,
                "devices": n,
                "reads": int(devices["count"].sum()),
                "offset": float(error.mean()),
                "programming": programming,
                # of a variance s² from k values the standard error is s² √(2 / k), and of σ that over 2 σ
                "programming_half": _INTERVAL * square / (2 * n) ** 0.5 / max(programming, square**0.5 / 2, 1e-30),
                "reading": variance**0.5,
                "reading_half": _INTERVAL * (variance / (2 * free)) ** 0.5,
            }
        )
    return pd.DataFrame(rows)


def doubts(found: pd.DataFrame) -> list[str]:
    """What a reader of the fit should know."""
    said = []
    few, most = found[found["devices"] < _FEW], found["programming"].max()
    if len(few):
        least = int(few["devices"].min())
        share = _INTERVAL / (2 * least) ** 0.5
        said.append(
            f"{len(few)} of {len(found)} targets have fewer than {_FEW} devices; from {least} the error of "
            f"programming is known to ± {100 * share:.0f} %"
        )
    beside = found[found["offset"].abs() > found["programming"] / 2]
    if len(beside) and most:
        worst = beside.iloc[int(np.argmax(beside["offset"].abs()))]
        said.append(
            f"devices end beside their target on average, most of all by {si(worst['offset'], 'S')} at "
            f"{si(worst['target'], 'S')}; this offset is counted as scatter, and may be a fault of calibration"
        )
    if len(found) <= DEGREE + 1:
        said.append(f"{len(found)} targets are met exactly by the polynomial; more of them would test it")
    return said


def data_sheet(found: pd.DataFrame, name: str, source: str) -> dict[str, Any]:
    """The data sheet that fits the scatter best; what the measurement does not tell is assumed, and says so.

    Args:
        found: as from `scatter`.
    """
    target, largest = found["target"].to_numpy(), float(found["target"].max())
    degree = min(DEGREE, len(found) - 1)
    coefficients = np.polynomial.polynomial.polyfit(target / largest, found["programming"].to_numpy(), degree)
    guess = "a guess, as this measurement does not tell"
    return {
        "name": name,
        "what": f"fitted to {source}",
        "sources": {"measurement": source},
        "conductance": {
            "min": {"value": _us(target.min(), 4), "source": "measurement, the lowest target"},
            "max": {"value": _us(largest, 4), "source": "measurement, the highest target"},
        },
        "programming": {
            "error": {
                "coefficients": [_us(value, 4) for value in coefficients],
                "source": "measurement, a fit over the targets",
            },
            "step": {
                "value": _us(found["programming"].median() / 2, 2),
                "assumed": "half the usual programming error; finer writes would drown in it",
            },
        },
        "read_noise": _read_noise(target, found["reading"].to_numpy(), largest),
        "write": {
            "law": "voltage",
            "voltage": {"value": "2 V", "assumed": guess},
            "time": {"value": "1 us", "assumed": guess},
        },
    }


def _us(value: float, digits: int) -> str:
    return f"{value * 1e6:.{digits}g} uS"


def _read_noise(target: np.ndarray, reading: np.ndarray, largest: float) -> dict[str, Any]:
    """The law of noise that leaves the smaller squares: in proportion to the conductance, or of one size."""
    slope, size = float(target @ reading / (target @ target)), float(reading.mean())
    if np.sum((reading - slope * target) ** 2) < np.sum((reading - size) ** 2):
        return {"law": "relative", "deviation_of_g": round(slope, 5), "source": "measurement, reads of one device"}
    return {
        "law": "additive",
        "deviation_of_g_max": round(size / largest, 5),
        "source": "measurement, reads of one device",
    }
