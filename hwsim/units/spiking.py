"""Spiking neurons as circuits: membranes that integrate, comparators that fire, one neuron for each wire of a layer."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge, charge
from hwsim.machine.machine import vectors
from hwsim.machine.numerics import Primitive
from hwsim.machine.signal import Signal
from hwsim.operations import Neuron, Operation, fire, membrane
from hwsim.quantities import Constant, Energy, Time
from hwsim.records import Record
from hwsim.units.function import Bank, Circuits
from hwsim.units.unit import AnalogStage, Fraction

CIRCUIT = "neuron"
"""What operations that neurons carry out declare as their circuit."""
KINDS = fire.kind, membrane.kind
SPIKE = 1.0
"""The full scale of a spike, which is a pulse on a line and no voltage in between."""


class SpikingCircuits(BaseModel, extra="forbid"):
    """Circuits of spiking neurons, one for each wire of a membrane."""

    update: Annotated[Constant[Energy], Field(description="of one neuron in one step, whether it fires or not")]
    spike: Annotated[
        Constant[Energy],
        Field(description="of one spike, wherever it is sent: to the recurrent weights, or to the readout"),
    ]
    time: Annotated[Constant[Time], Field(description="of one step of all neurons of a layer, which work at once")]
    mismatch: Annotated[
        Fraction, Field(description="frozen: standard deviation of the threshold from neuron to neuron, relative")
    ] = 0.0
    noise: Annotated[Fraction, Field(description="fresh: added to a membrane in a step, as a share of full scale")] = (
        0.0
    )

    @property
    def gain_noise(self) -> float:
        """What membranes have none of."""
        return 0.0

    def charges(self, record: Record) -> list[Charge]:
        """The energy of an update for each neuron, and that of a spike for each that was measured."""
        if record.kind == fire.kind:
            return [charge("spikes", 1.0, self.spike, activity=0)]
        return [charge("neurons", prod(record.size[:-3]), self.update)]

    def seconds(self, record: Record) -> float:
        """A step takes what it takes, however many fire; comparators settle within it."""
        return self.time.value if record.kind == membrane.kind else 0.0


def _raised(h: np.ndarray, gains: np.ndarray, neurons: int) -> np.ndarray:
    """A state whose membranes are divided by what their thresholds are multiplied by."""
    scaled = h.copy()
    scaled[..., :neurons] /= gains[:, None]
    return scaled


def _put(membranes: np.ndarray, state: np.ndarray, neurons: int) -> np.ndarray:
    """A state with these membranes."""
    state[..., :neurons] = membranes
    return state


def _spikes(z: np.ndarray) -> np.ndarray:
    """The number of spikes on each chip."""
    total: np.ndarray = z.sum((1, 2), dtype=float)
    return total


RAISED = Primitive(_raised, lambda expected, h, gains, neurons: h)
PUT = Primitive(_put, lambda expected, membranes, state, neurons: state)
SPIKES = Primitive(_spikes, lambda expected, z: np.full(z.shape[0], expected.spikes * z[0].size))


class SpikingNeurons:
    """Carries out what neurons do in the circuits of the layer that asks for them.

    Thresholds are off by a factor of their own, frozen; membranes get fresh noise, and saturate. Spikes are exact.
    What leaks as it is held, and its noise as it is stored, is the register's.
    """

    def __init__(self, machine: AnalogStage, options: SpikingCircuits, circuits: Circuits) -> None:
        self._machine, self._options, self._circuits = machine, options, circuits
        run = machine.numerics.run
        self._raised, self._put, self._count = run(RAISED), run(PUT), run(SPIKES)

    def carry_out(self, operation: Operation, operands: tuple[Signal, ...], constants: tuple[Any, ...]) -> Signal:
        machine, layer = self._machine, self._machine.layer
        (neuron,) = constants
        width = operands[0]._value.shape[-1] // neuron.blocks
        name = f"{layer} neurons {width}"
        bank = self._circuits.bank((layer, CIRCUIT, width), name, (width,), self._options, apply=False)
        head = machine.analog_heads[operation, name]
        full_scale = SPIKE if operation is fire else machine.scales.of(head, operands)
        does = partial(self._fire, bank) if operation is fire else partial(self._step, bank, full_scale)
        value = machine.compute(does, operands, constants)
        assert operation.size is not None
        size = operation.size(*(x._value.shape for x in operands), *constants)
        return machine.emit_analog(head, value, tuple(x._slot for x in operands), full_scale, size)

    def _fire(self, bank: Bank, h: np.ndarray, neuron: Neuron) -> np.ndarray:
        if np.any(self._options.mismatch):
            h = self._raised(h, bank.gains, h.shape[-1] // neuron.blocks)
        z: np.ndarray = self._machine.functions[fire](h, neuron)
        self._machine.measure(self._count(z))
        return z

    def _step(self, bank: Bank, full_scale: Any, *operands: Any) -> np.ndarray:
        """The new state, with noise on its membranes, which are its first block."""
        state: np.ndarray = self._machine.functions[membrane](*operands)
        n = state.shape[-1] // operands[-1].blocks
        if n == state.shape[-1]:
            self._circuits.spoil(bank, state, full_scale)
            return state
        membranes = self._machine.numerics.contiguous(state[..., :n])
        self._circuits.spoil(bank, vectors(membranes), full_scale)
        joined: np.ndarray = self._put(membranes, state, n)
        return joined
