"""Trials on a Dask cluster: one that is running, or one started on this computer."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import hwsim
from hwsim.errors import HwsimError
from hwsim.experiments.study import memory_warnings
from hwsim.experiments.study.trial import Job, carry_out
from hwsim.results.study.store import TrialResult

_AHEAD = 3
"""Number of trials submitted to the scheduler per thread of the cluster."""
_PATIENCE = 30
"""Seconds to wait for a scheduler, and for a worker."""


class ClusterError(HwsimError):
    """The Dask cluster cannot be used."""


class Cluster:
    """A Dask cluster. It is a context manager, which stops a cluster that it has started.

    Results are unpickled here, so a scheduler has to be trusted: its address never comes from a file.

    Other workers carry out the trials of a worker that dies; Dask gives a trial up after it has lost several workers.
    """

    def __init__(self, scheduler: str | None, workers: int | None = None, data: str | None = None) -> None:
        """Connect to the scheduler at an address, or start so many workers on this computer."""
        self._data = data
        self._futures: dict[Any, Job] = {}
        self._local: Any = None
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise ClusterError("a Dask cluster needs `pip install 'hwsim[dask]'`") from None
        try:
            if scheduler is None:
                self._local = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,  # told to stop, workers complain; errors of trials are results
                    preload=[memory_warnings.__name__],
                )
                memory_warnings.let_through(memory_warnings.NANNY)
            self._client = Client(self._local or scheduler, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            self.__exit__()
            raise ClusterError(f"cannot reach the Dask scheduler at {scheduler}: {error}") from None
        try:
            self._check()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(Exception):
            self._client.cancel(list(self._futures), force=True)
        for opened in ("_client", "_local"):
            with suppress(Exception):
                getattr(self, opened).close()

    def carry_out(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, TrialResult]]:
        """Each job with its result, in the order in which jobs end."""
        from distributed import as_completed

        ended = as_completed()
        run = uuid.uuid4().hex[:8]  # a scheduler may still hold results of other studies

        def fill() -> None:
            while len(self._futures) < _AHEAD * max(1, sum(self._client.nthreads().values())):
                job = next(jobs, None)
                if job is None:
                    return
                key = f"hwsim-{job.id[:16]}-{run}"
                asked = job.config, job.seed, self._data, job.estimate
                future = self._client.submit(carry_out, *asked, key=key, pure=False)
                self._futures[future] = job
                ended.add(future)

        fill()
        for future in ended:
            job = self._futures.pop(future)
            yield job, self._result(future)
            fill()

    def _result(self, future: Any) -> TrialResult:
        from distributed import KilledWorker

        if future.status == "finished":
            return TrialResult(*future.result())
        if future.status in ("cancelled", "lost"):
            raise ClusterError("the Dask scheduler is gone")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return TrialResult("failed", "each Dask worker that carried it out died; out of memory, perhaps")
        raise ClusterError(f"a Dask worker cannot carry trials out: {type(error).__name__}: {error}")

    def _check(self) -> None:
        """Check that there are workers, with the same versions of the software: others may give other bytes."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise ClusterError(f"the Dask cluster has no workers; none came in {_PATIENCE} s") from None
        try:
            theirs = self._client.run(_software)
        except Exception as error:
            raise ClusterError(f"hwsim cannot be imported on the workers: {error}") from None
        mine = _software()
        for worker, versions in theirs.items():
            if versions != mine:
                raise ClusterError(f"{worker} has {versions}, and this process {mine}; results might differ")


def _software() -> dict[str, str]:
    import numba
    import numpy

    return {"hwsim": hwsim.__version__, "numpy": numpy.__version__, "numba": numba.__version__}
