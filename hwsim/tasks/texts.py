"""Texts as numbers: the tiny Shakespeare text, fetched on demand, or a file of one's own; each character has a number.

The tiny Shakespeare text is 1,115,394 characters of plays, put together by A. Karpathy (github.com/karpathy/char-rnn,
2015); the plays are in the public domain. It is not part of the package; `hwsim data fetch characters` puts it into the
data folder.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsim.documents import missing
from hwsim.errors import DataError
from hwsim.tasks.folder import data_folder

FILE = "tinyshakespeare/input.txt"
COMMIT = "d1d7aa34fdb3626174bce1d753e6cc6845ce7087"
SOURCE = f"https://raw.githubusercontent.com/karpathy/char-rnn/{COMMIT}/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
CHARACTERS, ALPHABET = 1_115_394, 65
"""Characters of the text, and how many of them differ."""


class Text(NamedTuple):
    """A text: the number of each character, in the order of the text, and the characters in the order of numbers."""

    codes: np.ndarray
    alphabet: str


def read(name: str | None, folder: Path | None = None) -> Text:
    """The tiny Shakespeare text, or a text in UTF-8 from a file in the data folder.

    Raises:
        DataError: the text is missing, cannot be read, or is not the one that it should be.
    """
    place = data_folder(folder)
    path = place / (name or FILE)
    if not path.exists():
        hint = "" if name else "Run `hwsim data fetch characters`, or "
        where = "the tiny Shakespeare text is not there" if name is None else missing(path)
        raise DataError(
            f"{where}: the data folder is {place}, and {name or FILE} is not in it. {hint}{'s' if hint else 'S'}ay "
            "where it is with --data FOLDER or the environment variable HWSIM_DATA"
            f"{', or give an absolute path' if name else ''}"
        )
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: no text in UTF-8 (byte 0x{content[error.start]:02x})") from None
    if name is None and hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{path} is not the text it should be; delete it and run `hwsim data fetch characters`")
    return numbered(text)


def numbered(text: str) -> Text:
    """A text as numbers; characters are numbered in the order of Unicode."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    alphabet, codes = np.unique(points, return_inverse=True)
    return Text(codes.astype(np.int64), "".join(map(chr, alphabet.tolist())))


def fetch(folder: Path | None = None) -> Path:
    """Download the tiny Shakespeare text, unless it is there.

    Raises:
        DataError: it cannot be downloaded, or is not what it should be.
    """
    import pooch

    path = data_folder(folder) / FILE
    if not path.exists():
        try:
            pooch.retrieve(SOURCE, f"sha256:{SHA256}", path.name, path.parent, progressbar=False)
        except Exception as error:  # pooch raises whatever the network layer does
            raise DataError(f"the tiny Shakespeare text could not be fetched: {SOURCE}: {error}") from None
    read(None, folder)
    return path.parent
