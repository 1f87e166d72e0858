"""Devices that answer to pulses by a law: each weight is one of them beside a reference, which is never pulsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwsim.machine.numerics import Primitive, Pulses
from hwsim.machine.shapes import Expectations, blank
from hwsim.operations.noise import Moment, normals
from hwsim.physics import DataSheet, pulses
from hwsim.physics.leak import left
from hwsim.physics.pulses import Law, Responses
from hwsim.units.devices import COUNT, PROGRAM, PULSE, BlankDevices, Devices
from hwsim.units.mapping import Referenced

Draws = Callable[[int, str], np.random.Generator]
"""The stream of a chip, counted from 0, for a purpose."""


class PulsedDevices(Devices):
    """Devices that answer to pulses by the law of their data sheet, each with numbers of its own.

    Args:
        mapping, conductance, sheets: as for `Devices`; of the two devices of each weight the second is the reference.
        state: x of each device, without the noise of what was written, `(chips, rows, columns)`; changed in place.
        draws: for the numbers of each device, which are drawn anew whenever a machine is made.

    Attributes:
        responses: of the devices of each chip.
        reference: x of each reference, `(chips, rows, columns)`.
        leaks: 1 / τ of each device, in 1/s, of the chips whose devices leak; references do not.
    """

    mapping: Referenced

    def __init__(
        self,
        mapping: Referenced,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        state: np.ndarray,
        draws: Draws,
    ) -> None:
        super().__init__(mapping, conductance, sheets)
        self.state = state
        self.laws: list[Law] = [sheet.update for sheet in self._sheets if sheet.update is not None]
        self.responses: list[Responses] = []
        self.reference = np.zeros(state.shape)
        count = state[0].size
        self.leaks: dict[int, np.ndarray] = {}
        for chip, law in enumerate(self.laws):

            def normal(purpose: str, chip: int = chip) -> np.ndarray:
                return draws(chip, purpose).standard_normal(count)

            drawn = law.draw(count, normal, mapping.reach)
            bottom = -mapping.zero / mapping.per_x  # nothing conducts less than nothing
            self.responses.append(drawn._replace(low=np.maximum(drawn.low, bottom)))
            if law.reference == "symmetry":
                self.reference[chip] = law.symmetry(self.responses[chip]).reshape(state.shape[1:])
            leak = self._sheets[chip].leak
            if leak is not None:
                self.leaks[chip] = leak.rates(normal("leak")).reshape(state.shape[1:])

    def program(
        self, wanted: np.ndarray, before: np.ndarray, moved: np.ndarray, draws: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write the devices of the weights that moved, and the first time the references; a goal is within bounds.

        Args and returns as for `Devices`.
        """
        mapping, chips, shape = self.mapping, len(wanted), self.state.shape[1:]
        wanted, before, moved = (words.reshape(chips, *shape) for words in (wanted, before, moved))
        written, conductance, first = np.zeros(chips), np.zeros(chips), np.isnan(before)
        for chip in range(chips):
            centre = mapping.zero + mapping.per_x * self.reference[chip]
            low, high = (
                mapping.zero + mapping.per_x * bound.reshape(shape)
                for bound in (self.responses[chip].low, self.responses[chip].high)
            )
            goals = np.clip(mapping.goal(wanted[chip] / mapping.unit) - mapping.zero + centre, low, high)
            for side, (where, goal) in enumerate(((moved[chip] != 0, goals), (first[chip], centre))):
                goal = goal[where]
                error = self._sheets[chip].programming_error(goal) * draws[chip].standard_normal(goal.size)
                self.conductance[chip, side][where] = np.maximum(goal + error, 0)
                self._rewritten((chip, side, where))
                written[chip] += goal.size
                conductance[chip] += goal.sum()
            self.state[chip] = np.where(
                moved[chip] != 0, (self.plus[chip] - mapping.zero) / mapping.per_x, self.state[chip]
            )
        self._count_writes(np.stack([moved != 0, first], 1))
        self.refresh()
        return written, conductance

    def wait(self, seconds: float, draws: Sequence[np.random.Generator]) -> None:
        """As for other devices; those that leak lose x meanwhile, and have it again after the wait."""
        super().wait(seconds, draws)
        if self.leaks and self._written is not None:
            self._lose(seconds)
            self.refresh()

    def leak(self, seconds: float) -> np.ndarray:
        """Let x go back towards 0 for so long; gives the weights."""
        for chip in self.leaks:
            self.state[chip] *= left(self.leaks[chip], seconds)
        self._lose(seconds)
        self.refresh()
        return self.weights

    def _lose(self, seconds: float) -> None:
        """What conducts goes back towards the conductance of x = 0."""
        for chip, rates in self.leaks.items():
            zero = self.mapping.zero
            self.conductance[chip, 0] = zero + (self.conductance[chip, 0] - zero) * left(rates, seconds)

    def _wanted(self, change: np.ndarray, pulses: Pulses | None) -> np.ndarray:
        """Whole pulses for changes of weights, down if negative; none where learning has diverged."""
        step = self.mapping.pulse if pulses is None else pulses.step
        return np.rint(np.where(np.isfinite(change), change, 0.0) / step).astype(np.int64)

    def count_pulses(self, change: np.ndarray, pulses: Pulses | None) -> tuple[np.ndarray, np.ndarray]:
        """For each chip, how many pulses such changes of weights take, and the sum of the conductances they meet."""
        counts = np.abs(self._wanted(change, pulses))
        return counts.sum((1, 2)).astype(float), (counts * self.plus).sum((1, 2))

    def pulse(
        self,
        change: np.ndarray,
        size: Pulses | None,
        moments: tuple[Moment, Moment] = ((0, 0, 0), (0, 0, 0)),
        keys: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Give the devices whole pulses, to which each answers as its law says; gives the weights.

        Args:
            change: of each weight, multiples of the size of a pulse.
            size: of a pulse.
            moments, keys: of the streams of noise of pulses, and of what is written.
        """
        counts, mapping = self._wanted(change, size), self.mapping
        for chip, (law, drawn) in enumerate(zip(self.laws, self.responses, strict=True)):
            x, given = self.state[chip].reshape(-1), counts[chip].reshape(-1)
            fresh = np.empty(int(np.abs(given).sum()) if law.noise else 1, np.float32)
            if law.noise:
                assert keys is not None
                normals(fresh, keys[0][chip % len(keys[0])], moments[0])
            pulses.pulse(law.form, x, given, *drawn, law.shape, law.noise, law.noise_of == "step", fresh)
            reached = np.flatnonzero(given)
            apparent = x[reached]
            if law.write_noise:
                assert keys is not None
                fresh = np.empty(reached.size, np.float32)
                normals(fresh, keys[1][chip % len(keys[1])], moments[1])
                apparent = apparent + law.write_noise * law.step * fresh
            g = np.maximum(mapping.zero + mapping.per_x * apparent, 0)
            self.conductance[chip, 0].reshape(-1)[reached] = g
            self._rewritten((chip, 0, counts[chip] != 0))
        self._count_writes(np.abs(counts), 0)
        self.refresh()
        return self.weights


class BlankPulsedDevices(BlankDevices):
    """Such devices, of which only the number is known, and what is expected of their conductance."""

    def __init__(
        self,
        expected: Expectations,
        mapping: Referenced,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        state: np.ndarray,
        draws: Draws,
    ) -> None:
        super().__init__(expected, mapping, conductance, sheets)
        self._typical = mapping.zero
        self._state = blank(state.shape, state.dtype)

    @property
    def kept(self) -> tuple[np.ndarray, ...]:
        """As for other devices, with the numbers of each of them and its reference."""
        return *super().kept, *[self._state] * (len(Responses._fields) + 1)

    def program(self, *words: object) -> tuple[np.ndarray, np.ndarray]:
        """As for real devices; the first time all of them are written, later no references."""
        chips, rows, columns = self.shape
        share = self.expected.written if self._programmed else 2.0
        self._programmed = True
        written = np.full(chips, share * rows * columns)
        return written, written * self._typical


MAKE = Primitive(PulsedDevices, BlankPulsedDevices)
PROGRAM = PROGRAM._replace(values=PulsedDevices.program)
COUNT = COUNT._replace(values=PulsedDevices.count_pulses)
PULSE = PULSE._replace(values=PulsedDevices.pulse)
LEAK = Primitive(PulsedDevices.leak, lambda expected, devices, seconds: devices.weights)
