"""Losses: the error that a network learns from is the slope of the loss that is told from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import NETWORKS, built, close, distance, gradient_of, machine_options, random_episode, rule

from hwsim import machines, networks
from hwsim.config import experiment as config
from hwsim.episode import Episode, outline
from hwsim.errors import ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.evaluation import Meter, evaluate
from hwsim.experiments.losses import numbers
from hwsim.experiments.run import run
from hwsim.machine import Shapes, Signal
from hwsim.networks import CrossEntropy, HalfSquare, Loss, Network

LOSSES: list[tuple[type[Loss], str]] = [
    (CrossEntropy, "each"),
    (CrossEntropy, "one"),
    (HalfSquare, "values"),
    (HalfSquare, "each"),
    (HalfSquare, "one"),
]
SCALED = {"layers": [NETWORKS["tanh"]["layers"][0]], "output_scale": 1.7}


def late(step: int, steps: int) -> float:
    """Weights that rise with time."""
    return (step + 1) / steps


def test_every_loss_of_networks_is_tried_here() -> None:
    declared = {each for each in vars(networks.loss).values() if isinstance(each, type) and issubclass(each, Loss)}
    assert declared - {Loss} == {kind for kind, _ in LOSSES}


def made_of(loss: Loss, episode: Episode, learner: str = "bptt") -> Network:
    made = built(SCALED, rule(learner), episode)
    made.loss_for = lambda shown: loss
    return made


@pytest.mark.parametrize(("kind", "target"), LOSSES)
@pytest.mark.parametrize("weight", [None, late])
def test_a_gradient_is_the_slope_of_the_loss_that_is_told(kind: type[Loss], target: str, weight: Any) -> None:
    """By finite differences through the whole network and both readings of the loss, in tests and while learning."""
    episode = random_episode(target=target)
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


@pytest.mark.parametrize(("kind", "target"), LOSSES)
def test_a_weight_of_one_half_halves_gradient_and_loss(kind: type[Loss], target: str) -> None:
    episode = random_episode(target=target)
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


# ---- as an experiment asks for it ----------------------------------------------------------------------------------


def asked(target: str, **loss: Any) -> Any:
    data = {
        "name": "losses",
        "task": {"name": "random", "steps": 30, "width": 2, "outputs": 3, "target": target, "train": 8, "test": 6},
        "network": {**SCALED, "loss": loss},
        "learning": {"name": "one_step"},
        "machine": "digital_45nm",
        "training": {"optimizer": {"name": "sgd", "rate": 0.3}, "batch": 4, "steps": 2},
    }
    return config.load(data)


@pytest.mark.parametrize(
    ("target", "name", "kind"),
    [
        ("each", "natural", CrossEntropy),
        ("each", "half_square", HalfSquare),
        ("values", "natural", HalfSquare),
        ("one", "cross_entropy", CrossEntropy),
    ],
)
@pytest.mark.parametrize(
    ("weights", "wanted"), [("equal", [1, 1, 1, 1]), ("rising", [0.25, 0.5, 0.75, 1]), (0.5, [1 / 8, 1 / 4, 1 / 2, 1])]
)
def test_a_loss_is_asked_for_by_name(
    target: str, name: str, kind: type[Loss], weights: Any, wanted: list[float]
) -> None:
    options = networks.loss.Options(name=name, weights=weights)
    loss = networks.loss.build(options)(random_episode(target=target))
    assert type(loss) is kind
    assert [1 if loss.weight is None else loss.weight(step, 4) for step in range(4)] == wanted
    assert (loss.weight is None) == (weights == "equal")


def test_cross_entropy_needs_classes() -> None:
    for work in (run, estimate):
        with pytest.raises(
            ConfigError, match=r"network.loss.name: cross_entropy is for classes, and the task has values"
        ):
            work(asked("values", name="cross_entropy"))


@pytest.mark.parametrize("weights", ["often", 0, 1.5])
def test_weights_that_there_are_not_are_refused(weights: Any) -> None:
    with pytest.raises(ConfigError, match=r"network\.loss\.weights"):
        asked("values", weights=weights)


@pytest.mark.parametrize("loss", [{}, {"name": "half_square"}, {"weights": "rising"}, {"weights": 0.9}])
def test_a_run_learns_by_the_loss_and_costs_what_is_estimated(loss: dict[str, Any]) -> None:
    real, sketch = (work(asked("classes", **loss)).summary.plain()["systems"]["substrate"] for work in (run, estimate))
    plain = run(asked("classes")).summary.plain()["systems"]["substrate"]
    assert (real["loss"] == plain["loss"]) == (loss == {})
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"])
    # a weight joins the scale of the outputs in one multiplication
    assert (real["energy"]["run_j"] == plain["energy"]["run_j"]) == ("name" not in loss)


def test_weights_differ_in_value_alone_so_that_steps_are_leapt_over() -> None:
    def carried_out(steps: int) -> int:
        made = built({**SCALED, "loss": {"weights": "rising"}}, rule("one_step"), random_episode(), stage=shapes())
        done = list[int]()
        made.machine.sequencer.after_step = lambda: done.append(made.machine.sequencer.step_index)
        with made.machine.showing(outline(2, steps, 2, classes=3, each=True)):
            rule("one_step").gradients(made)
        return len(done)

    def shapes() -> Any:
        return machines.build(machine_options("digital_45nm"), numerics=Shapes())

    assert carried_out(100) == carried_out(10_000) < 20
