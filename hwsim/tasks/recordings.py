"""The recordings of the Free Spoken Digit Dataset: 3000 utterances of ten digits by six speakers, at 8 kHz.

Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas and A. Thite, github.com/Jakobovski/free-spoken-digit-dataset,
CC BY-SA 4.0. They are not part of the package; `hwsim data fetch spoken_digits` puts them into the data folder.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsim.errors import DataError
from hwsim.tasks.folder import data_folder

RATE = 8000
NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
ARCHIVE = "fsdd_8k_int16.npz"
COMMIT = "b5716ae182378c602e275e8a1260f92ac1689948"
SOURCE = f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{COMMIT}.tar.gz"
UTTERANCES = 3000
LONGEST = 30 * RATE
"""Samples of a recording beyond which it is none of these; the longest takes 2.3 s."""
CONTENT = "b3f3a2255622f457086f42576637d56901fb60137442db0b2dcd06e6ed32848d"
"""SHA-256 of all recordings, as `digest` finds it."""


class Utterance(NamedTuple):
    """One recording: which digit, by whom, its number among those of that digit and speaker, and its 16-bit samples."""

    digit: int
    speaker: str
    number: int
    samples: np.ndarray

    @property
    def tested(self) -> bool:
        """Whether it is of the official test set: numbers 0 to 4 of each digit and speaker."""
        return self.number < 5


def read(folder: Path | None = None) -> list[Utterance]:
    """All recordings, by digit, speaker and number.

    They are in `fsdd/recordings/` as they were published, `{digit}_{speaker}_{number}.wav`, or in one archive
    `fsdd/fsdd_8k_int16.npz`, which holds arrays `audio` (all samples in a row), `offset` (where each recording starts,
    and the end), `label`, `speaker` and `index` (one a recording), and `speakers` (names).

    Raises:
        DataError: recordings are missing, damaged, or not those of the data set.
    """
    place = data_folder(folder) / "fsdd"
    if (place / "recordings").is_dir():
        where, found = place / "recordings", list(_of_files(place / "recordings"))
    elif (place / ARCHIVE).exists():
        where, found = place / ARCHIVE, list(_of_archive(place / ARCHIVE))
    else:
        raise DataError(
            f"the Free Spoken Digit Dataset is not in {place}: neither recordings/ with files such as "
            f"7_jackson_32.wav nor {ARCHIVE} is there. Run `hwsim data fetch spoken_digits`, or say where it is with "
            "--data FOLDER or the environment variable HWSIM_DATA (the folder that contains fsdd/)"
        )
    found.sort(key=lambda each: each[:3])
    if len(found) != UTTERANCES:
        raise DataError(f"{where} has {len(found)} recordings; the data set has {UTTERANCES}, 50 a digit and speaker")
    if digest(found) != CONTENT:
        raise DataError(f"{where} does not hold the recordings that it should (another version, or damaged)")
    return found


def digest(found: list[Utterance]) -> str:
    """SHA-256 of names, numbers of samples, and samples."""
    checksum = hashlib.sha256()
    for digit, speaker, number, samples in found:
        checksum.update(f"{digit}_{speaker}_{number}: {len(samples)}\n".encode())
        checksum.update(samples.astype("<i2").tobytes())
    return checksum.hexdigest()


def fetch(folder: Path | None = None) -> Path:
    """Download the recordings, unless they are there.

    Raises:
        DataError: they cannot be downloaded, or are not those that they should be.
    """
    import pooch

    place = data_folder(folder) / "fsdd"
    if (place / "recordings").is_dir() or (place / ARCHIVE).exists():
        read(folder)
        return place
    try:
        packed = Path(pooch.retrieve(SOURCE, None, "fsdd.tar.gz", place, progressbar=False))
    except Exception as error:  # pooch raises whatever the network layer does
        raise DataError(f"the Free Spoken Digit Dataset could not be fetched: {SOURCE}: {error}") from None
    try:
        _unpack(packed, place / "recordings")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{SOURCE} gave no archive that can be unpacked ({error})") from None
    finally:
        packed.unlink(missing_ok=True)
    read(folder)
    return place


def _unpack(packed: Path, place: Path) -> None:
    """Write the recordings of the published archive into a folder, whatever else is in it."""
    place.mkdir(parents=True, exist_ok=True)
    with tarfile.open(packed) as archive:
        for member in archive:
            name = Path(member.name)
            if member.isfile() and name.parent.name == "recordings" and NAME.fullmatch(name.name):
                stream = archive.extractfile(member)
                assert stream is not None  # of a plain file
                (place / name.name).write_bytes(stream.read(2 * LONGEST))


def _of_files(place: Path) -> Iterator[Utterance]:
    for path in sorted(place.glob("*.wav")):
        name = NAME.fullmatch(path.name)
        if name is None:
            raise DataError(f"{path}: recordings are called digit_speaker_number.wav, such as 7_jackson_32.wav")
        yield Utterance(int(name[1]), name[2], int(name[3]), _samples(path))


def _samples(path: Path) -> np.ndarray:
    try:
        with wave.open(str(path)) as sound:
            kind = sound.getnchannels(), 8 * sound.getsampwidth(), sound.getframerate()
            if kind != (1, 16, RATE):
                raise DataError(
                    f"{path} has {kind[0]} channels of {kind[1]} bits at {kind[2]} Hz; recordings have 1 of 16 bits at "
                    f"{RATE} Hz"
                )
            content = sound.readframes(LONGEST)
    except (wave.Error, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as a recording ({error})") from None
    return np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.int16)


def _of_archive(path: Path) -> Iterator[Utterance]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            audio, offset, speakers = archive["audio"], archive["offset"], archive["speakers"]
            rows = list(zip(archive["label"], archive["speaker"], archive["index"], strict=True))
            for (digit, speaker, index), start, stop in zip(rows, offset[:-1], offset[1:], strict=True):
                yield Utterance(int(digit), str(speakers[speaker]), int(index), audio[start:stop])
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} cannot be read as an archive of recordings ({error})") from None
