"""`hwsim fit`: several files become one valid sheet, nothing is written over, and a table that is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fits
import pytest

from hwsim import cli
from hwsim.config import hardware
from hwsim.documents import Document

WORDS = ("verify.csv", "pulses.csv", "drift.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fits.program_and_verify(1, devices=36, reads=5).to_csv("verify.csv", index=False, sep=";", decimal=",")
    fits.pulses(1, devices=8, cycles=2, count=40).to_csv("pulses.csv", index=False)
    fits.drift(1, devices=20, times=6).to_csv("drift.csv", index=False, sep="\t")
    return tmp_path


def ended(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["hwsim", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def test_three_files_make_one_sheet(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert ended(monkeypatch, "fit", *WORDS, "--out", "mine.yaml", "--source", "wafer 7") == 0
    said = capsys.readouterr()
    assert "pulses: soft_bounds, " in said.out
    text = (folder / "mine.yaml").read_text(encoding="utf-8")
    assert text.startswith("# verify.csv: 432 devices, 12 targets, 2160 reads\n# - 3 of 432 devices are left out")
    assert "# - left out: device 200, dead: reads " in text
    assert "on average; a data sheet has no key for a bias" in " ".join(text.replace("\n#", " ").split())
    sheet = hardware.device(Document("device", str(folder / "mine.yaml")))
    assert sheet.name == "mine"
    assert sheet.update is not None
    assert sheet.drift is not None
    assert ended(monkeypatch, "validate", "mine.yaml") == 0
    before = (folder / "mine.yaml").read_bytes()
    assert ended(monkeypatch, "fit", *WORDS, "--out", "mine.yaml") != 0
    assert "mine.yaml is there already" in capsys.readouterr().err
    assert (folder / "mine.yaml").read_bytes() == before


def test_a_table_that_is_wrong_is_told_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    text = (folder / "pulses.csv").read_text(encoding="utf-8").splitlines()
    text[7] = text[7].replace("up", "sideways")
    (folder / "pulses.csv").write_text("\n".join(text), encoding="utf-8")
    assert ended(monkeypatch, "fit", *WORDS, "--out", "mine.yaml") != 0
    assert "pulses.csv:8:1: polarity 'sideways': up or down?" in " ".join(capsys.readouterr().err.split())
    assert not (folder / "mine.yaml").exists()


def test_drift_alone_is_printed_without_a_sheet(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert ended(monkeypatch, "fit", "drift.csv") == 0
    assert "drift, mean of ν" in capsys.readouterr().out


def test_data_and_fits_are_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """As an SVG with all that it should say, and as a PNG; another ending is refused before anything is fitted."""
    assert ended(monkeypatch, "fit", *WORDS, "--figure", "fits.svg") == 0
    drawn = (folder / "fits.svg").read_text(encoding="utf-8")
    for said in ("verify.csv", "pulses.csv", "drift.csv", "change by a pulse", "mean read − target", "exponent ν"):
        assert said in drawn
    assert ended(monkeypatch, "fit", "drift.csv", "--figure", "fits.png") == 0
    assert (folder / "fits.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert ended(monkeypatch, "fit", "missing.csv", "--figure", "fits.pdf") != 0
    assert "its name must end in .svg or .png" in capsys.readouterr().err
