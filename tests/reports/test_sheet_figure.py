"""The figure of a data sheet: every shipped one is drawn, with its numbers, the same each time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwsim import cli
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.reports import sheet_figure
from hwsim.reports.figures.sheet import sheet


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("name", hardware.names("devices"))
def test_every_shipped_sheet_is_drawn(name: str) -> None:
    made = hardware.device(Document("test", name))
    drawn = sheet(made)
    assert {"target", "σ of programming", "σ of a read", "conductance after programming"} <= set(texts(drawn.svg))
    assert f"of {name} " in drawn.heading
    assert ("time since programming" in texts(drawn.svg)) == (made.drift is not None)
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", " ".join(texts(drawn.svg))))


def test_the_heading_has_the_largest_error_and_the_caption_the_devices() -> None:
    """4.327 µS at 50 µS, of a range of 175 µS."""
    drawn = sheet(hardware.device(Document("test", "rram_milo")))
    assert drawn.heading == "Programming of rram_milo is off by up to 2.5 % of its range (σ)"
    assert "4,000 devices at each of 5 targets" in drawn.caption
    assert sheet(hardware.device(Document("test", "ideal"))).heading == "Devices of ideal have no errors"


def test_what_was_not_measured_is_dotted() -> None:
    """A range up to 300 µS has its last third beyond 225 µS, where the full line has ended."""

    def right(svg: str) -> float:
        """How far to the right the full line of programming reaches."""
        path = re.search(r'd="([^"]*)"[^>]*fill: none; stroke: var\(--blue', svg)
        assert path is not None
        return max(float(x) for x in re.findall(r"[ML] ([\d.]+)", path[1]))

    dotted = r"stroke-dasharray: [^\"]*stroke: var\(--orange|stroke: var\(--orange[^\"]*stroke-dasharray"
    measured = sheet(hardware.device(Document("test", "rram_milo"))).svg
    wider = {"like": "rram_milo", "conductance": {"max": {"value": "300 uS", "assumed": "for this test"}}}
    beyond = sheet(hardware.device(Document("test", wider))).svg
    assert not re.search(dotted, measured)
    assert re.search(dotted, beyond)
    assert right(beyond) < 0.8 * right(measured)


def test_the_command_writes_it_and_refuses_what_is_no_sheet(tmp_path: Path) -> None:
    one, two = tmp_path / "one.svg", tmp_path / "two.svg"
    for file in (one, two):
        done = CliRunner().invoke(cli.app, ["devices", "sonos_40nm", "--figure", str(file)])
        assert done.exit_code == 0
        assert "is drawn in" in done.output
    assert one.read_bytes() == two.read_bytes()
    own = tmp_path / "mine.yaml"
    own.write_text("like: rram_milo\nname: mine\n", encoding="utf-8")
    sheet_figure.write(str(own), tmp_path / "mine.svg")
    assert "mine" in (tmp_path / "mine.svg").read_text(encoding="utf-8")
    for name, said in (
        (None, "needs the NAME"),
        ("fpe", "'fpe' is no data sheet; --figure draws these: capacitor, ecram_li"),
    ):
        with pytest.raises(ConfigError, match=said):
            sheet_figure.write(name, tmp_path / "none.svg")
