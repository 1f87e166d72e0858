"""Figures show numbers of the run folder, in colours that can be told apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from html import unescape
from math import exp, log

import numpy as np
import pytest
import run_folders
from conftest import close
from matplotlib.figure import Figure
from run_folders import Folders

from hwsim.quantities import si
from hwsim.reports import reached
from hwsim.reports.answers import answers, compared
from hwsim.reports.figures import canvas
from hwsim.reports.figures.canvas import PALETTE
from hwsim.reports.figures.constants import _reach, constants
from hwsim.reports.figures.horizon import _fresh, _point
from hwsim.reports.figures.learning import scores
from hwsim.reports.figures.memory import KEPT, occupancy_of
from hwsim.reports.reached import Question
from hwsim.reports.tables import KnownContribution, contributions

_VISION = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
}
"""Of linear RGB (Machado, Oliveira and Fernandes, IEEE TVCG 15, 2009, severity 1)."""


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65."""
    c = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.clip(vision @ np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.where((t := to_xyz @ linear / [0.9505, 1, 1.089]) > 0.008856, np.cbrt(t), 7.787 * t + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", _VISION)
def test_colours_can_be_told_apart(vision: str) -> None:
    for one, other in itertools.combinations(PALETTE.values(), 2):
        assert np.linalg.norm(lab(one, _VISION[vision]) - lab(other, _VISION[vision])) > 20, (one, other)


def test_a_figure_that_is_drawn_once_is_the_one_that_is_drawn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib draws a figure unseen to lay it out; its letters and legends stand where they would."""

    def written() -> str:
        with canvas.canvas(180) as figure:
            axes = figure.subplots()
            for name, steepness in (("one", 1), ("the other of them", 3)):
                axes.plot([1, 2, 4], [10.0**-9, 10.0 ** (steepness - 9), 2e-6], label=name)
            canvas.quantities(axes.yaxis, "J", log=True)
            axes.set_xlabel("updates")
            canvas.legend(figure, axes)
            return canvas.written(figure, "drawn")

    once = written()
    monkeypatch.setattr(canvas, "_DrawnOnce", Figure)
    assert written() == once
    assert "the other of them" in once


def test_energy_until_the_last_test_is_that_of_the_run(folders: Folders) -> None:
    run = folders("full")
    tests = scores(run)
    for name in ("substrate", "digital"):
        rows = tests[tests.system == name]
        assert list(rows.updates) == [0, 1, 2, 3, 4]
        assert (np.diff(rows.learning_energy_j) > 0).all()
        parts = run.energy[(run.energy.system == name) & (run.energy.part == "epoch")].groupby("epoch").energy_j.sum()
        spent = run.metrics[run.metrics.system == name].groupby("updates").energy_j.first()
        np.testing.assert_allclose(spent, parts.sort_index().cumsum()[: len(rows)], rtol=1e-12)
        energy, shown = run.systems[name].energy, len(rows) * 4  # sequences in all tests
        assert spent.iloc[-1] == close(energy.run_j, rel=1e-12)
        tests_alone = spent.iloc[-1] - rows.learning_energy_j.iloc[-1]
        assert tests_alone == close(shown * energy.inference_j_per_sequence, rel=0.05)  # of the last test
        accuracy = run.systems[name].accuracy
        assert rows["median"].iloc[-1] == accuracy.median
        assert rows.highest.iloc[-1] == max(accuracy.per_chip)
    assert tests[tests.system == "exact"].learning_energy_j.isna().all()


@pytest.mark.parametrize("name", ["substrate", "digital"])
def test_the_most_that_is_held_is_the_peak(folders: Folders, name: str) -> None:
    run = folders("full")
    found = occupancy_of(run, name)
    assert found is not None
    peak = run.systems[name].memory
    total = found.total(found.bits)
    assert total.max() / 8 == close(peak.peak_bytes, abs=1)
    at = int(total.argmax())
    for kind, size in peak.peak_by_class.items():
        assert found.bits[kind][at] / 8 == close(size, abs=1)
    assert found.sweeps[0][1] == 6


def test_what_bptt_adds_grows_with_each_step_and_shrinks_again(folders: Folders) -> None:
    run = folders("full")
    mine, tape = occupancy_of(run, "substrate"), occupancy_of(run, "digital")
    assert mine is not None
    assert tape is not None
    assert (np.diff(tape.bits["tape"][1:6]) > 0).all()
    assert (np.diff(tape.bits["tape"][7:13]) < 0).all()
    assert "tape" not in mine.bits
    steady = mine.total([kind for kind in mine.bits if kind not in KEPT])[1:6]
    assert (steady == steady[0]).all()


def test_the_boundary_of_the_map_is_the_horizon(folders: Folders) -> None:
    reach = folders("full").systems["substrate"].horizon
    point = _point(reach)
    assert _fresh(point, np.array([point.rate]))[0] == close(reach.fresh_steps, rel=1e-9)
    rate, growth = 0.3, (reach.tolerance / point.fresh) ** 2
    found = _fresh(point, np.array([rate]))[0]
    assert found == close(log(1 + 2 * rate * growth) / (2 * rate))
    assert point.fresh * ((exp(2 * found * rate) - 1) / (2 * rate)) ** 0.5 == close(reach.tolerance)


def test_a_tornado_has_the_ranges_of_the_constants() -> None:
    entries = {
        "small": {"energy_j": 1e-9, "low_j": 1e-9, "high_j": 1e-9, "assumed": False},
        "wide": {"energy_j": 2e-9, "low_j": 1e-9, "high_j": 7e-9, "assumed": True},
        "narrow": {"energy_j": 5e-9, "low_j": 4e-9, "high_j": 6e-9, "assumed": False},
    }
    system = run_folders.system({"energy": {"by_constant": entries, "training_step_j": 8e-9, "assumed_fraction": 0.25}})
    parts = contributions(system)
    assert list(parts) == ["narrow", "wide", "small"]
    assert _reach(parts["wide"], 8e-9) == close((7e-9, 13e-9))
    drawn = constants("chip", system)
    assert drawn is not None
    assert drawn.heading == (
        "Most hangs on the constant wide: 7 nJ to 13 nJ; 25% of chip’s energy rests on assumptions"
    )
    assert drawn.svg.index("wide  25%") < drawn.svg.index("narrow  62%")
    assert "small" not in drawn.svg


def test_constants_without_ranges_are_shown_by_what_they_contribute(folders: Folders) -> None:
    entries = {"a": {"energy_j": 3e-9}, "b": {}}
    system = run_folders.system({"energy": {"by_constant": entries, "training_step_j": 4e-9}})
    assert contributions(system) == {"a": KnownContribution(3e-9, None, None, assumed=False)}
    drawn = constants("chip", system)
    assert drawn is not None
    assert drawn.heading == "The constant a makes 75% of the total"
    assert constants("exact", folders("full").systems["exact"]) is None


# ---- answers -------------------------------------------------------------------------------------------------


def test_answers_are_made_from_the_numbers(folders: Folders) -> None:
    run = folders("full")
    physicist, architect, researcher = answers(run)
    mine, digital = run.systems["substrate"], run.systems["digital"]
    accuracy = f"{mine.accuracy.median:.1%}"
    assert accuracy in physicist.text
    joules, theirs = mine.energy.training_step_j, digital.energy.training_step_j
    assert f"takes {si(joules, 'J')}, {compared(joules, theirs, 'less', 'more', 'digital')}" in architect.reasons[1]
    assert mine.reached.energy_j is not None
    assert f"To reach {run.summary.target:.1%}, learning takes {si(mine.reached.energy_j, 'J')}" in architect.text
    assert any(line.startswith("substrate (fpe): " + accuracy) for line in researcher.reasons)
    fill = 100 * mine.efficiency.tile_fill
    assert fill < 10
    assert f"Weights fill {fill:.2g} % of the tiles that are read" in " ".join(architect.reasons)


def test_what_is_not_known_is_not_said(folders: Folders) -> None:
    physicist, architect, _ = answers(folders("ideal"))
    assert physicist.text == "There is no device in this run: ideal has none."
    assert architect.text.startswith("Unknown: substrate has no energy, since this machine has no energy model")
    assert answers(folders("untrained"))[0].text == "It was not trained in this run; look at the gradient."
    assert answers(folders("bare"))[0].text == "It was not trained in this run."
    assert answers(folders("bare"))[1].text.endswith("has no energy, since no training step was noted.")
    lost = answers(folders("diverged"))[1].text
    assert lost.endswith("has no energy, since its values left the range of numbers.")
    assert answers(folders("bare"))[2].text == "Nothing was trained, and no gradient was checked."


@pytest.mark.parametrize(
    ("mine", "other", "said"),
    [(1.0, 2.5, "2.5 times less than it"), (2.5, 1.0, "2.5 times more than it"), (1.0, 1.001, "as much as it")],
)
def test_ratios_in_words(mine: float, other: float, said: str) -> None:
    assert compared(mine, other, "less", "more", "it") == said


# ---- what it takes to reach an accuracy ---------------------------------------------------------------------------


def test_what_it_takes_to_reach_an_accuracy_is_in_the_summary_the_table_and_the_page(
    folders: Folders, page: Callable[[str], str]
) -> None:
    run = folders("full")
    mine, metrics = run.systems["substrate"].reached, run.metrics[run.metrics.system == "substrate"]
    assert mine is not None
    assert run.summary.target is not None
    medians = metrics.groupby("updates").test_accuracy.median()
    assert mine.updates == medians[medians >= run.summary.target - 1e-12].index[0]
    at = metrics[metrics.updates == mine.updates]
    assert (mine.energy_j, mine.time_s) == (at.learning_energy_j.iloc[0], at.learning_time_s.iloc[0])
    assert mine.writes_per_device == at.writes_per_device.median()
    (table,) = reached.tables(run.metrics, run.systems, Question(), run.summary.constant)
    assert table.title.startswith(f"To reach {run.summary.target:.1%} on the test, one point below the best median of ")
    rows = {line.label: line.cells for line in table.rows}
    assert rows["energy"][0].value == mine.energy_j
    assert table.title in unescape(page("full"))


def test_a_system_that_does_not_get_there_shows_that_it_did_not(folders: Folders) -> None:
    run = folders("full")
    best = run.metrics.groupby(["system", "updates"]).test_accuracy.median().groupby("system").max()
    (table,) = reached.tables(run.metrics, run.systems, Question(accuracy=min(best.max() + 0.001, 1)))
    assert {cell.text for line in table.rows[:1] for cell in line.cells} == {"not reached"} or best.max() == 1
    said = reached.remarks(run.metrics, run.systems, Question(accuracy=1.0))
    assert any(line.startswith("substrate did not reach 100.0%; its best median was") for line in said)
    assert "Substrate does not reach 100.0%" in answers(run, Question(accuracy=1.0))[1].text
    assert answers(run, Question(accuracy=1.0))[1].tone == "bad"


def test_learning_costs_what_the_run_costs_without_its_tests(folders: Folders) -> None:
    """Steps of training are alike in what they count: the last tests are apart by one step and its writes."""
    run = folders("full")
    metrics = run.metrics[run.metrics.system == "digital"].set_index("updates")
    step = run.systems["digital"].energy.training_step_j
    np.testing.assert_allclose(np.diff(metrics.learning_energy_j), step, rtol=0.02)
    seconds = run.systems["digital"].time.training_step_s
    np.testing.assert_allclose(np.diff(metrics.learning_time_s), seconds, rtol=1e-9)
    writes = run.metrics[(run.metrics.system == "substrate") & (run.metrics.updates == 4)].writes_per_device
    assert writes.median() == close(run.systems["substrate"].weights.writes_per_device)


def test_uncertainties_stand_in_the_summary(folders: Folders) -> None:
    run = folders("full")
    spread = run.systems["substrate"].accuracy
    assert spread.uncertainty.mean == close(np.mean(spread.per_chip))
    assert spread.uncertainty.low < spread.uncertainty.mean < spread.uncertainty.high
    named = {(each.first, each.second): each for each in run.summary.differences}
    assert list(named) == [("substrate", "digital"), ("substrate", "exact"), ("digital", "exact")]
    apart = np.mean(spread.per_chip) - run.systems["digital"].accuracy.per_chip[0]
    assert named["substrate", "digital"].mean == close(apart, abs=1e-15)
    assert named["digital", "exact"].over_chips is None
    assert {each.quantity for each in folders("regression").summary.differences} == {"loss"}
    assert folders("untrained").summary.target is None
