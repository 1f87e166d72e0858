"""Sparse matrices: trainable weights of fixed connections, a few per row."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from hwsim.accounts.memory import WEIGHTS
from hwsim.errors import CapabilityError
from hwsim.initial import Initial
from hwsim.machine.numerics import Primitive
from hwsim.machine.parameters import Matrix, Trainable
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Accumulator, Storage
from hwsim.operations import Held, Places, pick, sparse
from hwsim.operations.sparse import Connected, Outgoing


class SparseMatrix(Matrix):
    """A trainable matrix with a fixed number of connections per row. `W @ x` and `W.T @ e` are products with it.

    Weights are `(rows, fan-in)`, and so is the gradient. The column of each connection is drawn once and never
    written; these indices are held beside the weights, in ⌈log₂ columns⌉ bits each, and charged.

    Crossbars have no sparse matrices. A tile has a device pair at every crossing, reads whole lines, and draws the
    power of all of them, so the matrix would cost what a dense one costs, with errors at connections that it lacks.

    Args:
        columns: number of columns of the matrix.
        weights: initial weights, `(rows, fan-in)`.
        places: columns of the connections, `(rows, fan-in)`, rising in each row, as from `initial.connections`.
        of_spikes: whether what it is multiplied with is mostly zeros. Connections are then listed by column as well,
            and a product goes through those of the columns that fired, for the same result, to the last bit. It is a
            matter of this computer's time and memory: records and costs are the same.

    Attributes:
        shape: rows, fan-in and columns.
        weights: the numbers that a product multiplies with, `(chips, rows, fan-in)`; none are kept the other way round.

    Raises:
        CapabilityError: the machine has no sparse products.
    """

    read, read_transposed = sparse.read, sparse.read_transposed
    fetch_columns, fetch_diagonal = sparse.columns, sparse.main_diagonal

    def __init__(
        self,
        machine: Stage,
        name: str,
        group: str,
        weights: Initial,
        places: Initial,
        columns: int,
        of_spikes: bool = False,
    ) -> None:
        if not machine.sparse:
            raise CapabilityError(
                f"{name} is sparse, and this machine multiplies by crossbar tiles, which have a device at every "
                "crossing; leave out `fan_in` for a dense matrix, or take a digital machine"
            )
        index, bits = machine.numerics.drawn(places)[None], (columns - 1).bit_length() or 1
        self._places = Storage(machine, f"{name} columns", WEIGHTS, places.shape, index, shared=True, bits=bits)
        self._drawn, self._of_spikes = places, of_spikes
        self._outgoing: Outgoing | None = None
        trainable = SparseTrainable(machine, name, group, weights, self._places, columns)
        self._hold(trainable, (*weights.shape, columns))

    @cached_property
    def connections(self) -> list[list[int]]:
        """The columns that each row is connected to, which the design fixes; from shapes alone, drawn anew."""
        held = self._places.value[0] if self.machine.numerics.exact else self._drawn.draw()
        places: list[list[int]] = held.tolist()
        return places

    @cached_property
    def _columns_by_rank(self) -> Places:
        return Places(list(zip(*self.connections, strict=True)))

    def sources(self, x: Signal) -> Signal:
        """What arrives at the connections: a bundle of vectors on the rows, vector k for connection k of each."""
        bundle: Signal = pick(x, self._columns_by_rank)
        return bundle

    def holds(self, operation: Held) -> Connected:
        """What a product multiplies by."""
        return self._connected(self.weights, self._outgoing)

    def take(self, values: np.ndarray) -> None:
        """Read these weights from now on."""
        self.weights = values
        if self._of_spikes:
            self._outgoing = self.machine.numerics.run(OUTGOING)(values, *self.by_column)

    @cached_property
    def by_column(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The order of connections by column, where columns start in it, and the row of each."""
        order: tuple[np.ndarray, np.ndarray, np.ndarray] = self.machine.numerics.run(BY_COLUMN)(
            self._places.value, self.shape[-1]
        )
        return order

    def release(self) -> None:
        super().release()
        self._outgoing = None

    @property
    def fetched(self) -> Connected:
        """The target weights and their places, as digital memory holds them."""
        return self._connected(self.weights if self.disturbed else self.trainable.values)

    def _connected(self, weights: np.ndarray, outgoing: Outgoing | None = None) -> Connected:
        return Connected(weights, self._places.value, self.shape[-1], outgoing)


class SparseTrainable(Trainable):
    """The weights of a sparse matrix, whose gradient has a sum per connection."""

    def __init__(self, machine: Stage, name: str, group: str, weights: Initial, places: Storage, columns: int) -> None:
        super().__init__(machine, name, group, weights)
        self._places, self._columns = places, columns

    def sums(self) -> SparseSums:
        return SparseSums(self.machine, self.name, self._places, self._columns)


class SparseSums(Accumulator):
    """Sums at the connections of a sparse matrix, `(chips, rows, fan-in)`.

    Attributes:
        matrix: the name of the matrix.
        places, columns: of its connections.
    """

    def __init__(self, machine: Stage, matrix: str, places: Storage, columns: int) -> None:
        super().__init__(machine, f"{matrix} gradient", places.size)
        self.matrix, self.places, self.columns = matrix, places, columns

    def add_outer(self, error: Signal, signal: Signal) -> None:
        """Add the outer product of `error` (rows) and `signal` (columns) at the connections, summed over the batch."""
        self.port.add_sparse_outer(self, error, signal)


def _blank_outgoing(
    expected: object, weights: np.ndarray, order: np.ndarray, starts: np.ndarray, rows: np.ndarray
) -> Outgoing:
    return Outgoing(starts, rows, blank((len(weights), order.size), weights.dtype))


def _blank_by_column(expected: object, places: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return blank((places.size,), np.uint32), blank((columns + 1,), np.int64), blank((places.size,), np.uint32)


BY_COLUMN = Primitive(sparse.by_column, _blank_by_column, lasting=True)
OUTGOING = Primitive(sparse.outgoing, _blank_outgoing, lasting=True)
