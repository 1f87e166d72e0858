"""Anchored forward error propagation: exact where nothing is cut off, else what its definition says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import NETWORKS, built, distance, gradient, gradient_of, random_episode, rule
from pydantic import ValidationError

from hwsim import machines
from hwsim.errors import ConfigError, SingularJacobianError
from hwsim.learning import RULES
from hwsim.machine import resume, snapshot

FORGETS: dict[str, Any] = {"cell": {"name": "lru", "modes": 5, "r_min": 0.36}, "readout": {"hidden": [4], "width": 3}}
THREE = {
    "lru": {"layers": [FORGETS] * 3, "pooling": "cumulative_mean"},
    "leaky_tanh": {
        "layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.5}, "readout": {"hidden": [4]}}] * 3
    },
    "gru": {"layers": [{"cell": {"name": "gru", "units": 3}, "readout": {"hidden": [4]}}] * 3},
}


def anchored(**options: Any) -> dict[str, Any]:
    return {"name": "fpe_anchored", "age": "all", **options}


@pytest.mark.parametrize("cell", THREE)
@pytest.mark.parametrize("loss_from", [0, 17, 59])
def test_three_layers_have_the_gradient_of_bptt_where_fpe_has_none(cell: str, loss_from: int) -> None:
    episode = random_episode(steps=60, loss_from=loss_from)
    exact = gradient(THREE[cell], "bptt", episode)
    assert distance(gradient(THREE[cell], anchored(every=2), episode), exact) < 1e-9
    with np.errstate(all="ignore"):
        assert not distance(gradient(THREE[cell], "fpe", episode), exact) < 1e-2


@pytest.mark.parametrize("network", [*NETWORKS])
@pytest.mark.parametrize("every", [1, 3, 7])
@pytest.mark.parametrize("target", ["each", "one", "values"])
def test_anchors_may_be_any_distance_apart(network: str, every: int, target: str) -> None:
    """As far as the sequence's end, where only one is left; 7 steps of an LSTM are beyond its horizon."""
    if network == "lstm" and every == 7:
        pytest.skip("beyond the horizon")
    episode = random_episode(target=target)
    assert distance(gradient(network, anchored(every=every), episode), gradient(network, "bptt", episode)) < 1e-9


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6])
def test_short_sequences(steps: int) -> None:
    episode = random_episode(steps=steps)
    exact = gradient("lru stack", "bptt", episode)
    active = [name for name in exact if exact[name].any()]
    for every in (1, 2, 3, 8):
        for age in (1, 2, 20):
            found = gradient("lru stack", anchored(every=every, age=age), episode)
            assert (distance(found, exact, active) < 1e-12) == (-(-age // every) * every >= steps or age >= steps)


def defined(made: Any, episode: Any, every: int, age: int) -> dict[str, np.ndarray]:
    """The gradient of one layer of leaky tanh units with a linear readout, step by step."""
    cell, steps, leak = made.layers[0].cell, episode.steps, 0.6
    readout = made.layers[0].readout.blocks[0]
    (W,), (U,), (b,) = cell.W.trainable.values, cell.U.trainable.values, cell.b.trainable.values
    (V,), (c,) = readout.W.trainable.values, readout.b.trainable.values
    found = {"layer 1 W": 0.0, "layer 1 U": 0.0}
    for x, y in zip(episode.inputs, episode.values, strict=True):
        h, J, g, slope = [np.zeros(len(b))], [], [np.zeros(len(b))], []
        for t in range(steps):
            s = np.tanh(W @ h[t] + U @ x[t] + b)
            slope.append(leak * (1 - s**2))
            J.append((1 - leak) * np.eye(len(b)) + slope[t][:, None] * W)
            h.append((1 - leak) * h[t] + leak * s)
            g.append(V.T @ (V @ h[t + 1] + c - y[t]))
        for start in range(0, steps, every):
            rest, R = np.zeros(len(b)), np.eye(len(b))
            for t in range(start, min(start + -(-age // every) * every, steps)):
                R = R @ J[t].T
                rest = rest + R @ g[t + 1]
            for t in range(start, min(start + every, steps)):
                delta = np.linalg.solve(J[t].T, rest)
                found["layer 1 W"] += np.outer(slope[t] * delta, h[t])
                found["layer 1 U"] += np.outer(slope[t] * delta, x[t])
                rest = delta - g[t + 1]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(("every", "age"), [(1, 1), (2, 3), (3, 4), (3, 9), (5, 5), (4, 30)])
def test_an_age_cuts_off_what_is_later(every: int, age: int) -> None:
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.6}}], "loss": {"name": "half_square"}}
    episode, learner = random_episode(steps=13, target="values"), rule(anchored(every=every, age=age))
    made = built(network, learner, episode)
    found, wanted = gradient_of(made, learner, episode), defined(made, episode, every, age)
    for name, values in wanted.items():
        assert np.abs(found[name][0] - values).max() < 1e-10 * np.abs(values).max()


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("age", ["all", 5])
def test_what_is_carried_makes_no_difference_without_errors(every: int, age: Any) -> None:
    episode = random_episode(steps=11, loss_from=2)
    plain = gradient(THREE["lru"], anchored(every=every, age=age), episode)
    scaled = gradient(THREE["lru"], anchored(every=every, age=age, carry="gamma_delta"), episode)
    assert distance(scaled, plain) < 1e-12


def test_the_horizon_is_that_of_the_steps_between_anchors() -> None:
    learner = rule(anchored(every=4))
    assert (learner.reach(100), learner.reach(3)) == (4, 3)


def test_memory_is_a_sum_for_each_anchor_and_a_product_for_each_open_one() -> None:
    """Beside the ledgers of fpe, which has one product, and one error before the sequence, per layer."""
    steps, every, width, layers = 20, 2, 8, 2

    def most(learner: dict[str, Any]) -> dict[str, int]:
        made, episode = built("lru deep", rule(learner), random_episode(steps=steps)), random_episode(steps=steps)
        gradient_of(made, rule(learner), episode)
        held: dict[str, int] = {}
        for holding in made.machine.memory.peak_holdings():
            held[holding.kind] = held.get(holding.kind, 0) + holding.values
        return held

    whole, young = most(anchored(every=every)), most(anchored(every=every, age=6))
    anchors, kept = steps // every, 2 * width * (layers - 1)  # δ and g of the layers above
    assert whole["learning state"] == 2 * width * anchors + kept
    assert whole["delay lines"] == width * anchors * 2
    assert young["learning state"] == 2 * width * 3 + kept


def test_a_run_goes_on_from_a_snapshot_of_any_step() -> None:
    for options in (anchored(every=3), anchored(every=2, age=4, carry="gamma_delta")):
        learned, episode = rule(options), random_episode(steps=7)
        stage = machines.build(machines.MACHINES["ideal"].Options(kind="ideal", name="ideal"))
        made, shots = built("lru stack", learned, episode, stage=stage), []
        stage.sequencer.after_step = lambda stage=stage, shots=shots: shots.append(snapshot(stage))
        found = gradient_of(made, learned, episode)
        for shot in shots:
            other = machines.build(machines.MACHINES["ideal"].Options(kind="ideal", name="ideal"))
            resume(other, shot)
            again = gradient_of(built("lru stack", learned, episode, stage=other), learned, episode)
            assert all(again[name].tobytes() == found[name].tobytes() for name in found)


@pytest.mark.parametrize("bad", [{"every": 0}, {"every": -1}, {"age": 0}, {"carry": "g"}, {"open": 2}, {"terms": 0}])
def test_bad_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        RULES["fpe_anchored"].Options(name="fpe_anchored", **bad)


def test_gains_are_of_some_cells_only() -> None:
    learner = rule(anchored(carry="gamma_delta"))
    with pytest.raises(ConfigError, match=r"learning.carry: .* cell of layer 1 has not; lru has one"):
        learner.check(built("tanh", learner, random_episode()))


def test_a_singular_jacobian_is_named() -> None:
    learner, episode = rule(anchored(every=2)), random_episode()
    layer = {"cell": {"name": "leaky_tanh", "units": 4, "leak": 1.0}}
    made = built({"layers": [layer, layer]}, learner, episode)
    W = made.layers[0].cell.W.trainable  # type: ignore[attr-defined]
    W.master.value = np.zeros_like(W.master.value)
    made.program()
    with pytest.raises(SingularJacobianError, match="layer 1: the Jacobian of step 0 in 'pass 3' has no inverse"):
        gradient_of(made, learner, episode)
