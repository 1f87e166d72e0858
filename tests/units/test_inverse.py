"""The analog inverse solver: beside NumPy, closed forms, and the differential equations of its circuit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, close, gradient, gradient_of, random_episode, rule
from scipy import stats
from scipy.integrate import solve_ivp

import hwsim
from hwsim.accounts.energy import Tariff
from hwsim.errors import CapabilityError, UnstableLoopError
from hwsim.operations.feedback import solve_in_loop
from hwsim.operations.noise import Source
from hwsim.units.devices import Cut
from hwsim.units.inverse import Amplifiers, Found, found

ONE_IN_A_MILLION = 1e-6
N, CHIPS, VECTORS = 5, 2, 3
SCALE, FULL = 4e3, 4.0
"""Weight per siemens, and full scale."""
ANALOG = {"name": "fpe", "inverse": "analog"}
SOLVER: dict[str, Any] = {
    "response": {"value": "1.6 ns", "assumed": "a test"},
    "power": {"value": "20 uW", "assumed": "a test"},
    "slowest": 0.001,
    "settled": 0.004,
}
SLOW = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": 0.1}, "readout": {"hidden": [5]}}]}
"""A network whose Jacobian is far from singular."""


def on(like: str = "ideal_crossbar", **solver: Any) -> dict[str, Any]:
    """A machine with a solver, perfect but for what is said."""
    return {"like": like, "parts": {"solver": {**SOLVER, **solver}}}


class System:
    """W as pairs of conductances, a slope, what is kept, and a right side; all numbers made up."""

    def __init__(self, seed: int = 1, kept: float = 0.7) -> None:
        draw = np.random.default_rng(seed)
        self.plus, self.minus = draw.uniform(0, 25e-6, (2, CHIPS, N, N))
        self.slope = draw.uniform(0.1, 0.3, (CHIPS, VECTORS, N)).astype(np.float32)
        self.v = draw.uniform(-0.5, 0.5, (CHIPS, VECTORS, N)).astype(np.float32)
        self.kept = np.full((CHIPS, N), kept)
        self.W = (self.plus - self.minus) * SCALE
        self.total = (self.plus + self.minus).sum(1) * SCALE + self.kept + 1  # at the input of each amplifier

    def matrix(self, chip: int, vector: int) -> np.ndarray:
        """diag(k) + Wᵀ diag(φ), one number after another."""
        a = np.zeros((N, N))
        for i in range(N):
            a[i, i] = self.kept[chip, i]
            for j in range(N):
                a[i, j] += self.W[chip, j, i] * self.slope[chip, vector, j]
        return a

    def around(self, **changes: Any) -> Amplifiers:
        ones = np.ones((CHIPS, N))
        perfect = Amplifiers(ones, self.kept, 0 * ones, 0.0, (0.0, 0.0), None, 1e-6, 1e9, SCALE)
        return perfect._replace(**changes)

    def run(self, spread: float = 0.0, end: float = FULL, step: int = 0, **changes: Any) -> Found:
        both = self.plus + self.minus
        cut = Cut(slice(0, N), self.W.astype(np.float32), np.full((CHIPS, N, N), spread, np.float32), both.sum(2))
        source = Source(3, "test", CHIPS)
        return found(self.around(**changes), cut, both.sum(1), self.slope, self.v, FULL, end, source, (step, 0, 0))

    def each(self) -> list[tuple[int, int]]:
        return [(chip, vector) for chip in range(CHIPS) for vector in range(VECTORS)]


# ---- where it settles ------------------------------------------------------------------------------------------------


def test_a_perfect_circuit_finds_what_numpy_finds() -> None:
    made = System()
    values = made.run().values
    for chip, vector in made.each():
        exact = np.linalg.solve(made.matrix(chip, vector), made.v[chip, vector])
        np.testing.assert_allclose(values[chip, vector], exact, rtol=1e-6)


def test_a_finite_gain_adds_the_conductance_at_each_input_over_the_gain() -> None:
    made, gain = System(), 50.0
    values = made.run(gain=gain).values
    for chip, vector in made.each():
        a = made.matrix(chip, vector) + np.diag(made.total[chip]) / gain
        np.testing.assert_allclose(values[chip, vector], np.linalg.solve(a, made.v[chip, vector]), rtol=1e-6)


def test_an_offset_adds_itself_times_the_conductance_at_its_input() -> None:
    made, offset = System(), np.random.default_rng(2).normal(0, 1e-3, (CHIPS, N))
    values = made.run(offset=offset).values
    for chip, vector in made.each():
        right = made.v[chip, vector] + made.total[chip] * offset[chip] * FULL
        np.testing.assert_allclose(values[chip, vector], np.linalg.solve(made.matrix(chip, vector), right), rtol=1e-6)


def test_gains_of_multipliers_and_resistors_are_inside_what_is_solved() -> None:
    made, draw = System(), np.random.default_rng(4)
    gains, kept = draw.normal(1, 0.05, (CHIPS, N)), draw.normal(0.7, 0.05, (CHIPS, N))
    values = made.run(multipliers=gains, kept=kept).values
    for chip, vector in made.each():
        a = made.W[chip].T @ np.diag(gains[chip] * made.slope[chip, vector]) + np.diag(kept[chip])
        np.testing.assert_allclose(values[chip, vector], np.linalg.solve(a, made.v[chip, vector]), rtol=1e-6)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("amplifiers", {"noise": 1e-3}),
        ("multipliers", {"multiplied": (1e-3, 0.0)}),
        ("gains of multipliers", {"multiplied": (0.0, 1e-2)}),
        ("devices", {"spread": 1e-4}),
    ],
)
def test_noise_goes_through_the_inverse(what: str, changes: dict[str, Any]) -> None:
    """Standard deviations of 2000 draws are 1 ± .016; 30 are within 1 ± .08 but once in 10⁵ times."""
    made = System()
    still, runs = made.run().values, np.array([made.run(step=step, **changes).values for step in range(2000)])
    for chip, vector in made.each():
        inverse = np.linalg.inv(made.matrix(chip, vector))
        lines = made.slope[chip, vector] * still[chip, vector]
        own = {
            "amplifiers": np.diag(made.total[chip] * 1e-3 * FULL),
            "multipliers": made.W[chip].T * 1e-3 * FULL,
            "gains of multipliers": made.W[chip].T @ np.diag(1e-2 * lines),
            "devices": np.eye(N) * np.sqrt(1e-4 * (lines**2).sum()),
        }[what]
        deviation = np.sqrt(((inverse @ own) ** 2).sum(1))
        drawn = (runs[:, chip, vector] - still[chip, vector]) / deviation
        np.testing.assert_allclose(drawn.std(0), 1, atol=0.08)
        assert stats.kstest(drawn.ravel(), "norm").pvalue > ONE_IN_A_MILLION


def test_chips_draw_alike_however_many_there_are() -> None:
    source = [Source(3, "test", chips).draw(8, (0, 0, 0))[0] for chips in (1, 4)]
    np.testing.assert_array_equal(*source)


# ---- how fast --------------------------------------------------------------------------------------------------------


def course(made: System, chip: int, vector: int, gain: float, until: float) -> np.ndarray:
    """Where Kirchhoff's and the amplifiers' equations lead from zero, in responses: siemens and volts alone."""
    plus, minus, phi = made.plus[chip].T, made.minus[chip].T, made.slope[chip, vector].astype(float)
    resistor, entry = made.kept[chip] / SCALE, 1 / SCALE
    source = -made.v[chip, vector].astype(float)  # so that outputs have the sign of the solution

    def slopes(_: float, out: np.ndarray) -> np.ndarray:
        into = plus @ (phi * out) - minus @ (phi * out) + resistor * out + entry * source
        node = into / (plus.sum(1) + minus.sum(1) + resistor + entry)  # where the currents into an input cancel
        return np.asarray(-node - out / gain)

    return np.asarray(solve_ivp(slopes, (0, until), np.zeros(N), method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1])


@pytest.mark.parametrize("time", [3.0, 20.0])
def test_a_late_circuit_is_read_where_its_differential_equation_has_come_to(time: float) -> None:
    made = System()
    result = made.run(gain=200.0, slowest=1.0, responses=time)
    assert result.late == CHIPS * VECTORS
    for chip, vector in made.each():
        np.testing.assert_allclose(result.values[chip, vector], course(made, chip, vector, 200.0, time), rtol=2e-6)


def test_it_has_settled_when_the_smallest_eigenvalue_says() -> None:
    """After ln(1/ε)/λ responses, ε of the slowest part of the way is left, and not after half of that."""
    made, left = System(), 0.01
    for chip, vector in made.each():
        a = made.matrix(chip, vector)
        rates = np.linalg.eigvals(a / made.total[chip][:, None]).real
        end = np.linalg.solve(a, made.v[chip, vector])
        time = np.log(1 / left) / rates.min()
        missing = [
            np.abs(course(made, chip, vector, np.inf, t) - end).max() / np.abs(end).max() for t in (time, time / 2)
        ]
        assert missing[0] < 3 * left < missing[1]


def test_only_what_is_slower_than_it_waits_for_is_late() -> None:
    """Also where the symmetric part says less than the eigenvalues."""
    made = System()
    rates = [
        np.linalg.eigvals(made.matrix(chip, vector) / made.total[chip][:, None]).real.min()
        for chip, vector in made.each()
    ]
    for slowest in (min(rates) * 0.999, *(rate * 1.001 for rate in rates), 1.0):
        assert made.run(slowest=slowest, responses=1e6).late == sum(rate < slowest for rate in rates)


def test_where_an_eigenvalue_has_no_positive_real_part_it_is_unstable() -> None:
    made = System(kept=0.0)
    made.plus[1], made.minus[1] = made.minus[1].copy(), made.plus[1].copy()
    made.W = (made.plus - made.minus) * SCALE
    least = {
        each: np.linalg.eigvals(made.matrix(*each) / made.total[each[0]][:, None]).real.min() for each in made.each()
    }
    worst = min(least, key=lambda each: least[each])
    assert least[worst] < 0
    unstable = made.run().unstable
    assert unstable is not None
    assert unstable[:2] == worst
    assert unstable[2].real == close(least[worst], rel=1e-6)


def test_what_is_beyond_full_scale_saturates_and_is_counted() -> None:
    made = System()
    free, clipped = made.run(), made.run(end=0.3)
    assert clipped.beyond == (np.abs(free.values) > 0.3).sum() > 0
    np.testing.assert_array_equal(clipped.values, np.clip(free.values, np.float32(-0.3), np.float32(0.3)))


def test_what_is_not_finite_gives_no_number_and_leaves_others_alone() -> None:
    made, broken = System(), System()
    broken.v[0, 1, 2] = np.nan
    broken.slope[1, 0, 0] = np.inf
    values, whole = broken.run().values, made.run().values
    assert np.isnan(values[0, 1]).all()
    assert np.isnan(values[1, 0]).all()
    np.testing.assert_array_equal(values[0, [0, 2]], whole[0, [0, 2]])


# ---- on a chip -------------------------------------------------------------------------------------------------------


def distance(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> float:
    """The largest relative difference of a parameter's gradient."""
    return max(float(np.linalg.norm(left[name] - right[name]) / np.linalg.norm(right[name])) for name in right)


def test_on_machines_without_analog_circuits_it_is_the_exact_inverse() -> None:
    episode = random_episode()
    for machine in ("ideal", "digital_45nm"):
        analog, exact = (gradient(SLOW, learner, episode, on=machine) for learner in (ANALOG, "fpe"))
        for name, value in exact.items():
            assert value.tobytes() == analog[name].tobytes()


@pytest.mark.parametrize("array", ["own", "shared"])
@pytest.mark.parametrize(
    "learner",
    [
        {},
        {"warm_up": "seed"},
        {"name": "fpe_anchored", "every": 3, "age": 4},
        {"name": "fpe_lagged", "lag": 4, "every": 2},
    ],
)
def test_a_perfect_solver_finds_the_gradient_of_the_ideal_machine(array: str, learner: dict[str, Any]) -> None:
    """To single precision, with converters of 24 bits; other episodes multiply their rounding by up to 40."""
    episode = random_episode(1)
    exact = gradient(SLOW, {"name": "fpe", **learner}, episode)
    assert distance(gradient(SLOW, {**ANALOG, **learner}, episode, on=on(array=array)), exact) < 2e-4


def test_units_that_leak_apart_keep_shares_of_their_own() -> None:
    groups = [{"value": 0.05, "units": 2}, {"value": 0.3, "units": 4}]
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": groups}}]}
    episode = random_episode()
    assert distance(gradient(network, ANALOG, episode, on=on()), gradient(network, "bptt", episode)) < 1e-3


@pytest.mark.parametrize("array", ["own", "shared"])
def test_the_error_of_the_gradient_is_that_of_the_finite_gain(array: str) -> None:
    """To first order it falls as one over the gain."""
    episode, missing = random_episode(), []
    exact = gradient(SLOW, "bptt", episode)
    for gain in (300.0, 3000.0):
        missing.append(distance(gradient(SLOW, ANALOG, episode, on=on(array=array, gain=gain)), exact))
    assert missing[0] / missing[1] == close(10, rel=0.3)
    assert missing[1] < 0.03


def programmed(array: str) -> tuple[Any, Any]:
    """A network with devices that are programmed with errors, and its solver."""
    machine = {**on(array=array), "device": "pcm_gst_90nm"}
    made = built(SLOW, rule(ANALOG), random_episode(), on=machine, chips=2)
    return made, made.layers[0].cell._loop.unit


def test_a_shared_solver_has_the_devices_of_w_and_one_of_its_own_others() -> None:
    made, solver = programmed("shared")
    assert solver.array is made.layers[0].cell.W.unit
    made, solver = programmed("own")
    W = made.layers[0].cell.W
    copy, tile = (array.programmed(W) for array in (solver.array, W.unit))
    assert not np.allclose(copy, tile, atol=1e-3)
    np.testing.assert_allclose(copy, tile, atol=0.5)
    np.testing.assert_array_equal(solver.array.devices.conductance.shape, W.unit.devices.conductance.shape)


def test_a_copy_takes_a_tile_and_devices_and_is_written_with_each_update() -> None:
    counts = {}
    for array in ("own", "shared"):
        made, _ = programmed(array)
        stage = made.machine
        counts[array] = (stage.devices.used, stage.devices.count, float(stage.devices.written[0]))
    n = 6
    assert counts["own"][0] == counts["shared"][0] + 1
    assert counts["own"][1] == counts["shared"][1] + 2 * n * n
    assert counts["own"][2] == counts["shared"][2] + 2 * n * n  # at first all of them are written


def test_energy_and_time_are_power_times_the_time_of_the_slowest() -> None:
    episode = random_episode()
    learned, machine = rule(ANALOG), on(slowest=0.02)
    machine["device"] = "pcm_gst_90nm"
    made = built(SLOW, learned, episode, on=machine, chips=2)
    stage, seen = made.machine, []
    solver = made.layers[0].cell._loop.unit
    solve = solver._solve

    def watched(*operands: Any) -> Any:
        result = solve(*operands)
        seen.append((operands, result))
        return result

    solver._solve = watched
    stage.journal.collect()
    gradient_of(made, learned, episode)
    ledger = Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0)
    spent = {line.component: each.energy for line, each in ledger.items() if line.operation == solve_in_loop.kind}
    n, batch, steps = 6, len(episode.inputs), episode.inputs.shape[1]
    seconds = np.log(1 / SOLVER["settled"]) / 0.02 * 1.6e-9
    times = steps * batch
    assert spent["amplifiers"] == close(times * 2 * n * 20e-6 * seconds, rel=1e-12)
    multiply = stage.parts.functions.multiply
    assert spent["analog multiply"] == close(
        times * n * multiply.energy.value * seconds / multiply.time.value, rel=1e-12
    )
    joules, scale, volt = 0.0, solver.array.mapping.scale, stage.parts.tiles.voltage.value
    full = stage.parts.ranges.error
    g = solver.array.devices.conductance.sum(1)
    for (_, _, _, slope, v, *_), result in seen:
        y = result.values.astype(float)
        for chip in range(2):
            driven = ((slope[chip] * y[chip] / full) ** 2 @ g[chip]).sum()
            passed = (0.9 * (y[chip] / full) ** 2 + (v[chip] / full) ** 2).sum() / scale
            joules += (driven + passed) * volt**2 * seconds / 2
    assert spent["devices"] == close(joules, rel=1e-5)
    record = next(each for trace in stage.journal.traces for each in trace if each.kind == solve_in_loop.kind)
    assert stage.prices().occupied(record).duration == close(seconds * 1e12, rel=1e-5)


def test_an_unstable_solver_says_where() -> None:
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 6, "leak": 1.0}}]}
    said = r"layer 1: the inverse solver is unstable at step 0 in 'pass 2', for sequence \d on chip 0: an eigenvalue"
    with pytest.raises(UnstableLoopError, match=said):
        gradient(network, ANALOG, random_episode(), on=on())


def test_late_solutions_are_counted() -> None:
    episode, learned = random_episode(), rule(ANALOG)
    for slowest, share in ((0.001, 0.0), (1.0, 1.0)):
        made = built(SLOW, learned, episode, on=on(slowest=slowest))
        gradient_of(made, learned, episode)
        ((solutions, late),) = made.machine.clipped["late"].values()
        assert solutions == 3 * 7
        assert late == share * solutions


def test_strict_machines_find_the_same() -> None:
    """With noise of all kinds."""
    episode = random_episode(steps=9)
    plain, strict = (gradient(SLOW, ANALOG, episode, on="solving_crossbar", strict=strict) for strict in (False, True))
    for name, value in plain.items():
        assert value.tobytes() == strict[name].tobytes()


def test_pulses_in_place_reach_a_shared_solver_and_no_copy() -> None:
    for array in ("shared", "own"):
        data = {
            "name": "pulses",
            "task": {"name": "random", "steps": 6, "width": 2, "outputs": 3, "train": 4, "test": 2},
            "network": SLOW,
            "learning": ANALOG,
            "machine": {"like": "solving_crossbar", "parts": {"solver": {"array": array}}},
            "training": {
                "optimizer": {"name": "sgd", "rate": 0.1},
                "batch": 2,
                "steps": 2,
                "update": {"name": "mixed_precision"},
            },
        }
        if array == "own":
            with pytest.raises(CapabilityError, match=r"do not reach its copy; take parts\.solver\.array: shared"):
                hwsim.run(data)
        else:
            health = hwsim.run(data).summary.systems["substrate"].signal_health
            assert health is not None
            assert health.late_rate == 0


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "machine", "said"),
    [
        (SLOW, "pcm_crossbar", "needs an inverse solver, and pcm_crossbar has none"),
        ("gru", on(), "the Jacobian of layer 1, gru, is not made of one alone; take leaky_tanh"),
        (SLOW, {"like": "solving_crossbar", "parts": {"tiles": {"rows": 5}}}, "several tiles of 5 by 256"),
    ],
)
def test_what_it_cannot_solve_is_refused(network: Any, machine: Any, said: str) -> None:
    with pytest.raises(CapabilityError, match=said):
        gradient(network, ANALOG, random_episode(), on=machine)


def test_diagonal_cells_have_inverse_multipliers_anyway() -> None:
    episode = random_episode()
    analog, exact = (gradient("lru", learner, episode, on="pcm_crossbar") for learner in (ANALOG, "fpe"))
    for name, value in exact.items():
        assert value.tobytes() == analog[name].tobytes()
