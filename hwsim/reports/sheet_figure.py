"""A file with the figure of a data sheet, which `hwsim devices NAME --figure FILE` writes."""

from __future__ import annotations

from pathlib import Path

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.guide.choices import named
from hwsim.reports import html
from hwsim.reports.figures.canvas import alone
from hwsim.reports.figures.sheet import sheet


def write(name: str | None, path: Path) -> None:
    """Write the figure as an SVG file; an existing one is replaced.

    Args:
        name: a shipped data sheet, or the file of one.

    Raises:
        ConfigError: there is no such data sheet, or it is not valid.
        OutputError: the file cannot be written.
    """
    found = [] if name is None else [each for each in named(name) if each.where.startswith("device")]
    if not found:
        allowed = ", ".join(hardware.names("devices"))
        what = "--figure needs the NAME of a data sheet" if name is None else f"{name!r} is no data sheet"
        raise ConfigError(f"{what}; --figure draws these: {allowed}, or a file of your own")
    html.write(path, alone(sheet(hardware.device(Document("NAME", name)))), "--figure")
