"""Gated cells, which write their step only: every rule that is defined for them, on every kind of machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import RULES, assert_estimated, built, distance, gradient, gradient_of, random_episode, rule

import hwsim
from hwsim.errors import CapabilityError

MACHINES = ["ideal", "digital_45nm", "ideal_crossbar", "pcm_crossbar", "pcm_crossbar_in_the_loop"]
EXPERIMENT: dict[str, Any] = {
    "name": "gated",
    "task": {"name": "random", "steps": 6, "width": 2, "train": 4, "test": 2},
    "gradient_check": {"sequences": 2},
    "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 2, "steps": 2},
}


def network(cell: str, units: int = 4, layers: int = 1) -> dict[str, Any]:
    return {"layers": [{"cell": {"name": cell, "units": units}, "readout": {"hidden": [5]}}] * layers}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("learner", ["bptt checkpoints", "bptt"])
def test_bptt_in_segments_is_bptt(cell: str, learner: str) -> None:
    episode = random_episode(3, steps=6)
    whole = gradient(network(cell, layers=2), {"name": "bptt", "recall": "input"}, episode)
    assert distance(gradient(network(cell, layers=2), learner, episode), whole) < 1e-12


def test_errors_run_forward_through_gru_exactly() -> None:
    """Within the horizon: ten steps in double precision, or seven if the trial run of the recursion counts."""
    for learner, steps in (("fpe", 10), ("fpe seed", 7)):
        episode = random_episode(1, steps=steps)
        expected = gradient(network("gru", 6, layers=2), "bptt", episode)
        assert distance(gradient(network("gru", 6, layers=2), learner, episode), expected) < 1e-9


def test_errors_run_forward_through_lstm_for_two_steps_by_the_jacobian_of_h_and_c() -> None:
    episode = random_episode(1, steps=2)
    expected = gradient(network("lstm", 8), "bptt", episode)
    made = built(network("lstm", 8), rule("fpe"), episode)
    assert distance(gradient_of(made, rule("fpe"), episode), expected) < 1e-9
    solved = {record.size for trace in made.machine.journal.traces for record in trace if record.kind == "solve"}
    assert solved == {(16, 16)}


def test_the_horizon_says_that_errors_run_forward_through_lstm_for_a_few_steps_only() -> None:
    """Its output forgets the state before it but for one product, so the Jacobian is close to singular."""
    data = {**EXPERIMENT, "network": network("lstm", 8), "learning": {"name": "fpe"}, "machine": "ideal"}
    data["task"] = {**EXPERIMENT["task"], "steps": 40}
    system = hwsim.run(data).summary.systems["substrate"]
    assert system.horizon is not None
    assert 1 < system.horizon.fresh_steps < 20
    assert not system.horizon.fits


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("on", MACHINES)
def test_every_rule_that_fits_runs_and_finds_a_gradient(on: str, cell: str) -> None:
    episode, ran = random_episode(2, steps=4), set()
    for name in RULES:
        learner = rule(name)
        made = built(network(cell), learner, episode, on=on, chips=2)
        try:
            learner.check(made)
        except CapabilityError:
            continue
        found = gradient_of(made, learner, episode)
        assert all(np.isfinite(value).all() for value in found.values())
        assert any(np.abs(value).max() > 0 for value in found.values())
        ran.add(name)
    assert {"fpe", "rtrl", "one_step", "spatial"} <= ran
    assert ("bptt" in ran) == (on not in ("ideal_crossbar", "pcm_crossbar"))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("learner", [{"name": "bptt"}, {"name": "fpe"}, {"name": "rtrl"}])
def test_an_estimate_costs_what_the_run_costs(cell: str, learner: dict[str, str]) -> None:
    assert_estimated({**EXPERIMENT, "network": network(cell), "learning": learner, "machine": "digital_45nm"})


def test_recurrent_parameters_are_left_out_where_a_rule_says_so() -> None:
    found = gradient(network("gru"), "spatial", random_episode(2))
    assert not found["layer 1 W"].any()
    assert found["layer 1 U"].any()
    assert found["layer 1 b"].any()


def test_the_readout_sees_h_and_not_c() -> None:
    episode = random_episode(2)
    made = built(network("lstm", 3), rule("bptt"), episode)
    gradient_of(made, rule("bptt"), episode)
    first = made.layers[0].readout.blocks[1]
    assert first.W.shape == (5, 3)  # type: ignore[attr-defined]
    assert made.layers[0].cell.width == 6
