"""Rules that own their learning: updates within a sequence, what outlives a batch, stages of training."""

import numpy as np
import pytest
from conftest import built, close, distance, gradient, gradient_of, machine_options, random_episode, rule
from pydantic import BaseModel

from hwsim import initial, learning, machines, tasks
from hwsim.accounts.memory import OPTIMIZER
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import CapabilityError, CausalityError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.rehearsal import rehearse
from hwsim.experiments.run import run
from hwsim.experiments.stages import stages
from hwsim.experiments.system import System
from hwsim.learning import optimizers
from hwsim.learning.bptt import BPTT, carried_errors
from hwsim.learning.rule import Instantaneous, Rule
from hwsim.learning.update import Options as Training
from hwsim.learning.update import Update
from hwsim.machine import Counted, Matrix, resume, snapshot

SGD = {"optimizer": {"name": "sgd", "rate": 0.3}}
SMALL = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}}]}


def updating(made, **changes):
    options = Training.model_validate({**SGD, **changes})
    return Update(made, optimizers.build(options.optimizer, made), options)


def experiment(**changes):
    data = {
        "name": "own",
        "seed": 3,
        "task": {"name": "random", "steps": 8, "width": 2, "train": 24, "test": 6},
        "network": SMALL,
        "learning": {"name": "one_step"},
        "machine": "digital_45nm",
        "training": {**SGD, "batch": 8, "steps": 7, "test_every": 3},
        **changes,
    }
    return config.compose(Document("test", data))


# ---- updates -------------------------------------------------------------------------------------------------


class Online(Rule):
    """One step's truncated gradient, with an update after each part of the sequence; the state goes on."""

    parts = (range(3), range(3, 7))

    def gradients(self, network):
        self._follow(network, lambda part: None)

    def learn(self, network, update):
        batch = network.machine.episode.batch
        self._follow(network, lambda part: update(batch * len(part)))

    def _follow(self, network, after):
        with network.machine.workspace() as workspace:
            states = network.states(workspace)
            for part in self.parts:
                for step in network.machine.forward_pass("part", part):
                    output, seen = network.step(states, step)
                    for level in network.downward(network.loss_error(output, step), seen):
                        level.learn(level.g())
                network.finish_gradient()
                after(part)


def online_by_hand(weights, episode, parts, rate, leak):
    """The same in NumPy, for one layer of leaky tanh units, a linear readout and half the squared distance."""
    W, U, b, V, c = weights
    h = np.zeros((episode.batch, len(b)))
    for part in parts:
        sums = [np.zeros_like(each) for each in (W, U, b, V, c)]
        for t in part:
            x, before = episode.inputs[:, t], h
            s = np.tanh(h @ W.T + x @ U.T + b)
            h = (1 - leak) * h + leak * s
            error = h @ V.T + c - episode.values[:, t]
            drive = leak * (1 - s**2) * (error @ V)
            for total, new in zip(
                sums, (drive.T @ before, drive.T @ x, drive.sum(0), error.T @ h, error.sum(0)), strict=True
            ):
                total += new
        W, U, b, V, c = (
            each - rate / (episode.batch * len(part)) * total for each, total in zip((W, U, b, V, c), sums, strict=True)
        )
    return W, U, b, V, c


def test_a_rule_may_update_within_a_sequence():
    episode, learned = random_episode(target="values"), Online(None)
    made = built(SMALL, learned, episode)
    start = [trainable.values[0].copy() for trainable in made.trainables]
    update = updating(made)
    with made.machine.showing(episode):
        learned.learn(made, update)
    found = online_by_hand(start, episode, Online.parts, 0.3, 0.3)
    for trainable, wanted in zip(made.trainables, found, strict=True):
        np.testing.assert_allclose(trainable.values[0], wanted, rtol=1e-12, atol=1e-14)
    names = [sweep.name for sweep in made.machine.journal.latest.sweeps]
    assert names == ["part", "finish gradient", "update", "programming"] * 2


def test_updates_within_a_sequence_cost_in_a_run_what_is_estimated(monkeypatch):
    monkeypatch.setattr(learning, "build", lambda options: Online(None))
    asked = experiment(task={"name": "random", "steps": 7, "width": 2, "train": 24, "test": 6})
    real, sketch = (each.summary.plain()["systems"]["substrate"] for each in (run(asked), estimate(asked)))
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"])
    assert sketch["energy"]["training_step_j"] == close(real["energy"]["training_step_j"])
    assert sketch["memory"]["peak_bytes"] == real["memory"]["peak_bytes"]


@pytest.mark.parametrize("clip", [None, 0.05])
def test_a_rule_may_change_gradients_before_they_are_clipped(clip):
    episode, learned = random_episode(), rule("one_step")
    made = built("lru stack", learned, episode)
    start = {trainable.name: trainable.master.value[0, 0].copy() for trainable in made.trainables}
    found = gradient_of(made, learned, episode)
    update = updating(made, clip=clip)

    def decayed(trainable, gradient):
        return gradient + 0.5 * trainable.master.load()

    with made.machine.showing(episode):
        update(21, decayed)
    wanted = {name: found[name][0].ravel() / 21 + 0.5 * start[name] for name in start}
    length = np.sqrt(sum(np.square(each).sum() for each in wanted.values()))
    factor = min(1, clip / length) if clip else 1
    assert clip is None or factor < 0.5
    for trainable in made.trainables:
        expected = start[trainable.name] - 0.3 * factor * wanted[trainable.name]
        np.testing.assert_allclose(trainable.master.value[0, 0], expected, rtol=1e-10, atol=1e-13)


def test_an_update_calls_its_hook_before_weights_change():
    episode, learned = random_episode(target="values"), Online(None)
    made = built(SMALL, learned, episode)
    seen, options = [], Training.model_validate(SGD)
    first = made.trainables[0]
    update = Update(
        made, optimizers.build(options.optimizer, made), options, before=lambda: seen.append(first.values.copy())
    )
    with made.machine.showing(episode):
        learned.learn(made, update)
    assert len(seen) == 2
    assert np.abs(seen[1] - seen[0]).max() > 0
    assert np.abs(first.values - seen[1]).max() > 0


def test_weights_change_between_passes_only():
    class Hasty(Online):
        def learn(self, network, update):
            with network.machine.workspace() as workspace:
                states = network.states(workspace)
                for step in network.machine.forward_pass("forward"):
                    network.step(states, step)
                    update(1)

    episode, learned = random_episode(), Hasty(None)
    made = built("lru", learned, episode)
    with pytest.raises(CausalityError, match="before 'forward' is over"), made.machine.showing(episode):
        learned.learn(made, updating(made))


# ---- what outlives a batch -----------------------------------------------------------------------------------


class Fed(Instantaneous):
    """Errors reach the units through a fixed random matrix; an average of the weights is kept beside."""

    recurrent = True

    def prepare(self, network):
        stage, layer = network.machine, network.layers[-1]
        with stage.part(layer.name):
            draw = initial.normal(stage.seed, "feedback", layer.cell.width, network.outputs)
            self.feedback = Matrix(stage, "feedback", "readout", draw)
        self.mean = {each: each.slot(f"{each.name} mean", OPTIMIZER) for each in network.trainables}
        for _ in stage.phase("feedback"):
            self.feedback.program()
        for _ in stage.phase("averages"):
            for trainable, mean in self.mean.items():
                mean.store(trainable.master.load())

    def gradients(self, network):
        with network.machine.workspace() as workspace:
            states = network.states(workspace)
            for step in network.machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                for level in network.downward(network.loss_error(output, step), seen):
                    level.g()  # the readout learns
                    level.learn(self.feedback @ level.error)
        network.finish_gradient()

    def learn(self, network, update):
        super().learn(network, update)
        for _ in network.machine.phase("average"):
            for trainable, mean in self.mean.items():
                mean.store(0.5 * mean.load() + 0.5 * trainable.master.load())


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_what_a_rule_prepares_survives_batches_and_is_charged(on):
    episode, learned = random_episode(), Fed(None)
    without = built(SMALL, rule("one_step"), episode, on=on, chips=2).machine.memory.live.values()
    made = built(SMALL, learned, episode, on=on, chips=2)
    stage = made.machine
    first, feedback, update = {}, learned.feedback.weights.copy(), updating(made)
    first = {each: each.values.copy() for each in made.trainables}
    assert np.abs(feedback).max() > 0
    listed = {name for name, each in stage.memory.live.items() if each.kind == OPTIMIZER}
    assert listed == {f"{each.name} mean" for each in made.trainables}
    width = stage.memory.live["feedback"].total_bits
    means = sum(stage.memory.live[name].total_bits for name in listed)
    devices = sum(each.total_bits for name, each in stage.memory.live.items() if "feedback" in name)
    assert 0 < width <= devices
    more = sum(each.total_bits for each in stage.memory.live.values()) - sum(each.total_bits for each in without)
    assert more == means + devices
    averages = dict(first)
    for _ in range(2):
        with stage.showing(episode):
            learned.learn(made, update)
        averages = {each: (old + each.values) / 2 for each, old in averages.items()}
    assert np.array_equal(learned.feedback.weights, feedback)
    for each, wanted in averages.items():
        np.testing.assert_allclose(
            learned.mean[each].value.reshape(wanted.shape), wanted, rtol=1e-5 if on != "ideal" else 1e-14, atol=1e-9
        )
        assert np.abs(each.values - first[each]).max() > 0


def test_what_a_rule_prepares_is_made_in_run_rehearsal_and_estimate_alike(monkeypatch):
    made = []

    class Noting(Fed):
        def prepare(self, network):
            made.append(network.machine)
            super().prepare(network)

    monkeypatch.setattr(learning, "build", lambda options: Noting(None))
    asked = experiment(gradient_check={"sequences": 4})
    real, sketch = (each.summary.plain()["systems"]["substrate"] for each in (run(asked), estimate(asked)))
    assert len({id(stage) for stage in made}) >= 4  # footprint, rehearsal, check, training, estimate
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"])
    assert sketch["memory"]["peak_by_class"] == real["memory"]["peak_by_class"]
    assert sketch["memory"]["peak_by_class"][OPTIMIZER] > 0  # plain descent has no slots


def test_a_run_goes_on_with_what_its_rule_had_prepared():
    """Phases that made it are over where a snapshot was taken, and are not carried out again on changed weights."""
    episode = random_episode()

    def learner(stage):
        learned = Fed(None)
        made = built(SMALL, learned, episode, stage=stage)
        return made, learned, updating(made)

    stage = machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)
    made, learned, update = learner(stage)
    with stage.showing(episode):
        learned.learn(made, update)
    snapshots = []
    stage.sequencer.after_step = lambda: snapshots.append(snapshot(stage))
    found = gradient_of(made, learned, episode)
    means = {each.name: mean.value.copy() for each, mean in learned.mean.items()}
    for shot in snapshots[:2]:
        other = machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)
        resume(other, shot)
        again, resumed, _ = learner(other)
        assert {each.name: mean.value.tobytes() for each, mean in resumed.mean.items()} == {
            name: mean.tobytes() for name, mean in means.items()
        }
        assert distance(gradient_of(again, resumed, episode), found) == 0


def test_a_rule_checks_the_network_in_the_run_too(monkeypatch):
    class Picky(Fed):
        def check(self, network):
            if network.machine.chips > 1:
                raise CapabilityError("too many chips")

    monkeypatch.setattr(learning, "build", lambda options: Picky(None))
    asked = experiment(machine="pcm_crossbar", chips=2)
    ((name, options),) = asked.systems().items()
    data = tasks.build(asked.task, 3)
    rehearse(asked, name, options, data.train)  # with one chip
    with pytest.raises(CapabilityError, match="too many chips"):
        System(asked, name, options, data, {}).run(lambda *_: None)


# ---- a second set of states ----------------------------------------------------------------------------------


class Blocks(BPTT):
    """Errors are cut at the borders of blocks of k steps; the states go on."""

    def __init__(self, k):
        super().__init__(learning.RULES["bptt"].Options(name="bptt"))
        self.k = k

    def gradients(self, network):
        machine, steps = network.machine, network.machine.episode.steps
        with machine.workspace(keep_inputs=True) as workspace:
            states, tapes = self.open(network, workspace)
            behind = network.states(workspace, "behind")
            carried = carried_errors(network, workspace)
            for block in machine.rounds([range(at, min(at + self.k, steps)) for at in range(0, steps, self.k)]):
                for step in machine.forward_pass("forward", block):
                    network.step(states, step, tapes)
                for step in machine.backward_pass("backward", block):
                    output, seen = network.recall(states, step, tapes, "state", behind)
                    for level in network.downward(network.loss_error(output, step), seen):
                        later = carried[level.layer]
                        delta = level.g() if step.begins else level.plus_g(later.load())
                        later.store(level.cell.transposed(level.at, delta, level.learn(delta)))
        network.finish_gradient()


@pytest.mark.parametrize("network", ["lru stack", "tanh stack"])
def test_states_go_on_while_a_second_set_goes_back(network):
    """Cut after each step, errors are those of one step; never cut, those of backpropagation, to the last bit."""
    episode = random_episode()
    found = {k: gradient_of(built(network, Blocks(k), episode), Blocks(k), episode) for k in (1, 7)}
    assert distance(found[1], gradient(network, "one_step", episode)) < 1e-13
    assert distance(found[7], gradient(network, "bptt", episode)) == 0
    assert distance(found[1], found[7]) > 0.01


def test_a_second_set_of_states_has_names_of_its_own():
    episode, learned = random_episode(), rule("one_step")
    made = built("lru stack", learned, episode)
    with made.machine.showing(episode), made.machine.workspace() as workspace:
        names = [[each.name for each in made.states(workspace, prefix).all()] for prefix in ("", "behind")]
    assert names[0] == ["layer 1 h", "layer 2 h", "pooled output"]
    assert names[1] == [f"behind {name}" for name in names[0]]


# ---- stages of training --------------------------------------------------------------------------------------


class Times(BaseModel):
    times: int = 1


class Again(Rule):
    """The input is shown so many times, and more often as training goes on, before errors of one step are learned."""

    def at(self, update, updates):
        return self.but(times=1 + update // 3)

    def gradients(self, network):
        with network.machine.workspace(keep_inputs=True) as workspace:
            states = network.states(workspace)
            for number in range(self.options.times):
                for step in network.machine.forward_pass("forward"):
                    output, seen = network.step(states, step)
                    if number == self.options.times - 1:
                        for level in network.downward(network.loss_error(output, step), seen):
                            level.learn(level.g())
        network.finish_gradient()


def test_equal_stages_are_taken_together():
    found = [(stage.rule.options.times, stage.batches) for stage in stages(Again(Times()), 7)]
    assert found == [(1, [0, 1, 2]), (2, [3, 4, 5]), (3, [6])]

    class Alternating(Again):
        def at(self, update, updates):
            return self.but(times=1 + update % 2)

    assert [stage.batches for stage in stages(Alternating(Times()), 5)] == [[0, 2, 4], [1, 3]]
    assert [list(stage.batches) for stage in stages(rule("bptt"), 4)] == [[0, 1, 2, 3]]


def test_a_stage_has_what_the_rule_prepared():
    class Changing(Fed):
        def at(self, update, updates):
            return self.but(times=update)

    episode, learned = random_episode(), Changing(Times())
    built(SMALL, learned, episode)
    assert learned.at(5, 9).feedback is learned.feedback
    assert (learned.at(5, 9).options.times, learned.options.times) == (5, 1)


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar_in_the_loop"])
def test_a_curriculum_costs_in_a_run_what_is_estimated(monkeypatch, on):
    monkeypatch.setattr(learning, "build", lambda options: Again(Times()))
    asked = experiment(machine=on)
    real, sketch = (each.summary.plain()["systems"]["substrate"] for each in (run(asked), estimate(asked)))
    for system in (real, sketch):
        assert system["time"]["passes"] == 2  # in the middle of training
    near = 1e-9 if on == "digital_45nm" else 0.02  # activities are expected ones
    assert sketch["energy"]["run_j"] == close(real["energy"]["run_j"], rel=near)
    assert sketch["energy"]["training_step_j"] == close(real["energy"]["training_step_j"], rel=near)
    assert sketch["memory"]["peak_bytes"] == real["memory"]["peak_bytes"]
    assert sketch["time"]["training_step_s"] == close(real["time"]["training_step_s"])
    longer = estimate(experiment(machine=on, training={**SGD, "batch": 8, "steps": 6, "test_every": 3}))
    assert longer.summary.plain()["systems"]["substrate"]["energy"]["run_j"] < 0.95 * sketch["energy"]["run_j"]


def test_the_rehearsal_takes_the_last_stage_and_the_check_the_first(monkeypatch):
    shown, gradients = [], Again.gradients

    def noted(self, network):
        numerics = network.machine.numerics
        if not isinstance(numerics, Counted):  # the footprint's
            shown.append((numerics.exact, network.machine.strict, self.options.times))
        gradients(self, network)

    monkeypatch.setattr(Again, "gradients", noted)
    monkeypatch.setattr(learning, "build", lambda options: Again(Times()))
    run(experiment(gradient_check={"sequences": 4}))
    training = [(True, False, times) for times in (1, 1, 1, 2, 2, 2, 3)]
    assert shown == [(True, False, 3), (True, True, 1), *training]
