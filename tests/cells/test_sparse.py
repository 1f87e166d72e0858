"""A leaky tanh cell with a sparse W is the dense one whose W is zero where nothing is connected."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from conftest import SPARSE, built, close, distance, gradient, gradient_of, perturb, random_episode, rule
from equations import model
from pydantic import ValidationError

from hwsim import cells, networks
from hwsim.cells.derived import Derived
from hwsim.cells.leaky_tanh import Options
from hwsim.episode import Episode
from hwsim.machine import Signal
from hwsim.networks import Network
from hwsim.operations import tanh

DOUBLE = {"like": "digital_45nm", "format": "float64", "accumulator": "float64"}
DENSE = {
    "layers": [
        {**layer, "cell": {name: value for name, value in layer["cell"].items() if name != "fan_in"}}
        for layer in SPARSE["layers"]
    ]
}


def places(made: Network) -> dict[str, np.ndarray]:
    return {f"{layer.name} W": layer.cell.W.fetched.places[0] for layer in made.layers}


def dense(values: np.ndarray, places: np.ndarray, columns: int) -> Any:
    """Weights `(rows, fan-in)` as a matrix; autograd can take its derivative."""
    return anp.sum(values[:, :, None] * (places[:, :, None] == np.arange(columns)), 1)


def pairs(on: Any, learner: str, episode: Episode) -> tuple[Network, Network]:
    """A network with sparse matrices, and the dense one with the same weights."""
    sparse, full = (built(network, rule(learner), episode, on=on, seed=5) for network in (SPARSE, DENSE))
    perturb(sparse)
    where = places(sparse)
    for mine, theirs in zip(full.trainables, sparse.trainables, strict=True):
        values = theirs.values[0]
        if theirs.name in where:
            values = dense(values, where[theirs.name], len(values))
        mine.master.value = values.reshape(1, 1, -1).astype(mine.master.value.dtype)
    full.program()
    return sparse, full


@pytest.mark.parametrize("on", ["ideal", DOUBLE], ids=["ideal", "digital"])
@pytest.mark.parametrize("target", ["each", "values"])
def test_bptt_is_the_gradient_that_autograd_finds(on: Any, target: str) -> None:
    episode, learner = random_episode(2, target=target, loss_from=2), rule("bptt")
    made = built(SPARSE, learner, episode, on=on, seed=5)
    perturb(made)
    where = places(made)

    def loss(parameters: dict[str, Any]) -> Any:
        filled = {
            name: dense(value, where[name], len(value)) if name in where else value
            for name, value in parameters.items()
        }
        result = 0.0
        for number in range(episode.batch):
            for step, y in enumerate(model(SPARSE["layers"], filled, episode.inputs[number])):
                if step < episode.loss_from:
                    continue
                if episode.values is not None:
                    result = result + 0.5 * anp.sum((y - episode.values[number, step]) ** 2)
                else:
                    assert episode.labels is not None
                    result = result + anp.log(anp.sum(anp.exp(y))) - y[episode.labels[number, step]]
        return result

    expected = grad(loss)({each.name: each.values[0].copy() for each in made.trainables})
    found = gradient_of(made, learner, episode)
    assert distance({name: value[0] for name, value in found.items()}, expected) < 1e-12


@pytest.mark.parametrize("on", ["ideal", DOUBLE], ids=["ideal", "digital"])
@pytest.mark.parametrize(
    "learner", ["bptt", "bptt checkpoints", "fpe", "fpe seed", "fpe two_minus", "one_step", "spatial"]
)
def test_every_rule_finds_the_gradient_of_the_dense_cell_at_the_connections(learner: str, on: Any) -> None:
    episode = random_episode(3)
    made, full = pairs(on, learner, episode)
    found, expected = (gradient_of(each, rule(learner), episode) for each in (made, full))
    for name, where in places(made).items():
        expected[name] = np.take_along_axis(expected[name], where[None], 2)
    for name, value in found.items():
        bound = 1e-10 if learner == "fpe seed" else 1e-12  # a trial run multiplies rounding by inverse Jacobians
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=bound * np.abs(expected[name]).max())


@pytest.mark.parametrize("learner", ["fpe", "fpe seed"])
def test_forward_propagation_is_exact(learner: str) -> None:
    episode = random_episode(1)
    assert distance(gradient(SPARSE, learner, episode), gradient(SPARSE, "bptt", episode)) < 1e-9


class Own(Derived):
    """h' = tanh(W h + U x + b) with a sparse W, from its step alone."""

    def __init__(self, like: Any, inputs: int) -> None:
        super().__init__(like.machine, like.name)
        self.width = like.width
        self.keep(like.W, like.U, like.b)
        self.W, self.U, self.b = like.W, like.U, like.b

    def next(self, h: Signal, x: Signal) -> Signal:
        return tanh(self.W @ h + self.U @ x + self.b)


@pytest.mark.parametrize("learner", ["bptt", "fpe", "one_step"])
def test_a_cell_of_ones_own_with_a_sparse_matrix_writes_its_step_only(learner: str) -> None:
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "fan_in": 2}}]}
    episode, learned = random_episode(4), rule(learner)
    by_hand, derived = (built(network, learned, episode) for _ in range(2))
    derived.layers[0].cell = Own(derived.layers[0].cell, episode.width)
    expected = gradient_of(by_hand, learned, episode)
    assert distance(gradient_of(derived, learned, episode), expected) < 1e-10


def test_what_a_unit_keeps_of_its_state_counts_its_connection_to_itself() -> None:
    """Of the cell written by hand, and of the derived one: 0.3 tanh' times a diagonal with zeros in it, and 0.7."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "fan_in": 2}}]}
    episode, learned = random_episode(4, batch=1, steps=1), rule("one_step")
    made, seen = built(network, learned, episode), []
    hand = made.layers[0].cell
    made.machine.watchers["own"] = lambda *values: seen.extend(value[0, 0].copy() for value in values)
    with made.machine.showing(episode), made.machine.workspace() as workspace:
        register = workspace.register("h", 6)
        register.value = np.linspace(-0.5, 0.5, 6).reshape(1, 1, 6)
        for step in made.machine.forward_pass("once"):
            h = register.load()
            rows = [cell.own_decay(cell.step(h, step.input)[1])[0][0] for cell in (hand, Own(hand, 2))]
            made.machine.probe("own", *rows, hand.step(h, step.input)[0])
    full = dense(hand.W.trainable.values[0], places(made)["layer 1 W"], 6)
    assert 0 < np.count_nonzero(full.diagonal()) < 6
    for row in seen[:2]:
        np.testing.assert_allclose(row, (1 - seen[2] ** 2) * full.diagonal(), atol=1e-14)


def test_sensitivities_to_a_sparse_matrix_are_those_of_its_connections() -> None:
    """In a stack, and in a cell that says its step only."""
    episode = random_episode()
    exact, found = gradient(SPARSE, "bptt", episode), gradient(SPARSE, "rtrl", episode)
    assert distance(found, exact, [name for name in exact if name.startswith("layer 2")]) < 1e-12
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "fan_in": 2}}]}
    made = built(network, rule("rtrl"), episode)
    made.layers[0].cell = Own(made.layers[0].cell, episode.width)
    assert distance(gradient_of(made, rule("rtrl"), episode), gradient(network, "bptt", episode)) < 1e-12


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fan_in": 0}, "greater than or equal to 1"),
        ({"fan_in": 7}, "fan_in: 7 connections per unit, but there are 6 units"),
        ({"fan_in": 3, "recurrence": "orthogonal"}, "a sparse W starts with normal weights"),
    ],
)
def test_bad_options_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options.model_validate({"name": "leaky_tanh", "units": 6, **changed})


def test_its_size_is_known_before_it_is_built() -> None:
    options, episode = networks.Options.model_validate(SPARSE), random_episode()
    made = built(SPARSE, rule("bptt"), episode)
    assert networks.parameters(options, 2, 3) == sum(each.values[0].size for each in made.trainables)
    assert cells.size(options.layers[0].cell, 2).parameters == 6 * (2 + 2 + 1)


def test_initial_weights_keep_the_spectral_radius_of_dense_ones() -> None:
    """Of 300 units the radius of the gain, within a tenth (Wood, Annals of Applied Probability 22, 2012)."""
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 300, "fan_in": 20, "gain": 0.8}}]}
    made = built(network, rule("bptt"), random_episode())
    full = dense(made.layers[0].cell.W.trainable.values[0], places(made)["layer 1 W"], 300)
    assert np.abs(np.linalg.eigvals(full)).max() == close(0.8, rel=0.1)
