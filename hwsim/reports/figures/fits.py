"""Measurements and what was fitted to them, drawn: a row of two panels for each file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsim.physics.fits import drift, pulse_sheet, pulses, reads
from hwsim.physics.fits.found import Fit, Z
from hwsim.physics.fits.pulse_filter import moves
from hwsim.physics.fits.pulse_laws import Law, followed
from hwsim.reports.figures.canvas import MUTED, PALETTE, WIDTH, Drawing, canvas, drawing, quantities

_ROW = 235
"""Height of a row."""
_TENTHS = (10, 90)
_BINS = 8
_CAPTIONS = {
    "pulses": "Pulses: each device as read in its first cycle (grey), median and 80 % of the fitted devices without "
    "noise (blue); what one pulse changes, means over all devices (points), and the law of the median device (lines).",
    "reads": "Program and verify: mean reads of devices beside their target, with the bias (line) and 95 % of the "
    "fitted errors (blue); σ at each target with its 95 % interval, and the laws (lines).",
    "drift": "Drift: each device relative to its fitted g₀ (grey), with 95 % of the fitted exponents (blue); the "
    "exponent of each device over its g₀, with mean and 95 % (lines).",
}


def fits(found: Sequence[Fit]) -> Drawing:
    """Data and fit of each file, as part of a page.

    Args:
        found: fits with their `data`.
    """
    with canvas(_ROW * len(found), 2 * WIDTH) as figure:
        _draw(figure, found)
        caption = " ".join(dict.fromkeys(_CAPTIONS[each.kind] for each in found))
        return drawing(figure, "fits", "Measurements and what was fitted to them", caption, wide=True)


def png(found: Sequence[Fit]) -> bytes:
    """The same as pixels, on white."""
    with canvas(_ROW * len(found), 2 * WIDTH) as figure:
        _draw(figure, found)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=180, facecolor="white", metadata={"Software": None})
        return file.getvalue()


def _draw(figure: Figure, found: Sequence[Fit]) -> None:
    axes = figure.subplots(len(found), 2, squeeze=False)
    for row, fit in zip(axes, found, strict=True):
        _ROWS[fit.kind](row[0], row[1], fit.data)
        row[0].set_title(fit.path.name, loc="left")


def _pulses(over: Axes, steps: Axes, found: pulses.Response) -> None:
    """Conductance over pulses, and what one pulse changes."""
    rows, law, series = found.rows, found.law, found.rows.series
    unit, at = rows.unit, np.zeros(0, np.int64)
    tracks: list[np.ndarray] = []
    for device in range(len(rows.devices)):
        start = series.ends[device]
        count = int(np.argmax(np.append(series.fresh[start + 1 : series.ends[device + 1]], 1))) + 1
        given = series.pulses[start : start + count]
        over.plot(np.cumsum(np.abs(given)), series.read[start : start + count] * unit, color=MUTED, lw=0.5, alpha=0.5)
        if not tracks or len(given) == len(tracks[0]):
            tracks.append(_track(law, device, given, float(series.read[start])))
            at = np.cumsum(np.abs(given))
    low, high = np.percentile(np.array(tracks) * unit, _TENTHS, axis=0)
    over.fill_between(at, low, high, color=PALETTE["blue"], alpha=0.25, lw=0)
    over.plot(at, np.median(np.array(tracks), axis=0) * unit, color=PALETTE["blue"])
    over.set_xlabel("pulses")
    over.set_ylabel("conductance")
    quantities(over.yaxis, "S")
    over.set_ylim(bottom=0)
    over.grid()
    _steps(steps, found)


def _steps(axes: Axes, found: pulses.Response) -> None:
    """What one pulse changes over conductance, up and down."""
    rows, law, series = found.rows, found.law, found.rows.series
    unit, middle = rows.unit, pulse_sheet.typical(law)
    g = np.linspace(max(middle[2], 0), middle[3], 101)
    owner = np.repeat(np.arange(len(rows.devices)), np.diff(series.ends))
    # where a device was, as foretold without the read there, whose noise the change has as well
    there = np.concatenate([followed(series, law, device)[2] for device in range(len(rows.devices))])
    own = law.found.own[owner]
    place = (there - own[:, 2]) / np.maximum(own[:, 3] - own[:, 2], 1e-9)
    for upward, colour in ((True, "green"), (False, "orange")):
        sign = 1 if upward else -1
        changed = sign * moves(law.kind.law, middle, law.found.shared, g, upward) * unit
        axes.plot(g * unit, changed, color=PALETTE[colour], label="up" if upward else "down")
        told = np.flatnonzero((series.pulses[2:] == sign) & (series.fresh[2:] == 0) & (series.fresh[1:-1] == 0)) + 2
        if told.size < _BINS:
            continue
        at, change = place[told - 1], (series.read[told] - series.read[told - 1]) * unit
        part = np.clip(np.searchsorted(np.quantile(at, np.linspace(0, 1, _BINS + 1)), at, "right") - 1, 0, _BINS - 1)
        filled = [part == each for each in range(_BINS) if (part == each).any()]
        x = np.array([at[each].mean() for each in filled]) * (middle[3] - middle[2]) + middle[2]
        axes.plot(x * unit, [change[each].mean() for each in filled], "o", color=PALETTE[colour], ms=4)
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.set_xlabel("conductance")
    axes.set_ylabel("change by a pulse")
    axes.legend()
    axes.grid()
    quantities(axes.xaxis, "S")
    quantities(axes.yaxis, "S")


def _track(law: Law, device: int, given: np.ndarray, start: float) -> np.ndarray:
    """Where a device goes without noise from its first read on."""
    own, shared, name = law.found.own[device], law.found.shared, law.kind.law
    bounds = np.where(law.met[device], own[2:4], [-np.inf, np.inf])
    x, out = np.array([start]), [start]
    for count in given[1:]:
        for _ in range(abs(int(count))):
            x = x + np.sign(count) * moves(name, own, shared, x, bool(count > 0))
            if name in ("constant", "linear"):
                x = np.clip(x, *bounds)
        out.append(float(x[0]))
    return np.array(out)


def _reads(errors: Axes, scatter: Axes, found: reads.Scatter) -> None:
    """Errors of devices over their targets, and σ over targets."""
    devices = found.devices
    target = devices["target"].to_numpy()
    off = devices["mean"].to_numpy() - target
    aside = 0.25 * float(np.diff(np.unique(target)).min()) * np.sin(np.arange(target.size))  # so that all are seen
    errors.plot(target + aside, off, ".", color=MUTED, ms=2, alpha=0.6)
    g = np.linspace(target.min(), target.max(), 101)
    sigma = np.maximum(np.polynomial.polynomial.polyval(g / found.largest, found.programming.coefficients), 0)
    centre = found.bias.coefficients[0] + found.bias.coefficients[1] * g
    whole = np.sqrt(sigma**2 + found.noise.variance(np.maximum(g + centre, 0)) / devices["count"].median())
    errors.fill_between(g, centre - Z * whole, centre + Z * whole, color=PALETTE["blue"], alpha=0.25, lw=0)
    errors.plot(g, centre, color=PALETTE["blue"])
    errors.axhline(0, color=MUTED, lw=0.8)
    errors.set_ylabel("mean read − target")
    table = reads.scatter(devices)
    read = np.sqrt(found.noise.variance(np.maximum(g + centre, 0)))
    for name, law, colour in (("programming", sigma, "blue"), ("reading", read, "orange")):
        scatter.errorbar(
            table["target"], table[name], table[f"{name}_half"], fmt="o", color=PALETTE[colour], ms=4, lw=1
        )
        scatter.plot(g, law, color=PALETTE[colour], label=name)
    scatter.set_ylabel("σ")
    scatter.set_ylim(0, 1.25 * float((table["programming"] + table["programming_half"]).max()) or None)
    scatter.legend(loc="upper left")
    for axes in (errors, scatter):
        axes.set_xlabel("target")
        axes.grid()
        quantities(axes.xaxis, "S")
        quantities(axes.yaxis, "S")


def _drift(over: Axes, exponents: Axes, found: drift.Drifting) -> None:
    """Conductances over time, and ν over conductance."""
    lines, kept = found.lines, found.kept
    level = dict(zip(lines.devices, np.exp(lines.level), strict=True))
    for device, of_one in kept.groupby("device", sort=False):
        over.plot(of_one["time"], of_one["conductance"] / level[str(device)], color=MUTED, lw=0.5, alpha=0.6)
    time = np.geomspace(kept["time"].min(), kept["time"].max(), 101)
    low, middle, high = ((time / found.start) ** -(found.mean + side * Z * found.spread) for side in (1, 0, -1))
    over.fill_between(time, low, high, color=PALETTE["blue"], alpha=0.25, lw=0)
    over.plot(time, middle, color=PALETTE["blue"])
    over.set_xscale("log")
    over.set_xlabel("time since programming")
    over.set_ylabel("g / g₀")
    over.grid()
    quantities(over.xaxis, "s", log=True)
    exponents.plot(np.exp(lines.level), lines.exponent, "o", color=PALETTE["blue"], ms=4)
    for side in (-1, 0, 1):
        style = "-" if side == 0 else "--"
        exponents.axhline(found.mean + side * Z * found.spread, color=PALETTE["blue"], lw=1, ls=style)
    exponents.set_xlabel("g₀")
    exponents.set_ylabel("exponent ν")
    exponents.grid()
    quantities(exponents.xaxis, "S")


_ROWS: dict[str, Callable[[Axes, Axes, Any], None]] = {"pulses": _pulses, "reads": _reads, "drift": _drift}
