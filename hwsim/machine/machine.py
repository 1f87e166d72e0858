"""The machine: carries out the equations of a rule, operation by operation, and leaves one record of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from math import prod
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from hwsim.accounts.energy import NoPrices, Prices
from hwsim.accounts.memory import INPUT_REPLAY, TARGET_REPLAY, WEIGHTS
from hwsim.circuits import formats
from hwsim.errors import CausalityError, SingularJacobianError
from hwsim.machine.numerics import EXACT, Numerics
from hwsim.machine.parameters import Coefficients, Conjugate, Matrix, ModeGain
from hwsim.machine.sequencer import OUTSIDE, Sequencer
from hwsim.machine.signal import Signal
from hwsim.machine.step import Step
from hwsim.machine.storage import Accumulator, Register, Storage, Tape, Workspace
from hwsim.records import REPLAY, Head, Shape


class Divergence(NamedTuple):
    """Where a learning signal, or what an update made, first left the range of numbers."""

    sweep: str
    step: int
    storage: str
    wire: int
    chips: tuple[int, ...]


class Precision(NamedTuple):
    """Relative errors of one step of a recursion of errors.

    Attributes:
        fresh: drawn at each use: rounding, noise.
        frozen: between the units that carry errors and the ones that they should match, the same in every step.
    """

    fresh: float
    frozen: float


class Machine(Sequencer):
    """Carries out operations exactly, in one number format; other machines change how, never what.

    The contract of every operation: its operands are of this step; it computes values for all chips and sequences at
    once; it leaves one record; it touches no storage but its own; its record does not depend on values.

    Attributes:
        update: the number format of what is done between passes.
        units: what holds parameters, in the order in which they were made.
        watchers: `probe(name, ...)` hands its values, as arrays, to `watchers[name]`.
        divergence: where learning first failed, if it did.
    """

    master_class = WEIGHTS
    """The memory class of the values that the optimizer works on: here they are the weights themselves."""
    signal_type = Signal
    bound: str | None = None
    """What its costs are only a bound of."""
    options: Any = None
    fill: float | None = None
    """The share of its tiles that holds weights, on machines that have tiles."""

    def __init__(
        self,
        *,
        chips: int = 1,
        seed: int = 0,
        dtype: str = "float64",
        strict: bool = False,
        numerics: Numerics = EXACT,
    ) -> None:
        super().__init__(chips=chips, seed=seed, dtype=dtype, strict=strict, numerics=numerics)
        self._unary, self._binary, self._applied = numerics.unary, numerics.binary, numerics.applied
        self.update = formats.parse(dtype)
        self.units: list[Matrix | Coefficients] = []
        self.watchers: dict[str, Callable[..., None]] = {}
        self.divergence: Divergence | None = None
        self._there: set[str] = set()  # what has been shown in this workspace, and kept if it is to be

    def prices(self) -> Prices:
        """What its operations cost: here they are only counted."""
        return NoPrices()

    def with_options(self, options: Any) -> Self:
        """The same machine with all that it did, and the prices of other options."""
        other = copy(self)
        other.options = options
        return other

    def precision(self, size: Callable[[], float]) -> Precision:
        """The errors that its operations make in errors of this size (root mean square; slow to find)."""
        return Precision(float(np.finfo(self.dtype).eps) / 2, 0.0)

    # ---- operations on signals -------------------------------------------------------------------------------

    def one(self, kind: str, x: Signal, constant: float | None = None) -> Signal:
        """An elementwise operation on one signal, with a fixed number if it takes one."""
        if x._step != self._now:
            self.refuse(x)
        v = x._value
        function = self._unary[kind]
        value = function(v) if constant is None else function(v, constant)
        return self.emit(self._heads[kind], value, v.shape, (x._slot,))

    def two(self, kind: str, x: Signal, y: Signal) -> Signal:
        """An elementwise operation on two signals. A single wire fans out; a vector meets each vector of a bundle."""
        if x._step != self._now or y._step != self._now:
            self.refuse(x, y)
        v, w = x._value, y._value
        shape = v.shape
        if shape != w.shape:
            v, w, shape = self.meet(kind, v, w)
        return self.emit(self._heads[kind], self._binary[kind](v, w), shape, (x._slot, y._slot))

    def meet(self, kind: str, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, Shape]:
        """Two values made to match, and the shape of their result.

        Raises:
            TypeError: they do not match; nothing is ever broadcast but a single wire, or a vector along a bundle.
        """
        if v.ndim < w.ndim:
            v = v[:, :, None]
        elif w.ndim < v.ndim:
            w = w[:, :, None]
        if v.shape[-1] != w.shape[-1] and 1 not in (v.shape[-1], w.shape[-1]):
            raise TypeError(f"{kind} of {v.shape[-1]} and {w.shape[-1]} wires")
        if v.shape[:2] != w.shape[:2]:
            raise TypeError(f"{kind} of signals of {v.shape[:2]} and {w.shape[:2]} chips and sequences")
        shape = np.broadcast_shapes(v.shape, w.shape)
        return *self.numerics.alike(kind, v, w, shape), shape

    def paired(self, kind: str, x: Signal, y: Signal) -> Signal:
        """An operation on two complex signals of N modes that gives N real wires."""
        v, w = self.see(x), self.see(y)
        shape = (*v.shape[:-1], v.shape[-1] // 2)
        return self.emit(self._heads[kind], self.numerics.paired[kind](v, w), shape, (x._slot, y._slot), v.shape[2:])

    def reduced(self, kind: str, x: Signal, constant: float | None = None) -> Signal:
        """One number of all wires, such as their sum, with a fixed number if it takes one."""
        v, function = self.see(x), self.numerics.reduced[kind]
        value = function(v) if constant is None else function(v, constant)
        return self.emit(self._heads[kind], value, (*v.shape[:-1], 1), (x._slot,), v.shape[2:])

    def standardise(self, x: Signal, epsilon: float) -> tuple[Signal, Signal]:
        """(x - mean) s with s = 1 / √(variance + ε) over the wires, and s."""
        v = self.see(x)
        value, scale = self.numerics.standardise(v, epsilon)
        standard = self.emit(self._heads["standardise"], value, v.shape, (x._slot,))
        return standard, self.emit(self._heads["wire"], scale, (*v.shape[:-1], 1), (standard._slot,))

    def standardise_error(self, error: Signal, standard: Signal, scale: Signal) -> Signal:
        """The error before `standardise`, from the one behind it and what it gave."""
        e, v, s = self.see(error), self.see(standard), self.see(scale)
        slots = (error._slot, standard._slot, scale._slot)
        return self.emit(self._heads["standardise error"], self.numerics.standardise_error(e, v, s), e.shape, slots)

    def interleave(self, real: Signal, imaginary: Signal) -> Signal:
        """Wires of a complex signal from those of its parts."""
        v, w = self.see(real), self.see(imaginary)
        shape = (*v.shape[:-1], 2 * v.shape[-1])
        value = self.numerics.interleave(v, w, shape)
        return self.emit(self._heads["wire"], value, shape, (real._slot, imaginary._slot))

    def project(self, bundle: Signal, vector: Signal) -> Signal:
        """The dot products of each of a bundle's vectors with `vector`."""
        v, w = self.see(bundle), self.see(vector)
        value = self.numerics.matmul(v, w[..., None])[..., 0]
        return self.emit(self._heads["project"], value, v.shape[:-1], (bundle._slot, vector._slot), v.shape[2:])

    def plus_identity(self, bundle: Signal, factor: float) -> Signal:
        """A square bundle with `factor` added on its diagonal."""
        v = self.see(bundle)
        value = self.numerics.plus_identity(v, factor)
        return self.emit(self._heads["offset"], value, v.shape, (bundle._slot,), v.shape[2:-1])

    def solve(self, transposed_jacobian: Signal, x: Signal) -> Signal:
        """y with Jᵀ y = x, for each sequence.

        Raises:
            SingularJacobianError: a Jacobian has no inverse.
        """
        v, w = self.see(transposed_jacobian), self.see(x)
        try:
            value = self.numerics.solve(v, w[..., None])[..., 0]
        except np.linalg.LinAlgError:
            raise SingularJacobianError(
                f"{self.layer}: the Jacobian of step {self.step_index} in {self.sweep_name!r} has no inverse"
            ) from None
        return self.emit(self._heads["solve"], value, w.shape, (transposed_jacobian._slot, x._slot), v.shape[2:])

    # ---- parameters ------------------------------------------------------------------------------------------

    def read(self, matrix: Matrix, x: Signal, transposed: bool) -> Signal:
        """A matrix product, forward or transposed, for a vector or each vector of a bundle."""
        if x._step != self._now:
            self.refuse(x)
        v, work = x._value, matrix.shape
        w = matrix.weights if transposed else matrix.turned
        if v.ndim == 3:
            value = self.numerics.matmul(v, w)
        else:
            value = self.numerics.matmul(vectors(v), w).reshape(*v.shape[:-1], w.shape[-1])
            work = v.shape[2], *work
        head = self._heads["read transposed" if transposed else "read"]
        return self.emit(head, value, value.shape, (x._slot, matrix.name), work)

    def apply(self, coefficients: Coefficients, x: Signal) -> Signal:
        """Coefficients applied to a signal, or to each vector of a bundle."""
        if x._step != self._now:
            self.refuse(x)
        v, kind = x._value, coefficients.role
        if v.ndim == 3:
            value = self._applied[kind](coefficients.storage.value, v)
        else:
            value = self._applied[kind](coefficients.storage.value, vectors(v)).reshape(v.shape)
        return self.emit(self._heads[kind], value, v.shape, (x._slot,))

    def spread(self, gain: ModeGain, x: Signal) -> Signal:
        """For each wire j of x the vector g x_j on the real wires of the modes."""
        v = self.see(x)
        value = self.numerics.spread(gain.storage.value, v)
        work = (*v.shape[2:], gain.width)
        return self.emit(self._heads["spread"], value, value.shape, (x._slot,), work)

    def fetch_gain(self, gain: ModeGain) -> Signal:
        """The factors of a gain as real parts of a complex signal, the same for every sequence."""
        one = np.ones((self.chips, self.batch, 1), self.dtype)
        value = self.numerics.spread(gain.storage.value, one)[:, :, 0]
        return self.emit(self._heads["fetch", gain.storage.port], value, value.shape, (gain.name,), (gain.width,))

    def fetch_columns(self, matrix: Matrix) -> Signal:
        """The target weights as a bundle of columns, the same for every sequence."""
        value = self.numerics.columns(matrix.trainable.values, self.batch)
        return self.emit(self._heads["fetch"], value, value.shape, (matrix.name,))

    def attach(self, matrix: Matrix) -> None:
        """Make the units that hold a matrix. Here its master values are its weights."""

    def operands(self, values: np.ndarray) -> np.ndarray:
        """Weights as products take them."""
        return values

    def program(self, matrix: Matrix) -> None:
        """Bring a matrix to its master values."""
        matrix.take(matrix.trainable.values)

    def attach_coefficients(self, coefficients: Coefficients) -> Storage:
        """Make what holds coefficients. Here trained ones are their own master values, and conjugates need nothing."""
        if coefficients.trained_themselves:
            return coefficients.trainable.master
        if isinstance(coefficients, Conjugate):
            return coefficients.diagonal.storage
        empty = self.numerics.zeros((self.chips, 1, coefficients.width), self.dtype)
        return Storage(self, coefficients.name, WEIGHTS, (coefficients.width,), empty, shared=True)

    def program_coefficients(self, coefficients: Coefficients, values: Signal | None) -> None:
        """Set coefficients to `values`, or to their master values, which they have already here."""
        if values is not None and not isinstance(coefficients, Conjugate):
            v = self.see(values)
            coefficients.storage.value = self.numerics.copy(v)
            self.note(self._heads["store", coefficients.storage.port], v.shape, (values._slot,), coefficients.name)

    def programmed(self, unit: Matrix | Coefficients) -> np.ndarray:
        """What a unit really holds: weights `(chips, rows, columns)` or coefficients `(chips, 1, n)`."""
        return unit.weights if isinstance(unit, Matrix) else unit.storage.value

    # ---- input and target ------------------------------------------------------------------------------------

    @contextmanager
    def workspace(self, *, keep_inputs: bool = False) -> Iterator[Workspace]:
        """Storage for one batch. To show the input in more than one pass it must be kept, and that is charged."""
        episode = self.episode
        with Workspace(self) as workspace:
            if keep_inputs:
                size = (episode.steps, episode.width)
                self._kept_from = self._shown_up_to
                self._kept["input"] = workspace.keep("input replay", INPUT_REPLAY, size, self._inputs, self.input_bits)
            if keep_inputs or not episode.target_per_step:
                words = 1 if episode.classes else episode.outputs
                bits = max(1, (episode.classes - 1).bit_length()) if episode.classes else None
                size = (episode.steps if episode.target_per_step else 1, words)
                self._kept["target"] = workspace.keep("target replay", TARGET_REPLAY, size, self._targets, bits)
            self._there.clear()
            try:
                yield workspace
            finally:
                self._kept.clear()

    def step(self, index: int, begins: bool) -> Step:
        return Step(self.episode, index, self.present_input(index), self.present_target, begins)

    def present_input(self, index: int) -> Signal:
        """The input of the step under way."""
        self.require_step(index, "input")
        return self._present("input", self._inputs[index], per_step=True)

    def present_target(self, index: int) -> Signal:
        """The target of the step under way, or the one of the sequence."""
        self.require_step(index, "target")
        per_step = self.episode.target_per_step
        return self._present("target", self._targets[index if per_step else 0], per_step)

    def _present(self, what: str, value: np.ndarray, per_step: bool) -> Signal:
        """Show a value from outside, keeping it if that was asked for, or again from where it is kept."""
        kept = self._kept.get(what)
        alone = self.chips == 1 and not self.strict
        value = value[None] if alone else self.numerics.beside(value, self.chips)
        if kept is None:
            return self.emit(self._heads[what, what], value, value.shape, ())
        size = kept.size[-1:]
        if self.back_in_time and what == "target" and what not in self._there:
            self.note(self._heads["keep", kept.port], (0, 0, *size), (), kept.name)  # on the way forward, not looked at
            if not per_step:
                self._there.add(what)
        if self._shown or (what in self._there and not per_step):
            with self.part(purpose=REPLAY if self._shown else None):
                return self.emit(self._heads["replay", kept.port], value, value.shape, (kept.name,), size)
        self._there.add(what)
        signal = self.emit(self._heads[what, what], value, value.shape, (), size)
        self.note(self._heads["keep", kept.port], (0, 0, *size), (signal._slot,), kept.name)
        return signal

    # ---- storage ---------------------------------------------------------------------------------------------

    def load(self, register: Register) -> Signal:
        value = self.numerics.copy(register.front) if self.strict else register.front
        return self.emit(self._heads["load", register.port], value, value.shape, (register.name,))

    def store(self, register: Register, x: Signal) -> None:
        value = self.see(x)
        if value.shape != register.front.shape:
            raise CausalityError(f"{register.name} holds {register.front.shape}, not {value.shape}")
        if register.watched:
            self.watch(register, value)
        self.note(self._heads["store", register.port], value.shape, (x._slot,), register.name)
        self.keep(register, value)

    def keep(self, register: Register, value: np.ndarray) -> None:
        """Have `register` hold `value` from the end of this step."""
        register.pending = True
        self._pending.append((register, register.after(self.numerics.copy(value) if self.strict else value)))

    def accumulators(self) -> list[Accumulator]:
        """All sums that it holds."""
        return [storage for storage in self.storages.values() if isinstance(storage, Accumulator)]

    def accumulate(self, sums: Accumulator, x: Signal) -> None:
        v = self.see(x)
        self.numerics.add(sums.value, v)
        self.note(self._heads["accumulate", sums.port], v.shape, (x._slot,), sums.name)

    def accumulate_outer(self, sums: Accumulator, error: Signal, x: Signal) -> None:
        v, w = self.see(error), self.see(x)
        self.numerics.add_outer(sums.value, v, w)
        self.note(self._heads["outer", sums.port], (0, 0, *sums.size), (error._slot, x._slot), sums.name)

    def load_sums(self, sums: Accumulator) -> Signal:
        self._require_phase_for(sums)
        value = self.numerics.copy(sums.value.reshape(self.chips, 1, -1))
        return self.emit(self._heads["load", sums.port], value, value.shape, (sums.name,))

    def loaded(self, sums: Accumulator) -> np.ndarray:
        """The sums in the format in which an update would load them, of their own shape; for looking from outside."""
        return sums.value

    def store_sums(self, sums: Accumulator, x: Signal) -> None:
        self._require_phase_for(sums)
        value = self.see(x)
        sums.value = self.numerics.copy(value.reshape(sums.value.shape))
        self.note(self._heads["store", sums.port], value.shape, (x._slot,), sums.name)

    def clear_sums(self, sums: Accumulator) -> None:
        self._require_phase_for(sums)
        sums.value = self.numerics.zeros(sums.value.shape, self.dtype)
        self.note(self._heads["store", sums.port], (0, 0, *sums.size), (), sums.name)

    def _require_phase_for(self, sums: Accumulator) -> None:
        self.require_phase(f"{sums.name} can be read or set")

    def push(self, tape: Tape, x: Signal) -> None:
        value = self.see(x)
        tape.entries.append(self.numerics.copy(value) if self.strict else value)
        self.memory.grow(tape.name, prod(tape.size) * self.parallel)
        self.note(self._heads["push", tape.port], value.shape, (x._slot,), tape.name)

    def pop(self, tape: Tape) -> Signal:
        if not tape.entries:
            raise CausalityError(f"{tape.name} is empty")
        value = tape.entries.pop()
        self.memory.shrink(tape.name, prod(tape.size) * self.parallel)
        return self.emit(self._heads["pop", tape.port], value, value.shape, (tape.name,))

    def release(self) -> None:
        super().release()
        for unit in self.units:
            unit.release()
        self.units.clear()

    # ---- looking ---------------------------------------------------------------------------------------------

    def probe(self, name: str, *signals: Signal) -> None:
        """Show values to whoever watches `name` from outside. It costs nothing, and the rule learns nothing from it."""
        if name in self.watchers:
            self.watchers[name](*(self.see(signal) for signal in signals))

    def watch(self, register: Register, value: np.ndarray) -> None:
        """Note where a learning signal, a weight or an optimizer slot first becomes infinite or not a number."""
        if self.divergence is None and not self.numerics.finite(value):
            lost = ~np.isfinite(value)
            chips = tuple(int(chip) for chip in np.flatnonzero(lost.reshape(self.chips, -1).any(1)))
            wire = int(np.argwhere(lost)[0][-1])
            self.divergence = Divergence(self.sweep_name, self.step_index, register.name, wire, chips)

    # ---- bookkeeping of one operation ------------------------------------------------------------------------

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
        raise CausalityError(
            f"a signal made in {self.when(old._step)} was used in {self.when(self._now)}; what is to survive a step "
            "goes into a register"
        )

    def emit(
        self, head: Head, value: np.ndarray, shape: Shape, reads: tuple[int | str, ...], work: Shape | None = None
    ) -> Signal:
        """Enter one operation that makes a value of `shape`; the size of the work is that of the result if not said."""
        if self.finishes:
            value = self.finish(head, value, shape)
        entries = self._entries
        slot = len(entries)
        entries.append((head, shape, work, reads, slot))
        signal = self.signal_type()
        signal._value, signal._step, signal._slot, signal._machine = value, self._now, slot, self
        return signal

    def note(self, head: Head, shape: Shape, reads: tuple[int, ...], writes: str) -> None:
        """Enter one operation that writes a storage."""
        self._entries.append((head, shape, None, reads, writes))

    def finish(self, head: Head, value: np.ndarray, shape: Shape) -> np.ndarray:
        """What is still to be done to a new value, on machines where `finishes` is set."""
        self.check(head, value, shape)
        return value

    def check(self, head: Head, value: np.ndarray, shape: Shape) -> None:
        """On strict machines: check a new value. From then on it is read-only, and when the step ends overwritten."""
        if value.shape != shape or value.dtype != self.dtype:
            raise TypeError(f"{head.kind} made {value.dtype} {value.shape}, not {self.dtype} {shape}")
        value.setflags(False)
        self._made.append(value)


def vectors(v: np.ndarray) -> np.ndarray:
    """A signal, or the vectors of a bundle, as `(chips, vectors, n)`."""
    return v if v.ndim == 3 else v.reshape(v.shape[0], -1, v.shape[-1])
