"""What survives a step: registers, accumulators and tapes, each charged by the memory ledger while it exists."""

from __future__ import annotations

from typing import Any, NoReturn, Self, TypeVar, cast

import numpy as np

from hwsim.accounts.memory import ACCUMULATORS, DELAY, LEARNING, MASTER, OPTIMIZER, STATE, TAPE, WEIGHTS
from hwsim.errors import CapabilityError, CausalityError
from hwsim.machine.shapes import Alike
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.operations import moves

S = TypeVar("S", bound="Storage")

LEARNED = (WEIGHTS, MASTER, OPTIMIZER)
"""Classes of memory that are written between passes only."""


class _GivenBack:
    """Stands where the machine of a storage, and its port, stood until the storage was released."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def holdings(self) -> Self:
        return self

    def let_go(self, storage: Storage) -> None:
        """Releasing twice does nothing."""

    def __getattr__(self, _: str) -> NoReturn:
        raise CausalityError(f"{self._name} was given back, and holds nothing any more")


class Storage:
    """A named holder of values. Allocated when made, released when its `with` block or its workspace ends.

    Attributes:
        kind: its class in the memory ledger.
        size: the values held for one sequence, or for all of them if `shared`.
        bits, technology: of a value; None for what the machine holds this class in.
        devices: physical cells per value.
        volatile: whether it needs power to be kept.
        value: the array held, with an axis of chips in front.
        port: moves values in and out.
    """

    port: Any

    def __init__(
        self,
        machine: Stage,
        name: str,
        kind: str,
        size: tuple[int, ...],
        value: np.ndarray,
        *,
        shared: bool = False,
        bits: int | None = None,
        technology: str | None = None,
        devices: int = 1,
        volatile: bool = True,
    ) -> None:
        self.machine, self.name, self.kind, self.size = machine, name, kind, size
        self.shared, self.bits, self.technology = shared, bits, technology
        self.devices, self.volatile = devices, volatile
        self.value = machine.holdings.restored(name, value)
        machine.holdings.take(self)

    @property
    def saved(self) -> np.ndarray:
        """All that it holds, as one array."""
        return self.value

    def release(self) -> None:
        """Give the memory back, and forget the values: from now on it cannot be used. Releasing twice does nothing."""
        self.machine.holdings.let_go(self)
        self.machine = cast("Stage", _GivenBack(self.name))
        self.port = self.machine
        self.value = np.empty(0, self.value.dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class Register(Storage):
    """Flip-flops: `load` gives the value at the start of the step, `store` takes effect at its end, once a step.

    Weights, master weights and optimizer slots are stored in phases only.

    `value` is `(chips, batch, *size)`, or `(chips, 1, *size)` if shared by all sequences. A register that `resets`
    holds `initial` again at the start of each forward pass over the first step of the sequence. One that is `watched`
    is of learning: where it first holds what is no number, learning diverged. One that starts as a `unit`, as 1 or
    the identity, holds products.
    """

    def __init__(
        self,
        machine: Stage,
        name: str,
        kind: str,
        initial: np.ndarray,
        *,
        resets: bool = False,
        shared: bool = False,
        bits: int | None = None,
        technology: str | None = None,
        size: tuple[int, ...] | None = None,
        unit: bool = False,
    ) -> None:
        self.initial, self.resets, self.pending, self.unit = initial, resets, False, unit
        self._learned = kind in LEARNED
        self.watched, size = self._learned or kind == LEARNING, size or initial.shape[2:]
        super().__init__(machine, name, kind, size, initial, shared=shared, bits=bits, technology=technology)

    def release(self) -> None:
        super().release()
        self.initial = self.value

    @property
    def front(self) -> np.ndarray:
        """What a load gives."""
        return self.value

    def after(self, stored: np.ndarray) -> np.ndarray:
        """What it holds once a value is stored."""
        return stored

    def load(self) -> Signal:
        return self.port.load(self)

    def store(self, signal: Signal) -> None:
        if self.pending:
            raise CausalityError(f"{self.name} is stored twice in one step")
        if self._learned:
            self.machine.sequencer.require_phase(f"{self.name}: weights are written")
        self.port.store(self, signal)

    def clear(self) -> None:
        """Hold zero from the end of the step: a reset, which is charged as a store."""
        if self.pending:
            raise CausalityError(f"{self.name} is stored twice in one step")
        self.port.clear(self)


class Carried(Register):
    """A state that lives from one episode to the next: that of each sequence, in digital memory on all machines."""

    def __init__(self, machine: Stage, name: str, width: int) -> None:
        batch = machine.episode.batch
        rest = machine.numerics.zeros((machine.chips, batch, width), machine.dtype)
        bits, memory = machine.held_as(DELAY)
        super().__init__(machine, name, STATE, rest, shared=True, bits=bits, technology=memory, size=(batch, width))


class DelayLine(Register):
    """First in, first out: `load` gives the value that was stored as many steps ago as the line is long, zero at first.

    It shifts at the end of every step of a pass. In a step that stores nothing a zero goes in, charged as a store.

    `value` is `(chips, batch, length, width)`, the oldest in front.
    """

    def tap(self, age: int) -> Signal:
        """The value that was stored `age` steps ago, from 1 to the length of the line.

        Raises:
            ValueError: the line does not reach so far.
        """
        length = self.size[0]
        if not 1 <= age <= length:
            raise ValueError(f"{self.name} holds what was stored 1 to {length} steps ago, not {age}")
        if self.machine.aside is not None:
            self.machine.aside.give((age,))
        return self.port.load(self, age)

    def at(self, age: int) -> np.ndarray:
        """What was stored `age` steps ago."""
        return self.value[:, :, self.size[0] - age]

    @property
    def front(self) -> np.ndarray:
        return self.value[:, :, 0]

    def after(self, stored: np.ndarray) -> np.ndarray:
        return self.machine.numerics.shifted(self.value, stored)


class Ring(Register):
    """Vectors that are visited in turn: `load` gives the one at the head, `store` replaces it and goes on to the next.

    A load or a store moves one vector. `value` is `(chips, 1, vectors, width)`, the one at the head in front.
    """

    @property
    def front(self) -> np.ndarray:
        head: np.ndarray = self.value[:, :, 0]
        return head

    def after(self, stored: np.ndarray) -> np.ndarray:
        return self.machine.numerics.shifted(self.value, stored)


class Accumulator(Storage):
    """Sums over steps and sequences: written in any step, read only in a phase.

    `value` is `(chips, *size)`, with size `(n,)` or `(rows, columns)`.
    """

    def __init__(self, machine: Stage, name: str, size: tuple[int, ...]) -> None:
        empty = machine.numerics.zeros((machine.chips, *size), machine.dtype)
        super().__init__(machine, name, ACCUMULATORS, size, empty, shared=True)

    def add(self, signal: Signal) -> None:
        """Add `signal`, summed over the batch; `(n, k)` sums take a bundle of k vectors of n wires, or one row."""
        self.port.add(self, signal)

    def add_outer(self, error: Signal, signal: Signal) -> None:
        """Add the outer product of `error` (rows) and `signal` (columns), summed over the batch."""
        self.port.add_outer(self, error, signal)

    def load(self) -> Signal:
        """The sums, flattened to one vector."""
        self._require_phase()
        return self.port.load_sums(self)

    def store(self, signal: Signal) -> None:
        """Overwrite the sums with a vector of them."""
        self._require_phase()
        self.port.overwrite(self, signal)

    def clear(self) -> None:
        """Set the sums to zero."""
        self._require_phase()
        self.port.clear_sums(self)

    @property
    def loaded(self) -> np.ndarray:
        """The sums in the format in which an update would load them, of their own shape; for looking from outside."""
        sums: np.ndarray = self.port.loaded(self)
        return sums

    def _require_phase(self) -> None:
        self.machine.sequencer.require_phase(f"{self.name} can be read or set")


class Entries(Storage):
    """As many vectors as are put in; the ledger's charge grows with each of them, and shrinks when one is taken out.

    `value` is `(entries, chips, batch, *size)`.
    """

    def __init__(self, machine: Stage, name: str, kind: str, size: tuple[int, ...], bits: int | None = None) -> None:
        empty = np.zeros((0, machine.chips, machine.episode.batch, *size), machine.dtype)
        super().__init__(machine, name, kind, size, empty, bits=bits)
        self.entries = machine.numerics.recorded(self.value)

    @property
    def saved(self) -> np.ndarray:
        return np.stack(self.entries) if self.entries else self.value[:0]

    def release(self) -> None:
        super().release()
        self.entries.clear()

    def fill(self, entries: list[np.ndarray]) -> None:
        """Put recorded values on the tape, the first of them lowest; for looking at a run from outside."""
        self.machine.holdings.grow(self, len(entries))
        self.entries += entries

    def leap(self, entries: int) -> None:
        """Have so many more entries, or fewer, where entries are only counted."""
        assert isinstance(self.entries, Alike)
        self.entries.entries += entries


class Tape(Entries):
    """Past values, last in first out, in addressable memory; only machines that have some offer one."""

    def __init__(self, machine: Stage, name: str, size: tuple[int, ...], bits: int | None = None) -> None:
        require_addressable(machine, f"the tape {name!r}")
        super().__init__(machine, name, TAPE, size, bits)

    def push(self, signal: Signal) -> None:
        self.port.insert(moves.push, self, signal)

    def pop(self) -> Signal:
        """Take the latest value off the tape.

        Raises:
            CausalityError: it is empty.
        """
        return self.port.extract(moves.pop, self, -1)


class Queue(Entries):
    """Values in the order in which they were put in, first in first out; no machine needs a tape for it.

    What is put in can be taken out from the next step on.
    """

    def __init__(self, machine: Stage, name: str, size: tuple[int, ...]) -> None:
        super().__init__(machine, name, DELAY, size)
        self._fresh, self._at = 0, -1  # entries of the step under way

    def put(self, signal: Signal) -> None:
        """Put a value in behind all others."""
        clock = self.machine.sequencer.clock
        self._fresh, self._at = (self._fresh if clock == self._at else 0) + 1, clock
        self.port.insert(moves.put, self, signal)

    def get(self) -> Signal:
        """Take the oldest value out.

        Raises:
            CausalityError: there is none from an earlier step.
        """
        fresh = self._fresh if self.machine.sequencer.clock == self._at else 0
        if len(self.entries) <= fresh:
            raise CausalityError(f"{self.name} holds no value of an earlier step")
        return self.port.extract(moves.get, self, 0)


def require_addressable(machine: Stage, what: str) -> None:
    """Refuse what needs random access to the past on a machine that has none.

    Raises:
        CapabilityError: it has none.
    """
    if not machine.addressable:
        raise CapabilityError(
            f"{what} needs past values in another order than they were made, and this machine has no addressable "
            "memory for state (no tape); run the rule on a digital machine or with a chip in the loop"
        )


class Workspace:
    """Storage that lives as long as its `with` block: what one batch needs."""

    def __init__(self, machine: Stage) -> None:
        self._machine = machine
        self._storages: list[Storage] = []

    def register(
        self,
        name: str,
        width: int,
        kind: str = STATE,
        *,
        bundle: int = 0,
        initial: tuple[float, ...] = (0.0,),
        resets: bool = False,
    ) -> Register:
        """A register of `width` values, or of a bundle of such vectors.

        Args:
            initial: its first value, repeated along the wires (`(1.0, 0.0)` is a complex one); for a bundle, `(1.0,)`
                means the identity.
            resets: whether it starts again from `initial` at each forward pass from the first step on.
        """
        machine = self._machine
        lead = machine.chips, machine.episode.batch
        first = machine.numerics.repeated(initial, width, bundle, lead, machine.dtype)
        return self._keep(Register(machine, name, kind, first, resets=resets, unit=any(initial)))

    def delay_line(self, name: str, width: int, length: int, *, resets: bool = False) -> DelayLine:
        """A line of `length` vectors of `width` values, all zero."""
        machine = self._machine
        empty = machine.numerics.zeros((machine.chips, machine.episode.batch, length, width), machine.dtype)
        return self._keep(DelayLine(machine, name, DELAY, empty, resets=resets))

    def tape(self, name: str, width: int, bits: int | None = None) -> Tape:
        """A tape of vectors of `width` values, of so many bits each if they are no words.

        Raises:
            CapabilityError: the machine has no addressable memory.
        """
        return self._keep(Tape(self._machine, name, (width,), bits))

    def queue(self, name: str, width: int) -> Queue:
        """A queue of vectors of `width` values, empty."""
        return self._keep(Queue(self._machine, name, (width,)))

    def keep(self, name: str, kind: str, size: tuple[int, ...], value: np.ndarray, bits: int | None = None) -> Storage:
        """A read-only store, for inputs and targets that are shown again."""
        return self._keep(Storage(self._machine, name, kind, size, value, bits=bits))

    def _keep(self, storage: S) -> S:
        self._storages.append(storage)
        return storage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for storage in reversed(self._storages):
            storage.release()
