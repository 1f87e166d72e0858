"""Pairs of devices that pulses drive in one direction only: positive changes go to one of them, negative to the other.

Both devices of a pair grow until nothing is left to grow. So pairs are renewed: where one of them has more than `WORN`
of its range and the other more than `SHARED`, both are reset, and pulses write their difference anew, without a look
at what they reach. All devices are read for that, and their reads have no noise here.

(Nandakumar et al., "Mixed-precision deep learning based on computational memory", Front. Neurosci. 14:406, 2020; both
thresholds are those of IBM's aihwkit, Rasch et al., AICAS 2021.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.machine.numerics import Primitive, Pulses
from hwsim.machine.shapes import Expectations, blank
from hwsim.operations.noise import Moment, normals
from hwsim.physics import DataSheet, pulses
from hwsim.physics.pulses import Law, Responses
from hwsim.units.devices import COUNT, PROGRAM, PULSE, BlankDevices, Devices
from hwsim.units.mapping import OneWay
from hwsim.units.pulsed import Draws

WORN, SHARED = 0.75, 0.25
"""Of the range of devices: what the larger and the smaller one of a pair have at least when it is renewed."""


class OneWayDevices(Devices):
    """Devices that are pulsed upward only, in pairs, each with numbers of its own.

    Args:
        mapping, conductance, sheets: as for `Devices`.
        state: x of each device, without the noise of what was written, `(chips, 2, rows, columns)`; changed in place.
        draws: for the numbers of each device, which are drawn anew whenever a machine is made.

    Attributes:
        responses: of the devices of each chip.
        resets: x of each device after a reset, but for its noise, `(chips, 2, rows, columns)`.
    """

    mapping: OneWay

    def __init__(
        self, mapping: OneWay, conductance: np.ndarray, sheets: Sequence[DataSheet], state: np.ndarray, draws: Draws
    ) -> None:
        super().__init__(mapping, conductance, sheets)
        self.state = state
        self.laws: list[Law] = [sheet.update for sheet in self._sheets if sheet.update is not None]
        self.responses: list[Responses] = []
        self.resets = np.zeros(state.shape)
        for chip, law in enumerate(self.laws):

            def normal(purpose: str, chip: int = chip) -> np.ndarray:
                return draws(chip, purpose).standard_normal(state[0].size)

            self.responses.append(law.draw(state[0].size, normal, mapping.reach))
            self.resets[chip] = (law.reset + law.reset_spread * normal("reset")).reshape(state.shape[1:])

    def program(
        self, wanted: np.ndarray, before: np.ndarray, moved: np.ndarray, draws: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As for other pairs; x of those that are written is what they then conduct."""
        was = np.where(np.isnan(before).reshape(len(wanted), 1, *self.state.shape[2:]), np.nan, self.conductance)
        found = super().program(wanted, before, moved, draws)
        written = self.conductance != was
        self.state[written] = ((self.conductance - self.mapping.zero) / self.mapping.per_x)[written]
        return found

    def _wanted(self, change: np.ndarray, size: Pulses | None) -> np.ndarray:
        """Pulses for each device of the pairs, `(chips, 2, rows, columns)`; none where learning has diverged."""
        step = self.mapping.pulse if size is None else size.step
        counts = np.rint(np.where(np.isfinite(change), change, 0.0) / step).astype(np.int64)
        return np.stack([np.maximum(counts, 0), np.maximum(-counts, 0)], 1)

    def count_pulses(self, change: np.ndarray, pulses: Pulses | None) -> tuple[np.ndarray, np.ndarray]:
        """For each chip, how many pulses such changes of weights take, and the sum of the conductances they meet."""
        counts = self._wanted(change, pulses)
        return counts.sum((1, 2, 3)).astype(float), (counts * self.conductance).sum((1, 2, 3))

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
        counts = self._wanted(change, size)
        for chip in range(len(counts)):
            fresh = np.zeros(max(int(counts[chip].sum()), 1), np.float32)
            written = np.zeros(int((counts[chip] > 0).sum()), np.float32)
            if keys is not None:
                normals(fresh, keys[0][chip % len(keys[0])], moments[0])
                normals(written, keys[1][chip % len(keys[1])], moments[1])
            self._give(chip, counts[chip], fresh, written)
        self._count_writes(counts)
        self.refresh()
        return self.weights

    def _give(self, chip: int, counts: np.ndarray, fresh: np.ndarray, written: np.ndarray) -> None:
        """Pulses for the devices of one chip, and what these then conduct."""
        law, x = self.laws[chip], self.state[chip].reshape(-1)
        of_step = law.noise_of == "step"
        pulses.pulse(law.form, x, counts.reshape(-1), *self.responses[chip], law.shape, law.noise, of_step, fresh)
        reached = counts > 0
        self._conduct(chip, reached, law.write_noise * law.step * written)

    def _conduct(self, chip: int, which: np.ndarray, error: np.ndarray | float = 0.0) -> None:
        """Have devices conduct what their x says."""
        g = self.mapping.zero + self.mapping.per_x * (self.state[chip][which] + error)
        self.conductance[chip][which] = np.maximum(g, 0)
        rewritten = np.zeros(self.conductance.shape, bool)
        rewritten[chip] = which
        self._rewritten(rewritten)

    def renew(self, draws: Sequence[np.random.Generator]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reset the pairs that are worn, and write their differences anew.

        Args:
            draws: one stream per chip.

        Returns:
            The weights, and for each chip how many resets and pulses there were, and the conductances that they met.
        """
        chips, counted = len(self.state), np.zeros(self.state.shape, np.int64)
        met = np.zeros(chips)
        for chip, (law, draw) in enumerate(zip(self.laws, draws, strict=True)):
            share = self.state[chip] / law.high
            worn = (share.max(0) > WORN) & (share.min(0) > SHARED)
            if not worn.any():
                continue
            both = np.stack([worn, worn])
            difference = np.where(worn, self.state[chip, 0] - self.state[chip, 1], 0.0)
            met[chip] += self.conductance[chip][both].sum()
            fresh = law.reset_noise * draw.standard_normal(int(both.sum()))
            low, high = (each.reshape(both.shape) for each in (self.responses[chip].low, self.responses[chip].high))
            self.state[chip][both] = np.clip(self.resets[chip][both] + fresh, low[both], high[both])
            self._conduct(chip, both)
            needed = self.mapping.pulses_to(np.abs(difference))
            counts = np.stack([np.where(difference > 0, needed, 0), np.where(difference < 0, needed, 0)])
            met[chip] += (counts * self.conductance[chip]).sum()
            noise = draw.standard_normal(max(int(counts.sum()), 1), np.float32)
            self._give(chip, counts, noise, draw.standard_normal(int((counts > 0).sum()), np.float32))
            counted[chip] = counts + both
        self._count_writes(counted)
        self.refresh()
        return self.weights, counted.sum((1, 2, 3)).astype(float), met


class BlankOneWayDevices(BlankDevices):
    """Such devices, of which only the number is known, and what is expected of their conductance."""

    def __init__(
        self,
        expected: Expectations,
        mapping: OneWay,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        state: np.ndarray,
        draws: Draws,
    ) -> None:
        super().__init__(expected, mapping, conductance, sheets)
        self._state = blank(state.shape, state.dtype)

    @property
    def kept(self) -> tuple[np.ndarray, ...]:
        """As for other devices, with the numbers of each of them, and what they have after a reset."""
        return *super().kept, *[self._state] * (len(Responses._fields) + 1)

    def renew(self, *words: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As for real devices; no pair is expected to be worn."""
        none = np.zeros(self.shape[0])
        return self.weights, none, none


MAKE = Primitive(OneWayDevices, BlankOneWayDevices)
RENEW = Primitive(OneWayDevices.renew, lambda expected, devices, *words: devices.renew(*words))
PROGRAM = PROGRAM._replace(values=OneWayDevices.program)
COUNT = COUNT._replace(values=OneWayDevices.count_pulses)
PULSE = PULSE._replace(values=OneWayDevices.pulse)
