"""A file with the figure of fits, which `hwsim fit FILE… --figure FILE` writes, as SVG or as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwsim.errors import ConfigError, OutputError
from hwsim.physics.fits.found import Fit
from hwsim.reports import html
from hwsim.reports.figures.canvas import alone
from hwsim.reports.figures.fits import fits, png


def refuse_ending(path: Path) -> None:
    """Refuse a file that is neither SVG nor PNG, before anything is fitted.

    Raises:
        ConfigError: its name ends otherwise.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise ConfigError(f"--figure {path}: its name must end in .svg or .png")


def write(found: Sequence[Fit], path: Path) -> None:
    """Write the figure; an existing one is replaced.

    Raises:
        ConfigError: the name of the file ends otherwise than in .svg or .png.
        OutputError: the file cannot be written.
    """
    refuse_ending(path)
    if path.suffix.lower() == ".svg":
        html.write(path, alone(fits(found)), "--figure")
        return
    try:
        path.write_bytes(png(found))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another file with --figure") from None
