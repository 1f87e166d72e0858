"""The memory of this computer: what would not fit is refused before any of it is taken."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import psutil

from hwsim.errors import MemoryEstimateError
from hwsim.quantities import si

_ALLOCATED = 1.45
"""What is taken of the computer for each byte that is asked for: holes in between, and compiled code. Measured."""


class Part(NamedTuple):
    """What takes memory: what it is, the bytes that are asked for, and what would make it smaller."""

    what: str
    size: int
    advice: str

    @property
    def taken(self) -> int:
        """Bytes that are taken of the computer."""
        return ceil(_ALLOCATED * self.size)


def check_memory(what: str, *parts: Part) -> None:
    """Refuse what would need more memory than is free on this computer.

    Raises:
        MemoryEstimateError: it would.
    """
    free, sizes = psutil.virtual_memory().available, [part.taken for part in parts]
    needed, most = sum(sizes), max(sizes)
    if needed > 0.9 * free:
        largest = parts[sizes.index(most)]
        of_it = f", {si(most, 'B')} of it" if len(parts) > 1 else ""
        of_it += "" if largest.what in what else f" for {largest.what}"
        raise MemoryEstimateError(
            f"{what} would take about {si(needed, 'B')} of memory{of_it}, and {si(free, 'B')} are free; "
            f"use {largest.advice}"
        )
