"""Figures of a study: medians and spread of a quantity along an axis, as SVG that is the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from hwsim.config.grid import Grid
from hwsim.config.study import Figure
from hwsim.errors import OutputError
from hwsim.experiments.study.table import replace

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Told apart by the colour-blind too (Okabe and Ito, 2008)."""
MARKERS = "os^Dv<>P"
WORDS = {
    "cosine_all": "cosine with the exact gradient",
    "cosine_recurrent": "cosine with the exact gradient, recurrent",
    "cosine_input": "cosine with the exact gradient, input",
    "cosine_readout": "cosine with the exact gradient, readout",
    "energy_training_step_j": "energy of a training step (J)",
    "energy_inference_j": "energy of an inference (J)",
    "energy_gradient_j": "energy of a gradient (J)",
    "energy_run_j": "energy of everything (J)",
    "peak_memory_bytes": "memory (bytes)",
    "time_sequence_s": "time of a sequence (s)",
}
_STYLE: Any = {
    "svg.hashsalt": "hwsim",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
_COLUMNS = 3
"""Panels side by side."""


def draw(figure: Figure, grid: Grid, table: pd.DataFrame, folder: Path) -> Path:
    """Draw a figure of a study's table into a folder.

    Raises:
        OutputError: it cannot be written.
    """
    path = folder / f"{figure.name.replace(' ', '_')}.svg"
    with mpl.rc_context(_STYLE):
        canvas = _canvas(figure, grid, table)
        svg = io.BytesIO()
        canvas.savefig(svg, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": "hwsim"})
    try:
        folder.mkdir(exist_ok=True)
        replace(path, svg.getvalue())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    return path


def _canvas(figure: Figure, grid: Grid, table: pd.DataFrame) -> Canvas:
    rows = table[table["status"] == "done"]
    for column, wanted in figure.where.items():
        rows = rows[rows[column].astype(str).isin([str(value) for value in wanted])]
    rows = rows[rows[figure.y].notna() | rows["non_finite"].fillna(False)]
    panels = _levels(rows, figure.facet)
    across = min(len(panels), _COLUMNS)
    down = -(-len(panels) // across)
    canvas = Canvas(figsize=(1.2 + 3.3 * across, 0.9 + 2.6 * down), layout="constrained")
    axes = canvas.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        _panel(ax, figure, rows if figure.facet is None else rows[rows[figure.facet] == panel], rows)
        if figure.facet is not None:
            ax.set_title(f"{panel}" if figure.facet == "system" else f"{figure.facet} = {_said(panel)}", fontsize=9)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    canvas.supxlabel(figure.x_label or WORDS.get(figure.x, figure.x), fontsize=9)
    canvas.supylabel(figure.y_label or WORDS.get(figure.y, figure.y), fontsize=9)
    if figure.title:
        canvas.suptitle(figure.title, fontsize=11)
    _legend(canvas, figure, list(axes))
    return canvas


def _panel(ax: Axes, figure: Figure, rows: pd.DataFrame, whole: pd.DataFrame) -> None:
    names = not pd.api.types.is_numeric_dtype(whole[figure.x])
    ticks = _levels(whole, figure.x)
    hues = _levels(whole, figure.hue)
    lines = figure.kind == "line" or (figure.kind == "auto" and not names)
    for number, hue in enumerate(hues):
        mine = rows if figure.hue is None else rows[rows[figure.hue] == hue]
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        shift = 0.0 if not names else (number - (len(hues) - 1) / 2) * 0.6 / max(len(hues), 2)
        found = [(ticks.index(x) + shift if names else x, part) for x, part in mine.groupby(figure.x, sort=True)]
        _series(ax, figure, found, style, None if hue is None else _said(hue), lines)
    if names:
        ax.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    else:
        ax.set_xscale(figure.x_scale)
    ax.set_yscale(figure.y_scale)
    if figure.y_limits:
        ax.set_ylim(*figure.y_limits)


def _series(
    ax: Axes,
    figure: Figure,
    found: list[tuple[Any, pd.DataFrame]],
    style: dict[str, Any],
    label: str | None,
    lines: bool,
) -> None:
    """One line, or row of points, with its spread; a cross at the foot where something was not finite."""
    drawn = [(x, *_spread(figure, rows[figure.y].dropna())) for x, rows in found if rows[figure.y].notna().any()]
    if drawn:
        x, low, middle, high = map(np.array, zip(*drawn, strict=True))
        if lines:
            ax.plot(x, middle, label=label, markersize=4, linewidth=1.4, **style)
            if figure.spread != "none":
                ax.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
        else:
            error = None if figure.spread == "none" else [middle - low, high - middle]
            ax.errorbar(x, middle, error, label=label, linestyle="none", capsize=2, markersize=5, **style)
    lost = [x for x, rows in found if (rows[figure.y].isna() & rows["non_finite"]).any()]
    if lost:
        foot = ax.get_xaxis_transform()
        marks = {"marker": "x", "color": style["color"], "linestyle": "none", "markersize": 6, "clip_on": False}
        ax.plot(lost, [0.02] * len(lost), transform=foot, gid="not-finite", **marks)


def _spread(figure: Figure, values: pd.Series[float]) -> tuple[float, float, float]:
    """Lower end, centre and upper end."""
    middle = float(values.median() if figure.center == "median" else values.mean())
    half = 0.0
    if figure.spread == "quartiles":
        return float(values.quantile(0.25)), middle, float(values.quantile(0.75))
    if figure.spread == "range":
        return float(values.min()), middle, float(values.max())
    if len(values) > 1 and figure.spread in ("deviation", "interval"):
        half = float(values.std(ddof=1))
        if figure.spread == "interval":
            from scipy.stats import t

            half *= float(t.ppf(0.975, len(values) - 1)) / len(values) ** 0.5
    return middle - half, middle, middle + half


def _legend(canvas: Canvas, figure: Figure, axes: list[Axes]) -> None:
    labelled: dict[str, Any] = {}
    for handle, label in _labelled(axes):
        labelled.setdefault(label, handle)
    if any(line.get_gid() == "not-finite" for ax in axes for line in ax.lines):
        mark = mpl.lines.Line2D([], [], marker="x", color="#444444", linestyle="none")
        labelled["some not finite"] = mark
    if labelled:
        title = figure.hue_label or figure.hue
        canvas.legend(
            labelled.values(), labelled.keys(), title=title, loc="outside right upper", fontsize=8, title_fontsize=8
        )


def _labelled(axes: list[Axes]) -> Iterator[tuple[Any, str]]:
    for ax in axes:
        yield from zip(*ax.get_legend_handles_labels(), strict=True)


def _levels(rows: pd.DataFrame, column: str | None) -> list[Any]:
    """The values of a column: numbers by size, names in the order of the table."""
    if column is None:
        return [None]
    found = list(rows[column].dropna().unique())
    return sorted(found) if pd.api.types.is_numeric_dtype(rows[column]) else found


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
