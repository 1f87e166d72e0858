"""The utterances of the Japanese Vowels: nine men say the vowels /ae/, as twelve numbers a frame.

M. Kudo, J. Toyama and M. Shimbo, Multidimensional curve classification using passing-through regions, Pattern
Recognition Letters 20, 1999; UCI machine learning repository, CC BY 4.0. A frame holds the cepstrum coefficients of a
linear prediction of order twelve. They are not part of the package; `hwsim data fetch japanese_vowels` takes them from
the Python package aeon, which has them as files in its format `.ts`.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsim.errors import DataError
from hwsim.tasks.folder import data_folder

WIDTH, SPEAKERS, LONGEST = 12, 9, 29
PARTS = {"train": 270, "test": 370}
"""The official split: utterances to learn from, thirty of each speaker, and to test on."""
CONTENT = "632afa0a9e396114c49c64129644c7c5cc31f32d2e72194faec25a1a075e59de"
"""SHA-256 of all utterances, as `digest` finds it."""
SOURCE = (
    "https://files.pythonhosted.org/packages/7d/49/034d8d142106e035fce019d8ee6f04d3ac8842490cd33f811d4df8e15da3/"
    "aeon-1.6.0-py3-none-any.whl"
)
SHA256 = "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409"
_INSIDE = "aeon/datasets/data/JapaneseVowels/"
_LARGEST = 2_000_000
"""Bytes of a file beyond which it is none of these; the larger one has 649132."""
_FILES = {part: f"JapaneseVowels_{part.upper()}.ts" for part in PARTS}
_ARCHIVES = {part: f"jv_{part}.npz" for part in PARTS}


class Utterance(NamedTuple):
    """One utterance: its frames, `(frames, 12)` in single precision, and who speaks, 0 to 8."""

    frames: np.ndarray
    speaker: int


def read(folder: Path | None = None) -> dict[str, list[Utterance]]:
    """All utterances of both parts, in their order.

    They are in `japanese_vowels/` as aeon has them, `JapaneseVowels_TRAIN.ts` and `JapaneseVowels_TEST.ts`, or in
    archives `jv_train.npz` and `jv_test.npz`, which hold arrays `x` (all frames in a row), `offset` (where each
    utterance starts, and the end) and `label`, 1 to 9.

    Raises:
        DataError: utterances are missing, damaged, or not those of the data set.
    """
    place = data_folder(folder) / "japanese_vowels"
    if _have(place, _FILES):
        found = {part: _of_file(place / name) for part, name in _FILES.items()}
    elif _have(place, _ARCHIVES):
        found = {part: _of_archive(place / name) for part, name in _ARCHIVES.items()}
    else:
        raise DataError(
            f"the Japanese Vowels are not in {place}: neither {' and '.join(_FILES.values())} nor "
            f"{' and '.join(_ARCHIVES.values())} are there. Run `hwsim data fetch japanese_vowels`, or say where they "
            "are with --data FOLDER or the environment variable HWSIM_DATA (the folder that contains japanese_vowels/)"
        )
    if digest(found) != CONTENT:
        raise DataError(
            f"{place} does not hold the utterances that it should (another version, or damaged); delete its files and "
            "run `hwsim data fetch japanese_vowels`"
        )
    return found


def digest(found: dict[str, list[Utterance]]) -> str:
    """SHA-256 of parts, speakers, numbers of frames, and frames."""
    checksum = hashlib.sha256()
    for part, utterances in found.items():
        for frames, speaker in utterances:
            checksum.update(f"{part} {speaker}: {len(frames)}\n".encode())
            checksum.update(frames.astype("<f4").tobytes())
    return checksum.hexdigest()


def fetch(folder: Path | None = None) -> Path:
    """Download the utterances, unless they are there.

    Raises:
        DataError: they cannot be downloaded, or are not those that they should be.
    """
    import pooch

    place = data_folder(folder) / "japanese_vowels"
    if not _have(place, _FILES) and not _have(place, _ARCHIVES):
        try:
            packed = Path(pooch.retrieve(SOURCE, f"sha256:{SHA256}", "aeon.zip", place, progressbar=False))
        except Exception as error:  # pooch raises whatever the network layer does
            raise DataError(f"the Japanese Vowels could not be fetched: {SOURCE}: {error}") from None
        try:
            with zipfile.ZipFile(packed) as archive:
                for name in _FILES.values():
                    with archive.open(_INSIDE + name) as stream:
                        (place / name).write_bytes(stream.read(_LARGEST))
        except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
            raise DataError(f"{SOURCE} gave no archive with the Japanese Vowels ({error})") from None
        finally:
            packed.unlink(missing_ok=True)
    read(folder)
    return place


def _have(place: Path, names: dict[str, str]) -> bool:
    return all((place / name).exists() for name in names.values())


def _of_file(path: Path) -> list[Utterance]:
    """The utterances of a file of aeon: after `@data`, a line each; twelve series and the speaker, between colons."""
    found, begun = list[Utterance](), False
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if begun and line.strip():
                found.append(_of_line(f"{path}, line {number}", line))
            begun = begun or line.strip().lower() == "@data"
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    return found


def _of_line(where: str, line: str) -> Utterance:
    *series, speaker = line.split(":")
    try:
        frames = np.array([[float(value) for value in each.split(",")] for each in series], np.float32).T
        return _checked(where, Utterance(frames, int(speaker) - 1))
    except ValueError as error:  # no number, or series of different length
        raise DataError(f"{where}: {WIDTH} series of numbers of one length, and the speaker ({error})") from None


def _of_archive(path: Path) -> list[Utterance]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            frames, offset, labels = archive["x"], archive["offset"], archive["label"].tolist()
        ends = zip(offset[:-1], offset[1:], labels, strict=True)
        found = [Utterance(frames[start:stop], int(label) - 1) for start, stop, label in ends]
    except (OSError, KeyError, ValueError, IndexError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} cannot be read as an archive of utterances ({error})") from None
    return [_checked(f"{path}, utterance {number}", each) for number, each in enumerate(found)]


def _checked(where: str, found: Utterance) -> Utterance:
    """An utterance of a shape that can be one of these; what it holds, the checksum tells."""
    frames, speaker = found
    if frames.ndim != 2 or frames.shape[1] != WIDTH or not 1 <= len(frames) <= LONGEST or not 0 <= speaker < SPEAKERS:
        raise DataError(f"{where}: no utterance of 1 to {LONGEST} frames of {WIDTH} numbers by one of {SPEAKERS} men")
    return found
