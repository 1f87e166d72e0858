"""Devices whose state leaks: closed forms of time constants, passes of learning, waits, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options, random_episode, rule

from hwsim import machines, networks
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.learning import updates
from hwsim.learning.update import Options
from hwsim.networks import Network
from hwsim.physics.leak import Leak, left
from hwsim.units.register import Hold

TANH: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]}
PERIOD, STEPS = 2e-3, 7


def learner(device: Any, chips: Any = 1, strict: bool = False, update: str = "in_situ") -> tuple[Network, Any, Any]:
    """A network that learns in place, whose steps take 2 ms."""
    on = machine_options({"like": "rram_crossbar", "device": device})
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 0.1}, "update": {"name": update}})
    stage, learns = machines.build(on, seed=1, chips=chips, strict=strict), rule("one_step")
    scheme = updates.build(options.update)
    scheme.place(stage)
    made = Network(stage, networks.Options.model_validate(TANH), 2, 3, learns.uses)
    scheme.prepare(made)
    made.begin_training()
    learns.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    stage.holds = {name: Hold(PERIOD, {}) for name in ("forward", "inference")}
    return made, learns, scheme


def states(made: Network) -> dict[str, np.ndarray]:
    return {name: devices.state.copy() for name, devices in made.machine.devices.arrays.items()}


def test_time_constants_spread_as_the_sheet_says() -> None:
    """200 000 devices, five standard errors: missed less often than once in 10⁶."""
    leak = Leak.model_validate({"time_constant": {"value": "5 ms", "assumed": "a test"}, "spread": 0.1})
    tau = 1 / leak.rates(np.random.default_rng(1).standard_normal(200_000))
    assert tau.mean() == close(5e-3, rel=0, abs=5 * 0.5e-3 / np.sqrt(200_000))
    assert tau.std() == close(0.5e-3, rel=0, abs=5 * 0.5e-3 / np.sqrt(400_000))
    wide = leak.model_copy(update={"spread": 1.0}).rates(np.array([-2.0, -1.0, 0.0]))
    assert left(wide, 5e-3) == close([0, 0, np.exp(-1)])
    assert np.array_equal(left(wide, 0.0), np.ones(3))


def test_a_million_updates_of_a_capacitor_lose_as_much_as_in_aihwkit() -> None:
    """There each update multiplies x by 1 - 1 / lifetime; 500 ns each."""
    leak = hardware.device(Document("test", "capacitor")).leak
    assert leak is not None
    assert left(leak.rates(np.zeros(1)), 1000 * 500e-9)[0] == close((1 - 1e-6) ** 1000, rel=1e-9)


@pytest.mark.parametrize("strict", [False, True])
def test_a_pass_of_learning_takes_its_time_and_a_test_does_not(strict: bool) -> None:
    """x exp(-7 T / τ) after 7 steps in which no pulse is sent, in states, in what conducts and in master values."""
    made, learns, _ = learner("gain_cell", chips=2, strict=strict)
    before = states(made)
    with made.machine.showing(random_episode(1, batch=1, steps=STEPS), None):
        made.infer()
    assert all(np.array_equal(states(made)[name], before[name]) for name in before)
    with made.machine.showing(random_episode(1, batch=1, steps=STEPS), None):
        learns.gradients(made)
    for name, devices in made.machine.devices.arrays.items():
        mapping = devices.mapping
        for chip in range(2):
            expected = before[name][chip] * np.exp(-STEPS * PERIOD * devices.leaks[chip])
            assert devices.state[chip] == close(expected, rel=1e-9, abs=1e-15)
            conducts = mapping.zero + mapping.per_x * expected
            assert devices.plus[chip] == close(conducts, rel=1e-9)
        weights = (devices.plus - devices.minus) * mapping.scale
        assert devices.weights == close(weights, rel=1e-6, abs=1e-6)
        kept = next(each for each in made.trainables if each.name == name).master.value
        assert kept.ravel() == close(weights.ravel(), rel=1e-6, abs=1e-6)
    assert not np.array_equal(*(made.machine.devices.arrays["layer 1 W"].leaks[chip] for chip in range(2)))


def test_a_wait_leaks_and_ends() -> None:
    made, *_ = learner("gain_cell")
    before = states(made)
    weights = {name: devices.weights.copy() for name, devices in made.machine.devices.arrays.items()}
    with made.machine.devices.aged(4e-3):
        for name, devices in made.machine.devices.arrays.items():
            share = np.exp(-4e-3 * devices.leaks[0])
            mapping = devices.mapping
            assert devices.plus[0] == close(mapping.zero + mapping.per_x * before[name][0] * share, rel=1e-9)
    for name, devices in made.machine.devices.arrays.items():
        assert np.array_equal(devices.weights, weights[name])


def test_devices_that_leak_draw_nothing_that_others_draw() -> None:
    """A leak that takes ages changes no weight: all numbers of devices, errors and pulses are those without one."""
    slow = {"time_constant": {"value": "1e12 s", "assumed": "a test"}, "spread": 0.3}
    found = []
    for device in ({"like": "reram_sb", "name": "plain"}, {"like": "reram_sb", "name": "plain", "leak": slow}):
        made, learns, scheme = learner(device)
        scheme.begin(made, lambda trainable: 0.1)
        with made.machine.showing(random_episode(1, batch=1, steps=STEPS), None):
            learns.gradients(made)
        found.append({name: devices.weights.copy() for name, devices in made.machine.devices.arrays.items()})
    assert all(found[0][name] == close(found[1][name], rel=1e-6, abs=1e-7) for name in found[0])


def test_a_leak_needs_something_that_leaks() -> None:
    leak = {"time_constant": {"value": "1 s", "assumed": "a test"}}
    with pytest.raises(ConfigError, match="it is x that leaks"):
        hardware.device(Document("test", {"like": "rram_milo", "leak": leak}))


def test_captured_steps_read_what_leaked() -> None:
    """Batches of a routine are carried out from records; devices lose a tenth of x meanwhile."""
    found = []
    for routine in (None, "a routine"):
        made, learns, _ = learner("gain_cell", update="mixed_precision")
        made.machine.holds = {"forward": Hold(2e-5, {})}
        for batch in range(3):
            with made.machine.showing(random_episode(batch, batch=1, steps=30), routine):
                learns.gradients(made)
        found.append([each.gradient.value for each in made.trainables])
    assert all(map(np.array_equal, *found))
    assert all(gradient.any() for gradient in found[0])
