"""Areas under the learning curves of a trial: how fast a system learned, where the last test says how far it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from hwsim.columns import EARLY, JUDGED, area_column

Areas = dict[str, float | None]
"""Values by column: None if a test was not finite; a column is absent if tests are too few to tell."""


def areas(metrics: str) -> dict[tuple[str, int], Areas]:
    """The areas under the curves of accuracy and loss, of each system and chip; none without training.

    An area is the integral over updates, straight between tests, divided by the updates: the mean over them. It needs a
    test between the first and the last, and of early updates one after the first.

    Args:
        metrics: the content of `metrics.csv`, as JSON.
    """
    return {of: _areas(tests) for of, tests in _curves(metrics)}


def _curves(metrics: str) -> Iterator[tuple[tuple[str, int], list[dict[str, Any]]]]:
    table = json.loads(metrics)
    tests = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    of = itemgetter("system", "chip")
    for (system, chip), rows in groupby(sorted(tests, key=of), of):
        yield (str(system), int(chip)), sorted(rows, key=itemgetter("updates"))


def _areas(tests: list[dict[str, Any]]) -> Areas:
    updates = np.array([test["updates"] for test in tests], float)
    found: Areas = {}
    for quantity in JUDGED:
        values = np.array([test[f"test_{quantity}"] for test in tests], float)
        if np.isnan(values).all():
            continue
        last = updates[-1]
        for early, until, needed in ((False, last, 3), (True, EARLY * last, 2)):
            if (updates <= until).sum() >= needed:
                mean = _mean(updates, values, until)
                found[area_column(quantity, early=early)] = mean if np.isfinite(mean) else None
    return found


def _mean(updates: np.ndarray, values: np.ndarray, until: float) -> float:
    """The mean of what is straight between tests, from the first of them to so many updates."""
    known = updates <= until
    x, y = updates[known], values[known]
    if x[-1] < until:
        x, y = np.append(x, until), np.append(y, np.interp(until, updates, values))
    return float(np.trapezoid(y, x) / (until - x[0]))
