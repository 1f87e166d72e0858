"""What limits a machine: zero where nothing changes, the dominant imperfection first, and few false alarms."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from conftest import close, machine_options

import hwsim
from hwsim import cli, tasks
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment
from hwsim.documents import Document
from hwsim.errors import ConfigError, MemoryEstimateError, ResultsError
from hwsim.experiments import limits as experiments
from hwsim.experiments.limits import Lineup, limits
from hwsim.experiments.rehearsal import rehearse
from hwsim.experiments.specification import _Bench
from hwsim.imperfection import Found, found
from hwsim.reports import html
from hwsim.reports import limits as report
from hwsim.results import checksums, limits_folder, reading
from hwsim.results.limits import CHANGE, CHANGES, COSINE, DOUBLED, LOSS, OFF, Limits, Method, limit

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 5,
    "task": {"name": "random", "steps": 5, "width": 3, "train": 24, "test": 6},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"hidden": [5]}}]},
    "learning": {"name": "fpe"},
    "machine": "pcm_crossbar",
    "chips": 2,
    "gradient_check": {"sequences": 4},
    "training": {"optimizer": {"name": "sgd", "rate": 0.05}, "batch": 4, "epochs": 1},
}
DOMINANT = {"like": "ideal_crossbar", "name": "one_flaw", "parts": {"tiles": {"output_noise": 0.03}}}


def small(**changes: Any) -> Experiment:
    return config.compose(Document("test", json.loads(json.dumps(SMALL | changes))))


# ---- the simulation ----------------------------------------------------------------------------------------------


def together(short: Experiment, machines: list[Any]) -> list[dict[str, np.ndarray]]:
    """What is measured on machines side by side."""
    ((name, options),) = short.systems().items()
    data = tasks.build(short.task, short.seed)
    lineup = Lineup(short, name, options, data, machines)
    return lineup.measured(lineup.exact_gradients(), rehearse(short, name, options, *data), lambda *done, **over: None)


KINDS = (
    "device.programming.error", "device.read_noise", "parts.tiles.output_noise", "parts.dac.bits", "parts.adc.bits",
    "parts.ranges.reach", "parts.functions.add.mismatch", "parts.functions.multiply.noise",
    "parts.diagonals.inverse.mismatch", "parts.diagonals.forward.noise", "parts.registers.noise",
    "parts.registers.retention",
)  # fmt: skip
"""An imperfection of each kind that chips side by side can differ in."""


@pytest.mark.parametrize("network", ["lru", "gru"])
def test_chips_side_by_side_are_those_that_stand_alone_to_the_last_bit(network: str) -> None:
    """Doubled, and off, beside the machine as it is: they share streams, and nothing else."""
    gru = {"layers": [{"cell": {"name": "gru", "units": 4}, "readout": {"hidden": [5]}}]}
    short = experiments.shortened(small(**({} if network == "lru" else {"network": gru})), chips=2, updates=2)
    imperfections = {each.key: each for each in found(short.machine)}
    machines = [short.machine, *(imperfections[key].doubled for key in KINDS)]
    machines += [imperfections[key].off for key in KINDS[:6]]
    side_by_side = together(short, machines)
    for machine, beside in zip(machines, side_by_side, strict=True):
        (alone,) = together(short, [machine])
        for name, values in alone.items():
            assert values.tobytes() == beside[name].tobytes()
            assert np.isfinite(values).all()
    changed = [any((beside[name] != side_by_side[0][name]).any() for name in beside) for beside in side_by_side]
    assert sum(changed) >= 15  # all but units that a network does not use, and signals that do not saturate


def test_everything_that_says_it_can_stand_side_by_side_can() -> None:
    short = experiments.shortened(small(), chips=1, updates=1)
    assert {each.key for each in found(short.machine) if each.side_by_side and each.present} >= set(KINDS)
    lineups = list(experiments._lineups(short, list(found(short.machine))))
    assert [len(lineup) > 1 for lineup in lineups] == [True] + [False] * (len(lineups) - 1)
    assert all(np.isfinite(each[COSINE.name]).all() for each in together(short, [each.machine for each in lineups[0]]))


def test_chips_cannot_differ_in_what_is_no_number() -> None:
    machine = machine_options("pcm_crossbar")
    other = next(each.off for each in found(machine) if each.key == "parts.tiles.output_noise")
    rows = other.model_copy(update={"parts": other.parts.model_copy(update={"registers": None})})
    with pytest.raises(TypeError, match="cannot differ"):
        hwsim.machines.build(machine, chips=2, each=[machine, rows])


@pytest.fixture(scope="module")
def measured() -> Limits:
    """The dominant flaw is the noise of what tiles put out; there is nothing else but ranges and programming steps."""
    return limits(small(machine=DOMINANT), seeds=3, chips=2, updates=4)


def test_the_one_dominant_imperfection_comes_first(measured: Limits) -> None:
    """All seeds and chips agree by far, so that the interval is far from zero whatever the draws."""
    first = measured.ranked(COSINE)[0]
    assert first.key == "parts.tiles.output_noise"
    assert first.verdict(OFF, COSINE) == 1
    assert first.gain(DOUBLED, COSINE) < 0
    assert (first.measured[OFF][COSINE.name] > measured.base[COSINE.name]).all()
    assert first.measured[OFF][COSINE.name] == close(1.0, rel=1e-3)  # without it the gradient is exact
    assert report.sentences(measured)[0].split(": ")[1].startswith("output noise of tiles first (+")


def test_an_imperfection_that_does_nothing_makes_no_difference_at_all(measured: Limits) -> None:
    """Weights stay within their range, and signals within full scale: nothing saturates, off or not."""
    idle = next(each for each in measured.limits if each.key == "parts.tiles.reach")
    for name in (COSINE.name, LOSS.name):
        assert idle.measured[OFF][name].tobytes() == measured.base[name].tobytes()
        same = idle.differences[OFF, name]
        assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert idle.verdict(OFF, COSINE) == 0


def test_an_imperfection_that_is_zero_is_not_tried_and_would_make_no_difference(measured: Limits) -> None:
    assert "programming error" in measured.absent
    assert "programming error" not in {each.name for each in measured.limits}
    short = experiments.shortened(small(), chips=1, updates=1)
    parts = short.machine.parts
    zero = parts.functions.add.model_copy(update={"gain_noise": 2 * parts.functions.add.gain_noise})
    same = short.machine.model_copy(
        update={"parts": parts.model_copy(update={"functions": parts.functions.model_copy(update={"add": zero})})}
    )
    base, again = together(short, [short.machine, same])
    assert {name: values.tobytes() for name, values in base.items()} == {
        name: values.tobytes() for name, values in again.items()
    }


def test_the_machine_as_it_is_measures_what_a_run_measures() -> None:
    """The loss and the cosine are those of the same short experiment run as usual, on a machine without noise."""
    digital = {"machine": "digital_45nm_fp16", "learning": {"name": "bptt"}}
    there = limits(small(**digital, gradient_check={"sequences": 24}), seeds=1, updates=3)
    training = {**SMALL["training"], "epochs": None, "steps": 3}
    alone = hwsim.run(SMALL | digital | {"training": training, "gradient_check": {"sequences": 24}})
    system = alone.summary.systems["substrate"]
    assert there.base[LOSS.name].tolist() == [system.loss.per_chip]
    assert there.base[COSINE.name].tolist() == [system.gradient.all.target.per_chip]


def test_fewer_machines_stand_side_by_side_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(asked: Experiment) -> Any:
        if asked.chips > 10:
            raise MemoryEstimateError("too little memory")
        return SimpleNamespace(check=lambda: None)

    monkeypatch.setattr(experiments, "footprint", check)
    short = experiments.shortened(small(), chips=2, updates=1)
    sizes = [len(lineup) for lineup in experiments._lineups(short, list(found(short.machine)))]
    assert 1 < max(sizes) <= 5
    crowded = experiments.shortened(small(), chips=11, updates=1)
    with pytest.raises(MemoryEstimateError):
        list(experiments._lineups(crowded, list(found(crowded.machine))))


def test_progress_counts_up_to_the_total() -> None:
    told: list[tuple[int, int]] = []
    limits(small(training=None), seeds=2, chips=1, progress=lambda *done: told.append(done))
    assert told == sorted(told)
    assert (told[0][0], told[-1][0]) == (0, told[-1][1])


def test_a_digital_machine_is_limited_by_its_rounding() -> None:
    there = limits(small(machine="digital_45nm_fp16", learning={"name": "bptt"}), seeds=2, updates=2)
    (rounding,) = there.limits
    assert there.method.chips == 1
    assert rounding.measured[OFF][COSINE.name] == close(1.0, rel=1e-12)
    assert (there.base[COSINE.name] < 1 - 1e-9).all()
    assert DOUBLED not in rounding.measured


PULSED: dict[str, Any] = {
    "learning": {"name": "one_step"},
    "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 4}}]},
    "machine": {"like": "ideal_crossbar", "device": {"like": "idealized", "update": {"noise": 10.0}}},
    "training": {"optimizer": {"name": "sgd", "rate": 0.05}, "update": {"name": "in_situ"}, "batch": 1, "steps": 6},
}


def test_the_change_by_pulses_is_limited_by_what_pulses_do(tmp_path: Path) -> None:
    asked = small(**PULSED)
    result = limits(asked, measure="change", seeds=2, chips=2, updates=6)
    assert [each.name for each in result.measures] == ["change_cosine", "loss"]
    (noise,) = (each for each in result.limits if each.key == "device.update.noise")
    assert noise.gain(OFF, CHANGE) > 0.2 > 0 > noise.gain(DOUBLED, CHANGE)
    assert result.ranked(CHANGE)[0] is noise
    bench = _Bench(experiments.shortened(asked, 2, 6), "change", None)
    (as_it_is,) = bench._of([asked.machine], None, False)
    assert result.base[CHANGE.name][0].tolist() == as_it_is.tolist()  # what a specification measures
    text = " ".join(report.sentences(result))
    assert "By the cosine of the change by pulses" in text
    assert "gradients of" not in text
    report.write(result, asked, tmp_path)
    again = limits_folder.read(tmp_path)
    assert again.limits.values.equals(result.values)
    assert report.sentences(again.limits) == report.sentences(result)
    assert "change cosine, off" in html.of_limits(again)


@pytest.mark.parametrize(
    ("measure", "said"), [("change", "give `training.update: {name: in_situ}`"), ("all", "must be")]
)
def test_a_measure_that_is_not_there_is_refused(measure: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        limits(small(), measure=measure)


def test_a_machine_without_imperfections_is_refused() -> None:
    with pytest.raises(ConfigError, match="ideal has no imperfections"):
        limits(small(machine="ideal"), seeds=1)
    with pytest.raises(ConfigError, match="seeds"):
        limits(small(), seeds=0)


# ---- the statistics ----------------------------------------------------------------------------------------------


def simulated(random: np.random.Generator, effects: list[float], seeds: int = 3, chips: int = 4) -> Limits:
    """Results of imperfections with known effects: seeds differ in them by a tenth, seeds and chips also by chance."""

    def draw(effect: float) -> dict[str, np.ndarray]:
        each = effect * random.normal(1, 0.1, (seeds, 1)) + random.normal(0, 0.01, (seeds, chips))
        return {COSINE.name: base[COSINE.name] + each, LOSS.name: base[LOSS.name] - each}

    base = {COSINE.name: random.normal(0.5, 0.2, (seeds, chips)), LOSS.name: random.normal(2, 0.2, (seeds, chips))}
    named = [Found(str(number), f"flaw {number}", "", 1, 1, 1, True) for number in range(len(effects))]
    each = [limit(of, base, {OFF: draw(by), DOUBLED: draw(-by)}) for of, by in zip(named, effects, strict=True)]
    return Limits("simulated", "fpe", "chip", Method([*range(seeds)], chips, 4, 8, 10, 4, 20), base, each, [])


def test_a_dominant_imperfection_is_first_and_others_are_named_as_often_as_intervals_promise() -> None:
    """One effect of 0.3 among 20 of none, 100 times.

    Each of the 20 is better by chance in 2.5 % of the times: the number of these is binomial, and a deviation by 5
    standard errors is a false alarm once in 1.7 million. With three seeds the interval of the dominant one is on
    one side of zero unless its seeds scatter 7 times as much as they do on average.
    """
    random, times, first, alarms = np.random.default_rng(11), 100, 0, 0
    for _ in range(times):
        there = simulated(random, [0.0] * 10 + [0.3] + [0.0] * 10)
        ranked = there.ranked(COSINE)
        first += ranked[0].key == "10"
        alarms += sum(each.verdict(OFF, COSINE) > 0 for each in ranked if each.key != "10")
    assert first >= 0.98 * times
    expected, tried = 0.025, 20 * times
    assert abs(alarms - expected * tried) < 5 * (expected * (1 - expected) * tried) ** 0.5


def test_gains_are_what_is_better_by_either_measure() -> None:
    there = simulated(np.random.default_rng(2), [0.3])
    (flaw,) = there.limits
    for measure in (COSINE, LOSS):
        assert flaw.gain(OFF, measure) == close(0.3, rel=0.3)
        assert (flaw.verdict(OFF, measure), flaw.verdict(DOUBLED, measure)) == (1, -1)
    assert flaw.differences[OFF, LOSS.name].mean < 0
    rows = there.table
    assert len(rows) == len(CHANGES) * 2
    assert rows.set_index(["change", "measure"])["better"].to_dict()[OFF, "loss"] is True


def test_values_that_are_not_finite_are_counted_and_named() -> None:
    base = {COSINE.name: np.full((3, 2), 0.5)}
    lost = {COSINE.name: np.array([[0.6, np.nan], [0.7, 0.7], [0.8, 0.8]])}
    all_lost = {COSINE.name: np.full((3, 2), np.nan)}
    named = Found("a", "flaw", "", 1, 1, 1, True)
    flaw = limit(named, base, {OFF: lost, DOUBLED: all_lost})
    there = Limits("x", "fpe", "chip", Method([0, 1, 2], 2, 4, 8, None, None, None), base, [flaw], [])
    cells = report.table(there).rows[0].cells
    assert [str(cell) for cell in cells] == [
        "+0.25 ± 0.64 (1 lost)",
        "not finite",
    ]
    assert flaw.verdict(DOUBLED, COSINE) == 0
    assert report.sentences(there)[0].endswith("below noise.")


# ---- the report --------------------------------------------------------------------------------------------------


def test_a_difference_has_as_many_places_as_its_interval() -> None:
    there = simulated(np.random.default_rng(3), [0.3])
    found_ = there.limits[0].differences[OFF, COSINE.name]
    said = report.difference(found_._replace(mean=-0.0223, low=-0.0303, high=-0.0143))
    assert said == "−0.0223 ± 0.0080"
    assert report.difference(found_._replace(mean=0.0, low=0.0, high=0.0)) == "0"
    assert report.difference(found_._replace(mean=12.3, low=-100.0, high=124.6)) == "+12 ± 112"


def test_the_folder_has_what_was_found(measured: Limits, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    report.write(measured, small(machine=DOMINANT), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*limits_folder.FILES, "SHA256SUMS"}
    said = json.loads((tmp_path / "out" / "limits.json").read_text())
    assert said["ranked"]["cosine"]["off"][0] == "output noise of tiles"
    assert said["seeds"] == [5, 6, 7]
    assert said["says"] == report.sentences(measured)
    values = pd.read_csv(tmp_path / "out" / "values.csv", keep_default_na=False)
    as_it_is = values[values["imperfection"] == "none"]
    assert as_it_is["cosine"].to_numpy().reshape(3, 2) == close(measured.base[COSINE.name])
    table = pd.read_csv(tmp_path / "out" / "limits.csv")
    one = table[(table["imperfection"] == "output noise of tiles") & (table["change"] == "off")]
    assert one.set_index("measure")["rank"]["cosine"] == 1
    assert config.load(tmp_path / "out" / "config.yaml").machine.parts.tiles.output_noise == 0.03
    assert "output noise of tiles" in (tmp_path / "out" / "limits.svg").read_text()


def test_a_folder_is_read_back_to_the_last_bit(measured: Limits, tmp_path: Path) -> None:
    report.write(measured, small(machine=DOMINANT), tmp_path)
    found_ = hwsim.read(tmp_path)
    assert isinstance(found_, limits_folder.LimitsFolder)
    assert found_.limits._replace(base={}, limits=[]) == measured._replace(base={}, limits=[])
    pd.testing.assert_frame_equal(found_.values, measured.values)
    pd.testing.assert_frame_equal(found_.table, measured.table)
    assert report.sentences(found_.limits) == found_.says["says"]
    page = html.of_limits(found_)
    assert "what limits one_flaw under fpe" in page
    assert report.sentences(measured)[0] in page
    assert report.sentences(measured)[0] in found_._repr_html_()


def test_limits_have_no_learning_curves_to_ask(measured: Limits, tmp_path: Path) -> None:
    report.write(measured, small(machine=DOMINANT), tmp_path)
    with pytest.raises(typer.BadParameter, match="no learning curves to ask"):
        cli.report(tmp_path, to_accuracy="92%")
    assert not list(tmp_path.glob("*.html"))


def test_lost_chips_and_their_seeds_are_read_back(measured: Limits, tmp_path: Path) -> None:
    base = {name: values.copy() for name, values in measured.base.items()}
    base[LOSS.name][1, 0] = np.nan
    report.write(measured._replace(base=base), small(machine=DOMINANT), tmp_path)
    again = hwsim.read(tmp_path).limits.base
    assert {name: values.tobytes() for name, values in again.items()} == {n: v.tobytes() for n, v in base.items()}


def test_a_changed_folder_is_refused(measured: Limits, tmp_path: Path) -> None:
    for name in limits_folder.FILES:
        folder = tmp_path / name
        folder.mkdir()
        report.write(measured, small(machine=DOMINANT), folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        with pytest.raises(ResultsError, match=f"{name} is not as it was written"):
            reading.read(folder)
        (folder / "SHA256SUMS").unlink()
        with pytest.raises(ResultsError, match="is incomplete: SHA256SUMS is missing"):
            reading.read(folder)


DAMAGE: dict[str, tuple[str, Any]] = {
    "cut": ("limits.json", lambda text: text[:50]),
    "another type": ("limits.json", lambda text: "[]"),
    "chips that are not there": ("limits.json", lambda text: text.replace('"chips": 2', '"chips": 3')),
    "chips by word": ("limits.json", lambda text: text.replace('"chips": 2', '"chips": "2"')),
    "names that are none": ("limits.json", lambda text: text.replace('"name": "output noise of tiles"', '"name": 3')),
    "a row less": ("values.csv", lambda text: text.rpartition("\n")[0].rpartition("\n")[0]),
    "no numbers": ("values.csv", lambda text: text.replace("0.", "zero")),
    "no columns": ("values.csv", lambda text: ""),
    "other columns": ("values.csv", lambda text: text.replace("chip", "chop")),
    "no mapping": ("config.yaml", lambda text: "3"),
    "no drawing": ("limits.svg", lambda text: "drawing"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_folder_with_new_checksums_is_refused(measured: Limits, tmp_path: Path, kind: str) -> None:
    report.write(measured, small(machine=DOMINANT), tmp_path)
    name, change = DAMAGE[kind]
    before = (tmp_path / name).read_text()
    (tmp_path / name).write_text(change(before))
    assert (tmp_path / name).read_text() != before
    checksums.write(tmp_path, limits_folder.FILES)
    with pytest.raises(ResultsError, match=re.escape(str(tmp_path))):
        html.of_limits(reading.read(tmp_path))  # type: ignore[arg-type]
