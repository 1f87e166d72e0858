"""Blocking: how products are cut to fit the local buffer and the multipliers, and what moves because of it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, isqrt, prod
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

from hwsim.accounts.memories import BUFFER, GRADIENT_MEMORY, SEQUENCE_MEMORY, WEIGHT_MEMORY, Move
from hwsim.accounts.passes import Occurrence
from hwsim.accounts.traffic import (
    SMALLEST,
    Crossing,
    SparseWords,
    columns_together,
    gathered,
    outer_sums,
    product,
    recurrent,
    scattered,
    sparse_sums,
    square,
    windows,
)
from hwsim.operations import BY_KIND, Traffic
from hwsim.records import Record

Reuse = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Dataflow(BaseModel, extra="forbid", frozen=True):
    """How often what was fetched is used again: it follows from sizes; reuse that is typed in is assumed."""

    batch_parallel: Annotated[
        int, Field(ge=1, description="sequences worked on together: they share fetched weights, each has its own tape")
    ] = 1
    together: Annotated[
        int | Literal["pass"] | None,
        Field(
            description="steps whose operands wait in memory, so that products outside of recurrences are taken for "
            "all of them at once: a number, or the whole `pass`; by default as many as fill a block of the local "
            "buffer, or, in a chip without addressable memory, one"
        ),
    ] = None
    weight_reuse: Annotated[
        Reuse | None, Field(description="assumed uses of a fetched weight, instead of what follows from sizes")
    ] = None
    gradient_block: Annotated[
        Reuse | None,
        Field(description="assumed outer products per access of gradient memory, instead of what follows from sizes"),
    ] = None

    @field_validator("together")
    @classmethod
    def _some(cls, together: int | str | None) -> int | str | None:
        if isinstance(together, int) and together < 1:
            raise ValueError("must be at least 1")
        return together


@lru_cache(maxsize=64)
def blocking(buffer: int, multipliers: int, flow: Dataflow, wide: float) -> Blocking:
    """The blocking for so much of a buffer and so many multipliers; the same one each time, since it remembers."""
    return Blocking(buffer, multipliers, flow, wide)


class Blocking:
    """What each record moves between the memories, the local buffer and the multipliers, in numbers per sequence.

    Products outside of recurrences are taken for a window of steps at once; their operands wait in the memory for
    sequences. Products of a recurrence are taken step by step. Sums that take no more than half of the buffer stay
    there for the whole pass; so do matrices that take no more than half of the rest, all of them, or else those of all
    recurrences. Otherwise the recurrences take turns: each has the buffer for a window, and as much of its matrices as
    fits stays there meanwhile. Behind the buffer the multipliers hold a block of results in the same way, so the same
    counts hold for reads of the buffer.

    Products with a sparse matrix are taken step by step, whether they are in a recurrence or not. Over a pass of T
    steps, z weights and z indices cross 1 time each if they stay in the buffer, T times if nothing of them does. From
    memory an index takes as many bits as it has; in the buffer, the place of a number.

    Args:
        buffer: numbers that the local buffer holds.
        multipliers: how many there are; each holds a sum, as wide as sums are.
        wide: numbers whose place in the buffer a sum takes.
    """

    def __init__(self, buffer: int, multipliers: int, flow: Dataflow, wide: float = 1.0) -> None:
        self.buffer, self.flow, self.wide = max(buffer, SMALLEST), flow, wide
        self._known: dict[tuple[Traffic, tuple[int, ...], Occurrence], list[Move]] = {}
        self.multipliers = multipliers + isqrt(multipliers) + 1  # a block of sums, a line of operands, and a number

    def window(self, steps: int) -> int:
        """How many steps of a pass are taken together."""
        if self.flow.together is None:
            return min(steps, ceil(square(self.buffer) / self.flow.batch_parallel))
        return steps if self.flow.together == "pass" else min(steps, self.flow.together)

    def waits(self, where: Occurrence) -> bool:
        """Whether a result waits in the memory for sequences, since something takes it for many steps at once."""
        return where.awaited and self.window(where.steps) > 1

    def moves(self, record: Record, where: Occurrence) -> list[Move]:
        """What a record moves, apart from storages that it reads or writes."""
        key = BY_KIND[record.kind].traffic, record.size, where
        if key not in self._known:
            self._known[key] = self._moves(*key)
        return self._known[key]

    def _moves(self, traffic: Traffic, size: tuple[int, ...], where: Occurrence) -> list[Move]:
        match traffic:
            case Traffic.PRODUCT:
                return self._product(size[-2], size[-1], prod(size[:-2]), where)
            case Traffic.TRANSPOSED_PRODUCT:
                return self._product(size[-1], size[-2], prod(size[:-2]), where)
            case Traffic.OUTER_SUMS:
                return self._outer(size[0], size[1], where)
            case Traffic.SPARSE_PRODUCT | Traffic.SPARSE_TRANSPOSED_PRODUCT:
                return self._sparse_product(traffic, size, where)
            case Traffic.SPARSE_MATRIX:
                rows, fan_in, columns = size
                return self._connections(rows * fan_in, columns, where, rows * fan_in)
            case Traffic.SPARSE_OUTER_SUMS:
                return self._sparse_outer(size, where)
            case Traffic.CHANGES:
                return self._changes(prod(size[-2:]))
            case Traffic.OUTER_CHANGES:
                return self._outer_changes(size[-2], size[-1])
            case Traffic.SUMS:
                return self._sums(prod(size), where)
            case Traffic.MATRIX:
                return self._fetch(prod(size), where)
            case Traffic.COEFFICIENTS:
                return self._coefficients(size[-1], where)
            case Traffic.MODE_COEFFICIENTS:
                return self._coefficients(size[-1] // 2, where)
            case Traffic.DOT_PRODUCTS:
                return self._within(prod(size) + size[-1], product(size[-2], 1, size[-1], self.multipliers))
            case Traffic.DECOMPOSITION:  # n³/3 products
                n = size[-1]
                return self._within(n * n + n, product(n, n, max(1, n // 3), self.multipliers))
            case Traffic.ORTHOGONALISATION:  # k² n products
                return self._within(prod(size), product(size[-2], size[-2], size[-1], self.multipliers))
        return []

    # ---- products with matrices ------------------------------------------------------------------------------

    def _product(self, m: int, k: int, vectors: int, where: Occurrence) -> list[Move]:
        """A matrix `(m, k)` times so many vectors."""
        columns, share = self.flow.batch_parallel * vectors, self._share(where)
        if where.recurrent:
            weights, operands = self._streamed(m * k, where) * share, 0.0
            used = product(m, columns, k, self.multipliers)
            reads = (used.a + used.b) / self.flow.batch_parallel
        else:
            window = self.window(where.steps)
            moved = columns_together(m, k, where.steps, columns, window, self._left(where))
            used = columns_together(m, k, where.steps, columns, window, self.multipliers)
            weights, reads = (m * k if self._stay(where) else moved.a) * share, (used.a + used.b) * share
            operands = moved.b * share if window > 1 else 0.0
        if self.flow.weight_reuse is not None:
            weights = m * k / (self.flow.weight_reuse * self.flow.batch_parallel)
        return [
            Move(WEIGHT_MEMORY, "read", weights, self.flow.weight_reuse is not None),
            Move(SEQUENCE_MEMORY, "read", operands),
            Move(BUFFER, "write", weights + (operands or k * vectors)),
            Move(BUFFER, "read", reads),
        ]

    def _streamed(self, numbers: int, where: Occurrence) -> float:
        """Numbers of a matrix that a pass fetches if it needs them at each step."""
        if self._staying(where):
            return numbers
        pinned = numbers * min(self._free(where), where.matrices) // where.matrices if where.matrices else 0
        turns = windows(where.steps, self.window(where.steps))
        return sum(times * recurrent(numbers, length, pinned) for length, times in turns)

    def _fetch(self, numbers: int, where: Occurrence) -> list[Move]:
        """Parameters as plain numbers."""
        batch, reuse = self.flow.batch_parallel, self.flow.weight_reuse
        if reuse is not None:
            fetched = numbers / (reuse * batch)
        elif where.recurrent:
            fetched = self._streamed(numbers, where) * self._share(where)
        elif self._stay(where):
            fetched = numbers * self._share(where)
        else:
            fetched = numbers / (self.window(where.steps) * batch)
        return self._weights(fetched, numbers / batch, reuse is not None)

    # ---- sparse matrices -------------------------------------------------------------------------------------

    def _sparse_product(self, traffic: Traffic, size: tuple[int, ...], where: Occurrence) -> list[Move]:
        """A sparse matrix, or its transpose, times so many vectors."""
        *bundle, rows, fan_in, columns = size
        batch, vectors, forward = self.flow.batch_parallel, prod(bundle), traffic is Traffic.SPARSE_PRODUCT
        used = (gathered if forward else scattered)(rows, fan_in, batch * vectors, self.multipliers)
        return [
            *self._connections(rows * fan_in, columns, where, used.nonzeros / batch),
            Move(BUFFER, "write", (columns if forward else rows) * vectors),
            *self._used(used),
        ]

    def _sparse_outer(self, size: tuple[int, ...], where: Occurrence) -> list[Move]:
        """Sums of outer products of vectors at the connections of a sparse matrix."""
        (rows, fan_in, columns), batch = size, self.flow.batch_parallel
        numbers = rows * fan_in
        used, accessed = sparse_sums(rows, fan_in, batch), self._accessed(numbers, where, 1)
        return [
            *self._sums(numbers, where, 1),
            *self._indices(numbers, columns, where, used.nonzeros / batch),
            Move(BUFFER, "write", rows + columns),
            *self._used(used),
            *(Move(BUFFER, way, accessed, sums=True) for way in ("write", "read")),
        ]

    def _connections(self, numbers: int, columns: int, where: Occurrence, used: float) -> list[Move]:
        """Weights, each with its index."""
        weights = self._weights(self._step_by_step(numbers, where), used, self.flow.weight_reuse is not None)
        return weights + self._indices(numbers, columns, where, used)

    def _indices(self, numbers: int, columns: int, where: Occurrence, used: float) -> list[Move]:
        """Indices of connections, of as many bits as name one of the columns."""
        fetched = self._step_by_step(numbers, where)
        memory, *buffer = self._weights(fetched, used, self.flow.weight_reuse is not None)
        return [memory._replace(bits=(columns - 1).bit_length() or 1), *buffer]

    def _used(self, words: SparseWords) -> list[Move]:
        """Operands and sums between the buffer and the vector unit."""
        batch = self.flow.batch_parallel
        sums = (Move(BUFFER, way, words.sums / batch, sums=True) for way in ("read", "write"))
        return [Move(BUFFER, "read", words.operands / batch), *sums]

    def _step_by_step(self, numbers: int, where: Occurrence) -> float:
        """Numbers of a matrix that are fetched per step and sequence, if no steps are taken together."""
        if self.flow.weight_reuse is not None:
            return numbers / (self.flow.weight_reuse * self.flow.batch_parallel)
        if where.recurrent:
            return self._streamed(numbers, where) * self._share(where)
        return numbers * self._share(where) * (1 if self._stay(where) else where.steps)

    # ---- coefficients ----------------------------------------------------------------------------------------

    def _coefficients(self, numbers: int, where: Occurrence) -> list[Move]:
        """A number per wire: fetched once per pass, and read from the buffer once per vector, or per window."""
        batch, reuse = self.flow.batch_parallel, self.flow.weight_reuse
        fetched = numbers * self._share(where) if reuse is None else numbers / (reuse * batch)
        together = 1 if where.recurrent else self.window(where.steps)
        return self._weights(fetched, numbers / (batch * together), reuse is not None)

    def _weights(self, fetched: float, used: float, assumed: bool) -> list[Move]:
        return [
            Move(WEIGHT_MEMORY, "read", fetched, assumed),
            Move(BUFFER, "write", fetched),
            Move(BUFFER, "read", used),
        ]

    # ---- sums ------------------------------------------------------------------------------------------------

    def _outer(self, rows: int, columns: int, where: Occurrence) -> list[Move]:
        """Sums of outer products of vectors."""
        batch, share, window = self.flow.batch_parallel, self._share(where), self.window(where.steps)
        blocks = max(SMALLEST, int(self._left(where) / self.wide))  # as if factors were as wide as the sums
        moved = outer_sums(rows, columns, where.steps, batch, window, blocks)
        used = outer_sums(rows, columns, where.steps, batch, window, self.multipliers)
        factors, sums = moved.factors * share if window > 1 else 0.0, self._accessed(rows * columns, where)
        return [
            *self._sums(rows * columns, where),
            Move(SEQUENCE_MEMORY, "read", factors),
            Move(BUFFER, "write", factors or rows + columns),
            Move(BUFFER, "read", used.factors * share),
            Move(BUFFER, "write", sums + used.sums_written * share, sums=True),
            Move(BUFFER, "read", sums + used.sums_read * share, sums=True),
        ]

    def _sums(self, numbers: int, where: Occurrence, window: int | None = None) -> list[Move]:
        accessed, assumed = self._accessed(numbers, where, window), self.flow.gradient_block is not None
        return [Move(GRADIENT_MEMORY, way, accessed, assumed, sums=True) for way in ("read", "write")]

    def _accessed(self, numbers: int, where: Occurrence, window: int | None = None) -> float:
        """Sums that are read, and written, per step; once per window unless they stay."""
        batch = self.flow.batch_parallel
        if self.flow.gradient_block is not None:
            return numbers / (self.flow.gradient_block * batch)
        if self._resident(where):
            return numbers * self._share(where)
        times = sum(times for _, times in windows(where.steps, window or self.window(where.steps)))
        return numbers * times * self._share(where)

    # ---- weights that change at the end of a step ----------------------------------------------------------------

    def _changes(self, numbers: int) -> list[Move]:
        """Weights, each of which gets a new value at once: the next step needs it."""
        each = numbers / self.flow.batch_parallel
        return [Move(WEIGHT_MEMORY, way, each, sums=True) for way in ("read", "write")]

    def _outer_changes(self, rows: int, columns: int) -> list[Move]:
        """Weights that get outer products of vectors, block by block; both factors come through the buffer."""
        batch, each = self.flow.batch_parallel, rows * columns / self.flow.batch_parallel
        used = outer_sums(rows, columns, 1, batch, 1, self.multipliers)
        return [
            *self._changes(rows * columns),
            Move(BUFFER, "write", rows + columns),
            Move(BUFFER, "read", used.factors / batch),
            *(Move(BUFFER, way, each, sums=True) for way in ("write", "read")),
        ]

    # ---- the buffer ------------------------------------------------------------------------------------------

    def _within(self, written: int, used: Crossing) -> list[Move]:
        """Products of values that were made in the step."""
        return [Move(BUFFER, "write", written), Move(BUFFER, "read", used.a + used.b)]

    def _resident(self, where: Occurrence) -> bool:
        """Whether all sums of a pass stay in the buffer."""
        return 2 * where.sums * self.wide <= self.buffer

    def _free(self, where: Occurrence) -> int:
        """What sums that stay leave of the buffer."""
        return self.buffer - ceil(where.sums * self.wide) if self._resident(where) else self.buffer

    def _stay(self, where: Occurrence) -> bool:
        """Whether all matrices of a pass stay in the buffer."""
        return 0 < 2 * where.weights <= self._free(where)

    def _staying(self, where: Occurrence) -> int:
        """Numbers of matrices that stay in the buffer for the whole pass: all, those of all recurrences, or none."""
        if self._stay(where):
            return where.weights
        return where.recurrences if 2 * where.recurrences <= self._free(where) else 0

    def _left(self, where: Occurrence) -> int:
        """What is left of the buffer for blocks of products."""
        return self._free(where) - self._staying(where)

    def _share(self, where: Occurrence) -> float:
        """Of a pass, one step of one sequence."""
        return 1 / (where.steps * self.flow.batch_parallel)
