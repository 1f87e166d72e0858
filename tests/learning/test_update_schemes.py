"""Update schemes: weights, energy, writes and memory against closed forms and NumPy, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import NETWORKS, SPARSE, close, gradient_of, machine_options, random_episode, rule

from hwsim import machines, networks, tasks
from hwsim.accounts.energy import Tariff, grouped
from hwsim.accounts.memory import ACCUMULATORS, MASTER, OPTIMIZER, WEIGHTS
from hwsim.accounts.passes import ONCE
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.footprint import footprint
from hwsim.experiments.ranging import calibrate
from hwsim.experiments.rehearsal import rehearse
from hwsim.experiments.run import run
from hwsim.learning import Rule, optimizers, updates
from hwsim.learning.rtrl import RTRL
from hwsim.learning.update import Options, Update
from hwsim.machine import Machine, Matrix, resume, snapshot
from hwsim.networks import Network

TANH: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]}
LRU: dict[str, Any] = {"layers": [{"cell": {"name": "lru", "modes": 3}}]}
SHEETS = {"pcm_crossbar": 2.0 * 150e-6 * 150e-9, "rram_crossbar": None, "measured": 50e-12}
"""The energy of a pulse, in joules; None where it depends on the conductance."""
MEASURED = {
    "like": "pcm_crossbar",
    "device": {
        "like": "pcm_gst_90nm",
        "write": {
            "law": "energy",
            "energy": {"value": "50 pJ", "assumed": "for this test"},
            "time": {"value": "100 ns", "assumed": "for this test"},
            "pulses": {"value": 3, "assumed": "for this test"},
        },
    },
}


class Learner(NamedTuple):
    made: Network
    rule: Rule
    update: Update

    def learn(self, episode: Episode, routine: bool = False) -> None:
        with self.made.machine.showing(episode, self.rule.routine if routine else None):
            self.rule.learn(self.made, self.update)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return {each.name: each.values.copy() for each in self.made.trainables}

    @property
    def held(self) -> dict[str, int]:
        """Values held, by class."""
        live = self.made.machine.memory.live.values()
        return {kind: sum(one.values for one in live if one.kind == kind) for kind in {one.kind for one in live}}


def learner(
    update: dict[str, Any],
    network: Any = TANH,
    on: Any = "ideal",
    learns: Any = "one_step",
    rate: float = 0.2,
    stage: Machine | None = None,
    strict: bool = False,
    learner_of: type[Rule] | None = None,
) -> Learner:
    """A network that learns by an update scheme."""
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": rate}, "update": update})
    stage = stage or machines.build(machine_options(on), seed=1, strict=strict)
    scheme, found = updates.build(options.update), rule(learns)
    if learner_of is not None:
        found = learner_of(found.options)
    scheme.check(stage, found, 1)
    scheme.place(stage)
    made = Network(stage, networks.Options.model_validate(network), 2, 3, found.uses)
    scheme.prepare(made)
    made.begin_training()
    found.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    return Learner(made, found, Update(made, optimizers.build(options.optimizer, made), options, scheme=scheme))


def one(seed: int = 0, steps: int = 7, batch: int = 1) -> Episode:
    return random_episode(seed, batch=batch, steps=steps)


def experiment(update: dict[str, Any], **changes: Any) -> Any:
    training = {"optimizer": {"name": "sgd", "rate": 0.3}, "batch": 1, "steps": 3, "update": update}
    data = {
        "name": "pulsed",
        "seed": 3,
        "task": {"name": "random", "steps": 12, "width": 2, "train": 6, "test": 2},
        "network": TANH,
        "learning": {"name": "one_step"},
        "machine": "pcm_crossbar",
        "training": {**training, **changes.pop("training", {})},
        **changes,
    }
    return config.compose(Document("test", data))


def parallel(sequences: int) -> dict[str, Any]:
    return {"like": "digital_45nm", "parts": {"dataflow": {"batch_parallel": sequences}}}


# ---- in situ -------------------------------------------------------------------------------------------------


def online(w: dict[str, np.ndarray], episode: Episode, rate: float, step: dict[str, float] | None = None) -> None:
    """One-step truncated gradient descent, step by step, in NumPy; changes `w` in place."""
    W, U, b, V, c = (w[f"layer 1 {name}"] for name in ("W", "U", "b", "V1", "V1 b"))
    h = np.zeros((episode.batch, 4))
    for t in range(episode.steps):
        x, before = episode.inputs[:, t], h
        s = np.tanh(h @ W.T + x @ U.T + b)
        h = 0.7 * h + 0.3 * s
        scores = np.exp(h @ V.T + c)
        error = scores / scores.sum(1, keepdims=True) - np.eye(3)[episode.labels[:, t]]
        drive = 0.3 * (1 - s * s) * (error @ V)
        changes = {"W": drive.T @ before, "U": drive.T @ x, "b": drive.sum(0), "V1": error.T @ h, "V1 b": error.sum(0)}
        for name, change in changes.items():
            change = -rate * change
            if step and name in step:
                change = step[name] * np.clip(np.rint(change / step[name]), -2, 2)
            w[f"layer 1 {name}"] += change


@pytest.mark.parametrize("levels", [None, 100])
def test_in_situ_with_one_step_is_online_gradient_descent(levels: int | None) -> None:
    found = learner({"name": "in_situ", "levels": levels, "longest": 2})
    wanted = {name: value[0] for name, value in found.weights.items()}
    steps = None
    if levels:
        matrices = [each.trainable for each in found.made.machine.units if isinstance(each, Matrix)]
        steps = {each.name.removeprefix("layer 1 "): 2 * each.largest / levels for each in matrices}
    for seed in range(3):
        online(wanted, one(seed), 0.2, steps)
        found.learn(one(seed), routine=True)
    start = learner({"name": "accumulate"}).weights
    for name, value in found.weights.items():
        np.testing.assert_allclose(value[0], wanted[name], rtol=1e-12, atol=1e-12)
        assert np.abs(value - start[name]).max() > 0.01


def test_sequences_that_are_worked_on_side_by_side_change_the_weights_together() -> None:
    found = learner({"name": "in_situ"}, on=parallel(3))
    wanted = {name: value[0].astype(float) for name, value in found.weights.items()}
    online(wanted, one(batch=3), 0.2)
    found.learn(one(batch=3))
    for name, value in found.weights.items():
        np.testing.assert_allclose(value[0], wanted[name], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("network", ["lru stack", "tanh stack", "gru", "lstm"])
def test_at_a_small_rate_all_parameters_follow_the_gradient_of_the_sum_of_losses(network: str) -> None:
    rate, episode = 1e-9, one()
    exact = learner({"name": "accumulate"}, NETWORKS[network])
    gradient = gradient_of(exact.made, exact.rule, episode)
    found = learner({"name": "in_situ"}, NETWORKS[network], rate=rate)
    before = found.weights
    found.learn(episode)
    for name, value in found.weights.items():
        np.testing.assert_allclose((before[name] - value) / rate, gradient[name], rtol=1e-4, atol=1e-6)
    summed = {name for name in gradient if name.endswith((" nu", " theta", " log gamma"))}
    sums = [one for one in found.made.machine.memory.live.values() if one.kind == ACCUMULATORS]
    assert len(sums) == len(summed) * 4 // 3  # and those of λ


@pytest.mark.parametrize("on", ["ideal", "digital_45nm_fp16", "pcm_crossbar", "pcm_crossbar_in_the_loop"])
@pytest.mark.parametrize("network", [TANH, LRU], ids=["tanh", "lru"])
def test_nothing_depends_on_how_the_steps_are_carried_out(network: Any, on: str) -> None:
    """Strict machines poison what outlives its step; others capture steps that are alike, if nothing is pulsed."""
    ways = [learner({"name": "in_situ"}, network, on, strict=strict) for strict in (False, True, False)]
    for seed in range(3):
        for number, way in enumerate(ways):
            way.learn(one(seed), routine=number == 0)
    for name, value in ways[0].weights.items():
        assert all(value.tobytes() == other.weights[name].tobytes() for other in ways[1:])


@pytest.mark.parametrize("on", ["ideal", "digital_45nm_fp16", "pcm_crossbar", "rram_crossbar"])
@pytest.mark.parametrize("update", ["in_situ", "mixed_precision"])
def test_a_run_goes_on_from_a_snapshot_within_a_pass(update: str, on: str) -> None:
    asked = {"name": update, "levels": 40}
    stage = machines.build(machine_options(on), seed=1)
    found, shots = learner(asked, LRU, stage=stage), []
    found.learn(one())
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found.learn(one(1))
    other = machines.build(machine_options(on), seed=1)
    resume(other, shots[2])
    again = learner(asked, LRU, stage=other)
    again.learn(one(1))
    for name, value in found.weights.items():
        assert again.weights[name].tobytes() == value.tobytes()


# ---- mixed precision -----------------------------------------------------------------------------------------


def matrices(found: Learner) -> dict[str, Any]:
    return {each.name: each for each in found.made.trainables if isinstance(each.holder, Matrix)}


@pytest.mark.parametrize("longest", [1, 10])
def test_mixed_precision_pulses_whole_steps_and_keeps_the_rest(longest: int) -> None:
    found = learner({"name": "mixed_precision", "levels": 200, "longest": longest}, LRU, learns="fpe", rate=0.5)
    twin = learner({"name": "accumulate"}, LRU, learns="fpe", rate=0.5)
    pulsed, wanted = matrices(found), found.weights
    chi = {name: np.zeros_like(wanted[name]) for name in pulsed}
    given = dict.fromkeys(pulsed, 0)
    for seed in range(12):
        for trainable in twin.made.trainables:  # the gradient at the weights that the pulses led to
            trainable.master.value = wanted[trainable.name].reshape(trainable.master.value.shape).copy()
        twin.made.program()
        gradient = gradient_of(twin.made, twin.rule, one(seed))
        for trainable in twin.made.trainables:
            change = -0.5 * gradient[trainable.name].reshape(wanted[trainable.name].shape) / 7
            name = trainable.name
            if name in pulsed:
                step = 2 * trainable.largest / 200
                chi[name] += change
                pulses = np.clip(np.sign(chi[name]) * np.floor(np.abs(chi[name]) / step), -longest, longest)
                chi[name] -= pulses * step
                given[name] += int(np.abs(pulses).sum())
                change = pulses * step
            wanted[name] = wanted[name] + change
        for storage in twin.made.machine.holdings.accumulators():
            storage.value[:] = 0
        found.learn(one(seed))
    storages = found.made.machine.storages
    for name, value in found.weights.items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-9, atol=1e-12)
    for name in pulsed:
        held = storages[f"{name} chi"].value.reshape(chi[name].shape)
        np.testing.assert_allclose(held, chi[name], rtol=1e-6, atol=1e-12)
        assert given[name] > 5


@pytest.mark.parametrize("on", ["ideal", "ideal_crossbar", "pcm_crossbar"])
def test_the_long_run_of_mixed_precision_is_gradient_descent(on: str) -> None:
    """A gradient far below a pulse moves weights as far as gradient descent does, but for less than one pulse."""
    found, times, rate = learner({"name": "mixed_precision", "levels": 50}, on=on, rate=0.01), 300, 0.01
    matrix = found.made.layers[0].cell.U
    machine, name, step = found.made.machine, matrix.name, matrix.trainable.pulses.step
    before = matrix.programmed.astype(float)
    slope = np.linspace(-0.9, 0.9, before.size).reshape(before.shape[1:]) * 20 * step / (rate * times)
    assert np.abs(rate * slope).max() < 0.1 * step
    for _ in range(times):
        machine.storages[f"{name} gradient"].value[:] = slope
        with machine.showing(one()):
            found.update(1)
    moved, wanted = matrix.programmed - before, -rate * times * slope
    assert np.abs(moved - wanted).max() <= step * (1 + 1e-3)
    chi = machine.storages[f"{name} chi"].value.reshape(before.shape)
    np.testing.assert_allclose(moved + chi, np.broadcast_to(wanted, moved.shape), atol=2e-3 * step)


# ---- energy, time, writes and memory -------------------------------------------------------------------------


@pytest.mark.parametrize("on", SHEETS)
@pytest.mark.parametrize("update", ["in_situ", "mixed_precision"])
def test_pulses_cost_what_the_data_sheet_says_of_each(update: str, on: str) -> None:
    found = learner({"name": update, "longest": 3}, on=MEASURED if on == "measured" else on, rate=2.0)
    machine, arrays = found.made.machine, found.made.machine.devices.arrays
    machine.journal.collect()
    before = sum(int(array.writes.sum()) for array in arrays.values())
    met = 0.0
    for seed in range(2):
        found.learn(one(seed))
    written = sum(int(array.writes.sum()) for array in arrays.values()) - before
    totals, traces = machine.journal.totals, machine.journal.traces
    for trace, activities in totals.activities.items():
        first = 0
        for record in traces[trace]:
            count = machine.prices().activities(record)
            if count and record.kind in ("pulse", "pulse outer"):  # those of biases are digital
                met += float(activities[first + 1, 0])
            first += count
    spent = grouped(Tariff(traces, machine.prices()).of_totals(totals, 0.0), "component")["pulses"].energy
    each = SHEETS[on]
    assert written > 20
    assert machine.devices.written[0] == before + written
    assert spent == close(written * each if each else met * 1.75**2 * 8.52e-6)
    if not each:
        assert 1e-6 < met / written < 40e-6  # siemens


@pytest.mark.parametrize(("update", "rows"), [("in_situ", 1), ("mixed_precision", 4)])
def test_the_time_of_pulses_is_that_of_the_longest_train(update: str, rows: int) -> None:
    found = learner({"name": update, "levels": 50, "longest": 3}, on="pcm_crossbar")
    found.learn(one())
    machine = found.made.machine
    prices, kind = machine.prices(), "pulse" if update == "mixed_precision" else "pulse outer"
    records = {record for trace in machine.journal.traces for record in trace if record.kind == kind}
    (W,) = (record for record in records if record.writes == "layer 1 W devices")
    assert prices.occupied(W).duration == 3 * rows * 150_000  # picoseconds


def test_pulses_in_digital_memory_read_and_write_each_weight_in_each_step() -> None:
    found = learner({"name": "in_situ"}, on="digital_45nm")
    machine = found.made.machine
    machine.journal.collect()
    found.learn(one(steps=7))
    prices = machine.prices()
    parameters, total = 4 * 4 + 4 * 2 + 4 + 3 * 4 + 3, 0.0
    for (_, trace), times in machine.journal.totals.in_sweeps().items():
        for record in machine.journal.traces[trace]:
            if record.kind in ("pulse", "pulse outer"):
                assert record.purpose == "weight write"
                moved = Counter[str]()
                for move in prices.memory.moves(record, ONCE):
                    moved[f"{move.memory} {move.way}"] += move.amount
                assert moved["weight memory read"] == moved["weight memory write"]
                total += times * moved["weight memory write"]
    assert total == 32 * parameters * 7


def test_the_memory_of_each_scheme() -> None:
    """Crossbars hold matrices in devices; only what programs them to a target keeps a copy, and the last step."""
    matrix, others = 4 * 4 + 4 * 2 + 3 * 4, 4 + 3
    words = {WEIGHTS: matrix + others}
    sums = {ACCUMULATORS: matrix + others}
    wanted = {
        "accumulate": {**words, **sums, MASTER: 2 * matrix + others},
        "mixed_precision": {**words, **sums, MASTER: others, OPTIMIZER: matrix},
        "in_situ": {**words, MASTER: others},
    }
    for name, values in wanted.items():
        assert learner({"name": name}, on="pcm_crossbar").held == values
        levels = {"levels": 10} if name == "mixed_precision" else {}
        held = {kind: count for kind, count in values.items() if kind != MASTER}
        assert learner({"name": name, **levels}, on="ideal").held == held
    hosted = learner({"name": "in_situ"}, on="pcm_crossbar_in_the_loop").held
    assert hosted == {**words, MASTER: 2 * matrix + others}  # the host has its own weights


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
@pytest.mark.parametrize("update", [{"name": "in_situ"}, {"name": "mixed_precision", "levels": 64}])
def test_estimates_and_the_footprint_follow(update: dict[str, Any], on: str) -> None:
    asked = experiment(update, machine=on)
    done, expected = run(asked).summary.systems["substrate"], estimate(asked).summary.systems["substrate"]
    assert done.memory == expected.memory
    assert done.time == expected.time
    assert footprint(asked).peak.size > 0
    if on == "digital_45nm":
        assert done.energy.training_step_j == close(expected.energy.training_step_j)
    else:
        assert done.weights is not None
        assert expected.weights is not None
        tolerance = 0.1 if update["name"] == "in_situ" else 0.5  # whole pulses depend on values
        assert done.weights.writes == close(expected.weights.writes, rel=tolerance)


# ---- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "training", "text"),
    [
        ("in_situ", {"clip": 1.0}, "nothing can be clipped"),
        ("in_situ", {"optimizer": {"name": "adamw", "rate": 0.1}}, "in_situ takes plain gradient descent"),
        ("in_situ", {"optimizer": {"name": "sgd", "rate": 0.1, "momentum": 0.9}}, "without momentum"),
        ("mixed_precision", {"optimizer": {"name": "adamw", "rate": 0.1}}, "mixed_precision takes plain"),
        ("tiki_tak", {}, "tiki_tak"),
    ],
)
def test_options_that_do_not_go_together(update: str, training: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        experiment({"name": update}, training=training)


def rehearsed(asked: Any) -> None:
    """Rehearse a system of an experiment, as a run does before anything else."""
    (options,) = asked.systems().values()
    rehearse(asked, "substrate", options, *tasks.outline(asked.task))


@pytest.mark.parametrize("learns", ["fpe", "rtrl", "bptt"])
def test_rules_that_need_constant_weights_do_not_learn_in_situ(learns: str) -> None:
    asked = experiment({"name": "in_situ"}, learning={"name": learns}, machine="digital_45nm")
    with pytest.raises(ConfigError, match=f"{learns} needs them constant"):
        rehearsed(asked)
    with pytest.raises(ConfigError, match=f"{learns} needs them constant"):
        estimate(asked)


@pytest.mark.parametrize("on", ["ideal", "digital_45nm", "pcm_crossbar"])
def test_sequences_that_are_worked_on_one_after_another_do_not_learn_in_situ(on: str) -> None:
    with pytest.raises(ConfigError, match=r"set training\.batch to 1"):
        rehearsed(experiment({"name": "in_situ"}, training={"batch": 4}, machine=on))
    rehearsed(experiment({"name": "in_situ"}, training={"batch": 4}, machine=parallel(4)))


def test_machines_without_devices_have_to_be_told_how_large_a_pulse_is() -> None:
    with pytest.raises(ConfigError, match="give `levels`"):
        rehearsed(experiment({"name": "mixed_precision"}, machine="digital_45nm"))


def regularised(found: Learner, regularise: Any) -> None:
    """Learn by a rule that changes gradients before they are used."""
    with found.made.machine.showing(one()):
        found.rule.gradients(found.made)
        found.update(7, regularise)


def test_weights_that_devices_alone_hold_are_not_read_as_numbers() -> None:
    asked = experiment({"name": "mixed_precision"}, learning={"name": "fpe"})
    with pytest.raises(CapabilityError, match="layer 1 W is read as plain numbers"):
        rehearsed(asked)
    found = learner({"name": "mixed_precision"}, on="pcm_crossbar")
    with pytest.raises(CapabilityError, match="devices alone hold it"):
        regularised(found, lambda trainable, gradient: gradient + 0.1 * trainable.master.load())
    rehearsed(experiment({"name": "mixed_precision"}, learning={"name": "fpe"}, machine="pcm_crossbar_in_the_loop"))


def test_what_is_refused_in_situ_besides() -> None:
    with pytest.raises(CapabilityError, match="is sparse, and in_situ changes dense matrices"):
        learner({"name": "in_situ"}, SPARSE)
    found = learner({"name": "in_situ"})
    with pytest.raises(CapabilityError, match="has changed the weights already"):
        regularised(found, lambda trainable, gradient: gradient)


def test_a_gradient_check_compares_gradients_whatever_the_scheme() -> None:
    asked = experiment({"name": "in_situ"}, gradient_check={"sequences": 2}, machine="digital_45nm")
    plain = experiment({"name": "accumulate"}, gradient_check={"sequences": 2}, machine="digital_45nm")
    found, wanted = (run(each).summary.systems["substrate"].gradient for each in (asked, plain))
    assert found == wanted


def test_weights_that_diverge_in_situ_are_reported() -> None:
    training = {"optimizer": {"name": "sgd", "rate": 1e100}}
    asked = experiment({"name": "in_situ"}, training=training, machine="ideal", network=LRU)
    assert run(asked).summary.systems["substrate"].diverged is not None


class Stale(RTRL):
    """Sensitivities carried on while weights change, which is an approximation that RTRL itself does not make."""

    in_place = True


@pytest.mark.parametrize("network", [TANH, LRU], ids=["tanh", "lru"])
@pytest.mark.parametrize("on", ["ideal", "pcm_crossbar"])
def test_a_rule_may_add_a_number_for_each_weight(network: Any, on: str) -> None:
    """No outer product: each weight, or device, gets a change of its own."""
    rate = 1e-9 if on == "ideal" else 0.01
    found, episode = learner({"name": "in_situ"}, network, on, rate=rate, learns="rtrl", learner_of=Stale), one()
    exact = learner({"name": "accumulate"}, network, on, "rtrl")
    gradient = gradient_of(exact.made, exact.rule, episode)
    before = {**found.weights, **{name: each.holder.programmed.copy() for name, each in matrices(found).items()}}
    found.learn(episode)
    for name, value in found.weights.items():
        tolerance = {"rtol": 1e-4, "atol": 1e-6} if on == "ideal" else {"rtol": 0.1, "atol": 0.2}
        np.testing.assert_allclose((before[name] - value) / rate, gradient[name], **tolerance)
    kinds = {record.kind for trace in found.made.machine.journal.traces for record in trace}
    assert {"pulse", "pulse outer"} <= kinds  # the readout has outer products


# ---- with other rules, and beside other systems --------------------------------------------------------------

FORWARD = {
    "spatial": {"name": "spatial"},
    "eprop": {"name": "eprop", "feedback": "random"},
    "adaptive": {"name": "eprop", "feedback": "adaptive"},
    "window": {"name": "tbptt", "k": 3},
    "lagged": {"name": "fpe_lagged", "lag": 3, "every": 1},
}


@pytest.mark.parametrize("learns", FORWARD)
@pytest.mark.parametrize("network", [TANH, LRU], ids=["tanh", "lru"])
def test_rules_that_go_forward_once_learn_in_situ(network: Any, learns: str) -> None:
    rate, episode, asked = 1e-9, one(), FORWARD[learns]
    exact = learner({"name": "accumulate"}, network, learns=asked)
    gradient = gradient_of(exact.made, exact.rule, episode)
    found = learner({"name": "in_situ"}, network, learns=asked, rate=rate)
    before = found.weights
    found.learn(episode)
    for name, value in found.weights.items():
        np.testing.assert_allclose((before[name] - value) / rate, gradient[name], rtol=1e-4, atol=1e-6)
    if learns != "adaptive":  # feedback that learns has master values of its own
        rehearsed(experiment({"name": "in_situ"}, learning=asked, network=network))


@pytest.mark.parametrize("update", ["in_situ", "mixed_precision"])
def test_feedback_that_learns_needs_master_values(update: str) -> None:
    asked = experiment({"name": update}, learning=FORWARD["adaptive"])
    with pytest.raises(CapabilityError, match="feedback learns beside the network"):
        rehearsed(asked)


@pytest.mark.parametrize("options", [{"name": "tbptt", "k": 3, "kind": "block"}, {"name": "fptt"}, {"name": "uoro"}])
def test_rules_that_correct_or_go_back_do_not_learn_in_situ(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs them constant"):
        rehearsed(experiment({"name": "in_situ"}, learning=options, machine="digital_45nm"))


def test_weights_that_pulses_change_are_not_set_to_averages() -> None:
    update, changes = {"name": "mixed_precision", "levels": 50}, {"machine": "digital_45nm"}
    with pytest.raises(ConfigError, match="pulses alone change them"):
        rehearsed(experiment(update, learning={"name": "fptt"}, **changes))
    rehearsed(experiment(update, learning={"name": "fptt", "tested_at": "weights"}, **changes))
    found = learner(update)

    def averaged() -> None:
        for _ in found.made.machine.phase("averages"):
            found.made.layers[0].cell.W.trainable.master.store(found.made.layers[0].cell.W.trainable.master.load())

    with pytest.raises(CapabilityError, match="layer 1 W is set to other values"), found.made.machine.showing(one()):
        averaged()


def test_a_calibration_changes_no_weights() -> None:
    found = learner({"name": "in_situ"}, on={"like": "pcm_crossbar", "parts": {"ranges": "auto"}})
    found.learn(one())
    before, machine = found.weights, found.made.machine
    writes = sum(int(array.writes.sum()) for array in machine.devices.arrays.values())
    calibrate(found.made, found.rule, one(2, batch=4))
    for name, value in found.weights.items():
        assert value.tobytes() == before[name].tobytes()
    assert sum(int(array.writes.sum()) for array in machine.devices.arrays.values()) == writes
    found.learn(one())
    assert any(value.tobytes() != before[name].tobytes() for name, value in found.weights.items())


def test_references_may_have_schemes_of_their_own() -> None:
    def exact(**changes: Any) -> dict[str, Any]:
        return {"name": "exact", "machine": "digital_45nm", "learning": {"name": "bptt"}, **changes}

    with pytest.raises(ConfigError, match="bptt needs them constant"):
        run(experiment({"name": "in_situ"}, references=[exact()]))
    done = run(experiment({"name": "in_situ"}, references=[exact(update={"name": "accumulate"})]))
    classes = {name: one.memory.peak_by_class for name, one in done.summary.systems.items()}
    assert "gradient accumulators" not in classes["substrate"]
    assert classes["exact"]["gradient accumulators"] > 0
    training = {"optimizer": {"name": "adamw", "rate": 0.1}}
    with pytest.raises(ConfigError, match="in_situ takes plain gradient descent"):
        experiment({"name": "accumulate"}, training=training, references=[exact(update={"name": "in_situ"})])


def test_gradients_that_are_not_summed_cannot_be_checked_later_on() -> None:
    with pytest.raises(ConfigError, match="sums no gradients in training"):
        experiment({"name": "in_situ"}, gradient_check={"sequences": 2, "every": 1})
    done = run(experiment({"name": "mixed_precision"}, gradient_check={"sequences": 2, "every": 1}))
    assert done.summary.systems["substrate"].gradient is not None
