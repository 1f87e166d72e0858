"""Fast arrays: gradients are pulsed into devices beside the weights, and moved to these column by column.

Each weight matrix C has a fast array A of the same shape, on tiles, devices and references of its own. What a rule adds
to the gradient changes A in place, by random trains on its lines:

    A ← A - fast_rate e xᵀ  at the end of each step in which the rule adds e xᵀ.

After each batch, columns of A are read in turn through the converters of the chip, with a one-hot input v = A e_j, and
C gets pulses that go by v. Networks compute with C alone. A device forgets: pulses up and down that cancel in the mean
take it back to its symmetry point. So A holds the gradient of late, and where the mean gradient is zero, C stays. In
place, C itself would be drawn to its symmetry point, away from the minimum. (Gokmen and Haensch, "Algorithm for
training neural networks on resistive device arrays", Front. Neurosci. 14:103, 2020.)

All of it is carried out by the machine: the pulses of A, reads of its columns with their noise and converters, pulses
of C, and registers. What is simplified on purpose:

- Columns are moved between batches, never within one, `columns` of them: the same number after each batch, so that a
  batch takes the same time as any other. The network, and rules that need constant weights, see C change between
  batches only. A paper's "every n updates", counted in outer products, is `columns` = (steps of a sequence) / n.
- Networks do not see A (γ = 0 in the paper), and A is never reset.
- Biases, gains, and what a cell computes its coefficients from are digital: their gradients are summed, and change them
  by the same rate.
- A column is chosen by a one-hot vector from the chip's own converters, on whose levels 1 is then read and pulsed.
- The unit of A is half of the window of its devices: its weights are from -1 to 1 where x = 0 is in the middle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any

from pydantic import BaseModel, Field

from hwsim import initial
from hwsim.accounts.memories import REGISTERS
from hwsim.accounts.memory import OPTIMIZER
from hwsim.errors import CapabilityError
from hwsim.learning.updates.in_situ import LONGEST
from hwsim.learning.updates.scheme import Rate, Scheme, plain, refuse, size_of_pulses
from hwsim.machine import Machine, Matrix, Register, Ring, Signal, Trainable
from hwsim.networks import Network
from hwsim.operations import dithered, join, take, total
from hwsim.records import UPDATE


class Moved(BaseModel, extra="forbid"):
    """What all schemes with a fast array have."""

    fast_rate: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="learning rate of the fast array, whose largest weight is about 1, the same in all training; "
            "by default that of the weights",
        ),
    ] = None
    columns: Annotated[
        int, Field(ge=1, description="columns of each fast array that are read, and moved to the weights, in an update")
    ] = 1


class Summed(Moved, extra="forbid"):
    """What schemes have that sum in digital memory what they read."""

    longest: Annotated[
        int, Field(ge=1, description="pulses that a weight gets at most in one move; what is left goes on waiting")
    ] = 10


class Fast:
    """The fast array of a weight matrix. It stands where the sums of the gradient stand, and takes what rules add.

    Attributes:
        array: A.
        weights: C.
        head: a one-hot vector that names the column whose turn it is: a ring of bits.
        rate: what is added changes A by so many times of it, negative.
        size: of the sums that it stands for.
    """

    def __init__(self, trainable: Trainable) -> None:
        assert isinstance(trainable.holder, Matrix)
        self.weights: Matrix = trainable.holder
        self.size, self.rate = trainable.shape, 0.0
        self.machine, self.name, (self.rows, self.columns) = trainable.machine, trainable.name, trainable.shape
        with self.machine.part(trainable.layer):
            self.array = Matrix(self.machine, f"{self.name} fast", trainable.group, initial.zeros(*trainable.shape))
        self.array.trainable.pulses = size_of_pulses(self.array.trainable, None, LONGEST)
        assert self.array.trainable.pulses is not None
        self.array.trainable.pulses = self.array.trainable.pulses._replace(random=True)
        self.head = self.bits("head", (1.0,) + (0.0,) * (self.columns - 1))

    def bits(self, what: str, first: tuple[float, ...]) -> Register:
        """A register of bits, one for each column."""
        machine = self.machine
        start = machine.numerics.repeated(first, self.columns, 0, (machine.chips, 1), machine.dtype)
        return Register(machine, f"{self.name} {what}", OPTIMIZER, start, shared=True, bits=1, technology=REGISTERS)

    def buffer(self, what: str) -> Ring:
        """A digital number for each weight, zero at first; the column whose turn it is is at the head."""
        machine = self.machine
        zeros = machine.numerics.zeros((machine.chips, 1, self.columns, self.rows), machine.dtype)
        return Ring(machine, f"{self.name} {what}", OPTIMIZER, zeros, shared=True)

    def add(self, signal: Signal) -> None:
        """Change A by -rate times a number for each weight, in whole pulses that the digital unit counts.

        No lines make these. Each device gets a train of its own, row after row; what is left of a pulse is one or none
        by chance, so that the mean is right.
        """
        pulses = self.array.trainable.pulses
        assert pulses is not None
        wanted = -self.rate * self.machine.digital(signal)
        self.array.pulse(dithered(wanted, f"{self.name} fast, parts of pulses", pulses.step), 1.0)

    def add_outer(self, error: Signal, signal: Signal) -> None:
        """Change A by -rate times an outer product."""
        self.array.pulse_outer(error, signal, -self.rate)

    def read(self, place: Signal) -> Signal:
        """The column of A that a one-hot vector names."""
        return self.array @ place

    def turn(self, place: Signal) -> None:
        """Have the next column be at the head."""
        last = self.columns - 1
        self.head.store(join(take(place, last, self.columns), take(place, 0, last)) if last else place)


class Chopped(Fast):
    """A fast array behind choppers, which swap the two lines of a column where its sign is -1, before pulses are made.

    What is read then has to be multiplied by the same sign. Now and then the sign of a column is turned over, so that
    the gradient changes its sign in A, and what A adds by itself does not. (Rasch, Carta, Fagbohungbe and Gokmen, "Fast
    and robust analog in-memory deep neural network training", Nat. Commun. 15:7133, 2024.)

    Attributes:
        signs: of all columns.
    """

    def __init__(self, trainable: Trainable) -> None:
        super().__init__(trainable)
        self.signs = self.bits("choppers", (1.0,))

    def add(self, signal: Signal) -> None:
        """Refuse a number for each weight.

        Raises:
            CapabilityError: always; choppers are on lines.
        """
        raise CapabilityError(
            f"{self.name}: the rule adds a number for each weight, and choppers turn the signals of lines; take a rule "
            "that ends in outer products, such as one_step, or training.update: {name: tiki_taka_v2} without `chop`"
        )

    def add_outer(self, error: Signal, signal: Signal) -> None:
        super().add_outer(error, self.array.chopped(signal, self.signs))

    def sign(self, place: Signal) -> Signal:
        """The sign of the column at the head, on one wire."""
        return total(self.signs.load() * place)

    def chop(self, place: Signal, flip: Signal) -> None:
        """Multiply the sign of the column at the head by what is on one wire, from the next step on."""
        self.signs.store(self.signs.load() * (1.0 + place * (flip - 1.0)))


class Transfer(Scheme, ABC):
    """Gradients are pulsed into fast arrays, and moved from there; kinds of it say how.

    Attributes:
        fast: the fast array of each matrix, by its name.
    """

    pulses = True
    summed = False
    sink: type[Fast] = Fast
    spread = 1.0
    """Deviation of what is counted of a column, per that of the weights of A."""
    whole = True
    """Whether weights get whole pulses that a digital unit counts, rather than random trains on the lines."""

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.fast: dict[str, Fast] = {}
        self._rates: dict[str, float] = {}

    @classmethod
    def accepts(cls, optimizer: Any, clip: Any) -> None:
        plain("a scheme with a fast array", optimizer)
        if clip:
            raise ValueError(
                "clip: gradients are pulsed into a fast array before those of a batch are known, so nothing can be "
                "clipped; leave it out, and take a smaller rate"
            )

    def check(self, machine: Machine, rule: Any, batch: int) -> None:
        name = self.options.name
        if machine.devices is None:
            refuse(
                f"{name} keeps gradients in devices that answer to pulses, and this machine has none; take a crossbar "
                "whose data sheet has an `update`, such as `{like: rram_crossbar, device: reram_sb}`, or `update: "
                "{name: accumulate}`, which a reference can have of its own"
            )
        if batch > machine.parallel:
            refuse(
                f"{name} changes its fast arrays at every step, so all {batch} sequences of a batch would have to be "
                f"at the same step at the same time, and this machine works on {machine.parallel} side by side; set "
                f"training.batch to {machine.parallel}"
            )

    def prepare(self, network: Network) -> None:
        for trainable in network.trainables:
            if isinstance(trainable.holder, Matrix):
                self._prepare(trainable, trainable.holder)
                fast = trainable.gradient = self.fast[trainable.name] = self.sink(trainable)
                network.beside.append(fast.array)
                self.keep(fast)

    def _prepare(self, trainable: Trainable, matrix: Matrix) -> None:
        name = self.options.name
        if not matrix.unit.whole:
            refuse(
                f"{name} rests on how devices answer to pulses, and the data sheet of this machine's has no `update`; "
                "take one that has, such as `device: reram_sb`"
            )
        pulses = size_of_pulses(trainable, None, self.options.longest if self.whole else LONGEST)
        assert pulses is not None
        trainable.pulses = pulses._replace(random=not self.whole)

    def keep(self, fast: Fast) -> None:
        """Make what the scheme keeps of a matrix besides."""

    def begin(self, network: Network, rate: Rate) -> None:
        for trainable in network.trainables:
            fast = self.fast.get(trainable.name)
            if fast is not None:
                trainable.pulsed = fast.array.trainable.pulsed = True
                self._rates[trainable.name] = rate(trainable)
                fast.rate = self.options.fast_rate or rate(trainable)
                self._expect(trainable, fast, rate(trainable))

    def _expect(self, trainable: Trainable, fast: Fast, rate: float) -> None:
        """Tell estimates what pulses are made of."""
        moved, added = trainable.pulses, fast.array.trainable.pulses
        assert moved is not None
        assert added is not None
        scaled = self.spread * rate if self.whole else 1.0
        trainable.pulses = moved._replace(scaled=scaled, waits=self.whole, of_fast=True)
        fast.array.trainable.pulses = added._replace(scaled=fast.rate)

    def sums(self, trainable: Trainable) -> bool:
        return trainable.name not in self.fast

    def losses(self, losses: int) -> int:
        return 1

    def finish(self, network: Network) -> None:
        for _ in range(self.options.columns):
            for _ in network.machine.phase("transfer"):
                for name, fast in self.fast.items():
                    with network.machine.part(fast.array.trainable.layer, UPDATE):
                        place = fast.head.load()
                        self.move(fast, place, self._rates[name])
                        fast.turn(place)

    @abstractmethod
    def move(self, fast: Fast, place: Signal, rate: float) -> None:
        """Read the column of a fast array that a one-hot vector names, and change that of the weights by it."""
