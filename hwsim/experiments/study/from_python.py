"""A study asked for from Python: what the command `hwsim study` does, with its results as data frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwsim import documents
from hwsim.config import grid
from hwsim.documents import Document
from hwsim.experiments.study.study import run
from hwsim.results import study_folder
from hwsim.results.study.store import StudyProgress
from hwsim.results.study_folder import StudyFolder


def study(
    study: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    data: str | Path | None = None,
    yes: bool = False,
    retry: bool = False,
    progress: Callable[[StudyProgress], None] = lambda progress: None,
) -> StudyFolder:
    """Run a grid of experiments, or go on with one that was stopped; draw its figures, and read its folder.

    Args:
        study: a YAML file, the name of a shipped one, or a mapping with the same keys.
        out: the folder, by default `studies/NAME`; a study in it goes on.
        workers: processes on this computer, by default one per core.
        scheduler: the address of a Dask scheduler whose workers carry out the trials.
        data: the folder with the data sets that are not shipped.
        yes: accept more than 100,000 trials, or the folder of a study that differs.
        retry: run failed trials again.
        progress: called with the progress at the start, and after each trial.

    Raises:
        HwsimError: the study is invalid, or the folder, the data or the cluster cannot be used. Trials that are over
            are kept.
    """
    from hwsim.reports import study as report  # it loads Matplotlib

    if isinstance(study, Mapping):
        plan = grid.compose(Document("study", documents.plain(study)))
    else:
        plan = grid.load_study(study)
    folder = study_folder.place(out, plan.study.name)
    run(plan, folder, workers=workers, scheduler=scheduler, data=data, yes=yes, retry=retry, progress=progress)
    report.draw(plan, folder)
    return study_folder.read(folder)
