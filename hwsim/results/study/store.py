"""What is known of a study's trials: one SQLite file, one writer, and a commit for each trial that ends.

Its log (WAL) lets others read what is committed while the writer goes on; see `reader`.
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
"""Seconds until somebody who reads, or an older hwsim that keeps readers out, must be done."""
_TABLES = """
CREATE TABLE asked (what TEXT NOT NULL);
CREATE TABLE trials (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, traceback TEXT, summary TEXT, metrics TEXT, wall_s REAL
) WITHOUT ROWID;
CREATE TABLE plan (number INTEGER PRIMARY KEY, id TEXT NOT NULL);
"""


class TrialResult(NamedTuple):
    """How a trial ended.

    Attributes:
        status: `done` or `failed`.
        error, traceback: why it failed, in a line and in full.
        summary, metrics: what its run's `summary.json` and `metrics.csv` say, as JSON.
        wall_s: how long it took.
    """

    status: str
    error: str | None = None
    traceback: str | None = None
    summary: str | None = None
    metrics: str | None = None
    wall_s: float | None = None


class KeptTrial(NamedTuple):
    """A trial of the plan and its outcome."""

    number: int
    id: str
    status: str
    error: str | None
    summary: str | None


class StudyProgress(NamedTuple):
    """How far a study is: trials that are over, and how many of them failed, of all."""

    over: int
    failed: int
    total: int

    @classmethod
    def of(cls, ended: Counter[str], total: int) -> Self:
        """From how many trials ended with each status."""
        return cls(ended.total(), ended["failed"], total)


class Trials:
    """What is known of the trials of one study."""

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self.path, self._base = path, base

    def count(self) -> Counter[str]:
        """How many trials of the plan ended with each status. All are gone through: that takes its time."""
        query = "SELECT status, COUNT(*) FROM plan JOIN trials USING (id) GROUP BY status"
        return Counter(dict(self._rows(query)))

    def kept(self) -> Iterator[KeptTrial]:
        """The trials of the plan that are over, by number."""
        query = "SELECT number, id, status, error, summary FROM plan JOIN trials USING (id) ORDER BY number"
        return map(KeptTrial._make, self._rows(query))

    def metrics(self) -> Iterator[tuple[int, str]]:
        """How learning went in the trials of the plan that are done, by number."""
        return self._rows(
            "SELECT number, metrics FROM plan JOIN trials USING (id) WHERE status = 'done' ORDER BY number"
        )

    def foreign(self) -> str | None:
        """Why the file is none of a study that this version knows; None if it is one, or has nothing in it yet."""
        application, version = self._pragma("application_id"), self._version()
        if application == 0 and version == 0 and not list(self._rows("SELECT 1 FROM sqlite_master")):
            return None  # made, and killed before anything was in it
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
            raise self._said(error) from None

    def _said(self, error: sqlite3.Error) -> HwsimError:
        if _code(error) in (_CORRUPT, _NOT_A_DATABASE):
            return ResultsError(f"{self.path} is not a study, or is damaged ({error})")
        return ResultsError(f"{self.path}: cannot be read: {error}")


class TrialStore(Trials):
    """The trials of one study, written by this process alone; others may look on. It is a context."""

    def __init__(self, path: Path) -> None:
        self.path, self._held = path, ExitStack()
        try:
            super().__init__(path, self._connected(path, _PATIENCE))
            wrong = self.foreign()
            if wrong:
                raise OutputError(f"{path} {wrong}; choose another folder with --out")
            self._alone(path.with_name(LOCK))
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
                raise self._said(error) from None
            raise

    def _connected(self, path: Path, patience: float) -> sqlite3.Connection:
        base = sqlite3.connect(path, timeout=patience, isolation_level=None)
        return self._held.enter_context(closing(base))

    def _alone(self, path: Path) -> None:
        """Keep other writers out until this is closed, or its process ends in whatever way.

        The lock is that of another, empty database: one on the trials themselves would keep readers out as well.
        """
        lock = self._connected(path, patience=0)
        lock.execute("PRAGMA journal_mode = MEMORY")  # no file of its own
        lock.execute("BEGIN EXCLUSIVE")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(sqlite3.Error):
            self._held.close()

    # ---- what was asked --------------------------------------------------------------------------------------

    @property
    def asked(self) -> dict[str, Any] | None:
        """What decides the trials, as it was when the study began; None for a new one."""
        stored = list(self._rows("SELECT what FROM asked"))
        return json.loads(stored[0][0]) if stored else None

    def ask(self, what: dict[str, Any]) -> None:
        """Begin, or go on with something else: trials that are the same are kept."""
        text = json.dumps(what, sort_keys=True)
        self._write(("DELETE FROM plan", ()), ("DELETE FROM asked", ()), ("INSERT INTO asked VALUES (?)", (text,)))

    # ---- trials ----------------------------------------------------------------------------------------------

    def numbers(self) -> Iterator[int]:
        """Of the trials that are over."""
        return (number for (number,) in self._base.execute("SELECT number FROM plan"))

    def know(self, number: int, trial: str) -> str | None:
        """The status of a trial that is over, perhaps under another number, in which case its number is noted."""
        statuses = list(self._rows("SELECT status FROM trials WHERE id = ?", (trial,)))
        if not statuses:
            return None
        self._write(("INSERT OR IGNORE INTO plan VALUES (?, ?)", (number, trial)))
        return str(statuses[0][0])

    def keep(self, numbers: list[int], trial: str, result: TrialResult) -> None:
        """Note how a trial ended, for good."""
        plan = [("INSERT OR REPLACE INTO plan VALUES (?, ?)", (number, trial)) for number in numbers]
        self._write(("INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)", (trial, *result)), *plan)

    def forget_failed(self) -> None:
        """Let failed trials run again."""
        self._write(
            ("DELETE FROM plan WHERE id IN (SELECT id FROM trials WHERE status = 'failed')", ()),
            ("DELETE FROM trials WHERE status = 'failed'", ()),
        )

    # ---- SQLite ----------------------------------------------------------------------------------------------

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """All statements or none."""
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
            raise self._said(error) from None

    def _said(self, error: sqlite3.Error) -> HwsimError:
        code = _code(error)
        if code == _BUSY:
            return OutputError(
                f"another hwsim is at work on the study in {self.path.parent}; let it end, or choose another folder "
                "with --out"
            )
        if code in (_CORRUPT, _NOT_A_DATABASE):
            return OutputError(f"{super()._said(error)}; choose another folder with --out")
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
