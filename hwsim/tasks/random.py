"""Random sequences with random targets: nothing can be learned, but costs and gradients can be measured."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset


class Options(BaseModel, extra="forbid"):
    """Normal inputs; the targets are random classes, normal values or zeros, one per step."""

    name: Literal["random"]
    steps: Annotated[int, Field(ge=1, description="length of a sequence")] = 20
    width: Annotated[int, Field(ge=1, description="number of input wires")] = 1
    outputs: Annotated[int, Field(ge=1, description="classes, or values to predict")] = 2
    target: Annotated[Literal["classes", "values", "zeros"], Field(description="what is to be predicted")] = "classes"
    loss: Annotated[Literal["each", "last"], Field(description="steps that carry a loss")] = "each"
    shortest: Annotated[
        int | None, Field(ge=1, description="sequences have this many to `steps` steps; all have `steps` if absent")
    ] = None
    train: Annotated[int, Field(ge=1, description="number of training sequences")] = 256
    test: Annotated[int, Field(ge=1, description="number of test sequences")] = 64

    @model_validator(mode="after")
    def _not_longer(self) -> Self:
        if self.shortest is not None and self.shortest > self.steps:
            raise ValueError(f"shortest: sequences of {self.shortest} steps are longer than steps, {self.steps}")
        return self


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    masks = 0 if options.shortest is None else 1
    return (options.train + options.test) * options.steps * (options.width + options.outputs + masks)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    loss_from = 0 if options.loss == "each" or options.shortest else options.steps - 1
    what = {"classes": options.outputs, "each": True} if options.target == "classes" else {"values": options.outputs}
    train, test = (
        shapes.outline(
            count,
            options.steps,
            options.width,
            loss_from=loss_from,
            masked=options.shortest is not None,
            **what,  # type: ignore[arg-type]
        )
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Independent draws for each sequence and step."""

    def episode(kind: str, count: int) -> Episode:
        made = full(kind, count)
        if options.shortest is None:
            return made
        draw = streams.generator(seed, "random lengths", kind)
        lengths = draw.integers(options.shortest, options.steps + 1, size=(count, 1))
        made = replace(made, loss_from=0, mask=np.arange(options.steps) < lengths)
        return made if options.loss == "each" else made.at_ends()

    def full(kind: str, count: int) -> Episode:
        draw, shape = streams.generator(seed, "random", kind), (count, options.steps)
        inputs = draw.normal(size=(*shape, options.width))
        loss_from = 0 if options.loss == "each" else options.steps - 1
        if options.target == "classes":
            labels = draw.integers(options.outputs, size=shape)
            return Episode(inputs, labels, classes=options.outputs, loss_from=loss_from)
        size = (*shape, options.outputs)
        values = np.zeros(size) if options.target == "zeros" else draw.normal(size=size)
        return Episode(inputs, values=values, loss_from=loss_from)

    return Dataset(episode("train", options.train), episode("test", options.test))
