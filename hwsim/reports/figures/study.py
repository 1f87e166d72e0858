"""Figures of a study: a quantity along an axis, with centre and spread over chips and seeds.

The file and the page have the same look; the same table gives the same bytes. A missing value has a mark of its own,
which the legend explains.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from hwsim.config.study import FigureOptions
from hwsim.errors import OutputError
from hwsim.reports.figures import map as maps
from hwsim.reports.figures.canvas import INK, MARKERS, MUTED, PAPER, SERIES, Decades, Drawing, canvas, drawing, written
from hwsim.reports.figures.crossings import Crossing, crossings
from hwsim.reports.figures.header import Header
from hwsim.reports.figures.points import DataPoint, at, drawn, levels, points
from hwsim.reports.vocabulary import Vocabulary
from hwsim.results.whole import replace

_ACROSS = 3
"""Largest number of panels side by side, in a figure without rows of panels."""
_FEW = 4
"""Largest number of values of x with spread as bars; with more, spread is a band."""
_FOOT = 0.05
"""Height of the marks for missing values, as a share of a panel."""
_TICKS = 8
"""Largest number of values of x that have a tick each."""
_SIDE = {1: 520, 2: 620, 3: 800}
"""Width of a figure by the number of panels side by side; more panels take the width of a page."""
_LEAST = 120
"""Least width of a panel."""
_NUMBER = 5
"""Letters of a number, with some room."""
_LONG = 28
"""Longest name beside a line, in letters."""
_BESIDE = 12
"""Letters per line of text beside a row of panels."""
_LETTER = 6.4
"""Width of a letter, in points."""
_SHORT = 8
"""Least letters per line; names along x that have less room are vertical."""
_APART, _ALL_APART = 7, 48
"""Distance between colours at one value of x, and largest distance of the first and the last, in points."""

_ALONE = 420
"""Width of a single panel on a page, which a phone may show."""


class Series(NamedTuple):
    """All marks of one colour in a panel."""

    label: str
    colour: str
    marker: str
    points: list[DataPoint]


class Panel(NamedTuple):
    """One panel: the text above it, the text beside it, and its series."""

    across: str
    down: str
    series: list[Series]


def draw(figure: FigureOptions, table: pd.DataFrame, folder: Path) -> Path | None:
    """Draw a figure of a study's table into a folder; None if there is nothing to draw.

    Raises:
        OutputError: the file cannot be written.
    """
    if drawn(figure, table).empty:
        return None
    path = folder / f"{figure.file}.svg"
    with canvas(0.1) as sheet:
        _compose(sheet, figure, table, titled=True)
        svg = written(sheet, figure.name)
    try:
        folder.mkdir(exist_ok=True)
        replace(path, svg.encode())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    return path


def on_a_page(figure: FigureOptions, table: pd.DataFrame, name: str) -> Drawing | None:
    """The figure for a report, which has title and caption outside of it; None if there is nothing to draw."""
    if drawn(figure, table).empty:
        return None
    with canvas(0.1) as sheet:
        _compose(sheet, figure, table, titled=False)
        wide = sheet.get_figwidth() * 72 > _SIDE[1]
        return drawing(sheet, name, figure.title or figure.name, figure.caption or "", wide=wide)


# ---- the whole ---------------------------------------------------------------------------------------------------


def _compose(sheet: Figure, figure: FigureOptions, table: pd.DataFrame, *, titled: bool) -> None:
    if figure.kind == "map":
        maps.compose(sheet, figure, table, titled=titled)
        return
    rows, words = drawn(figure, table), Vocabulary(figure.names, figure.units)
    panels, across = _panels(figure, rows, words)
    down = -(-len(panels) // across)
    grid = bool(figure.down)
    height = {1: 290, 2: 170}.get(down, 140)
    width = _SIDE.get(across, max(940, _LEAST * across)) if titled or across > 1 else _ALONE
    room = width / across / _LETTER - _SHORT  # width of a panel, in letters
    sheet.set_size_inches(width / 72, (34 + height * down) / 72)
    engine: Any = sheet.get_layout_engine()
    engine.set(wspace=0.03, hspace=0.04)
    axes = sheet.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    positions = {point.x for panel in panels for series in panel.series for point in series.points}
    ticks = sorted(positions) if figure.over_training else [x for (x,) in levels(rows, [figure.x])]
    for number, (ax, panel) in enumerate(zip(axes.ravel(), panels, strict=False)):
        _scales(ax, figure, ticks, words, panels, room)
        _panel(ax, figure, panel, ticks)
        if not grid or number < across:
            ax.set_title(_lines(panel.across, room), pad=7, loc="left", fontsize=10.5)
        if grid and number % across == across - 1 and panel.down:
            ax.annotate(panel.down, (1, 0.5), (8, 0), xycoords="axes fraction", textcoords="offset points", va="center")
        if number + across >= len(panels):
            ax.xaxis.set_tick_params(labelbottom=True)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_visible(False)
    sheet.supxlabel(_lines(figure.x_label or words.column(figure.x), width / _LETTER), fontsize=11)
    _marks_of_lines(axes[0, -1], figure)
    direct = len(panels) == 1 and _labelled_at_ends(axes[0, 0], figure, panels[0], ticks, height)
    _head(sheet, figure, panels, words, rows, direct=direct, titled=titled)


def _head(
    sheet: Figure,
    figure: FigureOptions,
    panels: list[Panel],
    words: Vocabulary,
    rows: pd.DataFrame,
    *,
    direct: bool,
    titled: bool,
) -> None:
    head = Header(sheet)
    if titled and figure.title:
        head.text(figure.title, 13, bold=True)
    if titled and figure.caption:
        head.text(figure.caption, 10, muted=True, gap=10)
    by_label = {series.label: series for panel in panels for series in panel.series if series.points}
    if figure.hue is not None and not direct:
        handles = [
            Line2D([], [], color=series.colour, marker=series.marker, linewidth=1.8, markersize=6)
            for series in by_label.values()
        ]
        head.legend(handles, list(by_label), figure.hue_label)
    explained = _explained(figure, panels, words, rows)
    if explained:
        head.legend([handle for handle, _ in explained], [text for _, text in explained])
    head.text(f"↑ {figure.y_label or words.column(figure.y)}", gap=4 if figure.facet is None else 8)
    head.settle()


def _panels(figure: FigureOptions, rows: pd.DataFrame, words: Vocabulary) -> tuple[list[Panel], int]:
    """The panels row by row, and the number of panels side by side."""
    across = levels(rows, figure.across) if figure.across else [()]
    down = levels(rows, figure.down) if figure.down else [()]
    hues = [level[0] for level in levels(rows, [figure.hue])] if figure.hue else [None]
    panels = []
    for row in down:
        for column in across:
            rows_of_panel = at(rows, [*figure.down, *figure.across], [*row, *column])
            series = []
            for number, hue in enumerate(hues):
                rows_of_series = at(rows_of_panel, [figure.hue], [hue]) if figure.hue else rows_of_panel
                name = words.value if figure.hue_label else words.level  # the label names the numbers below it
                label = "" if figure.hue is None else name(figure.hue, hue)
                again = number // len(SERIES)  # colours that come again have other marks
                look = SERIES[number % len(SERIES)], MARKERS[(number + 4 * again) % len(MARKERS)]
                series.append(Series(label, *look, list(points(figure, rows_of_series))))
            above = ", ".join(words.level(name, value) for name, value in zip(figure.across, column, strict=True))
            beside = (words.level(name, value) for name, value in zip(figure.down, row, strict=True))
            panels.append(Panel(above, "\n".join(_lines(text, _BESIDE) for text in beside), series))
    return panels, len(across) if figure.down else min(len(across), _ACROSS)


def _lines(text: str, letters: float) -> str:
    """Text in at most three lines with a number of letters; the rest is left out."""
    text = text.replace(" %", "\N{NO-BREAK SPACE}%")
    return "\n".join(textwrap.wrap(text, max(int(letters), _SHORT), max_lines=3, placeholder=" …"))


# ---- a panel -----------------------------------------------------------------------------------------------------


def _panel(ax: Axes, figure: FigureOptions, panel: Panel, ticks: list[Any]) -> None:
    """Draw lines or marks with their spread; marks of different colours are side by side if there is room."""
    lines = figure.kind == "line" or (figure.kind == "auto" and not _named(ticks))
    even, few = _even(figure, ticks), len(ticks) <= _FEW or not lines
    for level in figure.lines.values():
        ax.axhline(level, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    _reach(ax, figure, panel, ticks)
    for number, series in enumerate(panel.series):
        apart = (number - (len(panel.series) - 1) / 2) * min(_APART, _ALL_APART / len(panel.series))
        places = [ticks.index(point.x) if even else point.x for point in series.points]
        known = [(x, point) for x, point in zip(places, series.points, strict=True) if point.middle is not None]
        _values(ax, figure, series, known, apart if few else 0, lines=lines, bars=few)
        _missing(ax, figure, series, list(zip(places, series.points, strict=True)), apart)
    if figure.crossings:
        for crossing in _crossings(figure, panel):
            ax.plot([crossing.x], [crossing.y], linestyle="none", gid="crossing", zorder=6, **_CROSSING)


def _reach(ax: Axes, figure: FigureOptions, panel: Panel, ticks: list[Any]) -> None:
    """Make room for all points: Matplotlib does not count marks that are shifted aside."""
    even = _even(figure, ticks)
    for point in (point for series in panel.series for point in series.points):
        x = ticks.index(point.x) if even else point.x
        ax.update_datalim([(x, 1)], updatey=False)  # also for a missing value
        for y in (point.low, point.middle, point.high, figure.not_finite if point.lost else None):
            if y is not None:
                ax.update_datalim([(x, y)])
    ax.autoscale_view()


def _values(
    ax: Axes,
    figure: FigureOptions,
    series: Series,
    known: list[tuple[Any, DataPoint]],
    aside: float,
    *,
    lines: bool,
    bars: bool,
) -> None:
    if not known:
        return
    x = [place for place, _ in known]
    middle, low, high = zip(*((point.middle, point.low, point.high) for _, point in known), strict=True)
    shifted = ax.transData + _by(ax, aside)
    if lines:
        ax.plot(x, middle, color=series.colour, transform=shifted, linewidth=1.8, zorder=3)
    if figure.spread != "none" and low != high:
        if bars:
            ax.vlines(x, low, high, color=series.colour, transform=shifted, linewidth=1.4, alpha=0.75, zorder=2)
        else:
            ax.fill_between(x, low, high, color=series.colour, alpha=0.15, linewidth=0, zorder=2)
    for hollow in (False, True):
        chosen = [(place, point.middle) for place, point in known if point.hollow == hollow]
        if chosen:
            fill = PAPER if hollow else series.colour
            ax.plot(
                *zip(*chosen, strict=True), linestyle="none", marker=series.marker, color=series.colour,
                transform=shifted, markerfacecolor=fill, markeredgewidth=1.5,
                markersize=6.5 if hollow else 5.5, zorder=4,
            )  # fmt: skip


def _missing(ax: Axes, figure: FigureOptions, series: Series, at: list[tuple[Any, DataPoint]], apart: float) -> None:
    """Draw a cross for values that are not finite, an open diamond for undefined ones; faint if others exist."""
    for kind, style in (("lost", _LOST), ("undefined", _UNDEFINED)):
        for place, point in at:
            number = getattr(point, kind)
            if not number:
                continue
            whole = number == point.total
            free = figure.not_finite is not None and kind == "lost"
            base = ax.transData if free else ax.get_xaxis_transform()
            height = figure.not_finite if free and figure.not_finite is not None else _FOOT
            ax.plot(
                [place], [height], color=series.colour, transform=base + _by(ax, apart),
                linestyle="none", clip_on=False, gid=f"{kind}-{number}", alpha=1 if whole else 0.55, zorder=5,
                **{**style, "markersize": style["markersize"] * (1 if whole else 0.75)},
            )  # fmt: skip


_LOST: dict[str, Any] = {"marker": "x", "markersize": 7.5, "markeredgewidth": 2.0}
_CROSSING: dict[str, Any] = {
    "marker": "o",
    "markersize": 11,
    "markeredgewidth": 1.2,
    "markerfacecolor": "none",
    "color": INK,
}
_UNDEFINED: dict[str, Any] = {"marker": "d", "markersize": 8, "markeredgewidth": 1.3, "markerfacecolor": "none"}


def _crossings(figure: FigureOptions, panel: Panel) -> list[Crossing]:
    return crossings(figure, [(series.label, series.points) for series in panel.series])


def _by(ax: Axes, points: float) -> ScaledTranslation:
    return ScaledTranslation(points / 72, 0, ax.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]


def _even(figure: FigureOptions, ticks: list[Any]) -> bool:
    return figure.x_scale == "even" or _named(ticks)


def _named(ticks: list[Any]) -> bool:
    """Whether values of x are names, not numbers."""
    return any(isinstance(tick, str) or pd.api.types.is_bool(tick) for tick in ticks)


def _scales(
    ax: Axes, figure: FigureOptions, ticks: list[Any], words: Vocabulary, panels: list[Panel], room: float
) -> None:
    """Scales, units and ticks of the axes; each value of x has a tick if there are few."""
    if _even(figure, ticks):
        names, letters = [words.value(figure.x, tick, bare=True) for tick in ticks], room / len(ticks)
        upright = letters < _SHORT and max(map(len, names)) > letters
        names = [_lines(name, 3 * _SHORT if upright else letters) for name in names]
        ax.set_xticks(range(len(ticks)), names, rotation=90 if upright else 0)
        ax.set_xlim(-0.5, len(ticks) - 0.5)
    else:
        _scaled(ax.xaxis, figure.x_scale, ticks)
        if len(ticks) <= _TICKS:
            places = [float(place) for place in ax.xaxis.get_transform().transform(ticks)]
            ax.xaxis.set_major_locator(FixedLocator([ticks[number] for number in _ticked(places, room)]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.value(figure.x, _whole(value), bare=True)))
        ax.margins(x=0.12 if len(ticks) <= _FEW else 0.06)
        if figure.x_limits:
            ax.set_xlim(*figure.x_limits)
    marks = [point for panel in panels for series in panel.series for point in series.points]
    _scaled(ax.yaxis, figure.y_scale, [y for point in marks for y in point[1:4] if y is not None])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.value(figure.y, _whole(value), bare=True)))
    if any(point.lost or point.undefined for point in marks):
        ax.margins(y=0.14)  # room for their marks
    if figure.y_limits:
        ax.set_ylim(*figure.y_limits)
    ax.grid(axis="y")
    ax.tick_params(length=0)
    ax.tick_params("x", length=3)
    ax.spines["left"].set_visible(False)


def _ticked(places: list[float], room: float) -> list[int]:
    """The places along an axis that get a tick: those with enough room for a number."""
    ticked = [0]
    for number, place in enumerate(places):
        if (place - places[ticked[-1]]) * room > _NUMBER * (places[-1] - places[0]):
            ticked.append(number)
    return ticked


def _scaled(axis: Axis, scale: str, values: list[float]) -> None:
    """Set a scale and its ticks; a logarithmic scale with values of zero or below is linear near zero."""
    least = min((abs(value) for value in values if value), default=None)
    down = least is not None and min(values) <= 0
    put = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    if scale == "log" and least is not None:
        put("symlog", linthresh=least, linscale=0.5) if down else put("log")
        axis.set_major_locator(Decades(least if down else None))
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_minor_locator(NullLocator())


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(f"{value:.9g}")


# ---- legends ----------------------------------------------------------------------------------------------------


def _marks_of_lines(ax: Axes, figure: FigureOptions) -> None:
    """Write the names of horizontal lines, in the panel at the upper right."""
    for name, level in figure.lines.items():
        ax.annotate(name, (1, level), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
                    ha="right", va="bottom", fontsize=9, color=MUTED)  # fmt: skip


def _labelled_at_ends(ax: Axes, figure: FigureOptions, panel: Panel, ticks: list[Any], height: float) -> bool:
    """Write names at the ends of lines, unless names are long or ends too close; whether it was done."""
    even = _even(figure, ticks)
    ends = [
        (
            series,
            [
                (ticks.index(point.x) if even else point.x, point.middle)
                for point in series.points
                if point.middle is not None
            ],
        )
        for series in panel.series
        if series.label
    ]
    if _named(ticks) or not ends or not all(known and len(series.label) <= _LONG for series, known in ends):
        return False
    if len({known[-1][0] for _, known in ends}) > 1:
        return False
    low, high = ax.transAxes.inverted().transform(ax.transData.transform([(1, y) for y in ax.get_ylim()]))[:, 1]
    room = 0.8 * height  # of the panel, in points
    wanted = {}
    for series, known in ends:
        at = ax.transAxes.inverted().transform(ax.transData.transform(known[-1]))[1]
        wanted[series.label] = (at - low) / (high - low) * room
    placed = _apart(wanted, 14)
    if any(abs(placed[label] - at) > 30 for label, at in wanted.items()):
        return False
    for series, known in ends:
        moved = placed[series.label] - wanted[series.label]
        arrow = {"arrowstyle": "-", "color": series.colour, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 5}
        ax.annotate(
            series.label, known[-1], (18, moved), textcoords="offset points", va="center",
            annotation_clip=False, arrowprops=arrow if abs(moved) > 1 else None, color=INK,
        )  # fmt: skip
    return True


def _apart(wanted: dict[str, float], least: float) -> dict[str, float]:
    """Heights near the wanted ones, at least `least` apart: neighbours that are too close move as a group."""
    groups: list[list[tuple[str, float]]] = []
    for label_and_height in sorted(wanted.items(), key=lambda item: item[1]):
        groups.append([label_and_height])
        while len(groups) > 1 and _start(groups[-1], least) < _start(groups[-2], least) + len(groups[-2]) * least:
            groups[-2:] = [groups[-2] + groups[-1]]
    return {
        label: _start(group, least) + number * least
        for group in groups
        for number, (label, _) in enumerate(group)
    }  # fmt: skip


def _start(group: list[tuple[str, float]], least: float) -> float:
    return sum(at for _, at in group) / len(group) - (len(group) - 1) * least / 2


def _explained(
    figure: FigureOptions, panels: list[Panel], words: Vocabulary, rows: pd.DataFrame
) -> list[tuple[Line2D, str]]:
    """Legend entries for special marks, with the numbers of chips and seeds."""
    marks = [point for panel in panels for series in panel.series for point in series.points]
    entries = []
    for column, bound in figure.hollow.items():
        if any(point.hollow for point in marks):
            mark = Line2D([], [], marker="o", markerfacecolor=PAPER, markeredgewidth=1.5, color=INK, linestyle="none")
            entries.append((mark, f"hollow: {words.column(column)} {bound}"))
    if figure.crossings and any(_crossings(figure, panel) for panel in panels):
        entries.append((Line2D([], [], linestyle="none", **_CROSSING), "ring: two lines cross"))
    nothing = "undefined, the gradient being all zero" if figure.y.startswith("cosine_") else "no value"
    for kind, style, text in (("lost", _LOST, "not finite"), ("undefined", _UNDEFINED, nothing)):
        numbers = [(getattr(point, kind), point.total) for point in marks if getattr(point, kind)]
        if numbers:
            entries.append(
                (Line2D([], [], color=INK, linestyle="none", **style), f"{text}: {_of(numbers, _of_what(rows))}")
            )
    return entries


def _of(numbers: list[tuple[int, int]], what: str) -> str:
    """Such as `3 to 100 of 100 seeds`."""
    fewest, most = min(number for number, _ in numbers), max(number for number, _ in numbers)
    whole = all(number == count for number, count in numbers)
    some = "all" if whole and fewest < most else f"{most}" if fewest == most else f"{fewest} to {most}"
    counts = "" if some == "all" else f" of {max(count for _, count in numbers)}"
    return f"{some}{counts} {what}" + ("" if whole or fewest == most else "; small where some have a value")


def _of_what(rows: pd.DataFrame) -> str:
    """What a point is the centre of: chips, seeds, or both."""
    several = [name for name in ("chip", "seed") if name in rows and rows[name].nunique() > 1]
    return " and ".join(f"{name}s" for name in several) or "chips"
