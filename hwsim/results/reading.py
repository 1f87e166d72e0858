"""A folder of results, read back: of a run, or of a study."""

from __future__ import annotations

from pathlib import Path

from hwsim.results import run_folder, study_folder
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import StudyFolder


def read(path: str | Path) -> RunFolder | StudyFolder:
    """The folder of a run, or that of a study, which may be at work in it or have been stopped.

    Raises:
        ResultsError: it is neither, damaged, of another version, or may not be read.
    """
    folder = Path(path)
    return study_folder.read(folder) if study_folder.is_study(folder) else run_folder.read(folder)
