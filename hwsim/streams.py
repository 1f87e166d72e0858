"""Random streams keyed by names: one seed, and draws that do not depend on what else exists.

A stream is named by what it is for, as in `"chip 3", "layer 1 B", "programming"` with the batch and the sweep, never by
a running number. So adding a unit, a chip or a worker leaves every other draw as it was. Chips count from 0.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

Draws = Callable[[int, str], np.random.Generator]
"""The stream of a chip, counted from 0, for a purpose."""


def numbered(chips: int | Sequence[int]) -> Sequence[int]:
    """The numbers of chips, by which their streams are named: the first so many, or those that are given.

    Chips with the same number have the same draws.
    """
    return range(chips) if isinstance(chips, int) else chips


def key(seed: int, *names: str | int) -> int:
    """A 64-bit key for the stream called `names` under `seed`."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """The stream called `names`, from its start (Philox 4x64; Salmon et al., SC 2011)."""
    return np.random.Generator(np.random.Philox(key=key(seed, *names)))
