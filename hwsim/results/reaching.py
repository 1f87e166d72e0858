"""What it takes to reach an accuracy on the test, and which accuracy is reached for an energy.

Accuracy is known at tests only. An accuracy is *reached* at the first test in which the median over chips is at least
that high, so somewhere between this test and the one before it; nothing is interpolated. Tests themselves cost nothing
here.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf, isfinite
from typing import Any, NamedTuple

import pandas as pd

MARGIN = 0.01
"""How far the default target is below the lowest of the systems' best medians."""

SPENT = ("learning_energy_j", "learning_time_s", "writes_per_device")
"""The columns that say what was spent before a test."""

_ROUNDING = 1e-12
"""By which an accuracy may miss a target that was computed from it."""


class Target(NamedTuple):
    """An accuracy to reach.

    Attributes:
        accuracy: from 0 to 1.
        lowest: the system whose best median, the lowest of all, it was made from; empty if it was asked for.
    """

    accuracy: float
    lowest: str = ""


class Tested(NamedTuple):
    """A test of one system.

    Attributes:
        updates: the number of updates before it.
        accuracy: the median over chips; a chip that is not finite is below all others.
        lowest, highest: the worst and the best chip that is finite; None if none is.
        energy, seconds, writes: what learning took until then: joules, seconds, and writes per device, median over
            chips; None for what is unknown, or does not exist.
    """

    updates: int
    accuracy: float
    lowest: float | None
    highest: float | None
    energy: float | None
    seconds: float | None
    writes: float | None


class Reaching(NamedTuple):
    """How a system reached an accuracy.

    Attributes:
        at: the first test in which the accuracy was reached; None if it was not.
        before: the test before that; None if there is none.
        best: the test with the best median.
        chips: for each chip the first test in which it reached the accuracy by itself; None if it did not.
    """

    at: Tested | None
    before: Tested | None
    best: Tested
    chips: list[Tested | None]


def tests(metrics: pd.DataFrame) -> dict[str, list[Tested]]:
    """The tests of each system that was trained and has accuracies, in order.

    Args:
        metrics: the columns of `metrics.csv`; `chip` counts whatever the median is over.
    """
    accuracies = metrics.assign(counted=metrics["test_accuracy"].fillna(-inf))
    spent = {name: (name, "median") for name in SPENT}
    at_tests = accuracies.astype(dict.fromkeys(SPENT, float)).groupby(["system", "updates"], sort=False)
    rows = at_tests.agg(
        accuracy=("counted", "median"), lowest=("test_accuracy", "min"), highest=("test_accuracy", "max"), **spent
    )
    found: dict[str, list[Tested]] = {}
    for (name, updates), (accuracy, *others) in zip(rows.index, rows.to_numpy().tolist(), strict=True):
        low, high, energy, seconds, writes = map(_known, others)
        found.setdefault(str(name), []).append(Tested(int(updates), accuracy, low, high, energy, seconds, writes))
    trained = {name: sorted(points) for name, points in found.items() if any(point.updates for point in points)}
    return {name: points for name, points in trained.items() if any(point.highest is not None for point in points)}


def default_target(found: dict[str, list[Tested]], without: Collection[str] = ()) -> Target | None:
    """One point below the lowest of the systems' best medians; None if there is none.

    Args:
        without: systems that are no candidates, since they are not finite.
    """
    best = {name: _best(points).accuracy for name, points in found.items() if name not in without}
    best = {name: accuracy for name, accuracy in best.items() if isfinite(accuracy)}
    if not best:
        return None
    lowest = min(best, key=lambda name: best[name])
    return Target(max(best[lowest] - MARGIN, 0.0), lowest)


def reaching(metrics: pd.DataFrame, accuracy: float) -> dict[str, Reaching]:
    """How each system that was trained reached an accuracy, or did not."""
    found = {}
    for name, points in tests(metrics).items():
        place = next((place for place, point in enumerate(points) if point.accuracy >= accuracy - _ROUNDING), None)
        rows, by_updates = metrics[metrics["system"] == name], {point.updates: point for point in points}
        good = rows[rows["test_accuracy"] >= accuracy - _ROUNDING].groupby("chip")["updates"].min()
        chips = [by_updates.get(good.get(chip, -1)) for chip in rows["chip"].unique()]
        at = None if place is None else points[place]
        found[name] = Reaching(at, points[place - 1] if place else None, _best(points), chips)
    return found


def within(metrics: pd.DataFrame, energy: float) -> dict[str, Tested | None]:
    """For each system that was trained the last test before which learning took at most so much energy.

    None if there is no such test. Systems without a known energy are left out.
    """
    found: dict[str, Tested | None] = {}
    for name, points in tests(metrics).items():
        known = [point for point in points if point.energy is not None]
        if known:
            found[name] = next((p for p in reversed(known) if p.energy is not None and p.energy <= energy), None)
    return found


def _best(points: list[Tested]) -> Tested:
    return max(points, key=lambda point: point.accuracy)


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
