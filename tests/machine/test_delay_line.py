"""Delay lines: what goes in comes out as many steps later, and is charged for all of them."""

import numpy as np
import pytest
from conftest import built, random_episode, rule

from hwsim.accounts.memory import DELAY
from hwsim.machine import resume, snapshot

LENGTH, STEPS, WIDTH = 3, 8, 2


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "ideal_crossbar"])
def test_what_goes_in_comes_out_as_many_steps_later(on, strict):
    episode = random_episode(steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode, on=on, strict=strict).machine
    seen = []
    machine.watchers["late"] = lambda value: seen.append(value[0].copy())
    with machine.showing(episode), machine.workspace() as workspace:
        line = workspace.delay_line("late", WIDTH, LENGTH)
        for step in machine.forward_pass("forward"):
            machine.probe("late", line.load())
            line.store(step.input)
    inputs = episode.inputs.swapaxes(0, 1)
    expected = np.concatenate([np.zeros_like(inputs[:LENGTH]), inputs[:-LENGTH]])
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_a_line_is_held_whole_and_moved_one_value_at_a_time():
    episode = random_episode(batch=1, steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode, on="digital_45nm").machine
    with machine.showing(episode), machine.workspace() as workspace:
        line = workspace.delay_line("late", WIDTH, LENGTH)
        (holding,) = [each for each in machine.memory.live.values() if each.kind == DELAY]
        assert (holding.values, holding.bits) == (LENGTH * WIDTH, 32)
        for step in machine.forward_pass("forward"):
            line.load()
            line.store(step.input)
    moved = [record for trace in machine.journal.traces for record in trace if record.unit == "state memory"]
    assert {(record.kind, record.size) for record in moved} == {("load", (WIDTH,)), ("store", (WIDTH,))}


def test_a_line_that_resets_is_empty_in_each_pass():
    episode = random_episode(steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode).machine
    firsts = []
    machine.watchers["late"] = lambda value: firsts.append(np.abs(value).max())
    with machine.showing(episode), machine.workspace(keep_inputs=True) as workspace:
        line = workspace.delay_line("late", WIDTH, LENGTH, resets=True)
        for name in ("first", "second"):
            for step in machine.forward_pass(name):
                late = line.load()
                if step.first:
                    machine.probe("late", late)
                line.store(step.input)
    assert firsts == [0, 0]


def test_a_line_goes_on_from_a_snapshot():
    episode = random_episode(steps=STEPS, width=WIDTH)

    def run(machine):
        seen = []
        machine.watchers["late"] = lambda value: seen.append(value.copy())
        with machine.showing(episode), machine.workspace() as workspace:
            line = workspace.delay_line("late", WIDTH, LENGTH)
            for step in machine.forward_pass("forward"):
                machine.probe("late", line.load())
                line.store(step.input)
        return seen

    one, other = (built("lru", rule("one_step"), episode).machine for _ in range(2))
    snapshots = []
    one.sequencer.after_step = lambda: snapshots.append(snapshot(one))
    whole = run(one)
    resume(other, snapshots[4])
    np.testing.assert_array_equal(run(other), whole[5:])


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "ideal_crossbar"])
def test_a_line_shifts_in_every_step_of_a_pass_whatever_is_stored(on):
    """In a step that stores nothing a zero goes in; beyond the input the line runs empty."""
    episode = random_episode(steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode, on=on).machine
    seen, x = [], np.zeros((LENGTH + STEPS + LENGTH + 1, *episode.inputs[:, 0].shape))
    machine.watchers["late"] = lambda *values: seen.append([value[0].copy() for value in values])
    with machine.showing(episode), machine.workspace() as workspace:
        line = workspace.delay_line("late", WIDTH, LENGTH)
        for step in machine.forward_pass("forward", beyond=LENGTH + 1):
            machine.probe("late", line.load(), line.tap(1))
            if not step.beyond and step.every(3):
                x[LENGTH + step.index] = episode.inputs[:, step.index]
                line.store(step.input)
        for _ in machine.phase("between"):
            pass
        assert not line.value.any()
    for index, (oldest, newest) in enumerate(seen):
        np.testing.assert_allclose(oldest, x[index], atol=1e-5)
        np.testing.assert_allclose(newest, x[index + LENGTH - 1], atol=1e-5)


def test_a_zero_that_goes_into_a_line_is_charged_as_a_store_and_none_goes_in_between_passes():
    episode = random_episode(batch=1, steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode, on="digital_45nm").machine
    with machine.showing(episode), machine.workspace() as workspace:
        line = workspace.delay_line("late", WIDTH, LENGTH)
        for step in machine.forward_pass("forward"):
            if step.last:
                line.store(step.input)
        for _ in machine.phase("between"):
            machine.probe("late", line.load())
        assert line.value[:, :, -1].any()
    counts = {trace: count for sweep in machine.journal.latest.sweeps for trace, count in sweep.runs}
    stores = [record for trace in counts for record in machine.journal.traces[trace] if record.kind == "store"]
    assert sorted((record.writes, record.size, len(record.reads)) for record in stores) == [
        ("late", (WIDTH,), 0),
        ("late", (WIDTH,), 1),
    ]
    assert sum(counts.values()) == STEPS + 1


def test_a_line_that_was_given_back_shifts_no_more():
    episode = random_episode(steps=STEPS, width=WIDTH)
    machine = built("lru", rule("one_step"), episode).machine
    with machine.showing(episode), machine.workspace() as workspace:
        for step in machine.forward_pass("forward"):
            if step.index == 2:
                workspace.delay_line("late", WIDTH, LENGTH).release()
    kinds = {record.kind for trace in machine.journal.traces for record in trace if record.writes == "late"}
    assert kinds == set()
