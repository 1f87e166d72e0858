"""Delta coding: a spike up or down each time a value has moved by a threshold (send on delta)."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field


class Options(BaseModel, extra="forbid"):
    """Two wires per value, one for ups and one for downs; nothing is random."""

    name: Literal["delta"]
    threshold: Annotated[float, Field(gt=0, le=1, description="δ: how far a value moves from spike to spike")] = 0.1
    repeats: Annotated[
        int,
        Field(
            ge=1,
            description="steps of spikes per step of values: a wire carries one spike a step, and what is left of a "
            "larger move follows in later steps",
        ),
    ] = 1


def factors(options: Options) -> tuple[int, int]:
    """Steps of spikes per step, and wires per wire."""
    return options.repeats, 2


def encode(options: Options, values: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Up where x ≥ (k + 1) δ, down where x ≤ (k - 1) δ, `(batch, steps × repeats, 2 width)`: all ups, then all downs.

    k starts at 0 and counts the ups less the downs. It is a whole number, so that levels do not drift by rounding.
    """
    shown = np.repeat(values, options.repeats, axis=1)
    batch, steps, width = shown.shape
    spikes, level = np.zeros((batch, steps, 2 * width)), np.zeros((batch, width))
    for step in range(steps):
        up = shown[:, step] >= (level + 1) * options.threshold
        down = shown[:, step] <= (level - 1) * options.threshold
        level += up
        level -= down
        spikes[:, step] = np.concatenate([up, down], 1)
    return spikes
