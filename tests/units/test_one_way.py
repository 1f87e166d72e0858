"""Pairs of devices that are pulsed upward only: the law, renewal with its writes, energy and time, and learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options, random_episode, rule
from pydantic import TypeAdapter, ValidationError

from hwsim import machines, networks
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.learning import optimizers, updates
from hwsim.learning.update import Options, Update
from hwsim.machine.numerics import Pulses
from hwsim.networks import Network
from hwsim.operations import moves
from hwsim.physics.pulses import UpdateLaw
from hwsim.units.mapping import OneWay, mapping
from hwsim.units.one_way import SHARED, WORN

TANH: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]}
QUIET = dict.fromkeys(("noise", "step_spread", "up_down_spread", "high_spread", "reset_spread", "reset_noise"), 0)


def learner(
    chips: Any = 1, strict: bool = False, rate: float = 1.0, scheme: str = "in_situ", **update: Any
) -> tuple[Network, Any, Update]:
    device = {"like": "pcm_update", "name": "changed", "update": update}
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": rate}, "update": {"name": scheme}})
    on = machine_options({"like": "pcm_crossbar", "device": device})
    stage, learns = machines.build(on, seed=1, chips=chips, strict=strict), rule("one_step")
    made_of = updates.build(options.update)
    made_of.place(stage)
    made = Network(stage, networks.Options.model_validate(TANH), 2, 3, learns.uses)
    made_of.prepare(made)
    made.begin_training()
    learns.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    return made, learns, Update(made, optimizers.build(options.optimizer, made), options, scheme=made_of)


def by_law(x: float) -> float:
    """One pulse, by the published law."""
    return min(x + 0.01 * max(1 + 27.235 * np.exp(2.5 * -x), 0), 2.0)


def test_pulses_of_either_sign_drive_a_device_of_their_own_upward() -> None:
    made, *_ = learner(**QUIET)
    devices = made.machine.devices.arrays["layer 1 W"]
    x, size = devices.state.copy(), devices.mapping.pulse
    counts = np.zeros((1, 4, 4))
    counts[0, 0, 0], counts[0, 1, 2] = 5, -7
    before = devices.writes.copy()
    given, conductance = devices.count_pulses(counts * size, Pulses(size, 10))
    assert given[0] == 12
    assert conductance[0] == close(5 * devices.plus[0, 0, 0] + 7 * devices.minus[0, 1, 2])
    weights = devices.pulse(counts * size, Pulses(size, 10))
    for side, at, count in ((0, (0, 0), 5), (1, (1, 2), 7)):
        for _ in range(count):
            x[(0, side, *at)] = by_law(x[(0, side, *at)])
        assert devices.writes[(0, side, *at)] - before[(0, side, *at)] == count
    assert devices.state == close(x, rel=1e-9, abs=1e-12)
    window = 24.75e-6
    touched = [(0, 0), (1, 2)]
    for at in touched:
        assert devices.conductance[0][:, *at] == close(0.25e-6 + x[0][:, *at] / 2 * window)
        difference = x[0, 0][at] - x[0, 1][at]
        assert weights[0][at] == close(difference / 2 * devices.mapping.w_max, rel=1e-5, abs=1e-6)


def test_worn_pairs_are_renewed_and_keep_their_difference() -> None:
    """Within half of a pulse of the law; others stay as they are. Each reset is a write, and so is each pulse."""
    made, *_ = learner(**QUIET)
    devices = made.machine.devices.arrays["layer 1 W"]
    x = devices.state
    x[0] = 0.2
    x[0, :, 0, 0] = 1.6, 0.6
    x[0, :, 1, 1] = 0.55, 1.9
    x[0, :, 2, 2] = 1.49, 0.9
    x[0, :, 3, 3] = 1.9, 0.49
    devices._conduct(0, np.ones(x.shape[1:], bool))
    assert (WORN, SHARED) == (0.75, 0.25)
    was, writes, before = x.copy(), devices.writes.copy(), devices.conductance.copy()
    _, counted, met = devices.renew([np.random.default_rng(1)])
    expected, pulses, conductances = was.copy(), 0, 0.0
    for at in ((0, 0), (1, 1)):
        difference = was[0, 0][at] - was[0, 1][at]
        reached = [0.01]
        while reached[-1] < 2 and len(reached) < 500:
            reached.append(by_law(reached[-1]))
        needed = int(np.abs(np.array(reached) - 0.01 - abs(difference)).argmin())
        side = 0 if difference > 0 else 1
        expected[0][side, *at], expected[0][1 - side, *at] = reached[needed], 0.01
        pulses += 2 + needed
        conductances += before[0][:, *at].sum() + needed * (0.25e-6 + 0.005 * 24.75e-6)
        assert (devices.writes - writes)[0][side, *at] == 1 + needed
        assert (devices.writes - writes)[0][1 - side, *at] == 1
    assert x == close(expected, rel=1e-9, abs=1e-12)
    assert (counted[0], met[0]) == close((pulses, conductances))
    renewed = devices.weights[0] / devices.mapping.w_max * 2
    assert np.abs(renewed - (was[0, 0] - was[0, 1]))[[0, 1], [0, 1]].max() < by_law(1.0) - 1.0 + 0.01


def test_fast_arrays_are_renewed_as_well() -> None:
    made, *_ = learner(scheme="tiki_taka")
    arrays = made.machine.devices.arrays
    (beside,) = {matrix.name for matrix in made.beside if matrix.name.startswith("layer 1 W")}
    top = arrays[beside].responses[0].high.reshape(arrays[beside].state.shape[1:])
    arrays[beside].state[0] = 0.9 * top
    made.renew()
    assert (arrays[beside].state[0] < WORN * top).all()


def test_renewal_is_charged_with_its_pulses_resets_reads_and_time() -> None:
    made, *_ = learner(**QUIET)
    machine = made.machine
    devices = machine.devices.arrays["layer 1 W"]
    devices.state[0, :, 0, 0] = 1.6, 0.6
    written, before = machine.devices.written.copy(), devices.writes.sum()
    made.renew()
    machine.journal.close_batch(1)
    assert devices.writes.sum() - before == (machine.devices.written - written)[0] > 2
    records = [each for trace in machine.journal.traces for each in trace if each.kind == moves.renew.kind]
    assert len(records) == len(machine.devices.arrays)
    prices = machine.prices()
    (record,) = [each for each in records if each.unit == "layer 1 W tiles"]
    most, rows, columns = record.size[-3:]
    tiles = prices.units[moves.renew.kind]
    assert (rows, columns) == (4, 4)
    assert tiles.seconds(record) == close(4 * (most + 1) * 150e-9 + 2 * 4 * tiles._phase.value)
    pulses, reads = tiles.charges(record)
    assert pulses.activity == 0
    assert (reads.amount, reads.activity) == (2 * 16, None)


def test_the_number_of_pulses_to_a_difference_is_the_nearest() -> None:
    made = mapping(hardware.device(Document("test", "pcm_update")), 1.0, 1.0)
    assert isinstance(made, OneWay)
    reached = [0.01]
    for _ in range(40):
        reached.append(by_law(reached[-1]))
    asked = np.array([0.0, 0.05, 0.3, 0.9, 1.4])
    nearest = [int(np.abs(np.array(reached) - 0.01 - each).argmin()) for each in asked]
    assert made.pulses_to(asked).tolist() == nearest
    assert made.pulse == close((by_law(1.0) - 1.0) / 2)


@pytest.mark.parametrize("strict", [False, True])
def test_learning_in_place_wears_pairs_and_renews_them(strict: bool) -> None:
    """After many updates no pair is worn, and chips learn alike alone and beside others."""
    alone, beside = (learner(chips, strict) for chips in ([2], [0, 2]))
    for made, learns, update in (alone, beside):
        for seed in range(40):
            with made.machine.showing(random_episode(seed, batch=1, steps=5), None):
                learns.learn(made, update)
    resets = 0
    for name, devices in alone[0].machine.devices.arrays.items():
        assert np.array_equal(devices.conductance[0], beside[0].machine.devices.arrays[name].conductance[1])
        share = devices.state / 2
        assert not ((share.max(1) > 0.9) & (share.min(1) > 0.6)).any()
        resets += int((devices.writes.min(1) > 1).sum())
        assert np.isfinite(devices.weights).all()
    assert resets > 0


def test_a_law_of_one_direction_has_no_symmetry_point_and_starts_at_zero() -> None:
    options = {"law": "constant", "step": 0.1, "low": -1, "high": 1, "one_way": True, "source": "test"}
    with pytest.raises(ValidationError, match="pulses lead upward only"):
        TypeAdapter(UpdateLaw).validate_python(options)
