"""The machine: carries out the equations of a rule, operation by operation, and leaves one record of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

import numpy as np

from hwsim import formats, streams
from hwsim.accounts.energy import NoPrices, Prices
from hwsim.accounts.memory import WEIGHTS
from hwsim.errors import CausalityError
from hwsim.machine.captured import Aside, solved
from hwsim.machine.holder import Weights, Words
from hwsim.machine.holdings import Holdings
from hwsim.machine.numerics import EXACT, Numerics, Rounding, checked, meet
from hwsim.machine.parameters import Coefficients, Matrix
from hwsim.machine.port import Port
from hwsim.machine.presenter import NOTHING_SHOWN
from hwsim.machine.probe import Probe
from hwsim.machine.sequencer import Sequencer
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Storage
from hwsim.operations import Held, Operation, moves, solve, sparse, wire
from hwsim.records import GRADIENT, INFERENCE, Entry, Head, Shape, Trace

OUTSIDE = "operations happen within a step of a pass, or in a phase"


class UnitErrors(NamedTuple):
    """The errors of the unit that carries an operation out, at signals of learning.

    Attributes:
        unit: which circuits these are; two operations of one unit have the same frozen errors.
        noise: fresh: standard deviation of what is added to each result.
        relative: fresh: standard deviation of a result, relative to it, from use to use.
        mismatch: frozen: standard deviation of the unit's gain.
        rounding: relative error of a number, at most.
    """

    unit: str
    noise: float
    relative: float
    mismatch: float
    rounding: float


class Heads(dict[Any, Head]):
    """The heads of operations in one layer and for one purpose, made as they are met.

    Args:
        make: makes the head of an operation, or of one at a named unit.
        operations: gets the operation of each head, by the identity of the head.
    """

    def __init__(self, make: Callable[[Any], Head], operations: dict[int, Operation]) -> None:
        super().__init__()
        self._make, self._operations = make, operations

    def __missing__(self, key: Any) -> Head:
        head = self[key] = self._make(key)
        self._operations[id(head)] = key if isinstance(key, Operation) else key[0]
        return head


class Machine:
    """Carries out operations exactly, in one number format; kinds of machines place them elsewhere, never change them.

    The contract of every operation: its operands are of this step; it computes values for all chips and sequences at
    once; it leaves one record; it touches no storage but its own; its record does not depend on values.

    Attributes:
        chips: how many independent instances are simulated side by side.
        numbers: their numbers, which name their random streams.
        numerics: what its operations do to values.
        functions: what computes each operation; on strict machines shapes of results are checked.
        strict: overwrite every value with NaN when its step ends, so that one smuggled out poisons what uses it.
        sequencer: passes, phases and steps.
        showing, forward_pass, backward_pass, phase, rounds, workspace: those of the sequencer.
        episode: what is being shown.
        journal, memory: what was done, and what is held.
        storages: what is held, by name.
        units: what holds parameters, in the order in which they were made.
        layer, purpose: what the operations that follow serve; entered into their records.
        heads: of the operations of this layer and purpose.
        contexts: all heads, by what they serve.
        operations: the operation of each head, by the identity of the head.
        aside: where a step leaves what its records leave out, if that is wanted.
        update: the number format of what is done between passes.
        probe, watchers: `probe(name, signal)` hands values, as arrays, to `watchers[name]`.
    """

    uniform = True
    """Whether one unit carries out all operations, so that none has to be placed."""
    addressable = True
    """Whether it offers a tape, which can be read in another order than it was written."""
    sparse = True
    """Whether it multiplies by matrices of which the connections alone are held."""
    is_analog = False
    """Whether it has analog units, so that chips differ from one another and signals have a full scale."""
    exact = False
    """Whether it computes in float64 without error, so that what it holds and does is what was meant."""
    parallel = 1
    """Sequences that are worked on at the same time, each with its own state."""
    master_class = WEIGHTS
    """The memory class of the values that the optimizer works on: here they are the weights themselves."""
    needs_copy = True
    """Whether digital memory has to keep all weights; devices that hold them are enough if pulses change them."""
    pulsed = False
    """Whether pulses change the weights of matrices, rather than programming; said before these are made."""
    round_updates: Rounding | None = None
    """What brings values to the format of updates; None if they are in it."""
    signal_type = Signal
    input_bits: int | None = None
    """Bits of one number of the input where it is kept; None for those of any other number."""
    input_full_scale: float | None = None
    """Full scale of the converters of the input, where it has some."""
    bound: str | None = None
    """What its costs are only a bound of."""
    options: Any = None
    devices: Any = None
    """Where it holds weights in devices: these, by matrix; None without that capability."""
    clipped: Any = None
    """Where signals have a full scale: counts of values and of those beyond it, by what clips them and unit."""
    ranges: Any = None
    """Where each signal has a full scale of its own: these; None where they are fixed."""
    effective_bits: dict[str, int] | None = None
    """Bits of ideal quantisers that are as noisy as its analog signals are, by what they come from."""
    given: Any = None
    """While a network is made that starts from stored values: these, in place of drawn ones."""
    holds: Mapping[str, Any] = MappingProxyType({})
    """How long registers hold their values in each pass, for those that leak."""

    def __init__(
        self,
        *,
        chips: int | Sequence[int] = 1,
        seed: int = 0,
        dtype: str = "float64",
        strict: bool = False,
        numerics: Numerics = EXACT,
    ) -> None:
        self.numbers = streams.numbered(chips)
        self.chips, self.seed, self.strict, self.numerics = len(self.numbers), seed, strict, numerics
        self.dtype = np.dtype(dtype)
        self.update = formats.parse(dtype)
        self.finishes = strict
        self.units: list[Matrix | Coefficients] = []
        self.probe = Probe(self)
        self.watchers = self.probe.watchers
        self.functions, self._now = checked(numerics.functions) if strict else numerics.functions, -1
        self._entries: list[Entry] = _NO_ENTRIES
        self._made: list[np.ndarray] = []
        self.aside: Aside | None = None
        self.contexts: dict[tuple[str, str, bool | str], Heads] = {}
        self.operations: dict[int, Operation] = {}
        self.holdings, self.sequencer = Holdings(self), Sequencer(self, skips=not numerics.exact)
        self.storages, self.memory, self.journal = self.holdings.storages, self.holdings.ledger, self.sequencer.journal
        self.showing, self.forward_pass = self.sequencer.showing, self.sequencer.forward_pass
        self.backward_pass = self.sequencer.backward_pass
        self.phase, self.rounds = self.sequencer.phase, self.sequencer.rounds
        self.workspace, self.episode = self.sequencer.presenter.workspace, NOTHING_SHOWN
        self.serve("network", INFERENCE)

    # ---- operations ------------------------------------------------------------------------------------------

    def one(self, operation: Operation, x: Signal, constant: float | None = None) -> Signal:
        """An operation on one signal, with a fixed number if it takes one."""
        if x._step != self._now:
            self.refuse(x)
        if not self.uniform:
            unit, (x,) = self.place(operation, (x,))
            if unit is not None:
                return unit.carry_out(operation, (x,), () if constant is None else (constant,))
        if self.aside is not None:
            self.aside.give(() if constant is None else (constant,))
        v, function = x._value, self.functions[operation]
        value = function(v) if constant is None else function(v, +constant)  # a plain number, see `OfStep`
        size = operation.size
        return self.emit(self.heads[operation], value, (x._slot,), None if size is None else size(v.shape))

    def two(self, operation: Operation, x: Signal, y: Signal) -> Signal:
        """An operation on two signals, wire by wire."""
        if x._step != self._now or y._step != self._now:
            self.refuse(x, y)
        if not self.uniform:
            unit, (x, y) = self.place(operation, (x, y))
            if unit is not None:
                return unit.carry_out(operation, (x, y), ())
        if self.aside is not None:
            self.aside.give(())
        v, w = x._value, y._value
        if v.shape != w.shape:
            v, w = meet(operation, v, w, self.numerics)
        return self.emit(self.heads[operation], self.functions[operation](v, w), (x._slot, y._slot))

    def carry_out(self, operation: Operation, *operands: Any) -> Any:
        """An operation on any number of signals, followed by its constants; two signals if it has two results.

        Raises:
            SingularJacobianError: a linear system has no solution.
        """
        signals = tuple(each for each in operands if each.__class__ is self.signal_type)
        constants = operands[len(signals) :]
        for signal in signals:
            if signal._step != self._now:
                self.refuse(*signals)
        unit, signals = (None, signals) if self.uniform else self.place(operation, signals)
        if unit is not None:
            return unit.carry_out(operation, signals, constants)
        if self.aside is not None:
            self.aside.give(constants)
        values = [signal._value for signal in signals]
        size = None if operation.size is None else operation.size(*(v.shape for v in values), *constants)
        reads = tuple(signal._slot for signal in signals)
        function = self.functions[operation]
        result = solved(self, self.layer, function, *values) if operation is solve else function(*values, *constants)
        if operation.second is None:
            return self.emit(self.heads[operation], result, reads, size)
        first = self.emit(self.heads[operation], result[0], reads, size)
        return first, self.emit(self.heads[wire], result[1], (first._slot,))

    def apply(self, operation: Held, holder: Matrix | Coefficients, x: Signal) -> Signal:
        """An operation on a signal with what a unit holds: a product with a matrix, coefficients."""
        if x._step != self._now:
            self.refuse(x)
        if not self.uniform:
            unit, (x,) = self.place(operation, (x,), holder)
            if unit is not None:
                return unit.apply(operation, holder, x)
        if self.aside is not None:
            self.aside.give(holder)
        v, size = x._value, operation.size
        value = self.functions[operation](holder.holds(operation), v)
        reads = (x._slot, holder.name) if operation.named else (x._slot,)
        return self.emit(self.heads[operation], value, reads, None if size is None else size(holder.shape, v.shape))

    def fetch(self, operation: Held, holder: Matrix | Coefficients) -> Signal:
        """What a unit holds as a signal, the same for every sequence."""
        batch = self.episode.batch
        value = self.functions[operation](holder.fetched, batch)
        if self.aside is not None:
            self.aside.give(holder)
        key = (operation, holder.storage.port.name) if isinstance(holder, Coefficients) else operation
        size = None if operation.size is None else operation.size(holder.shape, batch)
        return self.emit(self.heads[key], value, (holder.name,), size)

    def make(self, operation: Operation, *constants: Any) -> Signal:
        """A signal that is made of nothing: constants, random signs."""
        if self.aside is not None:
            self.aside.give(constants)
        like = np.empty((self.chips, self.episode.batch, 0), self.dtype)
        return self.emit(self.heads[operation], self.functions[operation](like, *constants), ())

    def digital(self, x: Signal) -> Signal:
        """A signal as a number; every signal of this machine is one."""
        return x

    # ---- where things go: what kinds of machines decide ------------------------------------------------------

    def place(
        self, operation: Operation, operands: tuple[Signal, ...], holder: Any = None
    ) -> tuple[Any, tuple[Signal, ...]]:
        """The unit that carries an operation out, None for the digital one, and its operands in that unit's domain."""
        return None, operands

    def place_storage(self, storage: Storage) -> Port:
        """The port that moves values in and out of a storage."""
        return Port(self, storage.name)

    def place_matrix(self, matrix: Matrix) -> Any:
        """The unit that holds a matrix, dense or sparse. Here its master values are its weights."""
        return Weights(matrix, None)

    def place_coefficients(self, coefficients: Coefficients) -> Any:
        """The unit that holds coefficients."""
        return Words(self, coefficients)

    def place_loop(self, loop: Any) -> Any:
        """The unit that solves with a matrix in a feedback loop; None where the operation `solve` does it."""
        return None

    def place_circuit(self, circuit: Any) -> None:
        """Have a unit carry out the neurons of this layer. Here they are arithmetic like all else."""

    def held_as(self, kind: str) -> tuple[int, str]:
        """Bits of one number of a class of memory, and the technology that holds it."""
        return 8 * self.dtype.itemsize, "ideal"

    def head(self, key: Any) -> Head:
        """The head of an operation, or of one at a named port, in the present layer and purpose."""
        operation, unit = (key, "ideal") if isinstance(key, Operation) else key
        purpose = GRADIENT if operation in SUMS else self.purpose
        return Head(operation.kind, unit, self.layer, purpose, str(self.dtype))

    def received(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs as they arrive from outside."""
        return inputs

    def waiting_operands(self, traces: dict[int, Trace], steps: int) -> int:
        """Values that wait for those of other steps in a pass, where products take many steps at once.

        Args:
            traces: of the pass, by their number.
            steps: of the pass.
        """
        return 0

    def prices(self, options: Any = None) -> Prices:
        """What its operations cost, by other options than its own if some are given: here they are only counted."""
        return NoPrices()

    def errors(self, operation: Operation) -> UnitErrors:
        """The errors of the unit that carries an operation out: here rounding alone."""
        return UnitErrors("arithmetic", 0.0, 0.0, 0.0, float(np.finfo(self.dtype).eps) / 2)

    # ---- what is shown, and what operations serve ------------------------------------------------------------

    def part(self, layer: str | None = None, purpose: str | None = None) -> Part:
        """Enter a layer, a purpose or both into the records of a block: `with machine.part("loss"): …`."""
        return Part(self, layer or self.layer, purpose or self.purpose)

    def serve(self, layer: str, purpose: str) -> None:
        """Have the operations that follow serve a layer and a purpose; rules say `with machine.part(…)`."""
        self.layer, self.purpose = layer, purpose
        context = layer, purpose, self.sequencer.in_pass
        heads = self.contexts.get(context)
        if heads is None:
            heads = self.contexts[context] = Heads(self.head, self.operations)
        self.heads = heads

    def release(self) -> None:
        """Give back all that is still held. Nothing can be done with the machine any more."""
        self.holdings.release()
        for unit in self.units:
            unit.release()
        self.units.clear()

    # ---- steps and records -----------------------------------------------------------------------------------

    def begin_step(self, clock: int) -> None:
        """Take operations from now on."""
        self._now, self._entries = clock, []
        if self.aside is not None:
            self.aside.begin(self._entries)
        self.serve("network", INFERENCE)

    def records_of_step(self) -> tuple[list[Entry], np.ndarray | None]:
        """What was done in the step, and the measured activities `(activities, chips)`."""
        return self._entries, None

    def end_step(self, settled: list[Any]) -> None:
        """Take no more operations, and poison the values of this step on strict machines.

        Args:
            settled: registers that hold something new.
        """
        self._now, self._entries = -1, _NO_ENTRIES
        for value in self._made:
            self.numerics.spend(value)
        self._made.clear()

    def see(self, signal: Signal) -> np.ndarray:
        """The value of a signal of this step."""
        if signal._step != self._now:
            self.refuse(signal)
        return signal._value

    def refuse(self, *signals: Signal) -> NoReturn:
        """Say why signals cannot be used now."""
        if self._now < 0:
            raise CausalityError(OUTSIDE)
        old = next(signal for signal in signals if signal._step != self._now)
        if old._machine is not self:
            raise CausalityError("a signal of another machine was used")
        made, now = self.sequencer.when(old._step), self.sequencer.when(self._now)
        raise CausalityError(
            f"a signal made in {made} was used in {now}; what is to survive a step goes into a register"
        )

    def emit(self, head: Head, value: np.ndarray, reads: tuple[int | str, ...], size: Shape | None = None) -> Signal:
        """Enter one operation that makes a value; the size of its work is that of the value if not said."""
        if self.finishes:
            value = self.finish(head, value)
        entries = self._entries
        slot = len(entries)
        entries.append((head, value.shape, size, reads, slot))
        signal = self.signal_type()
        signal._value, signal._step, signal._slot, signal._machine = value, self._now, slot, self
        return signal

    def note(
        self, head: Head, shape: Shape, reads: tuple[int | str, ...], writes: str, work: Shape | None = None
    ) -> None:
        """Enter one operation that writes a storage."""
        self._entries.append((head, shape, work, reads, writes))

    def finish(self, head: Head, value: np.ndarray) -> np.ndarray:
        """What is still to be done to a new value, on machines where `finishes` is set.

        On strict machines it is checked; it is read-only from then on, and overwritten when the step ends.

        Raises:
            TypeError: it is of another type, or not of all chips.
        """
        if self.strict:
            if value.dtype != self.dtype or value.shape[0] != self.chips:
                raise TypeError(f"{head.kind} made {value.dtype} {value.shape}, not {self.dtype} of {self.chips} chips")
            value.setflags(False)
            self._made.append(value)
        return value


SUMS = (moves.accumulate, moves.outer, sparse.outer)
"""Operations that serve the gradient, whatever asks for them."""


class Part:
    """What the operations of a `with` block serve; afterwards it is what it was before."""

    __slots__ = ("_before", "_machine", "_now")

    def __init__(self, machine: Machine, layer: str, purpose: str) -> None:
        self._machine, self._now = machine, (layer, purpose)

    def __enter__(self) -> None:
        self._before = self._machine.layer, self._machine.purpose
        self._machine.serve(*self._now)

    def __exit__(self, *exc: object) -> None:
        self._machine.serve(*self._before)


class _NoEntries(list[Entry]):
    """The records between steps: there are none, and every operation that would add one is refused."""

    def _refuse(self, *_: object) -> NoReturn:
        raise CausalityError(OUTSIDE)

    __len__ = append = _refuse


_NO_ENTRIES = _NoEntries()


def vectors(v: np.ndarray) -> np.ndarray:
    """A signal, or the vectors of a bundle, as `(chips, vectors, n)`."""
    return v if v.ndim == 3 else v.reshape(v.shape[0], -1, v.shape[-1])
