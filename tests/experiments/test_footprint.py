"""What a run takes of this computer's memory is known, part by part, before any of it is taken."""

from __future__ import annotations

import re
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import ALL_NETWORKS, NETWORKS, RULES, close, fits, in_pairs, pairs

import hwsim
from hwsim import networks, tasks
from hwsim.config.experiment import Experiment
from hwsim.errors import HwsimError, MemoryEstimateError
from hwsim.experiments import footprint as module
from hwsim.experiments.footprint import CountedSystem, Footprint, Moment, WorkMemory, footprint
from hwsim.experiments.run import simulate
from hwsim.free_memory import MemoryNeed, check_memory
from hwsim.learning.bptt import BPTT
from hwsim.learning.one_step import OneStep
from hwsim.machine.counted import HEADER, TAPE, VALUES, WEIGHTS, Gauge
from hwsim.networks import Network

LRU = {"cell": {"name": "lru", "modes": 8, "r_min": 0.9}, "readout": {"hidden": [6]}}
TRAINING = {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 8, "steps": 2}
TERA = 10**12


def experiment(**changes: Any) -> Experiment:
    """One layer of eight modes under BPTT on an ideal machine, with nothing to do but a test."""
    task = {"name": "random", "steps": 20, "width": 3, "outputs": 2, "train": 16, "test": 4, **changes.pop("task", {})}
    asked = {"name": "sized", "task": task, "network": {"layers": [LRU]}, "learning": {"name": "bptt"}}
    return hwsim.load({**asked, "machine": "ideal", **changes})


def scale(asked: Experiment) -> CountedSystem:
    """The first system, ready to be weighed."""
    name, options = next(iter(asked.systems().items()))
    return CountedSystem(asked, name, options, tasks.outline(asked.task), {})


def parts(found: Footprint, what: str, when: str = "") -> list[int]:
    """The sizes of the parts that are called so."""
    return [part.size for one in found.moments if when in one.when for part in one.parts if part.what.startswith(what)]


# ---- closed forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [7, 300, 10**6])
@pytest.mark.parametrize(("chips", "sequences"), [(1, 1), (1, 16), (5, 4)])
@pytest.mark.parametrize("network", ["lru", "lru stack", "tanh stack"])
def test_the_tape_of_the_exact_gradient(steps: int, chips: int, sequences: int, network: str) -> None:
    """T states of float64, one array for each layer and, where the loss sees the mean of outputs, one for that."""
    asked = experiment(network=NETWORKS[network], task={"steps": steps})
    load = scale(asked)._exactly(chips, sequences)
    widths = {"lru": [8], "lru stack": [8, 8, 2], "tanh stack": [6, 6]}[network]
    expected = steps * sum(8 * chips * sequences * width + HEADER for width in widths)
    entries = load.stages["gradient"].peak[TAPE] / (expected / steps)
    assert steps - 3 <= entries <= steps  # the most is taken in the backward pass, with some off the tape again
    assert load.after[TAPE] == 0


@pytest.mark.parametrize(("checkpoints", "entries"), [("none", 900), ("sqrt", 30 + 28), (90, 90 + 8)])
def test_the_tape_of_a_rule(checkpoints: Any, entries: int) -> None:
    """In float32 on a digital machine; with checkpoints, one segment and the states at the starts of the others."""
    learner = {"name": "bptt", "checkpoints": checkpoints}
    asked = experiment(learning=learner, machine="digital_45nm", training=TRAINING, task={"steps": 900})
    (tape,) = parts(footprint(asked), "the tape", "in a training step")
    assert entries - 3 <= tape / (4 * 8 * 16 + HEADER) <= entries


def test_the_states_that_the_gradient_check_records() -> None:
    asked = experiment(
        machine="pcm_crossbar", learning={"name": "fpe"}, chips=3, gradient_check={"sequences": 5}, task={"steps": 1000}
    )
    states = parts(footprint(asked), "states that are recorded")
    assert states == [1000 * (8 * 3 * 5 * 16 + HEADER + module._A_STEP)] * 2
    exact = experiment(learning={"name": "fpe"}, gradient_check={"sequences": 5}, task={"steps": 1000})
    assert set(parts(footprint(exact), "states that are recorded")) == {0}  # nothing is recorded there


def test_weights_with_what_learning_keeps_of_them() -> None:
    """Of a wide layer in float64: values and their initial ones, gradients, AdamW's two slots, and a turned copy."""
    wide = {"layers": [{"cell": {"name": "leaky_tanh", "units": 400}}]}
    asked = experiment(network=wide, training={**TRAINING, "batch": 1})
    system = scale(asked)
    found = footprint(asked)
    parameters = networks.parameters(asked.network, 3, 2)
    before = parts(found, "weights", "in a training step")[0]
    assert before / (8 * parameters) == close(1 + 1 + 2 + 1, rel=0.01)
    assert system.chips == 1


@pytest.mark.parametrize("inputs", [50, 100])
def test_sensitivities_grow_with_inputs_times_modes(inputs: int) -> None:
    """RTRL's trace of B, chips × sequences × inputs × 2N, several of which are there at once."""
    asked = experiment(learning={"name": "rtrl"}, machine="digital_45nm", training=TRAINING, task={"width": inputs})
    values = max(parts(footprint(asked), "values", "in a training step"))
    assert 4 < values / (4 * 8 * inputs * 16) < 10


def test_products_of_jacobians_grow_with_the_square_of_units() -> None:
    dense = {"layers": [{"cell": {"name": "leaky_tanh", "units": 100}}]}
    asked = experiment(learning={"name": "fpe"}, network=dense, machine="digital_45nm", training=TRAINING)
    found = footprint(asked)
    values = max(parts(found, "values", "in a training step"))
    assert 4 < values / (4 * 8 * 100**2) < 10
    horizon = parts(found, "values", "to find its horizon")
    assert max(horizon) > 8 * 4 * 100**2


# ---- what is refused -----------------------------------------------------------------------------------------


def refused(monkeypatch: pytest.MonkeyPatch, asked: Experiment, free: int) -> str:
    """What a computer with so many bytes free says; neither data nor machines are made."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    monkeypatch.setattr(tasks, "build", lambda *_: pytest.fail("data was made all the same"))
    tracemalloc.start(1)
    try:
        with pytest.raises(MemoryEstimateError) as said:
            simulate(asked)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6
    return str(said.value)


def test_a_long_gradient_check_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tape of the exact gradient alone takes 10⁶ × 16 × 16 × 16 × 8 B = 33 GB, and the recorded states as much."""
    asked = experiment(
        machine="pcm_crossbar",
        learning={"name": "fpe"},
        chips=16,
        gradient_check={"sequences": 16},
        task={"steps": 10**6, "test": 1},
        test=False,
    )
    said = refused(monkeypatch, asked, 32 * 10**9)
    assert said.startswith("substrate: in the gradient check, simulating it would take about 10")
    assert re.search(r", 4\d(\.\d)? GB of it for (the tape of the exact gradient|states that are recorded)", said)
    assert said.endswith("; use fewer sequences in gradient_check, shorter ones or fewer chips; or no gradient_check")
    footprint(asked.model_copy(update={"gradient_check": None, "test": True})).check()


WIDE = {"layers": [{"cell": {"name": "leaky_tanh", "units": 20_000}}]}
READOUT = {"layers": [{"cell": {"name": "lru", "modes": 2}, "readout": {"hidden": [100_000]}}]}
TINY = {"layers": [{"cell": {"name": "lru", "modes": 1}}]}
CHIP = {"like": "pcm_crossbar", "name": "chip", "parts": {"tiles": {"count": 100_000}}}


@pytest.mark.parametrize(
    ("changes", "largest", "advice"),
    [
        ({"task": {"steps": 10**7, "train": 1000}}, "task: the data", "fewer or shorter sequences"),
        ({"network": WIDE, "training": TRAINING}, "weights, and what is kept of each", "a smaller network"),
        (
            {"machine": CHIP, "chips": 10**8, "network": TINY, "learning": {"name": "one_step"}, "training": TRAINING},
            "weights, and what is kept of each",
            "fewer chips",
        ),
        (
            {"training": {**TRAINING, "batch": 16}, "task": {"steps": 3 * 10**6}},
            "the tape",
            "smaller batches, shorter sequences",
        ),
        (
            {"network": READOUT, "machine": CHIP, "chips": 20, "learning": {"name": "one_step"}, "task": {"test": 256}},
            "values of a step",
            "fewer chips",
        ),
        (
            {"learning": {"name": "rtrl"}, "task": {"width": 400_000, "steps": 2}, "gradient_check": {"sequences": 16}},
            "values of a step",
            "fewer sequences in gradient_check",
        ),
        (
            {
                "learning": {"name": "fpe"},
                "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 4000}}]},
                "training": {**TRAINING, "batch": 16},
            },
            "values of a step",
            "smaller batches",
        ),
        (
            {"network": TINY, "learning": {"name": "one_step"}, "machine": CHIP, "chips": 100}
            | {"training": {**TRAINING, "steps": 10**6, "test_every": 1}},
            "what is kept of tests",
            "a larger training.test_every",
        ),
        (
            {"network": TINY, "learning": {"name": "fpe"}, "machine": "digital_45nm"}
            | {"training": {**TRAINING, "batch": 1}, "task": {"steps": 15 * 10**6, "train": 1, "width": 1, "test": 1}},
            "the steps of a training step one by one",
            "shorter sequences",
        ),
    ],
)
def test_what_does_not_fit_is_refused_whatever_is_large(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], largest: str, advice: str
) -> None:
    said = refused(monkeypatch, experiment(**changes), 8 * 10**9)
    assert largest in said
    assert advice in said.rpartition("; use ")[2]
    assert "8 GB are free" in said


def test_later_systems_are_looked_at_before_the_first_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would fit alone; what one leaves to be written stays beside the next."""
    one = {"learning": {"name": "bptt"}, "machine": "ideal"}
    several = [{"name": f"reference {number}", **one} for number in range(4)]
    wide = {"layers": [{"cell": {"name": "leaky_tanh", "units": 1000}}]}
    alone = footprint(experiment(network=wide, training=TRAINING))
    together = experiment(network=wide, training=TRAINING, references=several)
    assert footprint(together).peak.size > 2 * alone.peak.size
    said = refused(monkeypatch, together, 2 * alone.peak.size)
    assert said.startswith("reference ")


@pytest.mark.parametrize(("share", "fits"), [(1.12, True), (1.10, False)])
def test_nine_tenths_of_what_is_free_are_taken_at_most(
    monkeypatch: pytest.MonkeyPatch, share: float, fits: bool
) -> None:
    found = footprint(experiment(training=TRAINING))
    free = int(share * found.peak.size)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    if fits:
        found.check()
    else:
        with pytest.raises(MemoryEstimateError):
            found.check()


def test_the_largest_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(
        MemoryEstimateError, match=r"it would take about 4.35 kB of memory, 2.9 kB of it for b, .*use less b"
    ):
        check_memory("it", MemoryNeed("a", 1000, "less a"), MemoryNeed("b", 2000, "less b"))
    with pytest.raises(
        MemoryEstimateError, match=r"it would take about 1.45 kB of memory for a, and 1 kB are free; use less a"
    ):
        check_memory("it", MemoryNeed("a", 1000, "less a"))
    peak = Footprint(
        (Moment("x", (MemoryNeed("a", 1, ""),)), Moment("y", (MemoryNeed("a", 3, ""), MemoryNeed("b", 4, ""))))
    ).peak
    assert peak.when == "y"


@pytest.mark.parametrize(
    "changes",
    [
        {"chips": 10**15, "machine": "pcm_crossbar", "learning": {"name": "one_step"}},
        {"network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 10**12}}]}},
        {"network": {"layers": [{"cell": {"name": "lru", "modes": 3}, "readout": {"hidden": [2**53, 2**53]}}]}},
        {"task": {"steps": 2**53}},
        {"task": {"train": 2**53}},
        {"task": {"width": 2**53}},
    ],
)
def test_what_no_computer_has_is_refused_as_well(changes: dict[str, Any]) -> None:
    with pytest.raises(MemoryEstimateError):
        footprint(experiment(**changes))


# ---- the same code is weighed --------------------------------------------------------------------------------


MACHINES = ("ideal", "digital_45nm_fp16", "pcm_crossbar", "pcm_crossbar_in_the_loop")


@pytest.mark.parametrize(
    ("learner", "network", "on"), in_pairs((*pair, on) for pair in pairs(["lru stack", "tanh"]) for on in MACHINES)
)
def test_each_rule_can_be_weighed_on_each_machine(learner: str, network: str, on: str) -> None:
    kinds = {"machine": on, "learning": RULES[learner], "network": ALL_NETWORKS[network], "chips": 2}
    if not fits(learner, network, on):
        with pytest.raises(HwsimError, match=r"needs a tape|sparse|crossbar tiles|finer format"):
            footprint(experiment(**kinds, training=TRAINING))
        return
    found = footprint(experiment(**kinds, training=TRAINING, gradient_check={"sequences": 2}))
    assert all(part.size >= 0 for moment in found.moments for part in moment.parts)
    more = footprint(experiment(**{**kinds, "chips": 20}, training=TRAINING, gradient_check={"sequences": 2}))
    assert more.peak.size > (2 if "crossbar" in on else 0.99) * found.peak.size


def test_it_does_not_depend_on_the_seed() -> None:
    kinds: dict[str, Any] = {"machine": "pcm_crossbar", "learning": {"name": "fpe"}, "training": TRAINING}
    assert footprint(experiment(**kinds, seed=1)) == footprint(experiment(**kinds, seed=2))


def test_steps_that_are_looked_at_one_by_one_are_drawn_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that asks for the index of its steps is not leapt over, and would take long in a long sequence."""
    asked = experiment(task={"steps": 20_000}, training=TRAINING)
    leapt = footprint(asked)
    step, taken = Network.step, []

    def looking(self: Network, states: Any, step_: Any, *words: Any, **more: Any) -> Any:
        taken.append(step_.index)
        return step(self, states, step_, *words, **more)

    monkeypatch.setattr(Network, "step", looking)
    drawn_out = footprint(asked)
    assert len(taken) < 10_000
    assert drawn_out.peak.when == leapt.peak.when
    assert drawn_out.peak.size == close(leapt.peak.size, rel=0.02)


def test_a_rule_with_steps_that_differ_without_saying_so_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be leapt over is carried out."""
    gradients = OneStep.gradients

    def counting(self: OneStep, network: Network) -> None:
        step, count = Network.step, [0]

        def odd(self: Network, states: Any, step_: Any, *words: Any) -> Any:
            count[0] += 1
            if count[0] > 4:  # the last step behind a leap is not like those before it
                step_.input * step_.input
            return step(self, states, step_, *words)

        with monkeypatch.context() as patch:
            patch.setattr(Network, "step", odd)
            gradients(self, network)

    monkeypatch.setattr(OneStep, "gradients", counting)
    asked = experiment(learning={"name": "one_step"}, gradient_check={"sequences": 2}, task={"steps": 30})
    assert simulate(asked).summary.plain()["systems"]["substrate"]["gradient"]


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {**TRAINING, "batch": 256}, "task": {"steps": 200, "train": 256}},
        {
            "machine": "digital_45nm_fp16",
            "learning": {"name": "bptt", "checkpoints": 50},
            "training": {**TRAINING, "batch": 1000},
            "task": {"steps": 100, "train": 1000},
        },
        {
            "machine": "pcm_crossbar",
            "learning": {"name": "fpe"},
            "chips": 30,
            "gradient_check": {"sequences": 16},
            "task": {"steps": 60},
        },
        {
            "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 250}}]},
            "machine": "rram_crossbar",
            "learning": {"name": "one_step"},
            "chips": 3,
            "training": TRAINING,
            "task": {"steps": 2},
        },
        {"learning": {"name": "rtrl"}, "training": TRAINING, "task": {"steps": 3, "width": 3000}},
    ],
)
def test_it_is_what_a_run_asks_for(changes: dict[str, Any]) -> None:
    """Python and NumPy tell what they allocate; what of it is left over from elsewhere is a megabyte or two."""
    asked = experiment(**changes)
    estimated = sum(part.size for part in footprint(asked).peak.parts)
    simulate(experiment(**{**changes, "task": {"steps": 2, "train": 2}}))
    tracemalloc.start(1)
    simulate(asked)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken > 8e6
    assert 0.8 * taken - 2e6 < estimated < 1.6 * taken


# ---- counting ------------------------------------------------------------------------------------------------


def test_arrays_count_until_nothing_refers_to_them_and_views_as_what_they_look_at() -> None:
    gauge = Gauge()
    value = gauge.count(np.broadcast_to(np.zeros(1), (1,)).copy())
    view = gauge.count(value[:1])
    assert gauge.live[WEIGHTS] == 8 + HEADER
    del value
    assert gauge.live[WEIGHTS] == 8 + HEADER
    del view
    assert gauge.live[WEIGHTS] == 0
    assert gauge.restart()[WEIGHTS] == 8 + HEADER
    gauge.kind = VALUES
    gauge.pass_by(100)
    assert (gauge.live[VALUES], gauge.restart()[VALUES], gauge.restart()[VALUES]) == (0, 100, 0)


def test_loads_are_drawn_out_in_a_straight_line() -> None:
    def load(size: int) -> WorkMemory:
        return WorkMemory({"x": module.StageMemory({TAPE: size}, 10 * size, 1)}, {TAPE: 2 * size})

    assert load(3).further(load(5), 10) == load(23)


def test_a_tape_is_counted_in_the_run_as_it_is_weighed() -> None:
    """The rule that is weighed is the one that runs: as many entries on the tape at most."""
    asked = experiment(task={"steps": 60}, training=TRAINING)
    most = []
    backward = BPTT.backward

    def looking(self: BPTT, network: Any, states: Any, tapes: Any, carried: Any, segment: Any) -> None:
        most.append(max(len(tape.entries) for tape in tapes))
        backward(self, network, states, tapes, carried, segment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BPTT, "backward", looking)
        simulate(asked)
    assert max(most) == 60
