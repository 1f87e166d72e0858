"""Warnings of a local Dask cluster about memory, each as one plain line; all else that it logs is kept silent.

A worker that is short of memory pauses, and a study stands still without a reason that can be seen.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

WORKER, NANNY = "distributed.worker.memory", "distributed.nanny.memory"
"""The loggers of Dask that tell of memory: in workers, and in the process that watches over them."""
_STOPPING = "is slow to"
"""In what Dask says of a worker that it stops."""


class PlainLines(logging.Handler):
    """Prints the first warning of each kind on the error stream."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        kind = str(record.msg)
        if kind not in self._said and _STOPPING not in kind:
            self._said.add(kind)
            print(f"a Dask worker is short of memory: {' '.join(record.getMessage().split())}", file=sys.stderr)


def let_through(name: str) -> PlainLines:
    """Let the warnings of a logger through, whatever silences the others."""
    logger, lines = logging.getLogger(name), PlainLines()
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers[:] = [lines]
    return lines


def dask_setup(worker: Any) -> None:
    """Let them through in a worker: Dask calls this in each that it starts with this module as a `preload`."""
    let_through(WORKER)
