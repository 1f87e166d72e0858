"""The chip that learns by errors which run forward in time, in short: its gradients, on digits that are shipped.

`hwsim study forward_on_chip` trains it on MNIST in 98 steps for hours; this is the same chip before training, on digits
of 64 steps. Seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.config import experiment, grid
from hwsim.results.summary import GradientCheck

STUDIES = Path(__file__).parents[2] / "configs" / "studies"


def errors_of_circuits(parts: dict[str, Any], place: str = "") -> Iterator[tuple[str, float]]:
    """Mismatch and noise of all circuits, by their place."""
    for key, value in parts.items():
        if isinstance(value, dict):
            yield from errors_of_circuits(value, f"{place}{key}.")
        elif key in ("mismatch", "noise", "output_noise"):
            yield place + key, value


def test_the_finer_chip_has_a_quarter_of_all_mismatch_and_noise_whatever_learns() -> None:
    shipped, finer = (experiment.load(name) for name in ("forward_on_chip", "forward_on_finer_chip"))
    before = dict(errors_of_circuits(shipped.resolved()["machine"]["parts"]))
    assert sum(value > 0 for value in before.values()) > 10
    given = finer.resolved()
    for system in (given, *given["references"]):
        parts = system["machine"]["parts"]
        assert dict(errors_of_circuits(parts)) == {place: value / 4 for place, value in before.items()}
    assert (finer.task, finer.network, finer.training) == (shipped.task, shipped.network, shipped.training)


@pytest.mark.parametrize("name", ["forward_on_finer_chip", "forward_beside_bptt"])
def test_a_trial_of_its_studies_is_a_system_of_the_experiment(name: str) -> None:
    given = experiment.load("forward_on_finer_chip").resolved()
    systems = {each.get("name"): each for each in given["references"]} | {"anchored": given}
    study = grid.load_study(STUDIES / f"{name}.yaml")
    learners = {str(study.labels(point)["learner"]) for point in range(study.points)}
    assert learners == ({*systems} if name == "forward_on_finer_chip" else {"anchored", "BPTT in the loop"})
    for point in range(study.points):
        learner, trial = str(study.labels(point)["learner"]), study.experiment(point).resolved()
        assert (trial["references"], trial["called"]) == ([], "chip")
        assert trial["learning"] == systems[learner]["learning"]
        assert trial["machine"] == systems[learner]["machine"]


def checks(name: str, *references: str) -> dict[str, GradientCheck]:
    """Checks of the gradients of a shipped experiment before training, along digits that are shipped."""
    plain = experiment.load(name).resolved()
    kept = [each for each in plain["references"] if each["name"] in references]
    changes = {"task": {"name": "digits", "order": "pixels"}, "training": None, "test": False, "chips": 2}
    run = hwsim.run({**plain, **changes, "references": kept, "gradient_check": {"sequences": 8}})
    return {system: result.gradient for system, result in run.systems.items() if result.gradient}


def test_anchors_give_the_chip_a_gradient_that_the_recursion_alone_has_not() -> None:
    shipped = checks("forward_on_chip", "BPTT in the loop", "without anchors")
    cosines = {name: check.input.programmed.cosine for name, check in shipped.items()}
    errors = {name: check.recurrent.programmed.relative_error for name, check in shipped.items()}
    assert min(cosines["anchored"], cosines["BPTT in the loop"]) > 0.7
    assert max(errors["anchored"], errors["BPTT in the loop"]) < 1
    assert errors["without anchors"] > 2, (cosines, errors)
    (finer,) = checks("forward_on_finer_chip").values()
    assert finer.input.programmed.cosine > max(cosines["anchored"], 0.95)
    assert finer.recurrent.programmed.relative_error < errors["anchored"]
