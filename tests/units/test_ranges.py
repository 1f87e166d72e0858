"""Full scales that chips choose: from counts of octaves, each chip for itself, charged, and the same when resumed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import AT_HOME, RULES, built, gradient_of, least_steps, machine_options, random_episode, rule

from hwsim import machines
from hwsim.config import experiment as config
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.ranging import calibrate
from hwsim.experiments.run import simulate
from hwsim.learning.optimizers import build as optimizer
from hwsim.learning.update import Options, Update
from hwsim.machine import resume, snapshot
from hwsim.units.ranges import ABOVE, BELOW, OCTAVES, Calibration, Ranges, chosen, counted

UPDATE = Options.model_validate({"optimizer": {"name": "adamw", "rate": 0.01}, "clip": 1.0})
LAYER = {"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"norm": {"epsilon": 0.01}, "hidden": [5]}}
MILD = {"layers": [LAYER, LAYER], "pooling": "cumulative_mean"}
"""A network whose first errors are not much larger than the later ones: its norms have a large ε."""
EPISODE = random_episode(steps=6)


def on(ranges: Any, like: str = "pcm_crossbar") -> dict[str, Any]:
    return {"like": like, "name": like, "parts": {"ranges": ranges}}


def made_on(ranges: Any, learner: str = "one_step", chips: int = 1, network: str = "lru stack", **kinds: Any) -> Any:
    stage = machines.build(machine_options(on(ranges)), chips=chips, seed=3, **kinds)
    return built(network, rule(learner), EPISODE, stage=stage)


def scales(made: Any) -> dict[str, list[float]]:
    return {name: list(+scale) for name, scale in made.machine.ranges.scales.items()}


# ---- counting and choosing ---------------------------------------------------------------------------------------


def counts_of(x: np.ndarray, exponents: list[int]) -> np.ndarray:
    counts = np.zeros((len(x), OCTAVES), np.int64)
    counted(x.astype(np.float32), np.array(exponents), counts)
    return counts


def test_values_are_counted_by_octave_beside_the_full_scale_of_their_chip() -> None:
    x = np.array([[0.0, 0.001, 0.9, 1.0, 3.9, 4.0, -5.0, 1e9, np.inf, np.nan]])
    found = counts_of(np.concatenate([x, x]), [2, 0])
    assert found.sum(1).tolist() == [10, 10]
    at = {octave - BELOW: int(count) for octave, count in enumerate(found[0]) if count}  # full scale 4
    assert at == {-BELOW: 2, -2: 1, -1: 1, 0: 1, 1: 2, ABOVE: 3}  # 4 itself is one that was clipped
    at = {octave - BELOW: int(count) for octave, count in enumerate(found[1]) if count}  # full scale 1
    assert at == {-BELOW: 2, 0: 1, 1: 1, 2: 1, 3: 2, ABOVE: 3}


@pytest.mark.parametrize("margin", [1, 2, 4])
def test_the_smallest_full_scale_is_chosen_that_a_share_exceeds_times_a_margin(margin: Any) -> None:
    draw, options = np.random.default_rng(1), Calibration(share=0.001, margin=margin)
    x = draw.normal(size=(6, 100, 300)) * np.array([0.1, 0.4, 1.0, 2.0, 7.0, 90.0])[:, None, None]
    exponents = np.full(6, 2)
    found = chosen(counts_of(x, [2] * 6), exponents, exponents, True, options)
    limits = 2.0**found / margin
    sizes = np.abs(x).reshape(6, -1)
    assert ((sizes >= limits[:, None]).mean(1) <= 0.001).all()
    assert ((sizes >= limits[:, None] / 2).mean(1) > 0.001).all()


def test_what_is_clipped_goes_up_and_what_does_not_show_goes_down_and_at_last_back() -> None:
    options, exponents, start = Calibration(), np.array([2, 2]), np.array([2, 5])
    clipped = counts_of(np.full((2, 1, 50), 4.0), [2, 2])
    assert chosen(clipped, exponents, start, False, options).tolist() == [6, 6]
    assert chosen(clipped, exponents, start, True, options).tolist() == [4, 4]
    silent = counts_of(np.full((2, 1, 50), 1e-4), [2, 2])
    assert chosen(silent, exponents, start, False, options).tolist() == [2 - BELOW + 1] * 2
    assert chosen(silent, exponents, start, True, options).tolist() == [2, 5]
    assert chosen(0 * silent, exponents, start, True, options).tolist() == [2, 5]


# ---- on a chip ---------------------------------------------------------------------------------------------------


GROW = {"fpe two_minus", "fpe neumann"}
"""Rules whose errors grow from step to step where Jacobians are far from I, beyond what a few rounds find."""


@pytest.mark.parametrize("learner", sorted(RULES.keys() - GROW - {"snap 2"}))  # which no chip holds
def test_little_saturates_after_a_calibration_whatever_the_rule(learner: str) -> None:
    """The share that may exceed is without the margin; what is calibrated on is what is shown."""
    like = "pcm_crossbar_in_the_loop" if rule(learner).needs_tape else "pcm_crossbar"
    learned, steps = rule(learner), max(least_steps(learner), 6)
    for each in ("auto", "per_kind"):
        stage = machines.build(
            machine_options(on({"own": Ranges.model_validate(each).own, "error": 1.0}, like)), seed=3
        )
        episode = random_episode(steps=steps, batch=8)
        takes_all = AT_HOME.get(learner, "lru stack") == "lru stack"
        made = built(MILD if takes_all else AT_HOME[learner], learned, episode, stage=stage)
        with np.errstate(all="ignore"):
            calibrate(made, learned, episode)
            gradient_of(made, learned, episode)
        counts = np.array([each for units in stage.clipped.values() for each in units.values()])
        assert counts[:, 0].sum() > 0
        assert counts[:, 1].sum() <= 0.001 * counts[:, 0].sum(), each


def saturated_from_cold(**rounds: int) -> float:
    """The share of values that saturate where weights have grown, after a first calibration."""
    learned, episode = rule("fpe_anchored"), random_episode(steps=12, batch=8)
    stage = machines.build(machine_options(on({"own": rounds, "error": 1.0})), seed=3)
    made = built(MILD, learned, episode, stage=stage)
    for trainable in made.trainables:
        if trainable.name.split()[-1] not in ("nu", "theta"):  # eigenvalues stay
            trainable.master.value = trainable.master.value * np.float32(4)
    made.program()
    calibrate(made, learned, episode)
    gradient_of(made, learned, episode)
    counts = np.array([each for units in stage.clipped.values() for each in units.values()])
    return float(counts[:, 1].sum() / counts[:, 0].sum())


def test_first_rounds_settle_signals_that_are_made_from_clipped_ones() -> None:
    """What is clipped hides how large those are that are made from it, so errors far down the line come last."""
    assert saturated_from_cold(rounds=3) > 1e-3
    assert saturated_from_cold() < 1e-4


def test_a_chip_chooses_for_itself() -> None:
    both, alone = made_on("auto", chips=2), made_on("auto", chips=1)
    for made in (both, alone):
        calibrate(made, rule("one_step"), EPISODE)
    assert {name: values[:1] for name, values in scales(both).items()} == scales(alone)
    one, two = (gradient_of(made, rule("one_step"), EPISODE) for made in (alone, both))
    assert all(one[name][0].tobytes() == two[name][0].tobytes() for name in one)
    assert any(values[0] != values[1] for values in scales(both).values())


def test_each_signal_has_one_or_each_kind_in_a_layer() -> None:
    fine, coarse = made_on("auto", "fpe"), made_on("per_kind", "fpe")
    for made in (fine, coarse):
        calibrate(made, rule("fpe"), EPISODE)
    assert len(scales(fine)) > 2 * len(scales(coarse))
    kinds = {name.removeprefix("layer 2, ") for name in scales(coarse) if name.startswith("layer 2, ")}
    forward, learning = {"state", "readout", "converted"}, {"state error", "readout error", "input error", "product"}
    assert kinds == forward | learning | {"converted error"}
    assert {"layer 1 h", "layer 2 product", "layer 2 error"} <= scales(coarse).keys()


def test_they_are_words_in_registers_and_counters_while_they_are_calibrated() -> None:
    made = made_on("auto", chips=2)
    ledger, own = made.machine.memory, made.machine.ranges
    calibrate(made, rule("one_step"), EPISODE)
    words = [each for name, each in ledger.live.items() if name.startswith("full scale")]
    assert len(words) == len(own.scales)
    assert {(each.kind, each.values, each.bits, each.technology) for each in words} == {
        ("weights", 1, 6, "coefficient registers")
    }
    with own.calibrating():
        assert len([name for name in ledger.live if name.endswith("octaves")]) == len(own.scales)


def test_converters_shift_where_scales_are_chosen_and_only_there() -> None:
    kinds = {}
    for ranges in ({"forward": 16, "error": 4}, "auto"):
        made = made_on(ranges)
        gradient_of(made, rule("one_step"), EPISODE)
        traces = made.machine.journal.traces
        kinds[str(ranges)] = [record.kind for trace in traces for record in trace if record.purpose != "weight update"]
    fixed, own = kinds.values()
    assert "shift" not in fixed
    inputs = own.count("input")  # their converter has its own full scale, which is fixed
    assert own.count("shift") == own.count("dac") + own.count("adc") - inputs
    assert [kind for kind in own if kind != "shift"] == fixed


# ---- captured, strict, resumed -----------------------------------------------------------------------------------


def learned_from(made: Any, learner: str, routine: str | None) -> dict[str, bytes]:
    learned, slots = rule(learner), optimizer(UPDATE.optimizer, made)
    for number in range(4):
        if number % 2 == 0:
            calibrate(made, learned, EPISODE)
        with made.machine.showing(EPISODE, routine):
            learned.learn(made, Update(made, slots, UPDATE))
        for trainable in made.trainables:  # so that full scales do move
            trainable.master.value = trainable.master.value * np.float32(2)
        made.program()
    return {name: storage.saved.tobytes() for name, storage in made.machine.storages.items()}


@pytest.mark.parametrize("learner", ["fpe", "rtrl"])
def test_captured_steps_go_by_the_full_scales_of_the_latest_calibration(learner: str) -> None:
    plain, captured, strict = made_on("auto", learner), made_on("auto", learner), made_on("auto", learner, strict=True)
    found = learned_from(plain, learner, None)
    assert learned_from(captured, learner, "own") == found
    assert learned_from(strict, learner, "own") == found
    assert captured.machine.clipped == plain.machine.clipped


@pytest.mark.parametrize("ranges", ["auto", "per_kind"])
def test_a_calibration_goes_on_from_a_snapshot_to_the_same_bytes(ranges: str) -> None:
    def finish(made: Any) -> Any:
        with made.machine.ranges.calibrating(), made.machine.showing(EPISODE):
            rule("fpe").gradients(made)
            for _ in made.machine.phase("full scales"):
                made.machine.ranges.choose(last=True)
        return scales(made), {each.name: each.gradient.value.tobytes() for each in made.trainables}

    made, snapshots = made_on(ranges, "fpe", chips=2), []
    calibrate(made, rule("fpe"), EPISODE)
    made.machine.sequencer.after_step = lambda: snapshots.append(snapshot(made.machine))
    found = finish(made)
    assert len(snapshots) > 10
    for shot in (snapshots[0], snapshots[len(snapshots) // 2], snapshots[-1]):
        stage = machines.build(machine_options(on(ranges)), chips=2, seed=3)
        resume(stage, shot)
        again = finish(built("lru stack", rule("fpe"), EPISODE, stage=stage))
        assert again == found


# ---- in a run ----------------------------------------------------------------------------------------------------


def experiment(ranges: Any, learner: str = "one_step", steps: int = 5, **more: Any) -> dict[str, Any]:
    return {
        "name": "ranged",
        "task": {"name": "random", "steps": 5, "width": 2, "train": 8, "test": 2, "loss": "last"},
        "network": {"layers": [{"cell": {"name": "lru", "modes": 3}, "readout": {"norm": {"epsilon": 0.01}}}]},
        "learning": RULES[learner],
        "machine": on(ranges),
        "chips": 2,
        "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 2, "steps": steps, "test_every": 2},
        **more,
    }


OWN = {"own": {"every": 2, "sequences": 3, "rounds": 2}}


def test_later_calibrations_have_rounds_of_their_own() -> None:
    """With five updates one calibration is the first, and two are later ones."""
    chosen = []
    for rounds, later in ((1, 1), (3, 1), (1, 3)):
        asked = experiment({"own": {**OWN["own"], "rounds": rounds, "later": later}})
        totals = simulate(config.load(asked)).costs[0].outcome.totals
        chosen.append(sum(sum(part.batches.values()) for part in totals))
    passes = (chosen[1] - chosen[0]) / 2  # of one round
    assert passes > 0
    assert chosen[2] - chosen[0] == 2 * 2 * passes


@pytest.mark.parametrize("learner", ["one_step", "fpe", "fptt"])
@pytest.mark.parametrize(("trained", "later"), [(True, 1), (True, 2), (False, 1)])
def test_an_estimate_knows_what_calibrations_cost(learner: str, trained: bool, later: int) -> None:
    asked = experiment({"own": {**OWN["own"], "later": later}}, learner)
    if not trained:
        asked = {**asked, "training": None, "gradient_check": {"sequences": 2}}
    real, found = simulate(config.load(asked)), estimate(asked)
    carried_out = [sum(sum(part.batches.values()) for part in of.costs[0].outcome.totals) for of in (real, found)]
    assert carried_out[0] == carried_out[1]
    run, guess = (of.summary.systems["substrate"] for of in (real, found))
    assert guess.memory == run.memory
    assert guess.time == run.time
    fixed = estimate(experiment({"forward": 16, "error": 4}, learner)).summary.systems["substrate"]
    assert guess.energy.operations.keys() == run.energy.operations.keys()
    if trained:
        assert guess.energy.run_j is not None
        assert fixed.energy.run_j is not None
        assert guess.energy.run_j > fixed.energy.run_j


def test_runs_with_chosen_full_scales_are_repeated_to_the_byte_and_tell_windows() -> None:
    one, two = (simulate(config.load(experiment(OWN))).summary for _ in range(2))
    assert one.text() == two.text()
    health = one.systems["substrate"].signal_health
    assert health is not None
    assert [window.updates for window in health.windows] == [2, 4, 5]


def test_checks_of_the_trained_network_change_nothing() -> None:
    plain = experiment(OWN, gradient_check={"sequences": 2})
    checked = {**plain, "gradient_check": {"sequences": 2, "at": [1, 5], "every": 3}}
    one, two = (simulate(config.load(each)) for each in (plain, checked))
    first, second = (json.loads(each.summary.text())["systems"]["substrate"] for each in (one, two))
    found = second.pop("trained")
    assert first.pop("trained") == []
    assert [each["updates"] for each in found] == [1, 3, 5]
    assert first == second
    assert set(found[0]["beyond_range"]) == {"layer 1 B", "layer 1 V1"}
    assert found[-1]["by_layer"]["layer 1"]["input"]["programmed"]["cosine"] is not None


def test_weights_beyond_the_range_of_devices_are_told() -> None:
    asked = experiment(OWN, steps=4)
    asked["training"]["optimizer"]["rate"] = 2.0
    system = simulate(config.load(asked)).summary.systems["substrate"]
    assert system.weights is not None
    assert max(system.weights.beyond_range.values()) > 0.2


# ---- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ("automatic", "neither auto, nor per_kind"),
        ({"own": {"margin": 3}}, "margin"),
        ({"own": {"every": 0}}, "every"),
        ({"own": {"later": 0}}, "later"),
        ({"own": {"each": "layer"}}, "each"),
        ({"own": {"share": 0.7}}, "share"),
    ],
)
def test_bad_ranges_are_refused(ranges: Any, says: str) -> None:
    with pytest.raises(HwsimError, match=says):
        machine_options(on(ranges))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"gradient_check": {"at": [6]}}, "at: 6 is beyond the training, of 5 updates"),
        ({"gradient_check": {"every": 2}, "training": None}, "there is no training"),
    ],
)
def test_checks_that_cannot_be_made_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(HwsimError, match=says):
        simulate(config.load({**experiment(OWN), **more}))


def test_the_starting_full_scales_are_powers_of_two() -> None:
    made = made_on({"forward": 3.0, "error": 5.0, "own": {}})
    gradient_of(made, rule("one_step"), EPISODE)
    assert {value for values in scales(made).values() for value in values} == {4.0, 8.0}


def test_an_episode_that_goes_on_is_calibrated_from_rest() -> None:
    made, learned = made_on("auto"), rule("one_step")
    going = Episode(EPISODE.inputs, EPISODE.labels, classes=EPISODE.classes, lanes=EPISODE.batch)
    with made.machine.showing(going):
        learned.gradients(made)
    carried = made.machine.storages["layer 1 h carried"].value.tobytes()
    calibrate(made, learned, going)
    assert made.machine.storages["layer 1 h carried"].value.tobytes() == carried
