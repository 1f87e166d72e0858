"""Steps beyond the end of the input: carried out and charged like others, and without input, target and loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import machine_options

from hwsim import machines
from hwsim.accounts.journal import PASS, Sweep
from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine import Machine, Shapes, Snapshot, Step, resume, snapshot
from hwsim.operations import plus

STEPS, BEYOND, WIDTH = 6, 3, 2


def stage(on: str = "digital_45nm", steps: int = STEPS, **kinds: Any) -> tuple[Machine, Episode]:
    made = machines.build(machine_options(on), seed=1, **kinds)
    inputs = np.arange(1.0, 2 * steps + 1).reshape(1, steps, WIDTH) / 64
    return made, Episode(inputs, values=np.zeros((1, steps, 1)), loss_from=2)


def late(machine: Machine, episode: Episode, beyond: int = BEYOND) -> list[np.ndarray]:
    """What a queue gives that every input passes through, `BEYOND` steps later."""
    seen: list[np.ndarray] = []
    machine.watchers["seen"] = lambda value: seen.append(value[0, 0].copy())
    with machine.showing(episode), machine.workspace() as workspace:
        queue = workspace.queue("waiting", WIDTH)
        for step in machine.forward_pass("forward", beyond=beyond):
            if step.index >= BEYOND:
                machine.probe("seen", queue.get())
            if not step.beyond:
                queue.put(plus(step.input, 0.0))
    return seen


def test_a_pass_goes_on_beyond_the_input_and_says_so() -> None:
    machine, episode = stage()
    said = []
    with machine.showing(episode):
        for step in machine.forward_pass("forward", beyond=BEYOND):
            said.append((step.index, step.beyond, step.carries_loss, step.loss_before, step.last, step.first))
    assert said[0] == (0, False, False, False, False, True)
    assert said[STEPS - 1] == (STEPS - 1, False, True, True, True, False)
    assert said[STEPS] == (STEPS, True, False, True, False, False)
    assert said[STEPS + 1 :] == [(STEPS + more, True, False, False, False, False) for more in range(1, BEYOND)]


@pytest.mark.parametrize("what", ["input", "target"])
def test_there_is_nothing_to_see_beyond_the_input(what: str) -> None:
    machine, episode = stage()
    with machine.showing(episode):
        steps = list[Step]()
        for step in machine.forward_pass("forward", beyond=1):
            if step.beyond:
                with pytest.raises(CausalityError, match=f"step {STEPS} has no {what}: it is beyond the end of the"):
                    getattr(step, what)
            steps.append(step)
    assert len(steps) == STEPS + 1


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "ideal_crossbar"])
@pytest.mark.parametrize("strict", [False, True])
def test_all_that_was_on_its_way_arrives(on: str, strict: bool) -> None:
    machine, episode = stage(on, strict=strict)
    np.testing.assert_allclose(late(machine, episode), episode.inputs[0], atol=1e-6 if on != "ideal_crossbar" else 0.02)


def test_steps_beyond_are_charged_in_time_and_energy_and_are_no_steps_of_the_sequence() -> None:
    machine, episode = stage()
    late(machine, episode)
    assert machine.journal.latest is not None
    (sweep,) = machine.journal.latest.sweeps
    assert (sweep.name, sweep.kind, sweep.beyond) == ("forward", PASS, BEYOND)
    assert sum(count for _, count in sweep.runs) == STEPS + BEYOND
    trace = machine.journal.traces[sweep.runs[-1][0]]
    assert sweep.runs[-1][1] == BEYOND
    assert [record.kind for record in trace] == ["get"]  # no input is presented
    assert Sweep("forward", PASS, sweep.runs) != sweep


@pytest.mark.parametrize(("part", "beyond"), [(range(3), 2), (None, -1)])
def test_only_the_end_of_the_input_can_be_passed(part: range | None, beyond: int) -> None:
    machine, episode = stage()
    with machine.showing(episode), pytest.raises(CausalityError, match=f"cannot go on for {beyond} steps beyond"):
        list(machine.forward_pass("forward", part, beyond=beyond))


def test_the_last_part_can_go_beyond_and_the_sequence_be_shown_again() -> None:
    machine, episode = stage()
    with machine.showing(episode), machine.workspace(keep_inputs=True):
        kept = [holding.values for holding in machine.memory.live.values() if holding.kind == "input replay"]
        assert kept == [STEPS * WIDTH]
        list(machine.forward_pass("one", range(4)))
        assert len(list(machine.forward_pass("two", range(4, STEPS), beyond=BEYOND))) == STEPS - 4 + BEYOND
        assert len(list(machine.backward_pass("back"))) == STEPS
        assert len(list(machine.forward_pass("again", beyond=1))) == STEPS + 1


def test_a_run_goes_on_from_a_snapshot_beyond_the_input() -> None:
    one, episode = stage()
    taken: list[Snapshot] = []
    one.sequencer.after_step = lambda: taken.append(snapshot(one))
    whole = late(one, episode)
    for point in (STEPS - 1, STEPS, STEPS + 1):
        other, _ = stage()
        resume(other, taken[point])
        np.testing.assert_array_equal(late(other, episode), whole[point + 1 - BEYOND :])


def test_equal_steps_beyond_the_input_are_leapt_over() -> None:
    def carried_out(steps: int, beyond: int, **kinds: Any) -> tuple[Machine, int]:
        machine, episode = stage(steps=steps, **kinds)
        done = list[int]()
        machine.sequencer.after_step = lambda: done.append(machine.sequencer.step_index)
        with machine.showing(episode), machine.workspace() as workspace:
            register = workspace.register("sum", WIDTH)
            for step in machine.forward_pass("forward", beyond=beyond):
                held = register.load()
                register.store(0.5 * held if step.beyond else held + step.input)
        return machine, len(done)

    short, count = carried_out(100, 80, numerics=Shapes())
    _, longer = carried_out(200, 900, numerics=Shapes())
    run, all_of_them = carried_out(100, 80)
    assert count == longer < 30
    assert all_of_them == 180
    assert short.journal.latest == run.journal.latest
    assert short.journal.traces == run.journal.traces
