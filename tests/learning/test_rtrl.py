"""Real-time recurrent learning across the layers of a stack, against backpropagation through time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import (
    LRU,
    MIXED,
    NORMED,
    SPARSE,
    TANH,
    built,
    distance,
    gradient,
    gradient_of,
    perturb,
    random_episode,
    rule,
)

from hwsim.accounts.memory import LEARNING

GRU: dict[str, Any] = {"cell": {"name": "gru", "units": 4}, "readout": {"hidden": [5], "width": 3}}
LSTM: dict[str, Any] = {"cell": {"name": "lstm", "units": 3}, "readout": {"norm": True}}
STACKS: dict[str, Any] = {
    "lru": {"layers": [LRU, NORMED, LRU]},
    "tanh": {"layers": [TANH] * 3},
    "gru": {"layers": [GRU] * 3},
    "sparse": {"layers": [*SPARSE["layers"], TANH]},
    "pooled": {"layers": [NORMED, GRU, TANH], "pooling": "cumulative_mean"},
    "last": {"layers": [LSTM, LRU, GRU], "pooling": "last"},
    "four": MIXED,
}
ACROSS = {"name": "rtrl", "across": True}


def found(network: Any, learner: Any, episode: Any, **kinds: Any) -> dict[str, np.ndarray]:
    made = built(network, rule(learner), episode, **kinds)
    perturb(made)
    return gradient_of(made, rule(learner), episode)


@pytest.mark.parametrize("stack", STACKS)
def test_all_layers_of_a_stack_have_the_gradient_of_bptt(stack: str) -> None:
    episode = random_episode(1, steps=6, loss_from=5 if stack == "last" else 0)
    exact, network = found(STACKS[stack], "bptt", episode), STACKS[stack]
    assert distance(found(network, ACROSS, episode), exact) < 1e-12
    assert distance(found(network, "rtrl", episode), exact, ["layer 1 V1"]) > 1e-3


@pytest.mark.parametrize("kinds", [{"target": "one"}, {"loss_from": 3}, {"target": "values"}], ids=str)
def test_wherever_the_loss_is(kinds: dict[str, Any]) -> None:
    episode = random_episode(1, steps=6, **kinds)
    assert distance(found(STACKS["pooled"], ACROSS, episode), found(STACKS["pooled"], "bptt", episode)) < 1e-12


def test_one_layer_is_learned_as_without() -> None:
    for network in ({"layers": [LRU]}, {"layers": [GRU]}):
        mine, plain = gradient(network, ACROSS, random_episode()), gradient(network, "rtrl", random_episode())
        for name in plain:
            np.testing.assert_array_equal(mine[name], plain[name])


def test_each_layer_above_holds_a_state_for_each_parameter() -> None:
    """In the ledger: N numbers for each parameter of the layers below, readouts included, and its own."""
    episode = random_episode(batch=1)
    made = built({"layers": [TANH, TANH]}, rule(ACROSS), episode)
    n, d, hidden, answers, bits = 6, 2, 5, 3, 64
    cell = [n * (n + inputs + 1) for inputs in (d, n)]
    readout = (n + 1) * hidden + (hidden + 1) * n
    with made.machine.showing(episode):
        rule(ACROSS).gradients(made)
    held = made.machine.memory.peak_by_class()[LEARNING]
    assert held == n * (cell[0] + cell[1] + cell[0] + readout) * bits
    assert answers == 3


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar", "pcm_crossbar_in_the_loop"])
def test_a_stack_of_three_runs_on_machines(on: str) -> None:
    episode = random_episode(batch=1, steps=3)
    made = built(STACKS["pooled"], rule(ACROSS), episode, on=on, chips=2, strict=True)
    values = gradient_of(made, rule(ACROSS), episode)
    assert all(np.isfinite(each).all() and each.any() for each in values.values())
    if on == "digital_45nm":  # float32
        assert distance(values, gradient(STACKS["pooled"], "bptt", episode)) < 1e-4
