"""From Python: settings, estimates, studies and answers are those of the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import run_folders

import hwsim
from hwsim.config import settings
from hwsim.errors import ConfigError
from hwsim.reports import answers

STUDY: dict[str, Any] = {
    "name": "small one",
    "experiment": {**run_folders.FULL, "references": []},
    "vary": {"bits": {"key": "machine.parts.adc.bits", "values": [4, 8]}},
    "estimate": True,
    "figures": [{"name": "energy", "x": "bits", "y": "energy_run_j", "hue": "system"}],
}


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("machine.parts.adc.bits", 6, "6"),
        ("task.order", "pixels", "pixels"),
        ("references.digital BPTT.machine", "digital_7nm", "digital_7nm"),
        ("network.layers.*.cell.r_min", 0.5, "0.5"),
        ("training.clip", None, ""),
    ],
)
def test_a_setting_is_that_of_the_command_line(key: str, value: Any, written: str) -> None:
    found = hwsim.load("quickstart", set={key: value})
    assert found.resolved() == settings.load_with_settings("quickstart", [f"{key}={written}"]).resolved()
    assert found.resolved() != hwsim.load("quickstart").resolved()


def test_mappings_take_settings_and_stay_as_they_are() -> None:
    asked = {**run_folders.FULL}
    assert hwsim.load(asked, set={"chips": 3}).chips == 3
    assert asked == run_folders.FULL


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        hwsim.load("quickstart", set={"machine.parts.adc.bit": 6, "chps": 2})
    first, second = str(refused.value).splitlines()
    assert first.startswith("set machine.parts.adc.bit: unknown key 'bit'; did you mean 'bits'?")
    assert second.startswith("set chps: unknown key 'chps'; did you mean 'chips'?")


@pytest.mark.parametrize("mark", ["summary.json", "limits.json", "study.yaml"])
def test_a_folder_of_results_is_no_experiment_and_says_what_reads_it(tmp_path: Path, mark: str) -> None:
    (tmp_path / mark).write_text("{}")
    for load in (hwsim.load, hwsim.run, hwsim.estimate, hwsim.study):
        with pytest.raises(
            ConfigError, match=rf"is a folder of results: .*`hwsim\.read\('{re.escape(str(tmp_path))}'\)`"
        ):
            load(tmp_path)


def test_a_study_gives_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heard = []
    found = hwsim.study(STUDY, workers=1, progress=heard.append)
    assert found.path == Path("studies/small_one")
    assert list(found.figures) == ["energy"]
    assert heard[-1].over == heard[-1].total == 2
    pd.testing.assert_frame_equal(hwsim.study(STUDY, out=found.path).table, found.table)  # it goes on, and is over


def test_estimates_and_answers_are_at_hand() -> None:
    asked = hwsim.load(run_folders.FULL)
    assert isinstance(hwsim.estimate(asked), hwsim.Estimate)
    run = hwsim.run(asked)
    assert run.answers == answers.answers(run)
    assert [each.question.partition(":")[0] for each in run.answers] == [
        "Device physicist", "Chip architect", "Learning researcher"
    ]  # fmt: skip
