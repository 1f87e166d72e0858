"""Rate coding: the larger a value, the more likely a spike, in each step anew."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator


class Options(BaseModel, extra="forbid"):
    """Random spikes, independent from step to step."""

    name: Literal["rate"]
    repeats: Annotated[int, Field(ge=1, description="steps of spikes per step of values")] = 1
    peak: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="r: expected spikes per step where the value x is 1")
    ] = 1.0
    process: Annotated[
        Literal["bernoulli", "poisson"],
        Field(
            description="probability of a spike in a step: r x, or that of at least one event of a Poisson process, "
            "1 - exp(-r x)"
        ),
    ] = "bernoulli"

    @model_validator(mode="after")
    def _is_probability(self) -> "Options":
        if self.process == "bernoulli" and self.peak > 1:
            raise ValueError(f"peak: {self.peak} is no probability; up to 1, or process: poisson")
        return self


def factors(options: Options) -> tuple[int, int]:
    """Steps of spikes per step, and wires per wire."""
    return options.repeats, 1


def encode(options: Options, values: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """z = 1 with probability r x, or 1 - exp(-r x), `(batch, steps × repeats, width)`."""
    mean = options.peak * np.repeat(values, options.repeats, axis=1)
    chance = mean if options.process == "bernoulli" else -np.expm1(-mean)
    return (draw.random(chance.shape) < chance).astype(float)
