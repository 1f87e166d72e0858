"""Areas under learning curves, against integrals on a fine grid, and as columns of a study's tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from conftest import close
from scipy import integrate

from hwsim.columns import AREAS, EARLY, METRICS
from hwsim.results.study.areas import areas

Curve = Sequence[tuple[int, float | None, float | None]]
"""Updates, accuracy and loss at each test."""


def metrics(curves: dict[tuple[str, int], Curve]) -> str:
    data = [
        [
            {"system": name, "chip": chip, "updates": at, "test_accuracy": right, "test_loss": loss}.get(key)
            for key in METRICS
        ]
        for (name, chip), tests in curves.items()
        for at, right, loss in tests
    ]
    return json.dumps({"columns": list(METRICS), "data": data})


def of_loss(*tests: tuple[int, float | None]) -> dict[str, Any]:
    """The areas of one chip without accuracies."""
    return areas(metrics({("A", 0): [(at, None, loss) for at, loss in tests]}))["A", 0]


def test_an_area_is_the_mean_over_updates_of_what_is_straight_between_tests() -> None:
    at, losses = [0, 7, 30, 60, 200], [4.0, 2.5, 2.6, 1.5, 1.2]
    found = of_loss(*zip(at, losses, strict=True))
    for column, until in (("loss_area", 200), ("loss_early_area", EARLY * 200)):
        wanted, _ = integrate.quad(lambda x: np.interp(x, at, losses), 0, until, points=at[1:-1], limit=200)
        assert found.pop(column) == close(wanted / until, rel=1e-9)
    assert not found


def test_each_system_and_chip_has_areas_of_its_own_in_whatever_order_tests_stand() -> None:
    falling: Curve = [(0, 0.0, 3.0), (10, 0.5, 1.0), (100, 0.5, 1.0)]
    flat: Curve = [(0, 0.25, 2.0), (10, 0.25, 2.0), (100, 0.25, 2.0)]
    found = areas(metrics({("B", 1): falling[::-1], ("A", 0): flat, ("B", 0): flat}))
    assert {**found["A", 0]} == {**found["B", 0]} == {
        "accuracy_area": 0.25, "accuracy_early_area": 0.25, "loss_area": 2.0, "loss_early_area": 2.0
    }  # fmt: skip
    assert found["B", 1] == {
        "accuracy_area": close(0.475), "accuracy_early_area": close(0.25),
        "loss_area": close(1.1), "loss_early_area": close(2.0),
    }  # fmt: skip
    assert set(found["B", 1]) == set(AREAS)


def test_two_tests_are_no_curve_and_early_updates_need_a_test_of_their_own() -> None:
    assert of_loss((0, 3.0), (100, 1.0)) == {}
    assert of_loss((0, 3.0)) == {}
    assert set(of_loss((0, 3.0), (11, 2.0), (100, 1.0))) == {"loss_area"}
    assert set(of_loss((0, 3.0), (10, 2.0), (100, 1.0))) == {"loss_area", "loss_early_area"}


def test_a_test_that_is_not_finite_leaves_no_number_where_it_counts() -> None:
    assert of_loss((0, 3.0), (10, 2.0), (50, None), (100, 1.0)) == {"loss_area": None, "loss_early_area": close(2.5)}
    assert of_loss((0, 3.0), (10, None), (50, 2.0), (100, 1.0)) == {"loss_area": None, "loss_early_area": None}
