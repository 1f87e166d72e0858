"""Reversible BPTT: states are reconstructed to the last bit, and what it holds for that is a few bits per step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import built, close, distance, gradient_of, machine_options, perturb, random_episode, rule

import hwsim
from hwsim import machines
from hwsim.accounts.memory import TAPE
from hwsim.config import experiment as config
from hwsim.errors import CapabilityError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.footprint import footprint
from hwsim.machine import Shapes, resume, snapshot
from hwsim.networks import Network

REVERSIBLE, BPTT = {"name": "reversible"}, {"name": "bptt"}
LOOP = "pcm_crossbar_in_the_loop"
FIXED = {"like": "digital_45nm", "format": "fixed<26,20>"}


def network(forgets: int | None = 3, units: int = 3, layers: int = 3, **more: Any) -> dict[str, Any]:
    cell = {"name": "rev_gru", "units": units, "forgets": forgets, **more.pop("cell", {})}
    return {"layers": [{"cell": cell, "readout": {"hidden": [5]}}] * layers, **more}


def moved(options: Any, learner: Any, episode: Any, **kinds: Any) -> Network:
    """A network whose gates are not alike, ready for a rule."""
    made = built(options, rule(learner), episode, **kinds)
    perturb(made)
    return made


def both(options: Any, episode: Any, **kinds: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The gradients of reversible BPTT and of BPTT."""
    of_both = (gradient_of(moved(options, each, episode, **kinds), rule(each), episode) for each in (REVERSIBLE, BPTT))
    first, second = of_both
    return first, second


# ---- exactness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forgets", [1, 3, 10])
@pytest.mark.parametrize(
    "kinds", [{}, {"loss_from": 4}, {"target": "one", "loss_from": 6}, {"target": "values"}], ids=str
)
def test_the_gradient_is_that_of_bptt(forgets: int, kinds: dict[str, Any]) -> None:
    mine, other = both(network(forgets), random_episode(1, **kinds))
    assert distance(mine, other) < 1e-12


@pytest.mark.parametrize(("on", "fraction", "off"), [("digital_45nm", 23, 1e-5), (FIXED, 20, 1e-3)])
def test_so_it_is_in_limited_precision(on: Any, fraction: int, off: float) -> None:
    """Sums over steps are rounded in the same order, so differences are those of rounding within a step."""
    mine, other = both(network(cell={"fraction": fraction}), random_episode(1), on=on)
    assert distance(mine, other) < off


@pytest.mark.parametrize("pooling", ["last", "cumulative_mean"])
def test_pooling_is_no_obstacle(pooling: str) -> None:
    episode = random_episode(1).at_ends() if pooling == "last" else random_episode(1)
    mine, other = both(network(pooling=pooling), episode)
    assert distance(mine, other) < 1e-12


def test_sequences_of_different_length_and_several_chips() -> None:
    mask = np.arange(7) < np.array([[7], [4], [6]])
    mine, other = both(network(), random_episode(1, mask=mask), chips=2)
    assert distance(mine, other) < 1e-12


def test_windows_that_go_on_from_one_another() -> None:
    first = replace(random_episode(1), lanes=3)
    second = replace(random_episode(2), lanes=3, continues=True)
    found = []
    for learner in (REVERSIBLE, BPTT):
        made = moved(network(), learner, first)
        gradient_of(made, rule(learner), first)
        found.append(gradient_of(made, rule(learner), second))
    assert distance(*found) < 1e-12


@pytest.mark.parametrize("on", ["ideal", "digital_45nm"])
@pytest.mark.parametrize("forgets", [1, 5])
def test_a_thousand_states_are_reconstructed_to_the_last_bit(forgets: int, on: str) -> None:
    """The registers of the state hold in the backward pass what they held in the forward pass, in reverse order."""
    episode = random_episode(2, batch=2, steps=1000, loss_from=999)
    made = moved(network(forgets, units=4, layers=1), REVERSIBLE, episode, on=on)
    seen: list[bytes] = [made.machine.numerics.zeros((1, 2, 8), made.machine.dtype).tobytes()]
    distinct = set()

    def look() -> None:
        value = made.machine.storages["layer 1 h"].value
        seen.append(value.tobytes())
        distinct.update(np.abs(value).ravel().tolist())

    made.machine.sequencer.after_step = look
    gradient_of(made, rule(REVERSIBLE), episode)
    forward, backward = seen[:1001], seen[1001:]
    assert backward == forward[-2::-1]
    assert len(distinct) > 1000  # not because it stood still


def test_without_the_lost_bits_states_are_not_reconstructed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bits matter: with zeros in their place, the start of the sequence is missed."""
    from hwsim.cells.rev_gru import RevGRU

    def nothing(self: Any, at: Any) -> Any:
        return 0.0 * at.h

    found = {}
    for name in ("kept", "lost"):
        if name == "lost":
            monkeypatch.setattr(RevGRU, "forgotten", nothing)
        episode = random_episode(2, steps=40)
        made = moved(network(layers=1), REVERSIBLE, episode)
        made.machine.watchers["layer 1 start"] = lambda x, y, name=name: found.update({name: np.abs(x - y).max()})
        gradient_of(made, rule(REVERSIBLE), episode)
    assert found["kept"] == 0 < found["lost"]


# ---- what it holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forgets", [1, 3, 5])
@pytest.mark.parametrize("steps", [7, 40])
def test_it_holds_one_state_and_a_few_bits_per_unit_and_step(forgets: int, steps: int) -> None:
    episode = random_episode(1, steps=steps)
    made = moved(network(forgets, units=3, layers=2), REVERSIBLE, episode, on="digital_45nm")
    memory, most = made.machine.memory, dict[str, int]()

    def look() -> None:
        of: dict[str, int] = {}
        for holding in memory.live.values():
            of[holding.kind] = of.get(holding.kind, 0) + holding.total_bits
        for kind, bits in of.items():
            most[kind] = max(most.get(kind, 0), bits)

    made.machine.sequencer.after_step = look
    gradient_of(made, rule(REVERSIBLE), episode)
    assert most["tape"] == steps * 12 * forgets
    assert most["state"] == 12 * 32
    assert most["learning state"] == 12 * 32  # errors that are carried back
    assert most["input replay"] == steps * 2 * 32
    assert not [holding for holding in memory.live.values() if holding.kind == TAPE]


# ---- on machines -------------------------------------------------------------------------------------------------


def experiment(on: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "reversible",
        "task": {"name": "random", "steps": 30, "width": 2, "outputs": 3, "train": 6, "test": 3},
        "network": network(layers=2),
        "learning": REVERSIBLE,
        "machine": on,
        "chips": 2,
        "training": {"optimizer": {"name": "adamax", "rate": 0.01}, "batch": 2, "steps": 4, "test_every": 2},
        "gradient_check": {"sequences": 2},
        **more,
    }


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", LOOP])
def test_an_estimate_is_what_a_run_charges(on: str) -> None:
    data = config.load(experiment(on))
    real, found = hwsim.run(data).costs[0], estimate(data).costs[0]
    assert found.memory() == real.memory()
    assert found.time() == real.time()
    if on == "digital_45nm":  # where energy depends on no value
        energy = real.energy()
        assert found.energy()["training_step_j"] == close(energy["training_step_j"], rel=1e-12)
    assert footprint(data).peak.size > 0


def test_a_run_says_whether_the_start_was_reached() -> None:
    for on, good in (("digital_45nm", True), (LOOP, False)):
        system = hwsim.run(experiment(on)).summary.systems["substrate"]
        (said,) = (each for each in system.diagnostics if each.name == "start_error")
        assert said.good is good
        assert (set(said.value.values()) == {0.0}) is good


def test_equal_steps_are_leapt_over() -> None:
    carried_out = []
    for steps in (100, 10**5):
        stage = machines.build(machine_options("digital_45nm"), numerics=Shapes())
        episode, learner = random_episode(steps=steps, loss_from=50).outline(), rule(REVERSIBLE)
        made = built(network(), learner, episode, stage=stage)
        done: list[int] = []
        stage.sequencer.after_step = lambda done=done: done.append(1)
        with stage.showing(episode):
            learner.gradients(made)
        carried_out.append(len(done))
    assert carried_out[0] == carried_out[1] < 100


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", LOOP])
def test_captured_steps_make_no_difference(on: str) -> None:
    learner, found = rule(REVERSIBLE), []
    for routine in (None, learner.routine):
        made = moved(network(), learner=REVERSIBLE, episode=random_episode(0, steps=20), on=on)
        of_each = []
        for seed in range(3):
            episode = random_episode(seed, steps=20)
            with made.machine.showing(episode, *([] if routine is None else [routine])):
                learner.gradients(made)
            of_each.append({each.name: each.gradient.value.tobytes() for each in made.trainables})
        found.append((of_each, made.machine.journal.collect().batches))
    assert found[0] == found[1]


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", LOOP])
def test_a_strict_machine_finds_the_same(on: str) -> None:
    """Values of past steps are NaN there, and every result has the shape that was declared."""
    episode, found = random_episode(3, steps=9), []
    for strict in (False, True):
        made = moved(network(), REVERSIBLE, episode, on=on, strict=strict)
        found.append(gradient_of(made, rule(REVERSIBLE), episode))
    assert all(found[0][name].tobytes() == found[1][name].tobytes() for name in found[0])


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", LOOP])
def test_it_goes_on_from_what_the_ledger_lists(on: str) -> None:
    episode, shots = random_episode(4, steps=6), []
    first = moved(network(), REVERSIBLE, episode, on=on)
    first.machine.sequencer.after_step = lambda: shots.append(snapshot(first.machine))
    expected = gradient_of(first, rule(REVERSIBLE), episode)
    for shot in shots[3], shots[5], shots[8]:
        stage = machines.build(machine_options(on))
        resume(stage, shot)
        again = built(network(), rule(REVERSIBLE), episode, stage=stage)
        found = gradient_of(again, rule(REVERSIBLE), episode)
        assert all(found[name].tobytes() == expected[name].tobytes() for name in found)


# ---- what it takes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", [{"name": "lru", "modes": 3}, {"name": "gru", "units": 4}, {"name": "rev_gru", "units": 2}], ids=str
)
def test_other_cells_are_refused_by_name(cell: dict[str, Any]) -> None:
    episode = random_episode()
    made = built({"layers": [{"cell": cell}]}, rule(REVERSIBLE), episode)
    with pytest.raises(CapabilityError, match=r"layer 1: `reversible` takes cells .*: rev_gru, with `forgets`"):
        rule(REVERSIBLE).check(made)


@pytest.mark.parametrize("on", ["digital_45nm_fp16", FIXED], ids=str)
def test_a_format_that_is_too_coarse_for_the_state_is_refused(on: Any) -> None:
    made = built(network(), rule(REVERSIBLE), random_episode(), on=on)
    with pytest.raises(CapabilityError, match="layer 1: `reversible` needs numbers that hold the 23 fraction bits"):
        rule(REVERSIBLE).check(made)
    fine = built(network(cell={"fraction": 10}), rule(REVERSIBLE), random_episode(), on=on)
    rule(REVERSIBLE).check(fine)


def test_a_chip_without_tape_is_refused() -> None:
    made = built(network(), rule(REVERSIBLE), random_episode(), on="pcm_crossbar")
    with pytest.raises(CapabilityError, match="reversible backpropagation through time needs past values"):
        rule(REVERSIBLE).check(made)


# ---- the cell under other rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("forgets", [None, 4])
@pytest.mark.parametrize(
    "learner", [{"name": "bptt", "checkpoints": 3}, {"name": "bptt", "recall": "input"}, {"name": "fpe"}], ids=str
)
def test_exact_rules_find_the_gradient_of_bptt(learner: dict[str, Any], forgets: int | None) -> None:
    """Of FPE within its horizon."""
    episode = random_episode(5, steps=5)
    exact = gradient_of(moved(network(forgets, 4, 2), BPTT, episode), rule(BPTT), episode)
    found = gradient_of(moved(network(forgets, 4, 2), learner, episode), rule(learner), episode)
    assert distance(found, exact) < 1e-9


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar", LOOP])
@pytest.mark.parametrize("learner", ["fpe", "one_step", "spatial"])
def test_other_rules_run_on_every_machine(learner: str, on: str) -> None:
    episode = random_episode(5, steps=4)
    found = gradient_of(moved(network(4, layers=2), {"name": learner}, episode, on=on, chips=2), rule(learner), episode)
    assert all(np.isfinite(value).all() for value in found.values())
    assert any(np.abs(value).max() > 0 for value in found.values())


def test_a_state_in_fixed_point_is_close_to_the_one_in_real_numbers() -> None:
    """But for gates of ten bits, and for their lower bound, which ten bits put below all that occurs here."""
    episode, seen = random_episode(6, steps=20), {}
    for forgets in (None, 10):
        made = moved(network(forgets, layers=1), BPTT, episode)
        made.machine.watchers["output"] = lambda y, forgets=forgets: seen.setdefault(forgets, []).append(y.copy())
        with made.machine.showing(episode):
            made.infer()
    off = np.abs(np.array(seen[None]) - np.array(seen[10])).max()
    assert 0 < off < 0.01 * np.abs(np.array(seen[None])).max()
