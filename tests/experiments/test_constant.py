"""The constant answer: formulas, and a search over outputs that are the same for all sequences and steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import close
from scipy.optimize import minimize

from hwsim.episode import Episode
from hwsim.experiments.constant import constant
from hwsim.experiments.losses import numbers
from hwsim.networks import CrossEntropy, HalfSquare, Loss

INPUTS = np.zeros((5, 4, 2))
MASK = np.array([[1, 1, 1, 0], [1, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
RISING = lambda step, steps: (step + 1) / steps  # noqa: E731
DRAW = np.random.default_rng(3)
OF_SEQUENCES = Episode(INPUTS, labels=np.array([2, 0, 2, 1, 2]), classes=3)
OF_STEPS = Episode(INPUTS, labels=DRAW.integers(0, 3, (5, 4)), classes=3)
VALUES = Episode(INPUTS, values=DRAW.normal(size=(5, 4, 3)))
LAST = Episode(INPUTS, values=DRAW.normal(size=(5, 3)))


def least(episode: Episode, loss: Loss) -> float:
    """The least loss of a constant output, searched for."""

    def of(output: np.ndarray) -> float:
        total = 0.0
        for step in range(episode.loss_from, episode.steps):
            rows = slice(None) if episode.mask is None else episode.mask[:, step]
            known = episode.labels if episode.values is None else episode.values
            assert known is not None
            wanted = known[:, step][rows] if episode.target_per_step else known[rows]
            shown = np.broadcast_to(output, (1, len(wanted), 3))
            weight = 1.0 if loss.weight is None else loss.weight(step, episode.steps)
            total += weight * float(numbers(loss).of_outputs(shown, wanted)[0])
        return total / episode.losses

    return float(minimize(of, np.zeros(3), tol=1e-12).fun)


@pytest.mark.parametrize("weight", [None, RISING])
@pytest.mark.parametrize("loss", [CrossEntropy, HalfSquare])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("episode", [OF_SEQUENCES, OF_STEPS, VALUES, LAST])
def test_no_constant_output_has_a_smaller_loss(
    episode: Episode, mask: np.ndarray | None, loss: type[Loss], weight: object
) -> None:
    if loss is CrossEntropy and episode.values is not None:
        return
    made = loss(weight)  # type: ignore[arg-type]
    for each in (replace(episode, mask=mask), replace(episode, mask=mask, loss_from=1)):
        assert constant(each, made)["loss"] == close(least(each, made), rel=1e-7)


def test_the_accuracy_is_the_share_of_the_most_frequent_class_among_the_answers_that_count() -> None:
    assert constant(OF_SEQUENCES, CrossEntropy())["accuracy"] == close(3 / 5)
    assert constant(replace(OF_SEQUENCES, mask=MASK), CrossEntropy(RISING))["accuracy"] == close(3 / 5)
    assert OF_STEPS.labels is not None
    counts = np.bincount(OF_STEPS.labels[MASK])
    assert constant(replace(OF_STEPS, mask=MASK), HalfSquare())["accuracy"] == close(counts.max() / MASK.sum())
    assert constant(VALUES, HalfSquare())["accuracy"] is None


def test_equal_classes_have_the_entropy_of_a_fair_die() -> None:
    fair = Episode(np.zeros((8, 3, 1)), labels=np.arange(8) % 4, classes=4)
    assert constant(fair, CrossEntropy()) == {"accuracy": 0.25, "loss": close(np.log(4))}
