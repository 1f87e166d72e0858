"""Running a study: carry out its remaining trials, store each as it ends, and write the tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numba
import numpy

import hwsim
from hwsim import documents, tasks
from hwsim.config.grid import Grid
from hwsim.errors import ConfigError, OutputError
from hwsim.experiments.length import Length
from hwsim.experiments.study.processes import Processes, workers_here
from hwsim.experiments.study.trial import Job
from hwsim.free_memory import MemoryNeed, check_memory
from hwsim.results import study_folder
from hwsim.results.study import table
from hwsim.results.study.store import FILE, StudyProgress, TrialResult, TrialStore
from hwsim.results.study_folder import STUDY
from hwsim.results.whole import replace

MANY = 100_000
"""Largest number of trials that a study runs without `yes`."""

_A_ROW, _A_TEST = 10_000, 400
"""Bytes per row of the table, and per row of the learning curves, including what writing takes."""


class Executor(Protocol):
    """Carries out trials: processes, or a cluster."""

    def carry_out(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, TrialResult]]:
        """Each job with its result, in the order in which jobs end."""


def run(
    grid: Grid,
    folder: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    data: str | Path | None = None,
    yes: bool = False,
    retry: bool = False,
    progress: Callable[[StudyProgress], None] = lambda progress: None,
) -> StudyProgress:
    """Run a study into a folder, or go on with it, and write its tables.

    Args:
        grid: the trials.
        folder: a new folder, or the folder of the same study.
        workers: the number of processes on this computer, by default one per core; not used with a Dask cluster.
        scheduler: the address of a Dask scheduler, which replaces the processes.
        data: the folder with the data sets that are not shipped.
        yes: accept more than `MANY` trials, or a study that has changed.
        retry: run failed trials again.
        progress: called with the progress at the start, and after each trial.

    Raises:
        HwsimError: the study is invalid, or the folder, the data or the cluster cannot be used. Trials that are over
            are kept.
    """
    if grid.trials > MANY and not yes:
        raise ConfigError(f"{grid.study.name}: {grid.trials:,} trials; if that is what you want, add --yes")
    check_tables(grid)
    asked = _asked(grid)
    with opened(folder) as store:
        _compare(store, asked, folder, yes)
        if retry:
            store.forget_failed()
        now = StudyProgress.of(store.count(), grid.trials)
        if now.over < grid.trials:
            table.remove(folder)
        study_folder.unseal(folder)
        _write_study(folder, grid)
        progress(now)
        if now.over < grid.trials:
            count = min(workers or workers_here(), grid.trials - now.over)
            with _executor(grid, count, scheduler, data) as executor:
                for now in _carry_out(grid, store, executor):
                    progress(now)
        table.write(folder, grid, store)
        study_folder.seal(folder)
        return StudyProgress.of(store.count(), grid.trials)


def check_tables(grid: Grid) -> None:
    """Refuse a study whose tables would need too much memory of this computer.

    Raises:
        MemoryEstimateError: they need more than is free.
    """
    rows = tests = 0
    for experiment in grid.representatives():
        chips = sum(options.chips_simulated for options in experiment.systems().values())
        rows = max(rows, chips)
        if experiment.training and experiment.test:
            sequences = tasks.outline(experiment.task).train.batch
            tests = max(tests, chips * Length.of(experiment.training, sequences).tests)
    size = grid.trials * (rows * _A_ROW + tests * _A_TEST + 1)
    advice = "fewer points, seeds, chips or tests"
    check_memory(
        f"{grid.study.name}: the results of its {grid.trials:,} trials", MemoryNeed("its tables", size, advice)
    )


def opened(folder: Path) -> TrialStore:
    """The store of a study's folder, which may be new.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    path = folder / FILE
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file; choose another folder with --out")
        if folder.is_dir() and not path.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder} is not the folder of a study: it has no {FILE}; choose another one with --out")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; choose another folder with --out") from None
    return TrialStore(path)


def _executor(
    grid: Grid, workers: int, scheduler: str | None, data: str | Path | None
) -> AbstractContextManager[Executor]:
    where = None if data is None else str(Path(data).resolve())
    if scheduler or grid.study.dask:
        from hwsim.experiments.study.cluster import Cluster

        return Cluster(scheduler, grid.study.dask.workers if grid.study.dask else None, where)
    if not grid.study.estimate:
        tasks.check(grid.experiment(0).task, None if data is None else Path(data))
    return Processes(workers, where)


def _carry_out(grid: Grid, store: TrialStore, executor: Executor) -> Iterator[StudyProgress]:
    """Carry out the remaining trials and store them; yields the progress after each trial."""
    over, ended = bytearray(grid.trials), store.count()
    for number in store.numbers():
        over[number] = 1
    running: dict[str, Job] = {}

    def keep(numbers: list[int], trial: str, result: TrialResult) -> None:
        store.keep(numbers, trial, result)
        ended[result.status] += len(numbers)  # a new count takes longer than a short trial

    def jobs() -> Iterator[Job]:
        """The remaining jobs, seed by seed, so that the whole grid has results early."""
        for at, seed in enumerate(grid.seeds):
            for point in range(grid.points):
                number = point * len(grid.seeds) + at
                if over[number]:
                    continue
                try:
                    trial, config = identity(grid, point, seed)
                except ConfigError as error:  # parts that do not fit together
                    said = documents.anywhere(str(error))
                    trial = documents.fingerprint({"labels": grid.labels(point), "seed": seed, "error": said})
                    keep([number], trial, TrialResult("failed", said))
                    continue
                if trial in running:
                    running[trial].numbers.append(number)
                elif known := store.status_of(number, trial):
                    ended[known] += 1
                else:
                    running[trial] = Job([number], trial, config, seed, grid.study.estimate)
                    yield running[trial]

    for job, result in executor.carry_out(jobs()):
        keep(job.numbers, job.id, result)
        del running[job.id]
        yield StudyProgress.of(ended, grid.trials)


def identity(grid: Grid, point: int, seed: int) -> tuple[str, str]:
    """The hash of all data that determines a trial's results, and its experiment as JSON."""
    resolved = grid.experiment(point).resolved()
    determines = {"hwsim": hwsim.__version__, "config": {**resolved, "seed": seed}}
    trial = documents.fingerprint({**determines, "estimate": True} if grid.study.estimate else determines)
    return trial, json.dumps(resolved)


def _asked(grid: Grid) -> dict[str, Any]:
    """The data that determines the trials of a study; it is compared when the study goes on."""
    study = {key: value for key, value in grid.resolved().items() if key not in ("figures", "dask", "name")}
    software = {"hwsim": hwsim.__version__, "numpy": numpy.__version__, "numba": numba.__version__}
    return {"study": study, "files": grid.check(), "software": software}


def _compare(store: TrialStore, asked: dict[str, Any], folder: Path, yes: bool) -> None:
    before = store.asked
    if before is None:
        store.ask(asked)
        return
    differing = list(_differences(before, asked))
    if not differing:
        return
    if not yes:
        over = store.count().total()
        shown = "\n".join(f"  {line}" for line in differing[:12])
        raise OutputError(
            f"{folder} holds {over} trials of a study that differs from this one:\n{shown}\n"
            "choose another folder with --out; or add --yes to go on in this one, which keeps the trials that are "
            "the same and runs those that are not there"
        )
    store.ask(asked)


def _differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            inner = key if place in ("", "study", "software") else f"{place}.{key}"
            if key not in now or key not in before:
                yield f"{inner}: only {'here' if key in now else 'there'}"
            else:
                yield from _differences(before[key], now[key], inner)
    elif before != now:
        if place == "files":
            yield "files that the study names say something else"
        else:
            yield f"{place}: {_short(before)} there, {_short(now)} here"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _write_study(folder: Path, grid: Grid) -> None:
    try:
        replace(folder / STUDY, documents.dump(grid.resolved()).encode())
    except OSError as error:
        raise OutputError(f"cannot write {folder / STUDY}: {error.strerror}") from None
