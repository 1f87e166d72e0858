"""Backpropagation through time with checkpoints: the same gradient, a tape of fewer than 2√T states, one more pass."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, sqrt
from typing import Any

import numpy as np
import pytest
from conftest import NETWORKS, built, gradient, gradient_of, random_episode, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import networks
from hwsim.accounts.memory import TAPE
from hwsim.errors import CausalityError
from hwsim.experiments import gradient_check
from hwsim.machine import Machine
from hwsim.machines.chip import Chip
from hwsim.units.register import Hold

SQRT = {"name": "bptt", "checkpoints": "sqrt"}
SOME = settings(max_examples=25, deadline=None, derandomize=True)


def shown(steps: int, checkpoints: Any, network: str = "lru stack", on: Any = "ideal", **kinds: Any) -> Machine:
    """The machine after one gradient, with the history of its memory."""
    episode, learned = random_episode(steps=steps, **kinds), rule({"name": "bptt", "checkpoints": checkpoints})
    made = built(network, learned, episode, on=on)
    made.machine.memory.history = []
    gradient_of(made, learned, episode)
    return made.machine


def taped(stage: Machine) -> list[int]:
    """Values on all tapes after each change."""
    assert stage.memory.history is not None
    held = np.cumsum([change.values for change in stage.memory.history if change.kind == TAPE])
    return [int(values) for values in held]


def closed_form(steps: int, distance: int) -> int:
    """States on tapes at most, written down by segment: those before it that are waiting, and its own."""
    count = ceil(steps / distance)
    length = [min(distance, steps - number * distance) for number in range(count)]
    waiting = [max(min(number, count - 1) - 1, 0) for number in range(count)]
    return max(before + own for before, own in zip(waiting, length, strict=True))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("on", ["ideal", "digital_45nm"])
@pytest.mark.parametrize("target", ["each", "one", "values"])
def test_the_gradient_is_that_of_plain_backpropagation_to_the_last_bit(network: str, on: str, target: str) -> None:
    for steps, loss_from in ((7, 0), (10, 9 if target == "one" else 4)):
        episode = random_episode(steps=steps, target=target, loss_from=loss_from)
        plain = gradient(network, "bptt", episode, on=on)
        for checkpoints in ("sqrt", 1, 4, steps - 1, steps, 99):
            other = gradient(network, {"name": "bptt", "checkpoints": checkpoints}, episode, on=on, strict=True)
            for name in plain:
                assert other[name].tobytes() == plain[name].tobytes(), (name, checkpoints)


def test_the_points_of_the_derivatives_may_be_found_by_carrying_steps_out_again() -> None:
    episode = random_episode(steps=11)
    plain = gradient("lru stack", {"name": "bptt", "recall": "input"}, episode)
    other = gradient("lru stack", {**SQRT, "recall": "input"}, episode)
    assert all(other[name].tobytes() == plain[name].tobytes() for name in plain)


@SOME
@given(st.integers(1, 40), st.sampled_from(["sqrt", 1, 2, 3, 7, 50]))
def test_the_ledger_has_as_many_states_as_the_closed_form_says(steps: int, checkpoints: Any) -> None:
    distance = ceil(sqrt(steps)) if checkpoints == "sqrt" else checkpoints
    states = 2 * 8 + 3  # two layers of four complex modes, and the mean of the outputs
    stage = shown(steps, checkpoints)
    assert max(taped(stage)) == states * closed_form(steps, distance)
    assert taped(stage)[-1] == 0
    assert rule({"name": "bptt", "checkpoints": checkpoints}).recorded(steps) == closed_form(steps, distance)


@pytest.mark.parametrize("root", [2, 5, 30])
def test_of_a_square_number_of_steps_two_roots_less_two_are_held(root: int) -> None:
    assert max(taped(shown(root**2, "sqrt", "lru"))) == 8 * (2 * root - 2)


@given(st.integers(1, 10**9))
def test_the_square_root_is_the_best_distance_up_to_rounding(steps: int) -> None:
    held = rule(SQRT).recorded(min(steps, 5000))
    assert held <= 2 * sqrt(min(steps, 5000))
    if steps <= 300:
        best = min(closed_form(steps, distance) for distance in range(1, steps + 1))
        assert held <= best + 2


@pytest.mark.parametrize(("steps", "checkpoints"), [(12, "none"), (12, "sqrt"), (13, "sqrt"), (10, 3), (3, 5), (1, 1)])
def test_the_forward_passes_are_one_more_but_for_the_last_segment(steps: int, checkpoints: Any) -> None:
    stage = shown(steps, checkpoints)
    distance = {"none": steps, "sqrt": ceil(sqrt(steps))}.get(checkpoints, checkpoints)
    last = steps - distance * (ceil(steps / distance) - 1)
    done = {"advance": 0, "forward": 0, "backward": 0}
    assert stage.journal.latest is not None
    for sweep in stage.journal.latest.sweeps:
        if sweep.name in done:
            done[sweep.name] += sum(count for _, count in sweep.runs)
    assert done == {"advance": steps - last, "forward": steps, "backward": steps}


def test_the_peak_of_memory_falls_by_the_tape_alone() -> None:
    """The peak is in a backward step, whose buffers come on top when it has taken a state off the tape."""
    at_once = {"like": "digital_45nm", "parts": {"dataflow": {"together": 1}}}  # no operands wait
    plain, sparing = (shown(400, checkpoints, on=at_once) for checkpoints in ("none", "sqrt"))
    word = (2 * 8 + 3) * 32
    assert max(taped(plain)) * 32 == 400 * word
    assert max(taped(sparing)) * 32 == 38 * word
    peaks = [stage.memory.peak_by_class() for stage in (plain, sparing)]
    assert [peak.pop(TAPE) for peak in peaks] == [399 * word, 37 * word]
    assert peaks[0] == peaks[1]


@pytest.mark.parametrize("attached", ["memory", "host"])
def test_a_chip_with_a_memory_attached_learns_from_segments(attached: str) -> None:
    """Without noise and leaks, in fine steps, the chip's gradient is that of one long tape."""
    clean = {"like": "ideal_crossbar", "attached": attached}
    episode = random_episode(steps=10)
    plain = gradient("lru stack", "bptt", episode, on=clean, chips=2)
    other = gradient("lru stack", {"name": "bptt", "checkpoints": 3}, episode, on=clean, chips=2)
    for name in plain:
        np.testing.assert_allclose(other[name], plain[name], rtol=0, atol=1e-3 * np.abs(plain[name]).max())


def test_what_a_host_keeps_between_segments_does_not_leak_on_the_chip() -> None:
    """The carried errors are numbers on the host while the chip, whose registers leak, runs the segment before."""
    retention = {"value": "1 us", "assumed": "short, to be seen"}
    leaky = {"like": "ideal_crossbar", "attached": "host", "parts": {"registers": {"retention": retention}}}
    episode, learned = random_episode(steps=10), rule({"name": "bptt", "checkpoints": 3})
    made = built("lru", learned, episode, on=leaky)
    assert isinstance(made.machine, Chip)
    made.machine.holds = {name: Hold(1e-6, {}) for name in ("advance", "forward", "backward")}
    carried: list[tuple[bool, bytes]] = []

    def look() -> None:
        register = made.machine.storages.get("layer 1 carried error")
        if register is not None:
            carried.append((made.machine.sequencer.presenter.backward, register.value.tobytes()))

    made.machine.sequencer.after_step = look
    gradient_of(made, learned, episode)
    assert [back for back, _ in carried] == [True] + 3 * ([False] * 3 + [True] * 3)
    for (_, before), (back, after) in pairwise(carried):
        assert (before == after) is not back
    units = {record.unit for trace in made.machine.journal.traces for record in trace}
    assert "layer 1 carried error" not in units


def test_the_gradient_check_follows_the_trajectory_of_the_segments() -> None:
    """Every step as it was run the last time, also where a segment is one step long."""
    for checkpoints in (1, 3, "sqrt"):
        learned, episode = rule({"name": "bptt", "checkpoints": checkpoints}), random_episode(steps=7)
        made = built("lru stack", learned, episode)

        def exact(chips: int) -> networks.Network:
            return built("lru stack", learned, episode)  # noqa: B023

        made.machine.exact = False  # so that what was recorded is looked at
        target = gradient_check.at_target(exact(1), episode)
        found = gradient_check.check(made, learned, exact, target, episode)
        for group in ("recurrent", "input", "readout"):
            assert found[group]["recorded"]["relative_error"] < 1e-12, checkpoints


def test_parts_of_a_sequence_are_shown_in_order() -> None:
    episode, learned = random_episode(steps=6), rule("bptt")
    made = built("lru", learned, episode)
    with made.machine.showing(episode), made.machine.workspace(keep_inputs=True):
        with pytest.raises(
            CausalityError, match="over steps 2 to 3, and the first one that has not been shown yet is 0"
        ):
            next(made.machine.forward_pass("ahead", range(2, 4)))
        for part in (range(2, 9), range(3, 3), range(0, 4, 2), range(3, -1, -1)):
            with pytest.raises(CausalityError, match="a part of the 6 steps"):
                next(made.machine.forward_pass("odd", part))
        assert len(list(made.machine.forward_pass("first", range(4)))) == 4
        with pytest.raises(CausalityError, match="not been shown yet is 4"):
            next(made.machine.forward_pass("over the edge", range(3, 6)))
        assert [step.index for step in made.machine.forward_pass("again", range(1, 3))] == [1, 2]
        assert [step.index for step in made.machine.backward_pass("back", range(1, 4))] == [3, 2, 1]
        assert [step.index for step in made.machine.forward_pass("on", range(4, 6))] == [4, 5]


def test_a_part_is_shown_again_only_if_inputs_were_kept() -> None:
    episode, learned = random_episode(steps=6), rule("one_step")
    made = built("lru", learned, episode)
    with made.machine.showing(episode), made.machine.workspace():
        for part in (range(3), range(3, 6)):
            for step in made.machine.forward_pass("first", part):
                assert step.input is not None
        with pytest.raises(CausalityError, match="shows the input again"):
            next(made.machine.forward_pass("again", range(3)))
