"""Doubled sums of anchored forward propagation: the sums of open anchors, with less work and fewer noisy products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, distance, gradient, gradient_of, random_episode, rule
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import machines
from hwsim.errors import ConfigError
from hwsim.learning.anchors import Group
from hwsim.machine import resume, snapshot

LAYER: dict[str, Any] = {"cell": {"name": "lru", "modes": 5, "r_min": 0.36}, "readout": {"hidden": [4], "width": 3}}
STACK = {"layers": [LAYER, LAYER], "pooling": "cumulative_mean"}


def anchored(sums: str = "doubled", **options: Any) -> dict[str, Any]:
    return {"name": "fpe_anchored", "sums": sums, **options}


@given(
    steps=st.integers(1, 70),
    every=st.integers(1, 6),
    age=st.one_of(st.integers(1, 40), st.just("all")),
    loss_from=st.integers(0, 69),
    carry=st.sampled_from(["delta", "gamma_delta"]),
)
@settings(max_examples=60, deadline=None)
def test_the_gradient_is_that_of_open_anchors(steps: int, every: int, age: Any, loss_from: int, carry: str) -> None:
    episode = random_episode(steps=steps, loss_from=min(loss_from, steps - 1))
    blocks = -(-(steps if age == "all" else min(age, steps)) // every)
    whole = every << (blocks - 1).bit_length()
    found = gradient(STACK, anchored(every=every, age=age, carry=carry), episode)
    wanted = gradient(STACK, anchored("each", every=every, age=whole, carry=carry), episode)
    active = [name for name in wanted if np.any(wanted[name])]
    assert distance(found, wanted, active) < 1e-9


def test_groups_of_modes_are_joined_apart() -> None:
    """Fast modes have anchors in each second step here, slow ones in each fourth, and each group its own windows."""
    episode, groups = random_episode(steps=45), (Group(2, 16, (0, 1, 4, 5)), Group(4, 16, (2, 3, 6, 7, 8, 9)))
    found = {}
    for sums in ("each", "doubled"):
        learner: Any = rule(anchored(sums, every="per_mode"))
        learner.settled = {f"layer {number}": groups for number in (1, 2)}
        found[sums] = gradient_of(built(STACK, learner, episode), learner, episode)
    assert distance(found["doubled"], found["each"]) < 1e-9


@pytest.mark.parametrize(("age", "becomes"), [(1, 3), (3, 3), (4, 6), (7, 12), (12, 12), (13, 24), ("all", 48)])
def test_an_age_is_rounded_up_to_a_power_of_two(age: Any, becomes: int) -> None:
    learner, episode = rule(anchored(every=3, age=age)), random_episode(steps=40)
    made = built(STACK, learner, episode)
    with made.machine.sequencer.showing(episode):
        assert learner.groups(made.layers[0]) == (Group(3, becomes),)  # type: ignore[attr-defined]


def test_a_run_goes_on_from_a_snapshot_of_any_step() -> None:
    learned, episode = rule(anchored(every=2, age=8)), random_episode(steps=13)
    stage = machines.build(machines.MACHINES["ideal"].Options(kind="ideal", name="ideal"))
    made, shots = built(STACK, learned, episode, stage=stage), []
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found = gradient_of(made, learned, episode)
    for shot in shots:
        other = machines.build(machines.MACHINES["ideal"].Options(kind="ideal", name="ideal"))
        resume(other, shot)
        again = gradient_of(built(STACK, learned, episode, stage=other), learned, episode)
        assert all(again[name].tobytes() == found[name].tobytes() for name in found)


def test_cells_without_modes_are_refused() -> None:
    learner = rule(anchored(every=2))
    with pytest.raises(ConfigError, match=r"learning.sums: doubled needs .* layer 1 is not; lru has modes"):
        learner.check(built("tanh", learner, random_episode()))


@pytest.mark.parametrize("levels", [0, 1, 2, 3, 4, 5])
def test_work_grows_with_the_logarithm_of_the_age(levels: int) -> None:
    """K blocks take K - 2^j sums at level j, and as many products at all levels but the first, beside one per step."""
    steps, every = 98, 2
    sums, blocks = products("doubled", every << levels), steps // every
    joins = sum(blocks - 2**level for level in range(levels)) + sum(blocks - 2**level for level in range(1, levels))
    assert sums == steps + joins
    assert (
        products("each", every << levels) >= 0.8 * (steps - 2**levels) * 2**levels
    )  # an open anchor each, but at ends


def products(sums: str, age: int) -> float:
    """How many complex products each sequence takes in warm-ups of one layer, with four modes."""
    data = {
        "name": "count",
        "task": {"name": "random", "steps": 98, "width": 1, "outputs": 3, "train": 2, "test": 2},
        "network": {"layers": [{"cell": {"name": "lru", "modes": 4}}]},
        "learning": anchored(sums, every=2, age=age),
        "machine": "digital_45nm",
        "training": {"optimizer": {"name": "sgd", "rate": 1e-9}, "batch": 2, "steps": 1},
        "test": False,
    }
    energy = hwsim.run(data).energy
    one = energy[(energy["part"] == "step") & (energy["purpose"] == "warm-up")]
    multiplied = one[(one["operation"] == "complex multiply") & one["constant"].str.endswith("float32.multiply")]
    return float(multiplied["count"].sum()) / (2 * 4 * 4)  # two sequences, four modes, four real products each
