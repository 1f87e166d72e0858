"""The change of errors from the end of sequences to their start, against closed forms, and what is reported of it."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from conftest import built, close, perturb, random_episode, rule

from hwsim.experiments import run as experiments
from hwsim.experiments.vanishing import change_of_errors, diagnostic

ONE_MODE = {"layers": [{"cell": {"name": "lru", "modes": 1, "r_min": 0.8, "r_max": 0.9}, "readout": {"hidden": [5]}}]}
ONE_UNIT = {"layers": [{"cell": {"name": "leaky_tanh", "units": 1, "leak": 0.3}, "readout": {"hidden": [5]}}]}


def of_one_mode(episode):
    made = built(ONE_MODE, rule("bptt"), episode)
    return change_of_errors(made, episode), np.exp(-np.exp(made.layers[0].cell.nu.values.item()))


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
@pytest.mark.parametrize("loss_from", [0, -1])
def test_the_error_of_one_mode_shrinks_by_its_eigenvalue_in_every_step(steps, loss_from):
    """The state before the first step is T steps away, and losses of other steps change nothing."""
    found, eigenvalue = of_one_mode(random_episode(steps=steps, loss_from=loss_from % steps))
    assert found == close({"layer 1": eigenvalue**steps}, rel=1e-12)


@pytest.mark.parametrize("pooling", ["none", "last", "cumulative_mean"])
def test_pooling_changes_nothing(pooling):
    episode = random_episode(steps=9)
    made = built({**ONE_MODE, "pooling": pooling}, rule("bptt"), episode)
    eigenvalue = np.exp(-np.exp(made.layers[0].cell.nu.values.item()))
    assert change_of_errors(made, episode) == close({"layer 1": eigenvalue**9}, rel=1e-12)


def test_with_a_mask_each_sequence_is_followed_from_its_own_last_loss():
    mask = np.zeros((3, 7), bool)
    mask[:, 1], mask[:, 4] = True, True
    found, eigenvalue = of_one_mode(random_episode(mask=mask))
    assert found == close({"layer 1": eigenvalue**5}, rel=1e-12)
    mask[0, 6] = True  # of this one the error has two steps more to go
    longer, _ = of_one_mode(random_episode(mask=mask))
    assert eigenvalue**7 < longer["layer 1"] < eigenvalue**5


def test_the_error_of_one_unit_changes_by_the_product_of_its_derivatives():
    episode = random_episode(batch=1, steps=20)
    made = built(ONE_UNIT, rule("bptt"), episode)
    perturb(made)
    cell, h, product = made.layers[0].cell, 0.0, 1.0
    w, u, b = cell.W.weights.item(), cell.U.weights[0, 0], cell.b.trainable.values.item()
    for x in episode.inputs[0]:
        y = np.tanh(w * h + u @ x + b)
        h, product = 0.7 * h + 0.3 * y, product * (0.7 + 0.3 * (1 - y * y) * w)
    assert change_of_errors(made, episode) == close({"layer 1": abs(product)}, rel=1e-12)


def test_windows_of_longer_sequences_are_followed_from_their_ends():
    alone, eigenvalue = of_one_mode(replace(random_episode(), lanes=3))
    assert alone == close({"layer 1": eigenvalue**7}, rel=1e-12)


def test_errors_without_loss_are_left_out():
    episode = random_episode(target="values")
    made = built(ONE_MODE, rule("bptt"), episode)
    for trainable in made.layers[0].readout.trainables:
        trainable.master.value[:] = 0
    made.program()
    assert change_of_errors(made, episode) == {}
    assert diagnostic({}, 7) == []


def test_the_verdict_says_what_becomes_of_errors():
    (said,) = diagnostic({"layer 1": 1e-12, "layer 2": 0.5, "layer 3": 3e4, "layer 4": 1e-3, "layer 5": inf}, 98)
    assert (said.name, said.unit, said.good) == ("error_change", "", None)
    assert said.verdict == (
        "98 steps back from the last loss, exact errors vanish in layer 1, layer 4; explode in layer 3, layer 5; "
        "are kept in layer 2"
    )
    for ratio, fate in (0.0099, "vanish"), (0.0101, "are kept"), (99.0, "are kept"), (101.0, "explode"):
        (alike,) = diagnostic({"layer 1": ratio, "layer 2": ratio}, 5)
        assert alike.verdict == f"5 steps back from the last loss, exact errors {fate} in all layers"


@pytest.mark.parametrize("more", [("training",), ("training", "gradient check"), ("gradient check",)])
@pytest.mark.parametrize("learner", ["rtrl", "fpe"])
def test_a_run_reports_it_for_every_rule_at_the_first_and_the_last_weights(more, learner):
    data = {
        "name": "vanishing",
        "seed": 3,
        "task": {"name": "random", "steps": 12, "width": 2, "outputs": 3, "train": 4, "test": 3},
        "network": ONE_MODE,
        "learning": {"name": learner},
        "machine": "digital_45nm",
    }
    if "training" in more:
        data["training"] = {"optimizer": {"name": "sgd", "rate": 0.3}, "batch": 4, "steps": 3, "test_every": 1}
    if "gradient check" in more:
        data["gradient_check"] = {"sequences": 2}
    system = experiments.run(data).summary.systems["substrate"]
    (said,) = (each for each in system.diagnostics if each.name == "error_change")
    assert "12 steps back from the last loss, exact errors are kept in layer 1" in said.verdict
    assert 0.8**12 < said.at_start.value["layer 1"] < 0.9**12
    assert (said.value == said.at_start.value) == ("training" not in more)
