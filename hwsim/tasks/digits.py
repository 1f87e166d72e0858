"""Handwritten digits of 8 by 8 pixels, row by row or pixel by pixel.

Optical recognition of handwritten digits, E. Alpaydin and C. Kaynak, UCI machine learning repository, 1998, CC BY 4.0:
the 1797 images of its test set, with values 0 to 16, as shipped with scikit-learn.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim import episode as shapes
from hwsim.episode import Episode
from hwsim.tasks import encoders
from hwsim.tasks.dataset import Dataset, split, split_sizes
from hwsim.tasks.encoders import AnyEncoder


class Options(BaseModel, extra="forbid"):
    """1797 handwritten digits of 8 by 8 pixels, scaled to [0, 1]."""

    name: Literal["digits"]
    order: Annotated[Literal["rows", "pixels"], Field(description="8 steps of 8 pixels, or 64 steps of one")] = "rows"
    test_share: Annotated[float, Field(gt=0, lt=1, description="share of the images that is kept for testing")] = 0.2
    encoder: Annotated[AnyEncoder | None, Field(description="how values become spikes; they stay values if absent")] = (
        None
    )


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    steps, width = _shape(options)
    return 1797 * (steps * width + 1)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    train, test = (
        shapes.outline(count, *_shape(options), classes=10) for count in split_sizes(1797, options.test_share)
    )
    return Dataset(train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """The images as sequences; they come with the package."""
    with resources.files(__package__).joinpath("data/digits.npz").open("rb") as file, np.load(file) as archive:
        images, labels = archive["x"] / 16.0, archive["y"].astype(np.int64)
    shape = (len(images), 8, 8) if options.order == "rows" else (len(images), 64, 1)
    inputs = encoders.encode(options.encoder, images.reshape(shape), seed, "digits")
    return split(Episode(inputs, labels, classes=10), options.test_share, seed)


def _shape(options: Options) -> tuple[int, int]:
    """Steps and wires of an image."""
    return encoders.shape(options.encoder, *((8, 8) if options.order == "rows" else (64, 1)))
