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
from hwsim.physics import DataSheet
from hwsim.physics.pulses import Law, Normal, Responses
from hwsim.streams import Draws
from hwsim.units.by_law import BlankDevicesByLaw, DevicesByLaw
from hwsim.units.devices import COUNT, PROGRAM, PULSE
from hwsim.units.mapping import OneWay

WORN, SHARED = 0.75, 0.25
"""Of the range of devices: what the larger and the smaller one of a pair have at least when it is renewed."""


class OneWayDevices(DevicesByLaw):
    """Devices that are pulsed upward only, in pairs, each with numbers of its own.

    Args:
        mapping, conductance, sheets, state, draws: as for `DevicesByLaw`.

    Attributes:
        resets: x of each device after a reset, but for its noise, `(chips, 2, rows, columns)`.
    """

    mapping: OneWay

    def __init__(
        self, mapping: OneWay, conductance: np.ndarray, sheets: Sequence[DataSheet], state: np.ndarray, draws: Draws
    ) -> None:
        self.resets = np.zeros(state.shape)
        super().__init__(mapping, conductance, sheets, state, draws)

    def _draw(self, chip: int, law: Law, normal: Normal) -> Responses:
        self.resets[chip] = (law.reset + law.reset_spread * normal("reset")).reshape(self.state.shape[1:])
        return super()._draw(chip, law, normal)

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
        """Pulses for each device of the pairs, all of them upward."""
        counts = super()._wanted(change, size)
        return np.stack([np.maximum(counts, 0), np.maximum(-counts, 0)], 1)

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


class BlankOneWayDevices(BlankDevicesByLaw):
    """Such devices, of which only the number is known, and what is expected of their conductance."""

    def renew(self, *words: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As for real devices; no pair is expected to be worn."""
        none = np.zeros(self.shape[0])
        return self.weights, none, none


MAKE = Primitive(OneWayDevices, BlankOneWayDevices)
RENEW = Primitive(OneWayDevices.renew, lambda expected, devices, *words: devices.renew(*words))
PROGRAM = PROGRAM._replace(values=OneWayDevices.program)
COUNT = COUNT._replace(values=OneWayDevices.count_pulses)
PULSE = PULSE._replace(values=OneWayDevices.pulse)
