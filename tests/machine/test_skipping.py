"""Leaps over periods: what a rule asks of the place of a step changes nothing but how many steps are carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import built, machine_options, random_episode

from hwsim import machines
from hwsim.accounts.memory import LEARNING
from hwsim.episode import outline
from hwsim.errors import CausalityError
from hwsim.learning.rule import Rule
from hwsim.machine import Machine, Shapes, Step
from hwsim.networks import Network


class Anchored(Rule):
    """Keeps every 6th state, opens a register anew with it, takes one of two back after 20 steps, halves every 4th."""

    def gradients(self, network: Network) -> None:
        machine, width = network.machine, network.layers[0].cell.width
        with machine.workspace(keep_inputs=True) as workspace:
            states, kept = network.states(workspace), workspace.queue("anchors", width)
            for number in (1, 2):
                anchor = workspace.register("anchor", width, LEARNING)
                for step in machine.forward_pass(f"pass {number}", beyond=30):
                    h = states.layers[0].load()
                    if step.every(6):
                        anchor.release()
                        anchor = workspace.register("anchor", width, LEARNING)
                        kept.put(h)
                        anchor.store(h)
                    if step.past(20) and step.every(12):
                        kept.get()
                    if step.every(4):
                        h = 0.5 * h
                    if step.beyond:
                        states.layers[0].store(h)
                    else:
                        network.step(states, step)
                anchor.release()
        network.finish_gradient()


class Parts(Rule):
    """Rounds over parts of 4 steps, with something more in every 6th step, so that three parts are a period."""

    def gradients(self, network: Network) -> None:
        machine = network.machine
        parts = [range(start, start + 4) for start in range(0, machine.episode.steps, 4)]
        with machine.workspace(keep_inputs=4) as workspace:
            states, tape = network.states(workspace), workspace.tape("kept", network.layers[0].cell.width)
            for part in machine.rounds(parts):
                for step in machine.forward_pass("forward", part):
                    if step.every(6):
                        tape.push(states.layers[0].load())
                    network.step(states, step)
                for step in machine.backward_pass("back", part):
                    if step.every(12):
                        tape.pop()
        network.finish_gradient()


class Backward(Rule):
    """Goes back over the sequence, with more in every third step, in those past the 40th, and less in the last."""

    def gradients(self, network: Network) -> None:
        machine, width = network.machine, network.layers[0].cell.width
        with machine.workspace(keep_inputs=True) as workspace:
            states, tape = network.states(workspace), workspace.tape("kept", width)
            for step in machine.forward_pass("forward"):
                network.step(states, step)
            for step in machine.backward_pass("back"):
                if step.every(3) or (step.past(40) and not step.ends):
                    tape.push(states.layers[0].load())
        network.finish_gradient()


class Apart(Rule):
    """Keeps two states in every 7 steps, in turn, one of them from the 8th step on, and takes both back."""

    def gradients(self, network: Network) -> None:
        machine, width = network.machine, network.layers[0].cell.width
        with machine.workspace(keep_inputs=True) as workspace:
            states, tape = network.states(workspace), workspace.tape("kept", width)
            for step in machine.forward_pass("forward"):
                network.step(states, step)
                if step.every(7) or step.every(7, after=8):
                    tape.push(states.layers[0].load())
            for step in machine.backward_pass("back"):
                if step.every(7) or step.every(7, after=8):
                    tape.pop()
        network.finish_gradient()


def carried_out(
    learned: Rule, steps: int, loss_from: int = 0, on: str = "digital_45nm", shapes: bool = True, leaps: bool = True
) -> tuple[Machine, int]:
    """A machine on which one gradient was found, and how many steps were carried out for it."""
    kinds: dict[str, Any] = {"numerics": Shapes()} if shapes else {}
    episode = outline(3, steps, 2, classes=3, each=True) if shapes else random_episode(steps=steps)
    episode = type(episode)(episode.inputs, episode.labels, None, 3, loss_from)
    stage = machines.build(machine_options(on), **kinds)
    stage.sequencer.skips = leaps and shapes
    made, done = built("lru", learned, episode, stage=stage), list[int]()
    stage.sequencer.after_step = lambda: done.append(stage.sequencer.step_index)
    with stage.showing(episode):
        learned.gradients(made)
    return stage, len(done)


RULES = [Anchored(None), Parts(None), Backward(None), Apart(None)]


@pytest.mark.parametrize("learned", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("loss_from", [0, 1, 77, 239])
@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar_in_the_loop"])
def test_leaps_over_periods_change_nothing(learned: Rule, loss_from: int, on: str) -> None:
    """Not the runs of equal steps, nor the most that is held, nor what each memory has to hold."""
    leaping, few = carried_out(learned, 240, loss_from, on)
    walking, all_ = carried_out(learned, 240, loss_from, on, leaps=False)
    real, _ = carried_out(learned, 240, loss_from, on, shapes=False)
    assert few < all_
    for stage in (walking, real):
        assert leaping.journal.latest == stage.journal.latest
        assert leaping.journal.traces == stage.journal.traces
        assert leaping.memory.peak_holdings() == stage.memory.peak_holdings()
        assert (leaping.memory.peak_bits, leaping.memory.most) == (stage.memory.peak_bits, stage.memory.most)
        assert leaping.memory.live == stage.memory.live
    for trace, values in walking.journal.totals.activities.items():
        np.testing.assert_allclose(leaping.journal.totals.activities[trace], values, rtol=1e-12)
    assert leaping.journal.totals.activities.keys() == walking.journal.totals.activities.keys()


@pytest.mark.parametrize("learned", RULES, ids=lambda rule: type(rule).__name__)
def test_the_steps_that_are_carried_out_do_not_grow_with_the_sequence(learned: Rule) -> None:
    few, many = (carried_out(learned, steps, loss_from=steps // 2)[1] for steps in (1200, 120_000))
    assert many == few < 600


@pytest.mark.parametrize("wrong", [0, -3])
def test_a_period_is_at_least_one_step(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"every {wrong} steps is no period"):
        asked(lambda step: step.every(wrong))


def asked(ask: Callable[[Step], bool]) -> list[bool]:
    episode = random_episode(steps=9)
    machine = machines.build(machine_options("digital_45nm"))
    with machine.showing(episode), machine.workspace(keep_inputs=True):
        list(machine.forward_pass("forward"))
        return [ask(step) for step in machine.backward_pass("back", range(1, 9))][::-1]


def test_steps_say_where_they_are() -> None:
    assert asked(lambda step: step.every(3)) == [index % 3 == 0 for index in range(1, 9)]
    assert asked(lambda step: step.past(5)) == [index >= 5 for index in range(1, 9)]
    assert all(asked(lambda step: step.every(1) and step.past(0)))


def test_a_rule_that_asks_for_less_than_it_does_is_found_out() -> None:
    class Secret(Rule):
        def gradients(self, network: Network) -> None:
            machine, count = network.machine, 0
            with machine.workspace() as workspace:
                states = network.states(workspace)
                kept = workspace.register("kept", network.layers[0].cell.width, LEARNING)
                for step in machine.forward_pass("forward"):
                    network.step(states, step)
                    count += 1
                    if step.every(5) != (count == 10):  # the last step of its kind, behind the leap
                        kept.store(-states.layers[0].load())
            network.finish_gradient()

    with pytest.raises(CausalityError, match="steps that should be alike is not like the others"):
        carried_out(Secret(None), 500)
