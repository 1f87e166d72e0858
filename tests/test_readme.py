"""What README.md shows of the quickstart, against a run of it: `HWSIM_QUICKSTART` names the folder, as `.ci/run` does.

Held are words and rows, and numbers that do not depend on the computer; accuracies move with the rounding of sums.
"""

import io
import os
import re
from pathlib import Path

import pytest

import hwsim
from hwsim.printing import Terminal
from hwsim.reports import answers, terminal, untaught

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SHOWN = README.split("## What comes out\n\n```\n")[1].split("```")[0]
FIXED = "peak memory", "energy / training step"


@pytest.fixture(scope="module")
def run():
    if "HWSIM_QUICKSTART" not in os.environ:
        pytest.skip("HWSIM_QUICKSTART names no run of the quickstart")
    return hwsim.read(os.environ["HWSIM_QUICKSTART"])


@pytest.fixture(scope="module")
def printed(run):
    console = Terminal(file=io.StringIO(), width=122)
    terminal.show(run.summary, console, run.metrics, answers=answers.answers(run))
    return console.file.getvalue()


def rows(text):
    """The rows of the first table, by their names."""
    table = text.split("└")[0]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if line.startswith("│")]
    return {name: values for name, *values in cells}


def headings(text):
    return re.findall(r"^┃ it takes.*$", text, re.MULTILINE)[0].split()


def test_the_table_has_the_rows_and_systems_of_a_run(printed):
    assert list(rows(SHOWN)) == list(rows(printed))
    assert headings(SHOWN) == headings(printed)


@pytest.mark.parametrize("name", FIXED)
def test_memory_and_energy_of_a_step_are_those_of_a_run(printed, name):
    assert rows(SHOWN)[name] == rows(printed)[name]
    for value in rows(printed)[name][:3] if name.startswith("energy") else []:
        assert re.search(rf"\b{re.escape(value.split()[0])}\b", README.split(SHOWN)[1]), "prose beside the table"


def test_questions_and_the_constant_answer_are_those_of_a_run(run, printed):
    asked = [line for line in printed.splitlines() if line.endswith("?")]
    assert [line for line in SHOWN.splitlines() if line.endswith("?")] == asked
    assert untaught.said(run.summary.constant) in SHOWN
