"""Spoken digits: ten words by six speakers, as the levels of a filter bank, or as spikes.

The Free Spoken Digit Dataset (see `hwsim.tasks.recordings`), fetched on demand. The official test set are the
recordings 0 to 4 of each digit and speaker, 300 of 3000; the same people speak in both parts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim.quantities import Time
from hwsim.tasks import encoders, recordings, utterances
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.encoders import AnyEncoder
from hwsim.tasks.filter_bank import FilterBank

TEST = 300


class Options(BaseModel, extra="forbid"):
    """3000 recordings of ten spoken digits: the power in bands of the mel scale, on a logarithmic scale."""

    name: Literal["spoken_digits"]
    bands: Annotated[int, Field(ge=1, le=128, description="bands of the filter bank, the number of wires")] = 20
    frame: Time = Field("32 ms", validate_default=True, description="length of a frame, of which a spectrum is taken")
    hop: Time = Field("16 ms", validate_default=True, description="time from frame to frame, which is that of a step")
    lowest: Annotated[float, Field(ge=0, lt=4000, description="where the first band begins, in hertz")] = 100.0
    highest: Annotated[float, Field(gt=0, le=4000, description="where the last band ends, in hertz")] = 4000.0
    steps: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="frames of a recording, the first ones; shorter recordings are filled up and masked",
        ),
    ] = 40
    encoder: Annotated[
        AnyEncoder | None,
        Field(
            description="how levels become spikes, scaled to 0 at the 1st percentile of the training set and 1 at the "
            "99th, for each band; without it, wires carry the levels, with mean 0 and deviation 1 in the training set"
        ),
    ] = None
    train: Annotated[int, Field(ge=1, le=2700, description="number of training recordings, drawn from all")] = 2700
    test: Annotated[int, Field(ge=1, le=TEST, description="number of test recordings, drawn from all")] = TEST

    @model_validator(mode="after")
    def _has_bands(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest: {self.lowest:g} Hz is not below highest, {self.highest:g} Hz")
        for key, least in (("frame", 8), ("hop", 1)):
            count = samples(getattr(self, key))
            if not least <= count <= recordings.RATE:
                raise ValueError(
                    f"{key}: {count} samples at 8 kHz; from {least} to {recordings.RATE} samples, which is 1 s"
                )
        bank(self).weights()
        return self


def samples(time: float) -> int:
    """The number of samples in a time in seconds."""
    return round(time * recordings.RATE)


def bank(options: Options) -> FilterBank:
    """The filter bank that options describe."""
    frame, hop = samples(options.frame), samples(options.hop)
    return FilterBank(recordings.RATE, frame, hop, options.bands, options.lowest, options.highest)


def numbers(options: Options) -> int:
    """The number of input, target and mask values of all sequences, and of the levels that they are made from."""
    steps, width = encoders.shape(options.encoder, options.steps, options.bands)
    return (options.train + options.test) * (steps * (width + 1) + 1) + 3000 * options.steps * options.bands


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    steps, width = encoders.shape(options.encoder, options.steps, options.bands)
    train, test = (
        shapes.outline(count, steps, width, classes=10, masked=True) for count in (options.train, options.test)
    )
    return Dataset(train, test)


def files(folder: Path | None = None) -> list[recordings.Utterance]:
    """All recordings.

    Raises:
        DataError: recordings are missing, damaged, or not those of the data set.
    """
    return recordings.read(folder)


def fetch(folder: Path | None = None) -> Path:
    """Download the recordings, unless they are there.

    Raises:
        DataError: they cannot be downloaded, or are not those that they should be.
    """
    return recordings.fetch(folder)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Levels or spikes, and one digit per recording; the split is the official one.

    Fewer recordings than there are a random choice, which the seed fixes. Levels are scaled by what all 2700 training
    recordings hold within `steps`, and by nothing of the test set.

    Raises:
        DataError: recordings are missing, damaged, or not those of the data set.
    """
    found = files(folder)
    levels, lengths = _levels(options, found)
    return utterances.split(
        "spoken digits",
        levels,
        lengths,
        np.array([each.digit for each in found]),
        np.array([each.tested for each in found]),
        classes=10,
        counts=(options.train, options.test),
        encoder=options.encoder,
        seed=seed,
    )


def _levels(options: Options, found: list[recordings.Utterance]) -> tuple[np.ndarray, np.ndarray]:
    """Levels `(recordings, steps, bands)`, zeros behind the end of each, and how many frames each has."""
    filters = bank(options)
    levels = np.zeros((len(found), options.steps, options.bands))
    lengths = np.array([min(filters.frames(len(each.samples)), options.steps) for each in found])
    for row, (each, length) in enumerate(zip(found, lengths, strict=True)):
        levels[row, :length] = filters.levels(each.samples / 2.0**15)[:length]
    return levels, lengths
