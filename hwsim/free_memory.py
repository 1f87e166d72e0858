"""The memory of this computer: work that would not fit is refused before it allocates anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import NamedTuple

import psutil

from hwsim.errors import MemoryEstimateError
from hwsim.quantities import si

_ALLOCATED = 1.45
"""Bytes that the process takes per byte of its arrays, with fragmentation and compiled code. Measured."""


class MemoryNeed(NamedTuple):
    """A need for memory: what it is for, its size in bytes, and what would reduce it."""

    what: str
    size: int
    advice: str

    @property
    def taken(self) -> int:
        """Bytes that the process takes."""
        return ceil(_ALLOCATED * self.size)


def check_memory(what: str, *parts: MemoryNeed) -> None:
    """Refuse work that needs more memory than this computer has free.

    Raises:
        MemoryEstimateError: the parts together need more than 90 % of the free memory.
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


@contextmanager
def addressable(what: str, advice: str) -> Iterator[None]:
    """Refuse work on arrays of shapes that no array can have, even if it takes no memory.

    Raises:
        MemoryEstimateError: NumPy has refused a shape.
    """
    try:
        yield
    except ValueError as error:
        if not any(said in str(error) for said in ("too big", "too large", "Maximum allowed dimension")):
            raise
        raise MemoryEstimateError(f"{what} would take arrays larger than any memory; use {advice}") from None
