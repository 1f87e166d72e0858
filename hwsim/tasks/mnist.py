"""The MNIST handwritten digits as sequences, fetched on demand.

Y. LeCun, C. Cortes and C. Burges, 1998. The files are not part of the package; `hwsim data fetch mnist` puts them into
the data folder. Checksums are those of the decompressed content, since mirrors compress it differently.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim.episode import Episode
from hwsim.errors import DataError
from hwsim.tasks import encoders
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.encoders import AnyEncoder
from hwsim.tasks.folder import data_folder


class Options(BaseModel, extra="forbid"):
    """70 000 handwritten digits of 28 by 28 pixels, scaled to [0, 1]. 98 steps of width 1 are MNIST98."""

    name: Literal["mnist"]
    steps: Annotated[int, Field(ge=1, le=784, description="number of steps that show an image")] = 98
    width: Annotated[
        int,
        Field(ge=1, le=784, description="values per step, each the mean of 784 / (steps × width) neighbouring pixels"),
    ] = 1
    permutation: Annotated[
        int | None,
        Field(
            ge=0,
            le=999_999,
            description="seed of a fixed permutation of the pixels, that of `numpy.random.RandomState(seed)."
            "permutation(784)`; most published programs have 92916. Pixels stay in their order without it",
        ),
    ] = None
    train: Annotated[int, Field(ge=1, le=60_000, description="number of training images, the first of the set")] = (
        60_000
    )
    test: Annotated[int, Field(ge=1, le=10_000, description="number of test images, the first of the set")] = 10_000
    encoder: Annotated[AnyEncoder | None, Field(description="how values become spikes; they stay values if absent")] = (
        None
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if 784 % (self.steps * self.width):
            raise ValueError(f"steps × width must divide the 784 pixels; {self.steps} × {self.width} does not")
        return self


class File(NamedTuple):
    """One of the four files of the data set: its shape, and the SHA-256 of its content once decompressed."""

    name: str
    shape: tuple[int, ...]
    sha256: str


FILES = {
    "train images": File(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train labels": File(
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test images": File(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "test labels": File(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def numbers(options: Options) -> int:
    """The number of input and target values of all sequences."""
    steps, width = encoders.shape(options.encoder, options.steps, options.width)
    return (options.train + options.test) * (steps * width + 785)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    steps, width = encoders.shape(options.encoder, options.steps, options.width)
    train, test = (shapes.outline(count, steps, width, classes=10) for count in (options.train, options.test))
    return Dataset(train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """The images as sequences; the split is the official one.

    Raises:
        DataError: a file is missing, truncated, or does not match its checksum.
    """
    parts = files(folder)

    def episode(kind: str, count: int) -> Episode:
        images = _in_order(options, parts[f"{kind} images"][:count] / 255.0)
        steps = images.reshape(count, options.steps, options.width, -1).mean(-1)
        inputs = encoders.encode(options.encoder, steps, seed, "mnist", kind)
        return Episode(inputs, parts[f"{kind} labels"][:count].astype(np.int64), classes=10)

    return Dataset(episode("train", options.train), episode("test", options.test))


def _in_order(options: Options, images: np.ndarray) -> np.ndarray:
    """The pixels of images `(count, 784)` in the order in which they are shown."""
    pixels: np.ndarray = images.reshape(len(images), -1)
    if options.permutation is None:
        return pixels
    return pixels[:, np.random.RandomState(options.permutation).permutation(784)]


def files(folder: Path | None = None) -> dict[str, np.ndarray]:
    """All images and labels.

    Raises:
        DataError: a file is missing, truncated, or does not match its checksum.
    """
    place = data_folder(folder) / "mnist"
    return {what: read(place, file) for what, file in FILES.items()}


def fetch(folder: Path | None = None) -> Path:
    """Download missing files, from the first mirror that answers.

    Raises:
        DataError: no mirror gives a file with the right content.
    """
    import pooch

    place = data_folder(folder) / "mnist"
    for file in FILES.values():
        if (place / f"{file.name}.gz").exists():
            read(place, file)
            continue
        reasons = []
        for mirror in MIRRORS:
            try:
                pooch.retrieve(f"{mirror}{file.name}.gz", None, f"{file.name}.gz", place, progressbar=False)
                read(place, file)
                break
            except DataError as error:
                (place / f"{file.name}.gz").unlink(missing_ok=True)
                reasons.append(f"{mirror}: {error}")
            except Exception as error:  # pooch raises whatever the network layer does
                reasons.append(f"{mirror}: {error}")
        else:
            raise DataError(f"{file.name} could not be fetched:\n  " + "\n  ".join(reasons))
    return place


def read(place: Path, file: File) -> np.ndarray:
    """The content of one file, compared with its checksum. No more is unpacked than the file should hold."""
    path = place / f"{file.name}.gz"
    if not path.exists() and (place / file.name).exists():
        path = place / file.name
    head = 4 + 4 * len(file.shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(head + math.prod(file.shape) + 1)
    except FileNotFoundError:
        raise DataError(
            f"MNIST is not in {place}: {path.name} is missing. Run `hwsim data fetch mnist`, or say where it is with "
            "--data FOLDER or the environment variable HWSIM_DATA (the folder that contains mnist/)"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); delete it and run `hwsim data fetch mnist`") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DataError(f"{path} is not the file it should be (truncated?); delete it and run `hwsim data fetch mnist`")
    return np.frombuffer(content, np.uint8, offset=head).reshape(file.shape)
