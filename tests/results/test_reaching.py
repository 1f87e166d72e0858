"""What it takes to reach an accuracy: learning curves that are made up, and what must come out of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest
from conftest import close

from hwsim.results import reaching
from hwsim.results.reaching import Target

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
    found = reaching.reaching(metrics(CURVES), Target(0.9))
    good, slow, bad = found["good"], found["slow"], found["bad"]
    assert good.at is not None
    assert good.before is not None
    assert (good.at.updates, good.before.updates) == (20, 10)
    assert (good.at.energy, good.at.seconds, good.at.writes) == close((2.5e-3, 2.0, 3.0))
    assert good.best.updates == 20
    assert slow.at is not None
    assert (slow.at.updates, slow.at.lowest, slow.at.highest) == (30, 0.7, 0.92)
    assert [chip and chip.updates for chip in slow.chips] == [30, 20, None]
    assert (bad.at, bad.chips, bad.best.value) == (None, [None], 0.5)


def test_what_is_reached_before_learning_has_no_test_before() -> None:
    found = reaching.reaching(metrics(CURVES), Target(0.05))["good"]
    assert found.at is not None
    assert (found.at.updates, found.before) == (0, None)


def test_the_default_is_one_point_below_the_lowest_of_the_best_medians() -> None:
    tests = reaching.tests(metrics(CURVES), "accuracy")
    target = reaching.default_target(tests)
    assert target is not None
    assert (target.value, target.lowest) == (close(0.49), "bad")
    target = reaching.default_target(tests, without=["bad"])
    assert target is not None
    assert (target.value, target.lowest) == (close(0.89), "slow")
    assert reaching.default_target(tests, without=[*CURVES]) is None


@pytest.mark.parametrize("best", [0.9, 0.1, 0.57, 1.0])
def test_every_candidate_reaches_the_default_target(best: float) -> None:
    """Also where subtracting a hundredth rounds."""
    made = metrics({"one": [[0.05], [best]], "other": [[0.05], [1.0]]})
    target = reaching.default_target(reaching.tests(made, "accuracy"))
    assert target is not None
    assert all(found.at is not None for found in reaching.reaching(made, target).values())


def test_a_chip_that_is_not_finite_is_below_all_others() -> None:
    made = metrics({"a": [[0.1, 0.1], [0.9, None]], "b": [[0.1] * 3, [0.9, 0.95, None]], "c": [[0.1], [None]]})
    found = reaching.reaching(made, Target(0.9))
    assert found["a"].at is None
    assert found["b"].at is not None
    assert found["b"].at.value == 0.9
    assert found["c"].at is None
    target = reaching.default_target(reaching.tests(made, "accuracy"), without=["c"])
    assert target is not None
    assert target.lowest == "a"  # its best median is that of the first test


def test_a_budget_buys_the_last_test_within_it() -> None:
    made = metrics(CURVES)
    found = reaching.within(made, 3e-3)
    assert {name: at and (at.updates, at.value) for name, at in found.items()} == {
        "good": (20, 0.95), "slow": (20, close(0.7)), "bad": (20, 0.5)
    }  # fmt: skip
    assert set(reaching.within(made, 1e-4).values()) == {None}
    last = reaching.within(made, 1.0)["good"]
    assert last is not None
    assert (last.updates, last.value) == (30, 0.94)  # not the best, but the last
    made["learning_energy_j"] = None
    assert reaching.within(made, 1.0) == {}


def test_without_training_or_classes_nothing_is_reached() -> None:
    assert reaching.tests(metrics({"a": [[0.9]]}), "accuracy") == {}
    assert reaching.tests(metrics({"a": [[None], [None]]}), "accuracy") == {}
    assert reaching.default_target({}) is None


# ---- losses ------------------------------------------------------------------------------------------------------


def losses(curves: dict[str, Curve]) -> pd.DataFrame:
    return metrics(curves).rename(columns={"test_accuracy": "test_loss"}).assign(test_accuracy=None)


LOSSES: dict[str, Curve] = {
    "good": [[1.0], [0.3], [0.1], [0.2]],
    "slow": [[1.0, 1.0, 1.0], [0.8, 0.7, 0.9], [0.5, 0.3, None], [0.4, 0.2, None]],
}


def test_a_loss_is_reached_at_the_first_test_whose_median_is_as_low() -> None:
    made = losses(LOSSES)
    assert reaching.quantity(made) == "loss"
    assert reaching.quantity(metrics(CURVES)) == "accuracy"
    found = reaching.reaching(made, Target(0.3, quantity="loss"))
    assert found["good"].at is not None
    assert (found["good"].at.updates, found["good"].best.value) == (10, 0.1)
    assert found["slow"].at is None  # with a chip that is not finite the median is 0.4
    assert [chip and chip.updates for chip in found["slow"].chips] == [None, 20, None]
    bought = reaching.within(made, 1.6e-3, "loss")
    assert {name: at and at.value for name, at in bought.items()} == {"good": 0.3, "slow": 0.8}


def test_the_default_loss_is_one_per_cent_above_the_highest_of_the_best_medians_and_all_reach_it() -> None:
    made = losses(LOSSES)
    target = reaching.default_target(reaching.tests(made, "loss"), of="loss")
    assert target == Target(close(0.404), "slow", "loss")
    assert all(found.at is not None for found in reaching.reaching(made, target).values())


def test_what_is_no_better_than_a_constant_answer_sets_no_target_beside_what_is() -> None:
    tests = reaching.tests(metrics(CURVES), "accuracy")
    target = reaching.default_target(tests, constant=0.5)  # the best of `bad`
    assert target == Target(close(0.89), "slow")
    assert reaching.default_target(tests, constant=0.99) == Target(close(0.49), "bad")  # none is better
    lower = reaching.default_target(reaching.tests(losses(LOSSES), "loss"), of="loss", constant=0.4)
    assert lower == Target(close(0.101), "good", "loss")


def test_beside_a_median_stands_half_of_the_interval_over_seeds_or_over_chips_of_one() -> None:
    points = reaching.tests(metrics(CURVES), "accuracy")
    assert points["good"][1].half is None  # one chip
    # Student's t of three: 4.303 standard errors
    assert points["slow"][1].half == close(4.302653 * 0.1 / 3**0.5, rel=1e-6)
    made = metrics({"a": [[0.1] * 4, [0.5, 0.7, 0.8, 0.8]]}).assign(seed=lambda rows: rows["chip"] // 2)
    # two seeds, whose chips have 0.6 and 0.8 on average: 12.706 times the standard error of 0.1
    assert reaching.tests(made, "accuracy")["a"][1].half == close(1.2706205, rel=1e-6)
    assert reaching.tests(losses(LOSSES), "loss")["slow"][2].half is None  # a chip is not finite
