"""The continuous-time tanh cell: against its equations, a leaky tanh cell, and an integrator of another make."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite, log1p, sqrt
from typing import Any

import numpy as np
import pytest
from autograd import grad, jacobian
from conftest import (
    CONTINUOUS,
    Sized,
    assert_estimated,
    built,
    close,
    distance,
    gradient,
    gradient_of,
    horizon,
    machine_options,
    perturb,
    random_episode,
    rule,
)
from equations import integrated
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from hwsim import initial, machines
from hwsim.accounts.memory import STATE
from hwsim.cells.cell import Euler
from hwsim.cells.continuous_tanh import MOST, ContinuousTanh, Options
from hwsim.cells.derived import Derived
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.look import Outside
from hwsim.learning.horizon import Horizon, Precision
from hwsim.machine import Gain, Signal, UnitErrors
from hwsim.operations import held, integrate, moves, subtract

CELL = CONTINUOUS["layers"][0]["cell"]


def cell(steps: int, step: float = 1.0, tau: float = 1.0, **more: Any) -> dict[str, Any]:
    """Options of a cell with this many Euler steps in a step of the input."""
    times = {"tau": f"{tau!r} ms", "step": f"{step!r} ms", "dt": f"{step / steps!r} ms"}
    return {"name": "continuous_tanh", "units": 5, **times, **more}


def network(steps: int, **more: Any) -> dict[str, Any]:
    return {"layers": [{"cell": cell(steps, **more), "readout": {"hidden": [5]}}]}


def on_integrators(**errors: float) -> dict[str, Any]:
    """A chip on which everything is exact but its integrators."""
    made = {"energy": {"value": "1 pJ", "assumed": "a test"}, "time": {"value": "1 ns", "assumed": "a test"}, **errors}
    return {"like": "ideal_crossbar", "name": "integrators", "attached": "memory", "parts": {"integrators": made}}


def parameters(made: Any) -> dict[str, np.ndarray]:
    return {each.name.removeprefix("layer 1 "): each.values[0].copy() for each in made.layers[0].cell.trainables}


def in_one_step(options: dict[str, Any], act: Any) -> tuple[dict[str, np.ndarray], Any, np.ndarray, np.ndarray]:
    """Probes of what `act(cell, at, v)` gives in one step, with the network, the state before it, and v."""
    episode, draw = random_episode(4, batch=1, steps=1), np.random.default_rng(7)
    made = built({"layers": [{"cell": options}]}, rule("fpe"), episode, seed=6)
    perturb(made)
    of, machine, seen = made.layers[0].cell, made.machine, {}
    before, v = draw.normal(size=of.width), draw.normal(size=of.width)
    with machine.showing(episode), machine.workspace() as workspace:
        h, error = workspace.register("h", of.width), workspace.register("e", of.width)
        h.value, error.value = before.reshape(1, 1, -1), v.reshape(1, 1, -1)
        for step in machine.forward_pass("once"):
            after, at = of.step(h.load(), step.input)
            for name, signal in {"next": after, **act(of, at, error.load())}.items():
                machine.watchers[name] = lambda value, name=name: seen.update({name: value[0, 0].copy()})
                machine.probe(name, signal)
    return seen, made, before, v


# ---- the state -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", ["bptt", "rtrl", "one_step", "snap"])
def test_one_euler_step_is_a_leaky_tanh_cell(learner: str) -> None:
    leaky = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.3}, "readout": {"hidden": [5]}}]}
    episode = random_episode()
    expected = gradient(leaky, learner, episode)
    assert distance(gradient(network(1, step=0.3), learner, episode), expected) < 1e-12


def test_its_error_circuit_in_one_euler_step_is_two_minus_the_jacobian() -> None:
    leaky = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.1}, "readout": {"hidden": [5]}}]}
    episode = random_episode()
    expected = gradient(leaky, "fpe two_minus", episode)
    assert distance(gradient(network(1, step=0.1), "fpe", episode), expected) < 1e-12


def test_states_come_closer_to_the_differential_equation_in_proportion_to_dt() -> None:
    missing = []
    for steps in (20, 40, 80):
        seen, made, before, _ = in_one_step(cell(steps, step=2.0), lambda of, at, v: {})
        p, x = parameters(made), random_episode(4, batch=1, steps=1).inputs[0, 0]
        drive = p["U"] @ x + p["b"]

        def slope(_: float, h: np.ndarray, p: Any = p, drive: Any = drive) -> np.ndarray:
            return np.tanh(p["W"] @ h + drive) - h

        exact = solve_ivp(slope, (0, 2), before, rtol=1e-10, atol=1e-12).y[:, -1]
        missing.append(np.linalg.norm(seen["next"] - exact))
    assert missing[0] < 0.1
    assert [one / two for one, two in pairwise(missing)] == [close(2, rel=0.05)] * 2


@pytest.mark.parametrize("steps", [1, 3])
def test_products_with_its_jacobian_are_those_of_its_equations(steps: int) -> None:
    options = cell(steps, step=0.9, tau=1.5)

    def products(of: Any, at: Any, v: Signal) -> dict[str, Signal]:
        drive = of.drive_error(at, v)
        of.accumulate(at, v, drive)
        return {
            "transposed": of.transposed(at, v),
            "again": of.transposed(at, v, drive),
            "along": of.along(at, v),
            "input": of.input_error(drive),
        }

    seen, made, before, v = in_one_step(options, products)
    made.finish_gradient()
    p, x = parameters(made), random_episode(4, batch=1, steps=1).inputs[0, 0]
    j = jacobian(lambda h: integrated(options, p, h, x))(before)
    np.testing.assert_allclose(seen["next"], integrated(options, p, before, x), atol=1e-12)
    np.testing.assert_allclose(seen["transposed"], j.T @ v, atol=1e-12)
    np.testing.assert_allclose(seen["again"], j.T @ v, atol=1e-12)
    np.testing.assert_allclose(seen["along"], j @ v, atol=1e-12)
    by_input = jacobian(lambda x: integrated(options, p, before, x))(x)
    np.testing.assert_allclose(seen["input"], by_input.T @ v, atol=1e-12)
    expected = grad(lambda p: v @ integrated(options, p, before, x))(p)
    for trainable in made.layers[0].cell.trainables:
        name = trainable.name.removeprefix("layer 1 ")
        np.testing.assert_allclose(trainable.gradient.value[0], expected[name], atol=1e-12)


def test_a_change_of_the_input_goes_through_all_euler_steps() -> None:
    options, episode = cell(3, units=2, step=0.9), random_episode(4, batch=1, steps=1)
    made = built({"layers": [{"cell": options}]}, rule("fpe"), episode, seed=6)
    perturb(made)
    seen: list[np.ndarray] = []
    made.machine.watchers["changed"] = lambda value: seen.append(value[0, 0].copy())
    with made.machine.showing(episode), made.machine.workspace() as workspace:
        h = workspace.register("h", 2)
        for step in made.machine.forward_pass("once"):
            of = made.layers[0].cell
            _, at = of.step(h.load(), step.input)
            made.machine.probe("changed", of.along_input(at, step.input))
    p, x = parameters(made), episode.inputs[0, 0]
    np.testing.assert_allclose(seen[0], jacobian(lambda x: integrated(options, p, np.zeros(2), x))(x) @ x, atol=1e-12)


# ---- errors that are circuits ----------------------------------------------------------------------------------------


def test_errors_run_forward_are_subtractions_and_come_closer_to_the_inverse_in_proportion_to_dt() -> None:
    missing = []
    for steps in (16, 32, 64):
        seen, made, before, v = in_one_step(cell(steps), lambda of, at, v: {"inverse": of.inverse_transposed(at, v)})
        p, x = parameters(made), random_episode(4, batch=1, steps=1).inputs[0, 0]
        h, run, exact = before, v, v
        for _ in range(steps):
            s = np.tanh(p["W"] @ h + p["U"] @ x + p["b"])
            m = np.eye(5) + ((1 - s**2)[:, None] * p["W"] - np.eye(5)) / steps
            h, run, exact = h + (s - h) / steps, 2 * run - m.T @ run, np.linalg.solve(m.T, exact)
        np.testing.assert_allclose(seen["inverse"], run, atol=1e-12)
        missing.append(np.linalg.norm(run - exact) / np.linalg.norm(exact))
    assert missing[0] < 0.2
    assert [one / two for one, two in pairwise(missing)] == [close(2, rel=0.2)] * 2


def test_its_gradient_comes_closer_to_that_of_bptt_in_proportion_to_dt() -> None:
    """In all parameters; and BPTT itself to that at a much shorter dt, so that the limit is that of the equation."""
    episode, missing, coarse = random_episode(1, steps=2), [], []
    limit = gradient(network(1024), "bptt", episode)
    for steps in (32, 64, 128):
        exact = gradient(network(steps), "bptt", episode)
        missing.append(distance(gradient(network(steps), "fpe", episode), exact))
        coarse.append(distance(exact, limit))
    assert missing[0] < 0.4
    assert [one / two for one, two in pairwise(missing)] == [close(2, rel=0.25)] * 2
    assert [one / two for one, two in pairwise(coarse)] == [close(2, rel=0.25)] * 2


def test_errors_are_exact_below_another_layer_of_it() -> None:
    """Each layer adds errors of first order, so halving dt halves what is missing in both."""
    missing = []
    for steps in (64, 128):
        made = {"layers": network(steps)["layers"] * 2}
        episode = random_episode(1, steps=2)
        exact, found = gradient(made, "bptt", episode), gradient(made, "fpe", episode)
        missing.append([distance(found, exact, [f"layer {layer} W"]) for layer in (1, 2)])
    assert np.divide(*missing) == close(2, rel=0.3)
    assert np.max(missing[1]) < 0.2


def test_it_learns_beside_a_cell_in_discrete_time() -> None:
    made = {"layers": [*network(24, step=0.2)["layers"], {"cell": {"name": "lru", "modes": 3}, "readout": {}}]}
    episode = random_episode()
    found, exact = (gradient(made, learner, episode) for learner in ("fpe", "bptt"))
    assert distance(found, exact, [name for name in exact if name.startswith("layer 2")]) < 1e-9
    assert distance(found, exact) < 0.2


@pytest.mark.parametrize("learner", ["bptt", "fpe", "fpe_anchored", "fpe_lagged"])
def test_strict_machines_find_the_same(learner: str) -> None:
    episode, on = random_episode(steps=5), "ideal" if learner == "bptt" else "integrating_crossbar"
    plain, strict = (gradient(CONTINUOUS, learner, episode, on=on, strict=strict) for strict in (False, True))
    for name, value in plain.items():
        assert value.tobytes() == strict[name].tobytes()


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"dt": "0.3 ms"}, "dt: 300 µs does not divide the step of the input, 1 ms; 250 µs or 333.333 µs would"),
        ({"dt": "1.5 ms"}, "dt: 1.5 ms does not divide the step of the input, 1 ms; 1 ms would"),
        ({"dt": "3 ms"}, "dt: 3 ms is longer than tau, 2 ms; Euler steps have to be shorter"),
        ({"dt": "50 ns"}, f"dt: 50 ns makes 2e+04 Euler steps of 1 ms; at most {MOST} are taken"),
        ({"dt": "2 mV"}, "second"),
        ({"tau": 2}, "tau"),
    ],
)
def test_times_that_do_not_fit_are_refused(times: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("+", r"\+")):
        Options.model_validate({**CELL, **times})


@pytest.mark.parametrize("steps", [1, 3, 7, 999, MOST])
def test_a_dt_that_divides_the_step_is_taken_however_it_is_rounded(steps: int) -> None:
    assert Options.model_validate(cell(steps, step=0.7)).euler == Euler(steps, close(0.7 / steps))


def test_a_wrong_dt_is_shown_where_it_stands() -> None:
    layers = {"layers": [{"cell": {**CELL, "dt": "0.3 ms"}}]}
    data = {"name": "own", "network": layers, "machine": "ideal", "learning": {"name": "fpe"}}
    data["task"] = {"name": "random", "steps": 5, "width": 2, "train": 8, "test": 4}
    with pytest.raises(ConfigError, match=r"network\.layers\.0\.cell\.dt: .*dt: 300 µs does not divide the step"):
        config.compose(Document("test", data))


def test_rules_that_follow_each_parameter_by_itself_are_refused_between_steps() -> None:
    episode = random_episode()
    with pytest.raises(CapabilityError, match="which has 4 Euler steps; with dt equal to step it has one"):
        gradient(CONTINUOUS, "rtrl", episode)
    with pytest.raises(CapabilityError, match="cannot say how much of its state each unit keeps"):
        gradient(CONTINUOUS, "rflo", episode)


# ---- integrators -----------------------------------------------------------------------------------------------------


def integrators(made: Any) -> dict[str, np.ndarray]:
    """1 + m of each bank of integrators, by name."""
    return {bank.name: bank.gains for bank in made.machine.circuits.banks.values() if "integrators" in bank.name}


def test_states_and_errors_have_integrators_of_their_own() -> None:
    learned, episode = rule("fpe"), random_episode(steps=2)
    made = built(network(2, units=64), learned, episode, on=on_integrators(mismatch=0.02), chips=3)
    gradient_of(made, learned, episode)
    banks = integrators(made)
    assert set(banks) == {"layer 1 state integrators 64", "layer 1 error integrators 64"}
    state, error = banks.values()
    for bank in (state, error):
        assert bank.shape == (3, 64)
        assert abs(bank.std() / 0.02 - 1) < 0.25  # of 192 draws: five standard deviations
    assert abs(np.corrcoef(state.ravel(), error.ravel())[0, 1]) < 0.36  # five standard deviations


def test_a_mismatched_integrator_has_another_time_constant() -> None:
    """A chip's states are those of Euler steps by (1 + m) dt/τ, wire by wire."""
    learned, episode = rule("fpe"), random_episode(steps=4, batch=1)
    made = built(network(2, step=0.5), learned, episode, on=on_integrators(mismatch=0.05), chips=2)
    states: list[np.ndarray] = []
    made.machine.sequencer.after_step = lambda: states.append(made.machine.storages["layer 1 h"].value[:, 0].copy())
    gradient_of(made, learned, episode)
    rates, p = integrators(made)["layer 1 state integrators 5"], parameters(made)
    for chip in range(2):
        h = np.zeros(5)
        for x, found in zip(episode.inputs[0], states, strict=False):
            for _ in range(2):
                h = h + 0.25 * rates[chip] * (np.tanh(p["W"] @ h + p["U"] @ x + p["b"]) - h)
            np.testing.assert_allclose(found[chip], h, atol=1e-5)


def test_integrators_without_errors_change_nothing() -> None:
    episode = random_episode(steps=3)
    exact, found = (gradient(network(4), "fpe", episode, on=on) for on in ("ideal", on_integrators()))
    assert distance(found, exact) < 1e-4


@pytest.mark.parametrize("with_integrators", [True, False])
def test_an_euler_step_is_an_integrator_s_where_there_are_some(with_integrators: bool) -> None:
    """Each wire pays for each Euler step; without integrators they are multiplications and additions of numbers."""
    on = on_integrators() if with_integrators else "ideal_crossbar"
    learned, episode = rule("one_step"), random_episode(steps=1, batch=1)
    made = built(network(3, step=0.3), learned, episode, on=on)
    with made.machine.showing(episode), made.machine.workspace() as workspace:
        states = made.states(workspace)
        for step in made.machine.forward_pass("once"):
            made.step(states, step)
    (found,) = (trace for trace in made.machine.journal.traces if any(each.kind == "integrate" for each in trace))
    steps, prices = [record for record in found if record.kind == "integrate"], made.machine.prices()
    assert len(steps) == 3
    charged = [charge for record in steps for charge in prices.charges(record)]
    if with_integrators:
        assert sum(charge.energy for charge in charged) == close(3 * 5 * 1e-12)
        assert [prices.occupied(record).duration for record in steps] == [1000] * 3  # picoseconds
    else:
        assert {record.format for record in steps} == {"float32"}
        assert "integrators" not in {charge.component for charge in charged}


def test_an_estimate_costs_what_a_run_costs() -> None:
    assert_estimated(
        {
            "name": "own",
            "task": {"name": "random", "steps": 4, "width": 2, "train": 4, "test": 2},
            "network": CONTINUOUS,
            "machine": "digital_45nm",
            "learning": {"name": "fpe"},
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 2, "steps": 1},
        }
    )


# ---- the horizon -----------------------------------------------------------------------------------------------------


@given(st.floats(1e-3, 3), st.floats(1e-6, 0.5), st.floats(0.01, 2))
def test_in_continuous_time_it_is_a_logarithm(rate: float, drift: float, tolerance: float) -> None:
    asked = Horizon(1, rate, 0, 0, tolerance, drift)
    assert asked.frozen_steps == close(log1p(tolerance / drift) / rate)
    assert Horizon(asked.frozen_steps, rate, 0, 0, tolerance, drift).frozen_error == close(tolerance, rel=1e-6)  # type: ignore[arg-type]


def test_no_logarithm_of_it_is_one_of_zero() -> None:
    def reach(rate: float, drift: float) -> float:
        return Horizon(10, rate, 0, 0, 1, drift).frozen_steps

    assert reach(1, 0) == reach(0, 0.1) == reach(-0.1, 0.1) == reach(0, 0) == inf
    assert reach(inf, 0) == inf
    assert reach(inf, 0.1) == reach(1, inf) == 0
    assert Horizon(10**6, 1, 0, 0, 1, 0.1).frozen_error == inf
    assert Horizon(10, inf, 0, 0, 1, 0.1).frozen_error == inf


class Told(Sized):
    """A look at units that have these errors, at a network that forgets at this rate."""

    discrete = False

    def __init__(self, noise: dict[Any, float], mismatch: float, rate: float) -> None:
        self._noise, self._mismatch, self._rate = noise, mismatch, rate

    def errors(self, operation: Any) -> UnitErrors:
        return UnitErrors(operation.name, self._noise.get(operation, 0.0), 0.0, self._mismatch, 1e-9)

    def forgetting(self) -> float:
        return self._rate

    def size(self) -> float:
        return 0.5


def test_its_precision_is_that_of_integrators() -> None:
    """By hand: 16 steps of an eighth of τ; noise per step of √16, and of an eighth of what they integrate."""
    look = Told({integrate: 0.01, held.read_transposed: 0.03, subtract: 0.04, moves.store: 0.02}, 0.005, 1.6)
    look.euler = {"layer 1": Euler(16, 0.125)}
    fresh, frozen, drift = Precision.of(look)
    assert fresh == close(sqrt(16 * (0.01**2 + 0.125**2 * 0.05**2) + 0.02**2) / 0.5)
    assert frozen == 0
    assert drift == close(sqrt(2) * 0.005 + 1.6 / 16)
    assert Precision.of(_exact(inf)).drift == inf


def _exact(rate: float) -> Told:
    look = Told({}, 0.0, rate)
    look.euler = {"layer 1": Euler(16, 0.125)}
    return look


def test_rounding_counts_once_an_euler_step() -> None:
    assert Precision.of(_exact(0.5)).fresh == close(1e-9 * 4)


@pytest.mark.parametrize(("steps", "mismatch"), [(32, 0.0), (128, 0.0), (128, 0.02)])
def test_within_the_horizon_gradients_are_right_and_far_beyond_they_are_lost(steps: int, mismatch: float) -> None:
    """Of nothing but the length of the sequence; the horizon is known before the gradient is found."""
    kind, on = network(steps, units=8, gain=0.5), on_integrators(mismatch=mismatch)
    cosines: dict[bool, list[float]] = {True: [], False: []}
    for length in (1, 2, 9):
        episode = random_episode(1, steps=length)
        made = built(kind, rule("fpe"), episode, on=on)
        said = horizon(made, built(kind, rule("fpe"), episode), episode, tolerance=1.0)
        assert said is not None
        assert isfinite(said.frozen_steps)
        found, exact = (gradient(kind, learner, episode, on=on)["layer 1 W"].ravel() for learner in ("fpe", "bptt"))
        cosines[said.fits].append(float(found @ exact / np.linalg.norm(found) / np.linalg.norm(exact)))
    assert len(cosines[True]) == 2
    assert min(cosines[True]) > 0.95
    assert max(cosines[False]) < 0.6


def test_anchors_are_set_by_what_euler_steps_leave_out() -> None:
    """Errors that start again at every step stay right far beyond the horizon of those that do not."""
    kind, episode = network(32, units=8, gain=0.5), random_episode(1, steps=9)
    exact, far = gradient(kind, "bptt", episode), gradient(kind, "fpe", episode)
    learned = rule({"name": "fpe_anchored"})
    made = built(kind, learned, episode)
    settled = learned.settle(Outside(made, lambda: built(kind, learned, episode), episode))
    assert distance(gradient_of(made, settled, episode), exact) < 0.1
    assert distance(far, exact) > 10


# ---- chains of operations --------------------------------------------------------------------------------------------


class Chain(Derived):
    """h' = g h, in thousands of Euler steps."""

    LONG = 3000

    def __init__(self, machine: Any) -> None:
        super().__init__(machine, "chain")
        self.width = 2
        self.g = Gain.trained(machine, "chain g", "recurrent", initial.ones(2))
        self.keep(self.g)

    def next(self, h: Signal, x: Signal) -> Signal:
        for _ in range(self.LONG):
            h = integrate(h, self.g * h, 1e-4)
        return h + x


def test_derivatives_of_thousands_of_operations_are_found_without_recursion() -> None:
    machine, episode = machines.build(machine_options("ideal")), random_episode(batch=1, steps=1)
    chain, seen = Chain(machine), []
    machine.watchers["back"] = machine.watchers["along"] = lambda value: seen.append(value[0, 0].copy())
    chain.begin_training()
    for _ in machine.phase("program"):
        chain.program()
    with machine.showing(episode), machine.workspace() as workspace:
        h = workspace.register("h", 2, STATE, initial=(1.0,))
        for step in machine.forward_pass("once"):
            _, at = chain.step(h.load(), step.input)
            drive = chain.drive_error(at, at.h)
            machine.probe("back", chain.transposed(at, at.h, drive))
            machine.probe("along", chain.along(at, at.h))
            chain.accumulate(at, at.h, drive)
    grown = 1.0001**Chain.LONG
    np.testing.assert_allclose(seen, grown, rtol=1e-9)
    expected = Chain.LONG * 1e-4 * 1.0001 ** (Chain.LONG - 1)  # the slope of (1 + g a)^K, of h = 1 and an error of 1
    np.testing.assert_allclose(chain.g.gradient.value[0], expected, rtol=1e-9)


def test_it_is_found_by_its_name() -> None:
    made = built(CONTINUOUS, rule("fpe"), random_episode())
    assert all(isinstance(layer.cell, ContinuousTanh) and layer.cell.euler == Euler(4, 0.125) for layer in made.layers)
