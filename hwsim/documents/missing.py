"""Files that are not there: which ones a user may have meant."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path

from hwsim.documents.check import cut, nearest

_LONGEST = 300
"""Letters of a path that a message repeats in full."""
_YAML = (".yaml", ".yml")
_MOST = 10_000
"""Names in a folder that are looked at."""


def missing(path: str | Path) -> str:
    """The message about a file that is not there, with the nearest one of its kind."""
    shown = repr(str(path))
    return f"no file {shown if len(shown) <= _LONGEST else cut(shown)}{did_you_mean(path)}"


def did_you_mean(path: str | Path) -> str:
    """The end of such a message; empty if no file is near."""
    close = near_file(path)
    return f"; did you mean {str(close)!r}?" if close else ""


def near_file(path: str | Path) -> Path | None:
    """The file that a path may stand for, each of its folders and its name mended where they are not there.

    Only files with the same ending are likened to it; None if there is none, or if none is near.
    """
    path = Path(path)
    found = Path(path.anchor)
    with suppress(OSError, ValueError):
        for part in path.parts[len(found.parts) :]:
            last = part == path.name and len(found.parts) == len(path.parts) - 1
            if not (found / part).exists():
                near = nearest(part, _beside(found, path.suffix if last else None))
                if not near:
                    return None
                part = near[0]
            found = found / part
        return found if found.is_file() and found != path else None
    return None


def _beside(folder: Path, suffix: str | None) -> list[str]:
    """Names in a folder: of its files with an ending, or of its folders."""
    each = islice(folder.iterdir(), _MOST)
    if suffix is None:
        return [entry.name for entry in each if entry.is_dir()]
    endings = _YAML if suffix in _YAML else (suffix,)
    return [entry.name for entry in each if entry.suffix in endings and entry.is_file()]
