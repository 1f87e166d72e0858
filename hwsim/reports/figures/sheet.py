"""A data sheet, drawn: errors of programming and of reads, where devices end, and what time and pulses do to them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.typing import HashableList

from hwsim import streams
from hwsim.physics import DataSheet
from hwsim.physics.law import Law
from hwsim.quantities import si
from hwsim.reports.figures import drift, pulses
from hwsim.reports.figures.canvas import MUTED, PALETTE, SERIES, WIDTH, Drawing, canvas, drawing, quantities

DEVICES = 4000
"""How many devices are drawn at each target."""
_TARGETS = 5
_BINS = 160
_POINTS = 201
_ROUNDING = 1e-9


def sheet(device: DataSheet) -> Drawing:
    """Programming error and read noise over conductance, a histogram of devices that were programmed, drift, pulses."""
    low, high = device.conductance.min.value, device.conductance.max.value
    g = np.linspace(low, high, _POINTS)
    programmed, read = device.programming_error(g), device.read_error(g)
    below = [name for name in ("drift", "update") if getattr(device, name) is not None]
    with canvas(390 + 190 * len(below), 2 * WIDTH) as figure:
        rows: list[HashableList[str]] = [["programming", "reads"], ["devices", "devices"]]
        rows += [[name, name] for name in below]
        axes = figure.subplot_mosaic(rows)
        _law(axes["programming"], g, programmed, device.programming.error, "target", "σ of programming")
        _law(axes["reads"], g, read, device.read_noise, "conductance", "σ of a read")
        _devices(axes["devices"], device)
        if device.drift is not None:
            drift.draw(axes["drift"], device)
        if device.update is not None:
            pulses.draw(axes["update"], device, device.update)
        return drawing(figure, "sheet", _heading(device, programmed, read), _caption(device), wide=True)


def _heading(device: DataSheet, programmed: np.ndarray, read: np.ndarray) -> str:
    """The larger of the two errors, as a share of the range."""
    worst, what = max((float(programmed.max()), "Programming"), (float(read.max()), "A read"))
    if not worst:
        return f"Devices of {device.name} have no errors"
    return f"{what} of {device.name} is off by up to {100 * worst / device.window:.2g} % of its range (σ)"


def _caption(device: DataSheet) -> str:
    """What each row shows."""
    parts = [
        "Above, standard deviations over the range that the device is used in; dotted where the law was not measured. "
        f"Below, {DEVICES:,} devices at each of {_TARGETS} targets (vertical lines), each programmed once, as a chip "
        "draws them."
    ]
    if device.drift is not None:
        starts = ", ".join(f"{100 * share:g} %" for share in drift.STARTS)
        parts.append(
            f"Then {drift.DEVICES} devices over time, from {starts} of the range: their median, and the band of 80 % "
            "of them."
        )
    if device.update is not None:
        parts.append(
            f"Last, {pulses.DEVICES} devices that get pulses: their median, the band of 80 % of them, and three of "
            "them."
        )
    return " ".join(parts)


def _law(axes: Axes, g: np.ndarray, sigma: np.ndarray, law: Law, across: str, up: str) -> None:
    """A law over conductance: a full line where it was measured, or where no range is stated."""
    ends = vars(law)["valid"] or (g[0], g[-1])
    within = (g >= ends[0] * (1 - _ROUNDING)) & (g <= ends[1] * (1 + _ROUNDING))
    if not within.all():
        axes.plot(g, np.where(within, np.nan, sigma), ":", color=PALETTE["orange"])
    axes.plot(g[within], sigma[within], color=PALETTE["blue"])
    axes.set_xlim(g[0], g[-1])
    axes.set_ylim(0, float(sigma.max()) * 1.15 or 1.0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid()
    quantities(axes.xaxis, "S")
    quantities(axes.yaxis, "S")
    if not sigma.any():
        axes.set_yticks([0.0], [si(0.0, "S")])


def _devices(axes: Axes, device: DataSheet) -> None:
    """Histograms of what devices have after they were programmed to some targets."""
    targets = np.linspace(device.conductance.min.value, device.conductance.max.value, _TARGETS)
    draws = streams.generator(0, "figure of a data sheet", device.name)
    normal = draws.standard_normal((_TARGETS, DEVICES))
    goals = np.broadcast_to(targets[:, None], normal.shape)
    if device.spread is not None:
        ends = draws.standard_normal((2, *normal.shape))
        goals = np.clip(goals, *device.spread.range(targets[0], targets[-1], (ends[0], ends[1])))
    reached = np.maximum(goals + device.programming_error(goals) * normal, 0.0)
    edges = np.linspace(min(reached.min(), targets[0]), reached.max(), _BINS + 1)
    for colour, target, found in zip(SERIES, targets, reached, strict=False):
        axes.stairs(np.histogram(found, edges)[0], edges, fill=True, color=colour, alpha=0.65, linewidth=0)
        axes.axvline(target, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("conductance after programming")
    axes.set_ylabel("devices")
    axes.grid(axis="y")
    quantities(axes.xaxis, "S")
