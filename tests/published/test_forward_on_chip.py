"""The chip that learns by errors which run forward in time, in short: its gradients, on digits that are shipped.

`hwsim study forward_on_chip` trains it on MNIST in 98 steps for hours; this is the same chip before training, on digits
of 64 steps. Seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hwsim
from hwsim.config import experiment, grid

STUDIES = Path(__file__).parents[2] / "configs" / "studies"


def errors_of_circuits(parts: dict[str, Any], place: str = "") -> Iterator[tuple[str, float]]:
    """Mismatch and noise of all circuits, by their place."""
    for key, value in parts.items():
        if isinstance(value, dict):
            yield from errors_of_circuits(value, f"{place}{key}.")
        elif key in ("mismatch", "noise", "output_noise"):
            yield place + key, value


def test_the_finer_chip_has_a_quarter_of_all_mismatch_and_noise_whatever_learns() -> None:
    shipped = dict(errors_of_circuits(experiment.load("forward_on_chip").resolved()["machine"]["parts"]))
    study = grid.load_study(STUDIES / "forward_on_finer_chip.yaml")
    assert sum(value > 0 for value in shipped.values()) > 10
    for point in range(study.points):
        parts = study.experiment(point).resolved()["machine"]["parts"]
        assert dict(errors_of_circuits(parts)) == {place: value / 4 for place, value in shipped.items()}


def test_anchors_give_the_chip_a_gradient_that_the_recursion_alone_has_not() -> None:
    plain = experiment.load("forward_on_chip").resolved()
    kept = [each for each in plain["references"] if each["name"] in ("BPTT in the loop", "without anchors")]
    changes = {"task": {"name": "digits", "order": "pixels"}, "training": None, "test": False, "chips": 2}
    run = hwsim.run({**plain, **changes, "references": kept, "gradient_check": {"sequences": 8}})
    checks = {name: system.gradient for name, system in run.systems.items() if system.gradient}
    cosines = {name: check.input.programmed.cosine for name, check in checks.items()}
    errors = {name: check.recurrent.programmed.relative_error for name, check in checks.items()}
    assert min(cosines["anchored"], cosines["BPTT in the loop"]) > 0.7
    assert max(errors["anchored"], errors["BPTT in the loop"]) < 1
    assert errors["without anchors"] > 2, (cosines, errors)
