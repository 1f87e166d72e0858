"""Neurons: analog circuits that are told by equations, integrated by Brian2, with mismatch, noise and a price.

A neuron keeps its own state, on the capacitors of the circuit: it is charged as state, and to hold it costs nothing
more. Mismatch is frozen: each parameter that has a spread is multiplied by e^(σ ξ) for each neuron of each chip, which
is what differences of threshold voltages do to subthreshold currents. Noise, `xi` in the equations, is fresh. Both are
drawn by the streams of the experiment, chip by chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from hwsim import streams
from hwsim.accounts.energy import Charge, charge
from hwsim.imperfection import Imperfection, scaled
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.operations import Operation
from hwsim.operations.circuits import COUNTED, advance
from hwsim.operations.noise import Moment, Source
from hwsim.quantities import Constant, Energy, Power
from hwsim.records import Record
from hwsim.units.circuit import Circuit
from hwsim.units.slopes import SPIKES
from hwsim.units.unit import AnalogStage

MISMATCH = Imperfection(
    "mismatch",
    lambda value: 0.0,
    lambda value: 2 * value,
    "off: neurons of all chips are alike; doubled: twice the spread of each parameter",
)


class Neurons(BaseModel, extra="forbid"):
    """Circuits of neurons whose equations are a text; cells named `circuit` are carried out by them."""

    spike: Annotated[Constant[Energy], Field(description="energy of a spike: the circuit, from threshold to reset")]
    power: Annotated[
        Constant[Power] | None, Field(description="that a neuron draws all the time, whether it fires or not")
    ] = None
    speedup: Annotated[
        float,
        Field(gt=0, allow_inf_nan=False, description="how much faster the circuit is than the time of its equations"),
    ] = 1.0
    mismatch: Annotated[
        float,
        MISMATCH,
        Field(ge=0, allow_inf_nan=False, description="how much of the spread of parameters that neurons state"),
    ] = 1.0
    noise: Annotated[
        float,
        scaled("noise")._replace(side_by_side=False),
        Field(ge=0, allow_inf_nan=False, description="how much of the noise xi of their equations"),
    ] = 1.0
    expected_spikes: Annotated[
        float,
        Field(
            ge=0, allow_inf_nan=False, description="of a neuron in a step: what estimates assume, since they run none"
        ),
    ] = 0.02

    def charges(self, record: Record) -> list[Charge]:
        """The spikes that there really were, and what all neurons draw in the time of a step."""
        charges = [charge("neurons", 1.0, self.spike, activity=0)]
        if self.power is not None:
            neurons = prod(record.size[: -1 - len(COUNTED)])
            charges.append(charge("neurons", neurons * self._step(record), self.power))
        return charges

    def seconds(self, record: Record) -> float:
        """The time of an input step, for each vector: physical time cannot wait, and is not shortened."""
        return prod(record.size[: -2 - len(COUNTED)]) * self._step(record)

    def _step(self, record: Record) -> float:
        return float(record.size[-1 - len(COUNTED)]) * 1e-12 / self.speedup


def drawn(circuit: Circuit, seed: int, layer: str, chips: Sequence[int], share: float) -> dict[str, np.ndarray]:
    """Parameters that differ from neuron to neuron, `(chips, N)`."""
    found = {}
    for name, parameter in circuit.text.parameters.items():
        deviation = share * parameter.deviation
        if deviation:
            names = f"{layer} neurons", name, "frozen"
            draws = [streams.generator(seed, f"chip {chip}", *names).standard_normal(circuit.units) for chip in chips]
            found[name] = circuit.text.numbers[name] * np.exp(deviation * np.array(draws))
    return found


def _advance(
    circuit: Circuit,
    h: np.ndarray,
    drive: np.ndarray,
    parameters: dict[str, np.ndarray],
    source: Source,
    share: float,
    moment: Moment,
) -> tuple[np.ndarray, np.ndarray]:
    """The next state, and the spikes of each chip."""
    noise = (lambda count: share * source.draw(count, moment)) if share and circuit.text.noises else None
    new = circuit.run(h, drive, parameters, noise)
    fires = circuit.blocks[0] == SPIKES
    return new, new[..., : circuit.units].sum((1, 2), dtype=float) if fires else np.zeros(len(h))


class NeuronCircuits:
    """Carries out the neurons of one layer."""

    def __init__(self, machine: AnalogStage, circuit: Circuit, options: Neurons) -> None:
        self._machine, self._circuit, self._options = machine, circuit, options
        self.name = f"{machine.layer} neurons"
        self._source = Source(machine.seed, f"{self.name} noise", machine.numbers)
        self._parameters = drawn(circuit, machine.seed, machine.layer, machine.numbers, options.mismatch)
        expected = options.expected_spikes

        def estimated(_: Any, circuit: Circuit, h: np.ndarray, drive: np.ndarray, *__: Any) -> tuple[Any, Any]:
            spikes = expected * prod(drive.shape[1:]) * (circuit.blocks[0] == SPIKES)
            return blank(h.shape, h.dtype), np.full(len(h), spikes)

        self._advance = machine.numerics.run(Primitive(_advance, estimated))

    def carry_out(self, operation: Operation, operands: tuple[Signal, ...], constants: tuple[Any, ...]) -> Signal:
        """One input step of all neurons of the layer."""
        machine = self._machine
        value = machine.compute(self._values, operands)
        size = operation.size(*(x._value.shape for x in operands), *constants) if operation.size else None
        reads = tuple(x._slot for x in operands)
        head = machine.analog_heads[advance, self.name]
        return machine.emit_analog(head, value, reads, operands[0]._full_scale, size)

    def _values(self, h: np.ndarray, drive: np.ndarray) -> np.ndarray:
        machine = self._machine
        moment = machine.sequencer.moment(self._source)
        new, spikes = self._advance(
            self._circuit, h, drive, self._parameters, self._source, self._options.noise, moment
        )
        machine.measure(spikes)
        value: np.ndarray = new
        return value


__all__ = ["MISMATCH", "NeuronCircuits", "Neurons", "drawn"]
