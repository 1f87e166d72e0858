"""Captured steps give the same bytes as steps that the rule carries out, in values and in all accounts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import AT_HOME, RULES, built, cases, in_pairs, machine_options, random_episode, rule, spiking_cases

from hwsim.episode import Episode
from hwsim.errors import CausalityError, HwsimError, SingularJacobianError
from hwsim.experiments.evaluation import Meter
from hwsim.learning import Rule
from hwsim.learning.optimizers import build as optimizer
from hwsim.learning.update import Options, Update
from hwsim.machine import Register
from hwsim.machine.captured import Captured
from hwsim.machine.port import Port
from hwsim.machines.chip import Chip
from hwsim.machines.ideal import IdealMachine
from hwsim.networks import Network
from hwsim.operations import add, identity, join, plus_identity, signs, solve, take

UPDATE = Options.model_validate({"optimizer": {"name": "adamw", "rate": 0.01}, "clip": 1.0})
MACHINES = ("ideal", "digital_45nm_fp16", "pcm_crossbar", "pcm_crossbar_in_the_loop", "hermes_14nm")
STEPS = 9
UNEVEN = ("bptt checkpoints", "tbptt block", "fptt", "fptt steps", "fpe_lagged", "fpe_hybrid")
"""Rules whose passes have hardly two steps in a row that are alike, in so few."""


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices of steps that were captured."""
    indices: list[int] = []
    run = Captured.run

    def noted(self: Captured, index: int) -> None:
        indices.append(index)
        run(self, index)

    monkeypatch.setattr(Captured, "run", noted)
    return indices


def learned(made: Network, learner: Rule, episodes: list[Episode], routine: str | None) -> list[np.ndarray]:
    """Learn from one episode after the other; the losses, seen on the way."""
    steps, losses = optimizer(UPDATE.optimizer, made), []
    for episode in episodes:
        meter = Meter(made, episode, answers=True)
        made.machine.watchers["answer"] = meter.see
        with made.machine.showing(episode, routine):
            learner.learn(made, Update(made, steps, UPDATE))
        losses.append(meter.loss)
    return losses


def state(made: Network) -> dict[str, Any]:
    """All that is there after learning, in values and in accounts."""
    machine = made.machine
    totals, ledger = machine.journal.collect(), machine.memory
    return {
        "values": {name: storage.saved.tobytes() for name, storage in machine.storages.items()},
        "weights": {each.name: each.values.tobytes() for each in made.trainables},
        "batches": dict(totals.batches),
        "activities": {trace: values.tobytes() for trace, values in totals.activities.items()},
        "traces": machine.journal.traces,
        "clipped": machine.clipped,
        "memory": (ledger.most, ledger.peak_bits, ledger.peak_by_class()),
        "divergence": machine.holdings.divergence,
    }


@pytest.mark.parametrize(
    ("learner", "network", "machine"),
    [
        *in_pairs(cases(["lru stack", "tanh stack", "gru"], MACHINES)),
        *in_pairs(spiking_cases(["ideal", "pcm_crossbar", "spiking_crossbar"])),
        ({"name": "fpe", "inverse": "analog"}, "tanh stack", "solving_crossbar"),
        *(
            (learner, *elsewhere)
            for learner in RULES
            if learner not in AT_HOME
            for elsewhere in (("lstm", "ideal"), *(("sparse", machine) for machine in MACHINES[:2]))
        ),
    ],
)
def test_it_makes_no_difference_but_time(learner: str, network: Any, machine: str, captured: list[int]) -> None:
    found, chips = rule(learner), 2 if "crossbar" in machine else 1
    episodes = [random_episode(seed, steps=STEPS, target="one") for seed in range(3)]
    both = []
    for routine in (None, found.routine):
        made = built(network, found, episodes[0], on=machine, chips=chips)
        try:
            found.check(made)
            with np.errstate(all="ignore"):  # in float16 some rules diverge, which has to be the same too
                losses = learned(made, found, episodes, routine)
        except HwsimError as error:
            both.append(type(error).__name__)
        else:
            both.append((np.array(losses).tobytes(), state(made)))
    assert both[0] == both[1]
    assert isinstance(both[0], str) or learner in UNEVEN or len(captured) >= STEPS - 4


@pytest.mark.parametrize("machine", ["ideal", "pcm_crossbar_in_the_loop"])
@pytest.mark.parametrize("learner", ["bptt", "fpe", "rtrl", "one_step"])
def test_sequences_of_different_length(learner: str, machine: str, captured: list[int]) -> None:
    """Their masks differ from batch to batch, and are values."""
    found, both = rule(learner), []
    for routine in (None, found.routine):
        draw = np.random.default_rng(1)
        masks = [np.arange(STEPS) < draw.integers(2, STEPS + 1, (3, 1)) for _ in range(3)]
        episodes = [random_episode(seed, steps=STEPS, mask=mask) for seed, mask in enumerate(masks)]
        made = built("lru stack", found, episodes[0], on=machine)
        both.append((np.array(learned(made, found, episodes, routine)).tobytes(), state(made)))
    assert both[0] == both[1]
    assert captured


class Own(Rule):
    """Does in each step what `does` says, with registers, a delay line and a queue at hand."""

    def __init__(self, does: Callable[[Any, Any], None], beyond: int = 0) -> None:
        super().__init__(None)
        self.does, self.beyond = does, beyond

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace(keep_inputs=True) as workspace:
            held = SimpleNamespace(
                machine=machine,
                network=network,
                a=workspace.register("a", 2),
                b=workspace.register("b", 2),
                line=workspace.delay_line("line", 2, 3),
                queue=workspace.queue("queue", 2),
            )
            for name in ("first", "again"):
                for step in machine.forward_pass(name, beyond=self.beyond):
                    machine.probe("held", held.a.load(), held.b.load())
                    self.does(held, step)


def _taps_and_queues(held: Any, step: Any) -> None:
    held.line.store(step.input)
    held.queue.put(step.input + held.line.tap(2))
    if not step.begins:
        held.a.store(held.queue.get() - held.line.load())


def _beyond(held: Any, step: Any) -> None:
    if not step.beyond:
        held.line.store(step.input)
    held.a.store(held.line.load() if step.past(3) else held.a.load())


def _every_other(held: Any, step: Any) -> None:
    if step.every(2):
        held.a.store(held.a.load() + held.a.load())


def _words(held: Any, step: Any) -> None:
    both = join(step.input, held.a.load())
    held.a.store(take(both, 0, 2) * 0.5 + 2 * take(both, 1, 3))
    held.b.clear()


def _of_the_step(held: Any, step: Any) -> None:
    held.a.store(held.a.load() + step.share * (step.input - held.a.load()))


def _branches(held: Any, step: Any) -> None:
    held.a.store(step.input if step.index % 3 else step.input + step.input)


def _numbers(held: Any, step: Any) -> None:
    held.a.store(step.input * (1.0 + step.index))


def _signs(held: Any, step: Any) -> None:
    held.a.store(step.input * signs(held.machine, "own", 2))


def _solves(held: Any, step: Any) -> None:
    held.a.store(solve(plus_identity(identity(held.machine, 2), 0.5), step.input))


@pytest.mark.parametrize("machine", ["ideal", "digital_45nm_fp16", "pcm_crossbar"])
@pytest.mark.parametrize(
    ("does", "steps"),
    [
        (_taps_and_queues, 1),
        (_words, 1),
        (_of_the_step, 1),
        (_solves, 1),
        (_signs, 1),
        (_beyond, 1),
        (_every_other, 1),
        (_branches, 1),
        (_numbers, 0),
    ],
)
def test_a_rule_of_ones_own(does: Any, steps: int, machine: str, captured: list[int]) -> None:
    """What changes from step to step is left to the rule."""
    both, beyond = [], 4 if does is _beyond else 0
    for routine in (None, "own"):
        own, episodes = Own(does, beyond), [random_episode(seed, steps=STEPS) for seed in range(3)]
        made, seen = built("lru", own, episodes[0], on=machine), []
        made.machine.watchers["held"] = partial(_append, seen)
        for episode in episodes:
            with made.machine.showing(episode, routine):
                own.gradients(made)
        both.append((seen, state(made)))
    assert both[0] == both[1]
    assert len(both[0][0]) == 2 * (STEPS + beyond) * len(episodes)
    assert bool(captured) == bool(steps)


def _append(seen: list[bytes], *values: np.ndarray) -> None:
    seen.append(b"".join(value.tobytes() for value in values))


def test_the_first_batch_and_the_last_step_are_the_rules(captured: list[int]) -> None:
    own, episode = Own(_words), random_episode(steps=STEPS)
    made = built("lru", own, episode)
    for batch in range(3):
        with made.machine.showing(episode, "own"):
            own.gradients(made)
        assert len(captured) == batch * 2 * (STEPS - 2)  # of two passes; one step shows the rest, and one is the last
    assert STEPS - 1 not in captured


def test_other_episodes_are_gone_through_step_by_step_first(captured: list[int]) -> None:
    own = Own(_words)
    made = built("lru", own, random_episode(steps=STEPS))
    for steps in (STEPS, STEPS + 3):
        with made.machine.showing(random_episode(steps=steps), "own"):
            own.gradients(made)
    assert not captured


def test_what_is_no_routine_is_never_captured(captured: list[int]) -> None:
    own, episode = Own(_words), random_episode(steps=STEPS)
    made = built("lru", own, episode)
    for _ in range(3):
        with made.machine.showing(episode):
            own.gradients(made)
    assert not captured


class Fickle(Own):
    """Does other things in each batch, which no rule may."""

    batch = 0

    def gradients(self, network: Network) -> None:
        self.batch += 1
        super().gradients(network)


def test_a_strict_machine_carries_out_every_step_and_refuses_a_rule_that_batches_change(captured: list[int]) -> None:
    def does(held: Any, step: Any) -> None:
        late = fickle.batch > 1 and step.index > 5
        held.a.store(step.input + step.input if late else step.input)

    fickle, episode = Fickle(does), random_episode(steps=STEPS)
    made = built("lru", fickle, episode, strict=True)
    with made.machine.showing(episode, "own"):
        fickle.gradients(made)
    with (
        pytest.raises(CausalityError, match="'first': step 6 was like step 0 in the first batch"),
        made.machine.showing(episode, "own"),
    ):
        fickle.gradients(made)
    assert not captured


def test_a_jacobian_without_an_inverse_is_met_in_a_captured_step_too(captured: list[int]) -> None:
    def does(held: Any, step: Any) -> None:
        held.a.store(solve(identity(held.machine, 2) * take(step.input, 0, 1), step.input))

    own, episode = Own(does), random_episode(steps=STEPS)
    made = built("lru", own, episode)
    with made.machine.showing(episode, "own"):
        own.gradients(made)
    singular = random_episode(steps=STEPS)
    singular.inputs[:, 4, 0] = 0.0
    with (
        pytest.raises(SingularJacobianError, match="step 4 in 'first' has no inverse"),
        made.machine.showing(singular, "own"),
    ):
        own.gradients(made)
    assert captured[-1] == 4


class Halver:
    """A unit that halves sums, and does not say how."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine

    def carry_out(self, operation: Any, operands: Any, constants: Any) -> Any:
        machine = self.machine
        value = 0.5 * machine.functions[operation](*(x._value for x in operands))
        head = machine.analog_heads[operation, "halver"]
        return machine.emit_analog(head, value, tuple(x._slot for x in operands), machine.full_scale)


class HalvingChip(Chip):
    def place(self, operation: Any, operands: Any, holder: Any = None) -> Any:
        unit, placed = super().place(operation, operands, holder)
        return (Halver(self) if unit is self.function_circuits and operation is add else unit), placed


def test_a_unit_that_does_not_say_how_it_computes_is_left_to_the_machine(captured: list[int]) -> None:
    both = []
    for routine in (None, "own"):
        own, episode = rule("one_step"), random_episode(steps=STEPS)
        stage = HalvingChip(machine_options("ideal_crossbar"), chips=1, seed=0)
        made = built("lru", own, episode, stage=stage)
        learned(made, own, [episode] * 3, routine)
        both.append(state(made))
    assert both[0] == both[1]
    assert not captured


class Drifting(Port):
    """A memory whose values have become a little larger when they are read."""

    def read(self, register: Any, age: int | None = None) -> np.ndarray:
        return super().read(register, age) * 1.01


class DriftingMachine(IdealMachine):
    def place_storage(self, storage: Any) -> Port:
        return Drifting(self, storage.name) if isinstance(storage, Register) else super().place_storage(storage)


def test_a_port_with_errors_of_its_own_has_them_in_captured_steps_too(captured: list[int]) -> None:
    both = []
    for routine in (None, "own"):
        own, episode = rule("fpe"), random_episode(steps=STEPS)
        made = built("lru", own, episode, stage=DriftingMachine(machine_options("ideal")))
        learned(made, own, [episode] * 3, routine)
        both.append(state(made))
    assert both[0] == both[1]
    assert captured
