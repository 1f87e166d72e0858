"""Updates: optimizers against their equations written out in NumPy, clipping, learning rates, and what they cost."""

import numpy as np
import pytest
from conftest import built, gradient_of, random_episode, rule

from hwsim.accounts.memory import OPTIMIZER
from hwsim.learning import optimizers
from hwsim.learning.update import Options, rate, update


def adamw(w, gradients, o, decays, eta):
    """Loshchilov and Hutter 2019, algorithm 2, with a schedule multiplier of one."""
    m = v = np.zeros_like(w)
    for step, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        change = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        w = w - eta * (change + (o["decay"] * w if decays else 0))
    return w


def sgd(w, gradients, o, decays, eta):
    velocity = 0
    for g in gradients:
        velocity = o["momentum"] * velocity + g
        w = w - eta * velocity
    return w


CASES = [
    ({"name": "adamw", "rate": 0.01, "decay": 0.1}, adamw),
    ({"name": "sgd", "rate": 0.3, "momentum": 0.8}, sgd),
    ({"name": "sgd", "rate": 0.3, "momentum": 0.0}, sgd),
]


@pytest.mark.parametrize(("optimizer", "expected"), CASES)
@pytest.mark.parametrize("clip", [None, 0.05, 1e3])
def test_weights_follow_the_equations_of_the_optimizer(optimizer, expected, clip):
    options = Options.model_validate({"optimizer": optimizer, "clip": clip, "recurrent_factor": 0.5})
    episode, learned = random_episode(), rule("bptt")
    made = built("lru stack", learned, episode)
    machine = made.machine
    slots = optimizers.build(options.optimizer, made)
    start = {trainable.name: trainable.master.value.copy() for trainable in made.trainables}
    used = {name: [] for name in start}
    norms = []
    for _ in range(3):
        summed = episode.batch * episode.loss_steps
        found = {name: value.reshape(1, 1, -1) / summed for name, value in gradient_of(made, learned, episode).items()}
        norm = np.sqrt(sum(np.square(g).sum() for g in found.values()))
        norms.append(norm)
        for name, g in found.items():
            used[name].append(g * min(1, clip / norm) if clip else g)
        update(made, slots, options, 0.0, summed)
    assert clip is None or (max(norms) > clip) == (clip < 1)
    for trainable in made.trainables:
        recurrent = trainable.group == "recurrent"
        eta = optimizer["rate"] * (0.5 if recurrent else 1)
        w = expected(start[trainable.name], used[trainable.name], optimizer, not recurrent, eta)
        np.testing.assert_allclose(trainable.master.value, w, rtol=1e-12, atol=1e-15)
        assert not trainable.gradient.value.any()  # it starts again
    words = {"adamw": 2, "sgd": 1 if optimizer.get("momentum") else 0}[optimizer["name"]]
    parameters = sum(trainable.master.value.size for trainable in made.trainables)
    held = sum(holding.values for holding in machine.memory.live.values() if holding.kind == OPTIMIZER)
    assert held == words * parameters


def test_units_have_the_new_weights_after_an_update():
    episode, learned = random_episode(), rule("bptt")
    made = built("lru", learned, episode)
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 1.0}})
    slots = optimizers.build(options.optimizer, made)
    gradient_of(made, learned, episode)
    update(made, slots, options, 0.0, 1)
    cell = made.layers[0].cell
    np.testing.assert_array_equal(cell.B.weights, cell.B.trainable.values)
    modes = np.exp(-np.exp(cell.nu.values) + 1j * np.exp(cell.theta.values))
    held = cell.eigenvalues.storage.value[:, 0]
    np.testing.assert_allclose(held[:, ::2] + 1j * held[:, 1::2], modes, rtol=1e-14)


def test_the_cosine_schedule_falls_from_the_rate_to_zero():
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 0.4}, "schedule": "cosine"})
    assert [rate(options, done) for done in (0, 0.5, 1)] == pytest.approx([0.4, 0.2, 0.0])
    constant = options.model_copy(update={"schedule": "constant"})
    assert rate(constant, 0.9) == 0.4


def test_a_gradient_of_zero_leaves_the_weights_and_does_not_divide_by_it():
    episode, learned = random_episode(target="values"), rule("bptt")
    made = built("lru", learned, episode)
    options = Options.model_validate({"optimizer": {"name": "adamw", "rate": 0.1}, "clip": 1.0})
    slots = optimizers.build(options.optimizer, made)
    before = {trainable.name: trainable.master.value.copy() for trainable in made.trainables}
    with made.machine.showing(episode):
        update(made, slots, options, 0.0, 1)
    for trainable in made.trainables:
        np.testing.assert_array_equal(trainable.master.value, before[trainable.name])
