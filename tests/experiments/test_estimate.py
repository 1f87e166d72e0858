"""Estimates are what a run charges: traces, counts, memory and time the same, and energy once values are put in."""

import json

import pytest
from conftest import RULES
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments import run as experiments
from hwsim.experiments.costs import Costs
from hwsim.experiments.estimate import estimate

MACHINES = ["ideal", "digital_45nm", "pcm_crossbar", "rram_crossbar", "pcm_crossbar_in_the_loop"]
SHARED = {"like": "pcm_crossbar", "sharing": {"transposed": "forward", "inverse": "transposed"}}
TILED = {"like": "rram_crossbar", "parts": {"tiles": {"rows": 3, "columns": 2, "count": 9999, "interface": "digital"}}}
DIGITAL_STATE = {"like": "pcm_crossbar", "parts": {"registers": {"classes": ["state"]}}}
RECORDED = {"like": "pcm_crossbar", "attached": "memory"}
HALF = {"like": "digital_45nm", "format": "float16", "parts": {"dataflow": {"batch_parallel": 4}}}
FIXED = {"like": "digital_45nm", "format": "fixed<26,20>"}
ODD = {
    "shared": SHARED,
    "tiled": TILED,
    "digital state": DIGITAL_STATE,
    "recorded": RECORDED,
    "half": HALF,
    "fixed": FIXED,
}
TAPED = {"ideal", "digital_45nm", "pcm_crossbar_in_the_loop", "recorded", "half", "fixed"}


def composed(data):
    return config.compose(Document("test", json.loads(json.dumps(data))))


def fits(learner, on, cells):
    return not (learner.startswith("bptt") and on not in TAPED) and not (learner == "rtrl" and "leaky_tanh" in cells)


@st.composite
def experiment(draw):
    """A random small experiment."""

    def layer():
        cell, n = draw(st.sampled_from(["lru", "leaky_tanh"])), draw(st.integers(1, 5))
        size = {"modes": n} if cell == "lru" else {"units": n, "leak": draw(st.sampled_from([0.4, 1.0]))}
        hidden, project = draw(st.lists(st.integers(1, 4), max_size=1)), draw(st.sampled_from([None, 3]))
        readout = {"hidden": hidden, "norm": draw(st.booleans()), "project": project, "width": draw(st.integers(1, 4))}
        return {"cell": {"name": cell, **size}, "readout": readout}

    layers = [layer() for _ in range(draw(st.integers(1, 3)))]
    cells = [layer["cell"]["name"] for layer in layers]
    systems = st.tuples(st.sampled_from(sorted(ALL_RULES)), st.sampled_from([*MACHINES, *ODD]))
    (learner, on), (other, beside) = (draw(systems.filter(lambda pair: fits(*pair, cells))) for _ in range(2))
    optimizer = draw(
        st.sampled_from(
            [
                {"name": "sgd", "rate": 0.1},
                {"name": "sgd", "rate": 0.1, "momentum": 0.5},
                {"name": "adamw", "rate": 0.01, "decay": 0.1},
            ]
        )
    )
    length = draw(st.sampled_from([{"steps": 1}, {"steps": 3}, {"epochs": 1}, {"steps": 5, "test_every": 2}]))
    training = {
        "optimizer": optimizer,
        "batch": draw(st.integers(1, 4)),
        **length,
        "clip": draw(st.sampled_from([None, 1])),
    }
    return {
        "name": "random",
        "seed": draw(st.integers(0, 99)),
        "chips": draw(st.integers(1, 2)),
        "task": draw(task()),
        "network": {
            "layers": layers,
            "pooling": draw(st.sampled_from(["none", "last", "cumulative_mean"])),
            "output_scale": draw(st.sampled_from([1.0, 2.0])),
        },
        "learning": ALL_RULES[learner],
        "machine": ODD.get(on, on),
        "gradient_check": draw(st.sampled_from([None, {"sequences": 2}])),
        "training": draw(st.sampled_from([training, None])),
        "test": draw(st.booleans()),
        "references": [{"name": "reference", "learning": ALL_RULES[other], "machine": ODD.get(beside, beside)}],
    }


ALL_RULES = {**RULES, "bptt input": {"name": "bptt", "recall": "input"}}


@st.composite
def task(draw):
    """Losses on each step, on the last ones, on the last one only, with a target a sequence or a step."""
    few = {"train": draw(st.integers(2, 6)), "test": draw(st.integers(1, 3))}
    steps = draw(st.integers(1, 40))
    kind = draw(st.sampled_from(["random", "copy", "adding"]))
    if kind == "copy":
        return {
            "name": "copy",
            "symbols": 2,
            "length": draw(st.integers(1, 6)),
            "delay": draw(st.integers(0, 30)),
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
        sweeps = ((each.name, each.kind, tuple((traces[n], k) for n, k in each.runs)) for each in batch.sweeps)
        return batch.sequences, tuple(sweeps)

    return {told(batch): times for batch, times in totals.batches.items()}


def whole(costs):
    """All that a trial did."""
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
            assert found[key] == pytest.approx(value, rel=1e-12, nan_ok=True), key


@settings(max_examples=60, deadline=None, derandomize=True)
@given(experiment())
def test_an_estimate_is_what_a_run_charges(data):
    real, found = experiments.run(composed(data)), estimate(composed(data))
    for theirs, mine in zip(real.costs, found.costs, strict=True):
        assert_same(theirs, mine)
