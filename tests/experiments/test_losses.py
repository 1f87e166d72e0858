"""Losses: the error that a network learns from is the slope of the loss that is told from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import NETWORKS, built, close, distance, gradient_of, random_episode, rule

from hwsim import networks
from hwsim.episode import Episode
from hwsim.experiments.evaluation import Meter, evaluate
from hwsim.experiments.losses import numbers
from hwsim.machine import Signal
from hwsim.networks import CrossEntropy, HalfSquare, Loss, Network

LOSSES: dict[type[Loss], dict[str, Any]] = {CrossEntropy: {"target": "each"}, HalfSquare: {"target": "values"}}
SCALED = {"layers": [NETWORKS["tanh"]["layers"][0]], "output_scale": 1.7}


def late(step: int, steps: int) -> float:
    """Weights that rise with time."""
    return (step + 1) / steps


def test_every_loss_of_networks_is_tried_here() -> None:
    declared = {each for each in vars(networks.loss).values() if isinstance(each, type) and issubclass(each, Loss)}
    assert declared - {Loss} == set(LOSSES)


def made_of(loss: Loss, episode: Episode, learner: str = "bptt") -> Network:
    made = built(SCALED, rule(learner), episode)
    made.loss_for = lambda shown: loss
    return made


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("weight", [None, late])
def test_a_gradient_is_the_slope_of_the_loss_that_is_told(kind: type[Loss], weight: Any) -> None:
    """By finite differences through the whole network and both readings of the loss, in tests and while learning."""
    episode = random_episode(**LOSSES[kind])
    made = made_of(kind(weight), episode)
    meter = Meter(made, episode, answers=True)
    made.machine.watchers["answer"] = meter.see
    found = gradient_of(made, rule("bptt"), episode)
    count = episode.batch * episode.loss_steps
    assert meter.loss / count == close(evaluate(made, episode, 2).loss)
    draw = np.random.default_rng(0)
    along = {each.name: draw.normal(size=each.shape) for each in made.trainables}

    def told(by: float) -> float:
        moved = made_of(kind(weight), episode)
        for each in moved.trainables:
            each.master.value = each.master.value + by * along[each.name].ravel()
        moved.program()
        return float(evaluate(moved, episode, 3).loss[0]) * count

    slope = (told(1e-5) - told(-1e-5)) / 2e-5
    wanted = sum(float((found[name][0] * along[name]).sum()) for name in found)
    assert slope == close(wanted, rel=1e-7)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_weight_of_one_half_halves_gradient_and_loss(kind: type[Loss]) -> None:
    episode = random_episode(**LOSSES[kind])
    half, whole = (made_of(kind(weight), episode) for weight in (lambda step, steps: 0.5, None))
    one, other = (gradient_of(made, rule("bptt"), episode) for made in (half, whole))
    assert distance({name: 2 * each for name, each in one.items()}, other) < 1e-14
    assert 2 * evaluate(half, episode, 3).loss == close(evaluate(whole, episode, 3).loss)


@pytest.mark.parametrize("learner", ["fpe", "rtrl", "one_step"])
def test_all_rules_learn_from_the_loss_of_the_network(learner: str) -> None:
    episode = random_episode()
    network = {"layers": [NETWORKS["lru"]["layers"][0]]}

    def found(name: str, loss: Loss) -> dict[str, np.ndarray]:
        made = built(network, rule(name), episode, uses=frozenset({"transposed"}))
        made.loss_for = lambda shown: loss
        return gradient_of(made, rule(name), episode)

    exact, plain = found("bptt", CrossEntropy(late)), found(learner, CrossEntropy())
    mine = found(learner, CrossEntropy(late))
    assert distance(mine, plain) > 0.1
    if learner != "one_step":
        assert distance(mine, exact) < 1e-10


def test_a_loss_without_functions_is_refused() -> None:
    """Nor is one told by the numbers of another that it inherits from."""

    class Smooth(CrossEntropy):
        def error(self, answer: Signal, target: Signal) -> Signal:
            return answer - 0.9 * target

    made, episode = made_of(Smooth(), random_episode()), random_episode()
    with pytest.raises(NotImplementedError, match="has no functions for Smooth"):
        evaluate(made, episode, 3)
    assert numbers(CrossEntropy(late)) is numbers(CrossEntropy())
