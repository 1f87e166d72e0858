"""What nothing needs any more is given back at once, without waiting for garbage to be collected."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import built, gradient_of, random_episode, rule

MACHINES = ("ideal", "digital_45nm", "digital_45nm_fp16", "pcm_crossbar", "pcm_crossbar_in_the_loop")


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def owner(value: np.ndarray) -> np.ndarray:
    """The array whose memory a view looks at."""
    while isinstance(value.base, np.ndarray):
        value = value.base
    return value


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("on", MACHINES)
def test_values_are_gone_when_their_step_is_over(on: str) -> None:
    """But for what registers hold, and what the rule loaded and has in its hands until its next step."""
    episode, learner = random_episode(steps=12), rule("fpe")
    made = built("lru stack", learner, episode, on=on)
    stage: Any = made.machine
    of_steps: list[list[weakref.ref[np.ndarray]]] = []
    alive: list[int] = []
    spare = stage.emit, getattr(stage, "emit_analog", None)

    def noting(emit: Any) -> Any:
        def call(*words: Any) -> Any:
            signal = emit(*words)
            of_steps[-1].append(weakref.ref(owner(signal._value)))
            return signal

        return call

    def look() -> None:
        storages = stage.storages.values()
        values = [value for one in storages for value in (one.value, getattr(one, "initial", one.value))]
        held = {
            id(owner(value))
            for value in (*values, stage.sequencer.presenter._inputs, stage.sequencer.presenter._targets)
        }
        there = [found for made in of_steps[:-2] for ref in made if (found := ref()) is not None]
        alive.append(sum(id(value) not in held for value in there))
        of_steps.append([])

    stage.emit, stage.sequencer.after_step = noting(spare[0]), look
    if spare[1] is not None:
        stage.emit_analog = noting(spare[1])
    of_steps.append([])
    gradient_of(made, learner, episode)
    assert sum(map(len, of_steps)) > 1000
    assert max(alive) == 0


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("on", MACHINES)
def test_a_machine_that_is_released_leaves_nothing_behind(on: str) -> None:
    episode, learner = random_episode(), rule("fpe")
    made = built("tanh stack", learner, episode, on=on)
    gradient_of(made, learner, episode)
    kept = [owner(storage.value) for storage in made.machine.storages.values()]
    kept += [owner(value) for trainable in made.trainables for value in (trainable.master.value,)]
    kept += [owner(unit.turned) for unit in made.machine.units if hasattr(unit, "turned")]
    kept += [] if made.machine.devices is None else [array.spread for array in made.machine.devices.arrays.values()]
    left = [weakref.ref(value) for value in kept if value.size > 1]
    assert len(left) > 20
    made.machine.release()
    del kept, made
    assert [ref().shape for ref in left if ref() is not None] == []  # type: ignore[union-attr]


@pytest.mark.usefixtures("no_collection")
def test_what_was_shown_is_gone_when_it_is_over() -> None:
    episode, learner = random_episode(), rule("bptt")
    made = built("lru", learner, episode)
    with made.machine.showing(episode):
        shown = weakref.ref(owner(made.machine.sequencer.presenter._inputs))
        learner.gradients(made)
    assert shown() is None
