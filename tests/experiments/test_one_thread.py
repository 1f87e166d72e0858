"""Results do not depend on how many threads a process has for linear algebra, and it has them back afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import scipy.linalg  # noqa: F401 (it has a library of its own, which is there from now on)
from threadpoolctl import threadpool_info, threadpool_limits

import hwsim
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.one_thread import one_thread
from hwsim.experiments.run import simulate

FILES = ("energy.csv", "summary.json", "metrics.csv")
WIDE: dict[str, Any] = {
    "name": "wide",
    "task": {"name": "random", "steps": 2, "width": 2, "train": 101, "test": 101},
    "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 101}}]},
    "learning": {"name": "bptt"},
    "machine": "ideal",
    "gradient_check": {"sequences": 101},
    "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 101, "steps": 2},
    "references": [{"name": "digital", "machine": "digital_45nm", "learning": {"name": "one_step"}}],
}
"""Products of a size that OpenBLAS gives to two threads, which then add up in another order."""


def counts() -> set[int]:
    """How many threads each library of linear algebra has now."""
    return {found["num_threads"] for found in threadpool_info()}


def in_a_process(folder: Path, threads: int) -> subprocess.Popen[bytes]:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    code = f"import hwsim; hwsim.run({WIDE!r}, out={str(folder)!r})"
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | dict.fromkeys(names, str(threads)))


def test_one_thread_and_two_give_the_same_bytes(tmp_path: Path) -> None:
    """That a size is split by OpenBLAS is not promised by it: 101 is one with which it was seen to be."""
    running = [in_a_process(tmp_path / str(threads), threads) for threads in (1, 2)]
    assert [process.wait() for process in running] == [0, 0]
    for name in FILES:
        one, two = ((tmp_path / str(threads) / name).read_bytes() for threads in (1, 2))
        assert one == two, name


@pytest.fixture
def two_threads() -> Any:
    with threadpool_limits(2):
        if counts() != {2}:
            pytest.skip("linear algebra has one thread here, whatever it is told")
        yield


@pytest.mark.usefixtures("two_threads")
def test_what_a_run_takes_it_gives_back(tmp_path: Path) -> None:
    seen = []
    asked = config.compose(Document("test", WIDE | {"gradient_check": None}))
    for go in (simulate, hwsim.run):
        go(asked, progress=lambda *_: seen.append(counts()))
        assert counts() == {2}
    assert len(seen) > 4
    assert all(count == {1} for count in seen)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hwsim.run(asked, out=tmp_path / "run", progress=stop)
    assert counts() == {2}


@pytest.mark.usefixtures("two_threads")
def test_blocks_may_lie_in_each_other_and_side_by_side() -> None:
    with one_thread():
        with one_thread():
            assert counts() == {1}
        assert counts() == {1}
    assert counts() == {2}
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:  # another thread has set the limit that there is
        with one_thread():
            assert counts() == {1}
            began.set()
            may_end.wait(10)
        ended.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert began.wait(10)
    with one_thread():  # begins while the first one goes on, and outlives it
        may_end.set()
        assert ended.wait(10)
        assert counts() == {1}
    thread.join()
    assert counts() == {2}
    with threadpool_limits(1):  # others can set limits as before
        assert counts() == {1}
    assert counts() == {2}
