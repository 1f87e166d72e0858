"""Sparse matrices: trainable weights of fixed connections, a few per row."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from hwsim.accounts.memory import WEIGHTS
from hwsim.errors import CapabilityError
from hwsim.initial import Initial
from hwsim.machine.parameters import Matrix, Trainable
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Accumulator, Storage
from hwsim.operations import Held, Places, pick, sparse
from hwsim.operations.sparse import Connected


class SparseMatrix(Matrix):
    """A trainable matrix with a fixed number of connections per row. `W @ x` and `W.T @ e` are products with it.

    Weights are `(rows, fan-in)`, and so is the gradient. The column of each connection is drawn once and never
    written; these indices are held beside the weights, in ⌈log₂ columns⌉ bits each, and charged.

    Crossbars have no sparse matrices. A tile has a device pair at every crossing, reads whole lines, and draws the
    power of all of them, so the matrix would cost what a dense one costs, with errors at connections that it lacks.

    Args:
        columns: number of columns of the matrix.
        weights: initial weights, `(rows, fan-in)`.
        places: columns of the connections, `(rows, fan-in)`, from `initial.connections`.

    Attributes:
        shape: rows, fan-in and columns.
        weights: the numbers that a product multiplies with, `(chips, rows, fan-in)`; none are kept the other way round.

    Raises:
        CapabilityError: the machine has no sparse products.
    """

    read, read_transposed = sparse.read, sparse.read_transposed
    fetch_columns, fetch_diagonal = sparse.columns, sparse.main_diagonal

    def __init__(self, machine: Stage, name: str, group: str, weights: Initial, places: Initial, columns: int) -> None:
        if not machine.sparse:
            raise CapabilityError(
                f"{name} is sparse, and this machine multiplies by crossbar tiles, which have a device at every "
                "crossing; leave out `fan_in` for a dense matrix, or take a digital machine"
            )
        index, bits = machine.numerics.drawn(places)[None], (columns - 1).bit_length() or 1
        self._places = Storage(machine, f"{name} columns", WEIGHTS, places.shape, index, shared=True, bits=bits)
        self._drawn = places
        trainable = SparseTrainable(machine, name, group, weights, self._places, columns)
        self._hold(trainable, (*weights.shape, columns))

    @cached_property
    def connections(self) -> list[list[int]]:
        """The columns that each row is connected to, which the design fixes."""
        places: list[list[int]] = self._drawn.draw().tolist()
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
        return self._connected(self.weights)

    def take(self, values: np.ndarray) -> None:
        """Read these weights from now on."""
        self.weights = values

    @property
    def fetched(self) -> Connected:
        """The target weights and their places, as digital memory holds them."""
        return self._connected(self.trainable.values)

    def _connected(self, weights: np.ndarray) -> Connected:
        return Connected(weights, self._places.value, self.shape[-1])


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
