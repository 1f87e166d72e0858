"""Pattern generation: sums of sines, to be made from frozen noise (Bellec et al., Nature Communications 11:3625, 2020).

Sizes, rates, frequencies and the scaling of targets are those of the authors' published program
(eligibility_propagation). The sines here are sin(2π f t + φ) with whole periods in a second at every number of steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim import episode as shapes
from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset

FREQUENCIES = np.array([1.0, 2.0, 3.0, 5.0])
"""Periods per sequence, which is one second in the paper."""
LEAST, MOST = 0.5, 2.0
"""Range of the amplitudes, which are uniform, before the target is scaled."""


class Options(BaseModel, extra="forbid"):
    """Frozen random spikes as input, and a sum of four sines as target; tests show the same sequences."""

    name: Literal["pattern_generation"]
    patterns: Annotated[
        int, Field(ge=1, description="sequences, each with its own spikes and targets; the same ones are tested")
    ] = 1
    steps: Annotated[int, Field(ge=2, description="length of a sequence, which is one second")] = 1000
    inputs: Annotated[int, Field(ge=1, description="input wires")] = 100
    outputs: Annotated[int, Field(ge=1, description="target curves of a sequence")] = 1
    rate: Annotated[float, Field(gt=0, le=1000, description="spikes per sequence of an input wire, on average")] = 50.0


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    return options.patterns * options.steps * (options.inputs + options.outputs)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    shape = shapes.outline(options.patterns, options.steps, options.inputs, values=options.outputs)
    return Dataset(shape, shape)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Spikes with probability rate / steps in each step; targets begin at 0, and 1 is their largest size."""
    draw = streams.generator(seed, "pattern generation", "spikes")
    shape = (options.patterns, options.steps, options.inputs)
    spikes = (draw.random(shape) < min(1.0, options.rate / options.steps)).astype(float)
    draw = streams.generator(seed, "pattern generation", "targets")
    sizes = (options.patterns, 1, options.outputs, len(FREQUENCIES))
    amplitudes, phases = draw.uniform(LEAST, MOST, sizes), draw.uniform(0, 2 * np.pi, sizes)
    episode = Episode(spikes, values=curves(amplitudes, phases, options.steps))
    return Dataset(episode, episode)


def curves(amplitudes: np.ndarray, phases: np.ndarray, steps: int) -> np.ndarray:
    """Σ A sin(2π f t / T + φ), less its first value, divided by its largest size; `(patterns, steps, outputs)`.

    Args:
        amplitudes, phases: `(patterns, 1, outputs, 4)`.
    """
    angles = 2 * np.pi * np.arange(steps)[:, None, None] / steps * FREQUENCIES
    summed = (amplitudes * np.sin(angles + phases)).sum(-1)
    summed -= summed[:, :1]
    return summed / np.abs(summed).max(1, keepdims=True)
