"""Training at weights with noise: its size, a gradient that is exact there, clipping, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, gradient_of, machine_options, random_episode, rule

import hwsim
from hwsim import machines, tasks
from hwsim.config import experiment as config
from hwsim.errors import ConfigError
from hwsim.experiments.system import System
from hwsim.learning import updates
from hwsim.learning.updates.noise_aware import NoiseAware
from hwsim.machine import Machine, Matrix, resume, snapshot
from hwsim.networks import Network, Options

RATE = 0.1
BASE: dict[str, Any] = {
    "name": "aware", "seed": 3, "task": {"name": "digits", "order": "rows"},
    "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 12, "leak": 0.3}}]},
    "learning": {"name": "bptt"}, "machine": "ideal",
    "training": {"optimizer": {"name": "sgd", "rate": RATE}, "batch": 32, "steps": 1},
}  # fmt: skip


def content(deviation: float = 0.05, clip: float | None = None, **keys: Any) -> dict[str, Any]:
    update = {"name": "noise_aware", "deviation": deviation, "clip": clip}
    return {**BASE, **keys, "training": {**BASE["training"], **keys.get("training", {}), "update": update}}


def built(content: dict[str, Any]) -> tuple[System, Any]:
    """A system with its network, and its scheme."""
    options = config.load(content)
    system = System(options, "x", options.systems()["substrate"], tasks.build(options.task, options.seed), {})
    scheme = options.scheme(system.options)
    system._adopt(system._built(1, {}, learns=True, scheme=scheme))
    return system, scheme


def noisy(system: System, scheme: Any, batches: int) -> dict[str, np.ndarray]:
    """What products read in each of some batches, less the weights, over the largest of them: `(batches, weights)`."""
    found: dict[str, list[np.ndarray]] = {}
    for _ in range(batches):
        with system.machine.showing(system.dataset.train.select(slice(0, 2))):
            scheme.show(system.network)
        for each in system.network.trainables:
            if isinstance(each.holder, Matrix):
                change = (each.holder.weights - each.values).ravel() / np.abs(each.values).max()
                found.setdefault(each.name, []).append(change)
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.mark.parametrize("machine", ["ideal", "digital_45nm"])
def test_noise_has_the_stated_deviation_and_is_fresh_for_each_batch(machine: str) -> None:
    """24 batches of 96 to 144 weights and more: mean within 5 σ/√n, σ² within 5 σ² √(2/n), batches uncorrelated within
    5/√n: each fails once in 1.7 million times by chance, and there are 3 matrices of 3 tests."""
    system, scheme = built(content(0.05, machine=machine))
    for name, found in noisy(system, scheme, 24).items():
        n = found.size
        assert abs(found.mean()) < 5 * 0.05 / np.sqrt(n), name
        assert found.var() == close(0.05**2, rel=5 * np.sqrt(2 / n)), name
        assert abs((found[1:] * found[:-1]).mean()) < 5 * 0.05**2 / np.sqrt(n), name


@pytest.mark.parametrize("learner", ["bptt", "fpe", "rtrl"])
def test_the_change_of_weights_is_the_gradient_where_the_noise_is(
    learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """w' = w - η ∂L/∂w (w + δ), whose gradient another network finds, which has w + δ for its weights."""
    asked = content(0.1, learning={"name": learner})
    found: dict[str, np.ndarray] = {}
    moved: dict[str, np.ndarray] = {}
    shown = NoiseAware.show

    def show(scheme: NoiseAware, network: Network) -> None:
        shown(scheme, network)
        matrices = [each.holder for each in network.trainables if isinstance(each.holder, Matrix)]
        found.update({each.name: each.values[0].copy() for each in network.trainables})
        moved.update({each.name: each.weights[0].copy() for each in matrices})

    with monkeypatch.context() as patch:
        patch.setattr(NoiseAware, "show", show)
        after = hwsim.run(asked).weights()
    system, _ = built(content(0.1))  # by exact backpropagation through time
    for each in system.network.trainables:
        each.master.value = (found | moved)[each.name].reshape(each.master.value.shape).copy()
        if isinstance(each.holder, Matrix):
            each.holder.unit.take(each.holder)
    (episode, *_) = system.dataset.batches(32, 3, 1)
    with system.machine.showing(episode):
        system.rule.gradients(system.network)
    for each in system.network.trainables:
        gradient = each.gradient.value[0].reshape(each.shape) / episode.losses
        assert np.allclose(after[each.name], found[each.name] - RATE * gradient, rtol=1e-10, atol=1e-12), each.name
        assert np.abs(gradient).max() > 1e-4
    assert not np.allclose(moved["layer 1 W"], found["layer 1 W"])


def test_tests_have_the_weights_without_noise() -> None:
    """The first test is that of drawn weights, and the last one that of the weights that are left."""
    run = hwsim.run(content(0.2, training={"steps": 3}))
    plain = hwsim.run(BASE)
    first, last = run.metrics.test_loss
    assert first == plain.metrics.test_loss[0]
    system, _ = built(BASE)
    for each in system.network.trainables:
        each.master.value = run.weights()[each.name].reshape(each.master.value.shape)
    system.network.program()
    system._test(0, 0, None)
    assert system.outcome.score is not None
    assert last == close(float(system.outcome.score.loss[0]), rel=1e-12)


def test_weights_are_clipped_by_their_root_mean_square() -> None:
    """One more update with next to no rate: |w| ≤ c √⟨w²⟩, and what was within is as it was."""
    drawn = hwsim.run({**BASE, "training": None}).weights()
    small = {"optimizer": {"name": "sgd", "rate": 1e-12}}
    run = hwsim.run(content(1e-6, 1.2, training=small)).weights()
    for name in ("layer 1 U", "layer 1 W", "layer 1 V1"):
        bound = 1.2 * np.sqrt((drawn[name] ** 2).mean())
        assert np.allclose(run[name], np.clip(drawn[name], -bound, bound), atol=1e-9), name
        assert (np.abs(drawn[name]) > bound).any()


def test_noise_is_charged_and_estimated() -> None:
    """Of n weights: their copy is held, and each gets a normal number, a multiplication and an addition."""
    aware, plain = (hwsim.run({**each, "machine": "digital_45nm"}) for each in (content(), BASE))
    estimated = hwsim.estimate({**content(), "machine": "digital_45nm"}).summary.systems["substrate"]
    system = aware.systems["substrate"]
    assert system.energy.training_step_j == close(estimated.energy.training_step_j, rel=1e-12)
    assert system.energy.training_step_j > plain.systems["substrate"].energy.training_step_j  # type: ignore[operator]
    weights = sum(each.size for name, each in aware.weights().items() if not name.endswith("b"))
    rows = aware.energy.query("operation == 'jittered'")
    assert set(rows.layer) == {"layer 1"}
    held = aware.memory.query("holder.str.endswith('with noise')", engine="python").drop_duplicates("holder")
    assert (held["values"] * held["bits_per_value"]).sum() == 32 * weights


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (hwsim.run(content(0.05, 2.0, training={"steps": 3})) for _ in range(2))
    assert first.summary.text() == second.summary.text()
    other = hwsim.run(content(0.05, 2.0, training={"steps": 3}, seed=4))
    assert first.summary.text() != other.summary.text()


class Shown:
    """A rule whose gradient is taken where a scheme has it look."""

    def __init__(self, learner: Any) -> None:
        self.learner = learner

    def gradients(self, network: Network) -> None:
        network.scheme.show(network)  # type: ignore[attr-defined]
        self.learner.gradients(network)


def looking(stage: Machine, learner: Any, episode: Any) -> dict[str, np.ndarray]:
    """The gradient at weights with noise, on a new machine."""
    scheme = updates.build(updates.UPDATES["noise_aware"].Options(name="noise_aware", deviation=0.2))
    network = Network(stage, Options.model_validate(BASE["network"]), episode.width, episode.outputs, learner.uses)
    scheme.prepare(network)
    network.scheme = scheme  # type: ignore[attr-defined]
    network.begin_training()
    learner.prepare(network)
    network.program()
    stage.journal.close_batch(1)
    return gradient_of(network, Shown(learner), episode)  # type: ignore[arg-type]


@pytest.mark.parametrize("on", ["ideal", "digital_45nm_fp16"])
@pytest.mark.parametrize("learner", ["bptt", "fpe", "rtrl"])
def test_a_batch_goes_on_from_a_snapshot_with_the_same_noise(learner: str, on: str) -> None:
    """The rule of the second kind also fetches weights as numbers; both meet what products read."""
    learned, episode, shots = rule(learner), random_episode(steps=4), []
    stage = machines.build(machine_options(on), seed=3)
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found = looking(stage, learned, episode)
    assert len(shots) >= 4
    for shot in shots[1:3]:
        again = machines.build(machine_options(on), seed=3)
        resume(again, shot)
        other = looking(again, learned, episode)
        assert all(np.array_equal(found[name], other[name]) for name in found)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"machine": "pcm_crossbar", "learning": {"name": "eprop"}}, "devices of this machine have noise of their own"),
        ({"learning": {"name": "fptt", "parts": 2}}, "changes weights several times"),
    ],
)
def test_what_it_does_not_go_with_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        hwsim.run(content(**keys))


@pytest.mark.parametrize(("key", "value"), [("deviation", 0), ("deviation", float("inf")), ("clip", -1)])
def test_numbers_that_say_nothing_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        config.load(content(**{key: value}))


def test_it_is_a_scheme_of_its_own() -> None:
    assert updates.of(config.load(content()).training.update).summed  # type: ignore[union-attr]
