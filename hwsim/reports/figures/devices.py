"""Devices and circuits after a run: conductances, writes per device, and values beyond full scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from hwsim.quantities import si
from hwsim.reports.figures.canvas import MUTED, PALETTE, SERIES, Drawing, canvas, drawing, legend, quantities, shortened
from hwsim.results.run_folder import RunFolder
from hwsim.results.tables import CONDUCTANCE, WRITES

MOST = 12
"""Largest number of units in the figure of clipping."""


def conductances(run: RunFolder) -> Drawing | None:
    """Histogram of conductances at the end of the run, by array."""
    name = next(iter(run.systems))
    bins = _of(run.histograms, name, CONDUCTANCE)
    if bins.empty:
        return None
    lowest = bins.groupby("low").devices.sum()
    share = float(lowest.iloc[0] / lowest.sum())
    return _histogram(
        bins,
        "conductances",
        "conductance",
        "S",
        f"{share:.0%} of {name}’s devices lie in the lowest bin that has any",
        "Devices of all chips at the end of the run, by array, on a logarithmic axis. One of the two devices of a "
        "weight is always meant to be at the low end; a pile at the high end means that the range is too narrow for "
        "the weights.",
    )


def writes(run: RunFolder) -> Drawing | None:
    """Histogram of writes per device, by array."""
    name = next(iter(run.systems))
    bins = _of(run.histograms, name, WRITES)
    if bins.empty:
        return None
    most = float(bins.high.max()) - 1
    mean = worn.writes_per_device if (worn := run.systems[name].weights) else 0.0
    times = "once" if most == 1 else f"{most:g} times"
    return _histogram(
        bins,
        "writes",
        "writes of a device",
        "",
        f"No device of {name} was written more than {times}; the average is {mean:.3g}",
        "Devices of all chips by how often they were written, the first programming included, on a logarithmic axis. "
        "Compare the right end with what your device endures.",
    )


def clipped(run: RunFolder) -> Drawing | None:
    """The units that clip most."""
    name = next(iter(run.systems))
    rows = run.clipping[run.clipping.system == name]
    rows = rows.assign(rate=(rows.clipped / rows["values"].clip(lower=1)).astype(float))
    worst = rows[rows.clipped > 0].nlargest(MOST, "rate", keep="first")
    if worst.empty:
        return None
    never = int((rows.clipped == 0).sum())
    with canvas(70 + 22 * len(worst)) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        left = float(worst.rate.min()) / 3
        axes.hlines(range(len(worst)), left, worst.rate, color=MUTED, linewidth=1)
        axes.plot(worst.rate, range(len(worst)), "o", color=PALETTE["orange"], markersize=7)
        axes.set_yticks(
            range(len(worst)), [shortened(_unit(kind, unit)) for kind, unit in zip(worst.kind, worst.unit, strict=True)]
        )
        axes.tick_params("y", length=0)
        axes.set_ylim(len(worst) - 0.5, -0.5)
        axes.set_xlim(left, max(float(worst.rate.max()) * 2, 0.012))
        axes.axvline(0.01, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        axes.xaxis.set_major_locator(LogLocator(10, numticks=5))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.2g}%"))
        axes.set_xlabel("share of values beyond full scale")
        axes.grid(axis="x")
        first = worst.iloc[0]
        return drawing(
            figure,
            "clipped",
            f"{_unit(first.kind, first.unit)} clips most: {first.rate:.2%} of its values",
            f"The units of {name} that clip, at most {MOST} of them, on a logarithmic axis; {never} others never clip. "
            "Ranges are worth widening where more than one value in a hundred is clipped (broken line).",
        )


def _of(bins: pd.DataFrame, system: str, quantity: str) -> pd.DataFrame:
    return bins[(bins.system == system) & (bins.quantity == quantity)]


def _unit(kind: str, unit: str) -> str:
    return unit if kind == "analog" or unit.endswith(kind) else f"{unit} ({kind})"


def _histogram(bins: pd.DataFrame, name: str, label: str, unit: str, heading: str, caption: str) -> Drawing:
    width = float((bins.high - bins.low).min())
    edges = np.arange(0, round(float(bins.high.max()) / width) + 1) * width
    arrays = list(dict.fromkeys(bins.array))
    with canvas(270 + 8 * min(len(arrays), 8)) as figure:
        axes = figure.subplots()
        total = _counts(bins, edges, width)
        axes.stairs(total, edges, fill=True, color=PALETTE["slate"], alpha=0.22, linewidth=0, label="all arrays")
        if 1 < len(arrays) <= len(SERIES):
            for colour, array in zip(SERIES, arrays, strict=False):
                axes.stairs(
                    _counts(bins[bins.array == array], edges, width), edges, color=colour, linewidth=1.5, label=array
                )
        axes.set_yscale("log")
        axes.set_ylim(0.7)
        axes.set_xlim(0, edges[-1])
        axes.yaxis.set_major_locator(LogLocator(10, numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: si(value, "").strip()))
        if unit:
            quantities(axes.xaxis, unit)
        axes.set_xlabel(label)
        axes.set_ylabel("devices")
        axes.grid(axis="y")
        legend(figure, axes)
        return drawing(figure, name, heading, caption)


def _counts(bins: pd.DataFrame, edges: np.ndarray, width: float) -> Any:
    counts = np.zeros(len(edges) - 1)
    np.add.at(counts, np.rint(bins.low / width).astype(int), bins.devices)
    return counts
