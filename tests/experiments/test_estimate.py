"""Estimates are what a run charges: traces, counts, memory and time the same, and energy once values are put in."""

import json
import sys
import time
import tracemalloc
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import (
    AT_HOME,
    NETWORKS,
    RULES,
    SPARSE,
    VARIANTS,
    built,
    close,
    least_steps,
    machine_options,
    random_episode,
    rule,
    two_systems,
)
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from hwsim import cli, machines, tasks
from hwsim.accounts.memory import LEARNING
from hwsim.config import experiment as config
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.episode import outline
from hwsim.errors import CapabilityError, CausalityError, ConfigError, MemoryEstimateError, SingularJacobianError
from hwsim.experiments import run as experiments
from hwsim.experiments.costs import Costs
from hwsim.experiments.estimate import estimate
from hwsim.learning.rule import Rule
from hwsim.machine import Expectations, Shapes

MACHINES = [name for name in hardware.names("configs/hardware") if name != "isaac_ce_32nm"]
"""All but one whose weights are read forward alone, which few rules learn by."""
SHARED = {"like": "pcm_crossbar", "sharing": {"transposed": "forward", "inverse": "transposed"}}
TILED = {"like": "rram_crossbar", "parts": {"tiles": {"rows": 3, "columns": 2, "count": 9999, "interface": "digital"}}}
DIGITAL_STATE = {"like": "pcm_crossbar", "parts": {"registers": {"classes": ["state"]}}}
RECORDED = {"like": "pcm_crossbar", "attached": "memory"}
HALF = {"like": "digital_45nm", "format": "float16", "parts": {"dataflow": {"batch_parallel": 4}}}
FIXED = {"like": "digital_45nm", "format": "fixed<26,20>"}
BRAIN = {"like": "digital_45nm_fp16", "format": "bfloat16", "parts": {"dataflow": {"batch_parallel": 3}}}
DOUBLE = {
    "like": "digital_7nm",
    "update": "float64",
    "parts": {"sram": {"capacity": {"value": "1 KiB", "assumed": "-"}}},
}
BOUND = {"like": "digital_45nm_int8_bound", "update": "float16"}
MIXED = {"like": "pcm_crossbar", "digital": {"like": "digital_45nm", "update": "fixed<24,18>"}}
LOOP = {"like": "pcm_crossbar_in_the_loop", "parts": {"tiles": {"rows": 2, "columns": 3, "count": 9999}}}
NUMBERS = {"like": "pcm_crossbar", "parts": {"tiles": {"interface": "digital"}}}
LEAKY = {"like": "pcm_crossbar", "parts": {"registers": {"retention": {"value": "1 ms", "assumed": "-"}}}}
CHOSEN = {"like": "pcm_crossbar", "parts": {"ranges": {"own": {"every": 2, "sequences": 2, "rounds": 2}}}}
ODD = {
    "chosen": CHOSEN,
    "shared": SHARED,
    "tiled": TILED,
    "digital state": DIGITAL_STATE,
    "recorded": RECORDED,
    "half": HALF,
    "fixed": FIXED,
    "brain": BRAIN,
    "double": DOUBLE,
    "bound": BOUND,
    "mixed": MIXED,
    "loop": LOOP,
    "numbers": NUMBERS,
    "leaky": LEAKY,
}


def composed(data):
    return config.compose(Document("test", json.loads(json.dumps(data))))


@st.composite
def experiment(draw):
    """A random small experiment."""
    ((learner, on), (other, beside)), only = draw(two_systems(ALL_RULES, [*MACHINES, *ODD.values()]))

    def cell():
        name, n = draw(st.sampled_from(["lru", "leaky_tanh"])), draw(st.integers(1, 5))
        size = {"modes": n} if name == "lru" else {"units": n, "leak": draw(st.sampled_from([0.4, 1.0]))}
        return {"name": name, **size}

    def layer():
        hidden, project = draw(st.lists(st.integers(1, 4), max_size=1)), draw(st.sampled_from([None, 3]))
        readout = {"hidden": hidden, "norm": draw(st.booleans()), "project": project, "width": draw(st.integers(1, 4))}
        return {"cell": only or cell(), "readout": readout}

    layers = [layer() for _ in range(draw(st.integers(1, 2)))]
    optimizer = draw(
        st.sampled_from(
            [
                {"name": "sgd", "rate": 0.1},
                {"name": "sgd", "rate": 0.1, "momentum": 0.5},
                {"name": "adamw", "rate": 0.01, "decay": 0.1},
                {"name": "adam", "rate": 0.01, "decay": 0.1},
                {"name": "adamax", "rate": 0.01},
            ]
        )
    )
    length = draw(st.sampled_from([{"steps": 1}, {"steps": 3}, {"epochs": 1}, {"steps": 5, "test_every": 2}]))
    training = {
        "optimizer": optimizer,
        "batch": draw(st.integers(1, 4)),
        **length,
        "clip": draw(st.sampled_from([None, 1, {"value": 0.1}])),
    }
    beside = {"name": "reference", "learning": ALL_RULES[other], "machine": beside}
    return {
        "name": "random",
        "called": draw(st.sampled_from(["substrate", "chip"])),
        "seed": draw(st.integers(0, 99)),
        "chips": draw(st.integers(1, 2)),
        "task": draw(task(least_steps(ALL_RULES[learner], ALL_RULES[other]))),
        "network": {
            "layers": layers,
            "pooling": draw(st.sampled_from(["none", "last", "cumulative_mean"])),
            "output_scale": draw(st.sampled_from([1.0, 2.0])),
        },
        "learning": ALL_RULES[learner],
        "machine": on,
        "gradient_check": draw(st.sampled_from([None, {"sequences": 2}])),
        "training": draw(st.sampled_from([training, None])),
        "test": draw(st.booleans()),
        "references": [beside] if only else draw(st.sampled_from([[beside], [beside], [beside], "strong"])),
    }


ALL_RULES = {**RULES, **VARIANTS}
CHECKPOINTED = {"bptt checkpoints", "bptt sqrt", "bptt 4", "bptt 1"}


@st.composite
def task(draw, least):
    """Losses on each step, on the last ones, on the last one only, with a target a sequence or a step."""
    few = {"train": draw(st.integers(2, 6)), "test": draw(st.integers(1, 5))}
    steps = draw(st.integers(least, max(least, 12)))
    kind = draw(st.sampled_from(["random", "copy", "adding"]))
    if kind == "copy":
        return {
            "name": "copy",
            "symbols": 2,
            "length": draw(st.integers((least + 1) // 2, 6)),
            "delay": draw(st.integers(0, 9)),
            **few,
        }
    if kind == "adding":
        return {"name": "adding", "steps": max(2, steps), **few}
    return {
        "name": "random",
        "steps": steps,
        "width": draw(st.integers(1, 3)),
        "outputs": draw(st.integers(2, 3)),
        "target": draw(st.sampled_from(["classes", "values"])),
        "loss": draw(st.sampled_from(["each", "last"])),
        **few,
    }


def charged(costs, totals):
    """Sweeps in terms of traces, with how often each batch was carried out."""
    traces = costs.machine.journal.traces

    def told(batch):
        sweeps = ((each.name, each.kind, tuple((traces[n], k) for n, k in each.runs.flat)) for each in batch.sweeps)
        return batch.sequences, tuple(sweeps)

    return {told(batch): times for batch, times in totals.batches.items()}


def whole(costs):
    """All that a system did."""
    totals, *rest = costs.outcome.totals
    for more in rest:
        totals = totals + more
    return totals


def assert_same(real: Costs, found: Costs):
    """Batches, memory and time are equal; energy is once the activities are."""
    mine, theirs = whole(found), whole(real)
    assert charged(found, mine) == charged(real, theirs)
    assert found.memory() == real.memory()
    assert found.machine.memory.most == real.machine.memory.most
    assert found.machine.memory.widths == real.machine.memory.widths
    assert found.time() == real.time()
    assert (found.outcome.detail is None) == (real.outcome.detail is None)
    measured(real, found)
    assert_close(found.energy(), real.energy())


def measured(real, found):
    """Put what a run measured into an estimate."""
    numbers = {trace: number for number, trace in enumerate(found.machine.journal.traces)}
    traces = real.machine.journal.traces

    def translated(totals):
        return {numbers[traces[number]]: values for number, values in totals.activities.items()}

    theirs, mine = whole(real), whole(found)
    assert translated(theirs).keys() == mine.activities.keys()
    mine.activities = translated(theirs)
    found.outcome.totals = [mine]
    if found.outcome.inference is not None:
        found.outcome.inference.activities = translated(real.outcome.inference)
    if found.outcome.detail is not None:
        steps = [step._replace(trace=numbers[traces[step.trace]]) for step in real.outcome.detail.steps]
        found.outcome.detail = found.outcome.detail._replace(steps=steps)


def assert_close(found, real):
    assert found.keys() == real.keys()
    for key, value in real.items():
        if isinstance(value, dict):
            assert_close(found[key], value)
        elif value is None or isinstance(value, (int, str)):
            assert found[key] == value, key
        else:
            assert found[key] == close(value, rel=1e-12, nan_ok=True), key


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(experiment())
def test_an_estimate_is_what_a_run_charges(monkeypatch, data):
    for module in ("system", "estimate"):  # so that tests have a remainder
        monkeypatch.setattr(f"hwsim.experiments.{module}.TEST_BATCH", 2)
    found = estimate(composed(data))
    try:
        real = experiments.run(composed(data))
    except SingularJacobianError:  # values, of which an estimate knows nothing
        reject()
    for theirs, mine in zip(real.costs, found.costs, strict=True):
        assert_same(theirs, mine)


def test_slots_of_an_optimizer_are_there_while_full_scales_are_chosen():
    task = {"name": "copy", "symbols": 2, "length": 1, "delay": 0, "train": 2, "test": 1}
    data = composed(
        {
            "name": "slots",
            "task": task,
            "network": {"layers": [{"cell": {"name": "lru", "modes": 1}, "readout": {"width": 1}}]},
            "learning": {"name": "fpe"},
            "machine": CHOSEN,
            "training": {"optimizer": {"name": "sgd", "rate": 0.1, "momentum": 0.5}, "batch": 1, "steps": 1},
        }
    )
    (found,), (real,) = estimate(data).costs, experiments.run(data).costs
    assert found.memory()["peak_by_class"]["optimizer slots"] > 0  # their peak is in a calibration
    assert found.memory() == real.memory()


@pytest.mark.parametrize("on", ["digital_45nm", "digital_45nm_fp16", HALF], ids=["float32", "float16", "together"])
@pytest.mark.parametrize("learner", ["bptt", "fpe", "one_step"])
def test_an_estimate_of_sparse_matrices_is_what_a_run_charges(learner, on):
    data = composed(
        {
            "name": "sparse",
            "task": {"name": "random", "steps": 30, "width": 2, "outputs": 3, "train": 4, "test": 3},
            "network": SPARSE,
            "learning": ALL_RULES[learner],
            "machine": on,
            "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 4, "steps": 2},
            "gradient_check": {"sequences": 2},
            "references": [{"name": "reference", "learning": {"name": "bptt"}, "machine": "digital_45nm"}],
        }
    )
    found, real = estimate(data), experiments.run(data)
    for theirs, mine in zip(real.costs, found.costs, strict=True):
        assert_same(theirs, mine)
    kinds = {record.kind for trace in found.costs[0].machine.journal.traces for record in trace}
    assert {"sparse read", "sparse outer"} <= kinds


@pytest.mark.parametrize("array", ["own", "shared"])
def test_an_estimate_of_an_analog_inverse_solver_is_what_a_run_charges(array):
    data = composed(
        {
            "name": "solved",
            "task": {"name": "random", "steps": 9, "width": 2, "outputs": 3, "train": 4, "test": 3},
            "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.1}}]},
            "learning": {"name": "fpe", "inverse": "analog"},
            "machine": {"like": "solving_crossbar", "parts": {"solver": {"array": array}}},
            "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 3, "steps": 2},
            "gradient_check": {"sequences": 2},
        }
    )
    (found,), (real,) = estimate(data).costs, experiments.run(data).costs
    assert_same(real, found)
    assert "solve in a loop" in {record.kind for trace in found.machine.journal.traces for record in trace}


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
@pytest.mark.parametrize("clip", [0.5, {"value": 0.1}, {"norm": 0.5, "value": 0.1}], ids=str)
@pytest.mark.parametrize(
    "optimizer", [{"name": "adam", "decay": 0.1}, {"name": "adamax"}, {"name": "adamax", "decay": 0.1}], ids=str
)
def test_an_estimate_of_an_optimizer_is_what_a_run_charges(optimizer, clip, on):
    data = composed(
        {
            "name": "updates",
            "task": {"name": "random", "steps": 5, "width": 2, "outputs": 3, "train": 4, "test": 3},
            "network": NETWORKS["lru"],
            "learning": {"name": "one_step"},
            "machine": on,
            "training": {"optimizer": {"rate": 0.01, **optimizer}, "batch": 4, "steps": 2, "clip": clip},
        }
    )
    for theirs, mine in zip(experiments.run(data).costs, estimate(data).costs, strict=True):
        assert_same(theirs, mine)


# ---- leaps -----------------------------------------------------------------------------------------------------


def gradient(learned, steps, on="digital_45nm", network="lru stack", shapes=True, loss_from=0, leaps=True):
    """A machine on which one gradient was found, and how many steps were carried out for it."""
    if shapes:
        episode = outline(3, steps, 2, classes=3, each=True, loss_from=loss_from)
    else:
        episode = random_episode(steps=steps, target="each", loss_from=loss_from)
    numerics = {"numerics": Shapes()} if shapes else {}
    stage = machines.build(machine_options(on), **numerics)
    stage.sequencer.skips = shapes and leaps
    made, carried_out = built(network, learned, episode, stage=stage), []
    stage.sequencer.after_step = lambda: carried_out.append(stage.sequencer.step_index)
    with stage.showing(episode):
        learned.gradients(made)
    return stage, len(carried_out)


@pytest.mark.parametrize("learner", sorted(ALL_RULES.keys() - CHECKPOINTED - {"fptt"}))  # whose parts are as long
def test_a_million_steps_are_carried_out_around_their_landmarks_only(learner):
    network = AT_HOME.get(learner, "lru stack")
    few, many = (
        gradient(rule(ALL_RULES[learner]), steps, loss_from=steps // 2, network=network)[1] for steps in (100, 10**6)
    )
    assert many == few < 100


@pytest.mark.parametrize("distance", ["sqrt", 10])
def test_rounds_between_checkpoints_are_leapt_over(distance):
    """However long the sequence, and however short what lies between two checkpoints."""
    learner = rule({"name": "bptt", "checkpoints": distance})
    few, many = (gradient(learner, steps, loss_from=steps - 1)[1] for steps in (10**3, 10**5))
    assert few - 100 < many < few + 100 < 500


def test_a_rule_whose_rounds_differ_in_secret_is_found_out():
    class Secret(Rule):
        def gradients(self, network):
            parts = [range(start, start + 4) for start in range(0, 400, 4)]
            with network.machine.workspace() as workspace:
                states = network.states(workspace)
                for count, part in enumerate(network.machine.rounds(parts)):
                    for step in network.machine.forward_pass("forward", part):
                        network.step(states, step)
                    if count == 4:  # the last of the equal ones
                        for _ in network.machine.phase("odd"):
                            pass
            network.finish_gradient()

    with pytest.raises(CausalityError, match="rounds that should be alike is not like the others"):
        gradient(Secret(None), 400, loss_from=399)


@pytest.mark.parametrize(
    ("learner", "loss_from"),
    [
        (learner, loss_from)
        for number, learner in enumerate(sorted(ALL_RULES))
        for loss_from in (20, (0, 1, 49)[number % 3])  # in the middle, and at one of both ends
    ],
)
def test_leaps_change_nothing(learner, loss_from):
    """Not the runs of equal steps, nor the most that is held, nor what each memory has to hold."""
    network = AT_HOME.get(learner, "lru stack")
    on = "digital_45nm" if network == "sparse" else "pcm_crossbar_in_the_loop"
    found = partial(gradient, rule(ALL_RULES[learner]), 50, on, network, loss_from=loss_from)
    leaping, few = found()
    walking, all_ = found(leaps=False)
    real, _ = found(shapes=False)
    assert few < all_ or learner in CHECKPOINTED
    for stage in (walking, real):
        assert leaping.journal.latest == stage.journal.latest
        assert leaping.journal.traces == stage.journal.traces
        assert leaping.memory.peak_holdings() == stage.memory.peak_holdings()
        assert (leaping.memory.peak_bits, leaping.memory.most) == (stage.memory.peak_bits, stage.memory.most)
        assert leaping.memory.live == stage.memory.live


class Odd(Rule):
    """Keeps a number in every third step; what the step is it asks for, or counts in secret."""

    asks, drops_on = True, 3

    def gradients(self, network):
        count = 0
        with network.machine.workspace() as workspace:
            states, kept = network.states(workspace), workspace.register("kept", network.layers[0].cell.width, LEARNING)
            for step in network.machine.forward_pass("forward"):
                network.step(states, step)
                count += 1
                if (step.index if self.asks else count) % self.drops_on == 0:
                    kept.store(-states.layers[0].load())
        network.finish_gradient()


def test_a_rule_that_asks_for_the_index_of_a_step_is_carried_out_step_by_step():
    leaping, steps = gradient(Odd(None), 40)
    real, _ = gradient(Odd(None), 40, shapes=False)
    assert steps == 40
    assert leaping.journal.latest == real.journal.latest


def test_a_rule_that_counts_steps_in_secret_is_found_out():
    class Secret(Odd):
        asks, drops_on = False, 6

    with pytest.raises(CausalityError, match="that should be alike is not like the others"):
        gradient(Secret(None), 80)  # the sixth step that is carried out is the last of the equal ones


def test_in_a_leap_what_shrinks_gives_way_to_what_grows():
    """Two tapes, one emptied while the other fills: what is held stays within what single steps hold."""

    class Pouring(Rule):
        def gradients(self, network):
            with network.machine.workspace(keep_inputs=True) as workspace:
                width = network.layers[0].cell.width
                full, empty = workspace.tape("full", width), workspace.tape("empty", width)
                state = workspace.register("state", width, LEARNING)
                for _ in network.machine.forward_pass("fill"):
                    full.push(state.load())
                for _ in network.machine.forward_pass("pour"):
                    empty.push(full.pop())
            network.finish_gradient()

    leaping, few = gradient(Pouring(None), 300)
    real, _ = gradient(Pouring(None), 300, shapes=False)
    assert few < 30
    assert leaping.memory.peak_holdings() == real.memory.peak_holdings()
    assert leaping.memory.peak_bits == real.memory.peak_bits


# ---- size ------------------------------------------------------------------------------------------------------

WIDE = {
    "name": "wide",
    "task": {"name": "random", "steps": 10**6, "width": 4, "outputs": 10, "loss": "last", "train": 64, "test": 300},
    "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 32, "steps": 1000},
}
ROOMY = {"like": "pcm_crossbar", "parts": {"tiles": {"count": 10**6}}}


@pytest.mark.parametrize(
    ("cell", "learner", "on"),
    [
        ({"name": "leaky_tanh", "units": 4096, "leak": 0.3}, "fpe", ROOMY),
        ({"name": "lru", "modes": 4096}, "rtrl", ROOMY),
        ({"name": "leaky_tanh", "units": 4096, "recurrence": "orthogonal"}, "bptt", "digital_45nm"),
    ],
)
def test_a_million_steps_of_4096_units_take_no_memory_here(cell, learner, on):
    layers = [{"cell": cell, "readout": {"hidden": [4096]}}]
    asked = composed({**WIDE, "network": {"layers": layers}, "learning": RULES[learner], "machine": on})
    tracemalloc.start()
    try:
        summary = estimate(asked).summary.plain()["systems"]["substrate"]
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    n = cell.get("units", 2 * cell.get("modes", 0))
    assert summary["energy"]["gradient_j_per_sequence"] > 0
    assert summary["memory"]["peak_bytes"] > 2 * n * 4096
    if learner == "bptt":  # a tape of a million states of 4096 words
        assert summary["memory"]["peak_by_class"]["tape"] == 10**6 * 4096 * 4


# ---- shapes, expectations, errors --------------------------------------------------------------------------------


def test_very_wide_layers_draw_no_errors_of_their_circuits():
    """Frozen errors of ten million circuits would take 80 MB for each bank of them."""
    asked = config.load(
        {
            "name": "wide",
            "task": {"name": "random", "steps": 3},
            "network": {"layers": [{"cell": {"name": "lru", "modes": 5_000_000}}]},
            "learning": {"name": "fpe"},
            "machine": {"like": "pcm_crossbar", "name": "vast", "parts": {"tiles": {"rows": 10**8, "columns": 10**8}}},
            "gradient_check": {"sequences": 1},
        }
    )
    tracemalloc.start(1)
    assert estimate(asked).costs
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize(
    "options",
    [
        {"name": "digits"},
        {"name": "digits", "order": "pixels", "test_share": 0.4},
        {"name": "copy", "length": 3, "train": 5, "test": 4},
        {"name": "adding", "steps": 9, "train": 5, "test": 4},
        *({"name": "random", "target": target, "loss": "last"} for target in ("classes", "values", "zeros")),
    ],
)
def test_outlines_have_the_shapes_of_the_data(options):
    asked = tasks.TASKS[options["name"]].Options.model_validate(options)
    for data, shape in zip(tasks.build(asked, 1), tasks.outline(asked), strict=True):
        for what in ("inputs", "labels", "values", "targets"):
            one, other = getattr(data, what), getattr(shape, what)
            assert (one is None) == (other is None)
            assert one is None or one.shape == other.shape
        assert (data.loss_from, data.classes) == (shape.loss_from, shape.classes)


def small(**changes):
    return composed(
        {
            "name": "small",
            "task": {"name": "adding", "steps": 12, "train": 8, "test": 4},
            "network": {"layers": [{"cell": {"name": "lru", "modes": 4}}]},
            "learning": {"name": "fpe"},
            "machine": "pcm_crossbar",
            "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 10},
            **changes,
        }
    )


def test_energy_on_expectations_is_in_proportion_to_them():
    def substrate(**shares):
        return estimate(small(), Expectations(**shares)).summary.plain()["systems"]["substrate"]

    none, half, all_ = (substrate(written=share, input=0, signal=0) for share in (0, 0.5, 1))
    step = [one["energy"]["training_step_j"] for one in (none, half, all_)]
    assert none["energy"]["expected_fraction"] == 0
    assert step[1] - step[0] == close(step[2] - step[1])
    assert step[2] * all_["energy"]["expected_fraction"] == close(step[2] - step[0])
    assert none["weights"]["writes_per_device"] == 1
    assert half["weights"]["writes_per_device"] == close(1 + 0.5 * 10)


def test_errors_are_those_of_a_run():
    dense = {"layers": [{"cell": {"name": "leaky_tanh", "units": 300}}]}
    few = {"like": "pcm_crossbar", "parts": {"tiles": {"count": 1}}}
    with pytest.raises(CapabilityError, match="the network needs 8 tiles of 256 by 256"):
        estimate(small(network=dense, machine=few))
    with pytest.raises(ConfigError, match="needs a tape"):
        estimate(small(learning={"name": "bptt"}))


@pytest.mark.parametrize("work", [estimate, experiments.run])
def test_all_chips_that_are_too_small_are_told_at_once_with_all_that_they_need(work):
    def chip(count):
        return {"like": "pcm_crossbar", "name": f"of_{count}", "parts": {"tiles": {"count": count}}}

    references = [
        {"name": "other", "learning": {"name": "rtrl"}, "machine": chip(1)},
        {"name": "large", "learning": {"name": "rtrl"}, "machine": chip(64)},
        {"name": "digital", "learning": {"name": "bptt"}, "machine": "digital_45nm"},
    ]
    with pytest.raises(CapabilityError) as caught:
        work(small(machine=chip(1), references=references))
    needed = [line.partition("; ")[0] for line in str(caught.value).splitlines()]
    assert needed == [
        "substrate: the network needs 2 tiles of 256 by 256, and of_1 has 1",
        "other: the network needs 2 tiles of 256 by 256, and of_1 has 1",
    ]
    enough = [{**each, "machine": chip(2)} for each in references[:2]]
    assert estimate(small(machine=chip(2), references=enough)).summary.systems["other"].energy


@pytest.mark.parametrize(
    "key", ["chips", "training.steps", "training.test_every", "task.steps", "task.train", "task.width"]
)
def test_counts_up_to_the_largest_take_no_time(key):
    """Some are refused as too large for any computer, within seconds; the others have finite costs."""
    place, _, last = key.rpartition(".")
    parts = {
        "task": {"name": "random", "steps": 12, "width": 2, "train": 8, "test": 4},
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 10},
    }
    (parts[place] if place else parts)[last] = 2**53
    begun = time.process_time()
    with suppress(MemoryEstimateError):
        assert estimate(small(machine="digital_45nm", **parts)).summary.systems["substrate"].energy.run_j < 1e100
    assert time.process_time() - begun < 10


def test_sizes_that_no_array_has_are_told():
    vast = {"layers": [{"cell": {"name": "leaky_tanh", "units": 2**53}}]}
    with pytest.raises(
        MemoryEstimateError, match="substrate: values of 9007199254740992 by 9007199254740992 are larger"
    ):
        estimate(small(network=vast, machine="digital_45nm"))
    task = {"name": "random", "steps": 2**53, "width": 2**53}
    with pytest.raises(MemoryEstimateError, match="task: the data of random would take arrays larger than any memory"):
        estimate(small(task=task, machine="digital_45nm"))
    training = {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 1, "epochs": 2**53}
    with pytest.raises(ConfigError, match=r"training.epochs: 8.1e\+31 updates; at most 9007199254740992"):
        estimate(small(task={"name": "random", "train": 2**53}, training=training))


EXTREME = {
    "times": {"parts": {"dac": {"time": {"value": "1e30 s", "assumed": "-"}}}},
    "short times": {"parts": {"tiles": {"time": {"value": "1e-60 s", "assumed": "-"}}}},
    "ranges": {"parts": {"verify": {"value": "1e-60 J", "assumed": "-", "range": ["1e-60 J", "1e30 J"]}}},
    "energies": {"parts": {"verify": {"value": "1e30 J", "assumed": "-", "range": ["1e-60 J", "1e30 J"]}}},
    "pulses": {
        "device": {
            "like": "pcm_gst_90nm",
            "write": {
                "voltage": {"value": "1e30 V", "assumed": "-"},
                "current": {"value": "1e30 A", "assumed": "-"},
                "time": {"value": "1e30 s", "assumed": "-"},
                "pulses": {"value": 1e100, "assumed": "-"},
            },
        }
    },
    "conductances": {"device": {"like": "pcm_gst_90nm", "conductance": {"max": {"value": "1e30 S", "assumed": "-"}}}},
}


@pytest.mark.parametrize("what", EXTREME)
def test_the_largest_and_the_smallest_constants_have_costs(what):
    found = estimate(small(machine={"like": "pcm_crossbar", **EXTREME[what]})).summary.systems["substrate"]
    assert 0 < found.energy.training_step_j < 1e300


@pytest.fixture
def hwsim(monkeypatch, capsys):
    """The command line, in this process: how it ended, and what it said."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["hwsim", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return SimpleNamespace(code=ended.value.code or 0, **capsys.readouterr()._asdict())

    return command


def test_the_command_prints_tables_and_json(hwsim):
    shown = hwsim("estimate", "quickstart", "--set", "task.order=pixels", "--expect", "written=0")
    assert shown.code == 0, shown.err
    assert "nothing was simulated" in " ".join(shown.out.split())
    told = hwsim("estimate", "quickstart", "--set", "training.batch=1.6e1", "--set", "learning.name=one_step", "--json")
    found = json.loads(told.out)
    assert found["systems"]["substrate"]["rule"] == "one_step"
    assert found["systems"]["substrate"]["accuracy"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "task.ordr=rows"], "did you mean 'order'"),
        (["--set", "task.order"], "must be KEY=VALUE"),
        (["--expect", "writen=0.1"], "did you mean 'written'"),
        (["--expect", "written=2"], "must be at most 1"),
    ],
)
def test_mistakes_are_told(hwsim, arguments, said):
    told = hwsim("estimate", "quickstart", *arguments)
    assert told.code == 2
    assert said in " ".join(told.err.split())


def sequences_at_once(parallel: int, batch: int) -> dict[str, Any]:
    """What an estimate says of a digital machine that works on so many sequences together."""
    machine = {"like": "digital_45nm", "name": "d", "parts": {"dataflow": {"batch_parallel": parallel}}}
    asked = {
        "name": "batch",
        "task": {"name": "random", "steps": 12, "width": 2},
        "network": NETWORKS["tanh"],
        "learning": {"name": "bptt"},
        "machine": machine,
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": batch, "steps": 4},
    }
    found: dict[str, Any] = estimate(asked).summary.plain()["systems"]["substrate"]
    return found


def test_no_more_sequences_are_worked_on_at_once_than_a_batch_has() -> None:
    few, many = sequences_at_once(4, 4), sequences_at_once(64, 4)
    for part in ("energy", "memory", "time"):
        assert many[part] == few[part]
    assert sequences_at_once(1, 4)["energy"]["training_step_j"] > few["energy"]["training_step_j"]


def test_sequences_that_are_worked_on_together_share_the_time() -> None:
    four, eight = (sequences_at_once(4, batch)["time"] for batch in (4, 8))
    assert four["sequence_s"] == close(eight["sequence_s"])
    update = four["training_step_s"] - 4 * four["sequence_s"]
    assert update > 0
    assert eight["training_step_s"] - 8 * eight["sequence_s"] == close(update)
