"""The chip that learns by errors which run forward in time, in short: its gradients, on digits that are shipped.

`hwsim study forward_on_chip` trains it on MNIST in 98 steps for hours; this is the same chip before training, on digits
of 64 steps. Seeds are fixed.
"""

from __future__ import annotations

import hwsim
from hwsim.config import experiment


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
