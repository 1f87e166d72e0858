"""What a step holds on its wires, and what waits for other steps, against counts by hand.

One layer of five tanh units with two inputs and three classes; passes of four steps.
"""

from __future__ import annotations

from typing import Any

import pytest
from conftest import built, random_episode, rule

NETWORK = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5}, "readout": {}}]}
STEPS = 4


def held(on: dict[str, Any] | str, learner: str) -> dict[str, tuple[int, int]]:
    """Values and their bits, of wires and of waiting operands, when the passes of a gradient are over."""
    learned, episode = rule(learner), random_episode(batch=6, steps=STEPS)
    made = built(NETWORK, learned, episode, on=on)
    with made.machine.showing(episode):
        learned.gradients(made)
        live = made.machine.memory.live
        return {name: (live[name].values, live[name].bits) for name in ("wires", "operands")}


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_digital_machine_that_learns_as_it_goes(parallel: int) -> None:
    """On wires as φ is multiplied by the error: x, h, both factors and the product.

    Sums of outer products are taken of all steps at once, so x, h, tanh, the output's error and that of the drive wait.
    """
    on = {"like": "digital_45nm", "parts": {"dataflow": {"batch_parallel": parallel}}}
    assert held(on, "one_step") == {
        "wires": (parallel * (2 + 4 * 5), 32),
        "operands": (parallel * STEPS * (2 + 5 + 5 + 3 + 5), 32),
    }


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_digital_machine_that_goes_back(parallel: int) -> None:
    """As the error is summed: x, h, the state before it, the carried error, that of the readout, and the sum.

    x is kept anyway. h, the state off the tape, the output's error and that of the drive wait.
    """
    on = {"like": "digital_45nm", "parts": {"dataflow": {"batch_parallel": parallel}}}
    assert held(on, "bptt") == {
        "wires": (parallel * (2 + 5 * 5), 32),
        "operands": (parallel * STEPS * (5 + 5 + 3 + 5), 32),
    }


def test_a_crossbar_machine() -> None:
    """States are on wires of their own. What waits has been converted: x, h, tanh, and both errors."""
    assert held("pcm_crossbar", "one_step") == {
        "wires": (2 + 3 * 5, 10),
        "operands": (STEPS * (2 + 5 + 5 + 3 + 5), 32),
    }


def test_step_by_step_nothing_waits() -> None:
    on = {"like": "digital_45nm", "parts": {"dataflow": {"together": 1}}}
    learned, episode = rule("bptt"), random_episode(steps=STEPS)
    made = built(NETWORK, learned, episode, on=on)
    with made.machine.showing(episode):
        learned.gradients(made)
        assert "operands" not in made.machine.memory.live


@pytest.mark.parametrize("parallel", [1, 3])
def test_each_sequence_that_is_worked_on_has_states_and_tapes_and_all_share_weights(parallel: int) -> None:
    on = {"like": "digital_45nm", "parts": {"dataflow": {"batch_parallel": parallel}}}
    learned, episode = rule("bptt"), random_episode(batch=6, steps=STEPS)
    made = built(NETWORK, learned, episode, on=on)
    with made.machine.showing(episode):
        learned.gradients(made)
        most = {holding.name: holding.values for holding in made.machine.memory.peak_holdings()}
    assert most["layer 1 h"] == most["layer 1 carried error"] == parallel * 5
    assert most["layer 1 h tape"] == parallel * 2 * 5  # in the second step back, which shows what waits
    assert (most["input replay"], most["target replay"]) == (parallel * STEPS * 2, parallel * STEPS)
    assert (most["layer 1 W"], most["layer 1 W gradient"], most["layer 1 b"]) == (25, 25, 5)
