"""Learning curves of a study: a row per test, system and chip."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from hwsim.columns import METRICS
from hwsim.config.grid import Grid
from hwsim.results.study.store import Trials


def curves(grid: Grid, trials: Trials) -> pd.DataFrame:
    """The tests of all trials, in the order of points, seeds, systems and tests; empty without training.

    Columns: the axes, `seed`, and those of `metrics.csv`.
    """
    parts = []
    for number, metrics in trials.metrics():
        point, at = divmod(number, len(grid.seeds))
        labels: dict[str, Any] = {**grid.labels(point), "seed": grid.seeds[at]}
        tests = pd.DataFrame(**json.loads(metrics))
        if tests["updates"].any():
            parts.append(tests.assign(**labels))
    columns = [*grid.columns, "seed", *METRICS]
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()).reindex(columns=columns)
