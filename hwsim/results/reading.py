"""Reading a folder of results, of a run or of a study."""

from __future__ import annotations

from pathlib import Path

from hwsim.results import run_folder, study_folder
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import StudyFolder


def read(path: str | Path) -> RunFolder | StudyFolder:
    """The folder of a run, or of a study; the study may still be running, or have been stopped.

    Raises:
        ResultsError: the folder is neither, is damaged, is of another version, or cannot be read.
    """
    folder = Path(path)
    return study_folder.read(folder) if study_folder.is_study(folder) else run_folder.read(folder)
