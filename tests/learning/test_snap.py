"""SnAp-n against its definition in NumPy: real-time recurrent learning with entries of M set to zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import LRU, TANH, built, distance, gradient, gradient_of, perturb, random_episode, rule
from equations import Path

from hwsim.accounts.memory import LEARNING
from hwsim.episode import Episode
from hwsim.learning.kept import reach
from hwsim.networks import Network

SPARSE: dict[str, Any] = {"name": "leaky_tanh", "units": 6, "leak": 0.3, "fan_in": 2}


def snap(steps: int) -> dict[str, Any]:
    return {"name": "snap", "steps": steps}


def dense_weights(made: Network) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters with a dense W, and where it is connected."""
    p = {each.name.removeprefix("layer 1 "): each.values[0].copy() for each in made.trainables}
    W: Any = made.layers[0].cell.W  # type: ignore[attr-defined]
    n, connected = len(W.connections), np.zeros((len(W.connections),) * 2, bool)
    for row, columns in enumerate(W.connections):
        connected[row, columns] = True
    full = np.zeros((n, n))
    full[connected] = p["W"].ravel()
    return {**p, "W": full}, connected


def masked(p: dict[str, np.ndarray], connected: np.ndarray, cell: Any, episode: Any, steps: int) -> dict[str, Any]:
    """M ← mask (J M + F), where the mask of n steps is the pattern of (1 + connected)^(n - 1)."""
    n = len(connected)
    mask = np.linalg.matrix_power(np.eye(n) + connected, steps - 1) > 0
    sums = {name: np.zeros_like(value) for name, value in p.items()}
    for inputs, targets in zip(episode.inputs, episode.values, strict=True):
        M = {name: np.zeros((n, *p[name].shape)) for name in ("W", "U", "b")}
        for J, F, g, _, _ in Path(cell, p, inputs, targets).steps:
            for name in M:
                keep = mask.reshape(n, n, *[1] * (p[name].ndim - 1))
                M[name] = keep * (np.tensordot(J, M[name], 1) + F[name])
                sums[name] += np.tensordot(g, M[name], 1)
    return sums


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_it_is_rtrl_with_entries_left_out(steps: int) -> None:
    episode = random_episode(2, batch=2, steps=6, target="values")
    made = built({"layers": [{"cell": SPARSE}]}, rule(snap(steps)), episode, seed=3)
    perturb(made)
    p, connected = dense_weights(made)
    wanted = masked(p, connected, SPARSE, episode, steps)
    mine = gradient_of(made, rule(snap(steps)), episode)
    assert distance({"W": mine["layer 1 W"][0].ravel()}, {"W": wanted["W"][connected]}) < 1e-12
    assert distance({name: mine[f"layer 1 {name}"][0] for name in "Ub"}, {name: wanted[name] for name in "Ub"}) < 1e-12
    more = masked(p, connected, SPARSE, episode, steps + 1)
    assert np.abs(more["b"] - wanted["b"]).max() > 1e-6


def test_reach_goes_along_connections() -> None:
    """Unit 0 is heard by 1, which is heard by 2, which is heard by 0 and 3."""
    links = [[2], [0], [1], [2]]
    assert [reach(links, steps)[0] for steps in (1, 2, 3, 4)] == [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}]


def cosine(mine: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> float:
    x, y = (np.concatenate([each[f"layer 1 {name}"].ravel() for name in "WUb"]) for each in (mine, exact))
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def test_a_few_steps_are_nearly_exact_at_a_density_of_a_tenth() -> None:
    """32 units that hear three each: cosines of .90, .98, 1.00 and 1.00 with 3, 12, 31 and 56 % of M.

    The means of 8 seeds are to be within 3 standard errors of those that were measured, and a rounding. With
    three connections for each unit, four steps keep some more than there.
    """
    cell, found, kept = {"name": "leaky_tanh", "units": 32, "leak": 0.3, "fan_in": 3}, [], []
    network = {"layers": [{"cell": cell}]}
    for seed in range(8):
        draw = np.random.default_rng(seed)
        episode = Episode(draw.normal(size=(1, 60, 3)), values=draw.normal(size=(1, 60, 2)))
        exact = gradient(network, "bptt", episode, seed=seed)
        links = built(network, rule("rtrl"), episode, seed=seed).layers[0].cell.links
        assert links is not None
        kept.append([sum(map(len, reach(links, steps))) / 32**2 for steps in (1, 2, 3, 4)])
        found.append([cosine(gradient(network, snap(steps), episode, seed=seed), exact) for steps in (1, 2, 3, 4)])
    means, errors = np.mean(found, 0), np.std(found, 0, ddof=1) / np.sqrt(8)
    assert np.all(np.abs(means - [0.898, 0.979, 0.996, 1.0]) < 3 * errors + 0.0005)
    np.testing.assert_allclose(np.mean(kept, 0), [0.03, 0.12, 0.31, 0.56], atol=0.1)
    np.testing.assert_allclose(np.mean(kept, 0)[:3], [0.03, 0.12, 0.31], atol=0.04)


def test_only_kept_entries_are_held() -> None:
    episode = random_episode(batch=1, target="values")
    for steps in (2, 3):
        made = built({"layers": [{"cell": SPARSE}]}, rule(snap(steps)), episode)
        links = made.layers[0].cell.links
        assert links is not None
        pairs = sum(map(len, reach(links, steps)))
        assert pairs < 36
        with made.machine.showing(episode):
            rule(snap(steps)).gradients(made)
        assert made.machine.memory.peak_by_class()[LEARNING] == pairs * (2 + 2 + 1) * 64


@pytest.mark.parametrize("network", ["tanh", "gru", "lstm"])
def test_two_steps_of_a_dense_matrix_are_rtrl(network: str) -> None:
    episode = random_episode()
    assert distance(gradient(network, snap(2), episode), gradient(network, "rtrl", episode)) == 0
    assert distance(gradient(network, snap(1), episode), gradient(network, "rtrl", episode)) > 1e-3


def test_a_diagonal_cell_has_nothing_to_leave_out() -> None:
    episode = random_episode()
    assert distance(gradient("lru", snap(1), episode), gradient("lru", "rtrl", episode)) == 0


def test_a_stack_runs_with_kept_entries_on_a_digital_machine() -> None:
    network = {"layers": [LRU, {"cell": SPARSE}, TANH]}
    episode = random_episode()
    found = gradient(network, snap(2), episode, on="digital_45nm", chips=2, strict=True)
    assert distance(found, gradient(network, snap(2), episode)) < 1e-4


def test_at_least_one_step() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        rule(snap(0))
