"""Where in a study a system is good enough: a judgement of each point, which rests on an interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from hwsim.reports.answers import NEAR, Difference
from hwsim.reports.region import GridAxis, Point
from hwsim.reports.vocabulary import Vocabulary
from hwsim.results.paired import paired_difference

ALIGNED = 0.9
"""Least cosine with the exact gradient that is good enough."""

GOOD, BAD, UNDECIDED, LOST = "good enough", "not good enough", "undecided", "not finite"

Values = dict[str, dict[Point, pd.DataFrame]]
"""The values of a quantity by system and point: a row for each seed, a column for each chip. Infinite if a chip is not
finite; NaN where a value is undefined."""


class Criterion(NamedTuple):
    """What is good enough: a loss of at most `allowed` against a reference, against the best point, or a fixed level.

    Attributes:
        text: the criterion in words.
        largest: whether larger values are better.
        allowed: in units of the quantity, or as a share of what it is compared with if `relative`.
        reference: the system that it is compared with, at the same point.
        best: the system and the point that it is compared with.
        level: the fixed level.
    """

    text: str
    largest: bool
    allowed: float = 0.0
    relative: bool = False
    reference: str = ""
    best: tuple[str, Point] | None = None
    level: float | None = None


class Judged(NamedTuple):
    """The judgement of a system at one point.

    Attributes:
        fate: whether it is good enough.
        loss: how much worse it is than what it is compared with.
        learned: whether it is better than having learned nothing: good enough if so; empty if that is not known.
    """

    fate: str
    loss: Difference
    learned: str = ""


def by_point(table: pd.DataFrame, axes: list[str], quantity: str) -> Values:
    """The values of a quantity at each point of a study, where it was asked for."""
    done = table[table["status"] == "done"]
    lost = done[quantity].isna() & done["non_finite"].fillna(False).astype(bool)
    known = done.assign(**{quantity: done[quantity].mask(lost, np.inf)}).dropna(subset=[quantity])
    values: Values = {}
    for key, rows in known.groupby([*axes, "system"], sort=False, dropna=False):
        *point, system = key
        values.setdefault(str(system), {})[tuple(point)] = rows.set_index(["seed", "chip"])[quantity].unstack("chip")
    return values


def untaught(table: pd.DataFrame, curves: pd.DataFrame, axes: list[str], quantity: str) -> Values:
    """What has learned nothing, for `judge`: the best constant answer, or the untrained network where it is better.

    Empty for quantities that are not of a test.
    """
    column = f"constant_{quantity}"
    if quantity not in ("accuracy", "loss"):
        return {}
    bars = [table[column] if column in table else pd.Series(np.nan, table.index)]
    if f"test_{quantity}" in curves and len(curves):
        keys = [*axes, "seed", "system", "chip"]
        first = curves[curves["updates"] == curves["updates"].min()].drop_duplicates(keys)
        first = first[[*keys, f"test_{quantity}"]]
        bars.append(table[keys].merge(first, how="left", on=keys)[f"test_{quantity}"].set_axis(table.index))
    both = pd.concat(bars, axis=1).astype(float)
    best = both.min(axis=1) if quantity == "loss" else both.max(axis=1)
    return by_point(table.assign(untaught=best), axes, "untaught") if best.notna().any() else {}


def criterion(values: Values, quantity: str, largest: bool, rules: Mapping[str, str], subject: str) -> Criterion:
    """Good enough is a cosine of 0.9; an accuracy or a loss near BPTT's, or near the best of all without BPTT there."""
    if quantity.startswith("cosine"):
        return Criterion(f"a cosine of at least {ALIGNED}", True, level=ALIGNED)
    beside = (name for name, rule in rules.items() if rule == "bptt" and name != subject)
    points = values.get(subject, {}).keys()
    reference = next((name for name in beside if values.get(name, {}).keys() & points), None)
    if reference is None:
        return near_best(values, quantity, largest)
    return Criterion(f"{_margin(quantity)} {reference}", largest, NEAR, quantity == "loss", reference)


def near_best(values: Values, quantity: str, largest: bool) -> Criterion:
    """Good enough is what is near the best of all systems and points."""
    means = {
        (system, point): float(np.nanmean(found)) for system, line in values.items() for point, found in line.items()
    }
    finite = {place: mean for place, mean in means.items() if np.isfinite(mean)}
    best = (max if largest else min)(finite, key=lambda place: finite[place], default=None)
    whose = "its best" if len(values) == 1 else "the best of all"
    return Criterion(f"{_margin(quantity)} {whose}", largest, NEAR, quantity == "loss", best=best)


def judge(values: Values, system: str, asked: Criterion, bar: Values | None = None) -> dict[Point, Judged]:
    """The judgement of a system at each of its points.

    Args:
        bar: what has learned nothing; a system that is no better than that is never good enough.
    """
    bars = (bar or {}).get(system, {})
    return {
        point: _above(_judged(values, system, point, asked), values[system][point], bars.get(point), asked.largest)
        for point in values.get(system, {})
    }


def grid_axes(table: pd.DataFrame, axes: list[str], words: Vocabulary, x: str | None) -> dict[str, GridAxis]:
    """The axes by column, in the order of a sentence: thresholds are along `x`, or along the first axis of numbers."""
    made = {}
    for name in axes:
        axis = GridAxis(
            words.column(name),
            list(table[name].dropna().unique()),
            lambda value, name=name: words.level(name, value),  # type: ignore[misc]
            lambda value, name=name: words.value(name, value),  # type: ignore[misc]
        )
        made[name] = axis._replace(values=sorted(axis.values)) if axis.ordered else axis
    numbers = [name for name, axis in made.items() if axis.ordered]
    last = x if x in numbers else next(iter(numbers), None)
    return {name: made[name] for name in sorted(made, key=lambda name: name == last)}


def _judged(values: Values, system: str, point: Point, asked: Criterion) -> Judged:
    own, other = values[system][point], _compared_with(values, system, point, asked)
    nothing = Difference(np.nan, np.nan, np.nan, known=False)
    if np.isinf(own).any(axis=None):
        return Judged(LOST, nothing)
    if other is None or np.isinf(other).any(axis=None):
        return Judged(UNDECIDED, nothing)
    sign, (first, second) = 1 if asked.largest else -1, _shared(other, own)
    found = paired_difference(sign * first, sign * second)
    known = bool(np.isfinite([found.low, found.high]).all())
    loss = Difference(found.mean, found.low, found.high) if known else Difference(*(found.mean,) * 3, known=False)
    allowed = asked.allowed * (float(np.nanmean(other)) if asked.relative else 1.0)
    fate = GOOD if loss.high <= allowed else BAD if loss.low > allowed else UNDECIDED
    return Judged(fate, loss)


def _above(judged: Judged, own: pd.DataFrame, bar: pd.DataFrame | None, largest: bool) -> Judged:
    """The judgement of what has to be better than a bar as well."""
    if bar is None or judged.fate == LOST:
        return judged
    sign, (first, second) = 1 if largest else -1, _shared(own, bar)
    gain = paired_difference(sign * first, sign * second)
    surely = gain.low if np.isfinite(gain.low) else gain.mean
    learned = BAD if gain.mean <= 0 else GOOD if surely > 0 else UNDECIDED
    fates = (judged.fate, learned)
    fate = BAD if BAD in fates else UNDECIDED if UNDECIDED in fates else GOOD
    return judged._replace(fate=fate, learned=learned)


def _compared_with(values: Values, system: str, point: Point, asked: Criterion) -> pd.DataFrame | None:
    if asked.level is not None:
        return values[system][point] * 0 + asked.level
    if asked.reference:
        return values[asked.reference].get(point)
    return None if asked.best is None else values[asked.best[0]][asked.best[1]]


def _shared(one: pd.DataFrame, other: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The values at the seeds that both have: means over chips; chip by chip if there is one seed."""
    seeds = one.index.intersection(other.index)
    parts = [each.loc[seeds] if len(seeds) else each.mean().to_frame().T for each in (one, other)]
    alone = len(parts[0]) == 1 and (1 in (one.shape[1], other.shape[1]) or one.shape[1] == other.shape[1])
    first, second = (each.to_numpy(float) if alone else each.mean(axis=1).to_numpy(float)[:, None] for each in parts)
    return first, second


def _margin(quantity: str) -> str:
    if quantity.startswith("cosine"):
        return f"at most {NEAR} below"
    return f"at most {NEAR:.0%} above" if quantity == "loss" else f"at most {100 * NEAR:.0f} points below"
