"""Captured steps give the same bytes as steps that the rule carries out, in values and in all accounts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import RULES, SPARSE, built, random_episode, rule

from hwsim.episode import Episode
from hwsim.errors import CausalityError, HwsimError, SingularJacobianError
from hwsim.experiments.evaluation import Meter
from hwsim.learning import Rule
from hwsim.learning.optimizers import build as optimizer
from hwsim.learning.update import Options, Update
from hwsim.machine.captured import Captured
from hwsim.networks import Network
from hwsim.operations import identity, join, plus_identity, signs, solve, take

UPDATE = Options.model_validate({"optimizer": {"name": "adamw", "rate": 0.01}, "clip": 1.0})
MACHINES = ("ideal", "digital_45nm_fp16", "pcm_crossbar", "pcm_crossbar_in_the_loop", "hermes_14nm")
STEPS = 9


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
    ("network", "machine"),
    [
        *((network, machine) for network in ("lru stack", "tanh stack", "gru") for machine in MACHINES),
        ("lstm", "ideal"),
        *((SPARSE, machine) for machine in MACHINES[:2]),
    ],
)
@pytest.mark.parametrize("learner", RULES)
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
    assert isinstance(both[0], str) or learner == "bptt checkpoints" or len(captured) >= STEPS - 4


class Own(Rule):
    """Does in each step what `does` says, with registers, a delay line and a queue at hand."""

    def __init__(self, does: Callable[[Any, Any], None]) -> None:
        super().__init__(None)
        self.does = does

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
                for step in machine.forward_pass(name):
                    machine.probe("held", held.a.load(), held.b.load())
                    self.does(held, step)


def _taps_and_queues(held: Any, step: Any) -> None:
    held.line.store(step.input)
    held.queue.put(step.input + held.line.tap(2))
    if not step.begins:
        held.a.store(held.queue.get() - held.line.load())


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
    [(_taps_and_queues, 1), (_words, 1), (_of_the_step, 1), (_solves, 1), (_branches, 0), (_numbers, 0), (_signs, 0)],
)
def test_a_rule_of_ones_own(does: Any, steps: int, machine: str, captured: list[int]) -> None:
    """What changes from step to step is left to the rule."""
    both = []
    for routine in (None, "own"):
        own, episodes = Own(does), [random_episode(seed, steps=STEPS) for seed in range(3)]
        made, seen = built("lru", own, episodes[0], on=machine), []
        made.machine.watchers["held"] = partial(_append, seen)
        for episode in episodes:
            with made.machine.showing(episode, routine):
                own.gradients(made)
        both.append((seen, state(made)))
    assert both[0] == both[1]
    assert len(both[0][0]) == 2 * STEPS * len(episodes)
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
        pytest.raises(CausalityError, match="'first': step 6 was like the one before it"),
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
