"""Forward error propagation in few passes: what the study varies, and one of its networks in short."""

from __future__ import annotations

import numpy as np

import hwsim
from hwsim.config import grid
from hwsim.config.files import shelf

STUDY = grid.load_study(shelf("configs/studies") / "mnist98_passes.yaml")


def test_learners_differ_in_passes_and_in_what_the_network_forgets() -> None:
    found = []
    for point in range(STUDY.points):
        experiment = STUDY.experiment(point)
        learning = experiment.learning
        (r_min,) = {layer.cell.r_min for layer in experiment.network.layers}
        found.append((learning.name, getattr(learning, "passes", None), r_min))
    passes = [("fpe", count, 0.99) for count in (None, 4, 3, 2, 1)]
    rest = [("spatial", None, 0.99), ("bptt", None, 0.36), ("fpe_anchored", None, 0.36)]
    assert found == [("bptt", None, 0.99), *passes, *rest]


def test_after_two_passes_of_the_shipped_network_the_top_layer_has_its_gradient_and_others_none() -> None:
    """On eight steps of the digits that are shipped, in single precision; layer 3 learns in its readout."""
    plain = STUDY.experiment(4).resolved()
    short = {"task": {"name": "digits"}, "training": None, "test": False, "gradient_check": {"sequences": 8}}
    check = hwsim.run({**plain, **short}).systems["network"].gradient
    assert check is not None
    layers = [check.by_layer[f"layer {number}"] for number in (1, 2, 3, 4)]
    off = [[layer.recurrent.target.relative_error, layer.readout.target.relative_error] for layer in layers]
    np.testing.assert_allclose(off, [[1, 1], [1, 1], [1, 0], [0, 0]], atol=1e-4)
