"""Devices that answer to pulses by a law: each weight is one of them beside a reference, which is never pulsed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import Expectations
from hwsim.physics import DataSheet
from hwsim.physics.leak import left
from hwsim.physics.pulses import Law, Normal, Responses
from hwsim.streams import Draws
from hwsim.units.by_law import BlankDevicesByLaw, DevicesByLaw
from hwsim.units.devices import COUNT, PROGRAM, PULSE
from hwsim.units.mapping import Referenced


class PulsedDevices(DevicesByLaw):
    """Devices that answer to pulses by the law of their data sheet, each beside a reference.

    Args:
        mapping, conductance, sheets, state, draws: as for `DevicesByLaw`; of the two devices of each weight the second
            is the reference.

    Attributes:
        reference: x of each reference, `(chips, rows, columns)`.
        leaks: 1 / τ of each device, in 1/s, of the chips whose devices leak; references do not.
    """

    mapping: Referenced
    side = (0,)

    def __init__(
        self,
        mapping: Referenced,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        state: np.ndarray,
        draws: Draws,
    ) -> None:
        self.reference = np.zeros(state.shape)
        self.leaks: dict[int, np.ndarray] = {}
        super().__init__(mapping, conductance, sheets, state, draws)

    def _draw(self, chip: int, law: Law, normal: Normal) -> Responses:
        drawn, shape = super()._draw(chip, law, normal), self.state.shape[1:]
        bottom = -self.mapping.zero / self.mapping.per_x  # nothing conducts less than nothing
        drawn = drawn._replace(low=np.maximum(drawn.low, bottom))
        if law.reference == "symmetry":
            self.reference[chip] = law.symmetry(drawn).reshape(shape)
        if law.reference_spread:
            self.reference[chip] += law.reference_spread * normal("reference").reshape(shape)
        leak = self._sheets[chip].leak
        if leak is not None:
            self.leaks[chip] = leak.rates(normal("leak")).reshape(shape)
        return drawn

    def program(
        self, wanted: np.ndarray, before: np.ndarray, moved: np.ndarray, draws: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write the devices of the weights that moved, and the first time the references; a goal is within bounds.

        A goal is counted from the conductance that the reference was to have. After a wait it is counted from what the
        reference has now: a read that verifies gives the difference of the two, and references drift like devices.

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
            base = centre if self._written is None else self.minus[chip]
            goals = np.clip(mapping.goal(wanted[chip] / mapping.unit) - mapping.zero + base, low, high)
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
            for chip in self.leaks:
                self.state[chip] *= left(self.leaks[chip], seconds)
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


class BlankPulsedDevices(BlankDevicesByLaw):
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
        super().__init__(expected, mapping, conductance, sheets, state, draws)
        self._typical = mapping.zero

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
