"""The constants of a data sheet or machine, each with its origin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hwsim.documents import Document, Place


class ListedConstant(NamedTuple):
    """One constant, or one number that is a choice.

    Attributes:
        place: its dotted key.
        value: its value as written in the file, with its unit.
        range: the lowest and the highest value that its source gives, where it gives them.
        key: the key of its source; empty for an assumed constant and for a choice.
        source: the citation.
        because: the remark on the source, the reason of the assumption, or the comment on the choice.
        kind: `"source"`, `"assumed"`, or `"choice"` for a number of the design, which needs no source.
    """

    place: str
    value: str
    range: str
    key: str
    source: str
    because: str
    kind: str


def constants(document: Document, sources: dict[str, str]) -> list[ListedConstant]:
    """All numbers of a data sheet or machine, in the order of the file.

    Args:
        document: the file, or the file merged over the one that it is `like`.
        sources: citations by key, of the file and of the files that it is `like`.
    """
    return list(_rows(document, (), sources))


def _rows(document: Document, place: Place, sources: dict[str, str]) -> Iterator[ListedConstant]:
    data = document.data
    for step in place:
        data = data[step]
    if isinstance(data, dict) and "value" in data:
        yield _row(place, data["value"], data, sources)
    elif isinstance(data, dict) and any(isinstance(data.get(key), str) for key in ("source", "because", "assumed")):
        # one origin for several numbers
        for key, value in data.items():
            if isinstance(value, dict) and _of_its_own(value):
                yield from _rows(document, (*place, key), sources)
            elif key not in ("source", "because", "assumed", "law"):
                yield from _of_origin((*place, key), value, data, sources)
    elif isinstance(data, dict):
        for key in data:
            if (*place, key) not in (("sources",), ("digital",)):
                yield from _rows(document, (*place, key), sources)
    elif isinstance(data, (int, float)) and not isinstance(data, bool):
        yield ListedConstant(_name(place), _written(data), "", "", "", _comment(document, place), "choice")


def _of_its_own(data: dict[str, Any]) -> bool:
    """Whether a part of a law, or one in it, says itself where its numbers come from."""
    own = any(isinstance(data.get(key), str) for key in ("source", "because", "assumed"))
    return own or any(isinstance(value, dict) and _of_its_own(value) for value in data.values())


def _of_origin(place: Place, value: Any, origin: dict[str, Any], sources: dict[str, str]) -> Iterator[ListedConstant]:
    """A number, or all of a part of a law, whose origin is that of the law."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _of_origin((*place, key), part, origin, sources)
    else:
        yield _row(place, value, origin, sources)


def _row(place: Place, value: Any, origin: dict[str, Any], sources: dict[str, str]) -> ListedConstant:
    limits = origin.get("range")
    between = f"{_written(limits[0])} to {_written(limits[1])}" if isinstance(limits, list) else ""
    if "assumed" in origin:
        return ListedConstant(_name(place), _written(value), between, "", "", origin["assumed"], "assumed")
    if "because" in origin:
        return ListedConstant(_name(place), _written(value), between, "", "", origin["because"], "choice")
    key, _, remark = origin["source"].partition(",")
    key = key.strip()
    return ListedConstant(_name(place), _written(value), between, key, sources.get(key, ""), remark.strip(), "source")


def _comment(document: Document, place: Place) -> str:
    """The comment on the line of a number."""
    mark = document.marks[place]
    lines = Path(mark.file).read_text(encoding="utf-8").splitlines()
    return lines[mark.line - 1].partition(" #")[2].strip()


def _name(place: Place) -> str:
    return ".".join(map(str, place))


def _written(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return "; ".join(map(_written, value)) if isinstance(value[0], list) else ", ".join(map(str, value))
