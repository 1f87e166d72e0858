"""Membranes of a few neurons in one sequence, with their thresholds, their spikes and traces that learning keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwsim.reports.figures.canvas import INK, PALETTE, Drawing, canvas, drawing, quantities
from hwsim.reports.figures.recorded import Recorded, named, recorded, spiking
from hwsim.results.run_folder import RunFolder

MEMBRANE, THRESHOLD, TRACE = "membrane", "threshold", "trace"
"""The quantities of `traces.csv`."""
MOST = 6
"""Largest number of neurons in the figure."""
_WIDTH, _HIGH, _LOW, _TITLE = 760, 74, 34, 26
"""Width of the figure, height of a membrane's panel and of a trace's, and room for a title, in points."""
_PLAIN = FuncFormatter(lambda value, _: f"{value:.3g}".replace("-", "−"))
_VARIABLE = re.compile(r"^\s*d(\w+)\s*/\s*dt\b.*:\s*(\w+)", re.MULTILINE)
_SYMBOLS = {"volt": "V", "amp": "A", "ampere": "A"}
"""Units of Brian2."""
_COLOURS = {MEMBRANE: PALETTE["blue"], THRESHOLD: PALETTE["orange"], TRACE: PALETTE["green"]}


def membranes(run: RunFolder, system: str | None = None) -> Drawing | None:
    """Membranes of the neurons that fire most, in the sequence of the raster; None if none was recorded.

    Args:
        system: by default the first that spikes.
    """
    seen = recorded(run, system)
    if seen is None or seen.traces.empty:
        return None
    chosen, traced = _chosen(seen), bool((seen.traces.quantity == TRACE).any())
    units = _units(run.config)
    across = min(len(chosen), 2)
    down = -(-len(chosen) // across)
    heights = [_HIGH, _LOW][: 1 + traced] * down
    with canvas(sum(heights) + _TITLE * down + 70, _WIDTH) as figure:
        grid = figure.subplots(len(heights), across, sharex=True, height_ratios=heights, squeeze=False)
        for axes in grid[-(1 + traced) :, -1] if len(chosen) % across else ():
            axes.set_visible(False)
        for place, (layer, neuron) in enumerate(chosen):
            rows = seen.traces[(seen.traces.layer == layer) & (seen.traces.neuron == neuron)]
            mine = grid[(place // across) * (1 + traced) :, place % across]
            _membrane(mine[0], rows, _spikes(seen, layer, neuron), units.get(layer, ""))
            mine[0].set_title(f"{layer}, neuron {neuron}", loc="left")
            if traced:
                _trace(mine[1], rows)
        for axes in grid[-1]:
            axes.set_xlim(-0.5, seen.steps - 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            axes.set_xlabel("step of the sequence")
        _legend(figure, seen)
        name = named("membranes", seen.system, spiking(run))
        return drawing(figure, name, _heading(seen, chosen), _caption(seen, chosen, traced), wide=True)


def _units(config: Mapping[str, Any]) -> dict[str, str]:
    """The unit of what makes a neuron fire, by layer; nothing for numbers, and where no equations say it."""
    found = {}
    for number, layer in enumerate(config["network"]["layers"], 1):
        text = layer["cell"].get("neuron")
        if isinstance(text, dict) and text.get("threshold"):
            said = dict(_VARIABLE.findall(text["equations"]))
            watched = (said[name] for name in re.findall(r"\w+", text["threshold"]) if name in said)
            found[f"layer {number}"] = _SYMBOLS.get(next(watched, ""), "")
    return found


def _chosen(seen: Recorded) -> list[tuple[str, int]]:
    """Layers and neurons: as many of each layer, those that fired most in the sequence, in the order of the table."""
    known = list(dict.fromkeys(zip(seen.traces.layer, seen.traces.neuron.astype(int), strict=True)))
    layers = list(dict.fromkeys(layer for layer, _ in known))[:MOST]
    share = MOST // len(layers)
    most: set[tuple[str, int]] = set()
    for layer in layers:
        of_layer = [each for each in known if each[0] == layer]
        most |= set(sorted(of_layer, key=lambda each: -len(_spikes(seen, *each)))[:share])
    return [each for each in known if each in most]


def _spikes(seen: Recorded, layer: str, neuron: int) -> list[float]:
    """Where on the axis of steps a neuron's spikes are."""
    return [middle for middle, _ in seen.moments(seen.of(layer)[neuron])]


def _of(rows: pd.DataFrame, quantity: str) -> tuple[pd.Series, pd.Series]:
    found = rows[rows.quantity == quantity].sort_values("step")
    return found.step, found.value


def _membrane(axes: Axes, rows: pd.DataFrame, spikes: list[float], unit: str) -> None:
    """The membrane and the threshold, with a tick at the upper edge for each spike."""
    axes.plot(*_of(rows, MEMBRANE), color=_COLOURS[MEMBRANE], linewidth=1.5)
    axes.plot(*_of(rows, THRESHOLD), "--", color=_COLOURS[THRESHOLD], linewidth=1.4)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))
    axes.plot(
        spikes, [0.92] * len(spikes), linestyle="", marker="|", color=INK, markersize=7, markeredgewidth=1.8,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    if unit:
        quantities(axes.yaxis, unit)
    else:
        axes.yaxis.set_major_formatter(_PLAIN)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.grid()


def _trace(axes: Axes, rows: pd.DataFrame) -> None:
    steps, values = _of(rows, TRACE)
    axes.fill_between(steps, values, color=_COLOURS[TRACE], alpha=0.25, linewidth=0)
    axes.plot(steps, values, color=_COLOURS[TRACE], linewidth=1.5)
    axes.yaxis.set_major_formatter(_PLAIN)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.grid()


def _legend(figure: Figure, seen: Recorded) -> None:
    there = [quantity for quantity in _COLOURS if (seen.traces.quantity == quantity).any()]
    names = {TRACE: "trace that learning keeps"}
    handles = [
        Line2D([], [], color=_COLOURS[each], linestyle="--" if each == THRESHOLD else "-", label=names.get(each, each))
        for each in there
    ]
    tick = Line2D([], [], color=INK, linestyle="", marker="|", markersize=8, markeredgewidth=1.8, label="spike")
    figure.legend(handles=[*handles, tick], loc="outside upper left", ncols=4)


def _heading(seen: Recorded, chosen: list[tuple[str, int]]) -> str:
    fired = {each: len(_spikes(seen, *each)) for each in chosen}
    (layer, neuron), most = max(fired.items(), key=lambda item: item[1])
    if not most:
        return f"No membrane of {seen.system} reaches its threshold"
    times = "once" if most == 1 else f"{most} times"
    return f"Neuron {neuron} of {layer} fires {times} in {seen.steps} steps of {seen.system}"


def _caption(seen: Recorded, chosen: list[tuple[str, int]], traced: bool) -> str:
    of = "The neuron is" if len(chosen) == 1 else f"The {len(chosen)} neurons are"
    said = f"{of} among those that fire most in {seen.where}; it is the sequence of the raster."
    if (seen.traces.quantity == THRESHOLD).any():
        said += " A neuron fires in a step at whose end its membrane is above its threshold."
    else:
        said += " Membranes are those at the end of a step, when one that fired may have started again."
    if traced:
        said += " A trace is what the rule keeps of a neuron, or of its weight to itself."
    return said
