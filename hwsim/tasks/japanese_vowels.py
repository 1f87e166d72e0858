"""Japanese Vowels: which of nine men says /ae/, from twelve cepstrum coefficients a frame (Kudo et al., 1999).

The utterances have 7 to 29 frames (see `hwsim.tasks.vowels`), fetched on demand. The split is the official one: 270
utterances to learn from, thirty of each speaker, and 370 to test on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim import episode as shapes
from hwsim.tasks import encoders, utterances, vowels
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.encoders import AnyEncoder
from hwsim.tasks.vowels import Utterance


class Options(BaseModel, extra="forbid"):
    """640 utterances of a vowel by nine men, of 7 to 29 frames; the class is who speaks."""

    name: Literal["japanese_vowels"]
    steps: Annotated[
        int,
        Field(
            ge=1,
            le=vowels.LONGEST,
            description="frames of an utterance, the first ones; shorter utterances are filled up and masked",
        ),
    ] = vowels.LONGEST
    encoder: Annotated[
        AnyEncoder | None,
        Field(
            description="how coefficients become spikes, scaled to 0 at the 1st percentile of the training set and 1 "
            "at the 99th, each by itself; without it, wires carry the coefficients, with mean 0 and deviation 1 in the "
            "training set"
        ),
    ] = None
    train: Annotated[int, Field(ge=1, le=270, description="number of training utterances, drawn from all")] = 270
    test: Annotated[int, Field(ge=1, le=370, description="number of test utterances, drawn from all")] = 370


def numbers(options: Options) -> int:
    """The number of input, target and mask values of all sequences, and of the frames that they are made from."""
    steps, width = encoders.shape(options.encoder, options.steps, vowels.WIDTH)
    return (options.train + options.test) * (steps * (width + 1) + 1) + 640 * options.steps * vowels.WIDTH


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    steps, width = encoders.shape(options.encoder, options.steps, vowels.WIDTH)
    train, test = (
        shapes.outline(count, steps, width, classes=vowels.SPEAKERS, masked=True)
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def files(folder: Path | None = None) -> dict[str, list[Utterance]]:
    """All utterances.

    Raises:
        DataError: utterances are missing, damaged, or not those of the data set.
    """
    return vowels.read(folder)


def fetch(folder: Path | None = None) -> Path:
    """Download the utterances, unless they are there.

    Raises:
        DataError: they cannot be downloaded, or are not those that they should be.
    """
    return vowels.fetch(folder)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Coefficients or spikes, and one speaker per utterance; the split is the official one.

    Fewer utterances than there are a random choice, which the seed fixes. Coefficients are scaled by what all training
    utterances hold within `steps`, and by nothing of the test set.

    Raises:
        DataError: utterances are missing, damaged, or not those of the data set.
    """
    found = files(folder)
    every = [each for part in vowels.PARTS for each in found[part]]
    frames, lengths = _frames(options.steps, every)
    return utterances.split(
        "japanese vowels",
        frames,
        lengths,
        np.array([each.speaker for each in every]),
        np.arange(len(every)) >= len(found["train"]),
        classes=vowels.SPEAKERS,
        counts=(options.train, options.test),
        encoder=options.encoder,
        seed=seed,
    )


def _frames(steps: int, every: list[Utterance]) -> tuple[np.ndarray, np.ndarray]:
    """Frames `(utterances, steps, 12)`, zeros behind the end of each, and how many frames each has."""
    frames = np.zeros((len(every), steps, vowels.WIDTH))
    lengths = np.array([min(len(each.frames), steps) for each in every])
    for row, (each, length) in enumerate(zip(every, lengths, strict=True)):
        frames[row, :length] = each.frames[:length]
    return frames, lengths
