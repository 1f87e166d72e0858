"""Nothing is lost and nothing is made up: energies add up, work and memory are what the equations say."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import RULES, built, close, least_steps, random_episode, rule, two_systems
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts.memory import ACCUMULATORS, BUFFERS, WEIGHTS
from hwsim.accounts.schedule import Scheduler, recursion
from hwsim.accounts.work import total_work
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments import run as experiments

MACHINES = ["ideal", "digital_45nm", "pcm_crossbar", "rram_crossbar", "pcm_crossbar_in_the_loop"]
MODEST = settings(max_examples=20, deadline=None, derandomize=True)


@st.composite
def experiment(draw):
    """A random small experiment: any cell, rule, machine, optimizer, task shape, batch and dataflow."""
    ((learner, on), (other, beside)), only = draw(two_systems(RULES, MACHINES))
    cell = draw(st.sampled_from(["lru", "leaky_tanh"]))
    n, hidden = draw(st.integers(1, 5)), draw(st.lists(st.integers(1, 4), max_size=1))
    layer = {"cell": only or {"name": cell, **({"modes": n} if cell == "lru" else {"units": n, "leak": 0.4})}}
    layer["readout"] = {"hidden": hidden, "norm": draw(st.booleans()), "project": draw(st.sampled_from([None, 3]))}
    optimizer = draw(
        st.sampled_from([{"name": "sgd", "rate": 0.1, "momentum": 0.5}, {"name": "adamw", "rate": 0.01, "decay": 0.1}])
    )
    training = {"optimizer": optimizer, "steps": draw(st.integers(1, 3)), "batch": draw(st.integers(1, 4))}
    return {
        "name": "random",
        "seed": draw(st.integers(0, 99)),
        "chips": draw(st.integers(1, 3)),
        "task": {
            "name": "random",
            "steps": draw(st.integers(least_steps(learner, other), 9)),
            "width": draw(st.integers(1, 3)),
            "outputs": draw(st.integers(2, 3)),
            "target": draw(st.sampled_from(["classes", "values"])),
            "loss": draw(st.sampled_from(["each", "last"])),
            "train": 8,
            "test": 3,
        },
        "network": {
            "layers": [layer] * draw(st.integers(1, 3)),
            "pooling": draw(st.sampled_from(["none", "last", "cumulative_mean"])),
        },
        "learning": RULES[learner],
        "machine": on,
        "gradient_check": draw(st.sampled_from([None, {"sequences": 2}])),
        "training": draw(st.sampled_from([training, {**training, "clip": 0.5}, None])),
        "references": [{"name": "reference", "learning": RULES[other], "machine": beside}],
    }


def composed(data):
    return config.compose(Document("test", json.loads(json.dumps(data))))


@MODEST
@given(experiment())
def test_energy_adds_up_memory_balances_and_the_schedule_of_a_real_run_is_possible(data):
    result = experiments.run(composed(data))
    assert_energy_adds_up(result)
    assert_memory_balances_and_the_schedule_is_possible(result)


def assert_energy_adds_up(result):
    """The lines of the energy table add up to the summary."""
    table = result.energy
    for name, system in result.summary.plain()["systems"].items():
        mine = table[table.system == name]
        energy = system["energy"]
        np.testing.assert_array_equal(mine.energy_j.astype(float), mine.constant_si.astype(float) * mine["count"])
        if system["machine"] == "ideal":
            assert energy["run_j"] is None
            assert mine.energy_j.isna().all()
            continue
        if energy["run_j"] is None:  # inputs that are no numbers draw no known energy
            assert system["diverged"]
            continue
        assert mine[mine.part == "epoch"].energy_j.sum() == close(energy["run_j"], rel=1e-12)
        if energy["training_step_j"] is not None:
            step = mine[mine.part == "step"]
            assert step.energy_j.sum() == close(energy["training_step_j"], rel=1e-12)
            assert sum(energy["by_purpose"].values()) == close(energy["training_step_j"], rel=1e-12)
            assert sum(energy["by_unit"].values()) == close(energy["training_step_j"], rel=1e-12)
            shares = energy["by_constant"].values()
            low, high = energy["training_step_range_j"]
            for key, column, whole in (("energy_j",) * 2 + (energy["training_step_j"],), ("low_j", "low_j", low)):
                assert sum(share[key] for share in shares) == close(whole, rel=1e-12)
                assert step[column].sum() == close(whole, rel=1e-12)
            assert sum(share["high_j"] for share in shares) == close(high, rel=1e-12)
            assert step.high_j.sum() == close(high, rel=1e-12)
            assert all(0 <= share["low_j"] <= share["energy_j"] <= share["high_j"] for share in shares)
            resting = sum(share["energy_j"] for share in shares if share["assumed"])
            assert resting / energy["training_step_j"] == close(energy["assumed_fraction"], rel=1e-12)
            learned, (least, most) = energy["gradient_j_per_sequence"], energy["gradient_range_j_per_sequence"]
            assert low <= energy["training_step_j"] <= high
            assert least <= learned <= most
            assert step.assumed_j.sum() / step.energy_j.sum() == close(energy["assumed_fraction"], rel=1e-12)
        for part, whole in (("low_j", 0), ("high_j", 1)):
            assert mine[mine.part == "epoch"][part].sum() == close(energy["run_range_j"][whole], rel=1e-12)
        assert (mine.energy_j >= 0).all()
        assert (mine.low_j <= mine.energy_j * (1 + 1e-12)).all()
        assert (mine.energy_j <= mine.high_j * (1 + 1e-12)).all()
        assert (mine.assumed_j <= mine.energy_j * (1 + 1e-12)).all()


def assert_memory_balances_and_the_schedule_is_possible(result):
    for costs in result.costs:
        stage, detail = costs.machine, costs.outcome.detail
        table = result.memory[result.memory.system == costs.system.name]
        if detail is not None:
            assert table.live_bits.max() <= stage.memory.peak_bits
            assert (table.change_bits.cumsum() == table.live_bits).all()
            assert table.live_bits.iloc[-1] == table[table.step.isna()].live_bits.max() + wires(table)
            plain = Scheduler(stage.journal.traces, stage.prices().occupied, recursion, memoise=False)
            for sweep, timing in zip(detail.batch.sweeps, costs.scheduler.batch(detail.batch), strict=True):
                other = plain.sweep(sweep)
                assert (timing.makespan, timing.busy) == (other.makespan, other.busy)
                assert timing.makespan >= max(timing.busy.values(), default=0)
        stage.release()
        assert not stage.memory.live


def wires(table):
    """Buffers that were first needed in this batch stay, and so does room for operands that wait."""
    return table[(table.memory_class == BUFFERS) & table.step.notna()].change_bits.sum()


# ---- work: multiply-accumulates as polynomials -----------------------------------------------------------------


def macs(network, learner, steps, width, outputs, batch=2, on="ideal"):
    """Multiply-accumulates of one gradient, over all sequences, as the ledger has them."""
    episode, learned = random_episode(batch=batch, steps=steps, width=width, classes=outputs), rule(learner)
    made = built(network, learned, episode, on=on)
    with made.machine.showing(episode):
        learned.gradients(made)
    batch_done = made.machine.journal.latest
    return sum(
        total_work(made.machine.journal.traces[trace])["mac"] * times * (batch if sweep.kind == "pass" else 1)
        for sweep in batch_done.sweeps
        for trace, times in sweep.runs
    )


def diagonal_polynomial(learner, n, d, c, t, layers):
    """N modes, d inputs, c outputs, T steps, L layers whose readouts are single matrices as wide as the cells."""
    inputs = [2 * n * (d if number == 0 else n) for number in range(layers)]
    readouts = [2 * n * (c if number == layers - 1 else n) for number in range(layers)]
    forward, below = sum(inputs) + sum(readouts), sum(inputs[1:])
    if learner == "bptt":  # forward; readouts again, back and learned; inputs learned, and back but in the first layer
        return t * (forward + 3 * sum(readouts) + sum(inputs) + below)
    if learner in ("one_step", "spatial"):
        return t * (forward + 2 * sum(readouts) + sum(inputs) + below)
    if learner == "rtrl":  # its sums are taken mode by mode
        return t * (forward + 2 * sum(readouts) + below)
    total = (layers + 1) * forward + sum(readouts) + sum(inputs)
    for number in range(1, layers + 2):
        warming = layers - number
        total += sum(readouts[max(warming, 0) :])  # each error goes back through its readout
        total += sum(inputs[position] for position in range(warming + 1, layers) if position > 0)
    return t * total


@pytest.mark.parametrize("learner", ["bptt", "one_step", "spatial", "rtrl", "fpe", "fpe seed"])
@pytest.mark.parametrize(("n", "d", "c", "t", "layers"), [(2, 1, 3, 4, 1), (3, 2, 2, 5, 2), (2, 4, 5, 3, 4)])
@pytest.mark.parametrize("on", ["ideal", "pcm_crossbar"])
def test_multiply_accumulates_of_diagonal_networks(learner, n, d, c, t, layers, on):
    if learner == "bptt" and on == "pcm_crossbar":
        return
    network = {"layers": [{"cell": {"name": "lru", "modes": n}}] * layers}
    assert macs(network, learner, t, d, c, on=on) == 2 * diagonal_polynomial(learner, n, d, c, t, layers)


def dense_polynomial(learner, n, d, c, t):
    """N units, d inputs, c outputs, T steps, one layer."""
    forward = n * n + n * d + n * c
    learned = n * n + n * d + n * c
    solve = n * (n - 1) * (2 * n - 1) // 6 + n * (n - 1)
    if learner == "bptt":
        return t * (forward + learned + n * c + n * c + n * n)
    if learner == "one_step":
        return t * (forward + learned + n * c)
    if learner == "spatial":
        return t * (forward + learned + n * c - n * n)
    if learner == "rtrl":  # for each parameter J M, F on one wire, and Mᵀ g
        return t * (forward + 2 * n * c + n * (n + d + 1) * (n * n + 1 + n))
    warm_up = forward + n**3 + n * n + 2 * n * c  # W P, P g, the readout back and learned
    errors = forward + solve + n * c + n * n + n * d
    if learner == "fpe seed":  # P g is needed once, and the trial run is solved for too
        return t * (warm_up - n * n + solve + errors) + n * n
    return t * (warm_up + errors)


@pytest.mark.parametrize("learner", ["bptt", "one_step", "spatial", "rtrl", "fpe", "fpe seed"])
@pytest.mark.parametrize(("n", "d", "c", "t"), [(2, 1, 3, 4), (5, 2, 2, 3), (7, 3, 4, 2)])
def test_multiply_accumulates_of_a_dense_network(learner, n, d, c, t):
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": n, "leak": 0.5}}]}
    assert macs(network, learner, t, d, c) == 2 * dense_polynomial(learner, n, d, c, t)


# ---- memory: exact lines in the length of the sequence ---------------------------------------------------------


def peak(learner, steps, width, on, target="values"):
    """Peak bits of one gradient."""
    network = {"layers": [{"cell": {"name": "lru", "modes": 4}}] * 2, "pooling": "cumulative_mean"}
    episode, learned = random_episode(batch=1, steps=steps, width=width, classes=3, target=target), rule(learner)
    made = built(network, learned, episode, on=on)
    with made.machine.showing(episode):
        learned.gradients(made)
    return made.machine.memory.peak_bits


AT_ONCE = {"parts": {"dataflow": {"together": 1}}}
STEP_BY_STEP = {
    "ideal": "ideal",
    "digital_45nm": {"like": "digital_45nm", **AT_ONCE},
    "pcm_crossbar": {"like": "pcm_crossbar", "digital": {"like": "digital_45nm", **AT_ONCE}},
    "pcm_crossbar_in_the_loop": {"like": "pcm_crossbar_in_the_loop", "digital": {"like": "digital_45nm", **AT_ONCE}},
}
"""Machines on which no operand waits for those of other steps."""


@pytest.mark.parametrize("width", [1, 8])
@pytest.mark.parametrize("on", list(STEP_BY_STEP))
@pytest.mark.parametrize("target", ["values", "each", "one"])
def test_peak_memory_is_an_exact_line_in_the_length_of_the_sequence(width, on, target):
    """BPTT grows by state words, input and target a step; forward propagation by the last two; others by nothing.

    A class of three takes two bits; one for the whole sequence does not grow.
    """
    lengths = np.array([64, 96, 160] if target == "values" else [8, 16, 32])
    word = 64 if on == "ideal" else 32
    inputs = width * (8 if "pcm" in on else word)
    targets = {"values": 3 * word, "each": 2, "one": 0}[target]
    states = (2 * 8 + 3) * word  # two layers of four complex modes, and the mean of the outputs
    slopes = {"bptt": states + inputs + targets, "fpe": inputs + targets, "rtrl": 0, "one_step": 0}
    for learner, slope in slopes.items():
        if learner == "bptt" and on == "pcm_crossbar":
            continue
        peaks = np.array([peak(learner, int(length), width, STEP_BY_STEP[on], target) for length in lengths])
        assert (np.diff(peaks) == slope * np.diff(lengths)).all(), learner


@pytest.mark.parametrize("together", [1, 4, "pass"])
@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
def test_operands_that_wait_for_those_of_other_steps_are_held(on, together):
    """One layer of four modes and a matrix for its readout, by truncation: what its products take, by hand."""
    unit = {"like": "digital_45nm", "parts": {"dataflow": {"together": together}}}
    made = built(
        {"layers": [{"cell": {"name": "lru", "modes": 4}}]},
        rule("one_step"),
        random_episode(steps=10, width=2, classes=3),
        on=unit if on == "digital_45nm" else {"like": on, "digital": unit},
    )
    with made.machine.showing(random_episode(steps=10, width=2, classes=3)):
        rule("one_step").gradients(made)
    per_step = 2 + 8 + 3 + 8  # input, state, and both errors; all are factors of sums, or multiply a matrix
    held = made.machine.memory.live.get("operands")
    if together == 1:
        assert held is None
    else:
        assert (held.values, held.kind) == (per_step * min(10 if together == "pass" else together, 10), BUFFERS)
        assert (held.technology, held.bits) == ("sequence memory", 32)


def test_sequences_worked_on_together_have_a_state_and_a_tape_each():
    """With four at once, all that belongs to a sequence is there four times."""
    lengths, slopes = (8, 16), []
    for parallel in (1, 4):
        on = {"like": "digital_45nm", "parts": {"dataflow": {"batch_parallel": parallel, "together": 1}}}
        first, second = (peak("bptt", length, 2, on, "each") for length in lengths)
        slopes.append(second - first)
    assert slopes[1] == 4 * slopes[0]


def test_peak_memory_by_class_adds_up_and_weights_are_counted():
    episode, learned = random_episode(), rule("fpe")
    made = built("lru stack", learned, episode, on="pcm_crossbar")
    with made.machine.showing(episode):
        learned.gradients(made)
    ledger = made.machine.memory
    assert sum(ledger.peak_by_class().values()) == ledger.peak_bits
    parameters = sum(trainable.master.value[0].size for trainable in made.trainables)
    gradients = sum(holding.values for holding in ledger.live.values() if holding.kind == ACCUMULATORS)
    assert gradients == parameters + sum(layer.cell.width for layer in made.layers)  # and ∂L/∂λ
    devices = sum(h.devices for h in ledger.live.values() if h.kind == WEIGHTS and not h.volatile)
    assert devices == 2 * sum(array.plus[0].size for array in made.machine.devices.arrays.values())


def test_the_tables_of_a_run_are_the_files_that_it_writes(tmp_path):
    data = {
        "name": "files",
        "task": {"name": "random", "steps": 3, "train": 4, "test": 2},
        "network": {"layers": [{"cell": {"name": "lru", "modes": 2}}]},
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
        "gradient_check": {"sequences": 2},
    }
    result = experiments.run(composed(data), out=tmp_path / "run")
    for name, table in (("energy", result.energy), ("memory", result.memory), ("metrics", result.metrics)):
        written = pd.read_csv(tmp_path / "run" / f"{name}.csv")
        pd.testing.assert_frame_equal(written, table.astype(written.dtypes.to_dict()), rtol=0, atol=0)
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == result.summary.plain()
