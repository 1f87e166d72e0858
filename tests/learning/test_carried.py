"""Episodes that go on from the one before: windows of a long sequence are what the whole is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import built, close, distance, machine_options, random_episode, rule

from hwsim import machines
from hwsim.accounts.memory import STATE
from hwsim.config import experiment as config
from hwsim.episode import Episode
from hwsim.errors import CausalityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.run import run
from hwsim.machine import Snapshot, resume, snapshot
from hwsim.networks import Network
from hwsim.tasks import Dataset
from hwsim.tasks.dataset import windows

LENGTH, COUNT = 4, 3
WHOLE = random_episode(steps=LENGTH * COUNT, target="values")
LINEAR = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}}]}


def parts(whole: Episode = WHOLE) -> list[Episode]:
    return list(Dataset(windows(whole, LENGTH), whole).batches(whole.batch, 0, 1))


def gradients(made: Network, learner: Any, episodes: list[Episode]) -> dict[str, np.ndarray]:
    """The sum of the gradients of all episodes, by parameter."""
    for episode in episodes:
        with made.machine.showing(episode):
            rule(learner).gradients(made)
    return {trainable.name: trainable.gradient.value.copy() for trainable in made.trainables}


def said(made: Network, episodes: list[Episode]) -> np.ndarray:
    seen: list[np.ndarray] = []
    made.machine.watchers["output"] = lambda value: seen.append(value.copy())
    for episode in episodes:
        with made.machine.showing(episode):
            made.infer()
    return np.array(seen)


def test_windows_come_in_the_order_of_time() -> None:
    first, *others = parts()
    assert (first.continues, first.carries, [each.continues for each in others]) == (False, True, [True, True])
    np.testing.assert_array_equal(np.concatenate([each.inputs for each in parts()], 1), WHOLE.inputs)
    again = windows(random_episode(steps=LENGTH * COUNT + 1), LENGTH)
    assert (again.batch, again.steps, again.lanes) == (COUNT * 3, LENGTH, 3)


@pytest.mark.parametrize("network", ["lru deep", "tanh stack", "gru", "lstm"])
@pytest.mark.parametrize("on", ["ideal", "digital_45nm"])
def test_what_a_network_says_to_windows_is_what_it_says_to_the_whole(network: str, on: str) -> None:
    one, other, rested = (built(network, rule("one_step"), WHOLE, on=on) for _ in range(3))
    whole = said(one, [WHOLE])
    np.testing.assert_array_equal(said(other, parts()), whole)
    np.testing.assert_array_equal(said(other, parts()), whole)  # the second epoch begins from rest again
    assert np.abs(said(rested, [replace(each, continues=False) for each in parts()]) - whole).max() > 1e-3


@pytest.mark.parametrize("network", ["lru deep", "tanh stack", "gru"])
@pytest.mark.parametrize("learner", ["one_step", "spatial"])
def test_without_errors_through_time_windows_learn_what_the_whole_does(network: str, learner: str) -> None:
    one, other = (built(network, rule(learner), WHOLE, strict=True) for _ in range(2))
    found, wanted = gradients(one, learner, parts()), gradients(other, learner, [WHOLE])
    largest = max(np.abs(value).max() for value in wanted.values())
    assert max(np.abs(found[name] - wanted[name]).max() for name in wanted) < 1e-13 * largest


def in_blocks(made: Network, whole: Episode) -> list[np.ndarray]:
    """Backpropagation through time, cut off at the start of each window, for one layer, in NumPy."""
    W, U, b, V, c = (trainable.values[0].copy() for trainable in made.trainables)
    sums, leak, h = [np.zeros_like(each) for each in (W, U, b, V, c)], 0.3, np.zeros((whole.batch, len(b)))
    assert whole.values is not None
    for start in range(0, whole.steps, LENGTH):
        kept = []
        for t in range(start, start + LENGTH):
            before, s = h, np.tanh(h @ W.T + whole.inputs[:, t] @ U.T + b)
            h = (1 - leak) * h + leak * s
            kept.append((before, s, h, whole.inputs[:, t], h @ V.T + c - whole.values[:, t]))
        later = np.zeros_like(h)
        for before, s, now, x, error in reversed(kept):
            delta = error @ V + later
            drive = leak * (1 - s**2) * delta
            later = (1 - leak) * delta + drive @ W
            for total, new in zip(
                sums, (drive.T @ before, drive.T @ x, drive.sum(0), error.T @ now, error.sum(0)), strict=True
            ):
                total += new
    return sums


@pytest.mark.parametrize("learner", ["bptt", {"name": "bptt", "checkpoints": 2}, "fpe", "fpe seed"], ids=str)
def test_windows_are_backpropagation_in_blocks(learner: Any) -> None:
    made = built(LINEAR, rule(learner), WHOLE, strict=True)
    found, wanted = gradients(made, learner, parts()), in_blocks(made, WHOLE)
    for (name, mine), exact in zip(found.items(), wanted, strict=True):
        np.testing.assert_allclose(mine[0], exact, rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("network", "learner"),
    [("lru stack", "fpe"), ("lru deep", {"name": "bptt", "checkpoints": 2}), ("lru", "rtrl"), ("tanh", "fpe seed")],
)
def test_all_exact_rules_agree_in_stacks(network: str, learner: Any) -> None:
    made, other = (
        built(network, rule(learner), WHOLE, uses=frozenset({"transposed"})),
        built(network, rule("bptt"), WHOLE),
    )
    assert distance(gradients(made, learner, parts()), gradients(other, "bptt", parts())) < 1e-10


@pytest.mark.parametrize(
    ("learner", "on"),
    [("fpe", "pcm_crossbar"), ("one_step", "rram_crossbar"), ("bptt checkpoints", "pcm_crossbar_in_the_loop")],
)
def test_a_later_window_goes_on_from_a_snapshot(learner: str, on: str) -> None:
    def build() -> Any:
        return machines.build(machine_options(on), seed=3)

    def follow(stage: Any, episodes: list[Episode]) -> Iterator[dict[str, bytes]]:
        made = built("lru stack", rule(learner), WHOLE, stage=stage)
        for episode in episodes:
            with stage.showing(episode):
                rule(learner).gradients(made)
            yield {each.name: each.gradient.value.tobytes() for each in made.trainables}

    stage, taken = build(), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    *_, last = follow(stage, parts())
    second = [shot for shot in taken if shot.batch == 2]
    assert all("layer 1 h carried" in shot.values for shot in taken)
    for shot in second[:: max(len(second) // 5, 1)]:
        resume(other := build(), shot)
        *_, found = follow(other, parts()[1:])
        assert found == last
    lost = second[0]._replace(values={k: v for k, v in second[0].values.items() if k != "layer 1 h carried"})
    resume(other := build(), lost)
    with pytest.raises(CausalityError, match="none before it kept its state"):
        list(follow(other, parts()[1:]))


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
def test_the_state_of_each_sequence_is_held_in_digital_memory_from_one_episode_to_the_next(on: str) -> None:
    made = built("lru deep", rule("fpe"), WHOLE, on=on)
    gradients(made, "fpe", parts()[:1])
    memory = made.machine.memory
    held = {name: holding for name, holding in memory.live.items() if name.endswith("carried")}
    assert {name: (each.kind, each.values, each.technology) for name, each in held.items()} == {
        f"layer {number} h carried": (STATE, 3 * 8, "state memory") for number in (1, 2)
    }
    names: set[str] = set()
    made.machine.sequencer.after_step = lambda: names.update(memory.live)
    gradients(made, "fpe", parts()[1:2])
    assert {name for name in names if name.endswith("start")} == {"layer 1 h start", "layer 2 h start"}
    latest = made.machine.journal.latest
    assert latest is not None
    traces = made.machine.journal.traces
    stored = [
        sum(record.writes == "layer 1 h carried" for trace, _ in sweep.runs for record in traces[trace])
        for sweep in latest.sweeps
    ]
    assert stored == [1, 0, 0, 0]  # in the first of three passes, and not in the phase behind them
    once = built("lru deep", rule("one_step"), WHOLE, on=on)
    once.machine.sequencer.after_step = lambda: names.update(once.machine.memory.live)
    names.clear()
    gradients(once, "one_step", parts())
    assert not {name for name in names if name.endswith("start")}  # nothing is shown again
    records = [
        record for trace in once.machine.journal.traces for record in trace if record.writes == "layer 1 h carried"
    ]
    assert {(record.kind, record.size) for record in records} == {("store", (8,))}


@pytest.mark.parametrize("learner", ["one_step", "bptt", "fpe"])
@pytest.mark.parametrize("on", ["ideal", "digital_45nm_fp16"])
def test_steps_of_windows_that_are_captured_are_those_that_are_carried_out(learner: str, on: str) -> None:
    """Windows that begin are gone through in another way than those that go on."""
    whole = random_episode(steps=3 * 12, target="values")
    cut = list(Dataset(windows(whole, 12), whole).batches(3, 0, 1)) * 2
    found, traces = [], []
    for routine in (None, "learning"):
        made = built("lru deep", rule(learner), whole, on=on)
        for episode in cut:
            with made.machine.showing(episode, routine):
                rule(learner).gradients(made)
        found.append({each.name: each.gradient.value.tobytes() for each in made.trainables})
        traces.append((made.machine.journal.traces, made.machine.journal.totals.batches))
    assert found[0] == found[1]
    assert traces[0] == traces[1]


def test_an_episode_without_lanes_leaves_what_is_kept_as_it_is() -> None:
    one, other = (built("lru", rule("one_step"), WHOLE) for _ in range(2))
    first, *others = parts()
    whole = said(one, parts())
    found = [said(other, [first]), said(other, [random_episode(1, steps=9, target="values")])]
    np.testing.assert_array_equal(np.concatenate([found[0], said(other, others)]), whole)


def test_what_cannot_be_continued_is_refused() -> None:
    made = built("lru", rule("one_step"), WHOLE)
    with pytest.raises(CausalityError, match="an episode continues another, and none before it kept its state"):
        said(made, parts()[1:])
    said(made, parts()[:1])
    with pytest.raises(CausalityError, match="an episode of 2 sequences continues one of 3"):
        said(made, [parts()[1].select(slice(0, 2))])
    said(made, [parts()[0].select(slice(0, 2))])  # from rest, with any number
    said(made, [parts()[1].select(slice(0, 2))])


def asked(**changes: Any) -> Any:
    training = {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, **changes.pop("training", {"epochs": 2})}
    return config.load(
        {
            "name": "windows",
            "task": {"name": "mackey_glass", "steps": 60, "window": 20, "train": 4, "test": 3},
            "network": {"layers": [{"cell": {"name": "lru", "modes": 4}}]},
            "learning": {"name": "fpe"},
            "machine": "pcm_crossbar_in_the_loop",
            "references": [
                {"name": "digital", "machine": "digital_45nm", "learning": {"name": "bptt", "checkpoints": 5}},
                {"name": "single", "machine": "digital_45nm", "learning": {"name": "one_step"}},
            ],
            "training": training,
            **changes,
        }
    )


@pytest.mark.parametrize("changes", [{}, {"training": {"steps": 1}}, {"gradient_check": {"sequences": 2}}], ids=str)
def test_a_run_costs_what_is_estimated(changes: dict[str, Any]) -> None:
    real, sketch = (work(asked(**changes)).summary.plain()["systems"] for work in (run, estimate))
    for name, found in real.items():
        assert sketch[name]["memory"] == found["memory"]
        assert sketch[name]["time"] == found["time"]
        if name != "substrate":  # where energy depends on values
            assert sketch[name]["energy"]["run_j"] == close(found["energy"]["run_j"])


def test_all_sequences_go_on_at_once() -> None:
    for work in (run, estimate):
        with pytest.raises(ConfigError, match=r"training.batch: 3 sequences; the windows of 4 longer ones"):
            work(asked(training={"epochs": 1, "batch": 3}))
