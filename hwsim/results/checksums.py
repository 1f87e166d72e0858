"""Checksums of the files of a folder, in the format of `sha256sum --check`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hwsim.errors import ResultsError
from hwsim.results.whole import replace

CHECKSUMS = "SHA256SUMS"
"""The file with the checksums of all other files. It is written last: a folder that has it is whole."""


def write(folder: Path, names: Iterable[str]) -> None:
    """Write the checksums of these files.

    Raises:
        OSError: a file cannot be read, or the checksums cannot be written.
    """
    sums = "".join(f"{_checksum(folder / name)}  {name}\n" for name in names)
    replace(folder / CHECKSUMS, sums.encode())


def check(folder: Path, names: Iterable[str], again: str) -> None:
    """Refuse a folder of which a file is not as it was written.

    Args:
        names: the files that count; others may have changed.
        again: what makes the folder again.

    Raises:
        ResultsError: a file is not as it was written, or has no checksum.
    """
    path = folder / CHECKSUMS
    try:
        sums = _sums(path)
        for name in names:
            if name not in sums:
                raise ResultsError(f"{path} lacks the checksum of {name}; copy the folder again, or {again}")
            if _checksum(folder / name) != sums[name]:
                raise ResultsError(
                    f"{folder / name} is not as it was written (truncated, or changed by hand): its checksum is not "
                    f"the one in {CHECKSUMS}; copy the folder again, or {again}"
                )
    except OSError as error:
        raise ResultsError(f"{error.filename or path}: cannot be read: {error.strerror}") from None


def names(folder: Path) -> frozenset[str]:
    """The files that the checksums of a folder are of; none if they cannot be read."""
    try:
        return frozenset(_sums(folder / CHECKSUMS))
    except OSError:
        return frozenset()


def _sums(path: Path) -> dict[str, str]:
    """The checksum of each file, by its name."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: expected for expected, _, name in (line.partition("  ") for line in lines)}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
