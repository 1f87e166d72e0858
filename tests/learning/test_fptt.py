"""Forward propagation through time equals its equations: parts, losses, updates, averages, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import built, close, distance, gradient, gradient_of, random_episode, rule
from plain import Arrays, Plain
from pydantic import ValidationError

from hwsim import learning
from hwsim.accounts.memory import OPTIMIZER
from hwsim.config import experiment as config
from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.evaluation import evaluate
from hwsim.experiments.run import run
from hwsim.experiments.stages import stages
from hwsim.experiments.system import System
from hwsim.learning import optimizers
from hwsim.learning.update import Options as Training
from hwsim.learning.update import Update
from hwsim.machine import Expectations
from hwsim.networks import Network
from hwsim.tasks import build as build_task

RATE, LEAK = 0.3, 0.3
STACK: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": LEAK}}] * 2}
EPISODES: dict[str, dict[str, Any]] = {
    "values": {"target": "values"},
    "late values": {"target": "values", "loss_from": 4},
    "a class a step": {"target": "each"},
    "a class a sequence": {"target": "one"},
    "a class at the end": {"target": "one", "loss_from": 6},
    "a value at the end": {"target": "value", "loss_from": 6},
}


def fptt(**options: Any) -> dict[str, Any]:
    return {"name": "fptt", **options}


def updating(made: Network, **changes: Any) -> Update:
    options = Training.model_validate({"optimizer": {"name": "sgd", "rate": RATE}, **changes})
    return Update(made, optimizers.build(options.optimizer, made), options)


def learn(made: Network, learned: learning.Rule, episodes: list[Episode]) -> None:
    update = updating(made)
    for episode in episodes:
        with made.machine.showing(episode):
            learned.learn(made, update)


# ---- the equations, written once more ------------------------------------------------------------------------


class Reference:
    """The rule in NumPy, sequence by sequence, with plain descent."""

    def __init__(self, weights: Arrays, parts: list[range], options: dict[str, Any]) -> None:
        self.w, self.parts = {name: values.copy() for name, values in weights.items()}, parts
        self.average = {name: values.copy() for name, values in weights.items()}
        self.pull = {name: np.zeros_like(values) for name, values in weights.items()}
        self.options = {"alpha": 0.1, "beta": 0.5, "rho": 0.0, "scale": 1.0, "oracle": "uniform", **options}
        self.tables = np.full((len(parts), 3, 3), 1 / 3)

    def learn(self, episode: Episode) -> None:
        paper, alpha, beta = self.options.get("form") == "paper", self.options["alpha"], self.options["beta"]
        states = None
        for number, part in enumerate(self.parts):
            before, table = states, self.tables[number].copy()
            g, states, seen = self.gradient(episode, part, before, table)
            self.see(number, seen)
            for name, w in self.w.items():
                away = w - self.average[name]
                if paper:
                    w -= RATE * (g[name] + alpha * away - 0.5 * self.pull[name])
                else:
                    pull = (1 - self.options["rho"]) * self.pull[name]
                    w -= RATE * (g[name] - pull + self.options["scale"] * alpha * away)
            if paper:
                self.pull, _, _ = self.gradient(episode, part, before, self.tables[number])
            for name, w in self.w.items():
                average = self.average[name]
                if paper:
                    self.average[name] = 0.5 * (average + w) - self.pull[name] / (2 * alpha)
                else:
                    self.pull[name] -= alpha * (w - average)
                    self.average[name] = (1 - beta) * average + beta * w - beta / alpha * self.pull[name]

    def gradient(self, episode: Episode, part: range, before: Any, table: np.ndarray) -> Any:
        """The mean gradient over the losses of a part, the states behind it, and answers with their classes."""
        plain = Plain(self.w, LEAK)
        g, after, seen, losses = plain.zeros(), [], [], 0
        for row, x in enumerate(episode.inputs):
            after.append(plain.forward(x[part.start : part.stop], before[row] if before else plain.rest()))
            for place, t in enumerate(part):
                error = self.error(episode, row, t, plain.y[place], table, t == part[-1], seen)
                if error is not None:
                    losses += 1
                    for name, values in plain.reached(place, error, 0).items():
                        g[name] += values
        return {name: values / max(losses, 1) for name, values in g.items()}, after, seen

    def error(self, episode: Episode, row: int, t: int, y: np.ndarray, table: Any, end: bool, seen: Any) -> Any:
        if episode.values is not None and episode.values.ndim == 2:
            return (t + 1) / episode.steps * (y - episode.values[row]) if end else None
        if episode.values is not None:
            return y - episode.values[row, t] if t >= episode.loss_from else None
        assert episode.labels is not None
        answer = np.exp(y) / np.exp(y).sum()
        if episode.loss_from == 0:
            label = episode.labels[row, t] if episode.labels.ndim == 2 else episode.labels[row]
            return answer - np.eye(3)[label]
        if not end:
            return None
        label, done = episode.labels[row], (t + 1) / episode.steps
        seen.append((label, answer))
        oracle = table[label] if self.options["oracle"] == "class_statistics" else np.full(3, 1 / 3)
        return answer - done * np.eye(3)[label] - (1 - done) * oracle

    def see(self, number: int, seen: list[tuple[int, np.ndarray]]) -> None:
        for label in range(3):
            mistaken = [answer for truth, answer in seen if truth == label and answer.argmax() != truth]
            if mistaken:
                self.tables[number, label] = np.mean(mistaken, 0)


PARTS: dict[Any, list[range]] = {
    1: [range(7)],
    3: [range(3), range(3, 5), range(5, 7)],
    7: [range(t, t + 1) for t in range(7)],
    "steps": [range(t, t + 1) for t in range(7)],
}


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 0.5, "beta": 0.7, "rho": 0.25, "scale": 2.0}, {"form": "paper", "alpha": 0.7}],
    ids=lambda options: options.get("form", f"code {len(options)}"),
)
@pytest.mark.parametrize("kind", EPISODES)
def test_weights_and_averages_follow_the_equations(parts: Any, options: dict[str, Any], kind: str) -> None:
    episodes = [random_episode(seed, **EPISODES[kind]) for seed in range(3)]
    learned = rule(fptt(parts=parts, **options))
    made = built(STACK, learned, episodes[0])
    reference = Reference({each.name: each.values[0] for each in made.trainables}, PARTS[parts], options)
    start = {name: values.copy() for name, values in reference.w.items()}
    for episode in episodes:
        reference.learn(episode)
    learn(made, learned, episodes)
    assert_equal(made, learned, reference)
    assert distance(start, reference.w) > 0.05


def assert_equal(made: Network, learned: Any, reference: Reference) -> None:
    """To 1e-12 of the largest entry."""
    for each in made.trainables:
        for mine, wanted in (
            (each.values[0], reference.w[each.name]),
            (learned.average[each].value.reshape(each.shape), reference.average[each.name]),
            (learned.pull[each].value.reshape(each.shape), reference.pull[each.name]),
        ):
            assert np.abs(mine - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("form", ["code", "paper"])
def test_the_oracle_says_what_was_last_answered_by_mistake(batch: int, form: str) -> None:
    """One by one it is the last of its class; in a batch, the mean over those of the last batch that had some."""
    kinds = {**EPISODES["a class at the end"], "batch": batch}
    episodes, options = (
        [random_episode(seed, **kinds) for seed in range(8)],
        {"oracle": "class_statistics", "form": form},
    )
    learned = rule(fptt(parts=3, **options))
    made = built(STACK, learned, episodes[0], strict=True)
    reference = Reference({each.name: each.values[0] for each in made.trainables}, PARTS[3], options)
    for episode in episodes:
        reference.learn(episode)
    learn(made, learned, episodes)
    assert_equal(made, learned, reference)
    assert np.abs(reference.tables[:2] - 1 / 3).max() > 0.05
    for table, wanted in zip(learned.statistics.tables, reference.tables, strict=False):  # type: ignore[attr-defined]
        np.testing.assert_allclose(table.value.reshape(3, 3), wanted, atol=1e-13)
    uniform = rule(fptt(parts=3, form=form))
    other = built(STACK, uniform, episodes[0])
    learn(other, uniform, episodes)
    assert distance({e.name: e.values for e in made.trainables}, {e.name: e.values for e in other.trainables}) > 1e-4


# ---- with an LSTM, Adam and clipping, as published for the adding task ----------------------------------------


LSTM: dict[str, Any] = {"layers": [{"cell": {"name": "lstm", "units": 6}}]}


class PublishedLSTM:
    """One layer in NumPy, batch by batch: `code` with α = 1/2 and β = 1/2, Adam, and the norm of ∇(l + R) clipped."""

    alpha, beta, rate, clip = 0.5, 0.5, 0.01, 0.1

    def __init__(self, weights: Arrays, parts: int) -> None:
        self.w, self.parts, self.updates = {name: each.copy() for name, each in weights.items()}, parts, 0
        self.average = {name: each.copy() for name, each in weights.items()}
        self.pull, self.m, self.v = ({name: np.zeros_like(each) for name, each in weights.items()} for _ in range(3))
        self.norms: list[float] = []

    def learn(self, x: np.ndarray, y: np.ndarray) -> None:
        """From sequences (batch, steps, 2) with a sum (batch, 1) each."""
        n, length = self.w["layer 1 W"].shape[1], x.shape[1] // self.parts
        h = c = np.zeros((len(x), n))
        for part in range(self.parts):
            now = x[:, part * length : (part + 1) * length]
            g, h, c = self.gradient(now, y, (part + 1) / self.parts, h, c)
            self.update(g)

    def gradient(self, x: np.ndarray, y: np.ndarray, share: float, h: np.ndarray, c: np.ndarray) -> Any:
        """Of share ½ (ŷ - y)² at the end of a part, averaged over the batch; and the state behind the part."""
        W, U, b, V, d = (self.w[f"layer 1 {name}"] for name in ("W", "U", "b", "V1", "V1 b"))
        n, kept = W.shape[1], []
        for now in x.swapaxes(0, 1):
            a = h @ W.T + now @ U.T + b
            i, f, o = (1 / (1 + np.exp(-a[:, k * n : (k + 1) * n])) for k in range(3))
            z = np.tanh(a[:, 3 * n :])
            before, c = (h, c), f * c + i * z
            h = o * np.tanh(c)
            kept.append((now, before, i, f, o, z, c))
        error = share * (h @ V.T + d - y) / len(y)
        g = {name: np.zeros_like(each) for name, each in self.w.items()}
        g["layer 1 V1"], g["layer 1 V1 b"] = error.T @ h, error.sum(0)
        dh, dc = error @ V, np.zeros_like(c)
        for now, (earlier, kept_c), i, f, o, z, after in kept[::-1]:
            dc = dc + dh * o * (1 - np.tanh(after) ** 2)
            back = (dc * z * i * (1 - i), dc * kept_c * f * (1 - f), dh * np.tanh(after) * o * (1 - o))
            da = np.concatenate([*back, dc * i * (1 - z**2)], 1)
            g["layer 1 W"] += da.T @ earlier
            g["layer 1 U"] += da.T @ now
            g["layer 1 b"] += da.sum(0)
            dh, dc = da @ W, dc * f
        return g, h, c

    def update(self, g: Arrays) -> None:
        """Clip, a step of Adam, then λ and w̄."""
        self.updates += 1
        g = {
            name: each - self.pull[name] + self.alpha * (self.w[name] - self.average[name]) for name, each in g.items()
        }
        norm = float(np.sqrt(sum((each**2).sum() for each in g.values())))
        self.norms.append(norm)
        for name, w in self.w.items():
            clipped = g[name] * min(1.0, self.clip / norm)
            self.m[name] = 0.9 * self.m[name] + 0.1 * clipped
            self.v[name] = 0.999 * self.v[name] + 0.001 * clipped**2
            mean, square = self.m[name] / (1 - 0.9**self.updates), self.v[name] / (1 - 0.999**self.updates)
            w -= self.rate * mean / (np.sqrt(square) + 1e-8)
            self.pull[name] -= self.alpha * (w - self.average[name])
            average = (1 - self.beta) * self.average[name] + self.beta * w
            self.average[name] = average - self.beta / self.alpha * self.pull[name]


def test_an_lstm_on_the_adding_task_follows_an_independent_transcription() -> None:
    """Fifty steps in ten parts: 80 updates of Adam, some of them clipped, and the loss falls."""
    data = build_task(experiment(task={"name": "adding", "steps": 50, "train": 128, "test": 1}).task, 3).train
    assert data.values is not None
    batches = [
        replace(data, inputs=data.inputs[at : at + 16], values=data.values[at : at + 16]) for at in range(0, 128, 16)
    ]
    learned: Any = rule(fptt(parts=10, alpha=0.5))
    made = built(LSTM, learned, batches[0])
    reference = PublishedLSTM({each.name: each.values[0] for each in made.trainables}, parts=10)
    update = updating(made, optimizer={"name": "adam", "rate": reference.rate}, clip=reference.clip)
    start = evaluate(made, data, 128).loss[0]
    for batch in batches:
        assert batch.values is not None
        reference.learn(batch.inputs, batch.values)
        with made.machine.showing(batch):
            learned.learn(made, update)
    assert reference.updates == 80
    assert min(reference.norms) < reference.clip < max(reference.norms)
    for each in made.trainables:
        for mine, wanted in (
            (each.values[0], reference.w[each.name]),
            (learned.average[each].value.reshape(each.shape), reference.average[each.name]),
            (learned.pull[each].value.reshape(each.shape), reference.pull[each.name]),
        ):
            assert np.abs(mine - wanted).max() < 1e-9  # Adam divides by roots of squares, where rounding grows
    assert evaluate(made, data, 128).loss[0] < 0.5 * start


# ---- what it is for ------------------------------------------------------------------------------------------


def test_ten_losses_in_turn_get_one_solution() -> None:
    """Quadratic losses ½ t/T (c - y_t)² of the bias c alone, one per step, shown again and again.

    Their sum is least at Σ t y_t / Σ t. In the code's form, the average goes near to it, whatever α is. In the paper's
    literal form the weight does, and the average does not: it is off by more, the smaller α is.
    """
    values = np.random.default_rng(5).normal(1.0, 1.0, (1, 10, 1))
    episode = Episode(np.zeros((1, 10, 1)), values=values)
    share = np.arange(1, 11) / 10
    least = float((share * values[0, :, 0]).sum() / share.sum())

    def ends(alpha: float, **options: Any) -> tuple[float, float]:
        """How far the weight and its average are from there, once they repeat."""
        learned: Any = rule(fptt(parts="steps", alpha=alpha, **options))
        made = built({"layers": STACK["layers"][:1], "loss": {"weights": "rising"}}, learned, episode)
        weights, bias = made.trainables[-2:]
        weights.master.value = learned.average[weights].value = 0.0 * weights.master.value  # so nothing else learns
        made.program()
        update = updating(made, optimizer={"name": "sgd", "rate": 0.05})
        for _ in range(50):
            with made.machine.showing(episode):
                learned.learn(made, update)
        return abs(float(bias.values.item()) - least), abs(float(learned.average[bias].value.item()) - least)

    code, paper = ([ends(alpha, form=form) for alpha in (0.1, 1.0, 5.0)] for form in ("code", "paper"))
    assert all(weight < 0.06 and average < 0.05 for weight, average in code)
    assert all(weight < 0.04 for weight, _ in paper)
    assert [average for _, average in paper] == close([6.184, 0.620, 0.129], rel=0.01)


@pytest.mark.parametrize("network", ["lru stack", "gru"])
@pytest.mark.parametrize("kinds", [{}, {"loss_from": 4}, {"target": "values"}], ids=str)
def test_the_gradient_of_one_part_is_bptt_and_of_a_part_a_step_one_step(network: str, kinds: dict[str, Any]) -> None:
    episode = random_episode(**kinds)
    whole, single = (gradient(network, fptt(parts=parts), episode) for parts in (1, "steps"))
    assert distance(whole, gradient(network, "bptt", episode)) < 1e-13
    assert distance(single, gradient(network, "one_step", episode)) == 0
    if not kinds:
        parts = gradient(network, fptt(parts=4), replace(episode, inputs=episode.inputs))
        assert distance(gradient(network, fptt(parts=4, recall="input"), episode), parts) < 1e-13


def test_a_part_learns_from_the_steps_that_have_a_loss_in_each_sequence() -> None:
    """Updates are of the mean over those losses; without any, of the regulariser alone."""
    episode = random_episode()
    masked = replace(episode, mask=np.arange(7) < np.array([[2], [3], [3]]))
    learned = rule(fptt(parts=2))
    made, counts = built(STACK, learned, episode), list[int]()

    class Counting(Update):
        def __call__(self, losses: int, *others: Any) -> None:
            counts.append(losses)
            super().__call__(losses, *others)

    update = updating(made)
    update.__class__ = Counting
    for shown in (episode, masked, replace(episode, loss_from=5)):
        with made.machine.showing(shown):
            learned.learn(made, update)
    assert counts == [12, 9, 8, 1, 1, 6]


def test_sequences_go_on_from_each_other() -> None:
    """Two windows of a sequence, each in parts, are the whole in all of the parts: the state goes on, errors do not."""
    whole = random_episode(steps=12, target="values")
    first = replace(whole, inputs=whole.inputs[:, :6], values=whole.values[:, :6], lanes=3)  # type: ignore[index]
    second = replace(first, inputs=whole.inputs[:, 6:], values=whole.values[:, 6:], continues=True)  # type: ignore[index]
    for form in ("code", "paper"):
        found = []
        for parts, episodes in ((4, [whole]), (2, [first, second])):
            learned = rule(fptt(parts=parts, form=form))
            made = built("lru stack" if form == "code" else STACK, learned, whole)
            if form == "code":
                made.pooling = "none"
            learn(made, learned, episodes)
            found.append({each.name: each.values for each in made.trainables})
        assert distance(*found) < 1e-12


# ---- tests at the averages, and restarts ---------------------------------------------------------------------


def experiment(steps: int = 6, **changes: Any) -> Any:
    data = {
        "name": "parts",
        "seed": 3,
        "task": {"name": "random", "steps": steps, "width": 2, "train": 12, "test": 6},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}}] * 2},
        "learning": fptt(parts=3),
        "machine": "digital_45nm",
        "training": {"optimizer": {"name": "sgd", "rate": RATE}, "batch": 4, "steps": 6, "test_every": 3},
        **changes,
    }
    return config.load(data)


def trained(**learning_options: Any) -> tuple[System, Any]:
    asked = experiment(learning=fptt(parts=3, **learning_options), machine="ideal")
    ((name, options),) = asked.systems().items()
    system = System(asked, name, options, build_task(asked.task, asked.seed), {})
    system.run(lambda *_: None)
    return system, system.rule


def test_tests_are_made_at_the_averages_and_learning_goes_on_with_the_weights() -> None:
    system, learned = trained()
    plain, _ = trained(tested_at="weights")
    for mine, other in zip(system.network.trainables, plain.network.trainables, strict=True):
        assert mine.values.tobytes() == other.values.tobytes()
    losses = [[row["test_loss"] for row in each.outcome.metrics] for each in (system, plain)]
    assert losses[0][0] == losses[1][0]  # before training
    assert all(one != other for one, other in zip(losses[0][1:], losses[1][1:], strict=True))
    for each in system.network.trainables:  # a test at the averages, by hand
        each.master.value, learned.average[each].value = learned.average[each].value, each.master.value
    system.network.program()
    assert evaluate(system.network, system.dataset.test, 6).loss[0] == close(losses[0][-1], rel=1e-12)


def test_weights_start_anew_from_their_averages() -> None:
    system, learned = trained(restart=3)  # the sixth and last batch ends with one
    for each in system.network.trainables:
        assert learned.average[each].value.tobytes() == each.master.value.tobytes()
        assert not learned.pull[each].value.any()
    other, going_on = trained()
    assert any(going_on.pull[each].value.any() for each in other.network.trainables)
    found = stages(rule(fptt(parts=3, restart=3, oracle="class_statistics", uniform_updates=2)), 6)
    assert [(each.rule.options.restart, each.rule.options.oracle, each.batches) for each in found] == [
        (None, "uniform", [0, 1]),
        (1, "class_statistics", [2, 5]),
        (None, "class_statistics", [3, 4]),
    ]


# ---- what it costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
@pytest.mark.parametrize(
    ("options", "task"),
    [
        ({}, {}),
        ({"parts": "steps"}, {}),
        ({"form": "paper", "restart": 2}, {}),
        ({"oracle": "class_statistics", "uniform_updates": 2}, {"name": "digits", "test_share": 0.01}),
        ({"parts": "steps", "tested_at": "weights"}, {"loss": "last"}),
        ({}, {"name": "adding", "steps": 6, "train": 12, "test": 6}),
    ],
    ids=str,
)
def test_a_run_costs_what_is_estimated(on: str, options: dict[str, Any], task: dict[str, Any]) -> None:
    task = task if "name" in task else {"name": "random", "steps": 6, "width": 2, "train": 12, "test": 6, **task}
    pooling = "last" if task["name"] == "digits" else "none"  # so that there is one loss
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}}] * 2, "pooling": pooling}
    asked = experiment(learning=fptt(**{"parts": 3, **options}), machine=on, task=task, network=network)
    real, sketch = (work(asked).summary.plain()["systems"]["substrate"] for work in (run, estimate))
    near = 1e-9 if on == "digital_45nm" else 0.05  # activities are expected ones
    for energy in ("run_j", "training_step_j", "inference_j"):
        if energy in real["energy"]:
            assert sketch["energy"][energy] == close(real["energy"][energy], rel=near)
    assert sketch["memory"] == real["memory"]
    assert sketch["time"] == real["time"]


def programmings(result: Any) -> int:
    return sum(
        count * sum(sweep.name == "programming" for sweep in batch.sweeps)
        for totals in result.costs[0].outcome.totals
        for batch, count in totals.batches.items()
    )


def written(result: Any) -> Any:
    """Writes of each device: all when they are first programmed, later a share of them is expected to change."""
    return result.summary.plain()["systems"]["substrate"]["weights"]["writes_per_device"]


@pytest.mark.parametrize(("tested_at", "times"), [("average", 18 + 4 + 1), ("weights", 18 + 1)])
def test_units_are_programmed_after_each_part_and_around_each_test(tested_at: str, times: int) -> None:
    """Six batches of three parts, two tests after training began, and once at the start."""
    asked = experiment(learning=fptt(parts=3, tested_at=tested_at), machine="pcm_crossbar")
    sketch = estimate(asked)
    assert programmings(run(asked)) == programmings(sketch) == times
    assert written(sketch) == close(1 + Expectations().written * (times - 1))


def test_a_long_estimate_leaps_over_parts_and_counts_their_writes() -> None:
    asked = experiment(
        learning=fptt(parts=5_000),
        machine="pcm_crossbar",
        task={"name": "random", "steps": 20_000, "width": 2, "train": 4, "test": 4},
        training={"optimizer": {"name": "sgd", "rate": RATE}, "batch": 4, "steps": 1},
    )
    sketch = estimate(asked)
    assert programmings(sketch) == 5_000 + 2 + 1
    assert written(sketch) == close(1 + Expectations().written * 5_002)


def test_three_numbers_per_parameter_are_held() -> None:
    episode, learned = random_episode(), rule(fptt(parts=3))
    made = built(STACK, learned, episode)
    parameters = sum(each.master.value.size for each in made.trainables)
    held = [each for each in made.machine.memory.live.values() if each.kind == OPTIMIZER]
    assert sum(each.values for each in held) == 2 * parameters
    with_table = built(STACK, rule(fptt(parts=3, oracle="class_statistics")), episode)
    tables = [each for each in with_table.machine.memory.live.values() if each.name.startswith("answers at the end")]
    assert [each.values for each in tables] == [9, 9]


def test_a_part_a_step_has_no_delay_lines_and_longer_parts_have_as_many_as_steps() -> None:
    for parts, lines in (("steps", 0), (7, 0), (3, 2)):
        learned, episode = rule(fptt(parts=parts)), random_episode()
        made = built(STACK, learned, episode)
        gradient_of(made, learned, episode)
        held = made.machine.memory.peak_by_class().get("delay lines", 0)
        assert held == 64 * lines * (4 + 4 + 2 + 4)  # both states, inputs, errors of the losses


# ---- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", [run, estimate])
def test_more_parts_than_steps_are_refused(work: Any) -> None:
    with pytest.raises(ConfigError, match=r"substrate: learning\.parts: 7 parts, and a sequence has 6 steps"):
        work(experiment(learning=fptt(parts=7)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": 0}, "greater than or equal to 1"),
        ({"form": "paper", "beta": 0.7}, "beta, rho and scale are of form: code"),
        ({"parts": "steps", "oracle": "class_statistics"}, "give parts as a number"),
        ({"alpha": 0.0}, "greater than 0"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rule(fptt(**options))


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        ("a value at the end", "values"),
        ("late values", "values"),
        ("a class a step", "a class for each step"),
        ("a class a sequence", "losses before it: see `network.pooling`"),
    ],
)
def test_statistics_of_answers_are_of_one_class_at_the_end(kind: str, has: str) -> None:
    """An option that would change nothing is refused."""
    episode = random_episode(**EPISODES[kind])
    learned = rule(fptt(parts=3, oracle="class_statistics"))
    made = built(STACK, learned, episode)
    with pytest.raises(ConfigError, match=rf"one class, and one loss, at their end, and those of this task have {has}"):
        learn(made, learned, [episode])


@pytest.mark.parametrize("work", [run, estimate])
def test_a_run_says_so_before_it_begins(work: Any) -> None:
    task = {"name": "adding", "steps": 6, "train": 12, "test": 6}
    with pytest.raises(ConfigError, match=r"substrate: learning\.oracle: class_statistics is for sequences"):
        work(experiment(learning=fptt(parts=3, oracle="class_statistics"), task=task))


def test_the_parts_of_the_adding_task_learn_from_its_sum() -> None:
    """As the repository's, each part answers with the value of the end, the later the more it counts."""
    data = build_task(experiment(task={"name": "adding", "steps": 6, "train": 12, "test": 6}).task, 3).train
    learned = rule(fptt(parts=3))
    made = built(STACK, learned, data)
    reference = Reference({e.name: e.values[0] for e in made.trainables}, [range(t, t + 2) for t in (0, 2, 4)], {})
    reference.learn(data)
    learn(made, learned, [data])
    assert_equal(made, learned, reference)
    assert data.values is not None
    assert data.values.shape == (12, 1)


def test_statistics_of_answers_are_of_probabilities() -> None:
    episode = random_episode(**EPISODES["a class at the end"])
    learned = rule(fptt(parts=3, oracle="class_statistics"))
    made = built({**STACK, "loss": {"name": "half_square"}}, learned, episode)
    with pytest.raises(ConfigError, match="class_statistics takes cross-entropy"):
        learn(made, learned, [episode])
