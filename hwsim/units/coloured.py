"""Devices whose read noise has a memory: signals of each, which go on in the time that the hardware takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, expm1, inf, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.operations.kernels import compiled
from hwsim.operations.noise import Moment, normals
from hwsim.physics import DataSheet
from hwsim.physics.colour import Colour
from hwsim.streams import Draws

Fresh = Callable[[int, int, np.ndarray], None]
"""Fills a float32 vector with standard normal numbers for a chip and a signal, both counted from 0."""


@compiled
def _decay(z, fresh, kept, rest):  # type: ignore[no-untyped-def]
    """z ← kept z + rest ξ, in place; in double precision, since `kept` may be as near to 1."""
    for i in range(z.size):
        z[i] = kept * z[i] + rest * fresh[i]


@compiled
def _flip(z, fresh, below):  # type: ignore[no-untyped-def]
    """z ← -z where ξ is below a threshold, in place."""
    for i in range(z.size):
        z[i] = -z[i] if fresh[i] < below else z[i]


class Coloured:
    """The signals of the devices of one matrix on every chip.

    Args:
        colour: what the data sheet says of them.
        state: z of each, `(chips, K, 2, rows, columns)`, float32; the array of a storage, changed in place.
    """

    def __init__(self, colour: Colour, state: np.ndarray) -> None:
        self.colour, self.state = colour, state
        self._before: np.ndarray | None = None
        self._add()

    @property
    def white(self) -> float:
        """The share of the variance that is fresh in each read."""
        return 1 - self.colour.share

    def _add(self) -> None:
        scale = np.float32(sqrt(self.colour.share / self.colour.count))
        self.normal = self.state.sum(1) * scale
        """What has memory of each device's noise, as a share of its σ, `(chips, 2, rows, columns)`."""

    def advance(self, seconds: float, fresh: Fresh) -> None:
        """Let so long pass: z ← ρ z + √(1 - ρ²) ξ with ρ = exp(-seconds / τ), or flips with probability (1 - ρ) / 2."""
        chips, count = self.state.shape[:2]
        numbers = np.empty(self.state[0, 0].size, np.float32)
        for signal, tau in zip(range(count), self.colour.times, strict=True):
            age = seconds / float(tau)
            for chip in range(chips):
                z = self.state[chip, signal].reshape(-1)
                fresh(chip, signal, numbers)
                if self.colour.signals == "telegraph":
                    _flip(z, numbers, _threshold(-expm1(-age) / 2))
                else:
                    _decay(z, numbers, exp(-age), sqrt(-expm1(-2 * age)))
        self._add()

    def wait(self, seconds: float, draws: Sequence[np.random.Generator]) -> None:
        """Let so long pass, until `unwait`."""
        self._before = self.state.copy()

        def fresh(chip: int, signal: int, numbers: np.ndarray) -> None:
            draws[chip].standard_normal(out=numbers, dtype=np.float32)

        self.advance(seconds, fresh)

    def unwait(self) -> None:
        """Have the signals as they were before the wait."""
        if self._before is not None:
            self.state[:] = self._before
            self._before = None
            self._add()


def _threshold(probability: float) -> float:
    """Below which a standard normal number is with such a probability."""
    return NormalDist().inv_cdf(probability) if probability > 0 else -inf


def counted(keys: np.ndarray, moments: Sequence[Moment]) -> Fresh:
    """Numbers of the streams `keys`, one of `moments` for each signal."""

    def fresh(chip: int, signal: int, numbers: np.ndarray) -> None:
        normals(numbers, keys[chip % len(keys)], moments[signal])

    return fresh


def _start(colour: Colour, shape: tuple[int, ...], draws: Draws) -> np.ndarray:
    """Signals that have been there for ever."""
    state = np.empty(shape, np.float32)
    for chip in range(len(state)):
        state[chip] = colour.start(draws(chip, "start").standard_normal(shape[1:], np.float32))
    return state


def _give(devices: Any, coloured: Coloured) -> None:
    devices.coloured = coloured
    devices.refresh()


def kept(sheet: DataSheet, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """As large as what is kept of the noise of devices, beside their signals: σ, and the sum of signals."""
    if sheet.colour is not None:
        yield blank(shape)
        yield blank(shape)


START = Primitive(_start, lambda expected, colour, shape, draws: blank(shape))
GIVE = Primitive(lambda devices, colour, state: _give(devices, Coloured(colour, state)), lambda *_: None)
