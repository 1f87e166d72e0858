"""Look at the trials of a study while it runs, or after it was stopped or killed, in a folder that may be read alone.

Who writes has a log (`-wal`) and an index of it (`-shm`) beside the file, and takes them away in the end. One that is
killed leaves them, with trials that are nowhere else.
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
    """What `look` finds in the trials of a study, all of it at one moment. Nothing is written beside them.

    Raises:
        ResultsError: they are none of hwsim's, damaged, or cannot be read.
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
                return result  # else a study began or ended meanwhile, and nothing kept it from changing what was read


def _beside(path: Path) -> set[str]:
    """Which of the two files have something in them."""
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
    """The log is read if there is one; neither it nor the index is made or changed."""
    if _LOG not in beside:  # nobody has written anything since the last one closed it
        with _connected(path, path, "immutable=1") as trials:
            yield trials
    elif _INDEX in beside:
        with _connected(path, path, "readonly_shm=1") as trials:
            yield trials
    else:  # copied without its index, which has to be made: elsewhere
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
        base.execute("BEGIN")  # from the first thing that is read, all is of one moment
        yield trials
