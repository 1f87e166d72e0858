"""Forward error propagation along slow directions: exact where they are all, close where the others are forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import (
    LRU,
    TANH,
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
from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.look import Outside
from hwsim.experiments.run import run
from hwsim.machine import Snapshot, resume, snapshot
from hwsim.tasks import Dataset
from hwsim.tasks.dataset import windows

MIXED = {"layers": [LRU, TANH, LRU], "pooling": "cumulative_mean"}
THREE = {"layers": [TANH, TANH, TANH]}


def slowfast(slow: int, lag: int) -> dict[str, Any]:
    return {"name": "fpe_slowfast", "slow": slow, "lag": lag}


@pytest.mark.parametrize(
    ("network", "width"), [("tanh", 6), ("gru", 4), ("lru", 8), ("lru stack", 8), (THREE, 6), (MIXED, 6)], ids=str
)
@pytest.mark.parametrize("loss_from", [0, 3, 11])
def test_with_all_directions_or_the_whole_sequence_it_is_backpropagation_through_time(
    network: Any, width: int, loss_from: int
) -> None:
    """Errors of all directions grow forward as in `fpe`, so digits are lost with them."""
    episode = random_episode(steps=12, loss_from=loss_from)
    exact = gradient(network, "bptt", episode)
    for slow, lag in ((1, 12), (width, 12), (2, 40)):
        assert distance(gradient(network, slowfast(slow, lag), episode, strict=True), exact) < 1e-12
    if network is not MIXED:  # of different widths
        for lag in (1, 3):
            assert distance(gradient(network, slowfast(width, lag), episode, strict=True), exact) < 1e-9


def apart(layers: int, gain: float) -> dict[str, Any]:
    """Layers of which four units keep things for 500 steps, and the others for one or two."""
    leaks = [{"value": 1.0, "units": 28}, {"value": 0.002, "units": 4}]
    return {"layers": [{"cell": {"name": "leaky_tanh", "units": 32, "gain": gain, "leak": leaks}}] * layers}


def normal(episode: Episode) -> Episode:
    return replace(episode, inputs=np.random.default_rng(9).normal(size=episode.inputs.shape))


def cosine(mine: dict[str, np.ndarray], other: dict[str, np.ndarray], rows: slice) -> float:
    x, y = (each["layer 1 W"][0, rows].ravel() for each in (mine, other))
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@pytest.mark.parametrize(("layers", "loss_from"), [(1, 0), (1, 299), (2, 299)])
def test_slow_directions_and_a_short_window_are_all_that_is_needed(layers: int, loss_from: int) -> None:
    """Where errors in fast directions are forgotten within the lag; a truncated window of that length is not enough."""
    episode = normal(random_episode(1, batch=1, steps=300, width=3, target="values", loss_from=loss_from))
    exact = gradient(apart(layers, 0.8), "bptt", episode)
    found = gradient(apart(layers, 0.8), slowfast(4, 16), episode)
    assert cosine(found, exact, slice(0, 32)) > 0.9999
    assert cosine(found, exact, slice(28, 32)) > (0.9999 if layers == 1 else 0.999)
    cut = gradient(apart(layers, 0.8), {"name": "fpe_lagged", "lag": 16, "every": 1}, episode)
    assert cosine(cut, exact, slice(28, 32)) < 0.95


def jacobian(weights: dict[str, np.ndarray], h: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The next state, the Jacobian of it and the slope, for one sequence; a leak of 0.3."""
    s = np.tanh(weights["layer 1 W"] @ h + weights["layer 1 U"] @ x + weights["layer 1 b"])
    slope = 0.3 * (1 - s**2)
    return 0.7 * h + 0.3 * s, 0.7 * np.eye(len(h)) + slope[:, None] * weights["layer 1 W"], slope


@pytest.mark.parametrize(("slow", "lag"), [(1, 2), (2, 3), (4, 1)])
def test_it_is_what_its_definition_says(slow: int, lag: int) -> None:
    """Errors of all directions in the window, and their projection on the slow ones behind it, from the exact δ."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": 0.3}}]}
    episode = random_episode(batch=1, steps=10, target="values", loss_from=2)
    made = built(network, learned := rule(slowfast(slow, lag)), episode)
    weights = {each.name: each.values[0] for each in made.trainables}
    h, steps, points = np.zeros(6), episode.steps, []
    for t in range(steps):
        before, (h, J, slope) = h, jacobian(weights, h, episode.inputs[0, t])
        points.append((before, h, J, slope))
    assert episode.values is not None
    V, c = weights["layer 1 V1"], weights["layer 1 V1 b"]
    g = [V.T @ (V @ point[1] + c - episode.values[0, t]) * (t >= 2) for t, point in enumerate(points)]
    deltas, Q = [*np.zeros((steps, 6)), np.zeros(6)], np.resize(np.eye(slow), (6, slow))
    for t in range(steps - 1, -1, -1):
        deltas[t] = g[t] + (points[t + 1][2].T @ deltas[t + 1] if t + 1 < steps else 0)
    bases = []
    for t in range(steps):
        Q = np.linalg.qr(points[t][2] @ Q)[0]
        bases.append(Q)
    W = np.zeros((6, 6))
    for t in range(steps):
        end = t + lag
        delta = bases[end] @ bases[end].T @ deltas[end] if end < steps else np.zeros(6)
        for later in range(min(end, steps) - 1, t - 1, -1):
            delta = g[later] + (points[later + 1][2].T @ delta if later + 1 < steps else 0)
        W += np.outer(points[t][3] * delta, points[t][0])
    found = gradient_of(made, learned, episode)["layer 1 W"][0]
    np.testing.assert_allclose(found, W, atol=1e-10 * np.abs(W).max())


@pytest.mark.parametrize("network", ["lru stack", THREE, "gru"], ids=str)
def test_windows_go_on_from_the_state_that_was_kept(network: Any) -> None:
    whole = random_episode(steps=12, target="values")

    def sums(options: Any) -> dict[str, np.ndarray]:
        made = built(network, learned := rule(options), whole, uses=frozenset({"transposed"}), strict=True)
        for episode in Dataset(windows(whole, 4), whole).batches(whole.batch, 0, 1):
            with made.machine.showing(episode):
                learned.gradients(made)
        return {each.name: each.gradient.value.copy() for each in made.trainables}

    width = {"lru stack": 8, "gru": 4}.get(str(network), 6)
    for lag in (2, 4):
        assert distance(sums(slowfast(width, lag)), sums("bptt")) < 1e-8


# ---- what it takes -----------------------------------------------------------------------------------------------


def test_it_holds_bases_lines_and_one_copy_per_layer() -> None:
    episode = random_episode(steps=20)
    made = built("tanh", learned := rule(slowfast(2, 5)), episode)
    gradient_of(made, learned, episode)
    held, word = made.machine.memory.peak_by_class(), 64
    assert held["state"] == word * 6
    assert held["learning state"] == word * (2 * 2 * 6 + 2 * 2)  # Q and the first Q; y, and y - Qᵀg
    assert held["delay lines"] == word * 5 * (6 + 6 + 2)  # states, g, inputs


def asked(loss: str) -> Any:
    return config.load(
        {
            "name": "slowfast",
            "task": {"name": "random", "steps": 40, "width": 2, "train": 8, "test": 4, "loss": loss},
            "network": {"layers": [TANH, TANH]},
            "learning": slowfast(2, 4),
            "machine": "digital_45nm",
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 2},
        }
    )


@pytest.mark.parametrize("loss", ["each", "last"])
def test_a_run_costs_what_is_estimated(loss: str) -> None:
    real, sketch = (work(asked(loss)).summary.plain()["systems"]["substrate"] for work in (run, estimate))
    assert sketch["memory"] == real["memory"]
    assert sketch["time"] == real["time"]
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"])
    assert real["time"]["passes"] == 3


def test_it_goes_on_from_a_snapshot() -> None:
    episode, learned = random_episode(steps=7), rule(slowfast(2, 3))

    def build() -> Any:
        return machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)

    stage, taken = build(), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    found = gradient_of(built(THREE, learned, episode, stage=stage), learned, episode)
    assert len(taken) == 4 * 7 + (1 + 2 + 3) * 3
    for shot in taken[::7]:
        resume(other := build(), shot)
        again = gradient_of(built(THREE, learned, episode, stage=other), learned, episode)
        assert all(again[name].tobytes() == values.tobytes() for name, values in found.items())


# ---- what it says of itself --------------------------------------------------------------------------------------


class Rates(Sized):
    steps = 1000

    def rates(self) -> dict[str, tuple[float, ...]]:
        return {"layer 1": (0.4, 0.002, 2.0, 0.003), "layer 2": (0.001, 0.5)}


def test_it_says_what_is_left_of_fast_errors_and_how_far_slow_ones_go() -> None:
    look = Rates(machines.build(machine_options("ideal")), 1.0)
    left, horizon, *_ = rule(slowfast(2, 8)).diagnostics(look)
    assert (left.name, left.value, left.good) == ("left_of_fast_errors", close(np.exp(-0.4 * 8)), False)
    assert horizon.good is False  # of the second layer, both directions are taken for slow
    left, horizon, *_ = rule(slowfast(1, 8)).diagnostics(look)
    assert (left.value, left.good) == (close(np.exp(-0.003 * 8)), False)
    assert horizon.good is True
    assert rule(slowfast(2, 16)).diagnostics(look)[0].good is True
    assert (
        rule(slowfast(3, 8)).diagnostics(look)[1].name == "horizon"
    )  # more directions than the second layer has rates
    assert rule(slowfast(2, 8)).diagnostics(Sized(machines.build(machine_options("ideal")), 1.0)) == []


@pytest.mark.parametrize(("slow", "slowest", "left"), [(1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 1, 2)])
def test_a_complex_mode_has_two_directions(slow: int, slowest: int, left: int) -> None:
    """Of four modes, the k slowest directions are those of k / 2; the next one is a fast mode, or the other of two."""
    episode, learned = random_episode(steps=20), rule(slowfast(slow, 3))
    made = built("lru", learned, episode)
    look = Outside(made, lambda: built("lru", learned, episode), episode)
    rates = sorted(np.exp(made.layers[0].cell.nu.values[0]))  # type: ignore[attr-defined]
    first, *_ = learned.diagnostics(look)
    horizon = learned.horizon(look)
    assert first.value == close(np.exp(-3 * rates[left]))
    assert horizon is not None
    assert horizon.rate == close(rates[slowest])


def test_more_directions_than_the_state_has_are_refused() -> None:
    learned = rule(slowfast(7, 3))
    with pytest.raises(ConfigError, match=r"learning.slow: 7 directions, and the state of layer 1 has only 6"):
        learned.check(built("tanh", learned, random_episode()))
    for options, said in (({"slow": 0}, "greater than"), ({"slow": 1, "lag": 0}, "greater than"), ({}, "required")):
        with pytest.raises(ValidationError, match=said):
            rule({"name": "fpe_slowfast", **options})
