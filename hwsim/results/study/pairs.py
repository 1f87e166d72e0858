"""Paired differences of a study: between systems at each point, and between points of an axis for each system.

With one seed all systems and all points start from the same weights, see the same data, and have the same chips.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from hwsim.columns import AREAS, GROUPS, JUDGED, MEASURES
from hwsim.config.grid import Grid
from hwsim.results.paired import student

COMPARED = (*JUDGED, *MEASURES, *AREAS, *(f"cosine_{group}" for group in GROUPS))
"""The quantities that are compared."""

WORDS = ("quantity", "first", "second", "axis", "against")
STATISTICS = ("mean", "low", "high", "leads", "count", "non_finite")
OVER = "over"

EACH = 12
"""Largest number of values of an axis that are compared each with each; of more, each with the one before it."""


class Observed(NamedTuple):
    """The values of one system in one quantity: `(points, observations)`.

    An observation is a seed, the mean over its chips; if the study has one seed, it is a chip.

    Attributes:
        values: NaN where there is none.
        lost: whether a chip of the observation is not finite.
    """

    values: np.ndarray
    lost: np.ndarray


def pairs(grid: Grid, table: pd.DataFrame, asked: Collection[tuple[str, str]]) -> pd.DataFrame:
    """The differences first − second, over the seeds, or over the chips of a single seed.

    Where `axis` is empty, two systems stand at the same point. Where it names a column, one system stands at the point,
    and at that with the value `against` in this column instead; all others are the same.

    An observation gives no difference if a chip of either side has no finite value; `non_finite` counts these.
    `mean` is the mean difference, `low` and `high` are the bounds of its 95 % interval by Student's t, and `leads` is
    the number of observations, of `count`, with a positive difference. `over` says what an observation is.

    Args:
        table: the table of the study.
        asked: pairs of a system and a quantity that was asked of it.
    """
    known = table[table["status"] == "done"]
    point = known.groupby(grid.columns, sort=False, dropna=False).ngroup() if grid.columns else known["chip"] * 0
    places = known[grid.columns].groupby(point).first()
    over = "seed" if known["seed"].nunique() > 1 else "chip"
    axes, same = list(_along_axes(grid, places)), np.arange(len(places))
    parts = []
    for quantity in COMPARED:
        systems = [str(system) for system in known["system"].unique() if (system, quantity) in asked]
        observed = _observed(known, point, quantity, over)
        for first, second in combinations(systems, 2):
            one, other = _shared(observed[first], over), _shared(observed[second], over)
            part = places.join(_compared(one, other, same, same).drop(columns="there"), how="right")
            parts.append(part.assign(quantity=quantity, first=first, second=second, axis=None, against=None))
        for system in systems:
            for column, here, there in axes:
                part = places.join(_compared(observed[system], observed[system], here, there), how="right")
                against = places[column].to_numpy()[part.pop("there").to_numpy(int)]
                what = {"quantity": quantity, "first": system, "second": system, "axis": column}
                parts.append(part.assign(**what, against=[str(value) for value in against]))
    columns = [*grid.columns, *WORDS, *STATISTICS, OVER]
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = pd.concat(filled).sort_index(kind="stable").assign(**{OVER: f"{over}s"})
    return table.astype(dict.fromkeys((*WORDS, OVER), "string"))[columns]


def _observed(known: pd.DataFrame, point: pd.Series[int], quantity: str, over: str) -> dict[str, Observed]:
    """The values of each system at all points."""
    by = [point.rename("point"), known[over].rename("of"), known["system"]]
    missing = (known[quantity].isna() & known["non_finite"].astype(bool)).groupby(by, sort=False).any()
    means = known[quantity].groupby(by, sort=False).mean().mask(missing).unstack("of").sort_index()
    lost = missing.unstack("of", fill_value=False).sort_index()
    every = range(int(point.max()) + 1 if len(point) else 0)
    return {
        str(system): Observed(
            means.xs(system, level="system").reindex(every).to_numpy(float),
            lost.xs(system, level="system").reindex(every, fill_value=False).to_numpy(bool),
        )
        for system in known["system"].unique()
    }


def _shared(observed: Observed, over: str) -> Observed:
    """With one seed, the only chip of a system, such as a digital machine, stands beside each chip of the others."""
    there = ~np.isnan(observed.values) | observed.lost
    if over == "seed" or there[:, 1:].any():
        return observed
    return Observed(*(np.repeat(each[:, :1], each.shape[1], axis=1) for each in observed))


def _along_axes(grid: Grid, places: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """For each axis its first column, and the points to compare: those here, and those there, with earlier values."""
    for dimension in grid.axes:
        others = [column for column in grid.columns if column not in dimension.columns]
        is_base = places[dimension.columns[0]] == dimension.base
        along = places.groupby(others, sort=False, dropna=False) if others else [((), places)]
        here, there = list[int](), list[int]()
        for _, line in along:
            for later, number in enumerate(line.index):
                earlier = line.index[:later] if len(line) <= EACH else line.index[max(0, later - 1) : later]
                if dimension.base is not None:
                    earlier = line.index[is_base[line.index]] if not is_base[number] else line.index[:0]
                here += [number] * len(earlier)
                there += list(earlier)
        yield dimension.columns[0], np.array(here, int), np.array(there, int)


def _compared(first: Observed, second: Observed, here: np.ndarray, there: np.ndarray) -> pd.DataFrame:
    """The statistics of each pair of points that has at least two observations, or would if all were finite."""
    lost = first.lost[here] | second.lost[there]
    differences = np.where(lost, np.nan, first.values[here] - second.values[there])
    found, lost_ones = student(differences), lost.sum(-1)
    count = found.observations
    columns = (
        np.where(count > 1, found.mean, np.nan), found.low, found.high, (differences > 0).sum(-1), count, lost_ones
    )  # fmt: skip
    statistics = pd.DataFrame(dict(zip(STATISTICS, columns, strict=True)), index=here).assign(there=there)
    return statistics[(count > 1) | ((lost_ones > 0) & (count + lost_ones > 1))]
