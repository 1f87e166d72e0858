"""What is printed says per what an energy is, and a table's last row is the number that stands elsewhere."""

from __future__ import annotations

import io
import re
from typing import Any

import pandas as pd
import pytest
from run_folders import Folders

from hwsim.printing import Terminal
from hwsim.reports import answers, html, tables, terminal, trials
from hwsim.reports.per_step import training_step
from hwsim.results.study_folder import StudyFolder
from hwsim.results.summary import Summary


def changed(summary: Summary, change: Any) -> Summary:
    plain = summary.plain()
    change(plain["systems"])
    return Summary.model_validate(plain)


def test_every_table_with_an_energy_says_per_what_it_is(folders: Folders) -> None:
    run = folders("full")
    console = Terminal(file=io.StringIO(), width=400)
    terminal.show(run.summary, console, run.metrics, answers=answers.answers(run))
    printed = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    step = f"training step of {run.config['training']['batch']} sequences"
    for text in (
        f"energies are per inference or gradient of one sequence, and per {step}",
        f"Energy of a {step}, by purpose",
        f"the last row is per {step}",
    ):
        assert text in printed
    assert not re.findall(r"(?:of a|per|to a|A) training step(?! of \d+ sequences)", printed)
    assert any(reason.startswith(f"A {step} takes ") for reason in answers.answers(run)[1].reasons)
    page = html.of_run(run)
    assert f"energy of a {step}" in page
    assert f"by what they contribute to a {step}" in page


def test_systems_with_unlike_steps_are_told_apart(folders: Folders) -> None:
    run = folders("full").summary
    first, *_ = run.systems
    unlike = changed(run, lambda systems: systems[first]["energy"].update(sequences=1))
    known = run.systems[list(run.systems)[1]].energy.sequences
    assert training_step(unlike.systems).startswith(f"training step ({first} of 1, ")
    assert f" of {known}" in training_step(unlike.systems)
    earlier = changed(run, lambda systems: [each["energy"].pop("sequences") for each in systems.values()])
    assert training_step(earlier.systems) == "training step of a whole batch"


@pytest.mark.parametrize(("sequences", "said"), [((32, 32), "of 32 sequences"), ((16, 32), "of a whole batch")])
def test_a_study_says_how_many_sequences_a_step_is_of_if_all_trials_agree(
    sequences: tuple[int, int], said: str
) -> None:
    rows = [
        {"bits": bits, "system": "a", "rule": "fpe", "machine": "m", "seed": 0, "chip": 0, "status": "done",
         "non_finite": False, "energy_training_step_j": 1e-9, "training_step_sequences": of}
        for bits, of in zip((4, 8), sequences, strict=True)
    ]  # fmt: skip
    lines = [
        {"bits": row["bits"], "system": "a", "rule": "fpe", "machine": "m", "quantity": "energy_training_step_j",
         "median": 1e-9, "count": 1, "non_finite": 0}
        for row in rows
    ]  # fmt: skip
    study = StudyFolder(None, {"name": "s"}, pd.DataFrame(rows), pd.DataFrame(lines), {})  # type: ignore[arg-type]
    assert trials.answers(study)[1].text == f"A training step {said} takes 1 nJ to 1 nJ."
    assert trials.pivots(study)[0].title == f"Energy per training step {said}: median over chips and seeds"
    assert f"a training step {said}" in trials.medians(study).title


def test_the_last_row_of_memory_is_its_peak_though_classes_are_rounded_up(folders: Folders) -> None:
    """A class of bits fills whole bytes, so that the sum of the classes may be more than the peak."""

    def split(systems: dict[str, Any]) -> None:
        for system in systems.values():
            system["memory"] |= {"peak_bytes": 8214, "peak_by_class": {"weights": 5000, "state": 3216}}

    systems = changed(folders("full").summary, split).systems
    side_by_side, memory = tables.systems(systems), tables.memory(systems)
    (peak,) = (row for row in side_by_side.rows if row.label == "peak memory")
    assert memory.total is not None
    assert (
        [cell.text for cell in memory.total.cells] == [cell.text for cell in peak.cells] == ["8.21 kB"] * len(systems)
    )
    assert "rounded" in memory.title
