"""Events of your own: files that say which channel spiked when (see `hwsim.tasks.event_files`), as spikes per step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim.episode import Episode
from hwsim.errors import DataError
from hwsim.quantities import Time
from hwsim.tasks import event_files
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.folder import own_file

ROUNDING = 1e-6
"""An event that is so little of a step before the start of a step counts as one of it."""


class Options(BaseModel, extra="forbid"):
    """Samples with a class each, from two files: events of channels, counted in steps of equal length."""

    name: Literal["events"]
    train_file: Annotated[
        str,
        Field(
            min_length=1,
            description="events to learn from, .csv or .h5; in the data folder, unless the path is absolute",
        ),
    ]
    test_file: Annotated[str, Field(min_length=1, description="events to test on, likewise")]
    train: Annotated[int, Field(ge=1, description="number of training samples, the first of the file")]
    test: Annotated[int, Field(ge=1, description="number of test samples, the first of the file")]
    channels: Annotated[int, Field(ge=1, description="number of channels, which count from 0")]
    classes: Annotated[int, Field(ge=2, description="number of classes, which count from 0")]
    steps: Annotated[int, Field(ge=1, description="steps of a sample; later events are left out")]
    dt: Annotated[Time, Field(description="length of a step")]
    value: Annotated[
        Literal["spike", "count"],
        Field(description="what a wire carries: 1 if its channel has events in the step, or their number"),
    ] = "spike"

    @model_validator(mode="after")
    def _known_kinds(self) -> Self:
        for key in ("train_file", "test_file"):
            if Path(getattr(self, key)).suffix not in (".csv", ".h5", ".hdf5"):
                raise ValueError(f"{key}: {getattr(self, key)} is of no known kind; allowed are .csv, .h5 and .hdf5")
        return self


def numbers(options: Options) -> int:
    """The number of input and target values of all samples."""
    return (options.train + options.test) * (options.steps * options.channels + 1)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    train, test = (
        shapes.outline(count, options.steps, options.channels, classes=options.classes)
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def check(options: Options, folder: Path | None = None) -> None:
    """Whether both files are there, and of a kind that can be read.

    Raises:
        DataError: one of them is not.
    """
    for name in (options.train_file, options.test_file):
        with own_file(name, folder) as place:
            event_files.check(place)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """The events in steps; nothing is drawn.

    Raises:
        DataError: a file is missing, has fewer samples than asked for, or is not as it should be; with its line.
    """
    episodes = []
    for name, key in ((options.train_file, "train"), (options.test_file, "test")):
        with own_file(name, folder) as place:
            episodes.append(_episode(options, place, key))
    return Dataset(*episodes)


def _episode(options: Options, path: Path, key: str) -> Episode:
    count: int = getattr(options, key)
    inputs, labels, found = np.zeros((count, options.steps, options.channels)), np.zeros(count, np.int64), 0
    for block in event_files.blocks(path, event_files.Range(options.channels, options.classes)):
        if block.sample >= count:
            break
        found, labels[block.sample] = block.sample + 1, block.label
        steps = np.floor(block.times / options.dt + ROUNDING)
        kept = steps < options.steps
        np.add.at(inputs[block.sample], (steps[kept].astype(np.int64), block.channels[kept]), 1)
    if found < count:
        raise DataError(f"{path} has {found} samples, and task.{key} asks for {count}")
    if options.value == "spike":
        np.minimum(inputs, 1, out=inputs)
    return Episode(inputs, labels, classes=options.classes)
