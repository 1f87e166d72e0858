"""Characters: the next character of a text, as one endless stream that the network reads in windows.

The first nine tenths of the text are learned from, the last tenth is tested. By default the text is the tiny
Shakespeare text (see `hwsim.tasks.texts`), fetched on demand. A character is one wire of many that carries 1; the input
weights of the network are the embedding of the characters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim.episode import Episode
from hwsim.errors import DataError
from hwsim.tasks import texts
from hwsim.tasks.dataset import Dataset, windows
from hwsim.tasks.measure import BITS_PER_CHARACTER, Measure
from hwsim.tasks.texts import Text


class Options(BaseModel, extra="forbid"):
    """The next character of a text, in bits per character; the state goes on from window to window."""

    name: Literal["characters"]
    text: Annotated[
        str | None,
        Field(
            min_length=1,
            description="a text of your own in UTF-8; in the data folder, unless the path is absolute; the tiny "
            "Shakespeare text without it",
        ),
    ] = None
    characters: Annotated[
        int | None,
        Field(
            ge=20,
            description="characters of the text, the first ones; nine tenths are learned from. All of the tiny "
            "Shakespeare text without it; required with `text`",
        ),
    ] = None
    symbols: Annotated[
        int | None,
        Field(
            ge=2,
            le=10_000,
            description="wires, one for each character; if the text has more, the rarest share the last one. 65 "
            "for the tiny Shakespeare text; required with `text`",
        ),
    ] = None
    window: Annotated[int, Field(ge=1, description="characters from one update to the next")] = 20
    lanes: Annotated[
        int,
        Field(
            ge=1,
            description="parts of the text of equal length that are read side by side; `training.batch` has to be as "
            "many",
        ),
    ] = 16
    test: Annotated[
        int, Field(ge=1, description="pieces of the tested part, evenly spread, each read from a network at rest")
    ] = 50
    test_steps: Annotated[int, Field(ge=2, description="characters of such a piece")] = 200
    settle: Annotated[
        int, Field(ge=0, description="first characters of such a piece that are read without being judged")
    ] = 20

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for key in ("characters", "symbols"):
            if self.text is not None and getattr(self, key) is None:
                raise ValueError(f"{key}: required with `text`, so that costs are known without it")
        sizes = Sizes.of(self)
        if self.text is None and (sizes.characters > texts.CHARACTERS or sizes.symbols > texts.ALPHABET):
            key = "characters" if sizes.characters > texts.CHARACTERS else "symbols"
            raise ValueError(f"{key}: the text has {texts.CHARACTERS} characters, of which {texts.ALPHABET} differ")
        if self.window > sizes.lane:
            raise ValueError(
                f"window: {self.window} characters are more than each of {self.lanes} lanes has, {sizes.lane}"
            )
        if self.test_steps > sizes.apart:
            raise ValueError(
                f"test_steps: {self.test} pieces of {self.test_steps} characters are more than the tested part has, "
                f"{sizes.characters - sizes.learned}"
            )
        if self.settle >= self.test_steps:
            raise ValueError(f"settle: a piece has no character behind {self.settle} others, but {self.test_steps}")
        return self


class Sizes(NamedTuple):
    """How a text is cut.

    Attributes:
        characters: of the whole text.
        symbols: characters that differ.
        learned: characters of the first part, which is learned from; the others are tested.
        lane: inputs of each lane.
        apart: characters from the start of a tested piece to that of the next one, or to the last of all.
    """

    characters: int
    symbols: int
    learned: int
    lane: int
    apart: int

    @classmethod
    def of(cls, options: Options) -> Sizes:
        """The sizes that options ask for."""
        characters = options.characters or texts.CHARACTERS
        learned = characters * 9 // 10
        lane, apart = (learned - 1) // options.lanes, (characters - learned - 1) // options.test
        return cls(characters, options.symbols or texts.ALPHABET, learned, lane, apart)


def measure(options: Options) -> Measure:
    """Bits per character."""
    return BITS_PER_CHARACTER


def numbers(options: Options) -> int:
    """The memory of all sequences, in numbers of eight bytes: inputs take a byte a wire, targets a number."""
    sizes = Sizes.of(options)
    return (options.lanes * sizes.lane + options.test * options.test_steps) * (sizes.symbols // 8 + 2)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    sizes = Sizes.of(options)
    train = shapes.outline(options.lanes, sizes.lane, sizes.symbols, classes=sizes.symbols, each=True)
    test = shapes.outline(
        options.test, options.test_steps, sizes.symbols, classes=sizes.symbols, each=True, loss_from=options.settle
    )
    return Dataset(windows(train, options.window), test)


def check(options: Options, folder: Path | None = None) -> None:
    """Whether the text is there, and is what options say.

    Raises:
        DataError: it is not.
    """
    _coded(options, folder)


def fetch(folder: Path | None = None) -> Path:
    """Download the tiny Shakespeare text, unless it is there.

    Raises:
        DataError: it cannot be downloaded, or is not what it should be.
    """
    return texts.fetch(folder)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """The text in windows, and pieces of its last tenth; nothing is drawn.

    Raises:
        DataError: the text is missing, is not what it should be, or has fewer characters than options say.
    """
    codes, sizes = _coded(options, folder), Sizes.of(options)

    def episode(starts: np.ndarray, steps: int, loss_from: int = 0) -> Episode:
        at = starts[:, None] + np.arange(steps + 1)
        inputs = (codes[at[:, :-1], None] == np.arange(sizes.symbols)).astype(np.int8)
        return Episode(inputs, codes[at[:, 1:]], classes=sizes.symbols, loss_from=loss_from)

    train = episode(np.arange(options.lanes) * sizes.lane, sizes.lane)
    tested = episode(sizes.learned + np.arange(options.test) * sizes.apart, options.test_steps, options.settle)
    return Dataset(windows(train, options.window), tested)


def parts(options: Options, folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all characters of the part that is learned from, and of the one that is tested.

    Raises:
        DataError: as for `build`.
    """
    codes, learned = _coded(options, folder), Sizes.of(options).learned
    return codes[:learned], codes[learned:]


def _coded(options: Options, folder: Path | None) -> np.ndarray:
    """The number of each character, in the order of the text; those that share a wire have the last number."""
    sizes, (codes, alphabet) = Sizes.of(options), texts.read(options.text, folder)
    if len(codes) < sizes.characters:
        raise DataError(f"{options.text} has {len(codes)} characters, and task.characters asks for {sizes.characters}")
    if len(alphabet) < sizes.symbols:
        raise DataError(
            f"{options.text} has {len(alphabet)} characters that differ, and task.symbols asks for {sizes.symbols}"
        )
    return _shared(Text(codes, alphabet), sizes.symbols)[: sizes.characters]


def _shared(text: Text, symbols: int) -> np.ndarray:
    """The numbers of characters, with the rarest of them sharing the last number if there are more than symbols."""
    codes, alphabet = text
    if len(alphabet) == symbols:
        return codes
    rarest = np.bincount(codes, minlength=len(alphabet)).argsort(kind="stable")[: len(alphabet) - symbols + 1]
    own = np.ones(len(alphabet), bool)
    own[rarest] = False
    number: np.ndarray = np.where(own, np.cumsum(own) - 1, symbols - 1)
    return number[codes]
