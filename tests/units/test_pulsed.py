"""Devices that answer to pulses by a law, and random trains: moments, counts, independence, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options, random_episode, rule

from hwsim import machines, networks
from hwsim.errors import HwsimError
from hwsim.learning import optimizers, updates
from hwsim.learning.update import Options, Update
from hwsim.learning.updates import in_situ
from hwsim.machine.numerics import Pulses
from hwsim.networks import Network
from hwsim.units import trains

TANH: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]}
QUIET = {"noise": 0, "write_noise": 0, "step_spread": 0, "up_down_spread": 0, "low_spread": 0, "high_spread": 0}
EXACT: dict[str, Any] = {"error": {"coefficients": ["0 uS"], "source": "aihwkit"}}


def crossbar(programming: Any = None, **update: Any) -> dict[str, Any]:
    device = {"like": "reram_sb", "name": "changed", "update": update, "programming": programming or {}}
    return {"like": "rram_crossbar", "device": device}


def learner(on: Any, scheme: Any, rate: float = 0.2, chips: Any = 1) -> tuple[Network, Any, Update]:
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": rate}, "update": scheme})
    stage = machines.build(machine_options(on), seed=1, chips=chips)
    made_by, learns = updates.build(options.update), rule("one_step")
    made_by.check(stage, learns, 1)
    made_by.place(stage)
    made = Network(stage, networks.Options.model_validate(TANH), 2, 3, learns.uses)
    made_by.prepare(made)
    made.begin_training()
    learns.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    return made, learns, Update(made, optimizers.build(options.optimizer, made), options, scheme=made_by)


def taught(on: Any, scheme: Any, rate: float = 0.2, chips: Any = 1, times: int = 1) -> Network:
    made, learns, update = learner(on, scheme, rate, chips)
    for seed in range(times):
        with made.machine.showing(random_episode(seed, batch=1, steps=7), None):
            learns.learn(made, update)
    return made


# ---- random trains -------------------------------------------------------------------------------------------


def meetings(size: int, rate: float, step: float, longest: int, times: int) -> tuple[Any, Any, np.ndarray, Any]:
    """Signals, trains, and pulses of so many updates, `(times, size, size)`."""
    draws = np.random.default_rng(3)
    rows, columns = draws.uniform(-1, 1, size), draws.uniform(-1, 1, size)
    managed = trains.managed(rate, step, 1.0, 1.0, longest)
    keys = np.array([1, 2], np.uint32), np.array([3, 4], np.uint32)
    found = [trains.meetings(rows[None], columns[None], -rate, [managed], keys, (time, 0, 0)) for time in range(times)]
    return rows, columns, np.array(found), managed


@pytest.mark.parametrize("rate", [0.005, 0.02])
def test_random_trains_are_unbiased_and_as_noisy_as_binomial_numbers(rate: float) -> None:
    """E[Δw] = η x d and Var[Δw] = L p (1 - p) ε², on 256 by 256 devices, summed over them with the sign of x d.

    Lines are shared, so sums are judged by 512 independent trains: the standard error of the mean is below .15 % over
    400 updates, and that of the variance below .5 %; the bounds are missed less often than once in 10⁵.
    """
    step, times = 0.002, 400
    rows, columns, found, managed = meetings(256, rate, step, 31, times)
    wanted = -rate * np.outer(rows, columns)
    p = np.abs(wanted) / (managed.length * step)
    assert p.max() <= 1
    unbiased = (found.mean(0) * step * np.sign(wanted)).sum() / np.abs(wanted).sum()
    assert unbiased == close(1, rel=0, abs=0.01)
    slope = (found.mean(0) * step * wanted).sum() / (wanted**2).sum()
    assert slope == close(1, rel=0, abs=0.01)
    variance = found.var(0, ddof=1).sum() / (managed.length * p * (1 - p)).sum()
    assert variance == close(1, rel=0, abs=0.05)


def test_trains_are_as_long_as_needed_and_no_longer() -> None:
    assert trains.managed(0.001, 0.002, 1, 1, 31).length == 1
    assert trains.managed(0.02, 0.002, 0.5, 0.5, 31).length == 3
    assert trains.managed(1, 0.002, 1, 1, 31).length == 31
    for rate in (0.001, 0.02, 1):
        found = trains.managed(rate, 0.002, 0.5, 0.25, 31)
        assert found.row * found.column == close(rate / (0.002 * found.length))
        alike = min(rate * 0.5 * 0.25 / 0.002, 31) / found.length
        assert found.column * 0.25 == close(np.sqrt(alike))


def test_trains_that_saturate_have_a_pulse_in_every_slot() -> None:
    """Where more than the longest train is wanted: the rows have a pulse in each slot, and nothing more."""
    managed, keys = trains.managed(1, 0.002, 1, 1, 31), (np.array([1, 2], np.uint32), np.array([3, 4], np.uint32))
    found = trains.meetings(np.array([[1.0, -1.0]]), np.array([[1.0, 0.0]]), 1.0, [managed], keys, (0, 0, 0))
    assert found.tolist() == [[31, 0], [-31, 0]]


def test_sequences_side_by_side_have_trains_of_their_own() -> None:
    """Counts of two like sequences add up, and are not twice those of one."""
    managed, keys = trains.managed(0.02, 0.002, 1, 1, 31), (np.array([1, 2], np.uint32), np.array([3, 4], np.uint32))
    signal = np.full((1, 64), 0.7)
    one = trains.meetings(signal, signal, 0.02, [managed], keys, (0, 0, 0))
    two = trains.meetings(np.repeat(signal, 2, 0), np.repeat(signal, 2, 0), 0.02, [managed] * 2, keys, (0, 0, 0))
    assert (two >= one).all()
    assert (two - one != one).any()


# ---- devices -------------------------------------------------------------------------------------------------


def test_weights_follow_the_law_of_each_device() -> None:
    """Against the law in NumPy, pulse by pulse, with the numbers that were drawn for each device."""
    made, *_ = learner(crossbar(noise=0, write_noise=0), {"name": "mixed_precision"})
    devices = made.machine.devices.arrays["layer 1 U"]
    mapping, x = devices.mapping, devices.state.copy()
    up, down, low, high = (each.reshape(x[0].shape) for each in devices.responses[0][:4])
    counts = np.array([[5, -3], [0, 40], [-800, 900], [1, -1]])[: x.shape[1]][None]
    reference = devices.minus.copy()
    before = devices.writes.copy()
    weights = devices.pulse(counts * mapping.pulse, Pulses(mapping.pulse, 1000))
    for at in np.ndindex(x.shape):
        for _ in range(abs(counts[at])):
            here, n = at[1:], counts[at]
            change = up[here] * (1 - x[at] / high[here]) if n > 0 else -down[here] * (1 - x[at] / low[here])
            x[at] = min(max(x[at] + change, low[here]), high[here])
    assert devices.state == close(x, rel=1e-9, abs=1e-12)
    g = np.maximum(mapping.zero + mapping.per_x * x, 0)
    touched = counts != 0
    assert weights[touched] == close(((g - reference) * mapping.scale)[touched], rel=1e-6, abs=1e-6)
    assert np.array_equal(devices.minus, reference)
    assert np.array_equal(devices.writes[:, 0] - before[:, 0], np.abs(counts))
    assert np.array_equal(devices.writes[:, 1], before[:, 1])
    given, conductance = devices.count_pulses(counts * mapping.pulse, Pulses(mapping.pulse, 1000))
    assert given[0] == np.abs(counts).sum()
    assert conductance[0] == close((np.abs(counts) * devices.plus).sum())


def test_a_weight_is_what_one_device_has_beyond_its_reference() -> None:
    """Programmed without errors, weights are the initial ones to half a step, and x is 0 where a weight is."""
    made, *_ = learner(crossbar(EXACT, **QUIET), {"name": "in_situ"})
    for name, devices in made.machine.devices.arrays.items():
        mapping = devices.mapping
        wanted = next(each.values for each in made.trainables if each.name == name)
        assert np.abs(devices.weights - wanted.reshape(devices.weights.shape)).max() <= mapping.w_max / mapping.levels
        x = devices.weights / mapping.scale / mapping.per_x
        assert devices.state == close(x, rel=0, abs=1e-6)
        assert devices.minus == close(np.full_like(devices.minus, mapping.zero))
        assert mapping.zero == close(10e-6 + 0.75 * 15e-6)


def test_references_may_be_at_symmetry_points() -> None:
    made, *_ = learner(crossbar(EXACT, reference="symmetry", up_down_spread=0.1), {"name": "in_situ"})
    devices = made.machine.devices.arrays["layer 1 W"]
    up, down, low, high = (each.reshape(4, 4) for each in devices.responses[0][:4])
    point = (up - down) / (up / high - down / low)
    assert devices.reference[0] == close(point, rel=1e-9, abs=1e-12)
    assert devices.minus[0] == close(devices.mapping.zero + devices.mapping.per_x * point)


def test_what_is_written_is_noisy_and_the_state_is_not() -> None:
    """σ of what conducts is `write_noise` steps; 16 devices by 400 trains, five standard errors."""
    made, *_ = learner(crossbar(noise=0, write_noise=10), {"name": "in_situ"})
    devices = made.machine.devices.arrays["layer 1 W"]
    mapping, keys = devices.mapping, (np.zeros((1, 2), np.uint32), np.ones((1, 2), np.uint32))
    errors = []
    for time in range(400):
        change = np.full(devices.weights.shape, mapping.pulse * (1 if time % 2 else -1))
        devices.pulse(change, Pulses(mapping.pulse, 1), ((time, 0, 0), (time, 1, 0)), keys)
        errors.append((devices.plus - mapping.zero) / mapping.per_x - devices.state)
    found, count = np.array(errors) / 0.002, 16 * 400
    assert found.mean() == close(0, rel=0, abs=5 * 10 / np.sqrt(count))
    assert found.std() == close(10, rel=0, abs=5 * 10 / np.sqrt(2 * count))


def test_a_device_that_is_pulsed_after_a_wait_is_read_as_a_young_one() -> None:
    """Flicker noise grows with the time since a device was written, which a pulse does."""
    flicker = {"law": "flicker", "factor": 0.01, "exponent": 0, "cap": 1, "read_time": "1 us", "source": "aihwkit"}
    on = crossbar(EXACT, **QUIET)
    on["device"] |= {
        "read_noise": flicker | {"age": {"value": "1 s", "assumed": "a test"}},
        "drift": {"law": "constant", "mean": 0, "deviation": 0, "start": "1 s", "source": "aihwkit"},
    }
    made, *_ = learner(on, {"name": "in_situ"})
    devices = made.machine.devices.arrays["layer 1 W"]
    devices.wait(1e6, [np.random.default_rng(1)])
    old = devices.spread.copy()
    change = np.zeros_like(devices.weights)
    change[0, 0] = devices.mapping.pulse
    devices.pulse(change, Pulses(devices.mapping.pulse, 1))
    young = devices.spread[0] < 0.95 * old[0]
    assert young[0].all()
    assert not young[1:].any()


@pytest.mark.parametrize("scheme", [{"name": "in_situ"}, {"name": "mixed_precision"}, {"name": "accumulate"}])
def test_a_chip_learns_alike_alone_and_beside_others(scheme: dict[str, Any]) -> None:
    alone, beside = (taught(crossbar(), scheme, 1.0, chips, 3) for chips in ([2], [0, 2, 5]))
    arrays, others = alone.machine.devices.arrays, beside.machine.devices.arrays
    for name, devices in arrays.items():
        assert np.array_equal(devices.conductance[0], others[name].conductance[1]), name
        assert not np.array_equal(devices.conductance[0], others[name].conductance[0]), name
    assert any(devices.writes[:, 0].max() > 1 for devices in arrays.values())
    assert scheme["name"] == "accumulate" or all(devices.writes[:, 1].max() == 1 for devices in arrays.values())


def test_in_situ_moves_weights_by_the_gradient_in_the_mean() -> None:
    """Constant steps without noise on 300 chips with trains of their own, beside graded pulses on exact devices."""
    law = {**QUIET, "law": "constant", "step": 0.002, "low": -1, "high": 1, "source": "definition"}
    device = {"like": "ideal", "name": "steps", "update": law}
    exact = {"like": "ideal_crossbar", "device": "ideal"}
    random = taught({"like": "ideal_crossbar", "device": device}, {"name": "in_situ"}, 0.02, 300)
    graded = taught(exact, {"name": "in_situ"}, 0.02)
    first = learner(exact, {"name": "in_situ"})[0].machine.devices.arrays["layer 1 V1"].weights
    wanted = (graded.machine.devices.arrays["layer 1 V1"].weights - first)[0]
    found = random.machine.devices.arrays["layer 1 V1"].weights - first
    spread = found.std(0) / np.sqrt(300)
    assert np.abs(wanted).max() > 10 * spread.max() / 5
    assert (np.abs(found.mean(0) - wanted) <= 5 * spread + 0.02 * np.abs(wanted).max()).all()


def test_comparators_find_the_largest_signals_that_trains_are_chosen_by() -> None:
    """One for each line but the first, in 10 ns, before pulses begin; numbers of pulses are those of these sizes."""
    made = taught(crossbar(), {"name": "in_situ"})
    prices, traces = made.machine.prices(), made.machine.journal.traces
    found = {record.unit: (record, trace) for trace in traces for record in trace if record.kind == "peak"}
    sizes = {"W": (4, 4), "U": (4, 2), "V1": (3, 4)}
    assert set(found) == {f"layer 1 {name} tiles, {side}" for name in sizes for side in ("rows", "columns")}
    for name, lines in sizes.items():
        for side, n in zip(("rows", "columns"), lines, strict=True):
            record, trace = found[f"layer 1 {name} tiles, {side}"]
            assert sum(each.energy for each in prices.charges(record)) == close((n - 1) * 0.0417e-12)
            assert prices.occupied(record).duration == 10_000  # picoseconds
            (pulses,) = (each for each in trace if each.writes == f"layer 1 {name} devices")
            assert record.writes in pulses.reads


# ---- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "scheme", "message"),
    [
        (crossbar(), {"name": "in_situ", "trains": "graded"}, "the data sheet has an `update`"),
        (crossbar(), {"name": "in_situ", "levels": 50}, "`update.step` of changed says how large a pulse is"),
        (crossbar(), {"name": "mixed_precision", "levels": 50}, "leave out `levels`"),
        (crossbar(), {"name": "in_situ", "longest": 65}, "at most 64 slots, not 65"),
        ("digital_45nm", {"name": "in_situ", "trains": "stochastic", "levels": 9}, "numbers hold the weights"),
        ("digital_45nm", {"name": "in_situ", "trains": "deterministic"}, "nothing says how large a pulse is"),
        (
            {"like": "pcm_crossbar_in_the_loop", "device": "reram_sb"},
            {"name": "in_situ", "trains": "deterministic"},
            "the host would keep weights that answer linearly",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(on: Any, scheme: dict[str, Any], message: str) -> None:
    with pytest.raises(HwsimError, match=message):
        learner(on, scheme)


def test_trains_have_as_many_slots_as_their_words() -> None:
    assert in_situ.MOST == trains.MOST
