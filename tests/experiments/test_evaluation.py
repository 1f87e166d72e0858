"""Losses and accuracies: those of the formulas, the same however a rule goes through the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import ALL_NETWORKS, AT_HOME, RULES, built, random_episode, rule
from scipy.special import log_softmax

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.experiments.evaluation import Meter, evaluate
from hwsim.experiments.run import run
from hwsim.networks import Network

CHECKPOINTED = {"name": "bptt", "checkpoints": "sqrt"}
TARGETS = {
    "a class a step": {"target": "each"},
    "a class a step, late": {"target": "each", "loss_from": 4},
    "a class a sequence": {"target": "one"},
    "a class a sequence, at its end": {"target": "one", "loss_from": 6},
    "values": {"target": "values"},
    "values, late": {"target": "values", "loss_from": 3},
}
SCALED = {"layers": [{"cell": {"name": "lru", "modes": 4, "r_min": 0.9}}], "output_scale": 3.0}


def outputs(made: Network, episode: Episode) -> np.ndarray:
    """What the network says at steps that carry a loss, `(steps, chips, batch, n)`, as the loss sees it."""
    seen: list[np.ndarray] = []
    made.machine.watchers["output"] = lambda value: seen.append(value.astype(float) * made.scale)
    with made.machine.showing(episode):
        made.infer()
    return np.array(seen)


def by_the_formulas(made: Network, episode: Episode) -> tuple[np.ndarray, np.ndarray | None]:
    """Loss and accuracy of each chip, from all outputs at once."""
    found, at = outputs(made, episode), slice(episode.loss_from, None)
    if episode.values is not None:
        return 0.5 * np.square(found - episode.values.swapaxes(0, 1)[at, None]).sum(-1).mean((0, 2)), None
    assert episode.labels is not None
    each = episode.labels.ndim == 2
    labels = np.broadcast_to(episode.labels.T if each else episode.labels, (episode.steps, episode.batch))[at]
    logs = np.take_along_axis(log_softmax(found, -1), labels[:, None, :, None], 3)
    right = found.argmax(-1) == labels[:, None]
    return -logs.mean((0, 2, 3)), right.mean((0, 2)) if each else right[-1].mean(-1)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(("on", "chips", "size"), [("ideal", 1, 1), ("ideal", 1, 2), ("pcm_crossbar", 2, 5)])
def test_a_test_is_that_of_the_formulas(kind: str, on: str, chips: int, size: int) -> None:
    """However many sequences are shown at once, where there is no noise: it differs from batch to batch."""
    episode = random_episode(batch=5, **TARGETS[kind])  # type: ignore[arg-type]
    made, same = (built(SCALED, rule("bptt"), episode, on=on, chips=chips) for _ in range(2))
    loss, accuracy = by_the_formulas(made, episode)
    found = evaluate(same, episode, size)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-12)
    np.testing.assert_array_equal(found.accuracy, accuracy)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("learner", [*RULES, "sqrt"])
def test_what_is_said_while_learning_costs_what_it_costs_in_a_test(kind: str, learner: str) -> None:
    """Whichever way a rule goes through the steps, and however often; without noise all passes say the same."""
    episode = random_episode(**TARGETS[kind])  # type: ignore[arg-type]
    learned = rule(CHECKPOINTED if learner == "sqrt" else learner)
    network = {**ALL_NETWORKS[AT_HOME[learner]], "output_scale": 3.0} if learner in AT_HOME else SCALED
    made = built(network, learned, episode)
    meter = Meter(made, episode, answers=True)
    made.machine.watchers["answer"] = meter.see
    with made.machine.showing(episode):
        learned.gradients(made)
    found = evaluate(made, episode, episode.batch)
    count = episode.batch * episode.loss_steps
    np.testing.assert_allclose(meter.loss / count, found.loss, rtol=1e-12)
    if found.accuracy is not None:
        answers = count if episode.target_per_step else episode.batch
        np.testing.assert_array_equal(meter.right.sum(1) / answers, found.accuracy)


TASKS: dict[str, dict[str, Any]] = {
    "a class a step": {"name": "copy", "symbols": 4, "length": 3, "delay": 2, "train": 16, "test": 4},
    "a class a sequence": {"name": "digits"},
    "values a step": {"name": "random", "steps": 6, "target": "values", "outputs": 3, "train": 16, "test": 4},
    "a value a sequence": {"name": "adding", "steps": 6, "train": 16, "test": 4},
}


@pytest.mark.parametrize("kind", TASKS)
def test_exact_rules_tell_the_same_loss_of_their_training(kind: str) -> None:
    data = {
        "name": "exact",
        "task": TASKS[kind],
        "network": {"layers": [{"cell": {"name": "lru", "modes": 4, "r_min": 0.9}}]},
        "learning": {"name": "fpe"},
        "machine": "ideal",
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 6, "test_every": 2},
        "references": [
            {"name": "bptt", "learning": {"name": "bptt"}, "machine": "ideal"},
            {"name": "checkpoints", "learning": CHECKPOINTED, "machine": "ideal"},
        ],
    }
    found = run(config.compose(Document("test", data))).metrics.pivot(index="updates", columns="system")
    for quantity in ("train_loss", "test_loss"):
        told = found[quantity].loc[2:]
        assert len(told) == 3
        for name in ("bptt", "checkpoints"):
            np.testing.assert_allclose(told[name], told["substrate"], rtol=1e-12)
    assert found["train_loss"].loc[0].isna().all()  # nothing was trained yet


# ---- answers that are not numbers ----------------------------------------------------------------------------


def spoilt(kind: str, value: float, where: tuple[int, int, int], step: int) -> tuple[Episode, Meter]:
    """A meter that saw a chip say `value` on one wire at one step; the other chips are as they were."""
    episode = random_episode(batch=5, **TARGETS[kind])  # type: ignore[arg-type]
    made = built(SCALED, rule("bptt"), episode, on="pcm_crossbar", chips=3)
    meter = Meter(made, episode)

    def see(output: np.ndarray) -> None:
        output = output.copy()
        if made.machine.sequencer.step_index == step:
            output[where] = value
        meter.see(output)

    made.machine.watchers["output"] = see
    with made.machine.showing(episode), np.errstate(invalid="ignore"):
        made.infer()
    return episode, meter


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("wire", [0, 1, 2])
def test_a_chip_that_says_no_number_has_neither_loss_nor_accuracy(kind: str, value: float, wire: int) -> None:
    """Whichever wire it is on, at whichever step: infinity may be the largest output, or one that nobody looks at."""
    for step in (6, random_episode(**TARGETS[kind]).loss_from):  # type: ignore[arg-type]
        episode, meter = spoilt(kind, value, (1, 2, wire), step)
        whole = built(SCALED, rule("bptt"), episode, on="pcm_crossbar", chips=3)
        wanted = evaluate(whole, episode, 5)
        with np.errstate(invalid="ignore"):
            assert list(np.isnan(meter.loss)) == list(np.isnan(meter.right).all(1)) == [False, True, False]
            others = meter.loss[[0, 2]] / (episode.batch * episode.loss_steps)
        np.testing.assert_array_equal(others, wanted.loss[[0, 2]])


def test_a_loss_beyond_all_numbers_is_none() -> None:
    _, meter = spoilt("values", 1e30, (0, 0, 0), 6)
    assert np.isfinite(meter.loss).all()
    episode = random_episode(target="values")
    made = built(SCALED, rule("bptt"), episode)
    meter = Meter(made, episode)
    made.machine.watchers["output"] = lambda output: meter.see(output + 1e200)
    with made.machine.showing(episode), np.errstate(over="ignore"):
        made.infer()
    assert np.isnan(meter.loss).all()


def test_weights_that_are_no_numbers_answer_nothing() -> None:
    episode = random_episode(batch=5, target="one")
    made = built(SCALED, rule("bptt"), episode, on="pcm_crossbar", chips=2)
    with np.errstate(invalid="ignore"):
        for trainable in made.trainables:
            trainable.master.value[1] = np.nan
        made.program()
        found = evaluate(made, episode, 2)
    assert list(np.isfinite(found.loss)) == [True, False]
    assert found.accuracy is not None
    assert list(np.isfinite(found.accuracy)) == [True, False]
