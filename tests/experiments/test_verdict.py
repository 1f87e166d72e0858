"""A verdict on a device: a tiny one, that goes on where it stopped; and what is refused."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hwsim
from hwsim import cli
from hwsim.errors import ConfigError, OutputError, ResultsError
from hwsim.experiments import verdict as experiments
from hwsim.experiments.verdict import Size, carry_out, plan
from hwsim.reports import html, verdict
from hwsim.reports import limits as limits_report
from hwsim.results import verdict as folders

TINY = Size(
    "tiny",
    settings=(
        "task={name: digits, order: rows}",
        "network={layers: [{cell: {name: lru, modes: 4, r_min: 0.9}, readout: {}}], pooling: cumulative_mean}",
        "gradient_check.sequences=8",
        "training.epochs=null",
        "training.steps=4",
        "training.test_every=4",
    ),
    chips=2,
    beside=1,
    most=5,
    changes=3,
    gradient_chips=1,
    gradient_seeds=2,
)


def made(folder: Path, device: str = "rram_milo") -> folders.VerdictFolder:
    return carry_out(plan(device, TINY), folder, write_limits=limits_report.write)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> folders.VerdictFolder:
    return made(tmp_path_factory.mktemp("verdicts") / "tiny")


def test_a_page_has_the_answers_the_limits_the_thresholds_and_other_devices(tiny: folders.VerdictFolder) -> None:
    page = html.of_verdict(tiny)
    for text in (
        "Is the device good enough to learn with?",
        "What limits learning on this machine?",
        "What should become better first?",
        "programming states",
        "Beside shipped devices",
        "fefet_hzo",
        "Left out, to keep the verdict small",
    ):
        assert text in page
    assert page == html.of_verdict(folders.read(tiny.path))


def test_a_verdict_trains_no_more_than_it_says() -> None:
    """By the forward rule and in the loop, this device beside others, and two others: 5 with chips side by side."""
    planned = plan("rram_milo", TINY)
    assert planned.trainings == 2 + 1 + len(planned.others) == 5
    for device in ("rram_milo", "pcm_gst_90nm", "reram_es"):
        planned = plan(device)
        assert planned.trainings <= 20
        assert not planned.left_out


def test_it_goes_on_where_it_stopped_and_gives_the_same_bytes(
    tiny: folders.VerdictFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the thresholds, as by a signal: what is whole is kept, nothing is half-written."""

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "tiny"
    with monkeypatch.context() as patched:
        patched.setattr(experiments, "specification", stopped)
        with pytest.raises(KeyboardInterrupt):
            made(folder)
    assert {path.name for path in folder.iterdir()} == {"verdict.yaml", "learning", "limits"}
    with monkeypatch.context() as patched:
        patched.setattr(experiments, "limits", stopped)  # which is not asked for again
        made(folder)
    for name in ("limits/values.csv", "specification/specification.json", "beside/summary.json"):
        assert (folder / name).read_bytes() == (tiny.path / name).read_bytes()


STOPPABLE = """
import sys, time
from hwsim import cli
from hwsim.experiments import verdict
from test_verdict import TINY

def searching(*_, **__):
    print("begun", flush=True)
    time.sleep(100)

verdict.SIZES["small"], verdict.specification = TINY, searching
sys.argv = ["hwsim", "verdict", "rram_milo", "--out", sys.argv[1], "--quiet"]
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_keeps_what_is_whole_and_says_so(
    tiny: folders.VerdictFolder, tmp_path: Path, number: signal.Signals
) -> None:
    """Stopped while thresholds are sought: exit code and message are those of other commands that can go on."""
    folder = tmp_path / "tiny"
    shutil.copytree(tiny.path, folder)
    for part in ("specification", "beside"):
        shutil.rmtree(folder / part)
    words = [sys.executable, "-c", STOPPABLE, str(folder)]
    process = subprocess.Popen(
        words, cwd=Path(__file__).parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    said = f"stopped; whole parts are kept in {folder}; run the same command again to go on"
    assert " ".join(err.split()) == said
    assert {path.name for path in folder.iterdir()} == {"verdict.yaml", "learning", "limits"}


def test_its_folder_is_read_and_reported_again(
    tiny: folders.VerdictFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = hwsim.read(tiny.path)
    assert isinstance(found, hwsim.VerdictFolder)
    assert repr(found) == f"<VerdictFolder {tiny.path}: a tiny verdict on rram_milo>"
    page = tiny.path / "verdict.html"
    monkeypatch.setattr("sys.argv", ["hwsim", "report", str(tiny.path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert page.read_text(encoding="utf-8") == html.of_verdict(tiny)
    page.unlink()
    monkeypatch.setattr("sys.argv", ["hwsim", "report", str(tiny.path), "--to-accuracy", "90%"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "several kinds of" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"a folder of results: `hwsim report"):
        hwsim.load(str(tiny.path))


def test_thresholds_that_were_changed_by_hand_are_refused(tiny: folders.VerdictFolder, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny.path, folder)
    path = folder / "specification" / "specification.json"
    path.write_text(path.read_text().replace('"allowed": 0.02', '"allowed": 0.03'))
    with pytest.raises(ResultsError, match=r"not as it was written .*repeat the command of the verdict"):
        hwsim.read(folder)
    (folder / "specification" / "SHA256SUMS").unlink()
    with pytest.raises(ResultsError, match="SHA256SUMS is missing"):
        hwsim.read(folder)


def test_python_gives_the_same_verdict(tiny: folders.VerdictFolder) -> None:
    """One that is finished is read; its page is written."""
    found = hwsim.verdict("rram_milo", size=TINY, out=tiny.path)
    page = tiny.path / "verdict.html"
    assert page.read_text(encoding="utf-8") == html.of_verdict(found)
    page.unlink()


def test_a_folder_of_another_device_is_refused(tiny: folders.VerdictFolder) -> None:
    with pytest.raises(OutputError, match="another device"):
        made(tiny.path, "fefet_hzo")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is no verdict"):
        made(tmp_path)


def test_what_is_no_device_or_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rram_milo"):
        plan("rram_mil")
    with pytest.raises(ConfigError, match="'small'"):
        plan("rram_milo", "smal")
    other = tmp_path / "other.yaml"
    other.write_text("task: {name: digits}\nnetwork: {}\nlearning: {name: fpe}\n")
    with pytest.raises(ConfigError, match="an experiment, not a device"):
        plan(other)


PULSED = TINY._replace(in_place=("training.epochs=null", "training.steps=4"), beside=2, most=4)


def test_devices_with_a_law_of_pulses_are_trained_in_place_beside_idealized_ones(tmp_path: Path) -> None:
    """Two systems that are programmed, and in place this device and idealized ones."""
    planned = plan("reram_sb", PULSED)
    assert planned.others == ["idealized"]
    assert planned.trainings == 4
    assert planned.in_place is not None
    assert planned.in_place.training is not None
    assert planned.in_place.training.update.name == "in_situ"
    found = carry_out(planned, tmp_path / "sb", write_limits=limits_report.write)
    (answer,) = (each for each in verdict.said(found) if each.question == "Can it be trained in place, by pulses?")
    assert "idealized devices, which reach" in answer.text
    cosine, change = found.specifications
    assert (cosine.measure, change.measure) == ("cosine", "change")
    assert {"asymmetry of pulses", "noise of pulses", "states by pulses"} <= {
        each.sought.name for each in change.thresholds
    }
    page = html.of_verdict(found)
    assert "trained in place by pulses" in page
    assert "by the cosine of the change by pulses" in page
    assert plan("idealized").others[0] != "idealized"


def test_the_command_refuses_an_age_that_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["hwsim", "verdict", "rram_milo", "--age", "soon"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "--age" in capsys.readouterr().err


def test_the_answer_of_a_study_is_made_of_paired_differences() -> None:
    import pandas as pd

    rows = [
        {"system": system, "seed": seed, "chip": chip, "accuracy": accuracy + 0.001 * seed}
        for system, accuracy in ((folders.FORWARD, 0.80), (folders.DIGITAL, 0.90))
        for seed in range(4)
        for chip in range(2)
    ]
    answer = verdict._of_study("?", pd.DataFrame(rows))
    assert answer.tone == "bad"
    assert "10.0 points" in answer.text
