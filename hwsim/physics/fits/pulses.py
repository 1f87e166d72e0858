"""Pulse response: how devices answer to pulses up and down, how they differ in it, and what is noise.

Each device has a law with numbers of its own, such as those of soft bounds,

    Δg = u (g_max − g) up,  Δg = −d (g − g_min) down,

and a pulse has an error of its own, which stays; a read has one that does not. All of it is fitted at once, by the
likelihood of `hwsim.physics.fits.pulse_filter`. The law is the one that held-out cycles prefer.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hwsim.physics.fits import pulse_sheet
from hwsim.physics.fits.faulty import of_pulses
from hwsim.physics.fits.found import FALSE_ALARM, Aside, Fit, Parameter, Z
from hwsim.physics.fits.population import FEW, far
from hwsim.physics.fits.pulse_filter import LAWS, Series
from hwsim.physics.fits.pulse_laws import Law, chosen, finished, followed
from hwsim.physics.fits.pulse_series import Rows, rows_of
from hwsim.quantities import si

_FORMULAS = {
    "constant": "Δg = s⁺ up, −s⁻ down, from g_min to g_max",
    "soft_bounds": "Δg = u (g_max − g) up, −d (g − g_min) down",
    "linear": "Δg = s (1 − b (g − middle)), with s and b up and down, from g_min to g_max",
    "power": "Δg = s⁺ ((g_max − g) / (g_max − g_min))^γ⁺ up, −s⁻ ((g − g_min) / (g_max − g_min))^γ⁻ down",
    "exponential": "Δg = s (1 − e^(−κ y)) / (1 − e^(−κ)), y the share of the range that is left, up and down",
}
_SHAPE = {"power": ("exponent γ⁺", "exponent γ⁻"), "exponential": ("rate κ⁺", "rate κ⁻")}


class Response(NamedTuple):
    """What a figure draws: the reads and what was fitted, in `rows.unit`."""

    rows: Rows
    law: Law


def fit(path: Path, measured: pd.DataFrame) -> Fit:
    """The law of pulses, its spread over devices, and noise of pulses and of reads apart.

    Args:
        measured: `device`, `polarity`, `conductance` in siemens, and perhaps `cycle` and `pulse`.

    Raises:
        ConfigError: the measurement tells nothing: one direction only, one device, few reads.
    """
    rows = rows_of(path, measured)
    law = chosen(rows.series)
    aside = list(rows.aside)
    strange = _strange(rows, law)
    if strange:
        aside += strange
        kept = [at for at, name in enumerate(rows.devices) if name not in {each.device for each in strange}]
        rows = _only(rows, kept)
        law = finished(rows.series, law.kind, law.found._replace(own=law.found.own[kept]))
    devices = len(rows.devices)
    all_of_them = devices + len(aside)
    counted = f"{all_of_them} devices, {len(measured)} reads"
    if rows.cycles > 1:
        counted += f", up to {rows.cycles} cycles of a device"
    faulty = of_pulses(aside, all_of_them, *pulse_sheet.range_of(law, rows.unit))
    return Fit(
        "pulses",
        path,
        counted,
        _laws(rows, law),
        [*_of_devices(law, rows.unit), *_of_all(law, rows.unit), *faulty.parameters],
        aside,
        _remarks(rows, law, len(aside)),
        pulse_sheet.keys(law, rows.unit, faulty),
        data=Response(rows, law),
        devices=faulty.of,
    )


def _of_devices(law: Law, unit: float) -> list[Parameter]:
    """Median over devices and spread of each number that a device has."""
    found = []
    names = _names(law.kind.law)
    for at, (name, symbol, scale) in enumerate(names):
        (mean, spread), of_logs = law.over_devices[at]
        factor = unit if scale else 1.0
        if of_logs:
            middle = (float(np.exp(each)) for each in mean)
            found.append(_parameter(f"{name}, median", middle, factor, "S" if scale else ""))
            found.append(_parameter(f"spread of {symbol}, of its logarithm", spread))
        else:
            factor, side = (factor, "S") if at < 4 else (1 / unit, "1/S")
            found.append(_parameter(f"{name}, mean", mean, factor, side))
            found.append(_parameter(f"spread of {symbol}", spread, factor, side))
    return found


def _parameter(name: str, ends: Iterable[float], factor: float = 1.0, unit: str = "") -> Parameter:
    value, low, high = (each * factor for each in ends)
    return Parameter(name, value, low, high, unit)


def _names(law: str) -> list[tuple[str, str, bool]]:
    """Name, symbol, and whether it is a conductance, of each number of a device."""
    if law == "soft_bounds":
        first = [("u, share of the way to g_max", "u", False), ("d, share of the way to g_min", "d", False)]
    else:
        first = [("s⁺, a pulse up", "s⁺", True), ("s⁻, a pulse down", "s⁻", True)]
    bends = [("b⁺, bend up", "b⁺", False), ("b⁻, bend down", "b⁻", False)] if law == "linear" else []
    return [*first, ("g_min", "g_min", True), ("g_max", "g_max", True), *bends]


def _of_all(law: Law, unit: float) -> list[Parameter]:
    """What all devices share: both noises, and the shape of a law that has one."""
    kind, errors = law.kind, np.sqrt(np.diag(law.found.shared_errors))
    pulse = "noise of a pulse, share of a pulse half way" if kind.of_step else "noise of a pulse, share of the change"
    read = ("noise of a read", "S") if kind.additive else ("noise of a read, share of g", "")
    named = [(pulse, ""), read, *((name, "") for name in _SHAPE.get(kind.law, ()))]
    found = []
    for (name, of), value, error in zip(named, law.found.shared, errors, strict=True):
        factor = unit if of else 1.0
        ends = (float(np.exp(value + side * Z * error)) for side in (0, -1, 1))
        found.append(_parameter(name, ends, factor, of))
    return found


def _laws(rows: Rows, law: Law) -> list[str]:
    """The law, how it was chosen, and how well it foretells."""
    kind = law.kind
    how = "held-out cycles" if rows.cycles > 1 else "Schwarz's criterion, as one cycle leaves none to hold out"
    scaled = np.concatenate([_scaled(rows.series, law, device) for device in range(len(rows.devices))])
    goes = "of one size along the way" if kind.of_step else "in proportion to the change"
    reads = "of one size" if kind.additive else "in proportion to g"
    return [
        f"pulses: {kind.law}, {_FORMULAS[kind.law]}; chosen of {', '.join(LAWS)} on {how}",
        f"noise of pulses goes {goes}, noise of reads {reads}: the likelier of both; residuals of what is foretold are "
        f"{float(np.sqrt(np.mean(scaled**2))):.3f} of their σ (rms), and {float(np.mean(np.abs(scaled) > Z)):.1%} are "
        "beyond 1.96 σ, where normal ones are 5 %",
    ]


def _scaled(series: Series, law: Law, device: int) -> np.ndarray:
    """Errors of prediction in their standard deviations."""
    error, variance, _ = followed(series, law, device)
    told = variance > 0
    return np.asarray(error[told] / np.sqrt(variance[told]))


def _strange(rows: Rows, law: Law) -> list[Aside]:
    """Devices with a number far from those of the others."""
    found: dict[str, str] = {}
    own = law.found.own
    for at, (_name, symbol, scale) in enumerate(_names(law.kind.law)[:4]):
        estimates = own[:, at]
        if at > 1:
            if (estimates <= 0).any():
                continue
            estimates = np.log(estimates)
        met = np.flatnonzero(law.met[:, at - 2]) if at > 1 and law.told[at - 2] else np.arange(len(own))
        away = far(estimates[met], parameters=4)
        for device in met[away.found].tolist():
            here, others = (
                si(float(np.exp(each)) * rows.unit, "S") if scale else f"{np.exp(each):.3g}"
                for each in (estimates[device], away.middle)
            )
            found.setdefault(rows.devices[device], f"{symbol} = {here}, where the median device has {others}")
    return [Aside(device, why) for device, why in found.items()]


def _only(rows: Rows, kept: list[int]) -> Rows:
    """The rows of some devices."""
    series = rows.series
    parts = [series.parts[at] for at in kept]
    read, pulses, fresh, cycle = (
        np.concatenate([each[part] for part in parts])
        for each in (series.read, series.pulses, series.fresh, series.cycle)
    )
    ends = np.cumsum([0, *(part.stop - part.start for part in parts)])
    return rows._replace(devices=[rows.devices[at] for at in kept], series=Series(read, pulses, fresh, ends, cycle))


def _remarks(rows: Rows, law: Law, aside: int) -> list[str]:
    devices = len(rows.devices)
    said = []
    if devices < FEW:
        said.append(f"{devices} devices tell spreads over devices to ± {100 * Z / (2 * (devices - 1)) ** 0.5:.0f} %")
    if rows.cycles < 2:
        said.append("one cycle of each device: nothing tells how a law foretells the next one")
    low, high = law.found.own[:, 2], law.found.own[:, 3]
    ends = rows.series.ends
    reached = np.array([np.ptp(rows.series.read[a:b]) for a, b in pairwise(ends)])
    beyond = int((reached < 0.5 * (high - low)).sum())
    if law.kind.law != "constant" and beyond > devices / 2:
        said.append("most devices went less than half of the way between their bounds, which are extrapolated")
    for at, name in ((2, "g_min"), (3, "g_max")):
        if (met := int(law.met[:, at - 2].sum())) < devices:
            others = "how far the others went counts as a limit" if law.told[at - 2] else "it is hardly told"
            said.append(f"{met} of {devices} devices meet their {name}; {others}")
    if aside:
        said.append(
            f"{aside} of {devices + aside} devices are left out of all numbers; those that differ are named in "
            f"{FALSE_ALARM:.0%} of files of sound devices"
        )
    return said
