"""Encoders: numbers from 0 to 1 as spike trains. Each encoder is one file, found by its name.

A step of the values becomes one step of spikes or several, and a wire one wire or several. Spikes are drawn or found
once, before learning, so each epoch shows the same ones; they are the numbers 0 and 1.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim import streams
from hwsim.catalogue import choice, members

ENCODERS = members(__name__, __path__)
if TYPE_CHECKING:
    AnyEncoder = Any
else:
    AnyEncoder = choice(ENCODERS)


def shape(options: Any | None, steps: int, width: int) -> tuple[int, int]:
    """Steps and wires of the spikes that values of so many steps and wires become; without encoder, the same."""
    if options is None:
        return steps, width
    times, wires = ENCODERS[options.name].factors(options)
    return steps * times, width * wires


def encode(options: Any | None, values: np.ndarray, seed: int, *names: str) -> np.ndarray:
    """Values `(batch, steps, width)` as spikes, of the steps and wires that `shape` says; without encoder, themselves.

    Args:
        values: from 0 to 1; what lies outside counts as the nearer of the two.
        seed, names: the stream of what is drawn; an encoder that draws nothing takes none.
    """
    if options is None:
        return values
    draw = streams.generator(seed, *names, options.name)
    spikes: np.ndarray = ENCODERS[options.name].encode(options, np.clip(values, 0, 1), draw)
    return spikes


def stretched(mask: np.ndarray, steps: int) -> np.ndarray:
    """A mask `(batch, steps)` for spikes of so many steps."""
    return np.repeat(mask, steps // mask.shape[1], axis=1)


__all__ = ["ENCODERS", "AnyEncoder", "encode", "shape", "stretched"]
