"""Lagged forward error propagation: exact up to the lag, in one pass, and in memory that the length does not change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import (
    LRU,
    NETWORKS,
    TANH,
    Sized,
    assert_estimated,
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
from hwsim.episode import Episode, outline
from hwsim.experiments.estimate import estimate
from hwsim.experiments.look import Outside
from hwsim.experiments.run import run
from hwsim.machine import Snapshot, resume, snapshot
from hwsim.machine.counted import Shapes
from hwsim.tasks import Dataset
from hwsim.tasks.dataset import windows

MIXED = {"layers": [LRU, TANH, LRU], "pooling": "cumulative_mean"}
PLAIN = {"layers": [{"cell": {"name": "leaky_tanh", "units": n, "leak": 0.3}} for n in (5, 4, 6)]}


def lagged(lag: int, **options: Any) -> dict[str, Any]:
    return {"name": "fpe_lagged", "lag": lag, **options}


@pytest.mark.parametrize("network", [*sorted(set(NETWORKS) - {"lstm"}), "mixed"])
@pytest.mark.parametrize(
    "kinds", [{}, {"target": "values", "loss_from": 3}, {"target": "one", "loss_from": 6}], ids=str
)
def test_with_a_lag_of_the_whole_sequence_it_is_backpropagation_through_time(
    network: str, kinds: dict[str, Any]
) -> None:
    found: Any = MIXED if network == "mixed" else network
    episode = random_episode(**kinds)
    exact = gradient(found, "bptt", episode)
    for options in (lagged(7), lagged(7, every=1), lagged(7, every=3), lagged(12, every=5)):
        assert distance(gradient(found, options, episode, strict=True), exact) < 1e-11
    assert distance(gradient(found, lagged(6), episode), exact) > 1e-6 or kinds.get("loss_from") == 6


def by_definition(episode: Episode, weights: dict[str, np.ndarray], lag: int, every: int, age: int) -> dict[str, Any]:
    """Each layer's errors from the losses in the window behind the latest anchor, in NumPy; half squared distances."""
    layers, x, seen = len(PLAIN["layers"]), episode.inputs, []
    for number in range(1, layers + 1):
        W, U, b, V, c = (weights[f"layer {number} {name}"] for name in ("W", "U", "b", "V1", "V1 b"))
        h, hs, slopes = np.zeros((episode.batch, len(b))), [], []
        for t in range(episode.steps):
            s = np.tanh(h @ W.T + x[:, t] @ U.T + b)
            hs.append(h)
            slopes.append(0.3 * (1 - s**2))
            h = 0.7 * h + 0.3 * s
        hs.append(h)
        seen.append((x, hs, slopes))
        x = np.stack(hs[1:], 1) @ V.T + c
    assert episode.values is not None
    error, found = x - episode.values, {}
    error[:, : episode.loss_from] = 0
    for number in range(layers, 0, -1):
        x, hs, slopes = seen[number - 1]
        W, U, V = (weights[f"layer {number} {name}"] for name in ("W", "U", "V1"))
        g, sent = error @ V, np.zeros((episode.batch, episode.steps, x.shape[2]))
        sums: dict[str, Any] = dict.fromkeys(("W", "U", "b"), 0.0)
        for t in range(episode.steps):
            start, delta = t // every * every, np.zeros_like(hs[0])
            for later in range(min(start + age, episode.steps) - 1, t - 1, -1):
                delta = delta + g[:, later]
                if later > t:
                    delta = 0.7 * delta + (slopes[later] * delta) @ W
            drive = slopes[t] * delta
            sums["W"] += drive.T @ hs[t]
            sums["U"] += drive.T @ x[:, t]
            sums["b"] += drive.sum(0)
            sent[:, t] = drive @ U
        sums["V1"], sums["V1 b"] = np.einsum("bto,bth->oh", error, np.stack(hs[1:], 1)), error.sum((0, 1))
        found.update({f"layer {number} {name}": value for name, value in sums.items()})
        error = sent
    return found


@pytest.mark.parametrize(
    ("lag", "every", "age"), [(4, 2, None), (5, 3, None), (1, 1, None), (9, 4, 4), (9, 4, 6), (6, 1, 3), (30, 5, 12)]
)
@pytest.mark.parametrize("loss_from", [0, 7])
def test_losses_behind_the_window_are_left_out(lag: int, every: int, age: int | None, loss_from: int) -> None:
    episode = random_episode(steps=20, target="values", loss_from=loss_from)
    made = built(PLAIN, learned := rule(lagged(lag, every=every, age=age)), episode, strict=True)
    weights = {each.name: each.values[0] for each in made.trainables}
    wanted = by_definition(episode, weights, lag, every, min(age or lag, 20))
    assert distance({name: value[0] for name, value in gradient_of(made, learned, episode).items()}, wanted) < 1e-10


def cosine(mine: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    x, y = (np.concatenate([each[name].ravel() for name in other]) for each in (mine, other))
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def test_where_modes_forget_within_the_lag_little_is_left_out() -> None:
    network = {"layers": [{"cell": {"name": "lru", "modes": 16, "r_min": 0.5, "r_max": 0.97}}]}
    episode = random_episode(steps=1000, batch=1, target="values")
    exact = gradient(network, "bptt", episode)
    found = [cosine(gradient(network, lagged(lag), episode), exact) for lag in (5, 20, 100)]
    assert found == sorted(found)
    assert found[0] < 0.96
    assert found[2] > 0.999


def test_without_inverse_jacobians_none_are_made() -> None:
    assert rule(lagged(9, every=1)).uses == {"transposed"}
    assert rule(lagged(9)).uses == {"transposed", "inverse"}
    unleaky = {"layers": [{"cell": {"name": "leaky_tanh", "units": 3, "gain": 1e-30}}]}  # singular Jacobians
    episode = random_episode()
    assert distance(gradient(unleaky, lagged(7, every=1), episode), gradient(unleaky, "bptt", episode)) < 1e-12


# ---- windows of longer sequences ---------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["lru stack", "tanh", "mixed"])
@pytest.mark.parametrize(("lag", "other"), [(4, "bptt"), (6, "bptt"), (1, "one_step")])
def test_windows_go_on_from_the_state_that_was_kept(network: str, lag: int, other: str) -> None:
    """With the lag of a window, as backpropagation in blocks; with that of a step, as without errors through time."""
    found: Any = MIXED if network == "mixed" else network
    whole = random_episode(steps=12, target="values")

    def sums(options: Any) -> dict[str, np.ndarray]:
        made = built(found, learned := rule(options), whole, uses=frozenset({"transposed"}), strict=True)
        for episode in Dataset(windows(whole, 4), whole).batches(whole.batch, 0, 1):
            with made.machine.showing(episode):
                learned.gradients(made)
        return {each.name: each.gradient.value.copy() for each in made.trainables}

    assert distance(sums(lagged(lag)), sums(other)) < 1e-11


# ---- what it takes -----------------------------------------------------------------------------------------------


def shown(steps: int, network: str = "lru stack", lag: int = 12, every: int = 4) -> Any:
    """The costs of a gradient for a sequence of some length, and how many steps were carried out for them."""
    episode, done = outline(3, steps, 2, classes=3, each=True), []
    stage = machines.build(machine_options("digital_45nm"), numerics=Shapes())
    made = built(network, learned := rule(lagged(lag, every=every)), episode, stage=stage)
    stage.sequencer.after_step = lambda: done.append(stage.sequencer.step_index)
    with stage.showing(episode):
        learned.gradients(made)
    return stage.memory.peak_by_class(), len(done)


def test_memory_does_not_depend_on_the_length() -> None:
    (few, _), (many, done) = shown(200), shown(10**6)
    assert few == many
    assert done < 400
    assert shown(200, lag=24)[0]["delay lines"] == 2 * few["delay lines"]


def test_memory_is_two_states_the_open_anchors_and_the_lines() -> None:
    episode = random_episode(steps=40)
    made = built("lru", learned := rule(lagged(12, every=4)), episode, on="ideal")
    gradient_of(made, learned, episode)
    held = made.machine.memory.peak_by_class()
    words, width = 64, 8  # float64; four complex modes
    assert held["state"] == words * 2 * width
    assert held["learning state"] == words * (2 * 3 + 1) * width  # A and P of three anchors, and δ - g
    assert held["delay lines"] == words * 12 * (2 + 3)  # inputs, and errors at the output


def asked(learner: dict[str, Any], **changes: Any) -> Any:
    return config.load(
        {
            "name": "lagged",
            "task": {"name": "random", "steps": 60, "width": 2, "train": 8, "test": 4},
            "network": NETWORKS["lru stack"],
            "learning": learner,
            "machine": "digital_45nm",
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 3},
            **changes,
        }
    )


@pytest.mark.parametrize("options", [lagged(12, every=4), lagged(8, every=3, age=6)], ids=str)
@pytest.mark.parametrize("loss", ["each", "last"])
def test_a_run_costs_what_is_estimated(options: dict[str, Any], loss: str) -> None:
    task = {"name": "random", "steps": 60, "width": 2, "train": 8, "test": 4, "loss": loss}
    real, sketch = (work(asked(options, task=task)).summary.plain()["systems"]["substrate"] for work in (run, estimate))
    assert sketch["memory"] == real["memory"]
    assert sketch["time"] == real["time"]
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"])
    assert real["time"]["passes"] == 1
    assert "input replay" not in real["memory"]["peak_by_class"]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("learner", [lagged(12, every=5), {**lagged(12, every=5), "name": "fpe_hybrid", "slow": 1}])
@pytest.mark.parametrize("steps", [30, 12, 9])
def test_estimates_know_lags_that_no_whole_number_of_anchors_fits_in(
    learner: dict[str, Any], steps: int, layers: int
) -> None:
    """The front opens an anchor in every 5th step, and copies come to them 12 steps later, or as many as there are."""
    assert_estimated(
        {
            "name": "lag",
            "task": {"name": "random", "steps": steps, "width": 2, "train": 4, "test": 2},
            "network": {"layers": [{"cell": {"name": "lru", "modes": 3}}] * layers},
            "learning": learner,
            "machine": "digital_45nm",
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 2, "steps": 1},
        }
    )


@pytest.mark.parametrize("on", ["ideal", "pcm_crossbar"])
def test_captured_steps_are_those_that_are_carried_out(on: str) -> None:
    found = []
    for routine in (None, "learning"):
        episodes = [random_episode(seed, steps=60) for seed in range(2)]
        made = built("lru stack", learned := rule(lagged(16, every=8, age=8)), episodes[0], on=on)
        for episode in episodes:
            with made.machine.showing(episode, routine):
                learned.gradients(made)
        found.append({each.name: each.gradient.value.tobytes() for each in made.trainables})
    assert found[0] == found[1]


def test_it_goes_on_from_a_snapshot() -> None:
    episode, learned = random_episode(steps=9), rule(lagged(5, every=2, age=4))

    def build() -> Any:
        return machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)

    stage, taken = build(), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    found = gradient_of(built("lru stack", learned, episode, stage=stage), learned, episode)
    assert len(taken) == 9 + 2 * 5
    for shot in taken[::3]:
        resume(other := build(), shot)
        again = gradient_of(built("lru stack", learned, episode, stage=other), learned, episode)
        assert all(again[name].tobytes() == values.tobytes() for name, values in found.items())


# ---- what it says of itself --------------------------------------------------------------------------------------


class Rates(Sized):
    steps = 1000

    def rates(self) -> dict[str, tuple[float, ...]]:
        return {"layer 1": (0.001, 0.02), "layer 2": (0.05, 0.5)}

    def forgetting(self) -> float:
        return 0.5


@pytest.mark.parametrize(("options", "share"), [(lagged(100), 0.5), (lagged(300), 0.25), (lagged(1000), 0)], ids=str)
def test_it_says_which_share_of_the_modes_goes_further_than_the_lag(options: dict[str, Any], share: float) -> None:
    """An error of which exp(-rate · lag) > 0.01 is left goes further; with the lag of the sequence none does."""
    look = Rates(machines.build(machine_options("ideal")), 1.0)
    first, horizon, *_ = rule(options).diagnostics(look)
    assert (first.name, first.value, first.good) == ("truncated", share, not share)
    assert horizon.name == "horizon"
    assert horizon.good is True


def test_the_horizon_is_that_of_the_steps_between_anchors() -> None:
    look = Rates(machines.build(machine_options("ideal")), 1.0)
    horizons = [rule(lagged(200, every=every)).horizon(look) for every in (1, 14, 100)]
    assert [each.steps for each in horizons if each] == [0, 13, 99]
    assert [each.fits for each in horizons if each] == [True, True, False]


def test_rates_are_those_of_all_modes() -> None:
    episode = random_episode(steps=20)
    made = built("lru deep", learned := rule(lagged(4)), episode)
    look = Outside(made, lambda: built("lru deep", learned, episode), episode)
    nu = [np.exp(layer.cell.nu.values[0]) for layer in made.layers]  # type: ignore[attr-defined]
    np.testing.assert_allclose([*look.rates().values()], nu, rtol=1e-9)
    assert look.forgetting() == close(np.max(nu))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lag": 0}, "greater than or equal to 1"),
        ({"lag": 5, "every": 0}, "greater than or equal to 1"),
        ({"lag": 5, "every": 6}, "every: 6 steps are more than the 5 whose losses each sum takes in"),
        ({"lag": 5, "age": 6}, "age: 6 steps are not over after a lag of 5"),
        ({"lag": 5, "age": 3, "every": 4}, "every: 4 steps are more than the 3"),
        ({"lag": 5, "tolerance": 1}, "less than 1"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        rule({"name": "fpe_lagged", **options})


def test_masked_losses_are_left_out() -> None:
    episode = random_episode(steps=9)
    masked = replace(episode, mask=np.arange(9) < np.array([9, 5, 2])[:, None])
    assert distance(gradient("lru stack", lagged(9, every=3), masked), gradient("lru stack", "bptt", masked)) < 1e-11
