"""Classifiers of averages beside a run: which tasks have them, a case worked out by hand, and what they decide."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from hwsim.episode import Episode
from hwsim.experiments.averages import TASKS, averages
from hwsim.reports.untaught import Untaught, untaught, without_memory
from hwsim.results.summary import AveragedAnswer, SystemSummary
from hwsim.tasks import TASKS as ALL
from hwsim.tasks import Dataset


def episode(means: list[float], labels: list[int]) -> Episode:
    """Sequences of two steps whose mean is as it says."""
    inputs = np.array([[[mean - 3], [mean + 3]] for mean in means])
    return Episode(inputs, np.array(labels), classes=2)


DATA = Dataset(episode([1, -1] * 4, [0, 1] * 4), episode([1, 1, -1, -1], [0, 1, 1, 1]))
"""The mean says the class; one test sequence is labelled wrongly."""


@pytest.mark.parametrize("task", TASKS)
def test_a_mean_that_says_the_class_is_right_but_for_wrong_labels(task: str) -> None:
    assert task in ALL
    assert averages(task, DATA) == {
        "accuracy": 0.75,
        "features": 256,
        "features_accuracy": 0.75,
        "seeds": [0, 1, 2, 3, 4],
    }


def test_other_tasks_have_none() -> None:
    """Of images row by row, copies and sums an average says nothing that anybody compares with."""
    assert averages("digits", DATA) is None
    each = replace(DATA.train, labels=np.zeros((8, 2), int))
    assert averages("events", DATA._replace(train=each)) is None
    assert (
        averages("events", DATA._replace(train=replace(DATA.train, labels=None, classes=0, values=np.ones((8, 1)))))
        is None
    )


def _system(low: float, high: float) -> SystemSummary:
    sure = SimpleNamespace(low=low, high=high)
    return cast(SystemSummary, SimpleNamespace(accuracy=SimpleNamespace(uncertainty=sure)))


@pytest.mark.parametrize(
    ("end", "spread", "beaten"), [(0.7, 0.02, False), (0.8, 0.02, None), (0.8, 0.001, True), (0.9, 0.02, True)]
)
def test_a_system_has_to_beat_the_linear_map(end: float, spread: float, beaten: Any) -> None:
    bar = Untaught(0.1, 0.12, True, 0.79)
    assert bar.beaten_by(end, _system(end - spread, end + spread)) is beaten
    assert str(bar) == "a linear map of inputs averaged over time (79.0%)"


def test_without_it_the_bar_is_what_it_was() -> None:
    assert str(Untaught(0.1, 0.12, True)) == "the untrained network (12.0%)"
    assert str(Untaught(0.1, 0.12, True, 0.05)) == "the untrained network (12.0%)"
    answer = AveragedAnswer(accuracy=0.807, features=256, features_accuracy=0.927, seeds=[0, 1, 2, 3, 4])
    assert untaught(None, 0.1, True, answer).averaged == 0.807
    assert untaught(None, 2.3, False, answer).averaged is None
    assert without_memory(answer) == (
        "A linear map of inputs averaged over time has an accuracy of 80.7%, and one of 256 random features of them "
        "92.7% (median of seeds 0 to 4)."
    )
