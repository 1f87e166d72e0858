"""The trials of a study, by number; the experiment of a trial is composed only when it is needed."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwsim import documents, streams
from hwsim.columns import COLUMNS, CURVES, METRICS, NUMBERS, TAKEN, TRAINING_AXES
from hwsim.config import dotted, files, hardware, plausible
from hwsim.config import experiment as config
from hwsim.config.dotted import KeyChange
from hwsim.config.experiment import Experiment
from hwsim.config.not_modelled import NOT_MODELLED
from hwsim.config.study import AxisOptions, Distribution, Study
from hwsim.documents import Document, Mark, Place
from hwsim.errors import ConfigError

_KEPT = 1024
"""Number of composed experiments that are cached, for the other seeds of the same point."""
_CHECKED = 100
"""Number of values per axis that are checked before a study starts."""

_LONGEST = 200
"""Largest number of letters of the name of an axis."""

Label = str | int | float | bool


class AxisValue(NamedTuple):
    """One value of an axis: its labels in tables, by column, and the changes that it makes."""

    labels: dict[str, Label]
    changes: list[KeyChange]


class Dimension(NamedTuple):
    """One axis: its columns in tables, the number of its values, and each value by its index.

    Attributes:
        base: what the first column says at the value that all others are compared with; None if there is none.
    """

    columns: list[str]
    size: int
    at: Callable[[int], AxisValue]
    base: Label | None = None


ALONE, BASE = "varied", "base"
"""The column that says which of the axes varies that vary one at a time, and what it says at the base point."""


class Grid:
    """A study's trials: `points` × `seeds`, numbered with seeds varying fastest.

    Attributes:
        study: the options of the study.
        columns: the columns of the axes in tables.
        points, trials: the numbers of points and of trials.
    """

    def __init__(self, document: Document, study: Study, base: Document) -> None:
        self.study, self._document = study, document
        self._shelf: dict[str, Any] = {}
        self._composed: OrderedDict[int, Experiment] = OrderedDict()
        self.base, self._wrong = dotted.changed(base, self._set(), self._read)
        self.axes = [*self._axes(), *self._one_at_a_time()]
        self.dimensions = [*self.axes, *self._sample()]
        self.columns = [column for dimension in self.dimensions for column in dimension.columns]
        self.points = prod(dimension.size for dimension in self.dimensions)
        own = self.base.data.get("seed", 0)
        seeds = study.seeds if study.seeds is not None else [own if isinstance(own, int) else 0]
        self.seeds: Sequence[int] = range(seeds) if isinstance(seeds, int) else seeds
        self.trials = self.points * len(self.seeds)

    # ---- points ----------------------------------------------------------------------------------------------

    def labels(self, point: int) -> dict[str, Label]:
        """The labels of a point, by column."""
        return {column: label for value in self._along(point) for column, label in value.labels.items()}

    def experiment(self, point: int) -> Experiment:
        """The experiment at a point, with the seed of the file.

        Raises:
            ConfigError: the parts of the experiment do not fit together.
        """
        if point not in self._composed:
            changes = [change for value in self._along(point) for change in value.changes]
            document, wrong = dotted.changed(self.base, changes, self._read)
            try:
                self._composed[point] = config.compose(document, self._machine)
            except ConfigError as error:
                wrong.append(str(error))
            if wrong:
                raise ConfigError("\n".join(wrong))
            if len(self._composed) > _KEPT:
                self._composed.popitem(last=False)
        return self._composed[point]

    def _along(self, point: int) -> list[AxisValue]:
        """The value of each axis at a point; the last axis varies fastest."""
        values = []
        for dimension in reversed(self.dimensions):
            point, index = divmod(point, dimension.size)
            values.append(dimension.at(index))
        return values[::-1]

    def _set(self) -> list[KeyChange]:
        keys = self.study.set
        return [KeyChange(key, keys[key], self._mark(("set", key), True), self._mark(("set", key))) for key in keys]

    def _axes(self) -> Iterator[Dimension]:
        for name, axis in self.study.vary.combined.items():
            yield self._axis(("vary", name), name, axis)

    def _one_at_a_time(self) -> Iterator[Dimension]:
        """The base point, and behind it each value of each axis that varies alone."""
        alone = self.study.vary.one_at_a_time
        if not alone:
            return
        each = {name: self._axis(("vary", "one_at_a_time", name), name, axis) for name, axis in alone.items()}
        values = [(name, number) for name, axis in each.items() for number in range(axis.size)]
        base = {column: label for name, axis in alone.items() for column, label in self._base(name, axis).items()}

        def at(number: int) -> AxisValue:
            if number == 0:
                return AxisValue({ALONE: BASE, **base}, [])
            name, index = values[number - 1]
            labels, changes = each[name].at(index)
            return AxisValue({ALONE: name, **base, **labels}, changes)

        yield Dimension([ALONE, *base], 1 + len(values), at, base=BASE)

    def _base(self, name: str, axis: AxisOptions) -> dict[str, Label]:
        """The labels of an axis at the base point, by column: the value there if values are the labels, else `base`."""
        if axis.labels is not None or axis.zip is not None:
            return dict.fromkeys(axis.labels if isinstance(axis.labels, dict) else [name], BASE)
        value = None
        with suppress(ConfigError):  # a wrong key is refused with the values
            value = dotted.value_of(self.base, (axis.keys or [axis.key or name])[0], self._read)
        named = value.get("name") if isinstance(value, dict) else value
        return {name: named if isinstance(named, str | int | float) else BASE}

    def _axis(self, place: Place, name: str, axis: AxisOptions) -> Dimension:
        return self._zipped(place, name, axis) if axis.zip else self._plain(place, name, axis)

    def _plain(self, place: Place, name: str, axis: AxisOptions) -> Dimension:
        values = axis.values or []
        short = isinstance(self._document.part(place).data, list)
        keys, marks = self._keys(place, name, axis.key, axis.keys)
        columns = _columns(name, axis, values)

        def at(number: int) -> AxisValue:
            mark = self._mark((*place, number) if short else (*place, "values", number))
            changes = [KeyChange(key, values[number], where, mark) for key, where in zip(keys, marks, strict=True)]
            return AxisValue({column: labels[number] for column, labels in columns.items()}, changes)

        return Dimension([*columns], len(values), at)

    def _zipped(self, place: Place, name: str, axis: AxisOptions) -> Dimension:
        lists = axis.zip or {}
        points = [values[0] if len(values) == 1 else list(values) for values in zip(*lists.values(), strict=True)]
        columns = _columns(name, axis, points)

        def at(number: int) -> AxisValue:
            changes = []
            for key, values in lists.items():
                here = (*place, "zip", key)
                changes.append(KeyChange(key, values[number], self._mark(here, True), self._mark((*here, number))))
            return AxisValue({column: labels[number] for column, labels in columns.items()}, changes)

        return Dimension([*columns], len(axis), at)

    def _sample(self) -> Iterator[Dimension]:
        sample = self.study.sample
        if sample is None:
            return
        drawn: list[tuple[str, Distribution, list[str], list[Mark]]] = []
        for name, law in sample.keys.items():
            drawn.append((name, law, *self._keys(("sample", "keys", name), name, law.key, law.keys)))
        choices = {name: _labels(law.choice) for name, law in sample.keys.items() if law.choice is not None}

        def at(number: int) -> AxisValue:
            labels: dict[str, Label] = {"sample": number}
            changes = []
            for name, law, keys, marks in drawn:
                value = law.draw(streams.generator(sample.seed, "study sample", name, number))
                labels[name] = choices[name][(law.choice or []).index(value)] if name in choices else value
                mark = self._mark(("sample", "keys", name))
                changes += [KeyChange(key, value, where, mark) for key, where in zip(keys, marks, strict=True)]
            return AxisValue(labels, changes)

        yield Dimension(["sample", *sample.keys], sample.count, at)

    def _keys(self, place: Place, name: str, key: str | None, keys: list[str] | None) -> tuple[list[str], list[Mark]]:
        """The dotted keys of an axis, and where they stand; an axis without keys is named by its key."""
        if keys is not None:
            return keys, [self._mark((*place, "keys", number)) for number in range(len(keys))]
        if key is not None:
            return [key], [self._mark((*place, "key"))]
        return [name], [self._mark(place, True)]

    def _mark(self, place: Place, at_key: bool = False) -> Mark:
        problem = self._document.problem(place, "", at_key)
        return Mark(problem.file, problem.line, problem.column)

    # ---- machines are read once ------------------------------------------------------------------------------

    def _read(self, part: Document, kind: str) -> Document:
        return self._once(("read", kind), part, lambda: dotted.content_of(part, kind))

    def _machine(self, part: Document, key: str) -> Any:
        return self._once(("machine", key), part, lambda: hardware.machine(part, key))

    def _once(self, what: tuple[str, ...], part: Document, make: Callable[[], Any]) -> Any:
        key = json.dumps([*what, part.file, part.data], sort_keys=True, default=str)
        if key not in self._shelf:
            self._shelf[key] = make()
        return self._shelf[key]

    # ---- checks ----------------------------------------------------------------------------------------------

    def check(self) -> str:
        """Check all keys, and each value of an axis at the first values of the others; return a fingerprint of all.

        An invalid key or value is an error here. A point whose parts are valid, but do not fit together, is a trial
        that fails.

        Raises:
            ConfigError: the first point is no valid experiment, or a key or a value is invalid.
        """
        wrong = [*self._wrong, *map(str, self._misnamed())]
        resolved: list[Any] = []
        for dimension, index, point in self._checked_points():
            try:
                resolved.append(self.experiment(point).resolved())
            except ConfigError as error:
                marks = [
                    mark for change in dimension.at(index).changes for mark in (change.key_mark, change.value_mark)
                ]
                places = tuple(f"{mark.file}:{mark.line}:{mark.column}: " for mark in marks)
                wrong += [line for line in str(error).splitlines() if index == 0 or line.startswith(places)]
                resolved.append(str(error))
        if not self.dimensions:
            resolved.append(self.experiment(0).resolved())
        documents.complain(wrong)
        return documents.fingerprint(resolved)

    def doubts(self) -> list[str]:
        """Warnings about implausible values, in the experiment and along each axis; invalid points are left out."""
        texts = (doubt.text for experiment in self.representatives() for doubt in plausible.doubts(experiment))
        return list(dict.fromkeys(texts))

    def representatives(self) -> Iterator[Experiment]:
        """The first experiment, and the one at each value of an axis; invalid points are left out."""
        for point in sorted({0, *(point for _, _, point in self._checked_points())}):
            with suppress(ConfigError):
                yield self.experiment(point)

    def _checked_points(self) -> Iterator[tuple[Dimension, int, int]]:
        """The values of each axis at the first values of the others: the axis, the value's index, and the point."""
        stride = self.points
        for dimension in self.dimensions:
            stride //= dimension.size
            for index in sorted(
                {round(step) for step in np.linspace(0, dimension.size - 1, min(dimension.size, _CHECKED))}
            ):
                yield dimension, index, index * stride

    def _misnamed(self) -> Iterator[documents.Problem]:
        """Axes and figures with names that do not fit the table, and keys that vary twice."""
        named: list[tuple[str, Place]] = []
        for name, axis, at in self._named_axes():
            columns = axis.labels if isinstance(axis.labels, dict) else {}
            named += [(column, (*at, "labels", column)) for column in columns] or [(name, at)]
        named += [(name, ("sample", "keys", name)) for name in (self.study.sample.keys if self.study.sample else {})]
        for name, place in named:
            if name != " ".join(name.split()) or not 1 <= len(name) <= _LONGEST:
                text = f"{name!r} cannot name a column: 1 to {_LONGEST} letters in one line, with no space around them"
                yield self._document.problem(place, text, at_key=True)
            reserved = TAKEN | {ALONE} if self.study.vary.one_at_a_time else TAKEN
            is_key = "labels" not in place and not self._has_keys(name)
            if name in reserved and not (is_key and name == "seed"):  # that key has a message of its own
                text = f"{name!r} is a column of the table already; give the axis another name"
                text += f", and `key: {name}`" if is_key else ""
                yield self._document.problem(place, text, at_key=True)
        for number, (name, place) in enumerate(named):
            if name in (other for other, _ in named[:number]):
                yield self._document.problem(
                    place, f"two axes are called {name!r}, or one of their columns", at_key=True
                )
        taken: dict[str, str] = {}
        for dimension, first in self._first_changes():
            for change in first:
                if change.key == "seed":
                    yield documents.Problem(*change.key_mark, "seeds are given by `seeds`")
                elif change.key in taken:
                    text = f"{change.key} varies already along {taken[change.key]!r}"
                    yield documents.Problem(*change.key_mark, text)
                taken[change.key] = dimension
        for number in range(len(self.study.figures)):
            yield from self._misdrawn(number)

    def _first_changes(self) -> Iterator[tuple[str, list[KeyChange]]]:
        """What each axis changes at its first value, with the last column of the axis."""
        for dimension in self.dimensions:
            if dimension.base is None:
                yield dimension.columns[-1], dimension.at(0).changes
        for name, axis in self.study.vary.one_at_a_time.items():
            yield name, self._axis(("vary", "one_at_a_time", name), name, axis).at(0).changes

    def _named_axes(self) -> Iterator[tuple[str, AxisOptions, Place]]:
        """All axes, with their names and where they stand."""
        for name, axis in self.study.vary.combined.items():
            yield name, axis, ("vary", name)
        for name, axis in self.study.vary.one_at_a_time.items():
            yield name, axis, ("vary", "one_at_a_time", name)

    def _has_keys(self, name: str) -> bool:
        """Whether an axis says which keys vary, rather than by its name."""
        axes = {of: axis for of, axis, _ in self._named_axes()}
        axis: Any = axes.get(name) or self.study.sample.keys[name]  # type: ignore[union-attr]
        return bool(axis.key or axis.keys or getattr(axis, "zip", None))

    def _misdrawn(self, number: int) -> Iterator[documents.Problem]:
        """Columns that a figure names and the table does not have."""
        figure = self.study.figures[number]
        of_table, numbers = (METRICS, CURVES) if figure.over_training else (COLUMNS, NUMBERS)
        names = list(dict.fromkeys([*self.columns, "seed", *of_table]))
        asked: list[tuple[Place, str | None, list[str]]] = []
        asked += [(("x",), figure.x, [*names, *TRAINING_AXES]), (("y",), figure.y, [*numbers])]
        asked += [(("hue",), figure.hue, names), (("up",), figure.up, names)]
        asked.append((("boundary",), figure.boundary, [*numbers]))
        for key in ("facet", "rows"):
            given = getattr(figure, key)
            listed = enumerate(given) if isinstance(given, list) else []
            asked += [((key, place), name, names) for place, name in listed]
            asked += [] if isinstance(given, list) else [((key,), given, names)]
        for place, name, allowed in asked:
            if name is not None and name not in allowed:
                yield self._document.problem(("figures", number, *place), documents.unknown("column", name, allowed))
        for key, allowed in (("where", names), ("units", names), ("hollow", [*numbers])):
            for name in getattr(figure, key):
                if name not in allowed:
                    text = documents.unknown("column", name, allowed)
                    yield self._document.problem(("figures", number, key, name), text, at_key=True)

    # ---- the study itself ------------------------------------------------------------------------------------

    def resolved(self) -> dict[str, Any]:
        """The study as plain data that names no other file."""
        data = self.study.model_dump(mode="json", exclude_none=True)
        data["experiment"] = dotted.spelled_out(self.base, "", self._read)
        alone = data.get("vary", {}).pop("one_at_a_time", {})
        for axis in (*data.get("vary", {}).values(), *alone.values()):
            keys = axis.get("keys") or [axis.get("key", "")]
            for values, key in [(axis.get("values"), keys[0]), *((v, k) for k, v in axis.get("zip", {}).items())]:
                if values is not None:
                    values[:] = [self._portable(value, key) for value in values]
        if alone:
            data["vary"]["one_at_a_time"] = alone
        left_out = {"set"} if self.study.estimate else {"set", "estimate"}
        return {key: value for key, value in data.items() if key not in left_out}

    def _portable(self, value: Any, key: str) -> Any:
        return dotted.spelled_out(Document(self._document.file, value), key.rpartition(".")[2], self._read)


def load_study(path: str | Path) -> Grid:
    """The trials of the study that a YAML file describes, or a shipped one by its name.

    Raises:
        ConfigError: all problems of the file, one per line.
    """
    return compose(documents.read(files.path_of(path, "configs/studies")))


def compose(document: Document) -> Grid:
    """The trials of the study that a document describes."""
    if not isinstance(document.data, dict):
        raise documents.refuse([document.problem((), documents.must_be_keys("a study", Study))])
    if {"task", "network", "learning"} & set(document.data):
        text = f"this is an experiment, not a study; run it with `hwsim run {document.file}`"
        raise documents.refuse([document.problem((), text)])
    messages: list[str] = []
    base = documents.collect(messages, lambda: _base(document))
    study = documents.collect(messages, lambda: documents.check(Study, document, NOT_MODELLED))
    documents.complain(messages)
    return Grid(document, study, base)


def _base(document: Document) -> Document:
    """The experiment that a study starts from."""
    if "experiment" not in document.data:  # `check` reports it with the other problems
        return document
    part = document.part(("experiment",))
    part = files.opened(part, "configs/experiments")
    if not isinstance(part.data, dict):
        raise documents.refuse([part.problem((), documents.must_be_keys("an experiment", Experiment))])
    return part


def _columns(name: str, axis: AxisOptions, values: list[Any]) -> dict[str, list[Label]]:
    """The labels of the points of an axis, by column; by default a column with its name and its values."""
    if isinstance(axis.labels, dict):
        return {column: [*labels] for column, labels in axis.labels.items()}
    return {name: [*(axis.labels or _labels(values))]}


def _labels(values: list[Any]) -> list[Label]:
    """Labels of values: the values themselves if they are numbers or words; otherwise their names, or JSON."""
    named = [value.get("name") if isinstance(value, dict) else value for value in values]
    if not all(isinstance(value, (str, int, float)) for value in named) or len(set(map(str, named))) < len(named):
        named = [value if isinstance(value, (str, int, float)) else json.dumps(value) for value in values]
    return named  # type: ignore[return-value]
