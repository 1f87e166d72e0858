"""One trial, carried out in any process: the experiment and the result are text."""

from __future__ import annotations

import json
import time
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hwsim import tasks
from hwsim.columns import METRICS
from hwsim.config.experiment import Experiment, restored
from hwsim.errors import HwsimError
from hwsim.experiments import run as experiments
from hwsim.experiments.estimate import estimate
from hwsim.experiments.footprint import Footprint, footprint
from hwsim.results.study.store import TrialResult
from hwsim.results.summary import plain
from hwsim.tasks import Dataset


class Job(NamedTuple):
    """A trial to be carried out.

    Attributes:
        numbers: its numbers in the plan; several if points are equal.
        id: the hash of its resolved experiment.
        config: the resolved experiment as JSON; its seed is not used.
        seed: the seed of this trial.
        estimate: whether it is an estimate rather than a run.
    """

    numbers: list[int]
    id: str
    config: str
    seed: int
    estimate: bool


def carry_out(config: str, seed: int, data: str | None = None, estimated: bool = False) -> TrialResult:
    """Run or estimate a resolved experiment with a seed; an error becomes part of the result."""
    begun = time.perf_counter()
    try:
        experiment = _experiment(config).model_copy(update={"seed": seed})
        if estimated:
            summary = json.dumps(estimate(experiment).summary.plain(), allow_nan=False)
            return TrialResult("done", None, None, summary, _NO_TESTS, time.perf_counter() - begun)
        result = experiments.simulate(experiment, _dataset, data, needed=_footprint(config))
    except Exception as error:  # other trials go on
        said = str(error) if isinstance(error, HwsimError) else f"{type(error).__name__}: {error}"
        return TrialResult("failed", said, traceback.format_exc(), wall_s=time.perf_counter() - begun)
    summary = json.dumps(result.summary.plain(), allow_nan=False)
    metrics = json.dumps(plain(result.metrics.to_dict("split", index=False)), allow_nan=False)
    return TrialResult("done", None, None, summary, metrics, time.perf_counter() - begun)


_NO_TESTS = json.dumps({"columns": [*METRICS], "data": []})
"""The tests of an estimate."""


@lru_cache(64)
def _experiment(config: str) -> Experiment:
    return restored(json.loads(config))


@lru_cache(64)
def _footprint(config: str) -> Footprint:
    """The footprint of an experiment, which does not depend on its seed."""
    return footprint(_experiment(config))


_latest: dict[str, Dataset] = {}


def _dataset(options: Any, seed: int, folder: Path | None) -> Dataset:
    """The data of a task, cached for the next trial with the same data."""
    key = f"{options.model_dump_json()} {seed} {folder}"
    dataset = _latest.get(key)
    if dataset is None:
        _latest.clear()
        dataset = _latest[key] = tasks.build(options, seed, folder)
    return dataset
