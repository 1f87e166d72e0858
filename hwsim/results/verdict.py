"""The folder of a verdict on a device: its parts, each written as a whole, and what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hwsim import documents
from hwsim.errors import OutputError, ResultsError
from hwsim.results import checksums, limits_folder, run_folder, study_folder
from hwsim.results.checksums import CHECKSUMS
from hwsim.results.limits_folder import LimitsFolder
from hwsim.results.run_folder import RunFolder
from hwsim.results.specification import Specification
from hwsim.results.study_folder import StudyFolder
from hwsim.results.whole import replace, written_whole

ASKED, SPECIFICATION, PAGE = "verdict.yaml", "specification.json", "verdict.html"
_TABLE = "specification.csv"
LEARNING, BESIDE, LIMITS, NEEDED = "learning", "beside", "limits", "specification"

FORWARD, DIGITAL, LOOP = "forward rule", "digital BPTT", "in-the-loop BPTT"
"""What systems are called."""
CONTROL = "idealized"
"""The device that others trained in place are held against: its pulses are small, alike and symmetric."""


class VerdictFolder(NamedTuple):
    """A verdict on a device, from its folder.

    Attributes:
        path: where it is.
        asked: what was asked: the device with all its numbers, and the size.
        learning: how it learns, beside references: a run, or a study.
        limits: what limits the machine.
        specifications: what its properties would have to be, by one measure or by several.
        beside: how it learns beside shipped devices, in place if it has a law of pulses: a run, or a study.
    """

    path: Path
    asked: dict[str, Any]
    learning: RunFolder | StudyFolder
    limits: LimitsFolder
    specifications: list[Specification]
    beside: RunFolder | StudyFolder | None

    def __repr__(self) -> str:
        return f"<VerdictFolder {self.path}: a {self.asked['size']['name']} verdict on {self.asked['device']['name']}>"

    @property
    def in_place(self) -> bool:
        """Whether devices beside each other are trained by pulses."""
        return "in_place" in self.asked


def place(out: Path | None, name: str, size: str) -> Path:
    """The folder of a verdict: `out`, or `verdicts/NAME`, with the size behind it unless it is small."""
    called = name if size == "small" else f"{name} {size}"
    return Path("verdicts") / called.replace(" ", "_").replace("/", "_") if out is None else out


def begin(folder: Path, asked: dict[str, Any]) -> None:
    """Make the folder of a verdict, or go on in the folder of the same one.

    Raises:
        OutputError: it holds something else, or cannot be written.
    """
    path, now = folder / ASKED, json.loads(json.dumps(asked))
    try:
        if path.is_file():
            if documents.read(path).data != now:
                raise OutputError(
                    f"{folder} holds a verdict on another device, of another size or by another version of hwsim; "
                    "choose another folder with --out"
                )
            return
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder} exists already, and is no verdict; choose another folder with --out")
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, documents.dump(now).encode())
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; choose another folder with --out") from None


def once(folder: Path, name: str, write: Callable[[Path], None]) -> bool:
    """Write a part into a folder of its own, unless it is there as a whole already; whether it was written."""
    if (folder / name).is_dir():
        return False
    with written_whole([folder / name]) as unfinished:
        write(unfinished.path)
    return True


def write_specification(found: Specification, folder: Path) -> None:
    """Write a specification into an empty folder: all of it, its table, and their checksums."""
    (folder / SPECIFICATION).write_text(json.dumps(found.plain(), indent=2) + "\n", encoding="utf-8")
    found.table.to_csv(folder / _TABLE, index=False, lineterminator="\n")
    checksums.write(folder, (SPECIFICATION, _TABLE))


def read_specification(folder: Path) -> Specification:
    """The specification in a folder.

    Raises:
        ResultsError: it is not there, or is not as it was written.
    """
    again = f"remove {folder} and repeat the command of the verdict"
    missing = [name for name in (SPECIFICATION, _TABLE, CHECKSUMS) if not (folder / name).is_file()]
    if missing:
        raise ResultsError(f"{folder} is incomplete: {', '.join(missing)} is missing; {again}")
    checksums.check(folder, (SPECIFICATION, _TABLE), again)
    path = folder / SPECIFICATION
    try:
        return Specification.of(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise ResultsError(f"{path}: what stands there does not fit together ({error}); {again}") from None


def is_verdict(path: Path) -> bool:
    """Whether a folder is one of a verdict, finished or not."""
    try:
        return (path / ASKED).is_file()
    except OSError:
        return False


def read(path: str | Path) -> VerdictFolder:
    """The verdict in a folder.

    Raises:
        ResultsError: it is not whole, or is damaged.
    """
    folder = Path(path)
    for name in (ASKED, LEARNING, LIMITS, NEEDED):
        if not (folder / name).exists():
            raise ResultsError(f"{folder} is no finished verdict: {name} is missing; the command that began it goes on")
    names = NEEDED, f"{NEEDED}_change", f"{NEEDED}_accuracy"
    specifications = [read_specification(path) for name in names if (path := folder / name).is_dir()]
    beside = folder / BESIDE
    return VerdictFolder(
        folder,
        documents.read(folder / ASKED).data,
        _results(folder / LEARNING),
        limits_folder.read(folder / LIMITS),
        specifications,
        _results(beside) if beside.is_dir() else None,
    )


def _results(folder: Path) -> RunFolder | StudyFolder:
    return study_folder.read(folder) if study_folder.is_study(folder) else run_folder.read(folder)
