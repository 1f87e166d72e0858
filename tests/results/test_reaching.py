"""What it takes to reach an accuracy: learning curves that are made up, and what must come out of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest
from conftest import close

from hwsim.results import reaching

Curve = Sequence[Sequence[float | None]]
"""The accuracies of the chips, test by test."""


def metrics(curves: dict[str, Curve], every: int = 10, joules: float = 1e-3) -> pd.DataFrame:
    """Tests after every 10 updates, which take 1 mJ, 1 s and 1 write per device each; 0.5 mJ are programming."""
    rows = [
        {
            "system": name, "chip": chip, "updates": every * at, "test_accuracy": accuracy,
            "learning_energy_j": joules * (at + 0.5), "learning_time_s": float(at), "writes_per_device": 1.0 + at,
        }
        for name, curve in curves.items()
        for at, chips in enumerate(curve)
        for chip, accuracy in enumerate(chips)
    ]  # fmt: skip
    return pd.DataFrame(rows)


CURVES: dict[str, Curve] = {
    "good": [[0.1], [0.8], [0.95], [0.94]],
    "slow": [[0.1, 0.1, 0.1], [0.5, 0.6, 0.4], [0.7, 0.91, 0.6], [0.9, 0.92, 0.7]],
    "bad": [[0.1], [0.3], [0.5], [0.4]],
}


def test_an_accuracy_is_reached_at_the_first_test_whose_median_is_as_high() -> None:
    found = reaching.reaching(metrics(CURVES), 0.9)
    good, slow, bad = found["good"], found["slow"], found["bad"]
    assert good.at is not None
    assert good.before is not None
    assert (good.at.updates, good.before.updates) == (20, 10)
    assert (good.at.energy, good.at.seconds, good.at.writes) == close((2.5e-3, 2.0, 3.0))
    assert good.best.updates == 20
    assert slow.at is not None
    assert (slow.at.updates, slow.at.lowest, slow.at.highest) == (30, 0.7, 0.92)
    assert [chip and chip.updates for chip in slow.chips] == [30, 20, None]
    assert (bad.at, bad.chips, bad.best.accuracy) == (None, [None], 0.5)


def test_what_is_reached_before_learning_has_no_test_before() -> None:
    found = reaching.reaching(metrics(CURVES), 0.05)["good"]
    assert found.at is not None
    assert (found.at.updates, found.before) == (0, None)


def test_the_default_is_one_point_below_the_lowest_of_the_best_medians() -> None:
    tests = reaching.tests(metrics(CURVES))
    target = reaching.default_target(tests)
    assert target is not None
    assert (target.accuracy, target.lowest) == (close(0.49), "bad")
    target = reaching.default_target(tests, without=["bad"])
    assert target is not None
    assert (target.accuracy, target.lowest) == (close(0.89), "slow")
    assert reaching.default_target(tests, without=[*CURVES]) is None


@pytest.mark.parametrize("best", [0.9, 0.1, 0.57, 1.0])
def test_every_candidate_reaches_the_default_target(best: float) -> None:
    """Also where subtracting a hundredth rounds."""
    made = metrics({"one": [[0.05], [best]], "other": [[0.05], [1.0]]})
    target = reaching.default_target(reaching.tests(made))
    assert target is not None
    assert all(found.at is not None for found in reaching.reaching(made, target.accuracy).values())


def test_a_chip_that_is_not_finite_is_below_all_others() -> None:
    made = metrics({"a": [[0.1, 0.1], [0.9, None]], "b": [[0.1] * 3, [0.9, 0.95, None]], "c": [[0.1], [None]]})
    found = reaching.reaching(made, 0.9)
    assert found["a"].at is None
    assert found["b"].at is not None
    assert found["b"].at.accuracy == 0.9
    assert found["c"].at is None
    target = reaching.default_target(reaching.tests(made), without=["c"])
    assert target is not None
    assert target.lowest == "a"  # its best median is that of the first test


def test_a_budget_buys_the_last_test_within_it() -> None:
    made = metrics(CURVES)
    found = reaching.within(made, 3e-3)
    assert {name: at and (at.updates, at.accuracy) for name, at in found.items()} == {
        "good": (20, 0.95), "slow": (20, close(0.7)), "bad": (20, 0.5)
    }  # fmt: skip
    assert set(reaching.within(made, 1e-4).values()) == {None}
    last = reaching.within(made, 1.0)["good"]
    assert last is not None
    assert (last.updates, last.accuracy) == (30, 0.94)  # not the best, but the last
    made["learning_energy_j"] = None
    assert reaching.within(made, 1.0) == {}


def test_without_training_or_classes_nothing_is_reached() -> None:
    assert reaching.tests(metrics({"a": [[0.9]]})) == {}
    assert reaching.tests(metrics({"a": [[None], [None]]})) == {}
    assert reaching.default_target({}) is None
