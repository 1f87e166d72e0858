"""What is printed: names and paths as they are, in any encoding, at any width, and whether or not the disk is full."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and new line, those that turn the direction of text, and what is no character."""


def visible(text: str) -> str:
    r"""The text with control characters as escapes: a terminal would obey them.

    >>> print(visible("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def opening(text: str) -> str:
    """A sentence with a capital letter at its start."""
    return text[:1].upper() + text[1:]


def listed(names: Iterable[str]) -> str:
    """Names as part of a sentence, each once.

    >>> listed(["fpe", "rtrl", "bptt"])
    'fpe, rtrl and bptt'
    """
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} and {last}" if most else last


class Terminal(Console):
    """A console that prints strings as they are: without markup such as `[bold]` or `:smile:`, and visible.

    Nor does it paint numbers, paths and words in quotes: green is no colour for what a message quotes.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, "stderr": stderr, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):  # texts that were no strings, as in progress bars
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def say(text: str, *, stderr: bool = False) -> None:
    """Print lines as they are, however long."""
    print(visible(text), file=sys.stderr if stderr else sys.stdout)


def prepare() -> None:
    """Make the standard streams and the size of the terminal fit for anything that is printed.

    What the encoding of a stream lacks is replaced. What a stream cannot take, such as progress on a full disk, is
    lost, and the work goes on; `failure` says so.
    """
    for name in ("COLUMNS", "LINES"):
        if not re.fullmatch("0*[1-9][0-9]{0,3}", os.environ.get(name, "80")):  # such as 0
            del os.environ[name]
    sys.stdout, sys.stderr = _fit(sys.stdout, "replace"), _fit(sys.stderr, "backslashreplace")


def failure() -> OSError | None:
    """Why some of what was printed did not arrive; None if all did."""
    sys.stdout.flush()
    return getattr(sys.stdout, "error", None)


def _fit(stream: TextIO | None, errors: str) -> TextIO:
    if stream is None:  # closed, as by `>&-`
        return open(os.devnull, "w", encoding="utf-8")
    if any(stream is own for own in (sys.__stdout__, sys.__stderr__)):
        raw = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
        lines = errors == "backslashreplace" or stream.isatty()
        return _Forgiving(raw, stream.encoding, errors, line_buffering=lines)
    return stream


class _Forgiving(io.TextIOWrapper):
    """A stream that takes what its disk, or the reader of its pipe, does not.

    Attributes:
        error: why something was lost; None if nothing was.
    """

    error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.error = error
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.error = error
