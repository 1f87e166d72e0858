"""Devices that neither programming nor pulses move: faulty from the start, or worn out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.physics import DataSheet
from hwsim.streams import Draws


class Stuck:
    """Which devices of a matrix are stuck, and at what conductance; they are held there whenever devices are written.

    Which are faulty, and how long each lives, is drawn once for each chip, from streams of their own.

    Args:
        sheets: the data sheet of each chip's devices.
        shape: of their conductances, `(chips, 2, rows, columns)`.
        draws: for faults and for lives.

    Attributes:
        faulty: devices of each chip that do not work from the start.
        worn: devices of each chip that died since.
    """

    def __init__(self, sheets: Sequence[DataSheet], shape: tuple[int, ...], draws: Draws) -> None:
        self._sheets, (chips, *rest) = sheets, shape
        self._size = int(np.prod(rest))
        self.faulty, self.worn = np.zeros(chips, int), np.zeros(chips, int)
        self._where, self._at = np.zeros(0, np.intp), np.zeros(0)
        for chip, sheet in enumerate(sheets):
            if sheet.faults is not None and sheet.faults.share:
                least, most = sheet.conductance.min.value, sheet.conductance.max.value
                where, at = sheet.faults.draw(self._size, least, most, draws(chip, "faults"))
                self.faulty[chip] = where.size
                self._add(chip * self._size + where, at)
        self._mortal = any(sheet.endurance is not None for sheet in sheets)
        self._lives = [self._drawn(sheet, partial(draws, chip, "lives")) for chip, sheet in enumerate(sheets)]
        """How many writes each device of a chip survives."""
        self._first = self._next_death()

    def _drawn(self, sheet: DataSheet, draw: Callable[[], np.random.Generator]) -> np.ndarray:
        law = sheet.endurance
        if law is None or law.spread is None:  # one number for all, until the first of them dies
            return np.broadcast_to(np.inf if law is None else law.lives(np.zeros(1)), self._size)
        return law.lives(draw().standard_normal(self._size))

    def _next_death(self) -> float:
        """The least write with which a device dies that is alive."""
        return min(float(lives.min()) for lives in self._lives)

    def _add(self, where: np.ndarray, at: np.ndarray) -> None:
        self._where, self._at = np.concatenate([self._where, where]), np.concatenate([self._at, at])

    def hold(self, conductance: np.ndarray, writes: np.ndarray) -> None:
        """Hold stuck devices where they are, and narrow the range of others; devices written to death die.

        Args:
            conductance: in siemens, changed in place.
            writes: of each device until now.
        """
        if self._mortal:
            self._narrow(conductance, writes)
            if writes.max(initial=0) >= self._first:
                np.put(conductance, self._where, self._at)  # what was stuck before stays there
                self._wear(conductance, writes)
        np.put(conductance, self._where, self._at)

    def _narrow(self, conductance: np.ndarray, writes: np.ndarray) -> None:
        """Lower what conducts more than its device still can; what lies above the range by error is part of it."""
        for chip, sheet in enumerate(self._sheets):
            law = sheet.endurance
            if law is not None and law.narrows is not None:
                g, used = conductance[chip].reshape(-1), writes[chip].reshape(-1) / self._lives[chip]
                np.minimum(g, law.largest(used, sheet.conductance.min.value, sheet.conductance.max.value), out=g)

    def _wear(self, conductance: np.ndarray, writes: np.ndarray) -> None:
        """Have devices die that were written as often as they survive."""
        for chip, lives in enumerate(self._lives):
            law, g = self._sheets[chip].endurance, self._sheets[chip].conductance
            where = np.flatnonzero(writes[chip].reshape(-1) >= lives)
            if law is None or not where.size:
                continue
            ends = {"low": g.min.value, "high": g.max.value, "open": 0.0}
            now = conductance[chip].reshape(-1)[where]
            self._lives[chip] = np.where(writes[chip].reshape(-1) >= lives, np.inf, lives)  # it dies once
            alive = ~np.isin(chip * self._size + where, self._where)
            where, now = where[alive], now[alive]
            self.worn[chip] += where.size
            self._add(chip * self._size + where, np.full(where.size, ends[law.dead]) if law.dead in ends else now)
        self._first = self._next_death()


def _beset(devices: Any, sheets: Sequence[DataSheet], draws: Draws) -> None:
    """Have devices be faulty, and mortal, as their data sheets say."""
    if any(sheet.faults is not None or sheet.endurance is not None for sheet in sheets):
        devices.stuck = Stuck(sheets, devices.conductance.shape, draws)


BESET = Primitive(_beset, lambda expected, devices, sheets, draws: None)


def kept(sheet: DataSheet, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """As large as what is kept of stuck devices."""
    found: tuple[np.ndarray, ...] = ()
    if sheet.faults is not None:
        faulty = int(np.ceil(np.prod(shape, dtype=float) * sheet.faults.share))
        found += blank((faulty,), np.intp), blank((faulty,), np.dtype(float))
    if sheet.endurance is not None and sheet.endurance.spread is not None:
        found += (blank(shape, np.dtype(float)),)
    return found
