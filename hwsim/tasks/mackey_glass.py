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
from hwsim.tasks import delay_series
from hwsim.tasks.dataset import Dataset, windows
from hwsim.tasks.delay_series import POINTS, TIMES
from hwsim.tasks.measure import Measure, smape

TAU, SUBSTEPS, WASHOUT = 17, 10, 200
MEAN = 1.0
"""What is taken off all values before they are shown."""
LEARNED = POINTS * TIMES


class Benchmark(BaseModel, extra="forbid"):
    """A part of one of NeuroBench's fourteen series: 750 points to learn from, and 750 to predict in closed loop."""

    tau: Annotated[int, Field(ge=17, le=30, description="delay τ of the series")] = 17
    repeat: Annotated[
        int,
        Field(
            ge=0,
            lt=delay_series.REPEATS,
            description="which of 30 parts, each of which begins half a Lyapunov time after the one before; a score is "
            "their mean",
        ),
    ] = 0


class Options(BaseModel, extra="forbid"):
    """Series of the delay equation with τ = 17, one value per unit of time; the next one is to be predicted."""

    name: Literal["mackey_glass"]
    neurobench: Annotated[
        Benchmark | None,
        Field(
            description="one series of NeuroBench, of 75 points per Lyapunov time, in place of series from random "
            "beginnings; it says how long they are, how many there are, and where the free run begins"
        ),
    ] = None
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
        if self.neurobench is not None:
            given = [key for key in ("steps", "free_from", "train", "test") if key in self.model_fields_set]
            if given:
                raise ValueError(f"{given[0]}: NeuroBench says that; leave it out, or leave out `neurobench`")
        steps = LEARNED if self.neurobench is not None else self.steps
        if self.window is not None and self.window > steps:
            raise ValueError(f"window: {self.window} steps are more than a series has, {steps}")
        if self.free_from is not None and self.free_from >= self.steps:
            raise ValueError(f"free_from: a series has no step behind {self.free_from} others, but {self.steps} in all")
        return self


def measure(options: Options) -> Measure:
    """The symmetric mean absolute percentage error, of values with their mean."""
    return smape(MEAN)


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    if options.neurobench is not None:
        return 3 * LEARNED * 2
    return (options.train + options.test) * options.steps * 2


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    if options.neurobench is not None:
        train, test = (shapes.outline(1, steps, 1, values=1) for steps in (LEARNED, 2 * LEARNED))
    else:
        train, test = (shapes.outline(count, options.steps, 1, values=1) for count in (options.train, options.test))
    return _cut(options, train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Series from random beginnings, or the one of NeuroBench, with the mean of about 1 taken off.

    NeuroBench's test goes on where the training ends: the network is shown the 750 points that it has learned from, and
    the first one behind them; what it says then is its next input, and the 750 predictions from there on are judged.
    """
    if options.neurobench is not None:
        values = delay_series.series(options.neurobench.tau, options.neurobench.repeat, 2 * LEARNED + 1)
        test = _predicted(values[None])
        cut = slice(0, LEARNED)
        assert test.values is not None
        return _cut(options, replace(test, inputs=test.inputs[:, cut], values=test.values[:, cut]), test)

    def episode(kind: str, count: int) -> Episode:
        start = streams.generator(seed, "mackey glass", kind).uniform(0.5, 1.3, size=(count, 1))
        return _predicted(series(start, options.steps + 1))

    return _cut(options, episode("train", options.train), episode("test", options.test))


def _predicted(values: np.ndarray) -> Episode:
    """Series `(count, steps + 1)`, each of whose values is the target of the one before."""
    values = values[:, :, None] - MEAN
    return Episode(values[:, :-1], values=values[:, 1:])


def _cut(options: Options, train: Episode, test: Episode) -> Dataset:
    """Series to learn from in windows, and series to test on in closed loop, if that is asked for."""
    if options.window is not None:
        train = windows(train, options.window)
    if options.neurobench is not None:
        test = replace(test, free_from=LEARNED + 1, loss_from=LEARNED)
    elif options.free_from is not None:
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
