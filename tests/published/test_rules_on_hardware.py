"""Rules on hardware: the short form is part of the long one, and lines of memory cross where they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import hwsim
from hwsim.config import hardware
from hwsim.reports import crossings, trials
from hwsim.results.study_folder import StudyFolder

SYSTEMS = ["PCM", "RRAM", "digital"]


def shipped(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((hardware.shelf("configs/studies") / f"{name}.yaml").read_text("utf-8"))
    return found


def points(study: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each learner of a study sets, by its label."""
    axis = study["vary"]["learner"]
    return {label: {key: values[at] for key, values in axis["zip"].items()} for at, label in enumerate(axis["labels"])}


def test_the_short_form_has_rules_of_the_long_one_on_the_same_machines() -> None:
    long, short = points(shipped("rules_on_hardware")), points(shipped("rules_on_hardware_short"))
    for label, set_there in short.items():
        assert {key: long[label][key] for key in set_there} == set_there


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return hwsim.study("rules_on_hardware_short", out=tmp_path_factory.mktemp("short") / "study", workers=1)


def test_each_rule_is_done_on_each_machine(short: StudyFolder) -> None:
    assert set(short.table["status"]) == {"done"}
    done = short.table.groupby("learner", sort=False)["system"].apply(list).to_dict()
    assert done == dict.fromkeys(("BPTT", "RTRL", "anchored"), SYSTEMS)
    assert (short.path / "figures" / "energy_against_accuracy.svg").is_file()


def test_an_update_costs_energy_memory_time_and_writes(short: StudyFolder) -> None:
    last = short.curves[short.curves["updates"] == 8].set_index(["learner", "system"])
    assert (last["learning_energy_j"] > 0).all()
    assert (last["learning_time_s"] > 0).all()
    for rule in ("BPTT", "RTRL", "anchored"):
        assert last.loc[(rule, "RRAM"), "learning_time_s"] > last.loc[(rule, "PCM"), "learning_time_s"]  # slower writes
        assert 1 < last.loc[(rule, "PCM"), "writes_per_device"] < 9  # programmed at first, and at most once an update
    held = short.table.set_index(["learner", "system"])["memory_to_learn_bytes"]
    assert held["anchored", "digital"] < held["BPTT", "digital"] < held["RTRL", "digital"]  # eight steps


def test_from_some_length_on_rtrl_keeps_less_than_bptt(tmp_path: Path) -> None:
    """Both on the digital machine: a tape of T steps, and sensitivities, which are as large for each T."""
    study = shipped("rules_memory")
    axis, rules = study["vary"]["learner"], ["BPTT", "RTRL"]
    at = [axis["labels"].index(rule) for rule in rules]
    axis["labels"] = rules
    axis["zip"] = {key: [values[place] for place in at] for key, values in axis["zip"].items()}
    study["vary"]["T"]["values"] = [8, 32]
    found = hwsim.study(study, out=tmp_path / "study", workers=1)
    held = found.table[found.table["system"] == "digital"].set_index(["learner", "T"])["memory_to_learn_bytes"]
    assert held["RTRL", 8] == held["RTRL", 32]
    assert held["BPTT", 8] < held["RTRL", 8] < held["BPTT", 32]
    (table,) = crossings.tables(found, trials.drawn(found))
    crossed = [(row.label, *row.cells[:2]) for row in table.rows if str(row.cells[0]) == "digital"]
    ((above, _, below),) = crossed
    assert (above, str(below)) == ("BPTT", "RTRL")
