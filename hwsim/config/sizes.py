"""Implausible sizes: whole numbers with an exponent too many, such as a layer of 10⁹ units.

They are read from what a document says, not from what it makes, so they are told beside its errors as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.config import dotted
from hwsim.documents import Document, Place, Problem
from hwsim.quantities import si

_WIDTHS = ("units", "modes", "width", "hidden", "project")
_WIDEST = 100_000
"""Widest layer without a warning: a matrix of that many rows and columns has 10¹⁰ entries, which no computer trains in
double precision on one chip."""
_BYTES = 8
_CHIPS = 10_000
"""Largest number of simulated chips, or of sequences in a batch, without a warning."""


def implausible(document: Document) -> list[str]:
    """Warnings about the sizes in a document, each with its file, line and column."""
    found = []
    for place, text in _sizes(document.data, ()):
        mark = dotted.mark(document, place)
        found.append(str(Problem(*mark, f"warning: {'.'.join(map(str, place))}{text}; is its exponent right?")))
    return found


def _sizes(data: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(data, (dict, list)):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _sizes(value, (*place, key))
        return
    key = next((step for step in reversed(place) if isinstance(step, str)), "")
    if not isinstance(data, int) or isinstance(data, bool):
        return
    if key in _WIDTHS and "network" in place and data > _WIDEST:
        size = si(float(_BYTES) * data * data, "B")
        yield place, f" is {data:g}, and a matrix of that many rows and columns would take {size}"
    elif key in ("chips", "batch") and data > _CHIPS:
        yield place, f" is {data:g}, and all of them are simulated side by side"
