"""Devices that answer to pulses by a law: what they share, whether beside a reference or in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.machine.numerics import Pulses
from hwsim.machine.shapes import Expectations, blank
from hwsim.operations.noise import Moment, normals
from hwsim.physics import DataSheet, pulses
from hwsim.physics.pulses import Law, Normal, Responses
from hwsim.streams import Draws
from hwsim.units.devices import BlankDevices, Devices
from hwsim.units.mapping import OneWay, Referenced

Keys = tuple[np.ndarray, np.ndarray]
"""Of the streams of noise of pulses, and of what is written."""
Moments = tuple[Moment, Moment]
"""The points in both."""


class DevicesByLaw(Devices):
    """Devices that answer to pulses by the law of their data sheet, each with numbers of its own.

    Args:
        mapping, conductance, sheets: as for `Devices`.
        state: x of each device that is pulsed, without the noise of what was written; changed in place. It is
            `(chips, rows, columns)` where one device of each weight is, else `(chips, 2, rows, columns)`.
        draws: for the numbers of each device, which are drawn anew whenever a machine is made.

    Attributes:
        responses: of the devices of each chip.
    """

    mapping: Referenced | OneWay
    side: tuple[int, ...] = ()
    """Which device of each weight is pulsed; both, if it is empty."""

    def __init__(
        self, mapping: Any, conductance: np.ndarray, sheets: Sequence[DataSheet], state: np.ndarray, draws: Draws
    ) -> None:
        super().__init__(mapping, conductance, sheets)
        self.state = state
        self._before: np.ndarray | None = None
        self.laws: list[Law] = [sheet.update for sheet in self._sheets if sheet.update is not None]
        self.responses: list[Responses] = []
        for chip, law in enumerate(self.laws):

            def normal(purpose: str, chip: int = chip) -> np.ndarray:
                return draws(chip, purpose).standard_normal(state[0].size)

            self.responses.append(self._draw(chip, law, normal))

    @property
    def remembered(self) -> np.ndarray:
        """The weights by x, without the noise of what was written, `(chips, rows, columns)`."""
        x = self.state if self.side else self.state[:, 0] - self.state[:, 1]
        return x * (self.mapping.per_x * self.mapping.scale)

    def _draw(self, chip: int, law: Law, normal: Normal) -> Responses:
        """What the devices of a chip answer, and what else each of them has."""
        return law.draw(self.state[0].size, normal, self.mapping.reach)

    def wait(self, seconds: float, draws: Sequence[np.random.Generator]) -> None:
        """As for other devices; x loses what the conductance loses, since pulses act on what a device then is.

        So a pulse begins where drift has left the device, not where it was written, and the device is young from then
        on, as in aihwkit (Rasch et al., AICAS 2021). x does not leave the device's own bounds.
        """
        super().wait(seconds, draws)
        if self._written is None:
            return
        self._before, which = self.state.copy(), (slice(None), *self.side)
        self.state += ((self.conductance - self._written.before) / self.mapping.per_x)[which]
        for chip, drawn in enumerate(self.responses):
            x, was = self.state[chip], self._before[chip]
            low, high = (bound.reshape(x.shape) for bound in (drawn.low, drawn.high))
            np.clip(x, np.minimum(low, was), np.maximum(high, was), out=x)

    def unwait(self) -> None:
        """Have the devices as they were before the wait, and x with them."""
        if self._written is not None and self._before is not None:
            self.state[:], self._before = self._before, None
        super().unwait()

    def _wanted(self, change: np.ndarray, size: Pulses | None) -> np.ndarray:
        """Whole pulses for changes of weights, shaped as `state`, down if negative; none where learning diverged."""
        step = self.mapping.pulse if size is None else size.step
        return np.rint(np.where(np.isfinite(change), change, 0.0) / step).astype(np.int64)

    def count_pulses(self, change: np.ndarray, pulses: Pulses | None) -> tuple[np.ndarray, np.ndarray]:
        """For each chip, how many pulses such changes of weights take, and the sum of the conductances they meet."""
        counts = np.abs(self._wanted(change, pulses))
        which: Any = slice(None), *self.side
        met, axes = self.conductance[which], tuple(range(1, counts.ndim))
        return counts.sum(axes).astype(float), (counts * met).sum(axes)

    def pulse(
        self,
        change: np.ndarray,
        size: Pulses | None,
        moments: Moments = ((0, 0, 0), (0, 0, 0)),
        keys: Keys | None = None,
    ) -> np.ndarray:
        """Give the devices whole pulses, to which each answers as its law says; gives the weights.

        Args:
            change: of each weight, multiples of the size of a pulse.
            size: of a pulse.
            moments, keys: of the streams of noise of pulses, and of what is written.
        """
        counts = self._wanted(change, size)

        def fresh(of: float, count: int, stream: int) -> np.ndarray:
            """Standard normal numbers, if there is such noise."""
            numbers = np.zeros(count if of else 1, np.float32)
            if of:
                assert keys is not None
                normals(numbers, keys[stream][chip % len(keys[stream])], moments[stream])
            return numbers

        for chip, law in enumerate(self.laws):
            given = counts[chip]
            of_pulses = fresh(law.noise, int(np.abs(given).sum()), 0)
            self._give(chip, given, of_pulses, fresh(law.write_noise, int(np.count_nonzero(given)), 1))
        self._count_writes(np.abs(counts), *self.side)
        self.refresh()
        return self.weights

    def _give(self, chip: int, counts: np.ndarray, fresh: np.ndarray, written: np.ndarray) -> None:
        """Pulses for the devices of one chip, and what these then conduct."""
        law, x = self.laws[chip], self.state[chip].reshape(-1)
        of_step = law.noise_of == "step"
        pulses.pulse(law.form, x, counts.reshape(-1), *self.responses[chip], law.shape, law.noise, of_step, fresh)
        self._conduct(chip, counts != 0, law.write_noise * law.step * written)

    def _conduct(self, chip: int, which: np.ndarray, error: np.ndarray | float = 0.0) -> None:
        """Have devices conduct what their x says."""
        where: Any = chip, *self.side, which
        g = self.mapping.zero + self.mapping.per_x * (self.state[chip][which] + error)
        self.conductance[where] = np.maximum(g, 0)
        self._rewritten(where)


class BlankDevicesByLaw(BlankDevices):
    """Such devices, of which only the number is known, and what is expected of their conductance."""

    def __init__(
        self,
        expected: Expectations,
        mapping: Any,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        state: np.ndarray,
        draws: Draws,
    ) -> None:
        super().__init__(expected, mapping, conductance, sheets)
        self._state = blank(state.shape, state.dtype)

    @property
    def kept(self) -> tuple[np.ndarray, ...]:
        """As for other devices, with the numbers of each of them, and its reference or what it has after a reset."""
        return *super().kept, *[self._state] * (len(Responses._fields) + 1)
