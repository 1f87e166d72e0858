"""Systems of a study compared within its seeds, in which they start from the same weights and see the same data."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from hwsim.config.columns import GROUPS
from hwsim.config.grid import Grid

COMPARED = ("accuracy", "loss", *(f"cosine_{group}" for group in GROUPS))
"""What systems are compared by."""

STATISTICS = ("mean", "low", "high", "leads", "count")


def pairs(grid: Grid, found: pd.DataFrame) -> pd.DataFrame:
    """How much each system has more of something than each other one, at each point: first − second.

    A seed gives one difference, of the means over chips. `mean` is that of the differences, `low` and `high` are the
    bounds of its 95 % interval by Student's t, `leads` says in how many of `count` seeds the difference is positive.

    Args:
        found: the table of the study.
    """
    known = found[found["status"] == "done"]
    at = known.groupby(grid.columns, sort=False, dropna=False).ngroup() if grid.columns else known["chip"] * 0
    of_chips = known.groupby([at.rename("point"), "seed", "system"], sort=False)
    places = known[grid.columns].groupby(at).first()
    parts = []
    for quantity in COMPARED:
        of_systems = of_chips[quantity].mean().unstack("system")
        for first, second in combinations(known["system"].unique(), 2):
            part = _over_seeds(of_systems[first] - of_systems[second])
            what = {"quantity": quantity, "first": first, "second": second}
            parts.append(places.join(part, how="right").assign(**what))
    columns = [*grid.columns, "quantity", "first", "second", *STATISTICS]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts).sort_index(kind="stable")[columns]


def _over_seeds(differences: pd.Series[float]) -> pd.DataFrame:
    """The statistics at each point where at least two seeds have a difference."""
    known = differences.dropna()
    seeds = known.groupby(level="point")
    count = seeds.count()
    half = stats.t.ppf(0.975, np.maximum(count - 1, 1)) * seeds.std(ddof=1) / np.sqrt(count)
    mean, leads = seeds.mean(), (known > 0).groupby(level="point").sum()
    made = pd.DataFrame(dict(zip(STATISTICS, (mean, mean - half, mean + half, leads, count), strict=True)))
    return made[count > 1]
