"""What limits a machine, as a figure: a row per imperfection, with the differences when it is off, and doubled."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hwsim.reports.figures.canvas import INK, MARKERS, SERIES, canvas, legend, written
from hwsim.results.limits import CHANGES, Limits, Measure

_ROW, _REST = 17, 90
"""Height of a row, and of all else."""
_ACROSS = {
    "cosine": "difference of the cosine (better →)",
    "change_cosine": "difference of the cosine of the change (better →)",
    "loss": "difference of the loss (← better)",
}


def svg(result: Limits) -> str:
    """A panel per measure, rows ranked by the first; bars are 95 % intervals, and filled marks leave zero out."""
    measures, names = result.measures, [limit.name for limit in result.ranked(result.measures[0])]
    with canvas(_ROW * len(names) + _REST, 520 + 260 * (len(measures) - 1)) as figure:
        panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
        for axes, measure in zip(panels, measures, strict=True):
            _panel(axes, result, measure)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        legend(figure, panels[0], columns=len(CHANGES))
        return written(figure, "limits")


def _panel(axes: Axes, result: Limits, measure: Measure) -> None:
    axes.axvline(0, color=INK, linewidth=0.8)
    for number, change in enumerate(CHANGES):
        label: str | None = change
        for row, limit in enumerate(result.ranked(result.measures[0])):
            found = limit.differences.get((change, measure.name))
            if found is None or not found.observations:
                continue
            half = 0.0 if found.low != found.low else (found.high - found.low) / 2
            axes.errorbar(
                found.mean,
                row + 0.3 * (number - 0.5),
                xerr=half,
                fmt=MARKERS[number],
                markersize=5,
                elinewidth=1.2,
                color=SERIES[number],
                markerfacecolor=SERIES[number] if limit.verdict(change, measure) else "none",
                label=label,
            )
            label = None
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(_ACROSS[measure.name])
