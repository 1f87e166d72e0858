"""The Mackey-Glass series: the next values of a chaotic series of blood cells (Mackey and Glass, Science 197, 1977)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset, windows

TAU, SUBSTEPS, WASHOUT = 17, 10, 200


class Options(BaseModel, extra="forbid"):
    """Series of the delay equation with τ = 17, one value per unit of time; the next one is to be predicted."""

    name: Literal["mackey_glass"]
    steps: Annotated[int, Field(ge=2, description="length of a series")] = 400
    window: Annotated[
        int | None,
        Field(
            ge=1,
            description="learn from windows of this length, in the order of time, where the network goes on from the "
            "state of the one before; `training.batch` is the number of series then",
        ),
    ] = None
    free_from: Annotated[
        int | None,
        Field(
            ge=1,
            description="tests show so many values, and then run freely: each output is the next input, and the loss "
            "is of these steps",
        ),
    ] = None
    train: Annotated[int, Field(ge=1, description="number of series to learn from")] = 32
    test: Annotated[int, Field(ge=1, description="number of series to test on")] = 16

    @model_validator(mode="after")
    def _not_longer(self) -> Self:
        if self.window is not None and self.window > self.steps:
            raise ValueError(f"window: {self.window} steps are more than a series has, {self.steps}")
        if self.free_from is not None and self.free_from >= self.steps:
            raise ValueError(f"free_from: a series has no step behind {self.free_from} others, but {self.steps} in all")
        return self


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    return (options.train + options.test) * options.steps * 2


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    train, test = (shapes.outline(count, options.steps, 1, values=1) for count in (options.train, options.test))
    return _cut(options, train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Series from random beginnings, with the mean of about 1 taken off."""

    def episode(kind: str, count: int) -> Episode:
        start = streams.generator(seed, "mackey glass", kind).uniform(0.5, 1.3, size=(count, 1))
        values = series(start, options.steps + 1)[:, :, None] - 1
        return Episode(values[:, :-1], values=values[:, 1:])

    return _cut(options, episode("train", options.train), episode("test", options.test))


def _cut(options: Options, train: Episode, test: Episode) -> Dataset:
    """Series to learn from in windows, and series to test on in closed loop, if that is asked for."""
    if options.window is not None:
        train = windows(train, options.window)
    if options.free_from is not None:
        test = replace(test, free_from=options.free_from, loss_from=options.free_from)
    return Dataset(train, test)


def series(start: np.ndarray, steps: int) -> np.ndarray:
    """dx/dt = 0.2 x(t - τ) / (1 + x(t - τ)¹⁰) - 0.1 x(t), by Euler steps of a tenth; `(count, steps)`.

    Args:
        start: the value up to the beginning, `(count, 1)`; what follows at once is left out.
    """
    length, lag = (WASHOUT + steps) * SUBSTEPS, TAU * SUBSTEPS
    x = np.empty((len(start), lag + length))
    x[:, : lag + 1] = start
    for now in range(lag, lag + length - 1):
        late = x[:, now - lag]
        x[:, now + 1] = x[:, now] + (0.2 * late / (1 + late**10) - 0.1 * x[:, now]) / SUBSTEPS
    return x[:, lag + WASHOUT * SUBSTEPS :: SUBSTEPS]
