"""The adding task: the sum of the two numbers that are marked in a long sequence (Hochreiter and Schmidhuber, 1997)."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim import episode as shapes
from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset


class Options(BaseModel, extra="forbid"):
    """Numbers between 0 and 1, one marked in each half; always answering 1 gives a loss of 1/12."""

    name: Literal["adding"]
    steps: Annotated[int, Field(ge=2, description="length of a sequence")] = 50
    train: Annotated[int, Field(ge=1, description="number of training sequences")] = 10_000
    test: Annotated[int, Field(ge=1, description="number of test sequences")] = 1_000


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    return (options.train + options.test) * (options.steps * 2 + 1)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    train, test = (
        shapes.outline(count, options.steps, 2, values=1, each=False, loss_from=options.steps - 1)
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Random sequences; the loss, half the squared error, is on the last step only."""

    def episode(kind: str, count: int) -> Episode:
        draw, half = streams.generator(seed, "adding", kind), options.steps // 2
        numbers = draw.uniform(size=(count, options.steps))
        marks, rows = np.zeros_like(numbers), np.arange(count)
        for where in (draw.integers(half, size=count), draw.integers(half, options.steps, size=count)):
            marks[rows, where] = 1
        sums = (numbers * marks).sum(1)
        return Episode(np.stack([numbers, marks], 2), values=sums[:, None], loss_from=options.steps - 1)

    return Dataset(episode("train", options.train), episode("test", options.test))
