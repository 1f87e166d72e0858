"""The digital machine rounds each result once to its format, and sums products in that of the accumulators."""

import numpy as np
import pytest
from conftest import built, close, distance, gradient, gradient_of, machine_options, random_episode, rule

from hwsim import formats, machines
from hwsim.accounts.energy import Tariff, total
from hwsim.accounts.memory import ACCUMULATORS, MASTER, OPTIMIZER, TAPE, WEIGHTS
from hwsim.errors import ConfigError
from hwsim.learning import optimizers
from hwsim.learning.update import Options, Update
from hwsim.machine import Matrix
from hwsim.operations import tanh


def on(name):
    return {"like": "digital_45nm", "format": name}


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "fixed<12,8>", "fixed<28,20>"])
def test_every_result_is_a_number_of_the_format(name):
    episode, learned = random_episode(), rule("fpe")
    made = built("lru stack", learned, episode, on=on(name))
    stage, format_ = made.machine, formats.parse(name)
    emit, seen = stage.emit, []

    def checked(head, value, reads, size=None):
        signal = emit(head, value, reads, size)
        if head.kind not in ("load", "replay", "target", "input"):  # sums are in another format
            seen.append(head.kind)
            rounded = signal._value if format_.round is None else format_.round(signal._value)
            np.testing.assert_array_equal(signal._value, rounded)
        return signal

    stage.emit = checked
    with stage.showing(episode):
        learned.gradients(made)
    assert {"read", "add", "diagonal", "softmax", "read transposed"} <= set(seen)


def test_a_coarser_format_is_further_from_exact():
    episode = random_episode()
    exact = gradient("lru stack", "bptt", episode)
    missed = [
        distance(gradient("lru stack", "bptt", episode, on=on(name)), exact)
        for name in ("float32", "float16", "bfloat16")
    ]
    assert missed[0] < 1e-4 < missed[1] < missed[2] < 0.5


def test_products_are_summed_in_the_accumulator_and_rounded_once():
    """In float16, 2048 + 1 is 2048; summed in float32 first, eight ones and 2048 make 2056."""
    episode = random_episode(batch=1, steps=1, width=9)
    made = built("lru", rule("one_step"), episode, on=on("float16"))
    stage, matrix = made.machine, made.layers[0].cell.B
    matrix.take(np.ones_like(matrix.weights))
    with stage.showing(episode), stage.workspace() as workspace:
        x = workspace.register("x", 9)
        x.value = np.array([2048.0, *[1.0] * 8], np.float32).reshape(1, 1, 9)
        for _ in stage.forward_pass("once"):
            assert (matrix @ x.load())._value[0, 0, 0] == 2056
            assert tanh(x.load())._value[0, 0, 1] == np.float16(np.tanh(1))


def test_a_machine_that_works_on_sequences_together_holds_each_ones_state():
    episode, learned = random_episode(batch=4), rule("bptt")
    peaks = []
    for together in (1, 4):
        parts = {"dataflow": {"batch_parallel": together}}
        made = built("lru", learned, episode, on={"like": "digital_45nm", "parts": parts})
        with made.machine.showing(episode):
            learned.gradients(made)
        peaks.append(made.machine.memory.peak_by_class())
    for kind in ("state", "tape", "learning state", "input replay"):
        assert peaks[1][kind] == 4 * peaks[0][kind]
    assert peaks[1]["weights"] == peaks[0]["weights"]


@pytest.mark.parametrize(
    ("format", "accumulator", "bits"), [("float16", "float32", 32), ("fixed<8,4>", "fixed<24,8>", 24)]
)
def test_sums_are_kept_in_the_format_of_the_accumulator(format, accumulator, bits):  # noqa: A002
    """A hundred times a sixteenth of the smallest step of the result is no longer nothing."""
    machine = {"like": "digital_45nm", "format": format, "accumulator": accumulator}
    episode, learned = random_episode(), rule("bptt")
    made = built("lru", learned, episode, on=machine)
    gradient_of(made, learned, episode)
    stage = made.machine
    sums = made.layers[0].cell.B.gradient
    kept = stage.accumulator.round(sums.value) if stage.accumulator.round else sums.value.astype("float32")
    np.testing.assert_array_equal(sums.value, kept)
    assert (sums.value != stage.format.round(sums.value)).any()
    assert stage.memory.widths[sums.name] == bits


@pytest.mark.parametrize("names", [("float32", "float16"), ("float32", "float64"), ("fixed<16,8>", "fixed<12,8>")])
def test_sums_that_are_too_narrow_are_refused(names):
    with pytest.raises(ConfigError, match="accumulator"):
        machine_options({"like": "digital_45nm", "format": names[0], "accumulator": names[1]})


# ---- mixed precision, and costs that are a bound -----------------------------------------------------------------


def learner(on, learned, episode):
    """A network that has learned one batch, and its machine's energy."""
    made = built("lru stack", learned, episode, stage=machines.build(machine_options(on), chips=1, seed=3))
    options = Options.model_validate({"optimizer": {"name": "adamw", "rate": 0.01}, "clip": 1.0})
    slots = optimizers.build(options.optimizer, made)
    with made.machine.showing(episode):
        learned.gradients(made)
        Update(made, slots, options, 0.0)(21)
    stage = made.machine
    ledger = Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.collect(), 0.0)
    return made, total(ledger)


def held(made, kind):
    return sum(h.total_bits for h in made.machine.memory.live.values() if h.kind == kind)


def test_in_mixed_precision_updates_are_in_the_wide_format_and_products_in_the_narrow_one():
    learned, episode = rule("bptt"), random_episode()
    mixed, _ = learner("digital_45nm_fp16", learned, episode)
    matrices = [unit for unit in mixed.machine.units if isinstance(unit, Matrix)]
    half = formats.parse("float16")
    for matrix in matrices:
        np.testing.assert_array_equal(matrix.weights, half.round(matrix.trainable.values))
        assert (matrix.weights != matrix.trainable.values).any()  # masters have more digits
    assert all(np.isfinite(trainable.values).all() for trainable in mixed.trainables)
    formats_of = {sweep.name: set() for sweep in mixed.machine.journal.latest.sweeps}
    for sweep in mixed.machine.journal.latest.sweeps:
        for trace, _ in sweep.runs:
            formats_of[sweep.name] |= {record.format for record in mixed.machine.journal.traces[trace]}
    assert formats_of == {
        "forward": {"float16"},
        "backward": {"float16"},
        **{name: {"float32"} for name in ("finish gradient", "update", "programming")},
    }
    parameters = sum(trainable.master.value.size for trainable in mixed.trainables)
    copies = sum(matrix.weights[0].size for matrix in matrices)
    assert held(mixed, MASTER) == 32 * parameters
    assert held(mixed, OPTIMIZER) == 2 * 32 * parameters
    computed = sum(unit.width for unit in mixed.machine.units if unit.__class__.__name__ == "Diagonal")
    gains = sum(unit.width for unit in mixed.machine.units if unit.__class__.__name__ == "ModeGain")
    assert 16 * copies <= held(mixed, WEIGHTS) <= 16 * (copies + computed + gains)


@pytest.mark.parametrize("narrow", ["float32", "float16", "bfloat16", "fixed<24,18>"])
@pytest.mark.parametrize("wide", ["float64", "fixed<32,24>"])
def test_arrays_that_hold_the_widest_format_are_rounded_to_the_others(narrow, wide):
    learned, episode = rule("bptt"), random_episode()
    keys = {"like": "digital_45nm", "format": narrow, "accumulator": "float32", "update": wide}
    stage = machines.build(machine_options(keys), chips=1, seed=3, strict=True)
    assert stage.dtype == np.float64
    made = built("lru stack", learned, episode, stage=stage)
    seen, format_ = [], formats.parse(narrow)
    stage.watchers["answer"] = seen.append
    with stage.showing(episode):
        learned.gradients(made)
    for answer in seen:
        rounded = answer.astype(np.float32) if format_.round is None else format_.round(answer)
        np.testing.assert_array_equal(rounded, answer)
    assert len(seen) == episode.steps
    assert all(trainable.gradient.value.any() for trainable in made.trainables)


def test_adamw_loses_its_squares_if_it_works_in_half_precision():
    """Why the shipped machine has a format for updates."""
    learned, episode = rule("bptt"), random_episode()
    exact, shipped, pure = (
        learner(machine, learned, episode)[0].trainables
        for machine in ("digital_45nm", "digital_45nm_fp16", {"like": "digital_45nm", "format": "float16"})
    )
    off = [max(np.abs(w.values - v.values).max() for w, v in zip(mine, exact, strict=True)) for mine in (shipped, pure)]
    assert off[0] < 0.03  # by sign of gradients that are almost zero, twice the rate
    assert off[1] > 1


def test_priced_as_int8_the_values_stay_and_costs_are_those_of_eight_bits():
    learned, episode = rule("bptt"), random_episode()
    plain, dear = learner("digital_45nm", learned, episode)
    bound, cheap = learner("digital_45nm_int8_bound", learned, episode)
    assert plain.machine.bound is None
    assert "int8 training is not simulated" in bound.machine.bound
    for mine, theirs in zip(bound.trainables, plain.trainables, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
    names = {name for name in cheap.by_constant if name.startswith("parts.arithmetic")}
    assert names == {f"parts.arithmetic.{each}" for each in ("int8.multiply", "int8.add", "int32.add")}
    for mine, theirs, ratio in (("int8", "float32", 0.2 / 3.7),):
        formats = (cheap, mine), (dear, theirs)
        counted = [spent.by_constant[f"parts.arithmetic.{each}.multiply"].energy for spent, each in formats]
        assert counted[0] / counted[1] == close(ratio)
    for kind, ratio in ((WEIGHTS, 4), (OPTIMIZER, 4), (ACCUMULATORS, 1)):
        assert held(plain, kind) == ratio * held(bound, kind)
    peaks = [made.machine.memory.peak_by_class()[TAPE] for made in (plain, bound)]
    assert peaks[0] == 4 * peaks[1]
    assert cheap.energy < dear.energy / 3
