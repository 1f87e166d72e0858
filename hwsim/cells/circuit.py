"""Circuits as cells: neurons whose equations a file gives as text, in the language of Brian2."""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim import initial
from hwsim.cells.cell import Cell, Membranes, Size
from hwsim.cells.factor import Factor
from hwsim.cells.synapses import FanIn, InputFanIn, factors, per_neuron, require_neurons_to_hear, synapses, together
from hwsim.documents import ByName
from hwsim.errors import CapabilityError
from hwsim.machine import Bias, Machine, Signal
from hwsim.operations import join, pad, take, zeros
from hwsim.operations.circuits import advance, advance_slopes
from hwsim.units.circuit import Circuit as Neurons
from hwsim.units.neuron_text import DRIVE, NeuronText

Gain = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Options(BaseModel, extra="forbid"):
    """Neurons of one kind that hear their input and one another; the kind is equations in a file."""

    name: Literal["circuit"]
    units: Annotated[int, Field(ge=1, description="number of neurons N")]
    neuron: Annotated[
        NeuronText,
        ByName(),
        Field(description="a neuron in configs/neurons/, by name, a path, or the changes to the one that it is `like`"),
    ]
    gain: Annotated[Gain, Field(description="approximate spectral radius of the initial W")] = 1.0
    input_gain: Annotated[Gain, Field(description="factor on the initial U")] = 1.0
    bias: Annotated[float, Field(allow_inf_nan=False, description="initial b: the drive of a neuron at rest")] = 0.0
    fan_in: FanIn = None
    input_fan_in: InputFanIn = None

    @model_validator(mode="after")
    def _has_neurons_to_hear(self) -> Self:
        require_neurons_to_hear(self)
        return self


def size(options: Options, inputs: int) -> Size:
    """A wire for each variable of each neuron, its spikes and its refractory time; what goes on is visible.

    Raises:
        CapabilityError: neurons have more synapses from the input than it has wires.
    """
    n, text = options.units, options.neuron
    blocks = len(text.variables) + (text.threshold is not None) + (text.refractory is not None)
    return Size(blocks * n, n, n * (per_neuron(options, inputs) + 1), n)


class OperatingPoint:
    """State, input and drive of a step, and the derivatives there, which are worked out when they are first needed.

    Attributes:
        new: the state behind the step, once it was taken.
    """

    __slots__ = ("_cell", "_slopes", "drive", "h", "new", "x")
    new: Signal

    def __init__(self, cell: Circuit, h: Signal, x: Signal, drive: Signal) -> None:
        self._cell, self.h, self.x, self.drive = cell, h, x, drive
        self._slopes: dict[tuple[str, str], Signal] | None = None

    @property
    def slopes(self) -> dict[tuple[str, str], Signal]:
        """By which block, or the drive, a block changes: a signal on N wires for each pair that may."""
        if self._slopes is None:
            self._slopes = self._cell.slopes(self)
        return self._slopes


class Circuit(Cell):
    """h' is what the equations make of h in an input step with the drive W z + U x + b, where z is what goes on.

    z is the first block of the state: the spikes of the step before, or a variable of neurons without threshold. With D
    the derivatives of each block by each, and G those by the drive: J = D + G W, with W on the block z.
    """

    dense = True

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        n = self.n = options.units
        self.circuit = Neurons(options.neuron, n)
        self.blocks, self.width = len(self.circuit.blocks), len(self.circuit.blocks) * n
        if options.neuron.refractory is not None:
            self.traced_blocks = self.blocks - 1  # when a neuron fired last is taken as given
        watched = options.neuron.watched
        gains = options.gain, options.input_gain
        self.W, self.U = synapses(machine, name, options, inputs, *gains, of_spikes=watched is not None)
        self.b = Bias.trained(machine, f"{name} b", "input", initial.constant(n, options.bias))
        self.trainables = [self.W.trainable, self.U.trainable, self.b.trainable]
        if watched is not None:
            self.synapses = self.W, self.U
            first = self.circuit.blocks.index(watched) * n
            start, scale = options.neuron.wires[watched]
            self.membranes = Membranes(first, start=start, scale=scale, counts=0)
        machine.place_circuit(self.circuit)

    def step(self, h: Signal, x: Signal) -> tuple[Signal, OperatingPoint]:
        at = self._point(h, x)
        at.new = advance(h, at.drive, self.circuit)
        return at.new, at

    def recall(self, before: Signal, x: Signal, h: Signal) -> OperatingPoint:
        """The drive again, which is charged; what the neurons made of it is not needed."""
        return self._point(before, x)

    def _point(self, h: Signal, x: Signal) -> OperatingPoint:
        return OperatingPoint(self, h, x, self.W @ self._block(h, 0) + self.U @ x + self.b)

    def fired(self, at: OperatingPoint, emitted: Signal | None) -> Signal:
        return self._block(at.new, 0) if self.synapses else super().fired(at, emitted)

    def arriving(self, at: OperatingPoint) -> tuple[Signal, ...]:
        return (self._block(at.h, 0), at.x) if self.synapses else super().arriving(at)

    def slopes(self, at: OperatingPoint) -> dict[tuple[str, str], Signal]:
        """The derivatives of a step.

        Raises:
            CapabilityError: the threshold has no slope.
        """
        text, n = self.circuit.text, self.n
        if text.threshold is not None and text.surrogate is None:
            raise CapabilityError(
                f"{self.name}: the threshold of {text.name} has no slope, and its file no surrogate for one, so no "
                "rule can take errors through it; give `surrogate: {name: triangle}` in the neuron"
            )
        entries = self.circuit.slopes_of
        found = advance_slopes(at.h, at.drive, self.circuit)
        if len(entries) == 1:
            return {entries[0]: found}
        return {entry: take(found, place * n, (place + 1) * n) for place, entry in enumerate(entries)}

    # ---- products with the Jacobian --------------------------------------------------------------------------

    def drive_error(self, at: OperatingPoint, delta: Signal) -> Signal:
        parts = [
            at.slopes[block, DRIVE] * self._block(delta, place)
            for place, block in enumerate(self.circuit.blocks)
            if (block, DRIVE) in at.slopes
        ]
        return reduce(_added, parts)

    def input_error(self, drive: Signal) -> Signal:
        return self.U.T @ drive

    def transposed(self, at: OperatingPoint, delta: Signal, drive: Signal | None = None) -> Signal:
        drive = self.drive_error(at, delta) if drive is None else drive
        errors: list[Signal | None] = [self._through(at, delta, by) for by in self.circuit.blocks]
        heard = self.W.T @ drive
        errors[0] = heard if errors[0] is None else errors[0] + heard
        return self._joined(errors)

    def _through(self, at: OperatingPoint, delta: Signal, by: str) -> Signal | None:
        """The error at a block that comes back through the neurons themselves."""
        parts = [
            at.slopes[block, by] * self._block(delta, place)
            for place, block in enumerate(self.circuit.blocks)
            if (block, by) in at.slopes
        ]
        return reduce(_added, parts) if parts else None

    def along(self, at: OperatingPoint, v: Signal) -> Signal:
        return self._changed(at, v, self.W @ self._block(v, 0))

    def along_input(self, at: OperatingPoint, v: Signal) -> Signal:
        return self._changed(at, None, self.U @ v)

    def _changed(self, at: OperatingPoint, v: Signal | None, drive: Signal) -> Signal:
        """The change of the new state with changes of the old one and of the drive."""
        changes = list[Signal | None]()
        for block in self.circuit.blocks:
            parts = [at.slopes[block, DRIVE] * drive] if (block, DRIVE) in at.slopes else []
            if v is not None:
                parts += [
                    at.slopes[block, by] * self._block(v, place)
                    for place, by in enumerate(self.circuit.blocks)
                    if (block, by) in at.slopes
                ]
            changes.append(reduce(_added, parts) if parts else None)
        return self._joined(changes)

    def inverse_transposed(self, at: OperatingPoint, v: Signal) -> Signal:
        text = self.circuit.text
        if text.threshold is not None:
            raise CapabilityError(
                f"{self.name}: the state of {text.name} has its spikes, which do not go on to the next state, so its "
                "Jacobian has no inverse; take a rule that needs none, such as bptt, eprop or rtrl, or neurons "
                "without a threshold"
            )
        return super().inverse_transposed(at, v)

    # ---- gradients -------------------------------------------------------------------------------------------

    def accumulate(self, at: OperatingPoint, delta: Signal, drive: Signal, recurrent: bool = True) -> None:
        if recurrent:
            self.W.gradient.add_outer(drive, self._block(at.h, 0))
        self.U.gradient.add_outer(drive, at.x)
        self.b.gradient.add(drive)

    def factors(self, at: OperatingPoint) -> list[Factor]:
        rows = tuple(at.slopes.get((block, DRIVE)) for block in self.circuit.blocks)
        entries = ("W", self.W, self._block(at.h, 0)), ("U", self.U, at.x), ("b", self.b, None)
        return factors(entries, rows)

    @property
    def together(self) -> list[list[str]]:
        return together(self.W, self.U)

    def own_decay(self, at: OperatingPoint, recurrent: bool = True) -> list[list[Signal | None]]:
        rows = [[at.slopes.get((block, by)) for by in self.circuit.blocks] for block in self.circuit.blocks]
        if recurrent:
            own = self.W.diagonal()
            for row, block in zip(rows, self.circuit.blocks, strict=True):
                gain = at.slopes.get((block, DRIVE))
                if gain is not None:
                    heard = gain * own
                    row[0] = heard if row[0] is None else row[0] + heard
        return rows

    def program(self) -> None:
        self.W.program()
        self.U.program()
        self.b.program()

    # ---- wires -----------------------------------------------------------------------------------------------

    def _block(self, x: Signal, place: int) -> Signal:
        """The wires of one block of the state."""
        return x if self.blocks == 1 else take(x, place * self.n, (place + 1) * self.n)

    def _joined(self, blocks: list[Signal | None]) -> Signal:
        """Blocks side by side, zeros where there is none."""
        parts, missing = list[Signal](), 0
        for block in blocks:
            if block is None and parts:
                parts[-1] = pad(parts[-1], 0, self.n)
            elif block is None:
                missing += self.n
            else:
                parts.append(pad(block, missing, 0) if missing else block)
                missing = 0
        if not parts:
            return zeros(self.machine, self.width)
        whole: Signal = join(*parts) if len(parts) > 1 else parts[0]
        return whole


def _added(x: Signal, y: Signal) -> Signal:
    return x + y
