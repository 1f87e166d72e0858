"""Systems of a study compared within seeds: with one seed, all start from the same weights and see the same data."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from hwsim.columns import GROUPS
from hwsim.config.grid import Grid

COMPARED = ("accuracy", "loss", *(f"cosine_{group}" for group in GROUPS))
"""The quantities that are compared."""

STATISTICS = ("mean", "low", "high", "leads", "count", "non_finite")


def pairs(grid: Grid, table: pd.DataFrame, asked: Collection[tuple[str, str]]) -> pd.DataFrame:
    """The differences between each two systems at each point: first − second.

    A seed gives one difference, between the means over chips. A seed gives none if a chip of either system has no
    finite value; `non_finite` counts such seeds. `mean` is the mean difference, `low` and `high` are the bounds of its
    95 % interval by Student's t, and `leads` is the number of seeds, of `count`, with a positive difference.

    Args:
        table: the table of the study.
        asked: pairs of a system and a quantity that was asked of it.
    """
    known = table[table["status"] == "done"]
    at = known.groupby(grid.columns, sort=False, dropna=False).ngroup() if grid.columns else known["chip"] * 0
    by = [at.rename("point"), known["seed"], known["system"]]
    places = known[grid.columns].groupby(at).first()
    parts = []
    for quantity in COMPARED:
        systems = [system for system in known["system"].unique() if (system, quantity) in asked]
        values, missing = known[quantity], known[quantity].isna() & known["non_finite"].astype(bool)
        lost_chips = missing.groupby(by, sort=False).any()
        means = values.groupby(by, sort=False).mean().mask(lost_chips).unstack("system")
        lost = lost_chips.unstack("system", fill_value=False)
        for first, second in combinations(systems, 2):
            part = _over_seeds(means[first] - means[second], lost[first] | lost[second])
            what = {"quantity": quantity, "first": first, "second": second}
            parts.append(places.join(part, how="right").assign(**what))
    columns = [*grid.columns, "quantity", "first", "second", *STATISTICS]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts).sort_index(kind="stable")[columns]


def _over_seeds(differences: pd.Series[float], lost: pd.Series[bool]) -> pd.DataFrame:
    """The statistics at each point where at least two seeds have a difference, or would if all were finite."""
    seeds, lost_seeds = differences.groupby(level="point"), lost.groupby(level="point").sum()
    count, leads = seeds.count(), (differences > 0).groupby(level="point").sum()
    mean = seeds.mean().where(count > 1)
    half = stats.t.ppf(0.975, np.maximum(count - 1, 1)) * seeds.std(ddof=1) / np.sqrt(count)
    columns = (mean, mean - half, mean + half, leads, count, lost_seeds)
    statistics = pd.DataFrame(dict(zip(STATISTICS, columns, strict=True)))
    return statistics[(count > 1) | ((lost_seeds > 0) & (count + lost_seeds > 1))]
