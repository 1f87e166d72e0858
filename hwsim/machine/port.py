"""Ports: what moves values between wires and storages, and adds to sums; each move leaves a record."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.errors import CausalityError
from hwsim.machine.numerics import Rounding
from hwsim.machine.signal import Signal
from hwsim.machine.sparse import SparseSums
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Accumulator, DelayLine, Queue, Register, Storage, Tape
from hwsim.operations import Operation, moves, sparse
from hwsim.records import GRADIENT


class Divergence(NamedTuple):
    """Where a learning signal, or what an update made, first left the range of numbers."""

    sweep: str
    step: int
    storage: str
    wire: int
    chips: tuple[int, ...]


class Port:
    """Moves numbers in and out of the storages of one memory, which may have several.

    `load`, `store`, `insert`, `extract`, `add` and `add_outer` leave the records. `read`, `settle`, `append`,
    `take`, `sum` and `sum_outer` do what they do to values, and captured steps call these alone: a port with errors of
    its own overrides them.

    Attributes:
        name: of the unit in records.
        analog: whether it moves voltages rather than numbers.
    """

    analog = False

    def __init__(self, machine: Stage, name: str) -> None:
        self.machine, self.name = machine, name
        self.loads, self.stores = (moves.load, name), (moves.store, name)  # keys of heads

    # ---- registers -------------------------------------------------------------------------------------------

    def load(self, register: Register, age: int | None = None) -> Signal:
        """What the register held at the start of the step, or what was stored into it so many steps ago."""
        machine, value = self.machine, self.read(register, age)
        if machine.strict:
            value = machine.numerics.copy(value)
        return machine.emit(machine.heads[self.loads], value, (register.name,))

    def read(self, register: Register, age: int | None = None) -> np.ndarray:
        """The value that a load gives."""
        if age is None:
            return register.front
        assert isinstance(register, DelayLine)
        return register.at(age)

    def store(self, register: Register, x: Signal) -> None:
        """Have the register hold a signal from the end of the step."""
        machine = self.machine
        if not self.analog:
            x = machine.digital(x)
        value = self.stored(register, x)
        machine.note(self.heads[self.stores], value.shape, (x._slot,), register.name)
        self.settle(register, value)

    def clear(self, register: Register) -> None:
        """Have the register hold zero from the end of the step."""
        machine, shape = self.machine, register.front.shape
        machine.note(self.heads[self.stores], shape, (), register.name)
        machine.holdings.settle_later(register, machine.numerics.zeros(shape, machine.dtype))

    @property
    def heads(self) -> Any:
        """The heads of what it does, by operation and unit."""
        return self.machine.heads

    def stored(self, register: Register, x: Signal) -> np.ndarray:
        """The value of a signal that fits the register.

        Raises:
            CausalityError: it does not fit.
        """
        value = self.machine.see(x)
        if value.shape != register.front.shape:
            raise CausalityError(f"{register.name} holds {register.front.shape}, not {value.shape}")
        return value

    def settle(self, register: Register, value: np.ndarray) -> None:
        """Have the register hold a value from the end of the step, and watch it if it is of learning."""
        if register.watched:
            self.machine.holdings.watch(register, value)
        self.machine.holdings.settle_later(register, value)

    # ---- tapes, and what is kept to be shown again -----------------------------------------------------------

    def insert(self, operation: Operation, storage: Tape | Queue, x: Signal) -> None:
        """Put a signal behind all others of a tape or queue."""
        machine = self.machine
        x = machine.digital(x)
        value = machine.see(x)
        self.append(storage, machine.numerics.copy(value) if machine.strict else value)
        machine.note(machine.heads[operation, self.name], value.shape, (x._slot,), storage.name)

    def append(self, storage: Tape | Queue, value: np.ndarray) -> None:
        """Put a value in behind all others."""
        storage.entries.append(value)
        self.machine.holdings.grow(storage, 1)

    def extract(self, operation: Operation, storage: Tape | Queue, index: int) -> Signal:
        """Take the signal at an index out of a tape or queue.

        Raises:
            CausalityError: it is empty.
        """
        if not storage.entries:
            raise CausalityError(f"{storage.name} is empty")
        value = self.take(storage, index)
        return self.machine.emit(self.machine.heads[operation, self.name], value, (storage.name,))

    def take(self, storage: Tape | Queue, index: int) -> np.ndarray:
        """Take a value out."""
        self.machine.holdings.grow(storage, -1)
        value: np.ndarray = storage.entries.pop(index)
        return value

    def keep(self, storage: Storage, reads: tuple[int, ...]) -> None:
        """Enter that what is shown is kept."""
        shape = 0, 0, *storage.size[-1:]
        self.machine.note(self.machine.heads[moves.keep, self.name], shape, reads, storage.name)

    def replay(self, storage: Storage, value: np.ndarray) -> Signal:
        """Show again what was kept."""
        head = self.machine.heads[moves.replay, self.name]
        return self.machine.emit(head, value, (storage.name,), storage.size[-1:])

    # ---- what is overwritten at once ----------------------------------------------------------------------------

    def overwrite(self, storage: Storage, x: Signal, rounding: Rounding | None = None) -> None:
        """Have a storage hold a vector of all its values from now on, brought to a narrower format if it has one."""
        machine = self.machine
        x = machine.digital(x)
        value = machine.see(x)
        held = value.reshape(storage.value.shape)
        storage.value = machine.numerics.copy(held) if rounding is None else rounding(held).astype(held.dtype)
        machine.note(machine.heads[self.stores], value.shape, (x._slot,), storage.name)

    # ---- sums ------------------------------------------------------------------------------------------------

    def add(self, sums: Accumulator, x: Signal) -> None:
        """Add a signal, summed over sequences."""
        machine, x = self.machine, self._summand(x)
        value = machine.see(x)
        self.sum(sums, value)
        machine.note(machine.heads[moves.accumulate, self.name], value.shape, (x._slot,), sums.name)

    def add_outer(self, sums: Accumulator, error: Signal, x: Signal) -> None:
        """Add outer products, summed over sequences."""
        machine, error, x = self.machine, self._summand(error), self._summand(x)
        self.sum_outer(sums, machine.see(error), machine.see(x))
        head = machine.heads[moves.outer, self.name]
        machine.note(head, (0, 0, *sums.size), (error._slot, x._slot), sums.name)

    def sum(self, sums: Accumulator, value: np.ndarray) -> None:
        """Add a value, summed over sequences."""
        self.machine.numerics.add(sums.value, value)
        self._round(sums)

    def sum_outer(self, sums: Accumulator, error: np.ndarray, value: np.ndarray) -> None:
        """Add outer products, summed over sequences."""
        self.machine.numerics.add_outer(sums.value, error, value)
        self._round(sums)

    def add_sparse_outer(self, sums: SparseSums, error: Signal, x: Signal) -> None:
        """Add outer products at the connections of a sparse matrix, summed over sequences."""
        machine, error, x = self.machine, self._summand(error), self._summand(x)
        self.sum_sparse_outer(sums, machine.see(error), machine.see(x))
        head, size = machine.heads[sparse.outer, self.name], (*sums.size, sums.columns)
        machine.note(head, (0, 0, *sums.size), (error._slot, x._slot, sums.matrix), sums.name, size)

    def sum_sparse_outer(self, sums: SparseSums, error: np.ndarray, value: np.ndarray) -> None:
        """Add outer products at the connections of a sparse matrix, summed over sequences."""
        self.machine.numerics.add_sparse_outer(sums.value, sums.places.value, error, value, sums.columns)
        self._round(sums)

    def _summand(self, x: Signal) -> Signal:
        """A signal as a number; a conversion for sums serves the gradient."""
        if self.machine.uniform:
            return x
        with self.machine.part(purpose=GRADIENT):
            return self.machine.digital(x)

    def _round(self, sums: Accumulator) -> None:
        """Bring sums to the format in which they are summed."""

    def loaded(self, sums: Accumulator) -> np.ndarray:
        """Sums in the format in which a load gives them."""
        return sums.value

    def load_sums(self, sums: Accumulator) -> Signal:
        """The sums as one vector."""
        machine = self.machine
        value = machine.numerics.copy(sums.value.reshape(machine.chips, 1, -1))
        return machine.emit(machine.heads[self.loads], value, (sums.name,))

    def clear_sums(self, sums: Accumulator) -> None:
        """Set the sums to zero."""
        machine = self.machine
        sums.value = machine.numerics.zeros(sums.value.shape, machine.dtype)
        machine.note(machine.heads[self.stores], (0, 0, *sums.size), (), sums.name)


class RoundedSums(Port):
    """A memory of sums that are rounded to a format as they grow, and to that of updates when they are loaded."""

    def __init__(self, machine: Stage, name: str, grow: Any, load: Any) -> None:
        super().__init__(machine, name)
        self._grow, self._load = grow, load

    def _round(self, sums: Accumulator) -> None:
        if self._grow is not None:
            sums.value = self._grow(sums.value)

    def loaded(self, sums: Accumulator) -> np.ndarray:
        return sums.value if self._load is None else self._load(sums.value)
