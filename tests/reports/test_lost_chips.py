"""Chips that have no number: reports count them, and no verdict, ranking or figure lets them pass for others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import close
from rich.console import Console
from run_folders import Folders, changed

from hwsim.reports import html, tables, terminal, trials
from hwsim.reports.answers import answers, scores, warnings
from hwsim.reports.comparison import compare
from hwsim.reports.figures import learning
from hwsim.reports.figures.gradient import gradient
from hwsim.reports.figures.horizon import horizon
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import StudyFolder
from hwsim.results.summary import Summary

Ends = dict[str, Sequence[float | None]]
WELL: Ends = {"substrate": [0.9, 0.9], "digital": [0.9], "exact": [0.9]}
LOST: Ends = {"substrate": [None, None], "digital": [None], "exact": [None]}


def differences(ends: Ends, quantity: str) -> Iterator[dict[str, Any]]:
    """The differences of systems without lost chips, within 0.001 of their means."""
    means = {name: float(np.mean(chips)) for name, chips in ends.items() if None not in chips}  # type: ignore[arg-type]
    for first, second in combinations(means, 2):
        mean = (means[first] - means[second]) * (1 if quantity == "accuracy" else -1)
        bounds = {"mean": mean, "low": mean - 1e-3, "high": mean + 1e-3, "over_sequences": None, "over_chips": None}
        yield {"quantity": quantity, "first": first, "second": second, **bounds}


def ended(run: RunFolder, ends: Ends, start: float = 0.5) -> RunFolder:
    """The same run, had the chips of its systems started and ended so; None for a chip that is lost.

    Where there is no accuracy it is 1 - loss.
    """
    said = run.summary.plain()
    metrics = run.metrics.copy()
    last = metrics.updates == metrics.updates.max()
    classes = run.systems["substrate"].accuracy is not None
    for name, chips in ends.items():
        values = np.array([np.nan if value is None else value for value in chips])
        mine = metrics.system == name
        for rows, now in ((mine & ~last, start), (mine & last, values)):
            metrics.loc[rows, "test_loss"] = 1 - now
            if classes:
                metrics.loc[rows, "test_accuracy"] = now
        known = [value for value in chips if value is not None]
        spread = {"median": float(np.median(known)) if known else None, "per_chip": list(chips)}
        system = said["systems"][name]
        system["loss"] = {
            "median": None if spread["median"] is None else 1 - spread["median"],
            "per_chip": [None if value is None else 1 - value for value in chips],
        }
        system["accuracy"] = spread if classes else None
        for quantity in ("loss", "accuracy"):
            if system[quantity]:
                system[quantity]["non_finite"] = list(chips).count(None)
        gone = [chip for chip, value in enumerate(chips) if value is None]
        system["diverged"] = {"updates": 4, "chips": gone} if gone else None
    said["constant"] = {"accuracy": 0.3 if classes else None, "loss": 0.7}
    said["differences"] = [*differences(ends, "accuracy" if classes else "loss")]
    found = RunFolder(run.path, Summary.model_validate(said), run.config)
    found.metrics = metrics
    return found


def words(page: str) -> str:
    """What a page says, without its tags, its model and its configuration."""
    return re.sub(r"<[^>]*>", " ", page.split("<main>")[1].split('id="model"')[0])


@pytest.mark.parametrize("kind", ["full", "regression"])
@pytest.mark.parametrize(
    ("mine", "said", "tone"),
    [
        ([0.9, 0.9], "Yes, on this task", "good"),
        ([0.99, None], "No: learning diverged on 1 of 2 chips.", "bad"),
        ([None, 0.99], "No: learning diverged on 1 of 2 chips.", "bad"),
        ([None, None], "No: learning diverged on 2 of 2 chips.", "bad"),
    ],
)
def test_a_device_with_lost_chips_is_not_good_enough(
    folders: Folders, kind: str, mine: list[float | None], said: str, tone: str
) -> None:
    run = ended(folders(kind), WELL | {"substrate": mine})
    physicist, _, researcher = answers(run)
    assert physicist.text.startswith(said)
    assert physicist.tone == tone
    gone = mine.count(None)
    told = f"on {gone} of 2 chips answers are not finite"
    assert (f"O{told[1:]}" in " ".join(physicist.reasons)) == (gone > 0)
    assert any(line.startswith(f"substrate: {told}") for line in warnings(run.systems)) == (gone > 0)
    assert any(line.startswith(f"substrate: {told}") for line in tables.remarks(run.systems)) == (gone > 0)
    assert researcher.text.startswith("None on these machines") == (gone > 0)
    assert any(f"{gone} of 2 chips not finite" in line for line in researcher.reasons) == (gone > 0)
    page = html.of_run(run)
    assert not {"nan", "nan%"} & set(words(page).lower().split())
    assert ("chips not finite" in page) == (gone > 0)


def test_chips_that_learning_lost_and_chips_that_a_test_lost_are_one_count(folders: Folders) -> None:
    run = ended(folders("full"), WELL | {"substrate": [0.9, None]})
    kept = {"updates": 1, "chips": [0]}  # it kept its weights, and answers
    assert (
        answers(changed(run, lambda systems: systems["substrate"].update(diverged=kept)))[0].text
        == "No: learning diverged on 2 of 2 chips."
    )
    untrained = ended(folders("full"), WELL | {"substrate": [0.9, None]})
    untrained.metrics = untrained.metrics[untrained.metrics.updates == 4]
    assert answers(untrained)[0].text == "No: on 1 of 2 chips its answers are not finite."


def test_a_reference_that_is_lost_says_nothing_of_a_device(folders: Folders) -> None:
    for kind in ("full", "regression"):
        run = ended(folders(kind), {"substrate": [0.9, 0.9], "digital": [None], "exact": [0.9]})
        assert "digital" not in answers(run)[0].text
        assert re.match(r"Yes, on this task \(at most 2( points below|% above)\): .* exact", answers(run)[0].text)
        (said, tone) = answers(ended(folders(kind), WELL | {"digital": [None], "exact": [None]}))[0][1:3]
        assert said.endswith("learning diverged on digital, so nothing says what that is worth.")
        assert tone == "unsure"


def test_a_reference_that_is_lost_is_no_measure_of_progress(folders: Folders) -> None:
    """Nor is one of which a chip is left that does very well."""
    run = ended(folders("full"), {"substrate": [0.6, 0.6], "digital": [None], "exact": [0.6]})
    assert answers(run)[2].text == f"fpe survives on these machines: it makes {SHARE}."
    assert answers(ended(folders("full"), {**WELL, "substrate": [0.6, 0.6]}))[2].text.startswith("None on these")
    two = ended(folders("full"), {"substrate": [1.0, None], "digital": [0.6], "exact": [0.6]})

    def on_chips(systems: dict[str, Any]) -> None:
        for system in systems.values():
            system["analog"] = True

    said = answers(changed(two, on_chips))[2].text
    assert said == f"bptt (digital) and bptt (exact) survive on these machines: each makes {SHARE}; fpe does not."
    assert answers(ended(folders("full"), LOST))[2].tone == "bad"


def test_all_scores_of_a_run_are_of_one_kind(folders: Folders) -> None:
    """Accuracies, though of some systems all are lost: a gain in accuracy is not to be held against one in loss."""
    run = ended(folders("full"), WELL | {"digital": [None]}, start=np.nan)
    found = scores(run)
    assert {name: score.is_accuracy for name, score in found.items()} == dict.fromkeys(WELL, True)
    assert {name: score.lost for name, score in found.items()} == {"substrate": 0, "digital": 1, "exact": 0}
    assert np.isnan(found["digital"].end)
    assert str(found["digital"]) == "no finite accuracy"
    assert found["substrate"].end == close(0.9)
    assert {score.is_accuracy for score in scores(ended(folders("regression"), WELL)).values()} == {False}


def test_a_rule_whose_gradient_is_lost_on_a_chip_does_not_point_best(folders: Folders) -> None:
    def pointing(digital: float | None) -> RunFolder:
        def change(systems: dict[str, Any]) -> None:
            for name, cosine, gone in (("substrate", 0.99, 1), ("digital", digital, 0), ("exact", None, 1)):
                systems[name]["analog"] = False
                systems[name]["gradient"]["recurrent"]["target"] |= {"cosine": cosine, "non_finite": gone}

        return changed(folders("untrained"), change)

    assert "the gradient of bptt (digital) points best" in answers(pointing(0.5))[2].text
    run = pointing(None)
    assert answers(run)[2].text == "Nothing was trained; no rule has a gradient that points anywhere on all chips."
    drawn = gradient(run.systems)
    assert drawn is not None
    assert "not finite are in neither: 1 of substrate, 1 of exact." in drawn.caption
    rows = {line.label: line.cells for line in tables.gradients(run.systems).rows}
    assert [str(cell) for cell in rows["recurrent"]][::3] == ["0.990 (1 not finite)", "-", "not finite"]


def test_nothing_bad_is_green(folders: Folders) -> None:
    """In a terminal rich would paint words in quotes green, and `True`, whatever they are about."""
    for run in (folders("diverged"), ended(folders("full"), WELL | {"substrate": [0.9, None]})):
        said = answers(run)
        assert said[0].tone == said[2].tone == "bad"
        assert said[1].tone != "good"
        console = Console(force_terminal=True, color_system="truecolor", width=120)
        with console.capture() as shown:
            terminal.show(run.summary, console, run.metrics, answers=said)
        assert "\x1b[1m" in shown.get()  # what is printed has styles
        assert not re.search(r"\x1b\[[\d;]*32m|\x1b\[[\d;]*92m", shown.get())
        assert 'class="said good"' not in html.of_run(run)


# ---- figures -------------------------------------------------------------------------------------------------


def test_the_curve_of_learning_ends_where_all_chips_are_lost(folders: Folders) -> None:
    run = ended(folders("full"), WELL | {"substrate": [None, None], "digital": [0.9]})
    run.metrics.loc[(run.metrics.system == "substrate") & (run.metrics.updates == 4), "learning_energy_j"] = np.nan
    found = learning.scores(run)
    assert list(found[found.system == "substrate"].lost) == [0, 0, 0, 0, 2]
    drawn = learning.learning(found, run.systems, learning.measured(run))
    assert drawn is not None
    assert drawn.heading == "Substrate has no finite accuracy after 4 updates"
    assert "not finite are in neither: 2 of substrate." in drawn.caption
    assert ">substrate</text>" in drawn.svg  # what it reached before is still drawn
    run.metrics.loc[run.metrics.system == "substrate", "test_accuracy"] = 0.7
    drawn = learning.learning(learning.scores(run), run.systems, "test_accuracy")
    assert drawn is not None
    assert drawn.heading == "Substrate reaches 70.0% after 4 updates"  # for an energy that is no number
    nothing = ended(folders("full"), LOST, start=np.nan)
    assert learning.measured(nothing) == "test_accuracy"
    assert learning.learning(learning.scores(nothing), nothing.systems, "test_accuracy") is None


def test_runs_with_and_without_lost_chips_stand_side_by_side(folders: Folders) -> None:
    whole = folders("full")
    lost = ended(whole, LOST, start=np.nan)
    lost = RunFolder(whole.path / "lost", lost.summary, lost.config)
    lost.metrics = ended(whole, LOST, start=np.nan).metrics
    page = words(html.of_comparison(compare([whole, lost])))
    assert "not finite" in page
    assert "Full reaches" in page  # the figure of learning is of both
    assert "nan" not in page.lower().split()


def test_a_horizon_may_be_known_at_the_last_weights_alone_and_forget_at_once(folders: Folders) -> None:
    run = folders("full")
    whole = horizon(run.systems)
    assert whole is not None
    assert "initial weights" in whole.svg
    endless = {"at_start": None, "rate": None, "fresh_error": None, "fresh_steps": 0.0, "fits": False}
    run = changed(run, lambda systems: systems["substrate"]["horizon"].update(endless))
    drawn = horizon(run.systems)
    assert drawn is not None
    assert "initial weights" not in drawn.svg
    assert "beyond the horizon of 0" in drawn.heading


def test_what_a_rule_says_of_itself_is_known_to_the_researcher(folders: Folders) -> None:
    run = folders("full")
    said = tables.verdicts(run.systems["substrate"])
    assert any("the horizon of" in each and "at the initial weights it was" in each for each in said)
    assert [f"fpe: {each}." for each in said] == [line for line in answers(run)[2].reasons if line.startswith("fpe: ")]


# ---- studies -------------------------------------------------------------------------------------------------


SHARE = "at least 90% of the best system’s progress on the test"
"""What a rule that survives makes."""


def study_of(points: dict[tuple[int, str], tuple[float | None, int, int]], name: str = "accuracy") -> StudyFolder:
    """A study whose points, `(bits, system)`, have a median, a count, and so many values that are not finite."""
    lines, rows = [], []
    for (bits, system), (median, count, gone) in points.items():
        where = {"bits": bits, "system": system, "rule": system.lower(), "machine": "m"}
        lines.append({**where, "quantity": name, "median": median, "count": count, "non_finite": gone})
        values = [None] * gone if median is None else [None] * gone + [median] * count
        for seed, value in enumerate(values):
            rows.append({**where, "seed": seed, "chip": 0, "status": "done", "non_finite": value is None, name: value})
    return StudyFolder(None, {"name": "s"}, pd.DataFrame(rows), pd.DataFrame(lines).astype({"median": float}), {})  # type: ignore[arg-type]


def test_a_point_with_lost_chips_is_neither_the_best_nor_the_worst_of_a_study() -> None:
    study = study_of({(4, "A"): (0.5, 4, 0), (6, "A"): (0.99, 1, 3), (7, "A"): (None, 0, 4), (8, "A"): (0.8, 4, 0)})
    physicist, _, researcher = trials.answers(study)
    assert physicist.text == "A is good enough at bits 8."
    assert physicist.reasons == [
        "Good enough is an accuracy at most 2 points below its best, with the whole 95 % interval.",
        "It does best at bits 8: 80.0%.",
        "It does worst at bits 4: 50.0%.",
        "Not judged at bits 6: 3 of 4 are not finite.",
        "Not judged at bits 7: 4 of 4 are not finite.",
    ]
    assert researcher.text == "A (A) survives at bits 8."
    assert physicist.tone == researcher.tone == "unsure"
    assert "a (A): not finite at 2 of 4 points." in researcher.reasons
    cells = [line.cells for line in trials.medians(study).rows]
    assert [str(row[-1]) for row in cells] == ["50.0%", "99.0% (3 not finite)", "not finite", "80.0%"]


def test_rules_that_an_axis_varies_are_judged_apart() -> None:
    """The substrate is one system, whatever its rule."""
    study = study_of({(4, "S"): (0.5, 4, 0), (8, "S"): (0.6, 4, 0), (5, "S"): (0.7, 4, 0), (9, "S"): (0.8, 4, 0)})
    study.summary["rule"] = ["worse", "worse", "better", "better"]
    researcher = trials.answers(study)[2]
    assert researcher.text == "Worse (S) survives at no point; better (S) survives at bits 9."
    assert researcher.reasons[:2] == ["worse (S): 50.0% to 60.0%.", "better (S): 70.0% to 80.0%."]


def test_a_rule_that_is_lost_more_often_does_not_do_best() -> None:
    study = study_of({(4, "A"): (0.5, 4, 0), (8, "A"): (0.6, 4, 0), (4, "B"): (0.9, 4, 0), (8, "B"): (0.99, 1, 3)})
    researcher = trials.answers(study)[2]
    assert researcher.text == "A (A) survives at no point; b (B) survives at bits 4."
    assert researcher.reasons == [
        "a (A): 50.0% to 60.0%.",
        "b (B): 90.0%.",
        "b (B): not finite at 1 of 2 points.",
        "To survive is to have an accuracy at most 2 points below the best of all, with the whole 95 % interval.",
    ]
    loss = study_of({(4, "A"): (0.5, 4, 0), (4, "B"): (0.1, 3, 1)}, "loss")
    assert trials.answers(loss)[2].text == "A (A) survives at all points; b (B) survives at no point."
    assert trials.answers(loss)[2].tone == "unsure"


def test_a_study_in_which_all_is_lost_says_so() -> None:
    study = study_of({(4, "A"): (None, 0, 4), (8, "A"): (None, 0, 4)})
    physicist, _, researcher = trials.answers(study)
    assert (physicist.text, physicist.tone) == ("A has at no point accuracy that is finite on all chips.", "bad")
    assert (researcher.text, researcher.tone) == ("No accuracy is finite on all chips.", "bad")
    (table,) = trials.pivots(study)
    assert {str(cell) for line in table.rows for cell in line.cells} == {"not finite"}


def test_differences_say_how_many_seeds_are_lost() -> None:
    study = study_of({(4, "A"): (0.5, 4, 0), (8, "A"): (0.6, 4, 0), (4, "B"): (0.5, 4, 0), (8, "B"): (0.6, 4, 0)})
    common: dict[str, Any] = {"quantity": "accuracy", "first": "A", "second": "B", "axis": None, "over": "seeds"}
    lines = [
        {"bits": 4, **common, "mean": 0.1, "low": 0.05, "high": 0.15, "leads": 3, "count": 3, "non_finite": 2},
        {"bits": 8, **common, "mean": np.nan, "low": np.nan, "high": np.nan, "leads": 0, "count": 0, "non_finite": 5},
    ]
    (table,) = trials.differences(study._replace(pairs=pd.DataFrame(lines), curves=pd.DataFrame([{"updates": 1}])))
    said = [[str(cell) for cell in line.cells] for line in table.rows]
    assert said == [
        ["4", "+10.00", "+5.00 to +15.00", "3 of 3 (2 not finite)"],
        ["8", "not finite", "-", "0 of 0 (5 not finite)"],
    ]


# ---- having learned nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "regression"])
def test_what_is_no_better_than_a_constant_answer_or_than_the_start_is_never_good(folders: Folders, kind: str) -> None:
    """A constant answer has 0.3 (a loss of 0.7), the untrained network 0.5; all systems end alike."""
    for end, start, bar in (([0.3, 0.3], 0.1, "a constant answer ("), ([0.4, 0.4], 0.5, "the untrained network (")):
        run = ended(folders(kind), {"substrate": end, "digital": end[:1], "exact": end[:1]}, start=start)
        physicist, _, researcher = answers(run)
        assert re.match(rf"No: it reaches .*, no better than {re.escape(bar)}", physicist.text), physicist.text
        assert (physicist.tone, researcher.tone) == ("bad", "bad")
        assert researcher.text.startswith("None on these machines")
    fine = ended(folders(kind), {"substrate": [0.9, 0.9], "digital": [0.9], "exact": [0.9]})
    assert answers(fine)[0].tone == "good"
    assert any(line.startswith("The best constant answer has ") for line in answers(fine)[0].reasons)


def test_what_may_be_a_constant_answer_is_undecided(folders: Folders) -> None:
    sure = {"mean": 0.4, "low": 0.29, "high": 0.5, "over_sequences": None, "over_chips": None}
    run = ended(folders("full"), {"substrate": [0.4, 0.4], "digital": [0.4], "exact": [0.4]}, start=0.1)
    unsure = changed(run, lambda systems: systems["substrate"]["accuracy"].update(uncertainty=sure))
    unsure.metrics = run.metrics
    physicist, _, researcher = answers(unsure)
    assert physicist.text.startswith("Undecided: it reaches 40.0%")
    assert physicist.text.endswith("; that is not surely better than a constant answer (30.0%).")
    assert physicist.tone == "unsure"
    assert researcher.text == f"Whether fpe survives on these machines, and so makes {SHARE}, is undecided."


def test_reaching_what_a_constant_answer_has_is_not_green(folders: Folders) -> None:
    run = ended(folders("full"), {"substrate": [0.2, 0.2], "digital": [0.2], "exact": [0.2]}, start=0.1)
    architect = answers(run)[1]
    assert architect.text.endswith("But a constant answer does so too: no learning is seen in it.")
    assert architect.tone == "bad"


def test_the_accuracy_of_a_verdict_is_the_mean_that_its_difference_is_of(folders: Folders) -> None:
    """With chips at 0.8 and 0.8 the median says nothing of a mean that is told to be 0.7."""
    sure = {"mean": 0.7, "low": 0.6, "high": 0.8, "over_sequences": None, "over_chips": None}
    run = ended(folders("full"), {"substrate": [0.8, 0.8], "digital": [0.9], "exact": [0.9]})
    told = changed(run, lambda systems: systems["substrate"]["accuracy"].update(uncertainty=sure))
    told.metrics = run.metrics
    assert "it reaches 70.0% on average, 10.0 points (" in answers(told)[0].text
