"""What it takes to reach an accuracy or a loss on the test, and which one is reached for an energy.

Accuracy is known at tests only. An accuracy is *reached* at the first test in which the median over chips is at least
that high, so somewhere between this test and the one before it; nothing is interpolated. Tests themselves cost nothing
here. A loss is reached at the first test in which the median is at most that low.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf, isfinite
from typing import Any, NamedTuple

import pandas as pd
from scipy.special import stdtrit  # SciPy's statistics take most of a second to load

from hwsim.results.paired import CONFIDENCE

MARGIN = 0.01
"""How far the default target is below the lowest of the systems' best medians; of a loss, the share that it is above
the highest of them."""

ACCURACY, LOSS = "accuracy", "loss"
"""What a target may be of."""

SPENT = ("learning_energy_j", "learning_time_s", "writes_per_device")
"""The columns that say what was spent before a test."""

_ROUNDING = 1e-12
"""By which a value may miss a target that was computed from it."""


class Target(NamedTuple):
    """An accuracy or a loss to reach.

    Attributes:
        value: an accuracy from 0 to 1, or a loss.
        lowest: the system whose best median, the worst of all, it was made from; empty if it was asked for.
        quantity: `accuracy`, or `loss`.
    """

    value: float
    lowest: str = ""
    quantity: str = ACCURACY

    def met(self, value: float) -> bool:
        """Whether a value is as good; it may miss a target that was computed from it by rounding."""
        if self.quantity == LOSS:
            return value <= self.value + _ROUNDING * max(1.0, abs(self.value))
        return value >= self.value - _ROUNDING


class Tested(NamedTuple):
    """A test of one system.

    Attributes:
        updates: the number of updates before it.
        value: the accuracy or the loss, median over chips; a chip that is not finite is worse than all others.
        lowest, highest: the lowest and the highest of the chips that are finite; None if none is.
        energy, seconds, writes: what learning took until then: joules, seconds, and writes per device, median over
            chips; None for what is unknown, or does not exist.
        half: half of the 95 % interval of the mean over seeds, or over chips of one seed; None unless there are
            several, all finite.
    """

    updates: int
    value: float
    lowest: float | None
    highest: float | None
    energy: float | None
    seconds: float | None
    writes: float | None
    half: float | None = None


class Reaching(NamedTuple):
    """How a system reached an accuracy or a loss.

    Attributes:
        at: the first test in which the target was reached; None if it was not.
        before: the test before that; None if there is none.
        best: the test with the best median.
        chips: for each chip the first test in which it reached the target by itself; None if it did not.
    """

    at: Tested | None
    before: Tested | None
    best: Tested
    chips: list[Tested | None]


def quantity(metrics: pd.DataFrame) -> str:
    """What systems are compared at: the accuracy; the loss where there are no classes."""
    return ACCURACY if metrics["test_accuracy"].notna().any() or "test_loss" not in metrics else LOSS


def tests(metrics: pd.DataFrame, of: str) -> dict[str, list[Tested]]:
    """The tests of each system that was trained and has accuracies, or losses, in order.

    Args:
        metrics: the columns of `metrics.csv`; `chip` counts whatever the median is over.
        of: `accuracy` or `loss`.
    """
    column, worst = f"test_{of}", inf if of == LOSS else -inf
    counted = metrics.assign(counted=metrics[column].astype(float).fillna(worst))
    spent = {name: (name, "median") for name in SPENT}
    at_tests = counted.astype(dict.fromkeys(SPENT, float)).groupby(["system", "updates"], sort=False)
    rows = at_tests.agg(value=("counted", "median"), lowest=(column, "min"), highest=(column, "max"), **spent)
    rows = rows.join(_halves(counted))
    found: dict[str, list[Tested]] = {}
    for (name, updates), (value, *others) in zip(rows.index, rows.to_numpy(float).tolist(), strict=True):
        found.setdefault(str(name), []).append(Tested(int(updates), value, *map(_known, others)))
    trained = {name: sorted(points) for name, points in found.items() if any(point.updates for point in points)}
    return {name: points for name, points in trained.items() if any(point.highest is not None for point in points)}


def default_target(
    found: dict[str, list[Tested]], without: Collection[str] = (), of: str = ACCURACY, constant: float | None = None
) -> Target | None:
    """One point below the lowest of the systems' best medians, or 1 % above the highest of losses; None without any.

    Args:
        without: systems that are no candidates, since they are not finite.
        constant: what a constant answer has on the test: a system that is no better sets the target only if none is.
    """
    best = {name: _best(points, of).value for name, points in found.items() if name not in without}
    best = {name: value for name, value in best.items() if isfinite(value)}
    better = {name: value for name, value in best.items() if constant is None or beats(value, constant, of)}
    best = better or best
    if not best:
        return None
    if of == LOSS:
        highest = max(best, key=lambda name: best[name])
        return Target(best[highest] * (1 + MARGIN), highest, LOSS)
    lowest = min(best, key=lambda name: best[name])
    return Target(max(best[lowest] - MARGIN, 0.0), lowest)


def beats(value: float, other: float, of: str = ACCURACY) -> bool:
    """Whether a value is better than another one."""
    return value < other if of == LOSS else value > other


def reaching(metrics: pd.DataFrame, target: Target) -> dict[str, Reaching]:
    """How each system that was trained reached a target, or did not."""
    found, column = {}, f"test_{target.quantity}"
    for name, points in tests(metrics, target.quantity).items():
        place = next((place for place, point in enumerate(points) if target.met(point.value)), None)
        rows, by_updates = metrics[metrics["system"] == name], {point.updates: point for point in points}
        good = rows[[target.met(value) for value in rows[column]]].groupby("chip")["updates"].min()
        chips = [by_updates.get(good.get(chip, -1)) for chip in rows["chip"].unique()]
        at = None if place is None else points[place]
        found[name] = Reaching(at, points[place - 1] if place else None, _best(points, target.quantity), chips)
    return found


def within(metrics: pd.DataFrame, energy: float, of: str = ACCURACY) -> dict[str, Tested | None]:
    """For each system that was trained the last test before which learning took at most so much energy.

    None if there is no such test. Systems without a known energy are left out.
    """
    found: dict[str, Tested | None] = {}
    for name, points in tests(metrics, of).items():
        known = [point for point in points if point.energy is not None]
        if known:
            found[name] = next((p for p in reversed(known) if p.energy is not None and p.energy <= energy), None)
    return found


def _best(points: list[Tested], of: str) -> Tested:
    return (min if of == LOSS else max)(points, key=lambda point: point.value)


def _halves(values: pd.DataFrame) -> pd.Series[float]:
    """Half of the 95 % interval of the mean at each test, by Student's t; not a number if it is unknown.

    Over seeds if there are several, since chips of one seed share their data; else over chips.
    """
    over = "seed" if "seed" in values and values["seed"].nunique() > 1 else "chip"
    means = values.groupby(["system", "updates", over])["counted"].mean().groupby(["system", "updates"])
    count = means.count()
    return (-stdtrit(count - 1, (1 - CONFIDENCE) / 2) * means.std(ddof=1) / count**0.5).rename("half")


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
