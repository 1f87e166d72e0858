"""Tests in closed loop: from some step on each output is the next input, by a register."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import built, close, machine_options, random_episode, rule

from hwsim import machines, tasks
from hwsim.config import experiment as config
from hwsim.episode import Episode
from hwsim.errors import CausalityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.evaluation import evaluate
from hwsim.experiments.run import run
from hwsim.machine import Shapes, Snapshot, resume, snapshot
from hwsim.networks import Network

STEPS, FREE = 9, 4
SMALL = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}}], "output_scale": 1.5}


def episode(free_from: int | None = FREE, steps: int = STEPS) -> Episode:
    return replace(random_episode(steps=steps, classes=2, target="values", loss_from=2), free_from=free_from)


def by_hand(made: Network, shown: Episode) -> np.ndarray:
    """What the network says, `(steps, batch, n)`, in NumPy."""
    W, U, b, V, c = (trainable.values[0] for trainable in made.trainables)
    h, x, said = np.zeros((shown.batch, 5)), shown.inputs[:, 0], []
    for t in range(shown.steps):
        x = shown.inputs[:, t] if shown.free_from is None or t < shown.free_from else said[-1]
        h = 0.7 * h + 0.3 * np.tanh(h @ W.T + x @ U.T + b)
        said.append(1.5 * (h @ V.T + c))
    return np.array(said)


def said(made: Network, shown: Episode) -> np.ndarray:
    """What the loss sees, from `loss_from` on."""
    seen: list[np.ndarray] = []
    made.machine.watchers["output"] = lambda value: seen.append(made.scale * value[0])
    with made.machine.showing(shown):
        made.infer()
    return np.array(seen)


@pytest.mark.parametrize("free_from", [None, 1, FREE, STEPS - 1])
@pytest.mark.parametrize("strict", [False, True])
def test_each_output_is_the_next_input(free_from: int | None, strict: bool) -> None:
    shown = episode(free_from)
    made = built(SMALL, rule("one_step"), shown, strict=strict)
    wanted = by_hand(made, shown)
    np.testing.assert_allclose(said(made, shown), wanted[2:], rtol=1e-12, atol=1e-14)
    assert shown.values is not None
    square = 0.5 * np.square(wanted[2:] - shown.values.swapaxes(0, 1)[2:]).sum(-1).mean()
    assert evaluate(made, shown, 2).loss == close(square)
    if free_from == FREE:
        assert np.abs(wanted - by_hand(made, replace(shown, free_from=None))).max() > 1e-3


def test_inputs_of_a_free_run_are_never_seen() -> None:
    shown = episode()
    made, other = (built(SMALL, rule("one_step"), shown, on="pcm_crossbar", seed=2) for _ in range(2))
    lost = shown.inputs.copy()
    lost[:, FREE:] = np.nan
    np.testing.assert_array_equal(said(other, replace(shown, inputs=lost)), said(made, shown))
    assert np.isfinite(said(made, shown)).all()


def test_no_input_is_presented_and_the_register_is_charged() -> None:
    shown = episode()
    made = built(SMALL, rule("one_step"), shown, on="digital_45nm")
    held: list[int] = []
    made.machine.sequencer.after_step = lambda: held.append(made.machine.memory.live["fed back"].values)
    said(made, shown)
    assert held == [2] * STEPS
    journal = made.machine.journal
    assert journal.latest is not None
    kinds = [
        [(record.kind, record.writes if record.kind == "store" else record.reads) for record in journal.traces[trace]]
        for sweep in journal.latest.sweeps
        for trace, count in sweep.runs
        for _ in range(count)
    ]
    assert [any(kind == "input" for kind, _ in step) for step in kinds] == [True] * FREE + [False] * (STEPS - FREE)
    assert [("load", ("fed back",)) in step for step in kinds] == [False] * FREE + [True] * (STEPS - FREE)
    assert [("store", "fed back") in step for step in kinds] == [
        index in range(FREE - 1, STEPS - 1) for index in range(STEPS)
    ]


def test_a_test_goes_on_from_a_snapshot_in_closed_loop() -> None:
    shown = episode()

    def follow(stage: Any) -> np.ndarray:
        return said(built(SMALL, rule("one_step"), shown, stage=stage), shown)

    def build() -> Any:
        return machines.build(machine_options("pcm_crossbar"), seed=3)

    stage, taken = build(), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    whole = follow(stage)
    for point, shot in enumerate(taken[:-1]):
        resume(other := build(), shot)
        np.testing.assert_array_equal(follow(other), whole[max(point - 1, 0) :])


def test_steps_of_a_long_free_run_are_leapt_over() -> None:
    def carried_out(steps: int) -> int:
        shown = episode(steps // 2, steps).outline()
        stage = machines.build(machine_options("digital_45nm"), numerics=Shapes())
        made, done = built(SMALL, rule("one_step"), shown, stage=stage), list[int]()
        stage.sequencer.after_step = lambda: done.append(stage.sequencer.step_index)
        with stage.showing(shown):
            made.infer()
        return len(done)

    assert carried_out(100) == carried_out(10_000) < 30


def test_only_tests_run_in_closed_loop() -> None:
    shown = episode()
    made = built(SMALL, rule("one_step"), shown)
    with pytest.raises(CausalityError, match="step 4 has no input: it is in closed loop"), made.machine.showing(shown):
        rule("one_step").gradients(made)


def test_loops_that_cannot_be_closed_are_refused() -> None:
    for wrong in (0, STEPS):
        with pytest.raises(ValueError, match="free_from must be a later step than the first, up to 8"):
            episode(wrong)
    for other in (random_episode(), random_episode(target="values", classes=3)):
        with pytest.raises(ValueError, match="in closed loop outputs are values of each step, as many as"):
            replace(other, free_from=2)
    with pytest.raises(ConfigError, match="free_from: a series has no step behind 60 others, but 60 in all"):
        asked(free_from=60)


def asked(**task: Any) -> Any:
    return config.load(
        {
            "name": "free",
            "task": {"name": "mackey_glass", "steps": 60, "train": 8, "test": 3, **task},
            "network": {"layers": [{"cell": {"name": "lru", "modes": 4}}]},
            "learning": {"name": "fpe"},
            "machine": "pcm_crossbar",
            "references": [{"name": "digital", "machine": "digital_45nm", "learning": {"name": "bptt"}}],
            "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 4, "steps": 4},
        }
    )


def test_a_task_says_from_where_its_tests_run_freely() -> None:
    options = asked(free_from=40).task
    for data in (tasks.build(options, 1), tasks.outline(options)):
        assert (data.train.free_from, data.train.loss_from) == (None, 0)
        assert (data.test.free_from, data.test.loss_from) == (40, 40)
    free, shown = (run(asked(**task)).summary.plain()["systems"] for task in ({"free_from": 40}, {}))
    sketch = estimate(asked(free_from=40)).summary.plain()["systems"]
    for name, found in free.items():
        assert found["loss"]["median"] != shown[name]["loss"]["median"]
        assert sketch[name]["memory"] == found["memory"]
        assert sketch[name]["time"] == found["time"]
    energy = {name: free["digital"]["energy"][name] for name in ("run_j", "inference_j_per_sequence")}
    assert {name: sketch["digital"]["energy"][name] for name in energy} == {
        name: close(value) for name, value in energy.items()
    }
    assert energy["inference_j_per_sequence"] != shown["digital"]["energy"]["inference_j_per_sequence"]
