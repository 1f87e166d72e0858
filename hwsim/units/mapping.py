"""The mapping of weights to pairs of conductances, and of a matrix to tiles."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.physics import DataSheet


@dataclass(frozen=True)
class Mapping:
    """How weights are conductances.

    A weight w is the difference of two conductances: g⁺ = g_min + max(w, 0) s and g⁻ = g_min + max(-w, 0) s, with s
    such that `w_max` takes the whole range. Targets lie on the programming steps of the data sheet.

    Attributes:
        sheet: the device.
        w_max: the weight that takes the whole range.
        reach: where weights are clipped, in multiples of it.
    """

    sheet: DataSheet
    w_max: float
    reach: float = 1.0

    @property
    def levels(self) -> int:
        """Programming steps from zero to the largest weight."""
        return levels(self.sheet)

    @property
    def furthest(self) -> int:
        """Programming steps from zero to where weights are clipped."""
        return max(1, floor(self.levels * self.reach))

    @property
    def clipped_at(self) -> float:
        """The largest weight that is programmed."""
        return self.w_max * (self.furthest / self.levels)

    @property
    def unit(self) -> float:
        """What stands for one step in digital words: a power of two, so that the last step fits into every format."""
        return 2.0 ** -self.levels.bit_length()

    def goal(self, part: np.ndarray) -> np.ndarray:
        """The target conductance of a device at so many steps from zero, in siemens."""
        return np.asarray(self.sheet.conductance.min.value + part * (self.sheet.window / self.levels))

    @property
    def most(self) -> float:
        """The largest conductance that pulses lead to, in siemens."""
        g = self.sheet.conductance
        return g.max.value if self.reach == 1 else g.min.value + self.reach * self.sheet.window

    @property
    def scale(self) -> float:
        """Weight per siemens."""
        return self.w_max / self.sheet.window


@dataclass(frozen=True)
class Referenced(Mapping):
    """How weights are conductances of devices that answer to pulses by a law, up and down: sheets with an `update`.

    A weight is what one device has beyond a reference beside it, w = (g - g_ref) s, with s such that `w_max` takes half
    of the window. The reference is at the conductance of x = 0, or at the symmetry point of its device; it is
    programmed once, and pulses never reach it. Where x = 0 is not the middle of the window, weights of one sign reach
    further than those of the other. With a `reach`, the window is as many times as wide, and steps stay.
    """

    @property
    def per_x(self) -> float:
        """Conductance per unit of x, in siemens."""
        assert self.sheet.update is not None
        return self.sheet.window / (self.sheet.update.high - self.sheet.update.low)

    @property
    def zero(self) -> float:
        """The conductance of x = 0, in siemens."""
        assert self.sheet.update is not None
        return self.sheet.conductance.min.value - self.reach * self.sheet.update.low * self.per_x

    def goal(self, part: np.ndarray) -> np.ndarray:
        """The target conductance of a device at so many steps of either sign from x = 0, in siemens."""
        return np.asarray(self.zero + part * (self.sheet.window / 2 / self.levels))

    @property
    def scale(self) -> float:
        """Weight per siemens."""
        return 2 * self.w_max / self.sheet.window

    @property
    def pulse(self) -> float:
        """Change of a weight by one pulse at x = 0."""
        assert self.sheet.update is not None
        return self.sheet.update.step * self.per_x * self.scale


@dataclass(frozen=True)
class OneWay(Referenced):
    """How weights are pairs of devices that pulses drive upward only: sheets whose `update` is `one_way`.

    Weights are those of `Mapping`, w = (g⁺ - g⁻) s, with s such that `w_max` takes the whole window.
    """

    def goal(self, part: np.ndarray) -> np.ndarray:
        """The target conductance of a device at so many steps from zero, in siemens."""
        return Mapping.goal(self, part)

    @property
    def scale(self) -> float:
        """Weight per siemens."""
        return self.w_max / self.sheet.window

    @property
    def pulse(self) -> float:
        """Change of a weight by one pulse in the middle of the window."""
        return float(self._nominal[0]) * self.per_x * self.scale

    @property
    def _nominal(self) -> tuple[float, np.ndarray]:
        """What a pulse changes x by in the middle of the window, and x after 0, 1, 2, … pulses from a reset on."""
        law = self.sheet.update
        assert law is not None
        drawn = law.model_copy(update={"corrupt": 0.0}).draw(1, lambda _: np.zeros(1))
        x, reached = np.full(1, law.reset), [law.reset]
        while len(reached) <= MOST_PULSES and (change := float(law.change(x, True, drawn)[0])) > 0:
            x = np.minimum(x + change, law.high)
            reached.append(float(x[0]))
            if x[0] == law.high:
                break
        return float(law.change(np.full(1, law.high / 2), True, drawn)[0]), np.array(reached)

    @property
    def most_pulses(self) -> int:
        """From a reset to the largest x."""
        return len(self._nominal[1]) - 1

    def pulses_to(self, difference: np.ndarray) -> np.ndarray:
        """How many pulses lead from a reset to so much more x, as near as whole pulses come."""
        reached = self._nominal[1] - self._nominal[1][0]
        return np.asarray(np.searchsorted((reached[1:] + reached[:-1]) / 2, difference))


MOST_PULSES = 10_000
"""What is not reached by so many pulses is not reached."""


def mapping(sheet: DataSheet, w_max: float, reach: float) -> Mapping:
    """How devices of a data sheet hold weights."""
    if sheet.update is None:
        return Mapping(sheet, w_max, reach)
    return (OneWay if sheet.update.one_way else Referenced)(sheet, w_max, reach)


def levels(sheet: DataSheet, shifted: bool = False) -> int:
    """Programming steps from zero to the largest weight; `shifted` weights have half of the window for either sign."""
    whole = not shifted and (sheet.update is None or sheet.update.one_way)
    span = sheet.window if whole else sheet.window / 2
    return max(1, round(span / sheet.programming.step.value))


def _percentile(weights: np.ndarray, percent: float) -> float:
    """So many percent of weights have a size of at most this one."""
    return float(np.percentile(np.abs(weights), percent))


PERCENTILE = Primitive(_percentile, lambda expected, *_: 1.0)


def headroom(sheet: DataSheet, weight_range: float, shifted: bool = False) -> float:
    """The largest weight that devices hold, over the largest initial one: `weight_range`, or a little more.

    So much more that the largest initial weight lies on a programming step, where that can be. Between two steps, the
    last bit of the weight would decide which of them is programmed.
    """
    most = levels(sheet, shifted)
    steps = floor(most / weight_range)
    return most / steps if steps else weight_range


def splits(size: int, tile: int) -> list[slice]:
    """Where lines of a matrix are cut to fit tiles."""
    return [slice(start, min(start + tile, size)) for start in range(0, size, tile)]


def tiles(rows: int, columns: int, tile_rows: int, tile_columns: int) -> int:
    """How many tiles a matrix takes."""
    return ceil(rows / tile_rows) * ceil(columns / tile_columns)
