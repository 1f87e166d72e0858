"""Queues, taps, resets and the last inputs: what strictly forward rules keep, and what it is charged for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, machine_options, random_episode, rule

from hwsim import machines
from hwsim.accounts.memory import DELAY, INPUT_REPLAY, LEARNING, TARGET_REPLAY
from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine import Machine, Shapes, resume, snapshot
from hwsim.operations import plus

STEPS, WIDTH = 7, 2
MACHINES = ["ideal", "digital_45nm", "ideal_crossbar"]


def stage(on: str, **kinds: Any) -> tuple[Machine, Episode]:
    made = machines.build(machine_options(on), seed=1, **kinds)
    inputs = np.arange(1.0, 2 * STEPS + 1).reshape(1, STEPS, WIDTH) / 16
    return made, Episode(inputs, values=np.zeros((1, STEPS, 1)))


def two_by_two(machine: Machine, episode: Episode, seen: list[np.ndarray]) -> None:
    """Puts every input in, and from the third step on takes out what was put in two steps before."""
    machine.watchers["seen"] = lambda value: seen.append(value[0, 0].copy())
    with machine.showing(episode), machine.workspace() as workspace:
        queue = workspace.queue("waiting", WIDTH)
        for step in machine.forward_pass("forward"):
            if step.index >= 2:
                machine.probe("seen", queue.get())
            queue.put(plus(step.input, 0.0))


@pytest.mark.parametrize("on", MACHINES)
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_put_in_comes_out_in_order_without_a_tape(on: str, strict: bool) -> None:
    machine, episode = stage(on, strict=strict)
    seen: list[np.ndarray] = []
    two_by_two(machine, episode, seen)
    np.testing.assert_allclose(seen, episode.inputs[0, : STEPS - 2], atol=1e-6 if on != "ideal_crossbar" else 0.02)


def test_the_ledger_is_charged_for_what_waits_and_no_more() -> None:
    machine, episode = stage("digital_45nm")
    held = []
    machine.sequencer.after_step = lambda: held.append(machine.memory.live["waiting"].values)
    two_by_two(machine, episode, [])
    assert held == [WIDTH, *[2 * WIDTH] * (STEPS - 1)]
    assert {h.kind for h in machine.memory.peak_holdings() if h.name == "waiting"} == {DELAY}
    assert "waiting" not in machine.memory.live
    records = [r for trace in machine.journal.traces for r in trace if r.kind in ("put", "get")]
    bits = {
        (record.kind, charge.component): charge.amount
        for record in records
        for charge in machine.prices().charges(record)
        if charge.component == "state memory"
    }
    assert {kind for kind, _ in bits} == {"put", "get"}
    assert {record.unit for record in records} == {"state memory"}


def test_on_shapes_a_queue_grows_and_shrinks_as_it_does_in_a_run() -> None:
    machine, episode = stage("digital_45nm", numerics=Shapes())
    other, _ = stage("digital_45nm")
    for each in (machine, other):
        two_by_two(each, episode, [])
    assert machine.memory.peak_bits == other.memory.peak_bits
    assert machine.journal.traces == other.journal.traces


@pytest.mark.parametrize("puts", [0, 1])
def test_nothing_comes_out_in_the_step_that_put_it_in(puts: int) -> None:
    machine, episode = stage("ideal")
    with machine.showing(episode), machine.workspace() as workspace:
        queue = workspace.queue("waiting", WIDTH)
        for step in machine.forward_pass("forward"):
            if not step.first:
                continue
            for _ in range(puts):
                queue.put(step.input)
            with pytest.raises(CausalityError, match="waiting holds no value of an earlier step"):
                queue.get()
            queue.release()
            with pytest.raises(CausalityError, match="was given back"):
                queue.put(step.input)


def test_a_queue_goes_on_from_a_snapshot() -> None:
    one, episode = stage("ideal")
    taken: list[Any] = []
    one.sequencer.after_step = lambda: taken.append(snapshot(one))
    whole: list[np.ndarray] = []
    two_by_two(one, episode, whole)
    other, _ = stage("ideal")
    resume(other, taken[3])
    rest: list[np.ndarray] = []
    two_by_two(other, episode, rest)
    np.testing.assert_array_equal(rest, whole[2:])


def test_a_tap_is_what_was_stored_so_many_steps_ago() -> None:
    machine, episode = stage("ideal")
    seen: list[np.ndarray] = []
    machine.watchers["seen"] = lambda *values: seen.append(np.concatenate([value[0, 0] for value in values]))
    with machine.showing(episode), machine.workspace() as workspace:
        line = workspace.delay_line("line", WIDTH, 3)
        for step in machine.forward_pass("forward"):
            machine.probe("seen", line.tap(1), line.tap(2), line.tap(3), line.load())
            for age in (0, 4):
                with pytest.raises(ValueError, match="line holds what was stored 1 to 3 steps ago"):
                    line.tap(age)
            line.store(step.input)
    x = np.vstack([np.zeros((3, WIDTH)), episode.inputs[0]])
    for index, values in enumerate(seen):
        np.testing.assert_array_equal(values, np.concatenate([x[index + 3 - age] for age in (1, 2, 3, 3)]))


@pytest.mark.parametrize("on", MACHINES)
@pytest.mark.parametrize("kind", ["state", LEARNING])
def test_a_register_that_is_cleared_holds_zero_from_the_next_step_on(on: str, kind: str) -> None:
    machine, episode = stage(on)
    seen: list[float] = []
    machine.watchers["seen"] = lambda value: seen.append(float(np.abs(value).max()))
    with machine.showing(episode), machine.workspace() as workspace:
        register = workspace.register("r", WIDTH, kind)
        for step in machine.forward_pass("forward"):
            machine.probe("seen", register.load())
            if step.index == 2:
                register.clear()
                with pytest.raises(CausalityError, match="r is stored twice in one step"):
                    register.store(step.input)
            else:
                register.store(step.input)
    assert seen[2] > 0
    assert seen[3] == 0
    assert seen[4] > 0
    cleared = [r for trace in machine.journal.traces for r in trace if r.kind == "store" and not r.reads]
    assert {(record.writes, record.size) for record in cleared} == {("r", (WIDTH,))}
    if on != "ideal":
        assert machine.prices().charges(cleared[0])


def test_the_last_inputs_alone_can_be_kept_and_shown_again() -> None:
    episode = random_episode(steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode, on="digital_45nm").machine
    with machine.showing(episode), machine.workspace(keep_inputs=3):
        held = {h.kind: h.values for h in machine.memory.live.values()}
        assert held[INPUT_REPLAY] == 3 * WIDTH
        assert held[TARGET_REPLAY] == 3
        list(machine.forward_pass("forward", range(5)))
        assert len(list(machine.backward_pass("back", range(2, 5)))) == 3
        with pytest.raises(CausalityError, match="shows step 1 again, and of the inputs only the last 3 are kept"):
            list(machine.backward_pass("back", range(1, 5)))
        list(machine.forward_pass("forward", range(5, STEPS)))
        assert len(list(machine.forward_pass("again", range(4, STEPS)))) == 3
