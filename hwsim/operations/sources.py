"""Operations without operands: constants on wires, and random signs; the machine gives them wires to be on.

The first operand of `values` is an array `(chips, batch, 0)` of the machine's type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.operations.operation import Operation, each


class Source(Operation):
    """An operation that makes a signal of nothing: `zeros(machine, n)`."""

    __slots__ = ()

    def __call__(self, machine: Any, *constants: Any) -> Any:
        return machine.make(self, *constants)


class Random(Operation):
    """An operation that draws a signal from a stream: `signs(machine, name, n)`.

    The stream is named by the seed, the chip and `name`; the draw by the batch, the pass and the step. So a run that
    goes on from a snapshot draws the same.
    """

    __slots__ = ()

    def __call__(self, machine: Any, name: str, width: int, *constants: Any) -> Any:
        return machine.make(self, width, machine.sequencer.draws(name), *constants)


class Dither(Operation):
    """An operation on a signal that draws from a stream besides: `dithered(x, name, step)`."""

    __slots__ = ()

    def __call__(self, x: Any, name: str, *constants: Any) -> Any:
        return x._machine.carry_out(self, x, x._machine.sequencer.draws(name), *constants)


class Noise(Operation):
    """An operation on a signal and its scale that draws from a stream besides: `jittered(x, scale, name, share)`."""

    __slots__ = ()

    def __call__(self, x: Any, scale: Any, name: str, *constants: Any) -> Any:
        return x._machine.carry_out(self, x, scale, x._machine.sequencer.draws(name), *constants)


def _identity(like: np.ndarray, n: int, start: int = 0, stop: int | None = None) -> np.ndarray:
    rows = np.eye(n, dtype=like.dtype)[start:stop]
    return np.broadcast_to(rows, (*like.shape[:2], *rows.shape)).copy()


def _signs(like: np.ndarray, n: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    chips, batch, _ = like.shape
    return np.where(draw(batch * n) < 0, -1, 1).astype(like.dtype).reshape(chips, batch, n)


def _flips(like: np.ndarray, n: int, draw: Callable[[int], np.ndarray], share: float) -> np.ndarray:
    from statistics import NormalDist  # slow to import, and needed by some update schemes only

    chips, batch, _ = like.shape
    below = NormalDist().inv_cdf(share) if share < 1 else np.inf
    return np.where(draw(batch * n) < below, -1, 1).astype(like.dtype).reshape(chips, batch, n)


def _dithered(v: np.ndarray, draw: Callable[[int], np.ndarray], step: float) -> np.ndarray:
    from scipy.special import ndtr  # slow to import, and needed by some update schemes only

    words = ndtr(draw(v[0].size)).reshape(v.shape)
    whole: np.ndarray = (np.floor(v / step + words) * step).astype(v.dtype)
    return whole


def _jittered(v: np.ndarray, scale: np.ndarray, draw: Callable[[int], np.ndarray], share: float) -> np.ndarray:
    noisy: np.ndarray = (v + share * scale * draw(v[0].size).reshape(v.shape)).astype(v.dtype)
    return noisy


zeros = Source(
    "zeros",
    lambda like, n: np.zeros((*like.shape[:2], n), like.dtype),
    kind="wire",
    shape=lambda like, n: (*like[:2], n),
)
"""n wires of zero: `zeros(machine, n)`."""
ones = Source(
    "ones",
    lambda like, n: np.ones((*like.shape[:2], n), like.dtype),
    kind="wire",
    shape=lambda like, n: (*like[:2], n),
)
"""n wires of one: `ones(machine, n)`."""
identity = Source(
    "identity",
    _identity,
    kind="wire",
    shape=lambda like, n, start=0, stop=None: (*like[:2], len(range(n)[start:stop]), n),
)
"""The identity as a bundle of n vectors on n wires: `identity(machine, n)`; some of them: `identity(machine, n, start,
stop)`."""
signs = Random("signs", _signs, shape=lambda like, n, draw: (*like[:2], n), work=each(add=1))
"""n wires of +1 or -1 with equal probability; a shift of a register with feedback each."""
dithered = Dither("dither", _dithered, shape=lambda v, *_: v, work=each(multiply=2, add=2))
"""Whole steps, whose mean is x: `x` over the step is rounded up or down by chance, as a random word says.

`dithered(x, name, step)` has them as their number times the step; draws are named as for `signs`."""
jittered = Noise(
    "jittered",
    _jittered,
    shape=lambda v, *_: v,
    size=lambda v, *_: v[2:],
    work=each(multiply=3, add=1, exp=1, root=1, cos=1),
)
"""x plus normal noise of a share of what is on one wire: `jittered(x, wire, name, share)`; named as for `signs`.

A normal number is a root of a logarithm, which is priced as an exponential, times a cosine (Box and Muller, 1958)."""
flips = Random("flips", _flips, shape=lambda like, n, draw, share: (*like[:2], n), work=each(add=1, compare=1))
"""n wires of -1 with a probability, else +1: `flips(machine, name, n, probability)`; a random word is compared."""
