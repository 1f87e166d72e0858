"""Folders and files that are whole or not there: they are written under a hidden name, and renamed at the end.

The writer of a folder holds its name from the start, by a lock on the hidden file `.NAME.lock` beside it. The system
releases the lock when the process ends, however it ends. So no process number has to be trusted: containers give the
same ones again. What a killed writer has left is removed by the next one that gets the name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ENOTDIR
from itertools import chain, count
from pathlib import Path
from typing import Self
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

from hwsim.errors import OutputError

_LONGEST = 200
"""Longest name, in bytes, that leaves room for what hidden names have before and after it."""


@dataclass
class Unfinished:
    """A folder that is being written.

    Attributes:
        path: the hidden folder to write into.
        folder: the name that it gets once it is whole.
    """

    path: Path
    folder: Path


@contextmanager
def written_whole(names: Iterable[Path]) -> Iterator[Unfinished]:
    """A hidden folder to write into; it is renamed at the end, and removed after an error.

    It gets the first name that is free and that no other writer holds. If that name is taken meanwhile all the same,
    it gets the next free one: what is whole is never lost.

    Raises:
        OutputError: no name is free, the folder cannot be written, or it had to get a name that was not asked for.
    """
    names, whole = iter(names), False
    with _first_free(names) as name:
        try:
            unfinished = Unfinished(name.begin(), name.folder)
            try:
                yield unfinished
                whole = True
                _rename(unfinished, names)
            finally:
                if not whole:
                    shutil.rmtree(unfinished.path, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"cannot write {name.folder}: {error.strerror or error}") from None


def replace(path: Path, content: bytes) -> None:
    """Write a file as a whole, in place of an earlier one.

    Raises:
        OSError: it cannot be written; an earlier one is as it was.
    """
    partial = _hidden(path, _unique())
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _rename(unfinished: Unfinished, names: Iterator[Path]) -> None:
    """Give a whole folder its name, or the next one that is free."""
    wanted = unfinished.folder
    beside = (wanted.with_name(f"{wanted.name}-{number}") for number in count(2))
    for asked, others in ((True, chain([wanted], names)), (False, beside)):
        for name in others:
            try:
                unfinished.path.rename(name)
            except OSError as error:
                if not _taken(name):
                    text = f"cannot write {name}: {error.strerror}; the results are whole, in {unfinished.path}"
                    raise OutputError(text) from None
                continue
            unfinished.folder = name
            if asked:
                return
            raise OutputError(f"{wanted} was made by somebody else meanwhile; the results are in {name}")


def _first_free(names: Iterable[Path]) -> _Name:
    """The first of the names that is free, held.

    Raises:
        OutputError: there is none, or it cannot be held.
    """
    complaint = "there is no name for it"
    for folder in names:
        if _taken(folder):
            complaint = f"{folder} exists already, and nothing is overwritten"
            continue
        try:
            return _Name(folder)
        except _HeldError as held:
            complaint = str(held)
        except OSError as error:
            raise OutputError(
                f"cannot write to {folder.parent}: {error.strerror}; choose a folder with --out"
            ) from None
    raise OutputError(f"{complaint}; choose another folder with --out")


def _taken(folder: Path) -> bool:
    try:
        return folder.exists() or folder.is_symlink()
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; choose another folder with --out") from None


class _HeldError(Exception):
    """Another writer holds the name. The message says what is in the way."""


class _Name:
    """The name of a folder, held by this process. It is a context manager, which lets the name go.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._path, self._lock = folder, _hidden(folder, "lock"), -1
        self._new = [parent for parent in folder.parents if not parent.exists()]
        try:
            self._lock = self._locked()
            if _taken(folder):  # by the writer that held it until now
                raise _HeldError(f"{folder} exists already, and nothing is overwritten")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Remove the lock, and the folders on the way to it that are empty."""
        with suppress(OSError):
            if self._lock >= 0:
                self._path.unlink()
                os.close(self._lock)
        for parent in self._new:
            with suppress(OSError):
                parent.rmdir()

    def begin(self) -> Path:
        """A new hidden folder to write into; that of a killed writer is removed."""
        before, *place = os.fsdecode(os.pread(self._lock, 4096, 0)).split("\n")
        stale = self.folder.with_name(before) if before and "/" not in before else None
        if stale and stale.name.startswith(_hidden(self.folder, _PARTIAL).name) and set(place) & set(_here()):
            shutil.rmtree(stale, ignore_errors=True)
        path = _hidden(self.folder, _unique())
        path.mkdir()
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, os.fsencode("\n".join([path.name, *_here()])), 0)
        return path

    def _locked(self) -> int:
        """The open lock. Another writer may be about to remove it, or to remove the folder that it is in."""
        while True:
            try:
                self.folder.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR)) from None
            try:
                lock, new = self._opened()
            except FileNotFoundError:
                continue
            try:
                if self._got(lock, new):
                    return lock
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)

    def _opened(self) -> tuple[int, bool]:
        """The lock, and whether this process has made it."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            pass
        try:
            return os.open(self._path, os.O_RDWR), False
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise _HeldError(f"{self._path} is in the way of {self.folder} ({error.strerror})") from None

    def _got(self, lock: int, new: bool) -> bool:
        """Whether the lock is held now; not if it is no longer the one that others see."""
        try:
            if fcntl is None:
                raise OSError
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hidden = os.fsdecode(os.pread(lock, 4096, 0)).split("\n")[0] or self._path.name
            raise _HeldError(f"another hwsim is at work on {self.folder}, in {self.folder.with_name(hidden)}") from None
        except OSError:  # this file system has no locks; that the file is there says it all
            if not new:
                raise _HeldError(
                    f"{self._path} says that another hwsim is at work on {self.folder}; if none is, remove that file"
                ) from None
        try:
            return os.path.samestat(os.fstat(lock), self._path.stat())
        except FileNotFoundError:
            return False


_PARTIAL = "partial-"


def _unique() -> str:
    return f"{_PARTIAL}{uuid4().hex[:12]}"


def _hidden(path: Path, ending: str) -> Path:
    """The hidden name beside a path; a long name is shortened."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}.{ending}")


def _here() -> list[str]:
    """What tells this computer from others: the number of its start, which all its containers share, and its name."""
    names = [socket.gethostname()]
    with suppress(OSError):
        names.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    return names
