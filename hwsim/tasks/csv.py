"""Sequences of your own: a table in CSV whose lines are the steps of sequences (see `hwsim.tasks.sequence_tables`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim.documents import unknown
from hwsim.episode import Episode
from hwsim.errors import DataError
from hwsim.tasks import encoders
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.encoders import AnyEncoder
from hwsim.tasks.folder import own_file
from hwsim.tasks.scaled import scaled
from hwsim.tasks.sequence_tables import Piece, pieces, same

Column = Annotated[str, Field(min_length=1)]


class Options(BaseModel, extra="forbid"):
    """Sequences with classes or values from your own tables; a line is a step, and lengths may differ."""

    name: Literal["csv"]
    train_file: Annotated[
        str,
        Field(
            min_length=1,
            description="a table of sequences to learn from; in the data folder, unless the path is absolute",
        ),
    ]
    test_file: Annotated[
        str | None, Field(min_length=1, description="a table of sequences to test on, likewise; or give `part`")
    ] = None
    part: Annotated[
        Column | None, Field(description="column of `train_file` that says `train` or `test`, in place of `test_file`")
    ] = None
    sequence: Annotated[Column, Field(description="column that names the sequence of a line")] = "sequence"
    step: Annotated[
        Column | None,
        Field(description="column of steps, whole numbers that rise by one in a sequence; lines count without it"),
    ] = None
    features: Annotated[list[Column], Field(min_length=1, description="columns of numbers, one for each input wire")]
    label: Annotated[Column | None, Field(description="column of the class; or give `target`")] = None
    classes: Annotated[
        Annotated[int, Field(ge=2)] | Annotated[list[Column], Field(min_length=2)] | None,
        Field(description="what labels may be: names, or how many, which count from 0; required with `label`"),
    ] = None
    target: Annotated[
        list[Column], Field(description="columns of values to predict, one for each output; or give `label`")
    ] = []
    each: Annotated[
        Literal["sequence", "step"],
        Field(description="what has a label or a target of its own; that of a sequence stands in all of its lines"),
    ] = "sequence"
    steps: Annotated[int, Field(ge=1, description="steps of the longest sequence; what follows them is left out")]
    lengths: Annotated[
        Literal["differ", "same"],
        Field(description="`differ`: shorter sequences are filled up and masked; `same`: none may be shorter"),
    ] = "differ"
    scale: Annotated[
        Literal["standard", "none"],
        Field(description="`standard`: each feature has mean 0 and deviation 1 in the training sequences"),
    ] = "standard"
    encoder: Annotated[
        AnyEncoder | None,
        Field(
            description="how features become spikes, scaled to 0 at the 1st percentile of the training sequences and 1 "
            "at the 99th; unless `scale` is none, when they are to lie between 0 and 1"
        ),
    ] = None
    train: Annotated[int, Field(ge=1, description="number of training sequences, the first of the table")]
    test: Annotated[int, Field(ge=1, description="number of test sequences, the first of the table")]

    @model_validator(mode="after")
    def _says_what_is_asked(self) -> Self:
        if (self.test_file is None) == (self.part is None):
            raise ValueError("test_file: give either a file of test sequences, or `part`, a column that tells them")
        if (self.label is None) == (not self.target):
            raise ValueError("label: give either the column of the class, or `target`, columns of values")
        if (self.label is None) != (self.classes is None):
            raise ValueError(
                "classes: required with `label`: the names of classes, or how many"
                if self.label
                else "classes: values have none; give `label`, the column of the class"
            )
        for key, names in (("classes", self.classes), ("features and other columns", list(self.named()))):
            twice = [name for name, times in Counter(names if isinstance(names, list) else []).items() if times > 1]
            if twice:
                raise ValueError(f"{key}: {twice[0]!r} stands there twice")
        return self

    def named(self) -> Iterator[str]:
        """The columns that are read, in the order of the keys; one that is named twice comes twice."""
        yield from (name for name in (self.part, self.sequence, self.step) if name is not None)
        yield from self.features
        yield from [self.label] if self.label is not None else self.target

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of columns that are read, as tables have them."""
        numbers = dict.fromkeys((*self.features, *self.target), "float64")
        return {name: "int64" if name == self.step else numbers.get(name, "str") for name in self.named()}

    @property
    def shape(self) -> dict[str, Any]:
        """The number of classes or of values, and what has one of its own."""
        count = len(self.classes) if isinstance(self.classes, list) else self.classes or 0
        return {"classes": count, "values": len(self.target), "each": self.each == "step"}


def numbers(options: Options) -> int:
    """The number of input, target and mask values of all sequences."""
    steps, width = encoders.shape(options.encoder, options.steps, len(options.features))
    targets = max(1, len(options.target)) * (steps if options.each == "step" else 1)
    return (options.train + options.test) * (steps * (width + 1) + targets)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    steps, width = encoders.shape(options.encoder, options.steps, len(options.features))
    train, test = (
        shapes.outline(count, steps, width, **options.shape, masked=options.lengths == "differ")
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def check(options: Options, folder: Path | None = None) -> None:
    """Whether tables are there, and begin as they should.

    Raises:
        DataError: one of them does not.
    """
    for name in (options.train_file, options.test_file):
        if name is not None:
            with own_file(name, folder) as path:
                next(pieces(path, options.kinds, options.sequence, options.step), None)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """The sequences of the tables; nothing is drawn but spikes.

    Raises:
        DataError: a file is missing, has fewer sequences than asked for, or is not as it should be; with its line.
    """
    train, test = _Part(options, "train"), _Part(options, "test")
    if options.test_file is None:
        _read(options, options.train_file, {"train": train, "test": test}, folder)
    else:
        _read(options, options.train_file, {"": train}, folder)
        _read(options, options.test_file, {"": test}, folder)
    shown = train.inputs[train.mask]
    return Dataset(*(each.episode(shown, seed) for each in (train, test)))


def _read(options: Options, name: str, parts: dict[str, _Part], folder: Path | None) -> None:
    """Read a table until all of its parts have what they ask for; `options.part` is the column that names a part."""
    with own_file(name, folder) as path:
        part = ""
        for piece in pieces(path, options.kinds, options.sequence, options.step):
            if options.part is not None:
                part = str(piece.rows[options.part].iloc[0]) if piece.first == 0 else part
                if part not in parts:
                    raise DataError(f"{piece.where(0)}: {unknown(options.part, part, [*parts])}")
                same(piece, options.part, part)
            parts[part].take(piece)
            if all(each.over for each in parts.values()):
                break
    for each in parts.values():
        each.finish(path)


class _Part:
    """The training or the test sequences, as they are read.

    Attributes:
        inputs: `(sequences, steps, features)`.
        over: whether more sequences have begun than are asked for; these are left out.
    """

    def __init__(self, options: Options, key: str) -> None:
        self._options, self._key, self._count = options, key, int(getattr(options, key))
        rows = (self._count, options.steps) if options.each == "step" else (self._count,)
        self.inputs = np.zeros((self._count, options.steps, len(options.features)))
        self._answers = np.zeros((*rows, len(options.target))) if options.target else np.zeros(rows, np.int64)
        self._lengths, self._found, self.over = np.zeros(self._count, np.int64), 0, False
        self._begun: Piece | None = None

    @property
    def mask(self) -> np.ndarray:
        """Where sequences have steps, `(sequences, steps)`."""
        shown: np.ndarray = np.arange(self._options.steps) < self._lengths[:, None]
        return shown

    def take(self, piece: Piece) -> None:
        """Take the next lines of a sequence, or the first ones of the next."""
        if piece.first == 0:
            self._end()
            self.over = self._found == self._count
            self._found, self._begun = self._found + 1, piece
        if self.over:
            return
        at, first, options = self._found - 1, piece.first, self._options
        stop = min(first + len(piece.rows), options.steps)
        kept = slice(0, max(stop - first, 0))
        self.inputs[at, first:stop] = piece.rows[options.features].to_numpy()[kept]
        self._lengths[at] = max(stop, self._lengths[at])
        found = self._answered(piece)
        if options.each == "step":
            self._answers[at, first:stop] = found[kept]
        elif first == 0:
            self._answers[at] = found[0]

    def finish(self, path: Path) -> None:
        """Refuse a table that had fewer sequences than asked for."""
        self._end()
        if self._found < self._count:
            of = f" with {self._options.part} {self._key!r}" if self._options.part is not None else ""
            raise DataError(f"{path} has {self._found} sequences{of}, and task.{self._key} asks for {self._count}")

    def episode(self, learned: np.ndarray, seed: int) -> Episode:
        """The sequences, scaled by the steps that are learned from, and perhaps as spikes."""
        options, mask, inputs = self._options, self.mask, self.inputs
        if options.scale == "standard":
            inputs = scaled(inputs, learned, to_unit=options.encoder is not None)
        inputs = encoders.encode(options.encoder, np.where(mask[:, :, None], inputs, 0), seed, "csv", self._key)
        answers = self._answers
        if options.each == "step":
            answers = encoders.stretched(answers, inputs.shape[1])
        masked = encoders.stretched(mask, inputs.shape[1]) if options.lengths == "differ" else None
        if options.target:
            return Episode(inputs, values=answers, mask=masked)
        return Episode(inputs, answers, classes=options.shape["classes"], mask=masked)

    def _end(self) -> None:
        """Check the sequence that has come to its end, if there is one."""
        options, begun = self._options, self._begun
        if begun is None or self.over or options.lengths == "differ":
            return
        length = int(self._lengths[self._found - 1])
        if length < options.steps:
            raise DataError(
                f"{begun.where(0)}: {options.sequence} {begun.name!r} has {length} steps, and task.steps is "
                f"{options.steps}; give fewer, or `lengths: differ`"
            )

    def _answered(self, piece: Piece) -> np.ndarray:
        """The class of each line, or its values; refused if those of a sequence are not the same in all lines."""
        options, begun = self._options, self._begun
        assert begun is not None
        columns = [options.label] if options.label is not None else options.target
        if options.each == "sequence":
            for column in columns:
                same(piece, column, begun.rows[column].iloc[0])
        if options.label is None:
            values: np.ndarray = piece.rows[columns].to_numpy()
            return values
        return _classes(piece, options.label, options.classes or 0)


def _classes(piece: Piece, column: str, allowed: int | list[str]) -> np.ndarray:
    """The number of each line's class: its place among the names, or what stands there."""
    texts, names = piece.rows[column].to_numpy(), allowed if isinstance(allowed, list) else map(str, range(allowed))
    numbers = {name: number for number, name in enumerate(names)}
    found = np.array([numbers.get(text, -1) for text in texts])
    if len(wrong := np.flatnonzero(found < 0)):
        where, text = piece.where(int(wrong[0])), texts[wrong[0]]
        if isinstance(allowed, list):
            raise DataError(f"{where}: {unknown(column, text, allowed)}; see task.classes")
        raise DataError(f"{where}: {column} {text!r}; allowed are 0 to {allowed - 1}, see task.classes")
    return found
