"""Trials in processes on this computer."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from typing import IO, Self

import psutil

from hwsim.errors import HwsimError
from hwsim.experiments.study.trial import Job
from hwsim.experiments.study.worker import ENVIRONMENT
from hwsim.results.study.store import TrialResult

_AHEAD = 2
"""Number of trials that a worker holds while trials are short: the current one and the next."""
_SHORT = 1.0
"""Longest duration of a short trial, in seconds."""


def workers_here() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1


class WorkerError(HwsimError):
    """Worker processes cannot be started."""


class _Worker:
    """A worker process, and the trials that it has not answered yet."""

    def __init__(self, answers: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        self.jobs: deque[Job] = deque()
        self.ready = False
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hwsim.experiments.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, **ENVIRONMENT},
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()

    def _listen(self, answers: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):  # otherwise it died while writing
                answers.put((self, line))
        answers.put((self, None))

    def give(self, job: Job, data: str | None) -> None:
        assert self.process.stdin is not None
        self.jobs.append(job)
        try:
            self.process.stdin.write(json.dumps([job.config, job.seed, data, job.estimate]) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it died, which `_listen` reports

    def end(self) -> str:
        """Kill the process, and say how it ended."""
        code = self.process.poll()
        if code is None:
            self.process.kill()
        code = self.process.wait() if code is None else code
        self.log.seek(0)
        last = self.log.read()[-400:].decode(errors="replace").strip().splitlines()[-1:]
        self.log.close()
        name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        hint = "; out of memory, perhaps" if code == -9 else ""
        return f"{name}{hint}" + "".join(f": {line}" for line in last)


class Processes:
    """Worker processes on this computer. It is a context manager, which ends all of them.

    A trial whose worker dies, or that has too little memory beside the others, is tried once more at the end, alone.
    """

    def __init__(self, workers: int, data: str | None = None) -> None:
        self._count, self._data = workers, data
        self._answers: queue.SimpleQueue[tuple[_Worker, str | None]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()

    def carry_out(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, TrialResult]]:
        """Each job with its result, in the order in which jobs end."""
        alone: list[Job] = []
        for job, result in self._spread(jobs, self._count):
            if result.status == "died" or (self._count > 1 and _crowded(result)):
                alone.append(job)
            else:
                yield job, result
        if alone:
            for job, result in self._spread(iter(alone), 1):
                yield job, result._replace(status="failed") if result.status == "died" else result

    def _spread(self, jobs: Iterator[Job], count: int) -> Iterator[tuple[Job, TrialResult]]:
        """Like `carry_out`, without second tries; the status is `died` if the worker died."""
        again: deque[Job] = deque()
        ahead = _AHEAD
        while len(self._workers) > count:
            self._workers.pop().end()
        while True:
            ready = [worker for worker in self._workers if worker.ready]
            for worker in sorted(ready * ahead, key=lambda worker: len(worker.jobs)):
                if len(worker.jobs) < ahead:
                    job = again.popleft() if again else next(jobs, None)
                    if job is None:
                        break
                    worker.give(job, self._data)
            if ready and not any(worker.jobs for worker in ready):
                return
            self._workers += [_Worker(self._answers) for _ in range(count - len(self._workers))]
            worker, line = self._answers.get()
            if worker not in self._workers:
                continue  # this process has ended it
            if line is None:
                self._workers.remove(worker)
                died = worker.end()
                if not worker.ready:
                    raise WorkerError(f"a worker process cannot start: {died}")
                if worker.jobs:
                    at = worker.jobs.popleft()
                    again.extend(worker.jobs)
                    yield at, TrialResult("died", f"the process that carried it out ended twice: {died}")
            elif not worker.ready:
                worker.ready = True
            else:
                result = TrialResult(*json.loads(line))
                ahead = _AHEAD if (result.wall_s or 0) < _SHORT else 1
                yield worker.jobs.popleft(), result


def _crowded(result: TrialResult) -> bool:
    """Whether a trial failed for lack of memory, and may succeed alone."""
    return any(kind in (result.traceback or "") for kind in ("MemoryEstimateError", "MemoryError"))
