"""The devices of one matrix: programmed with errors, read with noise, and counted as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from hwsim.machine.numerics import Primitive, Pulses
from hwsim.machine.shapes import Expectations, blank
from hwsim.physics import DataSheet
from hwsim.units.coloured import Coloured
from hwsim.units.coloured import kept as kept_of_noise
from hwsim.units.mapping import Mapping
from hwsim.units.own import Own
from hwsim.units.own import kept as kept_of_own
from hwsim.units.stuck import Stuck, kept
from hwsim.units.wires import Wires


class Cut(NamedTuple):
    """What the tiles on some of a matrix's input lines read with.

    Attributes:
        lines: these input lines.
        weights, spread: of the weights and their variances, `(chips, inputs, outputs)`.
        conductance: of all devices on a line, `(chips, inputs)`.
        sides: the same of positive devices alone and of negative ones alone, where they are read apart.
    """

    lines: slice
    weights: np.ndarray
    spread: np.ndarray
    conductance: np.ndarray
    sides: Any = ()


class Written(NamedTuple):
    """Devices as they were before a wait, and what tells how old each of them is.

    Attributes:
        conductance: after the last write of each device, in siemens, `(chips, 2, rows, columns)`.
        before: the same when the wait began.
        waited: seconds since the last write.
    """

    conductance: np.ndarray
    before: np.ndarray
    waited: np.ndarray


class Devices:
    """The devices of one matrix on every chip, in pairs: those of positive weights and those of negative ones.

    A device is written when its weight comes to lie on another programming step, that is, when it has changed by more
    than half of one; then it gets its target conductance with a fresh programming error. What a read multiplies with is
    the difference that the devices really have.

    Args:
        mapping: how weights are conductances.
        conductance: in siemens, `(chips, 2, rows, columns)`; the array of a storage, changed in place.
        sheets: the data sheet of each chip's devices, where they differ in their errors.

    Attributes:
        plus, minus: the two conductances of each weight, views of `conductance`.
        weights: what a read multiplies with, `(chips, rows, columns)`.
        spread: variance of a weight from one read to the next.
        writes: how often each device was written, `(chips, 2, rows, columns)`.
        through: the wires that they are read through, and the size of a tile; None where wires have no resistance.
        stuck: what is faulty or worn out; None where data sheets have neither.
        coloured: signals of their read noise that have a memory; None where it is white.
        own: what each device has of its own; None where all are alike.
    """

    through: tuple[Wires, int, int] | None = None
    coloured: Coloured | None = None
    own: Own | None = None

    def __init__(self, mapping: Mapping, conductance: np.ndarray, sheets: Sequence[DataSheet] = ()) -> None:
        self.mapping, self.conductance = mapping, conductance
        self._sheets = sheets or [mapping.sheet] * len(conductance)
        self._look()
        self.writes = np.zeros(conductance.shape, np.uint16)
        self._programmed = 0
        self._written: Written | None = None
        self.stuck: Stuck | None = None
        self.refresh()

    def _look(self) -> None:
        self.plus, self.minus = self.conductance[:, 0], self.conductance[:, 1]

    @property
    def count(self) -> int:
        """Devices on one chip."""
        return int(self.conductance[0].size)

    @property
    def remembered(self) -> np.ndarray:
        """The weights that pulses go on from, `(chips, rows, columns)`; here those that are read."""
        return self.weights.astype(float)

    def wait(self, seconds: float, draws: Sequence[np.random.Generator]) -> None:
        """Let the devices drift for a while after the last write of each, until `unwait`.

        Each of them has an exponent of its own, drawn once for each write, since a write leaves another volume of
        amorphous material. Until devices are written again it is the same, however long the wait is: the stream is
        that of the devices as they stand.

        Args:
            seconds: since they were written; what training takes is short beside the start of drift.
            draws: one stream per chip, from its start.
        """
        self.unwait()
        fresh = self.conductance.copy()
        self._written = Written(fresh.copy(), fresh, np.full(fresh.shape, seconds))
        for chip, (sheet, draw) in enumerate(zip(self._sheets, draws, strict=True)):
            normal = draw.standard_normal(fresh[chip].shape)
            self.conductance[chip] = sheet.drifted(fresh[chip], normal, seconds)
        self.refresh()

    def unwait(self) -> None:
        """Have the devices as they were before the wait; what was written since is lost."""
        if self._written is not None:
            self.conductance[:] = self._written.before
            self._written = None
            self.refresh()

    def current(self, draws: Sequence[np.random.Generator]) -> np.ndarray:
        """For each chip, what all devices conduct together in one read of them, in siemens, with the noise of reading.

        Args:
            draws: one stream per chip.
        """
        noise = np.sqrt(self.spread.sum((1, 2), dtype=float)) / self.mapping.scale
        total = self.conductance.sum((1, 2, 3), dtype=float)
        if self.coloured is not None:
            total += (self._error * self.coloured.normal).sum((1, 2, 3), dtype=float)
        return np.asarray(total + noise * [draw.standard_normal() for draw in draws])

    def _rewritten(self, which: tuple[Any, ...] | np.ndarray) -> None:
        """Devices that were written just now: they are as they are, and young."""
        if self._written is not None:
            self._written.conductance[which] = self.conductance[which]
            self._written.waited[which] = 0

    def program(
        self, wanted: np.ndarray, before: np.ndarray, moved: np.ndarray, draws: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write the devices of the weights that moved; one that stays at its least conductance is left alone.

        Args:
            wanted, before: the steps to program, and those that were programmed last, as words `(chips, 1, weights)`;
                not a number where there were none.
            moved: 1 where they differ, else 0.
            draws: one stream per chip.

        Returns:
            For each chip, how many devices were written, and the sum of their target conductances.
        """
        chips, (rows, columns) = len(wanted), self.conductance.shape[2:]
        wanted, before, moved = (words.reshape(chips, rows, columns) for words in (wanted, before, moved))
        written, conductance = np.zeros(chips), np.zeros(chips)
        self._programmed += 1
        if self._programmed == np.iinfo(np.uint16).max:  # from here on a count might not fit
            self.writes = self.writes.astype(np.uint32)
        for side, sign in enumerate((1, -1)):
            pulsed = (moved != 0) & ~((sign * wanted <= 0) & (sign * before <= 0))
            self.writes[:, side] += pulsed
            for chip, where in enumerate(pulsed):
                goal = self.mapping.goal(np.maximum(sign * wanted[chip][where], 0) / self.mapping.unit)
                goal = self._reached(goal, (chip, side, where))
                error = self._sheets[chip].programming_error(goal) * draws[chip].standard_normal(goal.size)
                self.conductance[chip, side][where] = np.maximum(goal + error, 0)
                self._rewritten((chip, side, where))
                written[chip] += goal.size
                conductance[chip] += goal.sum()
        self.refresh()
        return written, conductance

    def _reached(self, goal: np.ndarray, which: tuple[Any, ...]) -> np.ndarray:
        """Target conductances as near as devices come to them."""
        return goal if self.own is None else self.own.within(goal, which)

    @property
    def _ends(self) -> tuple[Any, Any]:
        """The least and the largest conductance, of all devices or of each."""
        if self.own is None or self.own.least is None:
            return self.mapping.sheet.conductance.min.value, self.mapping.most
        return self.own.least, self.own.most

    def split(self, change: np.ndarray, pulses: Pulses | None) -> tuple[np.ndarray, np.ndarray]:
        """How changes of weights are shared by the two devices of each.

        A change of either sign first takes the device that is against it back to its least conductance, then drives the
        other one, which stops at its largest. Without errors one device of each pair so stays at its least.

        Returns:
            Changes of conductance, and the numbers of pulses, `(chips, 2, rows, columns)` each.
        """
        change = np.where(np.isfinite(change), change, 0.0)  # no pulses where learning has diverged
        wanted, negative = np.abs(change) / self.mapping.scale, change < 0
        above = self.conductance - self._ends[0]
        against = np.where(negative, above[:, 0], above[:, 1])
        back = np.minimum(np.maximum(against, 0), wanted)
        ahead = wanted - back
        each = wanted if pulses is None else np.full_like(wanted, pulses.step / self.mapping.scale)
        counts = np.ceil(np.stack([ahead, back], 1) / np.where(each > 0, each, 1)[:, None] - _FUZZ)
        changes = np.stack([ahead, -back], 1)
        turned = negative[:, None]
        return (
            np.where(turned, changes[:, ::-1], changes),
            np.maximum(np.where(turned, counts[:, ::-1], counts), 0),
        )

    def count_pulses(self, change: np.ndarray, pulses: Pulses | None) -> tuple[np.ndarray, np.ndarray]:
        """For each chip, how many pulses such changes of weights take, and the sum of the conductances they meet."""
        counts = self.split(change, pulses)[1]
        return counts.sum((1, 2, 3)), (counts * self.conductance).sum((1, 2, 3))

    def pulse(self, change: np.ndarray, pulses: Pulses | None) -> np.ndarray:
        """Change the weights by pulses, to which devices respond linearly; gives the weights."""
        changes, counts = self.split(change, pulses)
        changed, most = changes != 0, np.maximum(self._ends[1], self.conductance)
        self.conductance[changed] = np.clip(self.conductance + changes, 0, most)[changed]
        self._rewritten(changed)
        self._count_writes(counts)
        self.refresh()
        return self.weights

    def _count_writes(self, counts: np.ndarray, side: Any = slice(None)) -> None:
        """Every pulse is a write; of both devices of each weight, or of one of them."""
        self._programmed += int(counts.max(initial=0))
        if self._programmed >= np.iinfo(self.writes.dtype).max:  # from here on a count might not fit
            self.writes = self.writes.astype(np.uint64)
        self.writes[:, side] += counts.astype(self.writes.dtype)

    def wear_as(self, other: Devices) -> None:
        """Be written as often as the same devices elsewhere, and as dead."""
        self.writes, self._programmed, self.stuck = other.writes.copy(), other._programmed, deepcopy(other.stuck)

    def refresh(self) -> None:
        """Work out what a read needs, from the conductances, once those of stuck devices are what they stay at."""
        if self.stuck is not None:
            self.stuck.hold(self.conductance, self.writes)
        scale = self.mapping.scale
        self.weights = ((self.plus - self.minus) * scale).astype(np.float32)
        self.spread = np.empty(self.weights.shape, np.float32)
        if self.coloured is not None:
            self._error = np.empty(self.conductance.shape, np.float32)
        first = 0
        for sheet, group in groupby(self._sheets):
            chips = slice(first, first := first + len(list(group)))
            errors = self._read_error(sheet, chips, 0), self._read_error(sheet, chips, 1)
            self.spread[chips] = (errors[0] ** 2 + errors[1] ** 2) * scale**2
            if self.coloured is not None:
                self._error[chips] = np.stack(errors, 1)
                self.spread[chips] *= self.coloured.white
        self.noisy = bool(self.spread.any())
        self._seen: np.ndarray | None = None
        total = self.plus + self.minus
        self._lines = {False: total.sum(1).astype(np.float32), True: total.sum(2).astype(np.float32)}

    def _read_error(self, sheet: DataSheet, chips: slice, side: int) -> np.ndarray:
        """σ of the devices of either sign from one read to the next, in siemens, at their age."""
        g, written = self.conductance[chips, side], self._written
        if written is None:
            error = sheet.read_error(g)
        else:
            error = sheet.read_error(g, written.conductance[chips, side], written.waited[chips, side])
        return error if self.own is None or self.own.noise is None else error * self.own.noise[chips, side]

    def spread_of(self, side: int) -> np.ndarray:
        """The part of `spread` that is of the devices of positive weights, 0, or of negative ones, 1."""
        found, scale = np.empty(self.weights.shape, np.float32), self.mapping.scale
        for chip, sheet in enumerate(self._sheets):
            found[chip] = (self._read_error(sheet, slice(chip, chip + 1), side)[0] * scale) ** 2
        return found if self.coloured is None else found * np.float32(self.coloured.white)

    @property
    def seen(self) -> np.ndarray:
        """What a read multiplies with behind the wires, `(chips, rows, columns)`; worked out once for each write."""
        if self.through is None:
            return self.weights
        if self._seen is None:
            wires, rows, columns = self.through
            plus, minus = wires.seen(self.conductance, rows, columns).swapaxes(0, 1)
            self._seen = ((plus - minus) * self.mapping.scale).astype(np.float32)
        return self._seen

    def cut(self, transposed: bool, lines: slice) -> Cut:
        """What the tiles on some input lines of the matrix read with, forward or transposed."""
        weights, spread = self.seen, self.spread
        if self.coloured is not None:
            plus, minus = (self._error * self.coloured.normal).swapaxes(0, 1)
            weights = weights + (plus - minus) * np.float32(self.mapping.scale)
        if not transposed:
            weights, spread = weights.swapaxes(1, 2), spread.swapaxes(1, 2)
        parts = weights, spread, self._lines[transposed]  # copied, since a product with a turned view takes longer
        return Cut(lines, *(np.ascontiguousarray(part[:, lines]) for part in parts))


class BlankDevices:
    """Devices of which only the number is known, and what is expected of their conductance."""

    noisy = False
    through: tuple[Wires, int, int] | None = None
    coloured: Coloured | None = None

    def __init__(
        self, expected: Expectations, mapping: Mapping, conductance: np.ndarray, sheets: Sequence[DataSheet] = ()
    ) -> None:
        self.mapping, self.expected, self.conductance = mapping, expected, conductance
        self.shape = len(conductance), *conductance.shape[2:]
        self.plus = self.minus = self.weights = blank(self.shape)
        sheet = mapping.sheet
        self._typical = sheet.conductance.min.value + expected.conductance * sheet.window
        self._programmed = False

    @property
    def count(self) -> int:
        """Devices on one chip."""
        return int(self.conductance[0].size)

    @property
    def _share(self) -> float:
        """How many of the devices an update writes."""
        return self.expected.written

    @property
    def kept(self) -> tuple[np.ndarray, ...]:
        """As large as counts of writes, weights, their variances, those behind wires, and what single devices have."""
        shape = self.conductance.shape
        behind = () if self.through is None else (blank(self.shape),)
        stuck = kept(self.mapping.sheet, shape)
        noise, own = kept_of_noise(self.mapping.sheet, shape), kept_of_own(self.mapping.sheet, shape)
        return blank(shape, np.uint16), blank(self.shape), blank(self.shape), *behind, *stuck, *noise, *own

    def program(self, *words: Any) -> tuple[np.ndarray, np.ndarray]:
        """As for real devices; the first time all of them are written."""
        chips, rows, columns = self.shape
        share = self._share if self._programmed else 1.0
        self._programmed = True
        written = np.full(chips, share * self.conductance.shape[1] * rows * columns)
        return written, written * self._typical

    def count_pulses(self, change: np.ndarray, pulses: Pulses | None) -> tuple[np.ndarray, np.ndarray]:
        """As for real devices, if each weight gets one pulse; see `hwsim.units.expected_pulses`."""
        chips, rows, columns = self.shape
        counted = np.full(chips, float(rows * columns))
        return counted, counted * self._typical

    def pulse(self, *words: Any) -> np.ndarray:
        """As for real devices."""
        return blank(self.shape)

    def cut(self, transposed: bool, lines: slice) -> Cut:
        """As for real devices."""
        chips, rows, columns = self.shape
        weights = blank((chips, lines.stop - lines.start, columns if transposed else rows))
        each = self.conductance.shape[1] * weights.shape[-1] * self._typical
        return Cut(lines, weights, blank(weights.shape), np.full((chips, 1), each))


_FUZZ = 1e-6
"""So much of a pulse, left over by rounding, is none."""

_PROGRAMMED = 50
"""Bytes that programming takes for a while, for each weight: goals and errors of a chip, and what reads need."""

_PULSED = 120
"""The same for pulses: changes and counts of both devices."""

MAKE = Primitive(Devices, BlankDevices)
CUT = Primitive(Devices.cut, lambda expected, devices, *which: devices.cut(*which), lasting=True)
PROGRAM = Primitive(
    Devices.program,
    lambda expected, devices, *words: devices.program(*words),
    lambda written, devices, *words: _PROGRAMMED * devices.weights.size,
)
COUNT = Primitive(
    Devices.count_pulses,
    lambda expected, devices, *words: devices.count_pulses(*words),
    lambda counted, devices, *words: _PULSED * devices.weights.size,
)
PULSE = Primitive(
    Devices.pulse,
    lambda expected, devices, *words: devices.pulse(*words),
    lambda weights, devices, *words: _PULSED * devices.weights.size,
)
KEPT = Primitive(lambda devices: (), lambda expected, devices: devices.kept, lasting=True)
"""Arrays that only weighing a run has to know of."""
