"""E-prop and RFLO against their definitions in NumPy: traces, and feedback of three kinds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from conftest import (
    LRU,
    TANH,
    assert_estimated,
    built,
    distance,
    gradient,
    gradient_of,
    perturb,
    random_episode,
    rule,
)

from hwsim.accounts.memory import WEIGHTS
from hwsim.episode import Episode
from hwsim.errors import CapabilityError
from hwsim.learning import Rule, optimizers
from hwsim.learning.update import Options as Training
from hwsim.learning.update import Update
from hwsim.networks import Network

LEAK = 0.3
CELL: dict[str, Any] = {"name": "leaky_tanh", "units": 5, "leak": LEAK}
PLAIN: dict[str, Any] = {"layers": [{"cell": CELL}]}
STACK: dict[str, Any] = {"layers": [{"cell": CELL, "readout": {"width": 4}}, {"cell": {**CELL, "units": 6}}]}
FEEDBACK = ["symmetric", "random", "adaptive"]


def eprop(feedback: str, name: str = "eprop") -> dict[str, Any]:
    return {"name": name, "feedback": feedback}


def moved(network: Any, learner: Rule, episode: Episode, **kinds: Any) -> Network:
    made = built(network, learner, episode, seed=4, **kinds)
    perturb(made)
    return made


def weights(made: Network, layer: int) -> dict[str, np.ndarray]:
    start = f"layer {layer} "
    return {each.name.removeprefix(start): each.values[0] for each in made.trainables if each.name.startswith(start)}


def matrices(learner: Any) -> dict[str, np.ndarray]:
    """Feedback, by its name."""
    all_ = [*learner.to_state.values(), *learner.to_output.values()]
    return {matrix.name: matrix.trainable.values[0].copy() for matrix in all_}


def by_hand(made: Network, episode: Episode, B: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A stack of leaky tanh layers with linear readouts: e ← (1 - a) e + φ zᵀ, and L = B times the output's error.

    Args:
        B: feedback by name; without any, errors go back through the readouts and the layers above.
    """
    layers = [weights(made, number) for number in range(1, len(made.layers) + 1)]
    sums: dict[str, Any] = {}

    def add(number: int, name: str, value: np.ndarray) -> None:
        sums[f"layer {number} {name}"] = sums.get(f"layer {number} {name}", 0) + value

    for inputs, targets in zip(episode.inputs, episode.values, strict=True):
        states = [np.zeros(len(p["b"])) for p in layers]
        traces = [{name: np.zeros_like(p[name]) for name in "WUb"} for p in layers]
        for input_, target in zip(inputs, targets, strict=True):
            x, slopes = input_, []
            for number, p in enumerate(layers):
                h, e = states[number], traces[number]
                s = np.tanh(p["W"] @ h + p["U"] @ x + p["b"])
                phi = LEAK * (1 - s**2)
                slopes.append(phi)
                for name, z in (("W", h), ("U", x)):
                    e[name] = (1 - LEAK) * e[name] + np.outer(phi, z)
                e["b"] = (1 - LEAK) * e["b"] + phi
                states[number] = (1 - LEAK) * h + LEAK * s
                x = p["V1"] @ states[number] + p["V1 b"]
            error = output = x - target
            for number in range(len(layers), 0, -1):
                p, e = layers[number - 1], traces[number - 1]
                top = number == len(layers)
                if B and not top:
                    error = B[f"layer {number} readout feedback"] @ output
                add(number, "V1", np.outer(error, states[number - 1]))
                add(number, "V1 b", error)
                signal = B[f"layer {number} feedback"] @ output if B else p["V1"].T @ error
                add(number, "W", signal[:, None] * e["W"])
                add(number, "U", signal[:, None] * e["U"])
                add(number, "b", signal * e["b"])
                error = p["U"].T @ (slopes[number - 1] * signal)
    return sums


@pytest.mark.parametrize("feedback", FEEDBACK)
@pytest.mark.parametrize("network", [PLAIN, STACK], ids=["layer", "stack"])
def test_it_is_what_its_definition_gives(network: Any, feedback: str) -> None:
    episode, learner = random_episode(3, target="values"), rule(eprop(feedback))
    made = moved(network, learner, episode)
    B = matrices(learner)
    assert bool(B) == (feedback != "symmetric")
    found = {name: value[0] for name, value in gradient_of(made, learner, episode).items()}
    assert distance(found, by_hand(made, episode, B)) < 1e-12


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_rflo_is_eprop_in_a_network_of_leaky_units(feedback: str) -> None:
    episode = random_episode(3)
    mine, other = (gradient(STACK, eprop(feedback, name), episode) for name in ("rflo", "eprop"))
    for name in mine:
        np.testing.assert_array_equal(mine[name], other[name])


def test_rflo_has_random_feedback_by_default() -> None:
    assert rule({"name": "rflo"}).options.feedback == "random"


def test_a_diagonal_cell_has_exact_traces() -> None:
    """Nothing but λ takes its state from step to step."""
    episode = random_episode(3)
    assert distance(gradient("lru", "eprop random", episode), gradient("lru", "bptt", episode)) > 1e-3
    assert distance(gradient("lru", eprop("symmetric"), episode), gradient("lru", "bptt", episode)) < 1e-12


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_a_gated_cell_keeps_what_its_gates_let_through(network: str) -> None:
    """Without weights from a unit to itself, of which SnAp-1 knows."""
    episode = random_episode(3)
    mine, own = gradient(network, eprop("symmetric"), episode), gradient(network, "snap", episode)
    assert distance(mine, own) > 1e-3
    last = random_episode(3, steps=1)
    exact = gradient(network, "bptt", last)
    names = [name for name in exact if name != "layer 1 W"]  # whose gradient is zero, since the state was
    assert distance(gradient(network, eprop("symmetric"), last), exact, names) < 1e-12


# ---- feedback ------------------------------------------------------------------------------------------------


def learned(network: Any, learner: Any, times: int, decay: float, on: str = "ideal") -> tuple[Network, list[Any]]:
    """Learn a few times; the readout and the feedback of the top layer at the start and after each update."""
    episode = random_episode(3, target="values")
    made = built(network, learner, episode, on=on)
    optimizer = {"name": "adamw", "rate": 0.1, "decay": decay}
    options = Training.model_validate({"optimizer": optimizer, "clip": 0.5})
    steps, seen = optimizers.build(options.optimizer, made), []
    readout = made.layers[-1].readout.trainables[-2]

    def look() -> None:
        seen.append((readout.values[0].copy(), matrices(learner)))

    look()
    for _ in range(times):
        with made.machine.showing(episode):
            learner.learn(made, Update(made, steps, options))
        look()
    return made, seen


@pytest.mark.parametrize("network", [PLAIN, STACK], ids=["layer", "stack"])
def test_adaptive_feedback_changes_as_the_readout_does_so_that_decay_makes_them_alike(network: Any) -> None:
    """B - Wᵀ is multiplied by 1 - η decay in each update, whatever the gradient is."""
    learner: Any = rule(eprop("adaptive"))
    top = f"layer {len(network['layers'])} feedback"
    _, seen = learned(network, learner, 5, 0.5)
    for (W, B), (W_next, B_next) in itertools.pairwise(seen):
        np.testing.assert_allclose(B_next[top] - W_next.T, 0.95 * (B[top] - W.T), atol=1e-12)
        assert np.abs(W_next - W).max() > 1e-3
        for name in set(B) - {top}:
            np.testing.assert_array_equal(B_next[name], B[name])


def test_random_feedback_stays_as_it_is_and_is_charged_as_weights() -> None:
    learner: Any = rule(eprop("random"))
    made, seen = learned(STACK, learner, 3, 0.1)
    for _, B in seen[1:]:
        for name, matrix in B.items():
            np.testing.assert_array_equal(matrix, seen[0][1][name])
    other, _ = learned(STACK, rule(eprop("symmetric")), 3, 0.1)
    held = [each.machine.memory.peak_by_class()[WEIGHTS] for each in (made, other)]
    assert held[0] - held[1] == (6 + 5 + 4) * 3 * 64  # to both states, and to the output of the lower layer
    assert set(seen[0][1]) == {"layer 1 feedback", "layer 2 feedback", "layer 1 readout feedback"}


def test_feedback_depends_on_the_seed_and_is_never_the_readout() -> None:
    episode = random_episode(3)
    found = []
    for seed in (1, 1, 2):
        learner: Any = rule(eprop("random"))
        made = built(PLAIN, learner, episode, seed=seed)
        found.append((matrices(learner)["layer 1 feedback"], weights(made, 1)["V1"].T))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert np.abs(found[0][0] - found[2][0]).min() > 0
    assert np.abs(found[0][0] - found[0][1]).min() > 0


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar", "pcm_crossbar_in_the_loop"])
@pytest.mark.parametrize("learner", [eprop("adaptive"), eprop("random", "rflo"), eprop("symmetric")], ids=str)
def test_a_stack_learns_on_machines(learner: Any, on: str) -> None:
    made, _ = learned(STACK, rule(learner) if learner["feedback"] != "symmetric" else Symmetric(), 2, 0.1, on=on)
    assert all(np.isfinite(each.values).all() for each in made.trainables)


class Symmetric:
    """E-prop with symmetric feedback, which has no matrices to look at."""

    def __new__(cls) -> Any:
        learner: Any = rule(eprop("symmetric"))
        learner.to_state, learner.to_output = {}, {}
        return learner


@pytest.mark.parametrize("feedback", ["random", "adaptive"])
def test_an_estimate_costs_what_the_run_costs(feedback: str) -> None:
    assert_estimated(
        {
            "name": "feedback",
            "task": {"name": "random", "steps": 6, "width": 2, "train": 4, "test": 2},
            "network": STACK,
            "learning": eprop(feedback),
            "machine": "digital_45nm",
            "gradient_check": {"sequences": 2},
            "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 2, "steps": 3},
        }
    )


# ---- what they refuse ----------------------------------------------------------------------------------------


def test_rflo_is_for_leaky_units() -> None:
    learner = rule({"name": "rflo"})
    for network in ("gru", {"layers": [TANH, LRU]}):
        with pytest.raises(CapabilityError, match=r"rflo is for leaky rate units.*leaky_tanh has.*`eprop`"):
            learner.check(built(network, learner, random_episode()))


@pytest.mark.parametrize("readout", [{"hidden": [4]}, {"norm": True}, {"project": 3}], ids=str)
def test_adaptive_feedback_is_for_linear_readouts(readout: dict[str, Any]) -> None:
    learner = rule(eprop("adaptive"))
    with pytest.raises(CapabilityError, match="that of layer 1 has more than one block; leave out project"):
        learner.check(built({"layers": [{"cell": CELL, "readout": readout}]}, learner, random_episode()))


def test_the_visible_part_of_a_state_gets_feedback() -> None:
    """An LSTM shows h and hides c."""
    learner: Any = rule(eprop("adaptive"))
    episode = random_episode(target="values")
    made = built({"layers": [{"cell": {"name": "lstm", "units": 3}}]}, learner, episode)
    learner.check(made)
    assert learner.to_state[made.layers[0]].shape == (3, 3)
    assert all(value.any() for value in gradient_of(made, learner, episode).values())


def test_there_are_three_kinds_of_feedback() -> None:
    with pytest.raises(ValueError, match="'symmetric', 'random' or 'adaptive'"):
        rule(eprop("none"))
