"""Slow modes by sensitivities, fast ones by lagged errors: exact whatever the lag is, for one layer or the last one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import (
    LRU,
    NORMED,
    Sized,
    built,
    close,
    distance,
    gradient,
    gradient_of,
    machine_options,
    random_episode,
    rule,
)
from pydantic import ValidationError

from hwsim import machines
from hwsim.config import experiment as config
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.run import run
from hwsim.machine import Snapshot, resume, snapshot
from hwsim.tasks import Dataset
from hwsim.tasks.dataset import windows

STACK = {"layers": [LRU, NORMED, LRU], "pooling": "cumulative_mean"}


def hybrid(slow: int, lag: int, **options: Any) -> dict[str, Any]:
    return {"name": "fpe_hybrid", "slow": slow, "lag": lag, **options}


@pytest.mark.parametrize(
    "kinds", [{}, {"target": "values", "loss_from": 3}, {"target": "one", "loss_from": 8}], ids=str
)
@pytest.mark.parametrize("slow", [1, 3])
def test_the_last_layer_is_exact(kinds: dict[str, Any], slow: int) -> None:
    episode = random_episode(steps=9, **kinds)
    for options in (hybrid(slow, 9), hybrid(slow, 9, every=1), hybrid(slow, 20, every=4)):
        assert distance(gradient("lru", options, episode, strict=True), gradient("lru", "bptt", episode)) < 1e-11
        found, exact = (gradient(STACK, each, episode, strict=True) for each in (options, "bptt"))
        assert distance(found, exact, [name for name in exact if name.startswith("layer 3")]) < 1e-11
        assert distance(found, exact, [name for name in exact if name.startswith("layer 1")]) > 1e-3


def test_slow_modes_are_exact_whatever_the_lag_is() -> None:
    """Fast modes forget within the lag; slow ones do not, and `fpe_lagged` cuts their errors off."""
    cell = {"name": "lru", "modes": 16, "r_min": 0.3, "r_max": 0.99}
    episode = random_episode(steps=300, batch=1, target="values")
    made = built({"layers": [{"cell": cell}]}, learned := rule(hybrid(6, 40)), episode)
    nu = np.exp(made.layers[0].cell.nu.values[0])  # type: ignore[attr-defined]
    slowest = made.layers[0].cell.slowest(6)
    assert set(slowest) == set(np.argsort(nu)[:6])
    exact = gradient({"layers": [{"cell": cell}]}, "bptt", episode)
    found = gradient_of(made, learned, episode)
    lagged = gradient({"layers": [{"cell": cell}]}, {"name": "fpe_lagged", "lag": 40}, episode)
    assert distance(found, exact) < 5e-3
    assert distance(lagged, exact) > 10 * distance(found, exact)
    for name in ("nu", "theta", "log gamma"):
        mine, theirs = (each[f"layer 1 {name}"][0, slowest] for each in (found, exact))
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)
        assert np.abs(lagged[f"layer 1 {name}"][0, slowest] - theirs).max() > 1e-4 * np.abs(theirs).max()


def in_numpy(made: Any, episode: Any, slow: int) -> np.ndarray:
    """∂L/∂b of the lower of two layers: fast modes above it send all of δ, slow ones g; half squared distances."""
    p = {each.name: each.values[0] for each in made.trainables}
    lower, upper = (made.layers[number].cell.slowest(slow) for number in (0, 1))
    lam = [np.exp(-np.exp(p[f"layer {n} nu"]) + 1j * np.exp(p[f"layer {n} theta"])) for n in (1, 2)]
    gain = [np.exp(p[f"layer {n} log gamma"]) for n in (1, 2)]

    def complex_(v: np.ndarray) -> np.ndarray:
        return v[..., ::2] + 1j * v[..., 1::2]

    def real(v: np.ndarray) -> np.ndarray:
        return np.stack([v.real, v.imag], -1).reshape(*v.shape[:-1], -1)

    x, hs = episode.inputs, []
    for n in (1, 2):
        h, states = np.zeros((episode.batch, len(lam[0])), complex), []
        for t in range(episode.steps):
            h = lam[n - 1] * h + gain[n - 1] * complex_(x[:, t] @ p[f"layer {n} B"].T + p[f"layer {n} b"])
            states.append(h)
        hs.append(np.stack(states, 1))
        x = real(hs[-1]) @ p[f"layer {n} V1"].T + p[f"layer {n} V1 b"]
    g = complex_((x - episode.values) @ p["layer 2 V1"])

    def errors(g: np.ndarray, lam: np.ndarray) -> np.ndarray:
        delta = np.zeros_like(g)
        for t in range(episode.steps - 1, -1, -1):
            delta[:, t] = g[:, t] + (np.conj(lam) * delta[:, t + 1] if t + 1 < episode.steps else 0)
        return delta

    sent = errors(g, lam[1])
    sent[:, :, upper] = g[:, :, upper]
    below = complex_((real(gain[1] * sent) @ p["layer 2 B"]) @ p["layer 1 V1"])
    assert len(lower) == slow
    return real(gain[0] * errors(below, lam[0])).sum((0, 1))


def test_what_is_sent_below_is_all_of_fast_modes_and_the_present_of_slow_ones() -> None:
    plain = {"layers": [{"cell": {"name": "lru", "modes": 4}}] * 2}
    episode = random_episode(steps=8, target="values")
    made = built(plain, learned := rule(hybrid(2, 8, every=3)), episode)
    found = gradient_of(made, learned, episode)["layer 1 b"][0]
    np.testing.assert_allclose(found, in_numpy(made, episode, 2), rtol=1e-9)


def test_memory_is_that_of_the_modes_that_are_held_in_each_way() -> None:
    episode = random_episode(steps=20)
    made = built("lru", learned := rule(hybrid(1, 8, every=4)), episode)
    gradient_of(made, learned, episode)
    held, word, fast, slow, inputs = made.machine.memory.peak_by_class(), 64, 6, 2, 2
    assert held["learning state"] == word * ((2 * 2 + 1) * fast + (3 + inputs) * slow)


@pytest.mark.parametrize("on", ["digital_45nm"])
def test_a_run_costs_what_is_estimated(on: str) -> None:
    asked = config.load(
        {
            "name": "hybrid",
            "task": {"name": "random", "steps": 40, "width": 2, "train": 8, "test": 4},
            "network": {"layers": [LRU, LRU]},
            "learning": hybrid(2, 8, every=4),
            "machine": on,
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 2},
        }
    )
    real, sketch = (work(asked).summary.plain()["systems"]["substrate"] for work in (run, estimate))
    assert sketch["memory"] == real["memory"]
    assert sketch["time"] == real["time"]
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"])


MACHINES = ["digital_45nm", "pcm_crossbar", "pcm_crossbar_in_the_loop"]


@pytest.mark.parametrize("on", MACHINES)
def test_it_runs_on_every_machine_with_captured_steps_too(on: str) -> None:
    found, learned = [], rule(hybrid(2, 6, every=3))
    episodes = [random_episode(seed, steps=30) for seed in range(2)]
    for routine in (None, learned.routine):
        made = built(STACK, learned, episodes[0], on=on, chips=1 if on.startswith("digital") else 2)
        for episode in episodes:
            with made.machine.showing(episode, routine):
                learned.gradients(made)
        found.append({each.name: each.gradient.value.tobytes() for each in made.trainables})
        assert all(np.isfinite(each.gradient.value).all() for each in made.trainables)
        made.machine.release()
        assert made.machine.memory.live == {}
    assert found[0] == found[1]


def test_it_goes_on_from_a_snapshot() -> None:
    episode, learned = random_episode(steps=9), rule(hybrid(2, 5, every=2, age=4))

    def build() -> Any:
        return machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)

    stage, taken = build(), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    found = gradient_of(built("lru stack", learned, episode, stage=stage), learned, episode)
    for shot in taken[::4]:
        resume(other := build(), shot)
        again = gradient_of(built("lru stack", learned, episode, stage=other), learned, episode)
        assert all(again[name].tobytes() == values.tobytes() for name, values in found.items())


def test_an_input_changed_later_changes_nothing_before_it() -> None:
    runs = []
    for change in (0.0, 0.5):
        episode, learned, states = random_episode(steps=9), rule(hybrid(2, 3)), list[dict[str, bytes]]()
        episode.inputs[:, 5:] += change
        stage = machines.build(machine_options("pcm_crossbar"), chips=2)
        made = built(STACK, learned, episode, stage=stage)

        def look(stage: Any = stage, states: Any = states) -> None:
            if stage.sequencer.step_index < 5:
                states.append({name: each.saved.tobytes() for name, each in stage.storages.items()})

        with stage.showing(episode):
            stage.sequencer.after_step = look
            learned.gradients(made)
            stage.sequencer.after_step = None
        runs.append(states[:5])
    assert len(runs[0]) == 5
    assert runs[0] == runs[1]


def test_windows_go_on_from_the_state_that_was_kept() -> None:
    """Sensitivities begin with each window, as errors end with it."""
    whole = random_episode(steps=12, target="values")

    def sums(options: Any) -> dict[str, np.ndarray]:
        made = built("lru", learned := rule(options), whole, uses=frozenset({"transposed"}), strict=True)
        for episode in Dataset(windows(whole, 4), whole).batches(whole.batch, 0, 1):
            with made.machine.showing(episode):
                learned.gradients(made)
        return {each.name: each.gradient.value.copy() for each in made.trainables}

    assert distance(sums(hybrid(2, 4)), sums("bptt")) < 1e-11


def test_masked_losses_are_left_out() -> None:
    episode = random_episode(steps=9)
    masked = replace(episode, mask=np.arange(9) < np.array([9, 5, 2])[:, None])
    assert distance(gradient("lru", hybrid(2, 9), masked), gradient("lru", "bptt", masked)) < 1e-11


class Rates(Sized):
    steps = 1000

    def rates(self) -> dict[str, tuple[float, ...]]:
        return {"layer 1": (0.5, 0.001, 0.02)}

    def forgetting(self) -> float:
        return 0.5


@pytest.mark.parametrize(("slow", "lag", "share"), [(1, 100, 0.5), (2, 100, 0), (1, 300, 0)])
def test_it_says_which_share_of_fast_modes_goes_further_than_the_lag(slow: int, lag: int, share: float) -> None:
    first, *_ = rule(hybrid(slow, lag, every=5)).diagnostics(Rates(machines.build(machine_options("ideal")), 1.0))
    assert (first.name, first.value, first.good) == ("truncated", share, not share)


def test_what_it_cannot_take_is_refused() -> None:
    learned = rule(hybrid(2, 3))
    with pytest.raises(CapabilityError, match="the cell of layer 1 has none, since its recurrence is dense"):
        learned.check(built("gru", rule("one_step"), random_episode()))
    learned = rule(hybrid(4, 3))
    with pytest.raises(ConfigError, match="4 of the 4 modes of layer 1 leave none that is fast"):
        learned.check(built("lru", rule("one_step"), random_episode()))
    with pytest.raises(ValidationError, match="greater than"):
        rule(hybrid(0, 3))
