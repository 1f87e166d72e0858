"""Parameters: the numbers that learning changes, and the units that apply them to signals.

A `Trainable` holds the master values, on which the optimizer works, and its gradient. `Matrix`, `Bias`, `Gain` and
`Diagonal` are what signals meet; they are programmed with values that the optimizer, or arithmetic on its masters,
delivers. On an exact or digital machine the master values of a matrix are its weights; on a crossbar its devices are
programmed to them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from hwsim.errors import CapabilityError
from hwsim.initial import Initial
from hwsim.machine.numerics import Pulses
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Accumulator, Register, Storage
from hwsim.operations import Held, held
from hwsim.records import WEIGHT_WRITE

NOTHING = (0,)
"""The size of a storage whose values nobody keeps."""


class Master(Register):
    """The values that an optimizer works on. Where devices alone hold them, nothing reads them once pulses begin."""

    def __init__(self, of: Trainable, *parts: Any, **kinds: Any) -> None:
        super().__init__(*parts, **kinds)
        self._of = of

    def load(self) -> Signal:
        self._of.require_kept()
        return super().load()

    def store(self, signal: Signal) -> None:
        if self._of.pulsed:
            raise CapabilityError(
                f"{self.name} is set to other values, and pulses alone change it; take training.update: "
                "{name: accumulate}"
            )
        super().store(signal)


class Trainable:
    """An array of parameters with its gradient.

    Args:
        kept: whether digital memory holds the master values; otherwise devices alone hold the weights, once they were
            programmed.

    Attributes:
        name: unique in the network, such as `"layer 1 B"`.
        group: `"recurrent"`, `"input"` or `"readout"`.
        shape: of the array; the master register holds it flattened, `(chips, 1, values)`.
        initial: how initial values are drawn.
        largest: the largest initial value, whatever learning makes of it.
        holder: what applies the parameters to signals as they are; None if a cell computes something from them first.
        pulsed: whether pulses alone change the parameters from now on, so that nothing is programmed any more.
        pulses: the size of pulses; None for graded ones, each of which is as large as the change.
        gradient: takes what rules add, once `begin_training` was called: sums of the shape, or what changes the
            parameters in place.
    """

    holder: Matrix | Coefficients | None = None
    pulsed = False
    pulses: Pulses | None = None
    gradient: Any

    def __init__(self, machine: Stage, name: str, group: str, initial: Initial, kept: bool = True) -> None:
        self.machine, self.name, self.group, self.layer = machine, name, group, machine.layer
        if machine.given is not None:
            initial = machine.given.of(name, initial)
        self.initial, self.shape, numerics = initial, initial.shape, machine.numerics
        start = numerics.drawn(initial)
        self.largest = numerics.largest(start, initial)
        flat = numerics.flattened(start, machine.chips, machine.dtype)
        self.kept, size = kept, None if kept else NOTHING
        self.master: Register = Master(self, machine, name, machine.master_class, flat, shared=True, size=size)

    def begin_training(self) -> None:
        """Allocate the gradient, unless something takes its place already."""
        if not hasattr(self, "gradient"):
            self.gradient = self.sums()

    def sums(self) -> Accumulator:
        """Sums of the shape."""
        return Accumulator(self.machine, f"{self.name} gradient", self.shape)

    def slot(self, name: str, kind: str) -> Register:
        """A register for one more number for each parameter, zero at first."""
        machine = self.machine
        zeros = machine.numerics.zeros(self.master.value.shape, machine.dtype)
        return Register(machine, name, kind, zeros, shared=True)

    def require_master(self) -> None:
        """Refuse to learn by an optimizer where nothing holds the values that it works on.

        Raises:
            CapabilityError: nothing does.
        """
        if not self.kept:
            raise CapabilityError(
                f"{self.name} learns beside the network, by an optimizer on its master values, and where pulses change "
                "weights this machine holds none; take training.update: {name: accumulate}, or a digital machine"
            )

    def require_kept(self) -> None:
        """Refuse to read weights as numbers where devices alone hold them.

        Raises:
            CapabilityError: they do.
        """
        if self.pulsed and not self.kept:
            raise CapabilityError(
                f"{self.name} is read as plain numbers, and on this machine devices alone hold it: pulses change them, "
                "and digital memory has no copy; take training.update: {name: accumulate}, a chip with a host, or a "
                "digital machine"
            )

    @property
    def values(self) -> np.ndarray:
        """Master values as the array of parameters, `(chips, *shape)`; for the machine and for reports.

        Where devices alone hold the parameters: what they hold.
        """
        return self.master.value.reshape(self.machine.chips, *self.shape)


class Matrix:
    """A trainable matrix. `W @ x` reads it forward, `W.T @ e` transposed; both are the same unit, with one port.

    Attributes:
        largest: the largest initial weight; ranges of devices go by it.
        weights: the numbers that a read multiplies with, `(chips, rows, columns)`.
        turned: the same the other way round, `(chips, columns, rows)`.
        disturbed: whether noise was added to these numbers, which the master values are without.
    """

    disturbed = False

    read: ClassVar[Held] = held.read
    read_transposed: ClassVar[Held] = held.read_transposed
    fetch_columns: ClassVar[Held] = held.columns
    fetch_diagonal: ClassVar[Held] = held.main_diagonal

    def __init__(self, machine: Stage, name: str, group: str, initial: Initial) -> None:
        kept = machine.needs_copy or not machine.pulsed
        self._hold(Trainable(machine, name, group, initial, kept), initial.shape)

    def _hold(self, trainable: Trainable, shape: tuple[int, ...]) -> None:
        """Have a unit of the machine hold these parameters."""
        self.machine, self.name, self.trainable = trainable.machine, trainable.name, trainable
        trainable.holder = self
        self.shape, self.largest = shape, trainable.largest
        self.T = Transposed(self)
        self.unit: Any = self.machine.place_matrix(self)
        self.machine.units.append(self)

    @property
    def gradient(self) -> Any:
        return self.trainable.gradient

    def __matmul__(self, x: Signal) -> Signal:
        return self.machine.apply(self.read, self, x)

    def holds(self, operation: Held) -> Any:
        """What an operation multiplies by."""
        return self.turned if operation is held.read else self.weights

    def take(self, values: np.ndarray) -> None:
        """Read these weights from now on."""
        self.weights = values
        self.turned = self.machine.numerics.contiguous(values.swapaxes(1, 2))  # a view would be read slowly

    @property
    def fetched(self) -> Any:
        """The target weights, as digital memory holds them."""
        self.trainable.require_kept()
        return self.weights if self.disturbed else self.trainable.values

    def columns(self) -> Signal:
        """The target weights as a bundle of columns, read as plain numbers; they come from digital memory."""
        return self.machine.fetch(self.fetch_columns, self)

    def diagonal(self) -> Signal:
        """Target weight i mod n of each row i of n weights, read as plain numbers; they come from digital memory."""
        return self.machine.fetch(self.fetch_diagonal, self)

    def program(self) -> None:
        """In a phase: bring the unit to the master values. What pulses change is left as it is."""
        self.machine.sequencer.require_phase(f"{self.name}: weights are written")
        if not self.trainable.pulsed:
            self.unit.program(self)

    def pulse(self, change: Signal, factor: float) -> None:
        """At the end of the step: change each weight by `factor` times a number of its own, summed over the batch.

        Args:
            change: a vector of all weights, row by row, or a bundle of a vector per column.
        """
        with self.machine.part(purpose=WEIGHT_WRITE):
            self.unit.pulse(self, change, factor)

    def pulse_outer(self, error: Signal, x: Signal, factor: float) -> None:
        """At the end of the step: change the weights by `factor` times an outer product, summed over the batch."""
        with self.machine.part(purpose=WEIGHT_WRITE):
            self.unit.pulse_outer(self, error, x, factor)

    def chopped(self, x: Signal, signs: Register) -> Signal:
        """The signal on the columns of a matrix on devices, with the signs that a register of bits says."""
        signal: Signal = self.unit.chopped(x, signs)
        return signal

    def pulse_column(self, change: Signal, place: Signal, factor: float) -> None:
        """At the end of the step: change the column that a one-hot signal names by `factor` times a vector.

        All devices of the column are pulsed at once. Only a matrix on devices has columns that can be chosen.
        """
        with self.machine.part(purpose=WEIGHT_WRITE):
            self.unit.pulse_column(self, change, place, factor)

    def renew(self) -> None:
        """In a phase: renew what holds the weights, if it wears as pulses change them."""
        self.machine.sequencer.require_phase(f"{self.name}: devices are renewed")
        with self.machine.part(self.trainable.layer, WEIGHT_WRITE):
            self.unit.renew(self)

    def disturb(self, deviation: float) -> None:
        """In a phase: have what reads the weights meet fresh noise on them, until they are programmed.

        Args:
            deviation: of the noise, as a share of the largest weight; the same noise for all that reads them.
        """
        self.machine.sequencer.require_phase(f"{self.name}: noise is added to weights")
        with self.machine.part(self.trainable.layer, WEIGHT_WRITE):
            self.unit.disturb(self, deviation)

    @property
    def programmed(self) -> np.ndarray:
        """The weights that the unit really holds, `(chips, rows, columns)`."""
        weights: np.ndarray = self.unit.programmed(self)
        return weights

    def release(self) -> None:
        """Forget the weights, and the circle of references that would keep them until garbage is collected."""
        self.weights = self.turned = np.empty((0, 0, 0))
        del self.T, self.unit


class Transposed:
    """A matrix read from its other side."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    def __matmul__(self, x: Signal) -> Signal:
        return self.matrix.machine.apply(self.matrix.read_transposed, self.matrix, x)


class Coefficients:
    """One number a wire or mode, applied by units of the machine: the base of `Bias`, `Gain`, `ModeGain`, `Diagonal`.

    Attributes:
        operation: what the machine does with them.
        width: how many real numbers they are.
        storage: what holds them.
        trained_themselves: whether they are parameters; otherwise a cell computes them from its own, and programs them.
        partner: the coefficients that they are the conjugates or inverses of.
    """

    operation: ClassVar[Held]
    storage: Storage

    def __init__(
        self,
        machine: Stage,
        name: str,
        width: int,
        trainable: Trainable | None = None,
        partner: Coefficients | None = None,
    ) -> None:
        self.machine, self.name, self.width = machine, name, width
        self._trainable, self.partner = trainable, partner
        if trainable is not None:
            trainable.holder = self
        self.unit: Any = machine.place_coefficients(self)
        machine.units.append(self)

    @classmethod
    def trained(cls, machine: Stage, name: str, group: str, initial: Initial) -> Self:
        """Coefficients that are parameters themselves."""
        trainable = Trainable(machine, name, group, initial)
        return cls(machine, f"{name} {cls.operation.name}", initial.size, trainable)

    @property
    def shape(self) -> tuple[int]:
        return (self.width,)

    def holds(self, operation: Held) -> np.ndarray:
        """What the operation takes."""
        return self.storage.value

    @property
    def fetched(self) -> np.ndarray:
        """The coefficients, as digital memory holds them."""
        return self.storage.value

    def take(self, values: np.ndarray) -> None:
        """Hold other coefficients than the ones that were programmed; for looking at a run from outside."""
        self.storage.value = values

    @property
    def programmed(self) -> np.ndarray:
        """What is really held, `(chips, 1, n)`."""
        return self.storage.value

    @property
    def group(self) -> str:
        """Of the parameters that they are; those that a cell computes are recurrent."""
        return "recurrent" if self._trainable is None else self._trainable.group

    @property
    def trained_themselves(self) -> bool:
        return self._trainable is not None

    @property
    def trainable(self) -> Trainable:
        """The parameters that they are."""
        assert self._trainable is not None, f"{self.name} is not trained itself"
        return self._trainable

    @property
    def gradient(self) -> Any:
        return self.trainable.gradient

    def program(self, values: Signal | None = None) -> None:
        """In a phase: set the coefficients to a vector of them, or, if they are trained, to their master values."""
        self.machine.sequencer.require_phase(f"{self.name}: weights are written")
        if self._trainable is None or not self._trainable.pulsed:
            self.unit.program(self, values)

    def pulse(self, change: Signal, factor: float) -> None:
        """At the end of the step: change each of them by `factor` times a signal, summed over the batch."""
        with self.machine.part(purpose=WEIGHT_WRITE):
            self.unit.pulse(self, change, factor)

    def _apply(self, x: Signal) -> Signal:
        return self.machine.apply(self.operation, self, x)

    def release(self) -> None:
        """Forget the unit; coefficients are few, and in a storage."""
        del self.unit


class Bias(Coefficients):
    """`x + b`: a fixed number added on each wire."""

    operation = held.bias

    def __radd__(self, x: Signal) -> Signal:
        return self._apply(x)


class Gain(Coefficients):
    """`g * x`: a factor for each wire."""

    operation = held.gain

    def __mul__(self, x: Signal) -> Signal:
        return self._apply(x)


class ModeGain(Coefficients):
    """`g * h`: one real factor for both wires of each mode of a complex signal."""

    operation = held.mode_gain

    def __mul__(self, x: Signal) -> Signal:
        return self._apply(x)

    def constant(self) -> Signal:
        """The factors themselves, as a complex signal."""
        return self.machine.fetch(held.mode_factors, self)

    def spread(self, x: Signal) -> Signal:
        """A bundle with the vector `g x_j` for each wire j of x: 2N wires, the imaginary ones zero."""
        return self.machine.apply(held.spread, self, x)


class Diagonal(Coefficients):
    """`d * h`: one complex factor for each mode, 2N wires in and out.

    Args:
        transposed: whether `d.T * e`, multiplication by the conjugates, is needed too.
    """

    operation = held.diagonal

    def __init__(self, machine: Stage, name: str, width: int, transposed: bool) -> None:
        super().__init__(machine, name, width)
        self._transposed = Conjugate(self) if transposed else None

    @property
    def T(self) -> Conjugate:
        """The conjugates, for products with the transposed Jacobian."""
        assert self._transposed is not None, f"{self.name} was made without its conjugates"
        return self._transposed

    def __mul__(self, x: Signal) -> Signal:
        return self._apply(x)

    def program(self, values: Signal | None = None) -> None:
        super().program(values)
        if self._transposed is not None:
            self._transposed.program(values)


class Conjugate(Coefficients):
    """The conjugates of a diagonal: on exact and digital machines the same numbers, on others units of their own."""

    operation = held.conjugate_diagonal

    def __init__(self, of: Diagonal) -> None:
        self.diagonal = of
        super().__init__(of.machine, f"{of.name} transposed", of.width, partner=of)

    def __mul__(self, x: Signal) -> Signal:
        return self._apply(x)


class InverseDiagonal(Coefficients):
    """The inverses of conjugates of a diagonal: programmed apart, on units of their own."""

    operation = held.inverse_diagonal

    def __init__(self, of: Conjugate) -> None:
        super().__init__(of.machine, f"{of.name} inverse", of.width, partner=of)

    def __mul__(self, x: Signal) -> Signal:
        return self._apply(x)
