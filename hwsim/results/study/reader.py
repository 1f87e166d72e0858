"""Reading the trials of a study while it runs, or after it was stopped or killed; the folder may be read-only.

A writer has a write-ahead log (`-wal`) and its index (`-shm`) beside the database, and removes them when it ends. A
killed writer leaves them, and the log may hold trials that are nowhere else.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hwsim.errors import ResultsError
from hwsim.results.study.store import Trials

Result = TypeVar("Result")

_LOG, _INDEX = "-wal", "-shm"


def read(path: Path, look: Callable[[Trials], Result]) -> Result:
    """The result of `look` on one snapshot of a study's trials. Nothing is written beside the database.

    Raises:
        ResultsError: the database is not hwsim's, is damaged, or cannot be read.
    """
    while True:
        before = _beside(path)
        try:
            with _opened(path, before) as trials:
                result = look(trials)
        except (ResultsError, OSError):
            if _beside(path) == before:
                raise
        else:
            if before == {_LOG, _INDEX} or _beside(path) == before:
                return result  # otherwise a writer began or ended meanwhile, and may have changed what was read


def _beside(path: Path) -> set[str]:
    """The endings of the log and the index, each if it has content."""
    return {ending for ending in (_LOG, _INDEX) if _holds(_next_to(path, ending))}


def _next_to(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _holds(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextmanager
def _opened(path: Path, beside: set[str]) -> Iterator[Trials]:
    """The trials, with the log if there is one; neither the log nor the index is created or changed."""
    if _LOG not in beside:  # no writer since the last one closed it
        with _connected(path, path, "immutable=1") as trials:
            yield trials
    elif _INDEX in beside:
        with _connected(path, path, "readonly_shm=1") as trials:
            yield trials
    else:  # copied without its index, which has to be created: in another folder
        with TemporaryDirectory() as folder:
            for file in (path, _next_to(path, _LOG)):
                shutil.copy(file, folder)
            with _connected(path, Path(folder) / path.name, "cache=private") as trials:
                yield trials


@contextmanager
def _connected(path: Path, file: Path, how: str) -> Iterator[Trials]:
    try:
        base = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&{how}", timeout=10, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from None
    with closing(base):
        trials = Trials(path, base)
        wrong = trials.foreign()
        if wrong:
            raise ResultsError(f"{path} {wrong}")
        base.execute("BEGIN")  # one snapshot for all reads
        yield trials
