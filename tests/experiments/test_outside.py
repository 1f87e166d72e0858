"""What is done from outside leaves no trace, even where it fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from conftest import built, gradient_of, random_episode, rule

from hwsim.experiments.gradient_check import outside
from hwsim.experiments.saturation import counted
from hwsim.learning import updates
from hwsim.learning.updates.scheme import resting
from hwsim.networks import Network


def fails(within: AbstractContextManager[None], work: Callable[[], Any]) -> None:
    def work_and_fail() -> None:
        work()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), within:
        work_and_fail()


def test_a_look_that_fails_is_neither_charged_nor_counted() -> None:
    learned, episode = rule("fpe"), random_episode()
    made = built("lru", learned, episode, on="pcm_crossbar")
    gradient_of(made, learned, episode)
    machine, sequencer = made.machine, made.machine.sequencer

    def state() -> Any:
        journal = machine.journal
        return dict(journal.totals.batches), journal.latest, sequencer.batch_number, counted(machine)

    before = state()
    assert any(values for units in before[-1].values() for values, _ in units.values())
    fails(outside(made), lambda: gradient_of(made, learned, episode))
    assert state() == before


def test_steps_are_no_longer_watched_behind_a_look_that_fails() -> None:
    sequencer, seen = built("lru", rule("fpe"), random_episode()).machine.sequencer, list[int]()
    sequencer.after_step = lambda: seen.append(1)
    kept = sequencer.after_step
    fails(sequencer.watching(lambda: None), lambda: None)
    assert sequencer.after_step is kept


def test_weights_learn_again_behind_a_rest_that_fails() -> None:
    made = built("tanh", rule("one_step"), random_episode(), on="pcm_crossbar")

    def rates(network: Network) -> list[float]:
        return [getattr(each.gradient, "rate", 0.0) for each in network.trainables]

    options: Any = updates.UPDATES["in_situ"].Options(name="in_situ")
    scheme = updates.build(options)
    scheme.prepare(made)
    scheme.begin(made, lambda trainable: 0.1)
    assert any(rates(made))
    before = rates(made)
    fails(resting(made), lambda: None)
    assert rates(made) == before
