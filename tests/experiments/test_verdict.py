"""A verdict on a device: a tiny one, that goes on where it stopped; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim import cli
from hwsim.errors import ConfigError, OutputError
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
    most=7,
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


def test_a_verdict_trains_no_more_chips_than_it_says() -> None:
    """Two systems of two chips, this device alone, and two others: 7."""
    planned = plan("rram_milo", TINY)
    assert planned.trainings == 2 * 2 + 1 + len(planned.others) == 7
    for device in ("rram_milo", "pcm_gst_90nm"):
        assert plan(device).trainings <= 20


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


PULSED = TINY._replace(in_place=("training.epochs=null", "training.steps=4"), pulsed=2, most=8)


def test_devices_with_a_law_of_pulses_are_trained_in_place_beside_idealized_ones(tmp_path: Path) -> None:
    """Two systems of two chips that are programmed, and in place two chips of this device and two idealized ones."""
    planned = plan("reram_sb", PULSED)
    assert planned.others == ["idealized"]
    assert planned.trainings == 8
    assert planned.in_place is not None
    assert planned.in_place.training is not None
    assert planned.in_place.training.update.name == "in_situ"
    assert plan("reram_sb").trainings <= 20
    found = carry_out(planned, tmp_path / "sb", write_limits=limits_report.write)
    (answer,) = (each for each in verdict.said(found) if each.question == "Can it be trained in place, by pulses?")
    assert "idealized devices, which reach" in answer.text
    assert "trained in place by pulses" in html.of_verdict(found)
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
