"""Tiki-Taka and its kin: the published effect, closed forms of values, costs and memory, and what is refused."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import close, machine_options, random_episode, rule
from scipy.special import ndtr

from hwsim import machines, networks, tasks
from hwsim.accounts.energy import Tariff, grouped
from hwsim.accounts.memory import ACCUMULATORS, MASTER, OPTIMIZER, WEIGHTS
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.footprint import footprint
from hwsim.experiments.ranging import calibrate
from hwsim.experiments.rehearsal import rehearse
from hwsim.experiments.repair import take_over
from hwsim.experiments.run import run
from hwsim.learning import Rule, optimizers, updates
from hwsim.learning.update import Options, Update
from hwsim.machine import Machine, resume, snapshot
from hwsim.networks import Network

TANH: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}]}
QUIET = {"noise": 0, "write_noise": 0, "step_spread": 0, "up_down_spread": 0, "low_spread": 0, "high_spread": 0}
EXACT: dict[str, Any] = {"error": {"coefficients": ["0 uS"], "source": "aihwkit"}}
SCHEMES: dict[str, dict[str, Any]] = {
    "v1": {"name": "tiki_taka"},
    "v2": {"name": "tiki_taka_v2"},
    "chopped": {"name": "tiki_taka_v2", "chop": 0.2},
    "agad": {"name": "agad", "chop": 0.2, "tail": 2.0},
}
MATRIX, OTHERS, COLUMNS = 4 * 4 + 4 * 2 + 3 * 4, 4 + 3, 4 + 2 + 4


def crossbar(like: str = "rram_crossbar", programming: Any = None, write: Any = None, **update: Any) -> dict[str, Any]:
    device = {"like": "reram_sb", "name": "changed", "update": update, "programming": programming or {}}
    if write is not None:
        device["write"] = write
    return {"like": like, "device": device}


class Learner(NamedTuple):
    made: Network
    rule: Rule
    update: Update
    scheme: Any

    def learn(self, episode: Episode, routine: bool = False) -> None:
        with self.made.machine.showing(episode, self.rule.routine if routine else None):
            self.rule.learn(self.made, self.update)

    @property
    def devices(self) -> dict[str, Any]:
        return self.made.machine.devices.arrays

    def held(self, name: str) -> np.ndarray:
        return self.made.machine.storages[f"layer 1 {name}"].value


def learner(
    scheme: dict[str, Any],
    on: Any = None,
    rate: float = 0.2,
    learns: Any = "one_step",
    network: Any = TANH,
    sizes: tuple[int, int] = (2, 3),
    stage: Machine | None = None,
    chips: Any = 1,
    learner_of: type[Rule] | None = None,
    strict: bool = False,
) -> Learner:
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": rate}, "update": scheme})
    stage = stage or machines.build(machine_options(on or crossbar()), seed=1, chips=chips, strict=strict)
    made_by, found = updates.build(options.update), rule(learns)
    if learner_of is not None:
        found = learner_of(found.options)
    made_by.check(stage, found, 1)
    made_by.place(stage)
    made = Network(stage, networks.Options.model_validate(network), *sizes, found.uses)
    made_by.prepare(made)
    made.begin_training()
    found.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    update = Update(made, optimizers.build(options.optimizer, made), options, scheme=made_by)
    return Learner(made, found, update, made_by)


def one(seed: int = 0, steps: int = 7) -> Episode:
    return random_episode(seed, batch=1, steps=steps)


# ---- the published effect ------------------------------------------------------------------------------------------

ROWS, INPUTS, STEPS, BATCHES, WANTED, SIGMA = 64, 4, 40, 120, 0.2, 0.8
LEARNS = {
    "in_situ": ({"name": "in_situ"}, 0.02, None),
    "v1": ({"name": "tiki_taka"}, 0.05, 0.02),
    "v2": ({"name": "tiki_taka_v2"}, 0.05, 0.02),
    "chopped": ({"name": "tiki_taka_v2", "chop": 0.02}, 0.05, 0.04),
    "agad": ({"name": "agad", "chop": 0.1}, 0.05, 0.05),
    "often": ({"name": "tiki_taka_v2", "chop": 0.1}, 0.05, 0.05),
}
"""Schemes with their rates, and those of fast arrays, where x of devices is what learns."""


class LeastSquares(Rule):
    """A matrix alone, U: error U x - y, outer products of the error and x; each x is one of the unit vectors."""

    in_place = True

    def gradients(self, network: Network) -> None:
        U = network.layers[0].cell.U
        with network.machine.workspace():
            for step in network.machine.forward_pass("forward"):
                U.gradient.add_outer(U @ step.input - step.target, step.input)


class Quadratic(NamedTuple):
    """x of devices beyond their references, mean over the last batches; and how they answer, all turned to plus.

    Attributes:
        found: where they are.
        up, down, low, high: their responses.
        zero: x of their references.
        fast: the same four of the fast array, if there is one.
    """

    found: np.ndarray
    up: np.ndarray
    down: np.ndarray
    low: np.ndarray
    high: np.ndarray
    zero: np.ndarray
    fast: Any

    @property
    def reach(self) -> np.ndarray:
        """Devices whose own bound is at least twice as far from their reference as the minimum."""
        return self.high - self.zero > 2 * WANTED

    @property
    def error(self) -> float:
        """Root mean square distance from the minimum."""
        return float(np.sqrt(np.mean((self.found - WANTED)[self.reach] ** 2)))


@cache
def quadratic(scheme: str, quiet: bool = False, up_down: float = 0.0, off: float = 0.0) -> Quadratic:
    """Least squares whose minimum is at x = 0.2 or -0.2 of each device, with noise of σ = 0.8 in the targets.

    Args:
        quiet: whether devices are all alike and without noise.
        up_down: asymmetry of pulses at zero.
        off: σ of references, of x, beside where pulses up and down cancel on devices alike.
    """
    changed = {**QUIET} if quiet else {}
    on = crossbar("ideal_crossbar", EXACT if quiet else None, **changed, up_down=up_down, reference_spread=off)
    asked, rate, fast = LEARNS[scheme]
    largest = float(regression({"name": "in_situ"}, 0.1, on).devices["layer 1 U"].mapping.w_max)
    if fast is not None:  # x of the weights is w / largest, that of a fast array is its weight
        asked, rate = {**asked, "fast_rate": fast / largest, "columns": INPUTS}, rate * largest
    found = regression(asked, rate, on)
    plus = (np.arange(ROWS) % 2 == 1)[:, None] & np.ones((ROWS, INPUTS), bool)
    signs, ends = np.where(plus, 1.0, -1.0), []
    devices = found.devices["layer 1 U"]
    for batch in range(BATCHES):
        draws = np.random.default_rng(batch)
        x = np.eye(INPUTS, dtype=np.float32)[draws.integers(0, INPUTS, STEPS)]
        y = largest * (x @ (WANTED * signs).T + SIGMA * draws.standard_normal((STEPS, ROWS)))
        found.learn(Episode(inputs=x[None], values=y[None].astype(np.float32)))
        if batch >= 0.75 * BATCHES:
            ends.append(devices.state[0] - devices.reference[0])

    def turned(array: Any) -> list[np.ndarray]:
        up, down, low, high = (each.reshape(ROWS, INPUTS) for each in array.responses[0][:4])
        return [np.where(plus, *pair) for pair in ((up, down), (down, up), (low, -high), (high, -low))]

    beside = found.devices.get("layer 1 U fast")
    fast = None if beside is None else turned(beside)
    return Quadratic(np.mean(ends, 0) * signs, *turned(devices), devices.reference[0] * signs, fast)


def regression(asked: dict[str, Any], rate: float, on: Any) -> Learner:
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": ROWS, "leak": 0.5}}]}
    return learner(asked, on, rate, network=network, sizes=(INPUTS, ROWS), learner_of=LeastSquares)


def settled(at: Quadratic) -> np.ndarray:
    """Where plain pulses come to rest on soft bounds: the root of the mean change of x.

    An error e wants the change -η e. Pulses up are worth s⁺ (1 - x / high) of it, pulses down s⁻ (1 - x / low), in
    units of the step. With e normal of mean m = x - x* and standard deviation σ, the mean change is

        E[(-e)⁺] s⁺ (1 - x / high) - E[e⁺] s⁻ (1 - x / low) = 0,  E[e⁺] = σ φ(m / σ) + m Φ(m / σ).
    """
    left, right = np.zeros_like(at.low), np.full_like(at.low, WANTED)
    for _ in range(50):
        x = (left + right) / 2
        m = x - WANTED
        over = SIGMA * np.exp(-((m / SIGMA) ** 2) / 2) / np.sqrt(2 * np.pi) + m * ndtr(m / SIGMA)
        goes_up = (over - m) * at.up * (1 - x / at.high) > over * at.down * (1 - x / at.low)
        left, right = np.where(goes_up, x, left), np.where(goes_up, right, x)
    return (left + right) / 2


@pytest.mark.parametrize("quiet", [True, False], ids=["equal devices", "as shipped"])
def test_plain_pulses_settle_between_the_minimum_and_the_symmetry_point(quiet: bool) -> None:
    """`reram_sb`, beside the closed form: 0.116 where the minimum is at 0.2 and the symmetry point at 0.

    The spread over devices of what is found, around the closed form, is 0.02 to 0.04; so five standard errors of means
    over 240 of them are 0.007 to 0.013.
    """
    at = quadratic("in_situ", quiet)
    wanted = settled(at)
    assert wanted[at.reach].mean() == close(0.116, rel=0, abs=0.004)
    assert at.found[at.reach].mean() == close(wanted[at.reach].mean(), rel=0, abs=0.007 if quiet else 0.013)


def rested(at: Quadratic, rate: float, noise: float, write_noise: float, step: float = 0.002) -> np.ndarray:
    """Where C comes to rest beside a fast array: as `settled`, with what A holds in place of the error.

    Pulses of an error e take η_A |e| s / (step b) of what A holds from it, with 1 / b = (1 / high - 1 / low) / 2.
    So for errors of mean m and deviation σ it holds -m b / E|e|, beside where its own pulses cancel, with the variance

        (b / 2) (η_A (s / step) σ² / E|e| + noise² s) + (write_noise step)²

    of the noise of errors and of its pulses, and of what is written. It is taken to be normal. Version 2 has no part of
    the last term, which changes from read to read: its sums average that.
    """
    up, down, low, high = at.fast
    size, b = (up + down) / 2, 2 / (1 / high - 1 / low)
    mean_error = SIGMA * np.sqrt(2 / np.pi)
    variance = b / 2 * (rate * size / step * SIGMA**2 / mean_error + noise**2 * size) + (write_noise * step) ** 2
    zero = (up - down) / (up / high - down / low)
    left, right = np.full_like(low, -WANTED), np.full_like(low, 2 * WANTED)
    for _ in range(50):
        x = (left + right) / 2
        held, sigma = zero - (x - WANTED) * b / mean_error, np.sqrt(variance)
        over = sigma * np.exp(-((held / sigma) ** 2) / 2) / np.sqrt(2 * np.pi) + held * ndtr(held / sigma)
        goes_up = over * at.up * (1 - x / at.high) > (over - held) * at.down * (1 - x / at.low)
        left, right = np.where(goes_up, x, left), np.where(goes_up, right, x)
    return (left + right) / 2


@pytest.mark.parametrize("quiet", [True, False], ids=["equal devices", "as shipped"])
@pytest.mark.parametrize("scheme", ["v1", "v2"])
def test_what_is_left_of_the_way_is_what_the_noise_of_the_fast_array_does(scheme: str, quiet: bool) -> None:
    """0.189 of 0.2 on equal devices, and 0.178 and 0.182 on those of the sheet, beside the closed form.

    A holds no constant number, and its noise pulses C up and down: C, too, is drawn to its symmetry point by that.
    The standard error is 0.0024 and 0.005; bounds are five of them.
    """
    at = quadratic(scheme, quiet)
    wide = at.reach & (at.fast[3] > 2 * WANTED) & (-at.fast[2] > 2 * WANTED)
    noise, written = (0.0, 0.0) if quiet else (3.75, 56.0 if scheme == "v1" else 0.0)
    wanted = rested(at, LEARNS[scheme][2], noise, written)[wide].mean()
    assert wanted == close(0.189 if quiet else 0.178 if scheme == "v1" else 0.182, rel=0, abs=0.001)
    assert at.found[wide].mean() == close(wanted, rel=0, abs=0.012 if quiet else 0.025)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_fast_arrays_find_the_minimum_where_plain_pulses_do_not(scheme: str) -> None:
    """On `reram_sb` as it is shipped: of the minimum at 0.2, plain pulses reach 0.116, and these 0.17 to 0.175.

    The standard error is 0.006, so another seed would miss the bound less often than once in 1000.
    """
    at, plain = quadratic(scheme), quadratic("in_situ")
    assert at.found[at.reach].mean() == close(WANTED, rel=0, abs=0.045)
    assert at.found[at.reach].mean() - plain.found[at.reach].mean() > 0.03


def test_choppers_cancel_what_a_fast_array_adds_where_its_zero_is_no_symmetry_point() -> None:
    """Pulses down are 0.7 times those up, so A rests at 0.17; both signs of the minimum are judged apart.

    Version 2 takes that for a gradient and misses by 0.13 and 0.18; with choppers, and AGAD, it is at most 0.07. The
    standard error over 120 devices is 0.008, so that another seed would miss a bound less often than once in 100.
    """
    plus = (np.arange(ROWS) % 2 == 1)[:, None] & np.ones((ROWS, INPUTS), bool)
    for scheme in ("v2", "chopped", "agad"):
        at = quadratic(scheme, up_down=0.3)
        off = [abs(at.found[at.reach & of].mean() - WANTED) for of in (plus, ~plus)]
        assert min(off) > 0.1 if scheme == "v2" else max(off) < 0.09, scheme


def test_without_a_precise_zero_version_2_misses_and_choppers_and_agad_do_not() -> None:
    """References are programmed beside the symmetry points, by σ = 0.3 of x; distances from the minimum at 0.2, rms.

    Version 2 misses by 0.25, as where A rests is taken for a gradient; choppers turned over one time in ten take that
    to 0.145, and AGAD to 0.098; version 2 with exact references is at 0.081. (The published effect: Rasch et al., Nat.
    Commun. 15:7133, 2024.) Of 225 devices the standard errors are 0.012, 0.007 and 0.005, so that another seed would
    miss a bound less often than once in 1000.
    """
    errors = {scheme: quadratic(scheme, off=0.3).error for scheme in ("v2", "often", "agad")}
    assert errors["v2"] > 0.2
    assert errors["often"] < 0.19
    assert errors["agad"] < 0.15
    assert quadratic("v2").error < 0.11


# ---- values --------------------------------------------------------------------------------------------------------


def exact(scheme: str, **changes: Any) -> Learner:
    """A learner on a crossbar without errors, whose devices all answer alike and without noise."""
    asked = {**SCHEMES[scheme], "fast_rate": 0.4, **changes}
    on = crossbar("ideal_crossbar", EXACT, **QUIET)
    on["device"]["read_noise"] = {"deviation_of_g_max": 0}
    return learner(asked, on, rate=0.02)


@pytest.mark.parametrize("scheme", ["v2", "chopped", "agad"])
def test_digital_buffers_are_those_of_the_equations(scheme: str) -> None:
    """Reads, sums, means and pulses of U beside the equations in NumPy, for the signs that the machine drew."""
    found = exact(scheme, longest=3)
    fast, weights = found.devices["layer 1 U fast"], found.devices["layer 1 U"]
    step, rows, columns = weights.mapping.pulse, 4, 2
    h, mean, past = (np.zeros((columns, rows)) for _ in range(3))
    signs, begun, given, turned = np.ones(columns), np.zeros(columns), 0, 0
    for batch in range(80):
        j, before = batch % columns, weights.writes[0, 0].astype(int).copy()
        found.learn(one(batch))
        v, options = fast.weights[0, :, j].astype(float), found.scheme.options
        if scheme == "agad":
            newer = (1 - 0.4) * mean[j] + 0.4 * v
            h[j] += 0.02 * begun[j] * signs[j] * (v - past[j])
        else:
            h[j] += 0.02 * signs[j] * v
        n = np.clip(np.trunc(h[j] / step), -3, 3)
        h[j] -= n * step
        given += int(np.abs(n).sum())
        assert np.array_equal(weights.writes[0, 0, :, j] - before[:, j], np.abs(n))
        assert np.array_equal(weights.writes[0, 0, :, 1 - j], before[:, 1 - j])
        if scheme != "v2":
            now = found.held("U choppers")[0, 0]
            assert now[1 - j] == signs[1 - j]
            flipped, signs = now[j] != signs[j], now.copy()
            turned += flipped
            if scheme == "agad":
                past[j], begun[j], mean[j] = newer if flipped else past[j], max(begun[j], flipped), newer
                assert np.array_equal(found.held("U begun")[0, 0], begun)
                for name, values in (("mean", mean), ("past mean", past)):
                    ring = found.held(f"U {name}")[0, 0]
                    assert ring == close(np.roll(values, -j - 1, 0), rel=2e-3, abs=2e-4), name
        assert found.held("U H")[0, 0] == close(np.roll(h, -j - 1, 0), rel=2e-3, abs=0.02 * step), batch
        assert options.chop == 0 if scheme == "v2" else turned <= batch + 1
    assert given > 10
    assert scheme == "v2" or 3 < turned < 40  # 16 of 80 at 0.2; less often outside than once in 10⁵


def test_version_1_moves_what_it_reads_in_the_mean() -> None:
    """A column of A, read 300 times on as many chips, moves that of C by η times itself, to five standard errors."""
    asked, on = {"name": "tiki_taka", "fast_rate": 0.4}, crossbar("ideal_crossbar", EXACT, **QUIET)
    found = learner(asked, on, rate=0.05, chips=300)
    fast, weights = found.devices["layer 1 U fast"], found.devices["layer 1 U"]
    before = weights.weights.copy()
    found.learn(one())
    moved = weights.weights - before
    wanted = 0.05 * fast.weights[:, :, 0]
    assert not moved[:, :, 1].any()
    error = (moved[:, :, 0] - wanted).mean(0)
    slopes = 1 - np.abs(before[0, :, 0]).max() / (0.75 * weights.mapping.w_max)  # of soft bounds, at worst
    spread = 5 * (moved[:, :, 0] - wanted).std(0) / np.sqrt(300)
    assert (np.abs(error) <= spread + (1 - slopes) * np.abs(wanted).mean(0)).all()
    assert np.abs(wanted).mean() > 3 * spread.max() / 5


def test_columns_move_in_turn_and_signs_go_with_them() -> None:
    """With all columns in an update, each is moved once; the ring of bits is where it was."""
    found = exact("v2", columns=4)
    assert found.held("U head")[0, 0].tolist() == [1, 0]
    found.learn(one())
    assert found.held("U head")[0, 0].tolist() == [1, 0]
    assert found.held("W head")[0, 0].tolist() == [1, 0, 0, 0]
    found = exact("v2", columns=3)
    found.learn(one())
    assert found.held("W head")[0, 0].tolist() == [0, 0, 0, 1]


def test_choppers_turn_the_signal_before_it_is_pulsed() -> None:
    """A column of sign -1 gets the pulses of one of sign +1, of the other sign."""
    moved = []
    for sign in (1.0, -1.0):
        found = exact("chopped", chop=1e-9)
        found.held("U choppers")[0, 0, 1] = sign
        found.learn(one())
        moved.append(found.devices["layer 1 U fast"].state[0].copy())
    assert np.abs(moved[0]).max() > 0.01
    assert np.array_equal(moved[0][:, 0], moved[1][:, 0])
    assert moved[0][:, 1] == close(-moved[1][:, 1], rel=0.2, abs=0.01)  # soft bounds differ on both sides


# ---- energy, time, wear and memory -----------------------------------------------------------------------------------

PULSE = {
    "law": "energy",
    "energy": {"value": "50 pJ", "assumed": "for this test"},
    "time": {"value": "100 ns", "assumed": "for this test"},
    "pulses": {"value": 1, "assumed": "for this test"},
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pulses_and_reads_are_counted_and_charged(scheme: str) -> None:
    """Each pulse of both arrays is a write of 50 pJ, each column a read of a tile, each train takes its slots."""
    found = learner({**SCHEMES[scheme], "columns": 3}, crossbar(write=PULSE), rate=1.0)
    machine, batches = found.made.machine, 4
    machine.journal.collect()
    before = {name: int(array.writes.sum()) for name, array in found.devices.items()}
    written = machine.devices.written[0]
    for seed in range(batches):
        found.learn(one(seed))
    pulses = {name: int(array.writes.sum()) - before[name] for name, array in found.devices.items()}
    fast = sum(count for name, count in pulses.items() if name.endswith("fast"))
    assert fast > 50
    assert sum(pulses.values()) > fast
    assert machine.devices.written[0] - written == sum(pulses.values())
    totals, traces = machine.journal.totals, machine.journal.traces
    spent = grouped(Tariff(traces, machine.prices()).of_totals(totals, 0.0), "component")
    assert spent["pulses"].energy == close(sum(pulses.values()) * 50e-12)
    reads, trains, prices = Counter[str](), Counter[tuple[str, float]](), machine.prices()
    for (_, trace), times in totals.in_sweeps().items():
        for record in traces[trace]:
            if record.kind == "read" and "fast" in record.unit:
                assert record.purpose == "weight update"
                reads[record.unit] += times
            if record.kind == "pulse outer" and record.writes.endswith("devices"):
                trains[record.writes, prices.occupied(record).duration / 100_000] += times
    assert reads == dict.fromkeys([f"layer 1 {name} fast tiles" for name in ("W", "U", "V1")], 3 * batches)
    longest = 31 if scheme == "v1" else 10
    for name in ("W", "U", "V1"):
        assert trains[f"layer 1 {name} fast devices", 31] == 7 * batches
        assert trains[f"layer 1 {name} devices", longest] == 3 * batches


@pytest.mark.parametrize(("scheme", "buffers", "bits"), [("v1", 0, 1), ("v2", 1, 1), ("chopped", 1, 2), ("agad", 3, 3)])
def test_the_memory_of_each_scheme(scheme: str, buffers: int, bits: int) -> None:
    """One more array of devices; so many digital numbers for each weight, and bits for each column."""
    live = learner(SCHEMES[scheme]).made.machine.memory.live.values()
    held = {kind: sum(each.values for each in live if each.kind == kind) for kind in {each.kind for each in live}}
    assert held == {
        WEIGHTS: 2 * MATRIX + OTHERS,
        ACCUMULATORS: OTHERS,
        MASTER: OTHERS,
        OPTIMIZER: buffers * MATRIX + bits * COLUMNS,
    }
    assert sum(each.devices for each in live if each.kind == WEIGHTS) == 2 * 2 * MATRIX + OTHERS
    of_bits = sum(each.values * each.bits for each in live if each.kind == OPTIMIZER)
    assert of_bits == buffers * MATRIX * 32 + bits * COLUMNS


@pytest.mark.parametrize(
    ("scheme", "buffers"),
    [("v1", []), ("v2", ["H"]), ("chopped", ["H"]), ("agad", ["H", "mean", "past mean"])],
)
def test_a_move_takes_one_column_of_each_buffer(scheme: str, buffers: list[str]) -> None:
    """What is read from and written to buffers in an update: the rows of one column of each matrix, once each."""
    found = learner(SCHEMES[scheme])
    machine = found.made.machine
    machine.journal.collect()
    found.learn(one())
    moved, names = Counter[str](), [f"layer 1 {name} {what}" for name in ("W", "U", "V1") for what in buffers]
    for (_, trace), times in machine.journal.totals.in_sweeps().items():
        for record in machine.journal.traces[trace]:
            touched = record.writes if record.kind == "store" else record.reads[0] if record.kind == "load" else None
            if touched in names:
                assert record.format == "float32"
                moved[f"{record.kind} {touched}"] += times * record.size[-1]
    rows = {"W": 4, "U": 4, "V1": 3}
    assert moved == {f"{way} {name}": rows[name.split()[2]] for way in ("load", "store") for name in names}


def experiment(update: dict[str, Any], **changes: Any) -> Any:
    training = {"optimizer": {"name": "sgd", "rate": 0.3}, "batch": 1, "steps": 3, "update": update}
    data = {
        "name": "pulsed",
        "seed": 3,
        "task": {"name": "random", "steps": 12, "width": 2, "train": 6, "test": 2},
        "network": TANH,
        "learning": {"name": "one_step"},
        "machine": {"like": "rram_crossbar", "device": "reram_sb"},
        "training": {**training, **changes.pop("training", {})},
        **changes,
    }
    return config.compose(Document("test", data))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_estimates_and_the_footprint_follow(scheme: str) -> None:
    asked = experiment({**SCHEMES[scheme], "columns": 2})
    done, expected = run(asked).summary.systems["substrate"], estimate(asked).summary.systems["substrate"]
    assert done.memory == expected.memory
    assert done.time == expected.time
    assert footprint(asked).peak.size > 0
    found, guessed = ({key: each.energy_j for key, each in of.energy.by_constant.items()} for of in (done, expected))
    on_values = {key for key, energy in found.items() if energy != close(guessed[key], rel=1e-6)}
    assert {key.partition(" ")[0] for key in on_values} == {
        "machine.device.write.voltage²",
        "machine.parts.tiles.voltage²",
    }


# ---- snapshots, and independence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_goes_on_from_a_snapshot_within_a_pass(scheme: str) -> None:
    stage = machines.build(machine_options(crossbar()), seed=1)
    found, shots = learner(SCHEMES[scheme], stage=stage, rate=1.0), []
    for seed in range(6):
        found.learn(one(seed))
    stage.sequencer.after_step = lambda: shots.append(snapshot(stage))
    found.learn(one(7))
    other = machines.build(machine_options(crossbar()), seed=1)
    resume(other, shots[2])
    again = learner(SCHEMES[scheme], stage=other, rate=1.0)
    again.learn(one(7))
    for name, storage in stage.storages.items():
        assert storage.value.tobytes() == other.storages[name].value.tobytes(), name
    found.learn(one(8))
    again.learn(one(8))
    for name, array in found.devices.items():
        assert array.weights.tobytes() == again.devices[name].weights.tobytes()


def test_a_fast_array_changes_no_other_draw() -> None:
    """The devices of weights and their programming are those of a machine without fast arrays."""
    plain = learner({"name": "in_situ"}).devices
    for scheme in SCHEMES.values():
        devices = learner(scheme).devices
        for name, array in plain.items():
            assert np.array_equal(devices[name].conductance, array.conductance)
            assert all(map(np.array_equal, devices[name].responses[0], array.responses[0]))
            fast = devices[f"{name} fast"]
            assert (fast.writes == 1).all()
            assert np.abs(fast.weights).max() < 0.2  # programming errors of 0.35 uS, 1 is 15 uS
            assert not np.array_equal(fast.responses[0].up, array.responses[0].up)


@pytest.mark.parametrize("scheme", ["chopped", "agad"])
def test_a_chip_learns_alike_alone_and_beside_others(scheme: str) -> None:
    found = [learner(SCHEMES[scheme], chips=chips, rate=1.0) for chips in ([2], [0, 2, 5])]
    for seed in range(4):
        for each in found:
            each.learn(one(seed))
    alone, beside = found
    for name, devices in alone.devices.items():
        assert np.array_equal(devices.conductance[0], beside.devices[name].conductance[1]), name
        assert not np.array_equal(devices.conductance[0], beside.devices[name].conductance[0]), name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_depends_on_how_the_steps_are_carried_out(scheme: str) -> None:
    ways = [learner(SCHEMES[scheme], rate=1.0, strict=strict) for strict in (False, True, False)]
    for seed in range(3):
        for number, way in enumerate(ways):
            way.learn(one(seed), routine=number == 0)
    for name, array in ways[0].devices.items():
        assert all(array.weights.tobytes() == other.devices[name].weights.tobytes() for other in ways[1:])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_calibration_changes_nothing_that_was_learned(scheme: str) -> None:
    """It shows several sequences side by side, which get the signs of choppers all alike."""
    found = learner(SCHEMES[scheme], {**crossbar(), "parts": {"ranges": "auto"}}, rate=1.0)
    for seed in range(3):
        found.learn(one(seed))
    kept = {name: storage.saved.copy() for name, storage in found.made.machine.storages.items() if "scale" not in name}
    calibrate(found.made, found.rule, random_episode(2, batch=4, steps=7))
    for name, value in kept.items():
        assert found.made.machine.storages[name].saved.tobytes() == value.tobytes(), name
    found.learn(one(4))
    assert found.held("W fast devices").tobytes() != kept["layer 1 W fast devices"].tobytes()


def test_a_repair_goes_on_from_the_states_of_devices() -> None:
    ended, fresh = (learner(SCHEMES["agad"], rate=1.0) for _ in range(2))
    for seed in range(6):
        ended.learn(one(seed))
    take_over(fresh.made, ended.made)
    for name, array in ended.devices.items():
        assert np.array_equal(fresh.devices[name].state, array.state), name
        assert np.array_equal(fresh.devices[name].weights, array.weights), name
    assert fresh.held("W mean").tobytes() == ended.held("W mean").tobytes()


# ---- with which rules, and what is refused --------------------------------------------------------------------------

NUMBERS = [{"name": "eprop", "feedback": "random"}, "rtrl"]
"""Rules that add a number for each weight."""
RULES = ["one_step", "spatial", {"name": "tbptt", "k": 3}, {"name": "fpe_lagged", "lag": 3, "every": 1}, "fpe"]


@pytest.mark.parametrize("learns", [*RULES, *NUMBERS], ids=str)
def test_rules_learn(learns: Any) -> None:
    """`fpe` on an LRU too, which needs weights to be constant until its passes are over: they are."""
    network = {"layers": [{"cell": {"name": "lru", "modes": 3}}]} if learns == "fpe" else TANH
    found = learner(SCHEMES["v2"], learns=learns, network=network, rate=0.5)
    before = {name: array.weights.copy() for name, array in found.devices.items() if name.endswith("fast")}
    for seed in range(2):
        found.learn(one(seed))
    for name, weights in before.items():
        if learns != "spatial" or " W " not in name:
            assert (found.devices[name].weights != weights).any(), name
    asked = learns if isinstance(learns, dict) else {"name": learns}
    rehearsed(experiment(SCHEMES["v2"], learning=asked, network=network))


def test_numbers_of_each_weight_are_pulsed_in_the_mean() -> None:
    """A of 400 chips beside -fast_rate times the gradient, which is far below a pulse; to five standard errors."""
    on, rate = crossbar("ideal_crossbar", EXACT, **QUIET), 2e-3
    exact_one = learner({"name": "accumulate"}, "ideal", learns="rtrl")
    with exact_one.made.machine.showing(one()):
        exact_one.rule.gradients(exact_one.made)
    found = learner({"name": "tiki_taka_v2", "fast_rate": rate}, on, learns="rtrl", chips=400)
    found.learn(one())
    for name in ("W", "U"):
        wanted = -rate * exact_one.held(f"{name} gradient")[0]
        x = found.devices[f"layer 1 {name} fast"].state
        spread = np.maximum(x.std(0), np.sqrt(0.002 * np.abs(wanted))) / np.sqrt(400)
        assert 5 * np.median(spread) < np.abs(wanted).max() < 0.002
        assert (np.abs(x.mean(0) - wanted) <= 5 * spread + 0.02 * np.abs(wanted)).all()


@pytest.mark.parametrize("scheme", ["chopped", "agad"])
def test_choppers_need_lines(scheme: str) -> None:
    with pytest.raises(CapabilityError, match="choppers turn the signals of lines"):
        rehearsed(experiment(SCHEMES[scheme], learning={"name": "rtrl"}))


def rehearsed(asked: Any) -> None:
    (options,) = asked.systems().values()
    rehearse(asked, "substrate", options, *tasks.outline(asked.task))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machine": "digital_45nm"}, "keeps gradients in devices that answer to pulses, and this machine has none"),
        ({"machine": "digital_45nm"}, "accumulate}`, which a reference can have of its own"),
        ({"machine": "pcm_crossbar"}, "has no `update`; take one that has, such as `device: reram_sb`"),
        ({"training": {"batch": 4}}, r"set training\.batch to 1"),
        ({"machine": {"like": "pcm_crossbar_in_the_loop", "device": "reram_sb"}}, "the host would keep weights"),
        ({"learning": {"name": "fptt", "tested_at": "weights"}}, "tiki_taka has changed the weights already"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((CapabilityError, ConfigError), match=message):
        rehearsed(experiment({"name": "tiki_taka"}, **changes))


RAMP = {"kind": "ramp", "clock": {"value": "1 ns", "assumed": "test"}, "mismatch": 0.01}
TILES = [
    ({"tiles": {"interface": "digital", "slices": {"cells": 4, "bits": 2}}}, "or leave out tiles.slices"),
    ({"tiles": {"mapping": "offset_column"}}, r"or leave out tiles\.mapping and tiles\.parallel"),
    ({"tiles": {"parallel": 2}}, r"or leave out tiles\.mapping and tiles\.parallel"),
    ({"tiles": {"interface": "digital", "inputs": "pulse_width", "phases": 4}}, "take `phases: 1` or 2, or leave out"),
    ({"adc": {"circuit": RAMP, "shared_by": 2}}, "take `shared_by: 1`"),
    ({"adc": {"circuit": RAMP, "shared_by": 1}}, None),
    ({"tiles": {"interface": "digital", "inputs": "bit_serial", "phases": 2}}, None),
    ({"tiles": {"inputs": "pulse_width"}}, None),
    ({"tiles": {"interface": "digital", "management": {"noise": True, "bound": 1}}}, None),
    ({"tiles": {"percentile": 90}, "ranges": "auto"}, None),
]


@pytest.mark.parametrize("scheme", ["v1", "agad"])
@pytest.mark.parametrize(("parts", "message"), TILES, ids=lambda each: None if each is None else str(each)[:60])
def test_tiles_and_converters_either_go_with_it_or_say_what_does(
    scheme: str, parts: dict[str, Any], message: str | None
) -> None:
    machine = {"like": "rram_crossbar", "device": "reram_sb", "parts": parts}
    if message is None:
        rehearsed(experiment(SCHEMES[scheme], machine=machine))
        return
    with pytest.raises(ConfigError, match=message):
        experiment(SCHEMES[scheme], machine=machine)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"optimizer": {"name": "sgd", "rate": 0.1, "momentum": 0.9}}, "without momentum"),
        ({"optimizer": {"name": "adamw", "rate": 0.1}}, "takes plain gradient descent"),
        ({"clip": 1.0}, "nothing can be clipped"),
    ],
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_options_that_do_not_go_together(scheme: str, training: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        experiment(SCHEMES[scheme], training=training)


def test_a_chip_has_to_have_tiles_for_both_arrays() -> None:
    few = {"like": "rram_crossbar", "device": "reram_sb", "parts": {"tiles": {"count": 5}}}
    learner({"name": "in_situ"}, few)
    with pytest.raises(CapabilityError, match="one too many"):
        learner({"name": "tiki_taka"}, few)
