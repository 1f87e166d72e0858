"""Break-even as a figure: energy, memory and time along the axis, with the bands of the sources' ranges."""

from __future__ import annotations

import io

import matplotlib as mpl

from hwsim.reports.figures.canvas import DASHES, INK, SERIES, canvas, legend, quantities
from hwsim.results.breakeven import QUANTITIES, Breakeven

_LABELS = {"memory": "memory at its peak", "time": "time of a sequence"}


def svg(result: Breakeven) -> str:
    """Three panels with a line per system; a vertical line marks where the substrate meets the best reference."""
    values, file = list(result.costs), io.StringIO()
    names = list(result.costs[values[0]])
    with canvas(300, 940) as figure, mpl.rc_context({"svg.hashsalt": "breakeven"}):
        panels = figure.subplots(1, len(QUANTITIES))
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            for number, name in enumerate(names):
                costs = [getattr(result.costs[value][name], quantity.name) for value in values]
                middle, low, high = zip(*costs, strict=True)
                colour = SERIES[number % len(SERIES)]
                axes.plot(values, middle, DASHES[number % len(DASHES)], color=colour, label=name)
                if low != high:
                    axes.fill_between(values, low, high, color=colour, alpha=0.15, linewidth=0)
            for meeting in result.verdicts[quantity.name].stated.meetings:
                axes.axvline(meeting.value, color=INK, linewidth=0.8)
                axes.annotate(f" {meeting.value:g}", (meeting.value, 1), xycoords=("data", "axes fraction"), va="top")
            axes.set_xscale("log")
            axes.set_yscale("log")
            quantities(axes.xaxis, "", log=True)
            axes.grid()
            quantities(axes.yaxis, quantity.unit, log=True)
            axes.set_title(_LABELS.get(quantity.name, f"energy of {result.energy_of}"))
            axes.set_xlabel(result.axis)
        legend(figure, panels[0], columns=len(names))
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
