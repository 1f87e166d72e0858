"""The store of a study's trials: one SQLite file, one writer, and one commit per trial.

Its write-ahead log (WAL) lets others read committed trials while the writer goes on; see `reader`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from hwsim.errors import HwsimError, OutputError, ResultsError

FILE, LOCK = "trials.sqlite", "trials.lock"
SCHEMA = 1
_APPLICATION = 0x68777374  # "hwst": says that a SQLite file is a study of hwsim
_BUSY, _FULL, _CORRUPT, _NOT_A_DATABASE = 5, 13, 11, 26
_PATIENCE = 10
"""Seconds to wait for a reader, or for an older hwsim that locks readers out."""
_TABLES = """
CREATE TABLE asked (what TEXT NOT NULL);
CREATE TABLE trials (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, traceback TEXT, summary TEXT, metrics TEXT, wall_s REAL
) WITHOUT ROWID;
CREATE TABLE plan (number INTEGER PRIMARY KEY, id TEXT NOT NULL);
"""


class TrialResult(NamedTuple):
    """The result of a trial.

    Attributes:
        status: `done` or `failed`.
        error, traceback: why it failed, in one line and in full.
        summary, metrics: the content of the run's `summary.json` and `metrics.csv`, as JSON.
        wall_s: its duration, in seconds.
    """

    status: str
    error: str | None = None
    traceback: str | None = None
    summary: str | None = None
    metrics: str | None = None
    wall_s: float | None = None


class KeptTrial(NamedTuple):
    """A trial of the plan that is over."""

    number: int
    id: str
    status: str
    error: str | None
    summary: str | None
    metrics: str | None = None


class StudyProgress(NamedTuple):
    """The progress of a study: the numbers of trials that are over, that failed, and in total."""

    over: int
    failed: int
    total: int

    @classmethod
    def of(cls, ended: Counter[str], total: int) -> Self:
        """The progress, from the number of trials with each status."""
        return cls(ended.total(), ended["failed"], total)


class Trials:
    """The trials of one study that are over, for reading."""

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self.path, self._base = path, base

    def count(self) -> Counter[str]:
        """The number of trials of the plan with each status; the query visits all trials, which takes time."""
        query = "SELECT status, COUNT(*) FROM plan JOIN trials USING (id) GROUP BY status"
        return Counter(dict(self._rows(query)))

    def kept(self) -> Iterator[KeptTrial]:
        """The trials of the plan that are over, in the order of their numbers."""
        query = "SELECT number, id, status, error, summary, metrics FROM plan JOIN trials USING (id) ORDER BY number"
        return map(KeptTrial._make, self._rows(query))

    def metrics(self) -> Iterator[tuple[int, str]]:
        """The number and the metrics of each trial that is done, in the order of their numbers."""
        return self._rows(
            "SELECT number, metrics FROM plan JOIN trials USING (id) WHERE status = 'done' ORDER BY number"
        )

    def foreign(self) -> str | None:
        """Why the file is not a study of this version; None if it is one, or still empty."""
        application, version = self._pragma("application_id"), self._version()
        if application == 0 and version == 0 and not list(self._rows("SELECT 1 FROM sqlite_master")):
            return None  # its writer was killed before the first commit
        if application != _APPLICATION:
            return "is not hwsim's"
        if version != SCHEMA:
            age = "an older" if version < SCHEMA else "a newer"
            return f"was written by {age} hwsim, which reads it (schema version {version}; this one has {SCHEMA})"
        return None

    def _version(self) -> int:
        return self._pragma("user_version")

    def _pragma(self, name: str) -> int:
        ((value,),) = self._rows(f"PRAGMA {name}")
        return int(value)

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        try:
            yield from self._base.execute(query, values)
        except sqlite3.Error as error:
            raise self._translated(error) from None

    def _translated(self, error: sqlite3.Error) -> HwsimError:
        if _code(error) in (_CORRUPT, _NOT_A_DATABASE):
            return ResultsError(f"{self.path} is not a study, or is damaged ({error})")
        return ResultsError(f"{self.path}: cannot be read: {error}")


class TrialStore(Trials):
    """The trials of one study, for writing; one process writes, others may read. It is a context manager."""

    def __init__(self, path: Path) -> None:
        self.path, self._held = path, ExitStack()
        try:
            super().__init__(path, self._connected(path, _PATIENCE))
            wrong = self.foreign()
            if wrong:
                raise OutputError(f"{path} {wrong}; choose another folder with --out")
            self._lock(path.with_name(LOCK))
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")  # what is committed survives the process
            self._base.execute("BEGIN EXCLUSIVE")
            if self._version() == 0:
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._base.execute(statement)
                self._base.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._base.execute(f"PRAGMA user_version = {SCHEMA}")
            self._base.execute("COMMIT")
        except BaseException as error:
            self.__exit__()
            if isinstance(error, sqlite3.Error):
                raise self._translated(error) from None
            raise

    def _connected(self, path: Path, patience: float) -> sqlite3.Connection:
        base = sqlite3.connect(path, timeout=patience, isolation_level=None)
        return self._held.enter_context(closing(base))

    def _lock(self, path: Path) -> None:
        """Lock other writers out until the store is closed, or its process ends.

        The lock is on another, empty database: a lock on the trials themselves would lock out readers as well.
        """
        lock = self._connected(path, patience=0)
        lock.execute("PRAGMA journal_mode = MEMORY")  # without a journal file
        lock.execute("BEGIN EXCLUSIVE")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(sqlite3.Error):
            self._held.close()

    # ---- what was asked --------------------------------------------------------------------------------------

    @property
    def asked(self) -> dict[str, Any] | None:
        """The data that determines the trials, from the start of the study; None for a new study."""
        stored = list(self._rows("SELECT what FROM asked"))
        return json.loads(stored[0][0]) if stored else None

    def ask(self, what: dict[str, Any]) -> None:
        """Store the data that determines the trials, and clear the plan; trials are kept."""
        text = json.dumps(what, sort_keys=True)
        self._write(("DELETE FROM plan", ()), ("DELETE FROM asked", ()), ("INSERT INTO asked VALUES (?)", (text,)))

    # ---- trials ----------------------------------------------------------------------------------------------

    def numbers(self) -> Iterator[int]:
        """The numbers of the trials that are over."""
        return (number for (number,) in self._base.execute("SELECT number FROM plan"))

    def status_of(self, number: int, trial: str) -> str | None:
        """The status of a trial, None if it is not over; a trial that ended under another number gets this one too."""
        statuses = list(self._rows("SELECT status FROM trials WHERE id = ?", (trial,)))
        if not statuses:
            return None
        self._write(("INSERT OR IGNORE INTO plan VALUES (?, ?)", (number, trial)))
        return str(statuses[0][0])

    def keep(self, numbers: list[int], trial: str, result: TrialResult) -> None:
        """Store the result of a trial."""
        plan = [("INSERT OR REPLACE INTO plan VALUES (?, ?)", (number, trial)) for number in numbers]
        self._write(("INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)", (trial, *result)), *plan)

    def forget_failed(self) -> None:
        """Remove failed trials, so that they run again."""
        self._write(
            ("DELETE FROM plan WHERE id IN (SELECT id FROM trials WHERE status = 'failed')", ()),
            ("DELETE FROM trials WHERE status = 'failed'", ()),
        )

    # ---- SQLite ----------------------------------------------------------------------------------------------

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """Execute all statements in one transaction."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    self._base.execute(statement, values)
                self._base.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # some errors have rolled back already
                    self._base.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._translated(error) from None

    def _translated(self, error: sqlite3.Error) -> HwsimError:
        code = _code(error)
        if code == _BUSY:
            return OutputError(
                f"another hwsim is at work on the study in {self.path.parent}; let it end, or choose another folder "
                "with --out"
            )
        if code in (_CORRUPT, _NOT_A_DATABASE):
            return OutputError(f"{super()._translated(error)}; choose another folder with --out")
        if code == _FULL:
            over = self.count().total()
            kept = f"{over} {'trial is' if over == 1 else 'trials are'} kept"
            return OutputError(
                f"cannot write {self.path}: the disk is full; {kept}, and the same command goes on from there once "
                "there is room"
            )
        return OutputError(f"cannot use {self.path}: {error}")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
