"""Transcripts in pages: carry out the commands of a page, and compare or rewrite the output that the page shows.

A block of `console` holds commands behind `$`, and their output, in which a line `…` stands for any lines. A block with
a title is a file, which is written before the next command runs. The commands of a page run in one folder, one after
the other; those behind `<!-- slow -->` may be left out.

    python docs/transcript.py docs/tutorial.md            # compare; with --write, rewrite the output in the page

`--small` carries out a page of one command.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WIDTH = "100"
_BLOCK = re.compile(r'(<!-- slow -->\n)?```(\w+)(?: title="(.+?)")?\n(.*?)```', re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class Said(NamedTuple):
    """A command, its output according to the page, and its actual output; None if it was not run."""

    command: str
    expected: str
    printed: str | None


def carried_out(page: Path, folder: Path, slow: bool = False) -> Iterator[Said]:
    """Carry out a page in a folder."""
    here, environment = folder, prepare(folder)
    for is_slow, language, title, body in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            (here / title).write_text(body, encoding="utf-8")
        elif language == "console":
            for command, expected in _COMMAND.findall(body):
                if is_slow and not slow:
                    yield Said(command, expected, None)
                else:
                    printed, here = _run(command, here, environment)
                    yield Said(command, expected, printed)


def prepare(folder: Path) -> dict[str, str]:
    """Make a folder look like a checkout; returns an environment with this `hwsim` and this `python`."""
    programs = folder / ".bin"
    if not programs.exists():
        for name in ("examples", "configs", "devices"):
            (folder / name).symlink_to(ROOT / name)
        programs.mkdir()
        for name, words in (("hwsim", "-m hwsim"), ("python", "")):
            text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n'
            (programs / name).write_text(text, encoding="utf-8")
            (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COLUMNS": WIDTH, "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def _run(command: str, here: Path, environment: dict[str, str]) -> tuple[str, Path]:
    """The output of a command, and the folder in which the next one runs."""
    script = f"{command}\nstatus=$?; pwd >&2; exit $status"
    done = subprocess.run(
        ["bash", "-c", script], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    *said, there = done.stderr.splitlines()
    lines = done.stdout.splitlines() + (said if done.returncode else [])
    return "".join(f"{line.rstrip()}\n" for line in lines), Path(there)


def same(expected: str, printed: str) -> bool:
    """Whether the output agrees with the page, except for numbers, which differ from computer to computer."""
    parts = [re.escape(_plain(part)) for part in re.split(r"^ *…$", expected, flags=re.MULTILINE)]
    return re.fullmatch(".*".join(parts), _plain(printed)) is not None


def _plain(text: str) -> str:
    """Words only: no numbers with their prefixes, no frames of tables, no spaces."""
    text = re.sub(r"[-+]?\d[\d,.]*(e[-+]?\d+)?", "0", text)
    text = re.sub(r"0 [afpnµmkMG]?([JsBS])\b", r"0\1", text)
    text = re.sub(r"(?<!\w)(inf|-)(?!\w)", "0", text)
    return re.sub(r"[\s│┃┏┓┗┛┡┩━┳╇└┘─┴├┤┼┬┌┐╭╮╰╯╷╵╶╴═╞╪╡╎]|0(?= 0)", "", text)


def rewritten(page: Path, said: list[Said]) -> str:
    """The page with the actual output; where it leaves lines out, it shows as many before and after as it did."""
    answers = iter(said)

    def block(match: re.Match[str]) -> str:
        if match[2] != "console":
            return match[0]
        body = _COMMAND.sub(lambda command: f"$ {command[1]}\n{_shown(next(answers))}", match[4])
        return f"{match[1] or ''}```console\n{body}```"

    return _BLOCK.sub(block, page.read_text(encoding="utf-8"))


def _shown(said: Said) -> str:
    if said.printed is None:
        return said.expected
    lines, before = said.printed.splitlines(keepends=True), said.expected.splitlines(keepends=True)
    if "…\n" not in before:
        return said.printed
    at = before.index("…\n")
    behind = len(before) - at - 1
    return "".join([*lines[:at], "…\n", *(lines[len(lines) - behind :])])


SMALL = """\
```console
$ hwsim devices ideal
ideal (device: NAME): A device without errors
…
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry out the commands of a page.")
    parser.add_argument("page", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true", help="write what is printed into the page")
    parser.add_argument("--quick", action="store_true", help="leave out what is slow")
    parser.add_argument("--small", action="store_true", help="a page of one command: to see that it works")
    asked = parser.parse_args()
    if asked.page is None and not asked.small:
        parser.error("needs a page")
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            asked.page = Path(folder) / "page.md"
            asked.page.write_text(SMALL, encoding="utf-8")
        said = list(carried_out(asked.page, Path(folder), slow=not asked.quick))
    if asked.write:
        asked.page.write_text(rewritten(asked.page, said), encoding="utf-8")
        return
    for one in said:
        if one.printed is not None and not same(one.expected, one.printed):
            sys.exit(f"{asked.page}: `{one.command}` prints\n{one.printed}\nand not\n{one.expected}")


if __name__ == "__main__":
    main()
