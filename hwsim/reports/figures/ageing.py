"""Accuracy, or loss if there is none, over the age of the devices; bands span the chips."""

from __future__ import annotations

from matplotlib.ticker import FixedLocator, NullLocator

from hwsim.reports.ageing import Line, lines, measured, span
from hwsim.reports.figures.canvas import DASHES, MARKERS, MUTED, SERIES, Drawing, canvas, drawing, legend, percent
from hwsim.reports.tables import Systems


def ageing(systems: Systems) -> Drawing | None:
    """A line for each system and each thing that is done about drift; None if no devices aged."""
    found = [line for line in lines(systems) if all(measured(test).median is not None for test in line.tests)]
    if not found:
        return None
    accuracy = found[0].tests[0].accuracy is not None
    waits = sorted({age for line in found for age in line.ages})
    with canvas(290) as figure:
        axes = figure.subplots()
        for place, line in enumerate(found):
            spreads = [measured(test) for test in line.tests]
            chips = [[value for value in spread.per_chip if value is not None] for spread in spreads]
            colour = SERIES[place % len(SERIES)]
            lowest, highest = [min(each) for each in chips], [max(each) for each in chips]
            axes.fill_between(line.ages, lowest, highest, color=colour, alpha=0.16, linewidth=0)
            axes.plot(
                line.ages,
                [spread.median or 0.0 for spread in spreads],
                DASHES[place % len(DASHES)],
                marker=MARKERS[place % len(MARKERS)],
                markersize=4.5,
                color=colour,
                label=line.name,
            )
        fresh = measured(found[0].system).median
        if fresh is not None:
            axes.axhline(fresh, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(waits))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([span(wait) for wait in waits])
        axes.set_xlabel("since the devices were written")
        axes.set_ylabel("test accuracy" if accuracy else "test loss")
        if accuracy:
            percent(axes.yaxis)
        axes.grid()
        legend(figure, axes, 1)
        return drawing(
            figure,
            "ageing",
            _heading(found[0], accuracy),
            "Lines are medians over chips, bands reach from the worst chip to the best, on a logarithmic axis of time. "
            "Dashed across: the first system, just written.",
        )


def _heading(line: Line, accuracy: bool) -> str:
    """What drift does to the first line: that of devices as they are."""
    first, last = measured(line.system).median, measured(line.tests[-1]).median
    told = [f"{value:.1%}" if accuracy else f"{value:.3g}" for value in (first, last) if value is not None]
    return (
        f"{line.name}, {'accuracy' if accuracy else 'loss'} goes from {told[0]} to {told[-1]} in {span(line.ages[-1])}"
    )
