"""Forward propagation through time beside BPTT: the shipped experiment in short, and what the studies vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim import documents
from hwsim.config import grid

SHIPPED = Path(__file__).parents[2] / "configs"
SYSTEMS = {"fptt": ("fptt", "average"), "unregularised": ("fptt", "weights"), "bptt": ("bptt", None)}


def rules(study: str, point: int) -> dict[str, Any]:
    return {
        name: system.learning
        for name, system in grid.load_study(SHIPPED / "studies" / study).experiment(point).systems().items()
    }


def test_all_three_systems_learn_to_add_over_ten_steps() -> None:
    """One number is marked in each five steps; always answering 1 gives half a squared error of about 1/12."""
    data: dict[str, Any] = documents.read(SHIPPED / "experiments" / "fptt_adding.yaml").data
    data["task"].update(steps=10, train=3200, test=200)
    data["training"].update(steps=200, test_every=200)
    found = hwsim.run(data).summary.systems
    assert list(found) == list(SYSTEMS)
    for system in found.values():
        assert system.loss.median < 0.5 / 12


@pytest.mark.parametrize(("study", "points"), [("fptt.yaml", 5), ("fptt_published.yaml", 2)])
def test_systems_of_a_study_differ_in_the_rule_alone(study: str, points: int) -> None:
    """Both forms of updates within the sequence have the same parts, and the second next to no regulariser."""
    assert grid.load_study(SHIPPED / "studies" / study).points == points
    for point in range(points):
        found = rules(study, point)
        assert {name: (each.name, getattr(each, "tested_at", None)) for name, each in found.items()} == SYSTEMS
        assert found["fptt"].parts == found["unregularised"].parts
        assert found["unregularised"].alpha < 1e-5 < found["fptt"].alpha
