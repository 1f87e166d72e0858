"""What the properties of a device would have to be, as a figure: how far each is from the value that is needed."""

from __future__ import annotations

from math import isfinite

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from hwsim.reports.figures.canvas import INK, PALETTE, Drawing, canvas, drawing
from hwsim.results.specification import Specification, Threshold

_ROW, _REST = 26, 70
"""Height of a row, and of all else."""


def specification(result: Specification) -> Drawing | None:
    """A row per property whose threshold was found: needed over present value, with its interval; None if none was."""
    found = [each for each in result.ranked if isfinite(each.factor)]
    if not found:
        return None
    with canvas(_ROW * len(found) + _REST) as figure:
        axes = figure.subplots()
        axes.axvline(1, color=INK, linewidth=0.8)
        for row, each in enumerate(found):
            low, middle, high = _factors(each)
            colour = PALETTE[{True: "green", False: "orange", None: "slate"}[each.good_enough]]
            if isfinite(low):
                axes.plot([low, high], [row, row], color=colour, linewidth=1.6)
            axes.plot([middle], [row], "o" if each.good_enough else "D", color=colour, markersize=6)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×"))
        axes.set_yticks(range(len(found)), [each.sought.name for each in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xlabel("← has to become better | may be worse →")
        axes.grid(axis="x")
        return drawing(
            figure,
            f"specification-{result.measure}",
            f"How far is each property of {result.device} from what is needed?",
            "How many times worse each property may become, alone; left of 1 it has to become better. Bars are 95 % "
            "intervals; diamonds are not, or not surely, good enough.",
        )


def _factors(each: Threshold) -> tuple[float, float, float]:
    """The factor, between the ends of its interval."""
    now, (value, low, high) = each.sought.now, each.within
    factors = [now / end if each.sought.whole else end / now for end in (low, value, high) if end > 0]
    if len(factors) < 3:
        return float("nan"), each.factor, float("nan")
    first, middle, last = factors
    return min(first, last), middle, max(first, last)
