"""Where two lines of a figure cross: from which x on one is above the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import exp, log
from typing import NamedTuple

from hwsim.config.study import FigureOptions
from hwsim.reports.figures.points import DataPoint


class Crossing(NamedTuple):
    """Where two lines cross.

    Attributes:
        x, y: the place, on straight lines between points as the figure draws them.
        above, below: the labels of the line that is above from here on, and of the other one.
    """

    x: float
    y: float
    above: str
    below: str


def crossings(figure: FigureOptions, lines: Sequence[tuple[str, list[DataPoint]]]) -> list[Crossing]:
    """All crossings of the lines of a panel, from left to right. Lines that meet and go on alike do not cross.

    Two lines are compared between neighbouring x that both of them have. On a logarithmic scale, which has to be above
    zero for this, lines are straight in the logarithm.
    """
    known = {label: {float(point.x): point.middle for point in of if point.middle is not None} for label, of in lines}
    found = []
    for (one, first), (other, second) in combinations(known.items(), 2):
        places = sorted(first.keys() & second.keys())
        if _not_positive(figure, places, [*first.values(), *second.values()]):
            continue
        apart = [
            (_scaled(figure.x_scale, x), _scaled(figure.y_scale, first[x]), _scaled(figure.y_scale, second[x]))
            for x in places
        ]
        before: tuple[float, float, float] | None = None
        met: tuple[float, float] | None = None
        for x, y, z in apart:
            if y == z:
                met = x, y  # lines may go on alike from here, or cross
                continue
            if before is not None and (before[1] > before[2]) != (y > z):
                far, high, deep = before
                share = (high - deep) / (high - deep - y + z)
                place = met or (far + share * (x - far), high + share * (y - high))
                names = (one, other) if y > z else (other, one)
                found.append(Crossing(_back(figure.x_scale, place[0]), _back(figure.y_scale, place[1]), *names))
            before, met = (x, y, z), None
    return sorted(found)


def _not_positive(figure: FigureOptions, x: list[float], y: list[float]) -> bool:
    """Whether a value is at zero or below on a logarithmic scale."""
    return (figure.x_scale == "log" and min(x, default=1) <= 0) or (figure.y_scale == "log" and min(y) <= 0)


def _scaled(scale: str, value: float) -> float:
    return log(value) if scale == "log" else value


def _back(scale: str, value: float) -> float:
    return exp(value) if scale == "log" else value
