"""Drift of a data sheet, drawn: what devices conduct over the time since they were programmed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from hwsim import streams
from hwsim.physics import DataSheet
from hwsim.physics.endurance import YEAR
from hwsim.reports.figures.canvas import SERIES, quantities

DEVICES = 400
"""How many devices drift from each conductance."""
STARTS = (1.0, 0.5, 0.1)
"""Shares of the range that they start from."""
_BAND = 10, 90
_POINTS = 60
_MARKS = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86400.0: "1 day", 30 * 86400.0: "30 days", YEAR: "1 year"}


def draw(axes: Axes, device: DataSheet) -> None:
    """The median, and the band that 80 % of the devices are in, of devices that were programmed without an error."""
    ages = np.geomspace(1.0, YEAR, _POINTS)
    normal = streams.generator(0, "drift of a data sheet", device.name).standard_normal(DEVICES)
    for share, colour in zip(STARTS, SERIES, strict=False):
        g = np.full(DEVICES, device.conductance.min.value + share * device.window)
        at_each = np.array([device.drifted(g, normal, float(age)) for age in ages])
        low, median, high = np.percentile(at_each, (_BAND[0], 50, _BAND[1]), axis=1)
        axes.fill_between(ages, low, high, color=colour, alpha=0.3, linewidth=0)
        axes.plot(ages, median, color=colour)
    axes.set_xscale("log")
    axes.set_xlim(1.0, YEAR)
    axes.set_xticks(list(_MARKS), list(_MARKS.values()))
    axes.set_xticks([], minor=True)
    axes.set_xlabel("time since programming")
    axes.set_ylabel("conductance")
    axes.grid(axis="y")
    quantities(axes.yaxis, "S")
