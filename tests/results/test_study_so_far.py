"""A study that is not finished can be looked at: while it runs, when it was stopped, where nothing may be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import run_folders

import hwsim
from hwsim import documents
from hwsim.config import grid
from hwsim.errors import ResultsError
from hwsim.experiments.study import study
from hwsim.reports import html
from hwsim.reports import study as report
from hwsim.results.study import reader
from hwsim.results.study.store import FILE, LOCK, StudyProgress, TrialResult, Trials, TrialStore

STUDY = run_folders.STUDY.replace("seeds: 3", "seeds: 2")
TRIALS = 8
TABLES = ("table.csv", "table.parquet", "summary.csv", "figures/cosine.svg")
DONE = TrialResult("done", summary='{"systems": {}}')


def run(folder: Path, over: int = TRIALS, text: str = STUDY) -> None:
    """A study, stopped when so many trials are over."""

    def progress(now: StudyProgress) -> None:
        if now.over >= over < TRIALS:
            raise KeyboardInterrupt

    found = grid.compose(documents.parse(text, "study.yaml"))
    try:
        study.run(found, folder, workers=1, progress=progress)
    except KeyboardInterrupt:
        return
    report.draw(found, folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that is finished."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    run(folder)
    return folder


@pytest.fixture
def held() -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Three trials of a process that works on them, and keeps one more with each line it gets."""
    folder = tempfile.TemporaryDirectory()  # unlike those of pytest, others may enter it
    path = Path(folder.name) / FILE
    path.parent.chmod(0o755)
    code = f"""\
import sys
from pathlib import Path
from hwsim.results.study.store import TrialResult, TrialStore
with TrialStore(Path({str(path)!r})) as store:
    for number in range(10**6):
        store.keep([number], str(number), TrialResult("done", summary="x" * 9000))
        print(flush=True)
        if not sys.stdin.readline():
            break
"""
    pipe = subprocess.PIPE
    with folder, subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as it:
        said(it)
        more(it, 2)
        yield path, it
        it.kill()


def more(writer: subprocess.Popen[str], count: int) -> None:
    assert writer.stdin is not None
    for _ in range(count):
        writer.stdin.write("\n")
        writer.stdin.flush()
        said(writer)


def said(writer: subprocess.Popen[str]) -> None:
    assert writer.stdout is not None
    assert writer.stdout.readline()


def over(path: Path) -> int:
    return reader.read(path, Trials.count).total()


def lying(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What every file in a folder says, and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---- trials ------------------------------------------------------------------------------------------------------


def test_what_is_committed_is_read_while_the_next_trial_is_written(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with TrialStore(path) as store:
        store.keep([0], "a", DONE)
        store._base.execute("BEGIN IMMEDIATE")
        store._base.execute("INSERT INTO plan VALUES (1, 'a')")
        assert over(path) == 1
        store._base.execute("COMMIT")
        assert over(path) == 2


def test_a_reader_sees_one_moment_and_keeps_no_writer_waiting(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with TrialStore(path) as store:
        store.keep([0], "a", DONE)

        def look(trials: Trials) -> list[int]:
            counts = []
            for number in range(1, 4):
                counts.append(trials.count().total())
                begun = time.perf_counter()
                store.keep([number], str(number), DONE)
                assert time.perf_counter() - begun < 5  # the patience of either is 10 s
            return [*counts, len(list(trials.kept()))]

        assert reader.read(path, look) == [1, 1, 1, 1]
        assert over(path) == 4


def test_trials_of_another_process_are_read_while_it_works(held: tuple[Path, Any]) -> None:
    path, writer = held
    before = lying(path.parent)
    assert over(path) == 3
    assert lying(path.parent) == before
    more(writer, 40)
    assert over(path) == 43
    assert path.with_name(f"{FILE}-wal").stat().st_size > 300_000  # most of it is nowhere else


def test_what_a_killed_process_left_is_read_and_left_as_it_is(held: tuple[Path, Any]) -> None:
    path, writer = held
    writer.kill()
    writer.wait()
    before = lying(path.parent)
    assert set(before) == {FILE, f"{FILE}-wal", f"{FILE}-shm", LOCK}
    assert over(path) == 3
    path.with_name(f"{FILE}-shm").unlink()  # as in a copy that somebody made
    assert over(path) == 3
    del before[f"{FILE}-shm"]
    assert lying(path.parent) == before
    with TrialStore(path) as store:
        assert store.count().total() == 3


def test_a_writer_that_ends_while_somebody_reads_loses_nothing(held: tuple[Path, Any]) -> None:
    path, writer = held

    def look(trials: Trials) -> int:
        assert trials.count().total() == 3
        writer.communicate("\n")
        return trials.count().total()

    assert reader.read(path, look) == 3
    assert writer.returncode == 0
    assert over(path) == 4


def test_a_study_that_begins_while_somebody_reads_is_read_again(tmp_path: Path) -> None:
    path, begun = tmp_path / FILE, []
    with TrialStore(path) as store:
        store.keep([0], "a", DONE)
    assert sorted(file.name for file in tmp_path.iterdir()) == [LOCK, FILE]

    def look(trials: Trials) -> int:
        if not begun:
            begun.append(TrialStore(path))
            begun[0].keep([1], "b", DONE)
        return trials.count().total()

    assert reader.read(path, look) == 2
    begun[0].__exit__()


@contextmanager
def reading_only(folder: Path) -> Iterator[None]:
    """Nothing may be written to a folder."""
    if os.geteuid() == 0:  # for whom permissions are none
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("state", ["closed", "at work", "killed", "killed, and copied without its index"])
def test_a_folder_that_may_be_read_alone(state: str, held: tuple[Path, Any]) -> None:
    path, writer = held
    if state == "closed":
        writer.communicate("\n")
    elif state != "at work":
        writer.kill()
        writer.wait()
    if "without" in state:
        path.with_name(f"{FILE}-shm").unlink()
    with reading_only(path.parent):
        with pytest.raises(PermissionError):
            (path.parent / "x").touch()
        assert over(path) == 4 - (state != "closed")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("no database at all, though long enough to look at" * 20), "or is damaged"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE trials (x)").connection.close(), "is not hwsim's"),
        (lambda path: None, "cannot be read: unable to open database file"),
    ],
)
def test_files_that_hold_no_trials_are_refused(tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / FILE)
    with pytest.raises(ResultsError, match=said):
        over(tmp_path / FILE)


# ---- folders and pages -------------------------------------------------------------------------------------------


def test_what_is_known_so_far_is_what_the_tables_will_say(whole: Path, tmp_path: Path) -> None:
    run(tmp_path / "s", over=5)
    before = lying(tmp_path / "s")
    found, finished = hwsim.read(tmp_path / "s"), hwsim.read(whole)
    assert isinstance(found, hwsim.StudyFolder)
    assert isinstance(finished, hwsim.StudyFolder)
    assert lying(tmp_path / "s") == before
    assert finished.progress is None
    assert found.progress is not None
    assert found.progress == StudyProgress(found.progress.over, 0, TRIALS)
    assert 5 <= found.progress.over == found.table["config_sha256"].nunique() < TRIALS
    same = finished.table[finished.table["config_sha256"].isin(found.table["config_sha256"])]
    pd.testing.assert_frame_equal(found.table, same.reset_index(drop=True), check_dtype=False, check_exact=True)
    assert set(found.summary["quantity"]) == set(finished.summary["quantity"])
    run(tmp_path / "s")
    assert [(tmp_path / "s" / name).read_bytes() for name in TABLES] == [(whole / name).read_bytes() for name in TABLES]


def test_a_page_of_everything_but_the_tables_is_that_of_the_finished_study(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(whole, folder)
    (folder / "summary.csv").unlink()
    partial, finished = hwsim.read(folder), hwsim.read(whole)
    assert isinstance(partial, hwsim.StudyFolder)
    assert isinstance(finished, hwsim.StudyFolder)
    assert partial.progress == StudyProgress(TRIALS, 0, TRIALS)
    as_finished = partial._replace(path=whole, progress=None, figures=finished.figures)
    assert html.of_study(as_finished) == html.of_study(finished)


def test_pages_of_unfinished_studies_say_so_first(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    tiles = "  tiles: {key: machine.parts.tiles.count, values: [64, 1]}"  # one is too few
    text = STUDY.replace("values: [4, 8]}", f"values: [4, 8]}}\n{tiles}").replace("seeds: 2", "seeds: 1")
    for count, figures in ((0, 0), (6, 1)):
        run(folder, count, text)
        found = hwsim.read(folder)
        assert isinstance(found, hwsim.StudyFolder)
        assert found.progress is not None
        page = html.of_study(found)
        over, failed, total = found.progress
        assert (total, over >= count) == (8, True)
        assert (failed > 0) == (count > 0)
        lost = f", {failed} of them failed" if failed else ""
        first = page.index(f"<li>{over} of 8 trials are over{lost}; what stands here is provisional.</li>")
        assert first < page.index("<nav")
        assert "Traceback" not in page
        assert page.count("<figure") == figures
        assert ("no trial is done" in page) == (count == 0)
        assert ("The study tests nothing" in page) is False


def test_a_study_that_goes_on_takes_tables_away_that_are_not_its_own(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(whole, folder)
    more = grid.compose(documents.parse(STUDY.replace("seeds: 2", "seeds: 3"), "study.yaml"))

    def stop(now: StudyProgress) -> None:
        if now.over > TRIALS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.run(more, folder, workers=1, yes=True, progress=stop)
    found = hwsim.read(folder)
    assert isinstance(found, hwsim.StudyFolder)
    assert found.progress is not None
    assert TRIALS < found.progress.over < found.progress.total == 12
    assert found.figures == {}  # those that lie there are of two seeds
    assert not any((folder / name).exists() for name in TABLES[:3])


def test_a_study_is_watched_from_another_terminal(whole: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "study.yaml", tmp_path / "s"
    file.write_text(STUDY.replace("seeds: 2", "seeds: 60"), encoding="utf-8")
    command = [sys.executable, "-m", "hwsim", "study", str(file), "--out", str(folder), "--workers", "1", "--quiet"]
    seen: list[int] = []
    with subprocess.Popen(command) as running:
        while not (folder / "study.yaml").exists():
            assert running.poll() is None
            time.sleep(0.01)
        while len(set(seen)) < 3:
            assert running.poll() is None
            found = hwsim.read(folder)
            assert isinstance(found, hwsim.StudyFolder)
            assert found.progress is not None
            assert found.progress.over == found.table["config_sha256"].nunique()
            seen.append(found.progress.over)
        words = [sys.executable, "-m", "hwsim", "report", str(folder)]
        printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert running.poll() is None
        running.kill()
    assert seen == sorted(seen)
    assert printed.splitlines()[0].endswith(" of 240 trials are over; what stands here is provisional")
    assert printed.splitlines()[1] == f"The report is {folder / 'report.html'}"
    assert "of 240 trials are over" in (folder / "report.html").read_text(encoding="utf-8")
