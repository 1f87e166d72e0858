"""What is asked of learning curves: its own page, and the answer on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from run_folders import Folders

from hwsim.printing import Terminal
from hwsim.reports import asked, html, reached
from hwsim.reports.answers import answers
from hwsim.reports.reached import Question


@pytest.mark.parametrize(
    ("question", "name"),
    [
        (Question(), "report.html"),
        (Question(accuracy=0.92), "report_to_92_percent.html"),
        (Question(accuracy=0.925, budget=1e-3), "report_to_92.5_percent_for_1_mJ.html"),
        (Question(accuracy=1.0), "report_to_100_percent.html"),
        (Question(budget=1.5e-6), "report_for_1.5_uJ.html"),
        (Question(budget=1.0001e-6), "report_for_1.0001_uJ.html"),
        (Question(budget=250.0), "report_for_250_J.html"),
        (Question(loss=0.1), "report_to_loss_0.1.html"),
        (Question(loss=1e-7), "report_to_loss_1e-7.html"),
    ],
)
def test_the_page_of_a_question_is_named_after_it(question: Question, name: str) -> None:
    assert asked.page(Path("run"), question) == Path("run") / name


def said(run: object, question: Question) -> str:
    file = io.StringIO()
    asked.of_run(run, question, Terminal(file=file, width=200))  # type: ignore[arg-type]
    return file.getvalue()


def test_each_system_has_its_answer_whether_it_gets_there_or_not(folders: Folders) -> None:
    run = folders("full")
    none = said(run, Question(accuracy=1.0))
    for name in run.systems:
        assert f"{name}: 100.0% not reached; its best median is " in none
    all_there = said(run, Question(accuracy=0.0))
    assert "substrate: 0.0% reached with " in all_there
    assert " writes per device, 0 updates, in " in all_there
    assert "2 of 2 chips reach it by themselves" in all_there
    assert "exact: 1 J reaches " not in said(run, Question(budget=1.0))  # no energy is known of it
    assert "digital: 1 J reaches " in said(run, Question(budget=1.0))


def test_a_task_without_classes_is_compared_at_a_loss(folders: Folders) -> None:
    run = folders("regression")
    assert run.summary.target is not None
    (table,) = reached.tables(run.metrics, run.systems, Question(), run.summary.constant)
    assert table.title.startswith(f"To reach a loss of {run.summary.target:.4g} on the test, 1 % above the best median")
    assert f"o reach a loss of {run.summary.target:.4g}, learning takes" in answers(run)[1].text
    assert f"reach a loss of {run.summary.target:.4g}" in html.of_run(run)
    assert "ask for it by --to-loss" in said(run, Question(accuracy=0.9))
    assert "a loss of 1e+06 reached with" in said(run, Question(loss=1e6))
    assert "a loss of 1e-09 not reached; its best median is" in said(run, Question(loss=1e-9))


def test_nothing_is_reached_where_nothing_was_trained(folders: Folders) -> None:
    assert "Nothing was trained" in said(folders("untrained"), Question(accuracy=0.9))
