"""The copy task: remember a string of symbols over a delay, and repeat it (Hochreiter and Schmidhuber, 1997)."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim import episode as shapes
from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset


class Options(BaseModel, extra="forbid"):
    """Symbols, a delay with blanks, a cue, and then the symbols again."""

    name: Literal["copy"]
    symbols: Annotated[int, Field(ge=2, description="size of the alphabet")] = 8
    length: Annotated[int, Field(ge=1, description="number of symbols to remember")] = 5
    delay: Annotated[int, Field(ge=0, description="blank steps between the symbols and the cue")] = 10
    train: Annotated[int, Field(ge=1, description="number of training sequences")] = 10_000
    test: Annotated[int, Field(ge=1, description="number of test sequences")] = 1_000


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    return (options.train + options.test) * (2 * options.length + options.delay) * (options.symbols + 3)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    steps, before = 2 * options.length + options.delay, options.length + options.delay
    train, test = (
        shapes.outline(count, steps, options.symbols + 2, classes=options.symbols, each=True, loss_from=before)
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Random strings, one-hot, with two more wires for blank and cue; the loss is on the last `length` steps."""

    def episode(kind: str, count: int) -> Episode:
        steps = 2 * options.length + options.delay
        symbols = streams.generator(seed, "copy", kind).integers(options.symbols, size=(count, options.length))
        shown = np.full((count, steps), options.symbols)
        shown[:, : options.length] = symbols
        shown[:, options.length + options.delay] = options.symbols + 1
        labels = np.zeros((count, steps), np.int64)
        labels[:, options.length + options.delay :] = symbols
        inputs = (shown[:, :, None] == np.arange(options.symbols + 2)).astype(float)
        return Episode(inputs, labels, classes=options.symbols, loss_from=options.length + options.delay)

    return Dataset(episode("train", options.train), episode("test", options.test))
