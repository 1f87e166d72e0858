"""Sequences of different length: a batch of them gives what the shortened sequences give one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import built, close, gradient_of, machine_options, pairs, random_episode, rule

from hwsim import machines, networks, tasks
from hwsim.config import experiment as config
from hwsim.episode import Episode, outline
from hwsim.errors import CausalityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.evaluation import Meter, evaluate
from hwsim.experiments.run import run
from hwsim.machine import Snapshot, resume, snapshot

LENGTHS = np.array([7, 4, 6])


def masked(at_ends: bool = False, **kinds: Any) -> Episode:
    """Three sequences of 7, 4 and 6 steps; what stands behind their ends should not matter."""
    episode = random_episode(**kinds)
    episode = replace(episode, mask=np.arange(episode.steps) < LENGTHS[:, None])
    return episode.at_ends() if at_ends else episode


def shortened(episode: Episode) -> list[Episode]:
    """The sequences as episodes of their own, each of its length."""
    found = []
    for row, length in enumerate(LENGTHS):
        one = replace(episode, mask=None).select(slice(row, row + 1))
        per_step = one.labels is not None and one.labels.ndim == 2
        assert episode.mask is not None
        found.append(
            replace(
                one,
                inputs=one.inputs[:, :length],
                labels=one.labels[:, :length] if per_step and one.labels is not None else one.labels,
                values=None if one.values is None else one.values[:, :length],
                loss_from=max(episode.loss_from, int(episode.mask[row].argmax())),
            )
        )
    return found


NOT_SUMS = {"fpe two_minus", "fpe neumann", "fptt", "uoro", "kf_rtrl", "stdp", "stdp triplet"}
"""The first two are no exact gradient of either, the third cuts sequences of another length elsewhere, two draw signs
of their own for each sequence of a batch, and the last two learn from all steps, with a loss or without one."""


@pytest.mark.parametrize(
    ("learner", "network"),
    [pair for pair in pairs(["lru", "lru stack", "tanh", "gru"]) if pair[0] not in NOT_SUMS],
)
@pytest.mark.parametrize(
    "kinds", [{}, {"loss_from": 2}, {"target": "one"}, {"target": "values", "at_ends": True}], ids=str
)
def test_a_gradient_is_the_sum_over_the_shortened_sequences(learner: str, network: str, kinds: dict[str, Any]) -> None:
    episode, learned = masked(**kinds), rule(learner)

    def found(shown: Episode) -> np.ndarray:
        made = gradient_of(built(network, learned, shown), learned, shown)
        return np.concatenate([values.ravel() for values in made.values()])

    mine, wanted = found(episode), sum(found(part) for part in shortened(episode))
    size = np.abs(mine).max()
    forgets = network == "gru" and learner.startswith("fpe")  # rounding grows where errors are propagated forward
    assert np.abs(mine - wanted).max() < (1e-9 if forgets else 1e-13) * size
    assert np.abs(mine - found(replace(episode, mask=None))).max() > 1e-3 * size


@pytest.mark.parametrize("kinds", [{}, {"loss_from": 2}, {"target": "one"}, {"target": "values"}], ids=str)
@pytest.mark.parametrize("at_ends", [False, True])
def test_loss_and_accuracy_are_those_of_the_shortened_sequences(kinds: dict[str, Any], at_ends: bool) -> None:
    episode = masked(at_ends, **kinds)
    made = built("tanh", rule("bptt"), episode, chips=1)
    found, parts = evaluate(made, episode, 2), [evaluate(made, part, 1) for part in shortened(episode)]
    counts = [part.losses for part in shortened(episode)]
    assert episode.losses == sum(counts)
    assert found.loss == close(sum(n * part.loss for n, part in zip(counts, parts, strict=True)) / sum(counts))
    if found.accuracy is not None:
        answers = counts if episode.target_per_step else [1, 1, 1]
        right = sum(n * part.accuracy for n, part in zip(answers, parts, strict=True) if part.accuracy is not None)
        assert found.accuracy == close(right / sum(answers))
    meter = Meter(made, episode, answers=True)
    made.machine.watchers["answer"] = meter.see
    gradient_of(made, rule("bptt"), episode)
    assert meter.loss / episode.losses == close(found.loss)


def test_a_mask_is_a_wire_that_is_shown_with_the_target_and_charged_where_it_is_kept() -> None:
    episode, learned = masked(), rule("fpe")
    made, plain = (built("lru", learned, episode, on="digital_45nm") for _ in range(2))
    for each, shown in ((made, episode), (plain, replace(episode, mask=None))):
        gradient_of(each, learned, shown)
    kinds = {record.kind: record for trace in made.machine.journal.traces for record in trace if record.unit == "mask"}
    assert kinds["mask"].size == (1,)
    assert made.machine.memory.peak_by_class()["target replay"] == 7 * (2 + 1)  # three classes are 2 bits
    assert plain.machine.memory.peak_by_class()["target replay"] == 7 * 2
    assert not [r for trace in plain.machine.journal.traces for r in trace if "mask" in (r.kind, r.unit, r.writes)]


def test_there_is_no_mask_where_all_sequences_are_alike() -> None:
    episode = random_episode()
    machine = machines.build(machine_options("ideal"))
    with machine.showing(episode):
        for step in machine.forward_pass("forward"):
            with pytest.raises(CausalityError, match="there is no mask"):
                _ = step.mask


@pytest.mark.parametrize("learner", ["fpe", "bptt checkpoints", "one_step"])
def test_a_run_with_masks_goes_on_from_a_snapshot(learner: str) -> None:
    episode, learned = masked(), rule(learner)
    on = "pcm_crossbar" if learner != "bptt checkpoints" else "digital_45nm_fp16"

    def build() -> Any:
        return machines.build(machine_options(on), seed=3)

    stage, taken = build(), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    found = gradient_of(built("lru stack", learned, episode, stage=stage), learned, episode)
    for shot in taken[:: max(len(taken) // 6, 1)]:
        resume(other := build(), shot)
        again = gradient_of(built("lru stack", learned, episode, stage=other), learned, episode)
        assert all(again[name].tobytes() == values.tobytes() for name, values in found.items())


def asked(pooling: str = "none", **task: Any) -> Any:
    return config.load(
        {
            "name": "masks",
            "task": {"name": "random", "steps": 12, "width": 2, "train": 8, "test": 6, "shortest": 3, **task},
            "network": {"layers": [{"cell": {"name": "lru", "modes": 4}}], "pooling": pooling},
            "learning": {"name": "fpe"},
            "machine": "pcm_crossbar_in_the_loop",
            "references": [{"name": "digital", "machine": "digital_45nm", "learning": {"name": "bptt"}}],
            "gradient_check": {"sequences": 3},
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 3},
        }
    )


@pytest.mark.parametrize("task", [{}, {"loss": "last"}, {"target": "values"}], ids=str)
@pytest.mark.parametrize("pooling", ["none", "last"])
def test_a_run_costs_what_is_estimated(task: dict[str, Any], pooling: str) -> None:
    real, sketch = (work(asked(pooling, **task)).summary.plain()["systems"] for work in (run, estimate))
    for name in ("substrate", "digital"):
        assert sketch[name]["memory"] == real[name]["memory"]
        assert sketch[name]["time"] == real[name]["time"]
    assert sketch["digital"]["energy"]["run_j"] == close(real["digital"]["energy"]["run_j"])
    assert real["digital"]["gradient"]["all"]["target"]["relative_error"] < 1e-5


@pytest.mark.parametrize(("pooling", "loss"), [("none", "last"), ("last", "each"), ("last", "last")])
def test_pooling_the_last_output_judges_each_sequence_at_its_end(pooling: str, loss: str) -> None:
    (train, _) = run_data(loss)
    episode = networks.judged(asked(pooling).network, train)
    assert episode.mask is not None
    assert (episode.mask.sum(1) == 1).all()
    np.testing.assert_array_equal(episode.mask.argmax(1), run_data("each")[0].ends)


def run_data(loss: str) -> Any:
    return tasks.build(asked(loss=loss).task, 1)


def test_lengths_and_masks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="sequences of 13 steps are longer than steps, 12"):
        asked(shortest=13)
    episode = random_episode()
    with pytest.raises(ValueError, match=r"mask must be \(batch, steps\), \(3, 7\); got \(3, 6\)"):
        replace(episode, mask=np.ones((3, 6), bool))
    with pytest.raises(ValueError, match="mask must leave each sequence a step that carries a loss"):
        replace(episode, loss_from=5, mask=np.arange(7) < LENGTHS[:, None])


def test_an_outline_is_masked_as_the_data_is() -> None:
    shape = masked().outline(batch=5, steps=9, loss_from=1)
    assert (shape.batch, shape.steps, shape.loss_from, shape.classes, shape.masked) == (5, 9, 1, 3, True)
    assert not outline(2, 3, 4, classes=5).masked
    assert shape.select(slice(0, 2)).masked
