"""What is known of a study's trials: one SQLite file, one writer, and a commit for each trial that ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from hwsim.errors import OutputError

SCHEMA = 1
_APPLICATION = 0x68777374  # "hwst": says that a SQLite file is a study of hwsim
_BUSY, _FULL, _CORRUPT, _NOT_A_DATABASE = 5, 13, 11, 26
_TABLES = """
CREATE TABLE asked (what TEXT NOT NULL);
CREATE TABLE trials (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, traceback TEXT, summary TEXT, metrics TEXT, wall_s REAL
) WITHOUT ROWID;
CREATE TABLE plan (number INTEGER PRIMARY KEY, id TEXT NOT NULL);
"""


class Outcome(NamedTuple):
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


class Kept(NamedTuple):
    """A trial of the plan and its outcome."""

    number: int
    id: str
    status: str
    error: str | None
    summary: str | None


class Store:
    """The trials of one study, open in this process alone. It is a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        try:
            self._base = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")  # held until closed, and by a dead process no longer
            if not new:
                self._recognise()
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
            with suppress(AttributeError, sqlite3.Error):
                self._base.close()
            if isinstance(error, sqlite3.Error):
                raise self._said(error) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(sqlite3.Error):
            self._base.close()

    # ---- what was asked --------------------------------------------------------------------------------------

    @property
    def asked(self) -> dict[str, Any] | None:
        """What decides the trials, as it was when the study began; None for a new one."""
        found = self._rows("SELECT what FROM asked")
        return json.loads(found[0][0]) if found else None

    def ask(self, what: dict[str, Any]) -> None:
        """Begin, or go on with something else: trials that are the same are kept."""
        text = json.dumps(what, sort_keys=True)
        self._write(("DELETE FROM plan", ()), ("DELETE FROM asked", ()), ("INSERT INTO asked VALUES (?)", (text,)))

    # ---- trials ----------------------------------------------------------------------------------------------

    def numbers(self) -> Iterator[int]:
        """Of the trials that are over."""
        return (number for (number,) in self._base.execute("SELECT number FROM plan"))

    def count(self) -> tuple[int, int]:
        """How many trials of the plan are over, and how many of them failed."""
        query = "SELECT COUNT(*), COALESCE(SUM(status = 'failed'), 0) FROM plan JOIN trials USING (id)"
        ((over, failed),) = self._rows(query)
        return over, failed

    def know(self, number: int, trial: str) -> bool:
        """Whether a trial is over, perhaps under another number; if so its number is noted."""
        if not self._rows("SELECT 1 FROM trials WHERE id = ?", (trial,)):
            return False
        self._write(("INSERT OR IGNORE INTO plan VALUES (?, ?)", (number, trial)))
        return True

    def keep(self, numbers: list[int], trial: str, outcome: Outcome) -> None:
        """Note how a trial ended, for good."""
        plan = [("INSERT OR REPLACE INTO plan VALUES (?, ?)", (number, trial)) for number in numbers]
        self._write(("INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)", (trial, *outcome)), *plan)

    def forget_failed(self) -> None:
        """Let failed trials run again."""
        self._write(
            ("DELETE FROM plan WHERE id IN (SELECT id FROM trials WHERE status = 'failed')", ()),
            ("DELETE FROM trials WHERE status = 'failed'", ()),
        )

    def kept(self) -> Iterator[Kept]:
        """The trials of the plan that are over, by number."""
        query = "SELECT number, id, status, error, summary FROM plan JOIN trials USING (id) ORDER BY number"
        return map(Kept._make, self._base.execute(query))

    def metrics(self) -> Iterator[tuple[int, str]]:
        """How learning went in the trials of the plan that are done, by number."""
        query = "SELECT number, metrics FROM plan JOIN trials USING (id) WHERE status = 'done' ORDER BY number"
        yield from self._base.execute(query)

    # ---- SQLite ----------------------------------------------------------------------------------------------

    def _recognise(self) -> None:
        application, version = self._pragma("application_id"), self._version()
        if application == 0 and version == 0 and not self._rows("SELECT 1 FROM sqlite_master"):
            return  # made, and killed before anything was in it
        if application != _APPLICATION:
            raise OutputError(f"{self.path} is not hwsim's; choose another folder with --out")
        if version != SCHEMA:
            age = "an older" if version < SCHEMA else "a newer"
            raise OutputError(
                f"{self.path} was written by {age} hwsim (schema version {version}; this one has {SCHEMA}); "
                "choose another folder with --out, or finish it with that version"
            )

    def _version(self) -> int:
        return self._pragma("user_version")

    def _pragma(self, name: str) -> int:
        value: int = self._base.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._base.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._said(error) from None

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

    def _said(self, error: sqlite3.Error) -> OutputError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == _BUSY:
            return OutputError(
                f"another hwsim is at work on the study in {self.path.parent}; let it end, or choose another folder "
                "with --out"
            )
        if code in (_CORRUPT, _NOT_A_DATABASE):
            return OutputError(f"{self.path} is not a study, or is damaged ({error}); choose another folder with --out")
        if code == _FULL:
            over, _ = self.count()
            kept = f"{over} {'trial is' if over == 1 else 'trials are'} kept"
            return OutputError(
                f"cannot write {self.path}: the disk is full; {kept}, and the same command goes on from there once "
                "there is room"
            )
        return OutputError(f"cannot use {self.path}: {error}")
