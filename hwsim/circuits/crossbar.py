"""A matrix on crossbar tiles: pairs of conductance devices, programmed with errors and read with noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, floor
from typing import NamedTuple

import numpy as np

from hwsim.kernels import compiled
from hwsim.physics import DataSheet


def levels(sheet: DataSheet) -> int:
    """Programming steps from zero to the largest weight."""
    return max(1, round((sheet.conductance.max.value - sheet.conductance.min.value) / sheet.programming.step.value))


def headroom(sheet: DataSheet, weight_range: float) -> float:
    """The largest weight that devices hold, over the largest initial one: `weight_range`, or a little more.

    So much more that the largest initial weight lies on a programming step, where that can be. Between two steps, the
    last bit of the weight would decide which of them is programmed.
    """
    most = levels(sheet)
    steps = floor(most / weight_range)
    return most / steps if steps else weight_range


class Share(NamedTuple):
    """What the tiles on some of a matrix's input lines read with.

    Attributes:
        lines: these input lines.
        weights, spread: of the weights and their variances, `(chips, inputs, outputs)`.
        conductance: of all devices on a line, `(chips, inputs)`.
    """

    lines: slice
    weights: np.ndarray
    spread: np.ndarray
    conductance: np.ndarray


@dataclass
class Crossbar:
    """The devices of one matrix on every chip.

    A weight w is the difference of two conductances: g⁺ = g_min + max(w, 0) s and g⁻ = g_min + max(-w, 0) s, with s
    such that `w_max` takes the whole range. A device is written when its weight comes to lie on another programming
    step, that is, when it has changed by more than half of one; then it gets its target conductance with a fresh
    programming error. What a read multiplies with is the difference that the devices really have.

    Attributes:
        sheet: the device.
        w_max: the largest weight; larger ones are clipped.
        step: the step that each weight was last programmed to, `(chips, rows, columns)`; NaN before that.
        plus, minus: conductances in siemens, of the same shape.
        weights: what a read multiplies with.
        spread: variance of a weight from one read to the next.
        writes: how often each device was written, `(chips, 2, rows, columns)`: those of `plus`, those of `minus`.
    """

    sheet: DataSheet
    w_max: float
    step: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    weights: np.ndarray = field(init=False)
    spread: np.ndarray = field(init=False)
    writes: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        chips, rows, columns = self.plus.shape
        self.writes = np.zeros((chips, 2, rows, columns), np.uint16)
        self._programmed = 0
        self.refresh()

    def program(self, targets: np.ndarray, draws: list[np.random.Generator]) -> tuple[np.ndarray, np.ndarray]:
        """Write the devices whose targets have moved.

        Args:
            targets: weights `(chips, rows, columns)`.
            draws: a stream for each chip.

        Returns:
            For each chip, how many devices were written, and the sum of their target conductances.
        """
        range_, most = self._range, levels(self.sheet)
        step = np.rint(np.clip(targets / self.w_max, -1, 1) * most)
        chips = len(targets)
        written, conductance = np.zeros(chips), np.zeros(chips)
        self._programmed += 1
        if self._programmed == np.iinfo(np.uint16).max:  # from here on a count might not fit
            self.writes = self.writes.astype(np.uint32)
        for side, (sign, devices) in enumerate(((1, self.plus), (-1, self.minus))):
            part, old = np.maximum(sign * step, 0), np.maximum(sign * self.step, 0)
            changed = part != old
            self.writes[:, side] += changed
            goal = self.sheet.conductance.min.value + part * (range_ / most)
            error = self.sheet.programming_error(goal)
            for chip in range(chips):
                where = changed[chip]
                noise = draws[chip].standard_normal(int(where.sum()))
                devices[chip][where] = np.maximum(goal[chip][where] + error[chip][where] * noise, 0)
                written[chip] += where.sum()
                conductance[chip] += goal[chip][where].sum()
        self.step[:] = step
        self.refresh()
        return written, conductance

    def refresh(self) -> None:
        """Work out what a read needs, from the conductances."""
        scale = self.w_max / self._range
        self.weights = ((self.plus - self.minus) * scale).astype(np.float32)
        variance = self.sheet.read_error(self.plus) ** 2 + self.sheet.read_error(self.minus) ** 2
        self.spread = (variance * scale**2).astype(np.float32)
        self.noisy = bool(self.spread.any())
        total = self.plus + self.minus
        self.column_conductance = total.sum(1).astype(np.float32)
        self.row_conductance = total.sum(2).astype(np.float32)
        self._shares: dict[tuple[bool, int], list[Share]] = {}

    def shares(self, transposed: bool, lines: int) -> list[Share]:
        """The matrix, forward or transposed, cut into tiles of so many input lines."""
        shares = self._shares.get((transposed, lines))
        if shares is None:
            weights, spread, conductance = (
                (self.weights, self.spread, self.row_conductance)
                if transposed
                else (self.weights.swapaxes(1, 2), self.spread.swapaxes(1, 2), self.column_conductance)
            )
            cuts = splits(conductance.shape[-1], lines)
            shares = [  # copies, since a product with a turned view takes longer
                Share(cut, *(np.ascontiguousarray(part[:, cut]) for part in (weights, spread, conductance)))
                for cut in cuts
            ]
            self._shares[transposed, lines] = shares
        return shares

    @property
    def _range(self) -> float:
        return self.sheet.conductance.max.value - self.sheet.conductance.min.value


@compiled
def squares(x: np.ndarray, conductance: np.ndarray, full_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The squares of inputs, and for each chip Σ (x / full scale)² G: what a read draws, but for V² t.

    Args:
        x: inputs `(chips, vectors, n)`.
        conductance: of all devices on each input line together, `(chips, n)`.
    """
    chips, vectors, n = x.shape
    out, drawn, line = np.empty_like(x), np.zeros(chips), np.empty(n, np.float32)
    for c in range(chips):
        line[:] = 0
        for v in range(vectors):
            for i in range(n):
                square = x[c, v, i] * x[c, v, i]
                out[c, v, i] = square
                line[i] += square
        for i in range(n):
            drawn[c] += line[i] * conductance[c, i]
    return out, drawn / full_scale**2


def splits(size: int, tile: int) -> list[slice]:
    """Where lines of a matrix are cut to fit tiles."""
    return [slice(start, min(start + tile, size)) for start in range(0, size, tile)]


def tiles(rows: int, columns: int, tile_rows: int, tile_columns: int) -> int:
    """How many tiles a matrix takes."""
    return ceil(rows / tile_rows) * ceil(columns / tile_columns)
