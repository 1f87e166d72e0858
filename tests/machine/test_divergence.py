"""Where learning first left the range of numbers is told by pass, step, storage, wire and chips."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import machine_options

from hwsim import machines
from hwsim.accounts.memory import LEARNING, STATE
from hwsim.episode import Episode
from hwsim.machine import Divergence

CHIPS, BATCH, WIRES, STEPS = 4, 3, 7, 5


def found(kind: str, lost: list[tuple[int, int, int, int]], value: float = np.nan) -> Divergence | None:
    """What is told of a register in which numbers are lost: at a step, of a chip, of a sequence, on a wire."""
    stage = machines.build(machine_options("ideal"), chips=CHIPS)
    episode = Episode(np.zeros((BATCH, STEPS, 1)), values=np.zeros((BATCH, STEPS, 1)))
    with np.errstate(over="ignore"), stage.showing(episode), stage.workspace() as workspace:  # as runs do
        given, kept = workspace.register("given", WIRES, STATE), workspace.register("kept", WIRES, kind)
        for step in stage.forward_pass("pass"):
            values = np.zeros((CHIPS, BATCH, WIRES))
            for _, *place in (each for each in lost if each[0] == step.index):
                values[tuple(place)] = value
            given.value = values
            kept.store(given.load())
    return stage.holdings.divergence


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_wire_that_is_lost_and_all_chips_that_lost_one(value: float) -> None:
    assert found(LEARNING, [(2, 1, 2, 4), (2, 3, 0, 5), (3, 0, 0, 0)], value) == Divergence(
        "pass", 2, "kept", 4, (1, 3)
    )


def test_numbers_are_not_lost() -> None:
    assert found(LEARNING, [(2, 1, 2, 4)], 1e300) is None


def test_states_may_be_what_they_are() -> None:
    assert found(STATE, [(2, 1, 2, 4)]) is None
