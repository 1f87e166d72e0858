"""Reading a folder of results: of a run, of a study, of what limits a machine, or of a verdict on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwsim.errors import HwsimError, ResultsError
from hwsim.results import limits_folder, run_folder, study_folder, verdict
from hwsim.results.limits_folder import LimitsFolder
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import StudyFolder
from hwsim.results.verdict import VerdictFolder


def read(path: str | Path) -> RunFolder | StudyFolder | LimitsFolder | VerdictFolder:
    """The folder of a run, of a study, of limits, or of a verdict; a study may still be running.

    Raises:
        ResultsError: the folder is none of them, is damaged, is of another version, or cannot be read.
    """
    folder = Path(path)
    if study_folder.is_study(folder):
        return study_folder.read(folder)
    if verdict.is_verdict(folder):
        return verdict.read(folder)
    return limits_folder.read(folder) if limits_folder.is_limits(folder) else run_folder.read(folder)


@contextmanager
def understood(*folders: Path) -> Iterator[None]:
    """While results are made into pages and tables: what a damaged folder leads to becomes an error that says so.

    Each file may be as it should, and not fit the others: a system that a table lacks, a step without a pass.

    Raises:
        ResultsError: the results do not fit together.
    """
    try:
        yield
    except HwsimError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        where, what = ", ".join(map(str, folders)), f"{type(error).__name__}: {error}"
        raise ResultsError(
            f"{where}: what stands there does not fit together ({what}); if nothing was changed by "
            "hand, hwsim is at fault: please report it"
        ) from error
