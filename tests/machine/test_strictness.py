"""Strictly forward in time is enforced: each way around it that one could try fails."""

from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from conftest import NETWORKS, built, cases, gradient, gradient_of, pairs, random_episode, rule, spiking_cases

from hwsim import machines
from hwsim.accounts.memory import OPTIMIZER, WEIGHTS
from hwsim.errors import CapabilityError, CausalityError
from hwsim.learning import Rule
from hwsim.operations import pair_dot, standardise, tanh, total

STRICT = ["pcm_crossbar", "rram_crossbar", "ideal_crossbar"]


@contextmanager
def suppress_breaking_off():
    """Let a test leave in the middle of a pass."""
    try:
        yield
    except CausalityError as error:
        if "cannot be broken off" not in str(error):
            raise


def show(body, on="ideal", strict=True, keep_inputs=True, batch=2):
    """Build a small network and hand its machine, network and workspace to `body`, with an episode on show."""
    episode = random_episode(batch=batch)
    made = built("lru", rule("fpe"), episode, on=on, strict=strict)
    with (
        suppress_breaking_off(),
        made.machine.showing(episode),
        made.machine.workspace(keep_inputs=keep_inputs) as workspace,
    ):
        body(made.machine, made, workspace)


class Hoarder(Rule):
    """A rule that keeps the input of one step for the next."""

    def gradients(self, network):
        kept = None
        with network.machine.workspace() as workspace:
            register = workspace.register("h", 2)
            for step in network.machine.forward_pass("forward"):
                if kept is not None:
                    register.store(kept + step.input)
                kept = step.input


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_a_rule_that_keeps_a_signal_across_steps_fails_and_is_told_which(on):
    episode = random_episode()
    made = built("lru", rule("fpe"), episode, on=on)
    with (
        pytest.raises(CausalityError, match="step 0 of 'forward' was used in step 1 of 'forward'"),
        made.machine.showing(episode),
    ):
        Hoarder(None).gradients(made)


OPERATIONS = {
    "one": lambda made, x: -x,
    "two": lambda made, x: x + x,
    "pairs": lambda made, x: pair_dot(x, x),
    "sum": lambda made, x: total(x),
    "standardise": lambda made, x: standardise(x, 1e-6),
    "read": lambda made, x: made.layers[0].readout.blocks[0].W @ x,
    "read transposed": lambda made, x: made.layers[0].cell.B.T @ x,
    "coefficients": lambda made, x: made.layers[0].cell.eigenvalues * x,
    "spread": lambda made, x: made.layers[0].cell.gamma.spread(x),
    "store": lambda made, x: made.machine.storages["kept"].store(x),
    "push": lambda made, x: made.machine.storages["tape"].push(x),
    "accumulate": lambda made, x: made.layers[0].cell.b.gradient.add(x),
    "outer": lambda made, x: made.layers[0].readout.blocks[0].W.gradient.add_outer(x, x),
    "probe": lambda made, x: made.machine.probe("seen", x),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar_in_the_loop"])
def test_every_operation_refuses_a_signal_of_an_earlier_step(on, operation):
    episode = random_episode()
    made = built("lru", rule("bptt"), episode, on=on)
    machine = made.machine
    machine.watchers["seen"] = lambda value: None
    with suppress_breaking_off(), machine.showing(episode), machine.workspace() as workspace:
        register = workspace.register("kept", made.layers[0].cell.width)
        workspace.tape("tape", made.layers[0].cell.width)
        steps = machine.forward_pass("forward")
        next(steps)
        old = register.load()
        next(steps)
        with pytest.raises(CausalityError, match="step 0 of 'forward' was used in step 1 of 'forward'"):
            OPERATIONS[operation](made, old)


@pytest.mark.parametrize("on", ["ideal", "pcm_crossbar"])
def test_a_view_smuggled_out_of_its_step_is_poisoned(on):
    smuggled = []

    def body(stage, made, workspace):
        register = workspace.register("h", 2)
        for step in stage.forward_pass("forward"):
            register.store(tanh(step.input) * step.input)
            if step.first:
                smuggled.extend([step.input._value, tanh(step.input)._value, register.load()._value])
                assert all(np.isfinite(view).all() for view in smuggled)
            else:
                assert all(np.isnan(view).all() for view in smuggled)
                assert np.isfinite(register.value).all()  # what was stored is a copy

    show(body, on=on)
    assert len(smuggled) == 3


def test_values_are_read_only_in_the_step_that_made_them():
    def body(stage, made, workspace):
        for step in stage.forward_pass("forward"):
            with pytest.raises(ValueError, match="read-only"):
                step.input._value[:] = 0

    show(body)


@pytest.mark.parametrize("look", [np.asarray, float, bool, list, len, lambda signal: signal[0], np.tanh])
def test_a_signal_has_no_value_for_a_rule(look):
    def body(stage, made, workspace):
        for step in stage.forward_pass("forward"):
            with pytest.raises((CausalityError, TypeError), match=r"probe|ufunc"):
                look(step.input)

    show(body)


def test_operations_need_a_step():
    kept = []

    def body(stage, made, workspace):
        for step in stage.forward_pass("forward"):
            kept.append(step.input)
        with pytest.raises(CausalityError, match="within a step"):
            tanh(kept[0])

    show(body)


def test_the_input_is_shown_again_only_if_it_was_kept():
    def body(stage, made, workspace):
        list(stage.forward_pass("first"))
        with pytest.raises(CausalityError, match="not kept"):
            list(stage.forward_pass("second"))

    show(body, keep_inputs=False)


def test_a_pass_cannot_be_left_early_or_nested():
    def leave(stage, made, workspace):
        for _ in stage.forward_pass("first"):
            break
        with pytest.raises(CausalityError, match="begins before 'first' is over"):
            list(stage.forward_pass("second"))

    def nest(stage, made, workspace):
        for _ in stage.forward_pass("outer"):
            with pytest.raises(CausalityError, match="is over, in its step 0"):
                list(stage.forward_pass("inner"))
            break

    show(leave)
    show(nest)


def test_a_pass_that_is_broken_off_is_not_free():
    episode = random_episode()
    made = built("lru", rule("fpe"), episode)
    with pytest.raises(CausalityError, match="'first' was left before its last step"), made.machine.showing(episode):
        next(made.machine.forward_pass("first"))


def test_a_register_is_stored_once_a_step_and_shows_it_in_the_next():
    def body(stage, made, workspace):
        register = workspace.register("h", 2)
        for step in stage.forward_pass("forward"):
            before = register.value.copy()
            register.store(step.input)
            np.testing.assert_array_equal(register.load()._value, before)
            with pytest.raises(CausalityError, match="stored twice"):
                register.store(step.input)

    show(body)


def test_sums_cannot_be_read_within_a_pass():
    def body(stage, made, workspace):
        sums = made.trainables[0].gradient
        for _ in stage.forward_pass("forward"):
            for touch in (sums.load, sums.clear):
                with pytest.raises(CausalityError, match="in a phase only"):
                    touch()

    show(body)


EVERYWHERE = ["ideal", "digital_45nm", "digital_45nm_fp16", "pcm_crossbar", "pcm_crossbar_in_the_loop"]
WRITES = {
    "matrix": lambda made: made.layers[0].cell.B.program(),
    "bias": lambda made: made.layers[0].cell.b.program(),
    "diagonal": lambda made: made.layers[0].cell.eigenvalues.program(made.machine.storages["h"].load()),
    "inverse": lambda made: made.layers[0].cell.inverse.program(made.machine.storages["h"].load()),
    "cell": lambda made: made.layers[0].program(),
    "master weights": lambda made: made.trainables[0].master.store(made.trainables[0].master.load()),
    "optimizer slot": lambda made: made.machine.storages["slot"].store(made.trainables[0].master.load()),
    "weights of a rule's own": lambda made: made.machine.storages["own"].store(made.machine.storages["h"].load()),
    "sums": lambda made: made.trainables[0].gradient.store(made.trainables[0].master.load()),
    "clear": lambda made: made.clear_gradients(),
}


@pytest.mark.parametrize("on", EVERYWHERE)
@pytest.mark.parametrize("write", WRITES)
def test_weights_and_sums_are_written_between_passes_only(on, write):
    def body(stage, made, workspace):
        made.trainables[0].slot("slot", OPTIMIZER)
        workspace.register("own", made.layers[0].cell.width, WEIGHTS)
        workspace.register("h", made.layers[0].cell.width)
        for _ in stage.forward_pass("forward"):
            with pytest.raises(CausalityError, match=r"between passes, in a phase only, not within 'forward'"):
                WRITES[write](made)
        for _ in stage.phase("phase"):
            WRITES[write](made)

    show(body, on=on, batch=1)


@pytest.mark.parametrize("on", EVERYWHERE)
def test_nothing_can_be_done_outside_of_steps(on):
    """Not even what starts from a storage rather than from a signal of a step."""

    def body(stage, made, workspace):
        register, cell = workspace.register("h", 8), made.layers[0].cell
        for _ in stage.phase("phase"):
            pass
        for act in (
            register.load,
            made.trainables[0].master.load,
            made.trainables[0].gradient.load,
            made.trainables[0].gradient.clear,
            cell.B.columns,
            cell.gamma.constant,
            cell.B.program,
            cell.b.program,
        ):
            with pytest.raises(CausalityError, match=r"within a step|in a phase only, and none is under way"):
                act()
        before = len(stage.journal.traces)
        for _ in stage.phase("phase"):
            pass
        assert len(stage.journal.traces) == before  # nothing was added to a step that is over

    show(body, on=on)


@pytest.mark.parametrize("on", STRICT)
def test_without_addressable_memory_there_is_no_tape_in_any_pass(on):
    def body(stage, made, workspace):
        with pytest.raises(CapabilityError, match=r"the tape 'past' .*no tape"):
            workspace.tape("past", 2)
        for _ in stage.forward_pass("forward"):
            with pytest.raises(CapabilityError, match=r"the tape 'past' .*no tape"):
                workspace.tape("past", 2)
        assert "past" not in stage.memory.live

    show(body, on=on)


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar_in_the_loop"])
def test_what_was_given_back_holds_nothing(on):
    def body(stage, made, workspace):
        register, tape, sums = workspace.register("h", 2), workspace.tape("tape", 2), made.trainables[0].gradient
        for step in stage.forward_pass("forward"):
            if step.first:
                for storage in (register, tape, sums):
                    storage.release()
                    storage.release()
            for act in (
                register.load,
                lambda step=step: register.store(step.input),
                tape.pop,
                lambda step=step: tape.push(step.input),
                lambda step=step: sums.add(step.input),
            ):
                with pytest.raises(CausalityError, match="was given back"):
                    act()
        again = workspace.register("h", 2)
        register.release()
        assert stage.storages["h"] is again  # it is of the same name only

    show(body, on=on)


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar_in_the_loop"])
def test_a_backward_pass_shows_nothing_that_was_not_shown_in_order(on):
    def body(stage, made, workspace):
        with pytest.raises(CausalityError, match=r"'back' is over steps 0 to 6, and only 0 of them have been shown"):
            list(stage.backward_pass("back"))
        list(stage.forward_pass("some", range(3)))
        with pytest.raises(CausalityError, match=r"'back' is over steps 2 to 5, and only 3 of them have been shown"):
            list(stage.backward_pass("back", range(2, 6)))
        list(stage.backward_pass("back", range(1, 3)))

    show(body, on=on)


def test_what_was_shown_before_it_could_be_kept_is_not_shown_again():
    episode = random_episode()
    stage = built("lru", rule("fpe"), episode).machine
    with stage.showing(episode):
        with stage.workspace():
            list(stage.forward_pass("first", range(4)))
        with stage.workspace(keep_inputs=True):
            for again in (stage.forward_pass, stage.backward_pass):
                with pytest.raises(CausalityError, match="not kept"):
                    list(again("again", range(4)))
            list(stage.forward_pass("second", range(4, 7)))
            list(stage.forward_pass("again", range(5, 7)))
            list(stage.backward_pass("again", range(4, 7)))


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_a_result_of_another_shape_than_its_operation_declares_is_refused(on, monkeypatch):
    """A value that was broadcast unseen would go on as if nothing had happened."""
    monkeypatch.setattr(tanh, "shape", lambda shape: (*shape[:-1], 1))
    episode, learner = random_episode(), rule("one_step")
    with pytest.raises(TypeError, match=r"tanh made \(.*, 6\), not \(.*, 1\)"):
        gradient_of(built("tanh", learner, episode, on=on, strict=True), learner, episode)


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_input_and_target_are_those_of_the_step(on):
    """Neither a step that was kept nor the machine tells of another one."""

    def body(stage, made, workspace):
        kept = None
        for step in stage.forward_pass("forward"):
            for look in (stage.sequencer.presenter.input, stage.sequencer.presenter.target):
                for other in {0, 1, 2, 6} - {step.index}:
                    with pytest.raises(CausalityError, match=f"of step {other} .* in step {step.index} of 'forward'"):
                        look(other)
            kept = kept or step
            if not step.first:
                with pytest.raises(CausalityError, match="target of step 0 "):
                    _ = kept.target
        for _ in stage.phase("phase"):
            with pytest.raises(CausalityError, match=r"target of step 0 .* in the phase 'phase'"):
                _ = kept.target

    show(body, on=on)


def test_nothing_is_broadcast_by_accident():
    def body(stage, made, workspace):
        wide = workspace.register("wide", 3)
        for step in stage.forward_pass("forward"):
            with pytest.raises(TypeError, match="2 and 3 wires"):
                step.input + wide.load()
            with pytest.raises(CausalityError, match="holds"):
                wide.store(step.input)

    show(body, batch=3)


def test_signals_of_two_machines_do_not_meet():
    episode = random_episode()
    one, other = (built("lru", rule("fpe"), episode).machine for _ in range(2))
    with suppress_breaking_off(), one.showing(episode), suppress_breaking_off(), other.showing(episode):
        mine, theirs = one.forward_pass("a"), other.forward_pass("b")
        first, second = next(mine), next(theirs)
        next(theirs)
        with pytest.raises(CausalityError, match="another machine"):
            first.input + second.input


@pytest.mark.parametrize("on", STRICT)
def test_every_rule_but_bptt_runs_on_a_strict_substrate(on):
    for learner, network in pairs(["lru stack", "tanh"]):
        if network == "sparse":
            continue
        run = partial(gradient, network, learner, random_episode(), on=on, chips=2, strict=True)
        if rule(learner).needs_tape:
            with pytest.raises(CapabilityError, match="no tape"):
                run()
        else:
            assert all(np.isfinite(value).all() for value in run().values())


def test_bptt_refuses_a_machine_without_tape_before_anything_runs():
    episode = random_episode()
    with pytest.raises(CapabilityError, match="no tape"):
        rule("bptt").check(built("lru", rule("one_step"), episode, on="pcm_crossbar", uses=frozenset({"transposed"})))


def test_a_network_needs_no_more_tiles_than_the_machine_has():
    few = {"like": "pcm_crossbar", "parts": {"tiles": {"count": 2}}}
    with pytest.raises(CapabilityError, match=r"needs 3 tiles of 256 by 256, and pcm_crossbar \(changed\) has 2"):
        gradient("lru", "one_step", random_episode(), on=few)


FORWARD = [
    (learner, network, on)
    for learner, network, on in cases(
        ["lru stack"], ["ideal", "digital_45nm", "pcm_crossbar", "pcm_crossbar_in_the_loop"]
    )
    + spiking_cases(["ideal", "spiking_crossbar"])
    if not rule(learner).needs_tape
]
FORWARD += [
    (learner, "continuous", on) for learner in ("fpe", "fpe_lagged") for on in ("ideal", "integrating_crossbar")
]
FORWARD += [({"name": "fpe", "inverse": "analog"}, "tanh", "solving_crossbar")]


@pytest.mark.parametrize(("learner", "network", "on"), FORWARD)
def test_an_input_changed_later_changes_nothing_before_it(learner, network, on):
    """Up to the first step that shows the change, every register and sum keeps its bytes."""
    changed_at, runs = 4, []
    for change in (0.0, 0.5):
        episode = random_episode()
        episode.inputs[:, changed_at:] += change
        learned = rule(learner)
        made = built(network, learned, episode, on=on, chips=2)
        stage, states, shown = made.machine, [], []

        def look(stage=stage, states=states, shown=shown):
            shown.append(stage.sequencer.step_index)
            if max(shown) < changed_at:
                kept = {n: s.saved.tobytes() for n, s in stage.storages.items() if "replay" not in n}
                states.append(kept)

        stage.sequencer.after_step = look
        with stage.showing(episode):
            learned.gradients(made)
        runs.append(states)
    assert len(runs[0]) == changed_at
    assert runs[0] == runs[1]


def test_the_tape_of_a_strict_machine_keeps_copies():
    episode = random_episode()
    plain = gradient("lru stack", "bptt", episode)
    strict = gradient("lru stack", "bptt", episode, strict=True)
    for name in plain:
        np.testing.assert_array_equal(plain[name], strict[name])


def test_all_memory_is_released_in_the_end():
    for learner, network, on in cases(["lru"], machine_names()):
        episode, learned = random_episode(), rule(learner)
        made = built(network, learned, episode, on=on)
        with made.machine.showing(episode):
            learned.gradients(made)
        made.machine.release()
        assert made.machine.memory.live == {}
        assert made.machine.memory.live_bits == 0
        assert not made.machine.storages


def machine_names():
    return ["ideal", "digital_45nm", *STRICT, "pcm_crossbar_in_the_loop"]


def test_alike_names_are_refused():
    def body(stage, made, workspace):
        workspace.register("h", 2)
        with pytest.raises(CausalityError, match="exists already"):
            workspace.register("h", 2)

    show(body)


def test_every_machine_kind_is_tested_here():
    assert set(machines.MACHINES) == {"ideal", "digital", "crossbar"}
    assert set(NETWORKS) >= {"lru", "tanh"}
