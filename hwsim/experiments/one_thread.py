"""One thread for linear algebra, so that the same seed gives the same bytes on any number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import threadpoolctl
from threadpoolctl import threadpool_limits

_lock = Lock()
_blocks = 0
_before: threadpool_limits | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS and OpenMP to one thread: a context manager, and a decorator.

    A product that is split among threads is summed in another order, and has other last digits. The limit holds for the
    whole process: if blocks are nested, or run side by side, the last one to end restores the limits from before the
    first. It applies to the libraries that are loaded when a block begins.
    """
    global _blocks, _before
    with _lock:
        _let_go()
        limit = threadpool_limits(1)
        _blocks, _before = _blocks + 1, _before or limit
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks and _before is not None:
                _let_go()
                _before.restore_original_limits()
                _before = None
            _let_go()


def _let_go() -> None:
    """Let all Python threads set limits: in threadpoolctl 3.8, the first one silently locks out the others."""
    controller = getattr(threadpoolctl, "OpenBLASController", None)
    clear = getattr(controller, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
