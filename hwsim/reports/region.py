"""A region of a grid in words: `from 6 bits on, where read noise ≤ 0.2 %`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

Point = tuple[Any, ...]
"""The values of a point, one for each axis."""

_LISTED = 4
"""Largest number of values that are listed."""


class GridAxis(NamedTuple):
    """An axis that varies.

    Attributes:
        name: what numbers of it are called.
        values: in order; numbers from the lowest to the highest.
        say: a value in words, such as `6 bits`.
        plain: the value alone, such as `0.2 %`.
    """

    name: str
    values: list[Any]
    say: Callable[[Any], str]
    plain: Callable[[Any], str]

    @property
    def ordered(self) -> bool:
        """Whether values are numbers."""
        return not any(isinstance(value, str) or pd.api.types.is_bool(value) for value in self.values)


def region(axes: Sequence[GridAxis], holds: Mapping[Point, bool]) -> list[str] | None:
    """Where something holds: one text for each part of the region; `[""]` for everywhere, None for nowhere.

    The last axis gives thresholds (`from 6 bits on`), those before it conditions (`where read noise ≤ 0.2 %`). Values
    of an axis for which the rest of the region is the same are told together.

    Args:
        holds: for each point, its values in the order of the axes; points that are absent do not count.
    """
    if not axes:
        return [""] if all(holds.values()) and holds else None
    axis, *rest = axes
    parts: dict[tuple[str, ...] | None, list[Any]] = {}
    for value in axis.values:
        below = {point[1:]: each for point, each in holds.items() if point[0] == value}
        if below:
            found = region(rest, below)
            parts.setdefault(None if found is None else tuple(found), []).append(value)
    there = [value for value in axis.values if any(value in values for values in parts.values())]
    texts = []
    for inner, values in parts.items():
        if inner is not None:
            where = _threshold(axis, values, there) if not rest else _condition(axis, values, there)
            texts += [", ".join(part for part in (text, where) if part) for text in inner]
    return texts or None


def _threshold(axis: GridAxis, values: list[Any], there: list[Any]) -> str:
    if values == there:
        return ""
    if axis.ordered and len(there) > 1:
        if values == there[-len(values) :]:
            return f"from {axis.say(values[0])} on" if len(values) > 1 else f"at {axis.say(values[0])}"
        if values == there[: len(values)]:
            return f"up to {axis.say(values[-1])}" if len(values) > 1 else f"at {axis.say(values[0])}"
        first = there.index(values[0])
        if len(values) > 1 and values == there[first : first + len(values)]:
            return f"from {axis.say(values[0])} to {axis.say(values[-1])}"
    return f"at {_listed(axis, values)}"


def _condition(axis: GridAxis, values: list[Any], there: list[Any]) -> str:
    if values == there:
        return ""
    if not axis.ordered:
        return f"for {_listed(axis, values)}"
    if len(values) > 1 and values == there[: len(values)]:
        return f"where {axis.name} ≤ {axis.plain(values[-1])}"
    if len(values) > 1 and values == there[-len(values) :]:
        return f"where {axis.name} ≥ {axis.plain(values[0])}"
    return f"where {_listed(axis, values)}"


def _listed(axis: GridAxis, values: list[Any]) -> str:
    if len(values) > _LISTED:
        return f"{len(values)} values of {axis.name}"
    *most, last = map(axis.say, values)
    return f"{', '.join(most)} and {last}" if most else last
