"""Traffic of matrix products: words that cross between a memory and the local buffer in front of the multipliers.

The buffer is managed by software: it holds what the schedule says, and nothing else. (A cache that evicts what was used
least recently needs about twice the capacity for the same traffic.) The schedules are those of the textbook; none of
them moves fewer words than the lower bound of Smith, Lowery, Langou and van de Geijn, "A tight I/O lower bound for
matrix multiplication", arXiv:1702.02017, 2017, and the tests walk each of them word by word.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, sqrt
from typing import NamedTuple

SMALLEST = 3
"""Words of a buffer that can multiply at all: one of each operand, and one of the result."""


class Crossing(NamedTuple):
    """Words of C = A B, or C += A B, that cross, by operand.

    Attributes:
        a, b: read.
        c_read: read, since sums go on.
        c_write: written.
    """

    a: int
    b: int
    c_read: int
    c_write: int

    @property
    def total(self) -> int:
        return self.a + self.b + self.c_read + self.c_write


def lower_bound(m: int, n: int, k: int, words: int) -> float:
    """The fewest words that any schedule of the m n k multiply-adds of C = A B can move through a buffer of `words`.

    The larger of 2 m n k / √S - 2 S and the compulsory m k + k n + m n.
    """
    return max(2 * m * n * k / sqrt(words) - 2 * words, m * k + k * n + m * n)


def square(words: int) -> int:
    """The side of the largest square block of C that a buffer holds: b² + b + 1 ≤ S."""
    return max(1, int((sqrt(max(4 * words - 3, 1)) - 1) / 2))


@lru_cache(maxsize=4096)
def product(m: int, n: int, k: int, words: int, added: bool = False) -> Crossing:
    """C = A B with A `(m, k)`, B `(k, n)`, in the schedule that moves the fewest words.

    An operand that fits stays in the buffer as a whole, with a line of sums or of the other operand, and everything
    crosses once. Otherwise a block of C stays until it is finished, while a line of the other operands goes by.

    Args:
        words: that the buffer holds, at least `SMALLEST`.
        added: whether C is added to.
    """
    if words < SMALLEST:
        raise ValueError(f"a buffer of {words} words cannot multiply; it takes {SMALLEST}")
    c_read = m * n if added else 0
    if m * k + m + 1 <= words or k * n + n + 1 <= words:
        return Crossing(m * k, k * n, c_read, m * n)
    rows, columns = block(m, n, words)
    return Crossing(m * k * ceil(n / columns), k * n * ceil(m / rows), c_read, m * n)


@lru_cache(maxsize=4096)
def block(m: int, n: int, words: int) -> tuple[int, int]:
    """Rows and columns of the block of C `(m, n)` that moves the fewest words of A and B through the buffer.

    Beside the block the buffer holds a line of one operand, the shorter one, and a number of the other. Of blocks that
    move as few, it is the one of the fewest rows.
    """
    best, found = None, (1, 1)
    for rows in range(1, min(m, words - 2) + 1):
        columns = min(n, max((words - 1 - rows) // rows, (words - 1) // (rows + 1)))
        moved = ceil(n / columns) * m + ceil(m / rows) * n
        if best is None or moved < best:
            best, found = moved, (rows, columns)
    return found


class Sums(NamedTuple):
    """Words of sums of outer products G += Σ d xᵀ over a pass, by operand.

    Attributes:
        factors: d and x, read.
        sums_read, sums_written: G.
    """

    factors: int
    sums_read: int
    sums_written: int


def outer_sums(rows: int, columns: int, steps: int, batch: int, window: int, words: int) -> Sums:
    """G `(rows, columns)` += Σ d xᵀ over the steps of a pass and the sequences that are worked on together.

    The factors of `window` steps wait in memory; then their products are summed block by block, and each block of G is
    read and written once per window.
    """
    factors = sums = 0
    for length, times in windows(steps, window):
        moved = product(rows, columns, length * batch, words, added=True)
        factors += times * (moved.a + moved.b)
        sums += times * rows * columns
    return Sums(factors, sums, sums)


def columns_together(m: int, k: int, steps: int, batch: int, window: int, words: int) -> Crossing:
    """Y = W X with W `(m, k)` for the steps of a pass; those of a window, and all sequences, are taken together."""
    total = Crossing(0, 0, 0, 0)
    for length, times in windows(steps, window):
        moved = product(m, length * batch, k, words)
        total = Crossing(*(have + times * more for have, more in zip(total, moved, strict=True)))
    return total


def windows(steps: int, window: int) -> list[tuple[int, int]]:
    """A pass cut into windows: `(steps of a window, how many there are of it)`."""
    full, rest = divmod(steps, window)
    return [(length, times) for length, times in ((window, full), (rest, 1)) if length and times]


def recurrent(weights: int, steps: int, pinned: int) -> int:
    """Words of W that are read when h ← f(W h) takes step after step, of which `pinned` stay in the buffer.

    Whatever is not pinned crosses in each step: time cannot enter the reuse of a matrix that is not held, only a batch
    can. Pinning is optimal (Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
    Journal 5, 1966, with bypass).
    """
    pinned = min(pinned, weights)
    return pinned + steps * (weights - pinned)


class SparseWords(NamedTuple):
    """Words of a product with a sparse matrix that cross between the buffer and the registers of the vector unit.

    Attributes:
        nonzeros: weights that are read, and as many indices; sums of outer products need the indices alone.
        operands: read.
        sums: read, and as many written.
    """

    nonzeros: int
    operands: int
    sums: int


def gathered(rows: int, fan_in: int, vectors: int, words: int) -> SparseWords:
    """Y = W X with `fan_in` nonzeros in each of the rows of W, for so many columns of X at once.

    Row by row: the registers hold a weight, its index, an operand, and a sum for each of `words` - 3 columns of X. A
    weight and its index are read once per so many columns; each product reads an operand from a place of its own.
    """
    nonzeros = rows * fan_in
    return SparseWords(nonzeros * ceil(vectors / max(1, words - 3)), nonzeros * vectors, 0)


def scattered(rows: int, fan_in: int, vectors: int, words: int) -> SparseWords:
    """Y = Wᵀ E with the same W: the registers hold numbers of a row of E instead, and a sum.

    Each product is added to a sum at a place of its own, which is read and written.
    """
    nonzeros = rows * fan_in
    return SparseWords(nonzeros * ceil(vectors / max(1, words - 3)), rows * vectors, nonzeros * vectors)


def sparse_sums(rows: int, fan_in: int, vectors: int) -> SparseWords:
    """G += D Xᵀ at the nonzeros of W: a sum and its index stay while both factors of its products go by."""
    nonzeros = rows * fan_in
    return SparseWords(nonzeros, 2 * nonzeros * vectors, nonzeros)
