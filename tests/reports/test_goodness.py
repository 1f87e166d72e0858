"""Verdicts of studies and runs: where something is good enough, and with which right that is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwsim.reports import goodness, study_reached, trials
from hwsim.reports.answers import Difference, _to_reach, beyond, verdict
from hwsim.reports.reached import Question
from hwsim.results import reaching
from hwsim.results.reaching import Reaching, Target
from hwsim.results.study_folder import StudyFolder

POINTS = ("2 points", "5 points")


@pytest.mark.parametrize(
    ("low", "high", "said", "tone"),
    [
        (-0.01, 0.019, "Yes, on this task (at most 2 points)", "good"),
        (0.021, 0.049, "Nearly (at most 5 points)", "unsure"),
        (0.051, 0.2, "Not as it is (more than 5 points)", "bad"),
        (0.01, 0.03, "Undecided between yes (at most 2 points) and nearly (at most 5 points)", "unsure"),
        (0.03, 0.06, "Undecided between nearly (at most 5 points) and no (more than 5 points)", "unsure"),
        (0.0, 0.06, "Undecided between yes (at most 2 points) and no (more than 5 points)", "unsure"),
    ],
)
def test_a_verdict_is_as_sure_as_its_interval(low: float, high: float, said: str, tone: str) -> None:
    assert verdict(Difference((low + high) / 2, low, high), 0.02, 0.05, POINTS) == (said, tone)


def test_what_is_reached_before_learning_takes_no_energy_to_compare() -> None:
    first, later = (reaching.Tested(n, 0.5, 0.5, 0.5, 1e-6 * n, 1.0 * n, None) for n in (0, 7))
    found = {"substrate": Reaching(first, None, first, []), "b": Reaching(later, first, later, [])}
    text, tone = _to_reach(Target(0.4), "substrate", "b", found)
    assert text == "Substrate reaches 40.0% after 0 updates."
    assert tone == ""


def test_without_an_interval_nothing_is_good() -> None:
    assert verdict(Difference(0.0, 0.0, 0.0, known=False), 0.02, 0.05, POINTS)[1] == "unsure"
    assert verdict(Difference(0.5, 0.5, 0.5, known=False), 0.02, 0.05, POINTS)[1] == "bad"


def test_a_difference_stands_with_its_interval() -> None:
    assert beyond(Difference(0.032, 0.01, 0.054), 100, " points", "below", "above") == (
        "3.2 points (1.0 to 5.4, 95 %) below"
    )
    assert (
        beyond(Difference(-0.01, -0.03, 0.01), 100, " points", "below", "above")
        == "1.0 points (−1.0 to 3.0, 95 %) above"
    )


def test_a_reference_is_a_system_that_stands_at_the_same_points() -> None:
    rows = pd.DataFrame([[0.8, 0.9]], index=[0])
    values = {"chip": {("a",): rows}, "host": {("b",): rows}, "digital": {("a",): rows}}
    rules = {"chip": "fpe", "host": "bptt", "digital": "bptt"}
    assert goodness.criterion(values, "accuracy", True, rules, "chip").reference == "digital"
    del values["digital"]
    asked = goodness.criterion(values, "accuracy", True, rules, "chip")
    assert (asked.reference, asked.best) == ("", ("chip", ("a",)))


def test_a_system_whose_rule_varies_is_no_reference_and_its_rules_are_told_together() -> None:
    rows = [
        {"learner": rule, "seed": seed, "system": system, "chip": 0, "rule": rule, "machine": system, "status": "done",
         "accuracy": 0.9 - 0.3 * (rule == "fpe") - 0.001 * seed, "non_finite": False}
        for rule in ("bptt", "rtrl", "fpe") for system in ("chip", "digital") for seed in range(4)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    by = table.groupby(["learner", "system", "rule", "machine"], sort=False)["accuracy"]
    summary = by.agg(["median", "count"]).reset_index().assign(quantity="accuracy", non_finite=0)
    study = StudyFolder(Path("made"), {"name": "made", "figures": []}, table, summary, {})
    answer = trials.answers(study)[2]
    assert answer.text == (
        "Bptt (chip), bptt (digital), rtrl (chip) and rtrl (digital) survive at all points; "
        "fpe (chip) and fpe (digital) survive at no point."
    )
    assert answer.reasons[0] == "bptt (chip): 89.9%."  # of 90.0, 89.9, 89.8 and 89.7
    assert "at most 2 points below the best of all" in answer.reasons[-1]


# ---- studies -----------------------------------------------------------------------------------------------------

BITS, NOISES, SEEDS = (4, 6, 8), (0.001, 0.002, 0.01), 4


def made(loss: Any, quantity: str = "accuracy", spread: float = 0.002, rule: str = "bptt") -> StudyFolder:
    """A study over noise and bits of a substrate that is worse than its reference by `loss(noise, bits)`."""
    draw = np.random.default_rng(4)
    rows, curves = [], []
    for noise in NOISES:
        for bits in BITS:
            for seed in range(SEEDS):
                base = 0.9 + 0.05 * draw.normal()  # of the seed, the same for both
                for system, value in (("chip", base - loss(noise, bits) + spread * draw.normal()), ("digital", base)):
                    where = {"noise": noise, "bits": bits, "seed": seed, "system": system, "chip": 0}
                    more = {"rule": "fpe" if system == "chip" else rule, "machine": "m", "status": "done"}
                    lost = not np.isfinite(value)
                    rows.append({**where, **more, quantity: value, "non_finite": lost, "peak_memory_bytes": 1000})
                    for at, part in enumerate((0.1, 0.5, 1.0)):
                        spent = {"learning_energy_j": 1e-3 * at, "learning_time_s": 1.0 * at, "writes_per_device": at}
                        curves.append({**where, "updates": 10 * at, "test_accuracy": part * value, **spent})
    table = pd.DataFrame(rows)
    lines = [
        {
            "noise": noise, "bits": bits, "system": system, "rule": part["rule"].iloc[0], "machine": "m",
            "quantity": quantity, "median": part[quantity].median(), "count": int(part[quantity].notna().sum()),
            "non_finite": int(part["non_finite"].sum()),
        }
        for (noise, bits, system), part in table.groupby(["noise", "bits", "system"], sort=False)
    ]  # fmt: skip
    figure = {"name": "f", "x": "bits", "y": "accuracy", "hue": "system", "units": {"noise": "%", "bits": "bits"}}
    study = {"name": "s", "figures": [figure]}
    return StudyFolder(Path("s"), study, table, pd.DataFrame(lines), {}, curves=pd.DataFrame(curves))


def test_a_study_says_from_where_on_and_where() -> None:
    physicist, _, researcher = trials.answers(made(lambda n, b: 0.0 if b >= 6 and n <= 0.002 else 0.3))
    assert physicist.text == "Chip is good enough from 6 bits on, where noise ≤ 0.2 %."
    assert physicist.reasons[0] == (
        "Good enough is an accuracy at most 2 points below digital, and better than the untrained network, with the "
        "whole 95 % interval."
    )
    assert researcher.text == "Fpe (chip) survives from 6 bits on, where noise ≤ 0.2 %."
    assert physicist.tone == researcher.tone == "unsure"


def test_what_is_good_or_bad_at_all_points_is_coloured_so() -> None:
    for loss, text, tone in (
        (0.0, "Chip is good enough at all points.", "good"),
        (0.3, "Chip is at no point good enough.", "bad"),
    ):
        physicist, _, researcher = trials.answers(made(lambda n, b, loss=loss: loss))
        assert (physicist.text, physicist.tone, researcher.tone) == (text, tone, tone)


def test_seeds_that_differ_much_leave_a_point_undecided() -> None:
    """The difference of means is below two points at 8 bits, its interval is not."""
    found = trials.answers(made(lambda n, b: 0.015 if b == 8 else 0.3, spread=0.02))[0]
    assert found.text == "Chip is at no point surely good enough; that is undecided at 8 bits."
    assert found.tone == "unsure"
    assert any(line.startswith("Undecided at 8 bits") for line in found.reasons)


def test_pairs_decide_what_means_would_not() -> None:
    """Seeds differ by five points, but both systems of a seed together: unpaired, nothing would be decided."""
    study = made(lambda n, b: 0.005)
    spread = study.table.groupby(["noise", "bits", "system"])["accuracy"].std(ddof=1)
    assert (spread > 0.02).any()
    assert trials.answers(study)[0].tone == "good"


def test_a_point_that_is_lost_is_never_good() -> None:
    found = trials.answers(made(lambda n, b: np.nan if b == 8 else 0.0))
    assert found[0].text == "Chip is good enough up to 6 bits."
    assert "good" not in {answer.tone for answer in found}
    assert not any("Undecided" in line for line in found[0].reasons)  # it is not judged, and no seed would help
    assert "8 bits: 4 of 4 are not finite" in " ".join(found[0].reasons)


def test_cosines_have_a_level_and_a_distance_to_the_best() -> None:
    found = trials.answers(made(lambda n, b: 0.3 if b >= 6 else 0.6, "cosine_all", rule="rtrl"))[0]
    assert found.text == "Chip is at no point good enough."
    assert found.reasons[0].startswith("Good enough is a cosine of at least 0.9")


def test_each_point_of_a_study_has_what_it_takes_to_reach_an_accuracy() -> None:
    study = made(lambda n, b: 0.0 if b >= 6 else 0.5, spread=0)
    (table,) = study_reached.tables(study, Question(accuracy=0.8))
    assert table.columns[2:] == (
        "energy", "… at the test before", "time", "writes / device", "updates", "reached by", "best median", "memory"
    )  # fmt: skip
    rows = {(line.label, *(cell.text for cell in line.cells[:2])): line.cells[2:] for line in table.rows}
    assert [str(cell) for cell in rows["chip", "0.1 %", "8"]][:5] == ["2 mJ", "1 mJ", "2 s", "2", "20"]
    assert rows["chip", "0.1 %", "4"][0].text == "not reached"
    assert rows["digital", "0.1 %", "4"][0].text == "2 mJ"
    reached, bought = study_reached.tables(study, Question(budget=1.5e-3))
    assert "one point below the best median of" in reached.title
    assert {line.cells[3].text for line in bought.rows} == {"10"}


# ---- having learned nothing --------------------------------------------------------------------------------------


def with_constant(study: StudyFolder, share: float) -> StudyFolder:
    return study._replace(table=study.table.assign(constant_accuracy=share, constant_loss=np.nan))


def test_what_is_no_better_than_a_constant_answer_is_not_good_enough_though_it_equals_its_reference() -> None:
    study = made(lambda n, b: 0.0 if b >= 6 else 0.3)
    physicist, _, researcher = trials.answers(with_constant(study, 0.5))
    assert (physicist.text, physicist.tone) == ("Chip is good enough from 6 bits on.", "unsure")
    assert "and better than a constant answer (50.0%) and the untrained network, with" in physicist.reasons[0]
    for share in (0.99, 1.0):  # 0.9 ± 0.05 at most
        physicist, _, researcher = trials.answers(with_constant(study, share))
        assert (physicist.text, physicist.tone) == ("Chip is at no point good enough.", "bad")
        assert physicist.reasons[1] == "It is no better than that at all points."
        assert (researcher.text, researcher.tone) == ("Fpe (chip) survives at no point.", "bad")


def test_a_threshold_is_that_of_learning_where_that_is_the_later_one() -> None:
    """The reference learns nothing at few bits either."""
    study = made(lambda n, b: 0.0, spread=0.002)
    few = study.table["bits"] == 4
    study.table.loc[few, "accuracy"] = 0.11 + 0.001 * study.table["seed"]
    physicist = trials.answers(with_constant(study, 0.12))[0]
    assert (physicist.text, physicist.tone) == ("Chip is good enough from 6 bits on.", "unsure")
    assert physicist.reasons[1] == "It is no better than that at 4 bits."
    assert trials.answers(with_constant(study, 0.1))[0].text == "Chip is good enough at all points."


def test_what_may_be_no_better_than_a_constant_answer_is_undecided() -> None:
    study = made(lambda n, b: 0.0)
    physicist = trials.answers(with_constant(study, study.table["accuracy"].mean() - 0.001))[0]
    assert physicist.text.startswith("Chip is at no point surely good enough; that is undecided at 4 bits, where ")
    assert physicist.tone == "unsure"


def test_a_study_of_earlier_programs_has_the_untrained_network_as_its_bar() -> None:
    study = made(lambda n, b: 0.0)
    first = study.curves["updates"] == 0
    study.curves.loc[first, "test_accuracy"] = 1.0  # it became worse
    physicist = trials.answers(study)[0]
    assert (physicist.text, physicist.tone) == ("Chip is at no point good enough.", "bad")
