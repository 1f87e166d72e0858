"""What is printed arrives as it is: whatever it holds, wherever it goes, and whether there is room for it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from hwsim.printing import Terminal, visible

EVIL = "a\x1b]0;mine\x07b\x9b2Jc\rd\u202ee[bold]f[/bold]:smile:g\\[red]"
AS_IT_IS = r"a\x1b]0;mine\x07b\x9b2Jc\rd\u202ee[bold]f[/bold]:smile:g\[red]"


@given(st.text(st.characters(categories=["Cc", "Cs", "Cf", "L", "So"])))
def test_no_control_character_is_left_and_all_others_are(text: str) -> None:
    shown = visible(text)
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cs") and each not in "\t\n"]
    kept = [each for each in text if unicodedata.category(each) in ("L", "So")]
    assert [each for each in shown if each in kept] == kept or not kept
    assert visible(shown) == shown


def test_strings_and_texts_are_printed_as_they_are() -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, width=300, force_terminal=True, color_system=None)
    table = Table(EVIL, title=EVIL, caption=EVIL)
    table.add_row(EVIL)
    for each in (EVIL, table, Text(EVIL.replace("\r", "\x1b"))):
        terminal.print(each, highlight=False)
    found = out.getvalue()
    assert found.count(AS_IT_IS) == 5
    assert "\x1b" not in found
    for line in found.splitlines():
        assert not set(line) & set("\x07\x9b\r\u202e")


def test_names_in_progress_bars_are_printed_as_they_are() -> None:
    out = io.StringIO()
    columns = (TextColumn("{task.fields[system]}", markup=False),)
    with Progress(*columns, console=Terminal(file=out, width=300)) as bars:
        bars.add_task("", system="[bold]a[/bold]:smile:\x1b[2J\x9b")
    assert out.getvalue().startswith("[bold]a[/bold]:smile:")
    assert not set(out.getvalue()) & set("\x1b\x9b")


def test_a_table_of_names_with_escapes_is_as_wide_as_it_says() -> None:
    out = io.StringIO()
    table = Table()
    for name in ("\x1b[2J\x1b[31m", "plain"):
        table.add_row(name)
    Terminal(file=out, width=80).print(table)
    assert len({len(line) for line in out.getvalue().splitlines()}) == 1


# ---- the command line ------------------------------------------------------------------------------------------


def hwsim(*words: str, cwd: Path, **kinds: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **kinds.pop("environment", {})}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kinds}
    command = [sys.executable, "-m", "hwsim", *words]
    return subprocess.run(command, cwd=cwd, env=environment, timeout=100, check=False, **streams)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_an_encoding_lacks_is_replaced(tmp_path: Path, encoding: str) -> None:
    said = hwsim("estimate", "quickstart", cwd=tmp_path, environment={"PYTHONIOENCODING": encoding})
    assert (said.returncode, said.stderr) == (0, b"")
    text = said.stdout.decode(encoding)
    assert "energy / training step" in text
    assert ("µJ" in text) == (encoding != "ascii")


@pytest.mark.parametrize("columns", ["0", "²", "99999999999"])
def test_a_width_that_is_none_is_not_used(tmp_path: Path, columns: str) -> None:
    plain = hwsim("devices", cwd=tmp_path, environment={"COLUMNS": "80"})
    assert hwsim("devices", cwd=tmp_path, environment={"COLUMNS": columns, "LINES": columns}).stdout == plain.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["devices"], ["schema"], ["--help"]])
def test_a_full_disk_is_one_line_and_an_exit_code(tmp_path: Path, words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        said = hwsim(*words, cwd=tmp_path, stdout=full)
        assert (said.returncode, said.stderr) == (2, b"cannot print: No space left on device\n")
        assert hwsim(*words, cwd=tmp_path, stdout=full, stderr=full).returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_run_goes_on_if_its_progress_cannot_be_printed(tmp_path: Path, small: Path) -> None:
    with open("/dev/full", "wb") as full:
        said = hwsim("run", str(small), "--out", "a", cwd=tmp_path, stderr=full)
        assert said.returncode == 0
        assert said.stdout.endswith(b"Results are in a\n")
        assert hwsim("run", "nothing", cwd=tmp_path, stderr=full).returncode == 2
        said = hwsim("run", str(small), "--out", "b", cwd=tmp_path, stdout=full)
    assert (said.returncode, said.stderr.splitlines()[-1]) == (2, b"cannot print: No space left on device")
    assert (tmp_path / "b" / "SHA256SUMS").exists()


def test_streams_may_be_closed_and_readers_may_leave(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m hwsim"
    for words, code in (("devices >&-", 0), ("devices 2>&- >/dev/null", 0), ("nothing 2>&-", 2)):
        done = subprocess.run(f"{command} {words}", shell=True, cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")
    done = subprocess.run(f"{command} schema | head -1", shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"{\n", b"")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(
        """\
name: small
task: {name: random, steps: 3, width: 2, train: 4, test: 4}
network: {layers: [{cell: {name: lru, modes: 3, r_min: 0.9}}]}
learning: {name: fpe}
machine: ideal
""",
        encoding="utf-8",
    )
    return path


def test_paths_are_printed_without_markup(tmp_path: Path, small: Path) -> None:
    out = "sweep [lr=0.1]/[/bold]\x1b[2J:smile: é\udcff"
    said = hwsim("run", str(small), "--out", out, cwd=tmp_path)
    assert said.returncode == 0
    assert said.stdout.decode("utf-8").endswith("Results are in sweep [lr=0.1]/[/bold]\\x1b[2J:smile: é\\udcff\n")
    assert (tmp_path / out / "summary.json").exists()
    again = hwsim("run", str(small), "--out", out, cwd=tmp_path)
    assert again.stderr.decode() == f"{visible(out)} exists already, and nothing is overwritten; choose another " + (
        "folder with --out\n"
    )
