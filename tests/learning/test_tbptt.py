"""Truncated backpropagation through time equals its definition, and what it needs grows with k, not with T."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest
from conftest import (
    MIXED,
    NETWORKS,
    TANH,
    built,
    close,
    distance,
    gradient,
    gradient_of,
    machine_options,
    random_episode,
    rule,
)
from plain import Plain
from pydantic import ValidationError

from hwsim import machines
from hwsim.config import experiment as config
from hwsim.episode import Episode, outline
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.run import run
from hwsim.machine import Machine, Shapes
from hwsim.tasks import Dataset
from hwsim.tasks.dataset import windows

KINDS = ("window", "block")
STACKS: dict[str, Any] = {
    "lru": {"layers": [NETWORKS["lru"]["layers"][0]] * 3},
    "tanh": {"layers": [TANH] * 3},
    "gru": {"layers": NETWORKS["gru"]["layers"] * 3},
    "lstm": {"layers": NETWORKS["lstm"]["layers"] * 3},
    "mixed": MIXED,
}
LOSSES: tuple[dict[str, Any], ...] = ({}, {"loss_from": 4}, {"loss_from": 6}, {"target": "one"}, {"target": "values"})


def tbptt(kind: str, k: Any, **more: Any) -> dict[str, Any]:
    return {"name": "tbptt", "kind": kind, "k": k, **more}


# ---- both ends: k = 1 and k = T ------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", LOSSES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", STACKS)
def test_over_one_step_it_is_one_step_and_over_all_it_is_bptt(network: str, kind: str, kinds: dict[str, Any]) -> None:
    episode = random_episode(**kinds)
    one, all_ = (gradient(STACKS[network], tbptt(kind, k), episode, strict=True) for k in (1, 7))
    assert distance(one, gradient(STACKS[network], "one_step", episode)) == 0
    assert distance(all_, gradient(STACKS[network], "bptt", episode)) <= 1e-13
    assert distance(one, all_) > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_over_one_step_it_costs_what_one_step_costs(kind: str) -> None:
    episode = random_episode()
    learners = rule(tbptt(kind, 1)), rule("one_step")
    one, other = (built("tanh stack", learner, episode, on="digital_45nm") for learner in learners)
    for made, learner in zip((one, other), learners, strict=True):
        gradient_of(made, learner, episode)
    assert one.machine.journal.latest == other.machine.journal.latest
    assert one.machine.journal.traces == other.machine.journal.traces
    assert one.machine.memory.peak_bits == other.machine.memory.peak_bits


# ---- the definition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kinds", [{}, {"loss_from": 3}, {"loss_from": 10}], ids=str)
def test_each_loss_reaches_back_as_far_as_the_definition_says(kind: str, k: int, kinds: dict[str, Any]) -> None:
    """In all layers of a stack; a window that begins before the sequence does begins with its first step."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3, "gain": 1.5}}] * 3}
    episode = random_episode(steps=11, target="values", **kinds)
    learned = rule(tbptt(kind, k))
    made = built(network, learned, episode)
    plain = Plain({each.name: each.values[0] for each in made.trainables}, 0.3)
    wanted = plain.zeros()
    assert episode.values is not None
    for x, y in zip(episode.inputs, episode.values, strict=True):
        plain.forward(x, plain.rest())
        for t in range(episode.loss_from, episode.steps):
            since = max(t - k + 1, 0) if kind == "window" else t - t % k
            for name, values in plain.reached(t, plain.y[t] - y[t], since).items():
                wanted[name] += values
    found = gradient_of(made, learned, episode)
    assert distance({name: values[0] for name, values in found.items()}, wanted) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", ["lru", "tanh", "gru"])
def test_recall_by_carrying_out_again_finds_the_same(kind: str, network: str) -> None:
    episode = random_episode()
    found = [gradient(STACKS[network], tbptt(kind, 3, recall=recall), episode) for recall in ("state", "input")]
    assert distance(*found) < 1e-13


# ---- sequences that go on from each other --------------------------------------------------------------------


@pytest.mark.parametrize("network", ["lru", "tanh", "lstm"])
def test_blocks_of_a_long_sequence_are_what_its_windows_give(network: str) -> None:
    """Each window of 4 steps goes on from the one before; learned by bptt one by one, they are blocks of the whole."""
    whole = random_episode(steps=12, target="values")
    shown = list(Dataset(windows(whole, 4), whole).batches(whole.batch, 0, 1))
    assert [episode.continues for episode in shown] == [False, True, True]
    wanted = gradient(STACKS[network], tbptt("block", 4), whole)
    assert distance(_sum(STACKS[network], {"name": "bptt"}, shown), wanted) < 1e-13
    assert distance(_sum(STACKS[network], tbptt("block", 4), shown), wanted) < 1e-13
    assert distance(_sum(STACKS[network], tbptt("window", 4), shown), wanted) < 1e-13
    halves = gradient(STACKS[network], tbptt("block", 2), whole)
    assert distance(_sum(STACKS[network], tbptt("block", 2), shown), halves) < 1e-13
    assert distance(halves, wanted) > 1e-3


def _sum(network: Any, learner: dict[str, Any], episodes: list[Episode]) -> dict[str, np.ndarray]:
    learned = rule(learner)
    made = built(network, learned, episodes[0])
    for episode in episodes:
        gradient_of(made, learned, episode)
    return {each.name: each.gradient.value.copy() for each in made.trainables}


def test_a_window_ends_with_its_sequence_where_sequences_differ_in_length() -> None:
    lengths = np.array([7, 4, 6])
    episode = replace(random_episode(), mask=np.arange(7) < lengths[:, None])
    longer = replace(episode, inputs=episode.inputs + 9.0 * ~episode.mask[:, :, None])  # type: ignore[index]
    for kind in KINDS:
        found = gradient(STACKS["tanh"], tbptt(kind, 3), episode)
        assert distance(gradient(STACKS["tanh"], tbptt(kind, 3), longer), found) < 1e-13
    alone = gradient(STACKS["tanh"], tbptt("window", 7), episode)
    assert distance(alone, gradient(STACKS["tanh"], "bptt", episode)) < 1e-13


# ---- a horizon that grows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("growing", [{"start": 1, "factor": 1.5, "every": 4, "most": 20}, {"every": 1, "most": 7}])
def test_the_horizon_grows_by_its_formula(growing: dict[str, Any]) -> None:
    learned = rule(tbptt("window", growing))
    start, factor = growing.get("start", 1), growing.get("factor", 1.5)
    for update in range(60):
        wanted = min(growing["most"], ceil(start * factor ** (update // growing["every"])))
        assert learned.at(update, 60).options.k == wanted
    assert learned.at(10**9, 10**10).options.k == growing["most"]  # where a power would be infinite
    assert learned.options.k != growing["most"]


def experiment(learning: dict[str, Any], steps: int = 12, **changes: Any) -> Any:
    data = {
        "name": "truncated",
        "task": {"name": "random", "steps": steps, "width": 2, "train": 8, "test": 4},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}}] * 2},
        "learning": learning,
        "machine": "digital_45nm",
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 6},
        **changes,
    }
    return config.load(data)


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
def test_a_growing_horizon_costs_in_a_run_what_is_estimated(on: str) -> None:
    kind = "block" if on == "digital_45nm" else "window"
    growing = {"start": 1, "factor": 2.0, "every": 2, "most": 3}
    asked = experiment(tbptt(kind, growing), machine=on)
    real, sketch = (work(asked).summary.plain()["systems"]["substrate"] for work in (run, estimate))
    near = 1e-9 if on == "digital_45nm" else 0.05  # activities are expected ones
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"], rel=near)
    assert sketch["memory"] == real["memory"]
    assert sketch["time"] == real["time"]


# ---- what it needs -------------------------------------------------------------------------------------------


def drawn(learner: dict[str, Any], steps: int, on: str = "digital_45nm", loss_from: int = 0) -> tuple[Machine, int]:
    """A machine on which one gradient of a long sequence was drawn on shapes, and the steps that were carried out."""
    stage = machines.build(machine_options(on), numerics=Shapes())
    stage.sequencer.skips = True
    episode = outline(2, steps, 2, classes=3, each=True, loss_from=loss_from)
    made = built("tanh stack", learned := rule(learner), episode, stage=stage)
    done = list[int]()
    stage.sequencer.after_step = lambda: done.append(stage.sequencer.step_index)
    with stage.showing(episode):
        learned.gradients(made)
    return stage, len(done)


@pytest.mark.parametrize("k", [1, 2, 40])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss_from", [0, 0.5, 1])
def test_an_estimate_leaps_over_a_long_sequence(kind: str, k: int, loss_from: float) -> None:
    few, many = (drawn(tbptt(kind, k), t, loss_from=int(loss_from * (t - 1)))[1] for t in (2_000, 100_000))
    assert abs(many - few) <= 2 * k
    assert many < 12 * k + 50


@pytest.mark.parametrize("kind", KINDS)
def test_memory_grows_with_k_and_not_with_the_sequence(kind: str) -> None:
    """But for the operands that this digital machine lets wait to multiply many steps at once, as for every rule."""
    held = {
        (k, steps): drawn(tbptt(kind, k), steps)[0].memory.peak_by_class() | {"buffers": 0}
        for k in (5, 10, 20)
        for steps in (40, 4000)
    }
    bits = {
        key: sum(by_class.get(name, 0) for name in ("delay lines", "tape", "input replay", "target replay"))
        for key, by_class in held.items()
    }
    for k in (5, 10, 20):
        assert held[k, 40] == held[k, 4000]
    assert bits[20, 40] - bits[10, 40] == 2 * (bits[10, 40] - bits[5, 40]) > 0
    assert ("tape" in held[5, 40]) == (kind == "block")


def test_delay_lines_hold_states_inputs_and_errors_of_the_steps_before() -> None:
    units, width = 6, 2

    def lines(loss_from: int) -> dict[str, int]:
        stage, _ = drawn(tbptt("window", 9), 40, loss_from=loss_from)
        return {each.name: each.values for each in stage.memory.peak_holdings() if each.kind == "delay lines"}

    assert lines(0) == {
        "layer 1 h before": 8 * units,
        "layer 2 h before": 8 * units,
        "inputs before": 8 * width,
        "layer 2 loss gradients": 8 * units,
    }
    assert lines(37)["layer 2 loss gradients"] == 2 * units  # as many as there can be before the last
    assert "layer 2 loss gradients" not in lines(39)


def test_products_with_the_transposed_jacobian() -> None:
    """k - 1 per window, of which there are T - k + 1; one per step of a block but its first; T - 1 in one block."""

    def reads(learner: dict[str, Any]) -> int:
        stage, _ = drawn(learner, 60)
        traces, sequences = stage.journal.traces, 2
        found = (
            times
            * sum(record.kind == "read transposed" and record.reads[-1] == "layer 2 W" for record in traces[trace])
            for trace, times in stage.journal.collect().steps().items()
        )
        return sum(found) // sequences

    assert reads(tbptt("window", 10)) == 51 * 9
    assert reads(tbptt("block", 10)) == 54
    assert reads(tbptt("block", 60)) == 59


# ---- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("k", "key"), [(13, "k"), ({"start": 1, "every": 1000, "most": 13}, "k.most")])
@pytest.mark.parametrize("work", [run, estimate])
def test_a_horizon_longer_than_a_sequence_is_refused_before_training(kind: str, k: Any, key: str, work: Any) -> None:
    asked = experiment(tbptt(kind, k), training={"optimizer": {"name": "sgd", "rate": 0.1}, "steps": 6, "batch": 4})
    with pytest.raises(ConfigError, match=rf"substrate: learning\.{key}: 13 steps, and a sequence has 12; k has to be"):
        work(asked)


def test_blocks_need_a_tape_and_windows_do_not() -> None:
    with pytest.raises(ConfigError, match="tbptt needs a tape, and pcm_crossbar"):
        experiment(tbptt("block", 3), machine="pcm_crossbar")
    experiment(tbptt("block", 1), machine="pcm_crossbar")
    episode = random_episode()
    made = built("lru", rule(tbptt("window", 3)), episode, on="pcm_crossbar")
    rule(tbptt("window", 3)).check(made)
    with pytest.raises(CapabilityError, match="in blocks needs past values"):
        rule(tbptt("block", 3)).check(made)


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (0, "greater than or equal to 1"),
        ({"start": 5, "every": 1, "most": 4}, r"start \(5\) must be at most most \(4\)"),
        ({"factor": 1.0, "every": 1, "most": 4}, "greater than 1"),
        ({"every": 0, "most": 4}, "greater than or equal to 1"),
    ],
)
def test_a_horizon_that_makes_no_sense_is_refused(k: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rule(tbptt("window", k))


# ---- how well it is aligned ----------------------------------------------------------------------------------


def test_it_comes_closer_to_the_exact_gradient_the_further_it_reaches() -> None:
    episode = random_episode(steps=40)
    exact = np.concatenate([v.ravel() for v in gradient("tanh stack", "bptt", episode).values()])
    for kind in KINDS:
        cosines = []
        for k in (1, 4, 16, 40):
            mine = np.concatenate([v.ravel() for v in gradient("tanh stack", tbptt(kind, k), episode).values()])
            cosines.append(float(mine @ exact / np.linalg.norm(mine) / np.linalg.norm(exact)))
        assert all(less < more for less, more in pairwise(cosines))
        assert cosines[-1] == close(1.0)
