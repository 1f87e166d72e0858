"""A map of a study: a quantity over two axes, one cell per point, and a boundary that was predicted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hwsim.config.study import FigureOptions
from hwsim.reports.figures.canvas import INK, MUTED, PALETTE, PAPER
from hwsim.reports.figures.header import Header
from hwsim.reports.figures.points import DataPoint, at, drawn, levels, points
from hwsim.reports.vocabulary import Vocabulary

_CELL = (46, 26)
"""Width and height of a cell, in points."""
_BESIDE = 70
"""Room for the names of the rows of cells, in points."""
_ABOVE = 52
"""Room for the text above a row of panels and the ticks below it, in points."""
_ACROSS = 2
"""Largest number of panels side by side."""
_DARK = 0.55
"""Opacity from which numbers in a cell are as light as paper."""


def compose(sheet: Figure, figure: FigureOptions, table: pd.DataFrame, *, titled: bool) -> None:
    """Draw a panel of cells per level of `facet` and `rows`; x and up have equal distances between values."""
    rows, words = drawn(figure, table), Vocabulary(figure.names, figure.units)
    assert figure.up is not None
    xs, ups = ([value for (value,) in levels(rows, [name])] for name in (figure.x, figure.up))
    places = [*figure.down, *figure.across]
    panels = levels(rows, places) if places else [()]
    across = len(levels(rows, figure.across)) if figure.down else min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    width = across * (_CELL[0] * len(xs) + _BESIDE)
    sheet.set_size_inches(width / 72, down * (_CELL[1] * len(ups) + _ABOVE) / 72)
    low, high = _ends(figure, rows)
    axes = sheet.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax, level in zip(axes.ravel(), panels, strict=False):
        part = at(rows, places, level)
        _cells(ax, figure, part, xs, ups, (low, high), words)
        _boundary(ax, figure, part, xs, ups)
        ax.set_title(", ".join(map(words.level, places, level)), pad=7, loc="left", fontsize=10.5)
        ax.set_xticks(range(len(xs)), [words.value(figure.x, x, bare=True) for x in xs])
        ax.set_yticks(range(len(ups)), [words.value(figure.up, up, bare=True) for up in ups])
        ax.set_xlim(-0.5, len(xs) - 0.5)
        ax.set_ylim(-0.5, len(ups) - 0.5)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_visible(False)
    sheet.supxlabel(figure.x_label or words.column(figure.x), fontsize=11)
    _head(sheet, figure, words, (low, high), titled=titled)


def _ends(figure: FigureOptions, rows: pd.DataFrame) -> tuple[float, float]:
    """The values at which cells are empty, and full."""
    if figure.y_limits:
        return figure.y_limits[0], figure.y_limits[1]
    values = rows[figure.y].dropna()
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _cells(
    ax: Axes,
    figure: FigureOptions,
    rows: pd.DataFrame,
    xs: list[Any],
    ups: list[Any],
    ends: tuple[float, float],
    words: Vocabulary,
) -> None:
    """A cell per point, the fuller the larger its value, with the value in it."""
    low, high = ends
    for height, up in enumerate(ups):
        for point in points(figure, rows[rows[figure.up] == up]):
            place = xs.index(point.x)
            full = 0.0 if point.middle is None else min(max((point.middle - low) / (high - low or 1), 0), 1)
            corner = place - 0.47, height - 0.46
            cell = Rectangle(corner, 0.94, 0.92, facecolor=PALETTE["blue"], alpha=full, linewidth=0)
            ax.add_patch(cell)
            ink = MUTED if point.middle is None else PAPER if full > _DARK else INK
            ax.text(place, height, _text(figure, point, words), ha="center", va="center", fontsize=9, color=ink)


def _text(figure: FigureOptions, point: DataPoint, words: Vocabulary) -> str:
    if point.middle is None:
        return "×" if point.lost else "◇"
    return words.value(figure.y, float(f"{point.middle:.3f}"), bare=True)


def _boundary(ax: Axes, figure: FigureOptions, rows: pd.DataFrame, xs: list[Any], ups: list[Any]) -> None:
    """The median of the boundary's column at each x, in units of `up`, where it lies on the map."""
    if figure.boundary is None or figure.boundary not in rows:
        return
    medians = rows.groupby(figure.x)[figure.boundary].median().dropna()
    heights = [(xs.index(x), _height(float(value), ups)) for x, value in medians.items()]
    known = [(x, height) for x, height in heights if height is not None]
    if known:
        ax.plot(*zip(*known, strict=True), color=PALETTE["orange"], marker="o", markersize=4, zorder=3, clip_on=True)


def _height(value: float, ups: list[Any]) -> float | None:
    """Where a value lies between the rows of cells, on a logarithmic scale; a row beyond the map if outside."""
    if not value > 0 or not np.isfinite(value):
        return None
    if value <= ups[0]:
        return -0.5 - min(np.log(ups[0] / value), 1.0)
    for row, (below, above) in enumerate(pairwise(ups)):
        if value <= above:
            return float(row + np.log(value / below) / np.log(above / below))
    return float(len(ups) - 0.5 + min(np.log(value / ups[-1]), 1.0))


def _head(sheet: Figure, figure: FigureOptions, words: Vocabulary, ends: tuple[float, float], *, titled: bool) -> None:
    head = Header(sheet)
    if titled and figure.title:
        head.text(figure.title, 13, bold=True)
    if titled and figure.caption:
        head.text(figure.caption, 10, muted=True, gap=10)
    said = figure.y_label or words.column(figure.y)
    handles: list[Any] = [Patch(facecolor=PALETTE["blue"], alpha=0.8)]
    labels = [f"{said}, from {ends[0]:g} (empty) to {ends[1]:g} (full); × is not finite, ◇ undefined"]
    if figure.boundary is not None:
        handles.append(Line2D([], [], color=PALETTE["orange"], marker="o", markersize=4))
        labels.append(words.column(figure.boundary))
    head.legend(handles, labels)
    assert figure.up is not None
    head.text(f"↑ {words.column(figure.up)}", gap=8)
    head.settle()
