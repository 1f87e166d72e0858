"""The trials of a study outlive whoever writes them: what was kept is there, whole, whatever happens afterwards."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwsim.errors import OutputError, ResultsError
from hwsim.results.study import reader
from hwsim.results.study import store as stores
from hwsim.results.study.store import FILE, LOCK, KeptTrial, StudyProgress, TrialResult, Trials, TrialStore

LOG = f"{FILE}-wal"


def done(what: str = "{}", metrics: str | None = None) -> TrialResult:
    return TrialResult("done", summary=what, metrics=metrics, wall_s=1.0)


def all_of(trials: Trials) -> list[KeptTrial]:
    return list(trials.kept())


# ---- what is kept --------------------------------------------------------------------------------------------------


def test_outcomes_survive_the_store(tmp_path: Path) -> None:
    with TrialStore(tmp_path / FILE) as store:
        store.keep([3, 1], "a", TrialResult("done", summary="{}", wall_s=1.0))
        store.keep([2], "b", TrialResult("failed", "no", "trace"))
        assert [(one.number, one.id, one.status, one.error) for one in store.kept()] == [
            (1, "a", "done", None),
            (2, "b", "failed", "no"),
            (3, "a", "done", None),
        ]
        assert store.count() == {"done": 2, "failed": 1}
        store.forget_failed()
        assert store.count() == {"done": 2}


class Keep(NamedTuple):
    """A trial that ended, under the numbers that are alike."""

    numbers: list[int]
    trial: str
    status: str


class Know(NamedTuple):
    """A trial that is asked for under a number."""

    number: int
    trial: str


class Again(NamedTuple):
    """The store is closed and opened again, after what failed was forgotten, or not."""

    retry: bool


trials = st.sampled_from(["a", "b", "c", "d"])
acts = st.one_of(
    st.builds(Keep, st.lists(st.integers(0, 9), min_size=1, max_size=3), trials, st.sampled_from(["done", "failed"])),
    st.builds(Know, st.integers(0, 9), trials),
    st.builds(Again, st.booleans()),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(acts, max_size=12))
@example([Keep([0], "a", "done"), Keep([1], "b", "done"), Know(0, "b"), Know(2, "b"), Again(False)])
def test_a_store_is_a_plan_of_numbers_and_the_outcome_of_each_trial(history: list[Keep | Know | Again]) -> None:
    plan: dict[int, str] = {}
    ended: dict[str, TrialResult] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        store = TrialStore(path)
        for number, act in enumerate(history):
            if isinstance(act, Keep):
                outcome = TrialResult(
                    act.status, error=f"error {number}", summary=f"summary {number}", metrics=f"{number}"
                )
                store.keep(act.numbers, act.trial, outcome)
                ended[act.trial] = outcome
                plan.update(dict.fromkeys(act.numbers, act.trial))
            elif isinstance(act, Know):
                known = ended.get(act.trial)
                assert store.status_of(act.number, act.trial) == (known.status if known else None)
                if known:
                    plan.setdefault(act.number, act.trial)
            else:
                if act.retry:
                    store.forget_failed()
                    plan = {number: trial for number, trial in plan.items() if ended[trial].status == "done"}
                    ended = {trial: outcome for trial, outcome in ended.items() if outcome.status == "done"}
                store.__exit__()
                store = TrialStore(path)
        wanted = [
            KeptTrial(number, trial, end.status, end.error, end.summary, end.metrics)
            for number, trial in sorted(plan.items())
            for end in [ended[trial]]
        ]
        progress = [(kept.number, ended[kept.id].metrics) for kept in wanted if kept.status == "done"]
        with store:
            assert all_of(store) == wanted
            assert sorted(store.numbers()) == sorted(plan)
            assert store.count() == Counter(kept.status for kept in wanted)
            assert list(store.metrics()) == progress
            assert reader.read(path, all_of) == wanted  # while somebody writes
        assert reader.read(path, all_of) == wanted


def test_what_was_asked_is_kept_and_changed_without_losing_trials(tmp_path: Path) -> None:
    with TrialStore(tmp_path / FILE) as store:
        assert store.asked is None
        store.ask({"name": "one", "seeds": [0, 1]})
        store.keep([0], "a", done())
    with TrialStore(tmp_path / FILE) as store:
        assert store.asked == {"name": "one", "seeds": [0, 1]}
        store.ask({"name": "other"})
        assert store.asked == {"name": "other"}
        assert store.count() == {}  # none of the new plan yet
        assert store.status_of(7, "a") == "done"
        assert [one.number for one in store.kept()] == [7]


def test_a_trial_is_kept_with_all_its_numbers_or_not_at_all(tmp_path: Path) -> None:
    with TrialStore(tmp_path / FILE) as store:
        store.keep([0], "a", done())
        with pytest.raises(OutputError, match="cannot use"):
            store.keep([1, "second"], "b", done())  # type: ignore[list-item]
        assert [(one.number, one.id) for one in store.kept()] == [(0, "a")]
        assert store.status_of(1, "b") is None
        store.keep([1], "b", done())  # and it goes on
        assert store.count() == {"done": 2}


def test_texts_come_back_as_they_were(tmp_path: Path) -> None:
    text = "ε ≤ 10⁻³\n\x00'; DROP TABLE trials; --" + "x" * 300_000
    with TrialStore(tmp_path / FILE) as store:
        store.keep([0], "a", TrialResult("failed", text, text, text, text, 0.1))
    ((_, _, _, error, summary, metrics),) = reader.read(tmp_path / FILE, all_of)
    assert (error, summary, metrics) == (text, text, text)


def test_progress_counts_what_is_over_and_what_of_it_failed() -> None:
    assert StudyProgress.of(Counter(done=3, failed=2), 12) == StudyProgress(5, 2, 12)
    assert StudyProgress.of(Counter(), 12) == StudyProgress(0, 0, 12)


# ---- torn, killed, full --------------------------------------------------------------------------------------------


@contextmanager
def torn(path: Path, change: bytes) -> Iterator[Path]:
    """A copy of a study's trials with another log, as a computer that lost its power leaves them."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)
        (Path(folder) / LOG).write_bytes(change)
        yield Path(folder) / FILE


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """Twelve trials, most of which stand in the log alone."""
    path = tmp_path / FILE
    with TrialStore(path) as store:
        store.ask({"name": "one"})
        for number in range(12):
            store.keep([number], f"trial {number}", done("x" * (700 * number)))
        yield path


@pytest.mark.parametrize("tail", [b"", b"\xff" * 9000, b"\x00" * 9000])
def test_a_log_that_was_cut_off_holds_every_trial_before_the_cut(written: Path, tail: bytes) -> None:
    """Of what follows, nothing: no trial is there in part, and none is there without those before it."""
    log = written.with_name(LOG).read_bytes()
    counts = []
    begun = next(size for size in range(0, len(log), 100) if began(written, log[:size]))
    for size in range(begun, len(log) + 1, (len(log) - begun) // 40):
        with torn(written, log[:size] + tail) as path:
            found = reader.read(path, all_of)
            assert [one.id for one in found] == [f"trial {number}" for number in range(len(found))]
            assert all(one.summary == "x" * (700 * one.number) for one in found)
            with TrialStore(path) as store:
                assert all_of(store) == found
                store.keep([99], "more", done())
            assert [one.id for one in reader.read(path, all_of)] == [*(one.id for one in found), "more"]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert len(set(counts)) > 8


def began(path: Path, log: bytes) -> bool:
    """Whether there are tables already in so much of a log."""
    with torn(path, log) as copy:
        try:
            reader.read(copy, all_of)
        except ResultsError:
            return False
        return True


def test_a_byte_that_changed_in_the_log_loses_what_follows_and_invents_nothing(written: Path) -> None:
    log = bytearray(written.with_name(LOG).read_bytes())
    whole = reader.read(written, all_of)
    place = len(log) * 3 // 4
    log[place] ^= 1
    with torn(written, bytes(log)) as path:
        found = reader.read(path, all_of)
    assert 0 < len(found) < len(whole)
    assert found == whole[: len(found)]


def test_two_readers_and_a_writer_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with TrialStore(path) as store:
        store.keep([0], "a", done())

        def outer(first: Trials) -> tuple[int, int, int]:
            before = first.count().total()
            store.keep([1], "b", done())
            return before, reader.read(path, Trials.count).total(), first.count().total()

        assert reader.read(path, outer) == (1, 2, 1)
        assert store.count().total() == 2


def test_two_studies_cannot_write_to_one_folder(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with TrialStore(path), pytest.raises(OutputError, match="another hwsim is at work on the study in"):
        TrialStore(path)
    code = "from pathlib import Path; from hwsim.results.study.store import TrialStore; "
    code += f"s = TrialStore(Path({str(path)!r}))"
    with TrialStore(path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "another hwsim is at work" in other.stderr
    command = [sys.executable, "-c", f"{code}; print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(OutputError, match="another hwsim is at work on the study in"):
            TrialStore(path)
        holder.kill()
    with TrialStore(path):  # a lock dies with its process
        pass


# ---- other files ---------------------------------------------------------------------------------------------------


def test_other_schema_versions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TrialStore(tmp_path / FILE):
        pass
    monkeypatch.setattr(stores, "SCHEMA", stores.SCHEMA + 1)
    with pytest.raises(OutputError, match=r"by an older hwsim, which reads it \(schema version 1; this one has 2"):
        TrialStore(tmp_path / FILE)
    with pytest.raises(ResultsError, match="by an older hwsim"):
        reader.read(tmp_path / FILE, all_of)
    monkeypatch.setattr(stores, "SCHEMA", stores.SCHEMA - 2)
    with pytest.raises(OutputError, match="written by a newer hwsim"):
        TrialStore(tmp_path / FILE)


def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE trials (x)")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is not hwsim's; choose another folder with --out"):
        TrialStore(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [FILE]  # not even a lock


def test_a_store_that_is_closed_is_one_file_and_its_lock(tmp_path: Path) -> None:
    with TrialStore(tmp_path / FILE) as store:
        store.keep([0], "a", done())
    assert sorted(file.name for file in tmp_path.iterdir()) == [LOCK, FILE]
    assert reader.read(tmp_path / FILE, Trials.count) == {"done": 1}


def test_a_folder_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot use"):
        TrialStore(tmp_path / "nowhere" / FILE)
