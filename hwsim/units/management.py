"""Management of noise and of bounds: numbers are scaled to the converters of a tile, and its products scaled back.

- Noise management divides each vector of numbers by its largest size before it is converted, and multiplies the product
  by it: small vectors are not lost among the steps and the noise of converters and outputs.
- Bound management repeats a forward read in which an output saturates, with the numbers halved, until none does or it
  was halved so often as is allowed, and multiplies the product by that power of two. What has its bits from the
  converter has fewer of them after each halving.

(T. Gokmen, M. Onen, W. Haensch, Training deep convolutional neural networks with resistive cross-point devices, Front.
Neurosci. 11:538, 2017.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import Shown, blank
from hwsim.machine.signal import Signal
from hwsim.operations import at_least, largest, multiply, reciprocal
from hwsim.units.unit import AnalogStage

LEAST = 2.0**-24
"""Vectors whose largest number is less than this are scaled as if it were so large."""


class Management(BaseModel, extra="forbid"):
    """What is done so that numbers fit the converters of tiles; for operands that are numbers."""

    noise: Annotated[
        bool, Field(description="divide each vector by its largest size, and multiply the product by it")
    ] = False
    bound: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="how often at most a forward read with outputs that saturate is repeated with halved inputs; "
            "a read always takes the time of all repeats, and the energy of those that there are",
        ),
    ] = 0


LARGE = Primitive(lambda x: x, lambda _, x: x.view(Shown))
"""Vectors that were scaled are as large as inputs, and an estimate expects of them what it expects of inputs."""


def normalised(machine: AnalogStage, x: Signal) -> tuple[Signal, Signal]:
    """A vector of numbers over its largest size, and that size; by the digital unit."""
    size = machine.one(at_least, machine.one(largest, x), LEAST)
    scaled = machine.two(multiply, x, machine.one(reciprocal, size))
    scaled._full_scale, scaled._value = 1.0, machine.numerics.run(LARGE)(scaled._value)
    return scaled, size


Read = Callable[[np.ndarray, Any], tuple[np.ndarray, np.ndarray, int]]


def bounded(
    read: Read,
    convert: Callable[[np.ndarray], np.ndarray],
    moments: Sequence[Any],
    v: np.ndarray,
    number: np.ndarray,
    end: Any,
) -> tuple[np.ndarray, np.ndarray, int, np.ndarray, np.ndarray]:
    """A read that is repeated for the vectors whose outputs saturate.

    Args:
        read: what tiles give for voltages `(chips, vectors, n)` at a moment, with what devices draw and how many
            outputs saturate.
        convert: numbers to voltages.
        moments: of the first read and of each repeat, so that draws of a chip do not depend on how often others repeat.
        v, number: voltages, and the numbers that they stand for, `(chips, vectors, n)`.
        end: where outputs saturate, of all chips or of each.

    Returns:
        Outputs `(chips, vectors * parts, n)` of the last read of each vector; what devices drew in all reads; how many
        outputs still saturate; the powers of two that outputs are to be multiplied by, `(chips, vectors)`; and how many
        reads there were beyond the first, on each chip.
    """
    chips, vectors, _ = v.shape
    y, drawn, beyond = read(v, moments[0])
    last = np.asarray(end, y.dtype).reshape(-1, 1, 1)
    factor, more = np.ones((chips, vectors), y.dtype), np.zeros(chips)
    for halvings, moment in enumerate(moments[1:], 1):
        full = (np.abs(y) >= last).reshape(chips, vectors, -1).max(2)
        if not full.any():
            break
        half = np.where(full[..., None], convert(number * np.float32(2.0**-halvings)), np.float32(0))
        again, drawn_again, _ = read(np.ascontiguousarray(half), moment)
        chosen = np.repeat(full, y.shape[1] // vectors, 1)[..., None]
        y, drawn, more = np.where(chosen, again, y), drawn + drawn_again, more + full.sum(1)
        factor[full] *= 2
        beyond = int(np.count_nonzero(np.abs(y) >= last))
    return y, drawn, beyond, factor, more


def _expected(
    expected: Any, read: Read, convert: Any, moments: Sequence[Any], v: np.ndarray, *_: Any
) -> tuple[np.ndarray, np.ndarray, int, np.ndarray, np.ndarray]:
    """No output is taken to saturate."""
    y, drawn, beyond = read(v, moments[0])
    return y, drawn, beyond, blank(v.shape[:2]), np.zeros(len(v))


BOUNDED = Primitive(bounded, _expected)
