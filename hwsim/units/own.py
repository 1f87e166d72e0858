"""What each device has of its own: the range of conductance that it reaches, and how much its reads scatter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.physics import DataSheet
from hwsim.physics.spread import Spread
from hwsim.streams import Draws

_NONE = Spread(assumed="all devices are alike")


class Own:
    """The numbers of the devices of one matrix on every chip, drawn once, each kind from a stream of its own.

    Args:
        sheets: the data sheet of each chip's devices.
        shape: of their conductances, `(chips, devices per weight, rows, columns)`.
        reach: how many times as wide the range is as that of the sheet.
        draws: for `least`, `most` and `noise` of each chip.

    Attributes:
        least, most: the ends of each device's range, in siemens; None where all devices have that of the sheet.
        noise: how many times the sheet's read noise each has; None where all have that.
    """

    least: np.ndarray | None = None
    most: np.ndarray | None = None
    noise: np.ndarray | None = None

    def __init__(self, sheets: Sequence[DataSheet], shape: tuple[int, ...], reach: float, draws: Draws) -> None:
        laws = [_NONE if sheet.spread is None else sheet.spread for sheet in sheets]
        if any(law.min or law.max for law in laws):
            self.least, self.most = np.empty(shape), np.empty(shape)
            for chip, (sheet, law) in enumerate(zip(sheets, laws, strict=True)):
                g = sheet.conductance
                normals = (
                    draws(chip, "least").standard_normal(shape[1:]),
                    draws(chip, "most").standard_normal(shape[1:]),
                )
                self.least[chip], most = law.range(g.min.value, g.max.value, normals)
                self.most[chip] = most if reach == 1 else g.min.value + reach * (most - g.min.value)
        if any(law.reads for law in laws):
            self.noise = np.empty(shape, np.float32)
            for chip, law in enumerate(laws):
                self.noise[chip] = law.factor(draws(chip, "noise").standard_normal(shape[1:], np.float32))

    def within(self, goal: np.ndarray, which: Any) -> np.ndarray:
        """Target conductances, clipped to what these devices reach."""
        if self.least is None or self.most is None:
            return goal
        return np.clip(goal, self.least[which], self.most[which])


def _give(devices: Any, sheets: Sequence[DataSheet], reach: float, draws: Draws) -> None:
    """Have devices differ as their data sheets say."""
    if any(sheet.spread is not None for sheet in sheets):
        devices.own = Own(sheets, devices.conductance.shape, reach, draws)
        devices.refresh()


GIVE = Primitive(_give, lambda expected, devices, sheets, reach, draws: None)


def kept(sheet: DataSheet, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """As large as what is kept of devices that differ."""
    spread = sheet.spread or _NONE
    if spread.min or spread.max:
        yield blank(shape, np.dtype(float))
        yield blank(shape, np.dtype(float))
    if spread.reads:
        yield blank(shape)
