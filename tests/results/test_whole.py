"""Folders are whole or not there, and their names are held: whoever writes, is killed, or comes second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hwsim.errors import OutputError
from hwsim.results import run_folder, whole
from hwsim.results.whole import written_whole


def fill(folder: Path, then: Callable[[], None] = lambda: None) -> Path:
    """Write something into a folder, after which something else happens before it is whole."""
    with written_whole([folder]) as unfinished:
        (unfinished.path / "config.yaml").write_text("mine")
        then()
    return unfinished.folder


def lying(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


WAITING = """
import sys, time
from pathlib import Path
from hwsim.results.whole import written_whole
with written_whole([Path(sys.argv[1])]) as unfinished:
    (unfinished.path / "part").write_text("half")
    print("here", flush=True)
    time.sleep(60)
"""


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which is writing the folder."""
    with subprocess.Popen([sys.executable, "-c", WAITING, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("wrong", [ValueError("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_is_not_written_to_its_end_leaves_nothing(tmp_path: Path, wrong: BaseException) -> None:
    folder = tmp_path / "new" / "deep" / "run"

    def fail() -> None:
        raise wrong

    with pytest.raises(OutputError if isinstance(wrong, OSError) else type(wrong)):
        fill(folder, fail)
    assert list(tmp_path.iterdir()) == []  # nor the folders on the way to it


def test_a_folder_that_was_made_meanwhile_is_left_and_the_results_are_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def meanwhile() -> None:
        for name in ("run", "run-2"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.yaml").write_text("theirs")

    with pytest.raises(OutputError, match=rf"^{folder} was made by somebody else .* the results are in {folder}-3$"):
        fill(folder, meanwhile)
    found = {path.name: (path / "config.yaml").read_text() for path in tmp_path.iterdir()}
    assert found == {"run": "theirs", "run-2": "theirs", "run-3": "mine"}


def test_results_that_cannot_get_their_name_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, other: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Permission denied; the results are whole, in ") as error:
        fill(tmp_path / "run")
    (hidden,) = tmp_path.iterdir()
    assert str(error.value).endswith(str(hidden))
    assert (hidden / "config.yaml").read_text() == "mine"


# ---- two at once -------------------------------------------------------------------------------------------------


def test_writers_at_once_get_a_name_each_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    at_once, got = threading.Barrier(8), list[str]()

    def write() -> None:
        at_once.wait()
        with written_whole(run_folder.places(None, "my run")) as unfinished:
            (unfinished.path / "mine").write_text("")
            got.append(unfinished.folder.name)
            at_once.wait()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got) == sorted(["my_run", *(f"my_run-{number}" for number in range(2, 9))])
    assert lying(Path("runs")) == sorted(name for each in got for name in (each, f"{each}/mine"))


def test_a_name_that_another_process_holds_is_not_had_and_the_hidden_folder_is_said(tmp_path: Path) -> None:
    with another(tmp_path / "run"):
        (hidden,) = (path for path in tmp_path.iterdir() if path.is_dir())
        with pytest.raises(OutputError) as error:
            fill(tmp_path / "run")
        assert str(error.value) == (
            f"another hwsim is at work on {tmp_path}/run, in {hidden}; choose another folder with --out"
        )
        with written_whole([tmp_path / "run", tmp_path / "other"]) as unfinished:
            pass
        assert unfinished.folder == tmp_path / "other"
        assert (hidden / "part").exists()


def test_without_a_name_a_run_gets_the_next_one_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for wanted in ("my_run", "my_run-2", "my_run-3"):
        with written_whole(run_folder.places(None, "my run")) as unfinished:
            pass
        assert unfinished.folder == Path("runs") / wanted
    assert list(run_folder.places(tmp_path / "mine", "my run")) == [tmp_path / "mine"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match=r"exists already, and nothing is overwritten; choose another .* --out"):
        fill(tmp_path / "mine")


# ---- killed ------------------------------------------------------------------------------------------------------


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with another(tmp_path / "run") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(lying(tmp_path)) == 3  # a lock, a hidden folder, and a file in it
        fill(tmp_path / "run")
    assert lying(tmp_path) == ["run", "run/config.yaml"]


def test_what_may_be_of_another_computer_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of network file systems may hold on one computer only."""
    with another(tmp_path / "run") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        monkeypatch.setattr(whole, "_here", lambda: ["elsewhere"])
        fill(tmp_path / "run")
    assert {"run", "run/config.yaml"} < set(lying(tmp_path))
    assert sum(name.endswith("part") for name in lying(tmp_path)) == 1


@pytest.mark.parametrize("said", ["../mine\n", "mine\n", "\n", "\0\n", ".run.partial-x/../mine\n", "\xff\n"])
def test_a_lock_that_says_something_odd_removes_nothing(tmp_path: Path, said: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / ".run.lock").write_text("\n".join([said.strip("\n"), *whole._here()]), encoding="latin-1")
    fill(tmp_path / "run")
    assert lying(tmp_path) == ["mine", "run", "run/config.yaml"]


def test_the_number_of_a_process_may_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container each process may be the first; an earlier hwsim called its hidden folder by that number."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    (tmp_path / ".run.partial-1").mkdir()
    (tmp_path / ".run.partial").mkdir()
    assert fill(tmp_path / "run") == tmp_path / "run"


def test_what_is_in_the_way_of_a_lock_is_said(tmp_path: Path) -> None:
    (tmp_path / ".run.lock").mkdir()
    with pytest.raises(
        OutputError, match=rf"{tmp_path}/\.run\.lock is in the way of {tmp_path}/run \(Is a directory\)"
    ):
        fill(tmp_path / "run")


# ---- odd file systems and names ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no locks in this file system", "no locks at all"])
def test_without_locks_a_hidden_file_is_the_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    def refuse(*_: int) -> None:
        raise OSError(37, "No locks available")

    if how == "no locks at all":
        monkeypatch.setattr(whole, "fcntl", None)
    else:
        monkeypatch.setattr(whole.fcntl, "flock", refuse)

    def meanwhile() -> None:
        said = rf"\.run\.lock says that another hwsim is at work on {tmp_path}/run; if none is, remove that file"
        with pytest.raises(OutputError, match=said):
            fill(tmp_path / "run")

    fill(tmp_path / "run", meanwhile)
    assert lying(tmp_path) == ["run", "run/config.yaml"]


@pytest.mark.parametrize("name", ["n" * 255, "λ" * 127])
def test_the_longest_names_can_be_had(tmp_path: Path, name: str) -> None:
    assert fill(tmp_path / name).name == name
    assert lying(tmp_path) == [name, f"{name}/config.yaml"]
    with pytest.raises(OutputError, match="File name too long; choose another folder"):
        fill(tmp_path / f"{name}{name}")


def test_a_lock_that_is_removed_before_it_is_held_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, removed = whole.fcntl.flock, list[int]()

    def late(lock: int, how: int) -> None:
        if not removed:
            removed.append(lock)
            (tmp_path / ".run.lock").unlink()  # as its holder does, who was done just then
        flock(lock, how)

    monkeypatch.setattr(whole.fcntl, "flock", late)

    def meanwhile() -> None:
        with pytest.raises(OutputError, match="another hwsim is at work"):
            fill(tmp_path / "run")

    fill(tmp_path / "run", meanwhile)
    assert removed


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        whole.replace(path, None)  # type: ignore[arg-type]
    assert (path.read_bytes(), lying(tmp_path)) == (b"old", ["table.csv"])
    whole.replace(path, b"new")
    assert (path.read_bytes(), lying(tmp_path)) == (b"new", ["table.csv"])
