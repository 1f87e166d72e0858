"""Copies of a checkout in which tests run: side by side, each run in a process of its own with a time limit.

Processes are forks of one that has imported the libraries already, but not the package, so they start at once.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = (
    "autograd.numpy", "hypothesis", "jsonschema", "matplotlib.pyplot", "numba", "pandas", "pyarrow", "pydantic",
    "pytest", "rich.console", "scipy.stats", "simpy", "typer", "yaml",
)  # fmt: skip
"""What takes long to import, and is not under test."""

TAKEN = ("hwsim", "tests", "configs", "devices", "benchmarks", "docs", "examples")
"""What is copied, besides the files of the top folder."""

MEMORY = 8 << 30
"""Bytes that a process may take."""

Job = Callable[[Path], Any]


class Done(NamedTuple):
    """What became of a job: what it returned, or None where it was stopped or died; and seconds."""

    result: Any
    stopped: bool
    seconds: float


class Copy:
    """A copy of a checkout, and the process that is at work in it."""

    def __init__(self, checkout: Path, root: Path) -> None:
        self.root, self.process, self.begun, self.limit = root, 0, 0.0, 0.0
        root.mkdir(parents=True)
        for path in checkout.iterdir():
            if path.is_file():
                shutil.copy2(path, root)
            elif path.name in TAKEN:
                shutil.copytree(path, root / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        self._changed: tuple[Path, bytes, os.stat_result] | None = None
        self._answer, self._said = root / "answer.json", root / "said.txt"

    def change(self, file: str, change: Callable[[bytes], bytes]) -> None:
        """Change a file until `restore`."""
        path = self.root / file
        self._changed = path, path.read_bytes(), path.stat()
        path.write_bytes(change(self._changed[1]))

    def restore(self) -> None:
        """Make the changed file what it was, its time included, by which compiled code is known."""
        assert self._changed is not None
        path, held, known = self._changed
        path.write_bytes(held)
        os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
        self._changed = None

    def begin(self, job: Job, limit: float) -> None:
        """Begin a job, which gets the folder of the copy; its result has to be JSON."""
        self._answer.unlink(missing_ok=True)
        self.begun, self.limit = time.monotonic(), limit
        sys.stdout.flush()
        self.process = os.fork()
        if not self.process:
            self._carry_out(job)

    def _carry_out(self, job: Job) -> None:
        """In the new process: do the job, and end it."""
        status = 1
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            said = os.open(self._said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            os.chdir(self.root)
            os.environ["PYTHONPATH"] = str(self.root)
            os.environ.setdefault("NUMBA_CACHE_DIR", str(self.root / ".numba"))
            sys.path.insert(0, str(self.root))
            sys.dont_write_bytecode = True
            self._answer.write_text(json.dumps(job(self.root)), encoding="utf-8")
            status = 0
        finally:
            os._exit(status)

    def done(self) -> Done | None:
        """What became of the job, once it is over or has taken too long."""
        seconds = time.monotonic() - self.begun
        process, status = os.waitpid(self.process, os.WNOHANG)
        stopped = not process and seconds > self.limit
        if not process and not stopped:
            return None
        if stopped:
            os.killpg(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        self.process = 0
        answered = not stopped and status == 0 and self._answer.exists()
        return Done(json.loads(self._answer.read_text(encoding="utf-8")) if answered else None, stopped, seconds)


def import_libraries(*names: str) -> None:
    """Import what takes long and is not under test, before processes fork."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    assert "hwsim" not in sys.modules


def side_by_side(copies: list[Copy], jobs: Iterator[tuple[Any, Callable[[Copy], Job], float]]) -> Iterator[Any]:
    """Carry jobs out, one at a time in each copy.

    Args:
        jobs: for each its name, what prepares a copy and gives the job, and its time limit in seconds.

    Yields:
        Name, copy and outcome of each job when it is over; the copy is put to no other use until the next is asked for.
    """
    busy: dict[int, tuple[Any, Copy]] = {}
    free, more = list(copies), True
    try:
        while more or busy:
            while more and free:
                job = next(jobs, None)
                if job is None:
                    more = False
                    break
                name, prepare, limit = job
                copy = free.pop()
                busy[id(copy)] = name, copy
                copy.begin(prepare(copy), limit)
            for name, copy in list(busy.values()):
                outcome = copy.done()
                if outcome is not None:
                    yield name, copy, outcome
                    del busy[id(copy)]
                    free.append(copy)
            time.sleep(0.02)
    finally:
        for _, copy in busy.values():
            if copy.process:
                os.killpg(copy.process, signal.SIGKILL)
                os.waitpid(copy.process, 0)
