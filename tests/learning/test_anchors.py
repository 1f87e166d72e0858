"""Where anchors are opened follows from eigenvalues and precision, and is settled at reports, not inside passes."""

from __future__ import annotations

from math import inf, log, nan
from typing import Any

import numpy as np
import pytest
from conftest import built, gradient, gradient_of, machine_options, random_episode, rule

import hwsim
from hwsim import machines
from hwsim.errors import ConfigError, HwsimError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.look import Outside
from hwsim.learning.anchors import Aim, by_mode, uniform
from hwsim.machine import resume, snapshot

LAYER = {"cell": {"name": "lru", "modes": 8, "r_min": 0.36}, "readout": {"hidden": [6], "width": 4}}
THREE = {"layers": [LAYER] * 3}
AIM = Aim(1e-4, 2**-53, 1000)


def settled(learner: Any, network: Any, episode: Any, on: Any = "ideal") -> Any:
    made = built(network, learner, episode, on=on)
    look = Outside(made, lambda: built(network, learner, episode), episode.select(slice(0, 1)))
    return learner.settle(look)


def test_distances_and_ages_of_the_groups() -> None:
    """τ ln(tol/ε) and S + τ ln(1/tol), rounded to S₀ 2^k, for τ = 1, 2, 3 and without end."""
    rates = [1.0, 0.5, 1 / 3, 0.0]
    S = int(log(1e-4 * 2**53))
    groups = by_mode(rates, AIM, S)
    assert [group.every for group in groups] == [S, 2 * S, S << int(np.log2(1000 / S))]
    assert [group.wires for group in groups] == [(0, 1), (2, 3, 4, 5), (6, 7)]
    assert [group.age for group in groups] == [S + 10, 2 * S + 28, 1000]
    assert uniform(rates, AIM) == (groups[0]._replace(age=1000, wires=None),)
    assert by_mode([0.5, 0.5], AIM, S)[0].wires is None
    assert [group.every for group in by_mode(rates, AIM, S - 1)] == [S - 1, 2 * (S - 1), 32 * (S - 1)]


def test_what_follows_at_one_percent() -> None:
    """S about .2 τ and D about 4 τ (and S more)."""
    (group,) = uniform([0.01], Aim(1e-4, 0.01, 10**6))
    assert 0.2 * 100 < group.every < 0.25 * 100
    assert 4 * 100 < group.age - group.every < 4.5 * 100


def test_what_is_forgotten_within_a_step_has_an_anchor_in_each() -> None:
    assert uniform([inf, 0.1], AIM)[0].every == 1


@pytest.mark.parametrize(("kind", "close"), [("float64", 0.999999999), ("float32", 0.99999)])
@pytest.mark.parametrize("every", ["auto", "uniform"])
def test_cosines_where_the_network_forgets(kind: str, close: float, every: str) -> None:
    """0.36^250 is 1e-111, far below what numbers of either kind hold."""
    episode, learner = random_episode(steps=250, batch=2), rule({"name": "fpe_anchored", "every": every})
    on = {"like": "ideal", "name": "own", "format": kind}
    learner = settled(learner, THREE, episode, on)
    assert all(len(groups) > 1 for groups in learner.settled.values()) == (every == "auto")
    made = built(THREE, learner, episode, on=on)
    found, exact = gradient_of(made, learner, episode), gradient(THREE, "bptt", episode)
    for group in ("recurrent", "input"):
        names = [each.name for each in made.trainables if each.group == group]
        mine, theirs = (np.concatenate([each[name].ravel() for name in names]) for each in (found, exact))
        assert mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs) > close
        assert np.linalg.norm(mine - theirs) < (1e-4 if kind == "float64" else 1e-3) * np.linalg.norm(theirs)


def test_a_mode_needs_few_sums_of_its_own() -> None:
    """The anchors that wait are T ln(1/|λ|) / ln(tol/ε) per mode, up to a factor of 2 for rounding, and 1."""
    episode = random_episode(steps=250, batch=2)
    learner = settled(rule({"name": "fpe_anchored", "every": "per_mode"}), {"layers": [LAYER]}, episode)
    made = built({"layers": [LAYER]}, learner, episode)
    cell: Any = made.layers[0].cell
    rates = -np.log(np.hypot(*cell.eigenvalues.storage.value[0, 0].reshape(-1, 2).T))
    waiting = most_waiting(made, learner, episode)
    needed = 2 * np.sum(250 * rates / log(1e-4 * 2**53))
    assert needed < waiting < 2 * needed + 2 * 8


def most_waiting(made: Any, learner: Any, episode: Any) -> int:
    """The largest number of values in queues."""
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, sum(each.values for each in made.machine.memory.live.values() if each.kind == "delay lines"))

    made.machine.sequencer.after_step = look
    gradient_of(made, learner, episode)
    return most


def test_a_run_goes_on_from_a_snapshot_with_the_groups_of_its_report() -> None:
    episode = random_episode(steps=9)
    learner = rule({"name": "fpe_anchored", "every": "per_mode", "age": 4, "error": 2e-15})
    learner = settled(learner, THREE, episode)
    assert max(len(groups) for groups in learner.settled.values()) > 1
    stage, shots = machines.build(machine_options("ideal")), []
    made = built(THREE, learner, episode, stage=stage)
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found = gradient_of(made, learner, episode)
    for shot in shots:
        other = machines.build(machine_options("ideal"))
        resume(other, shot)
        again = gradient_of(built(THREE, learner, episode, stage=other), learner, episode)
        assert all(again[name].tobytes() == found[name].tobytes() for name in found)


def test_other_distances_are_another_routine() -> None:
    episode, learner = random_episode(steps=50), rule({"name": "fpe_anchored"})
    slow = {"layers": [{"cell": {"name": "lru", "modes": 2, "r_min": 0.99}}]}
    one, other = (settled(learner, network, episode) for network in ({"layers": [LAYER]}, slow))
    assert len({learner.routine, one.routine, other.routine}) == 3
    assert settled(rule({"name": "fpe_anchored", "every": 2, "age": 3}), slow, episode).settled is None


def test_weights_that_are_no_numbers_leave_anchors_where_they_were() -> None:
    episode = random_episode()
    learner = settled(rule({"name": "fpe_anchored"}), THREE, episode)
    made = built(THREE, learner, episode)
    for trainable in made.trainables:
        trainable.master.value = trainable.master.value * nan
    assert learner.settle(Outside(made, lambda: built(THREE, learner, episode), episode)) is learner


def experiment(**more: Any) -> dict[str, Any]:
    return {
        "name": "anchors",
        "task": {"name": "random", "steps": 40, "width": 2, "outputs": 3, "train": 8, "test": 4},
        "network": {"layers": [LAYER, LAYER]},
        "learning": {"name": "fpe_anchored", "every": "per_mode"},
        "machine": "digital_45nm",
        "gradient_check": {"sequences": 2},
        "training": {"optimizer": {"name": "adamw", "rate": 1e-9}, "batch": 4, "steps": 3},
        **more,
    }


@pytest.mark.parametrize("sums", ["each", "doubled"])
@pytest.mark.parametrize("every", ["per_mode", "uniform"])
@pytest.mark.parametrize("machine", ["digital_45nm", "digital_45nm_fp16"])
def test_an_estimate_costs_what_the_run_costs(every: str, machine: str, sums: str) -> None:
    data = experiment(learning={"name": "fpe_anchored", "every": every, "sums": sums}, machine=machine)
    mine, theirs = (found.summary.systems["substrate"] for found in (hwsim.run(data), estimate(data)))
    assert theirs.energy.training_step_j == pytest.approx(mine.energy.training_step_j, rel=1e-9)  # noqa: TID251
    assert theirs.memory.peak_bytes == mine.memory.peak_bytes
    assert theirs.time.training_step_s == mine.time.training_step_s


def test_what_does_not_fit_is_refused_by_name() -> None:
    dense = {"cell": {"name": "gru", "units": 3}}
    for run in (hwsim.run, estimate):
        with pytest.raises(
            HwsimError, match=r"substrate: learning.every: per_mode needs .* layer 2 is not; lru has modes"
        ):
            run(experiment(network={"layers": [LAYER, dense]}))
    with pytest.raises(ConfigError, match="every: auto, age: auto go by how fast the network forgets; call `settle`"):
        gradient(THREE, {"name": "fpe_anchored"}, random_episode())


def test_a_dense_network_gets_the_distance_of_its_fastest_direction() -> None:
    leaky = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.5}, "readout": {"hidden": [4]}}] * 3}
    episode = random_episode(steps=40)
    learner = settled(rule({"name": "fpe_anchored", "error": 1e-6}), leaky, episode)
    found, exact = gradient_of(built(leaky, learner, episode), learner, episode), gradient(leaky, "bptt", episode)
    assert all(1 < groups[0].every < 40 for groups in learner.settled.values())
    for name in exact:
        assert np.linalg.norm(found[name] - exact[name]) <= 1e-3 * np.linalg.norm(exact[name])
