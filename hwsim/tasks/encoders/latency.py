"""Latency coding: the larger a value, the earlier its only spike."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field


class Options(BaseModel, extra="forbid"):
    """One spike per value within a window of steps, or none; nothing is random."""

    name: Literal["latency"]
    window: Annotated[int, Field(ge=2, description="steps of spikes per step of values")] = 8
    law: Annotated[
        Literal["charging", "linear"],
        Field(
            description="time of the spike: when a leaky integrator that the value x drives reaches θ, "
            "τ ln(x / (x - θ)), or (1 - x) (window - 1)"
        ),
    ] = "charging"
    tau: Annotated[float, Field(gt=0, allow_inf_nan=False, description="τ of the integrator, in steps of spikes")] = 8.0
    threshold: Annotated[
        float,
        Field(gt=0, lt=1, description="θ: values up to it make no spike; nor do those whose spike would come too late"),
    ] = 0.1


def factors(options: Options) -> tuple[int, int]:
    """Steps of spikes per step, and wires per wire."""
    return options.window, 1


def times(options: Options, values: np.ndarray) -> np.ndarray:
    """When each value spikes, in steps from the start of its window; infinite where it does not."""
    above = values > options.threshold
    if options.law == "linear":
        return np.where(above, (1 - values) * (options.window - 1), np.inf)
    margin = np.where(above, values - options.threshold, 1)
    return np.where(above, options.tau * np.log(np.where(above, values, 1) / margin), np.inf)


def encode(options: Options, values: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """z = 1 in the step in which the spike falls, `(batch, steps × window, width)`."""
    batch, steps, width = values.shape
    when = np.floor(times(options, values))[:, :, None]
    spikes = when == np.arange(options.window)[:, None]
    return spikes.reshape(batch, steps * options.window, width).astype(float)
