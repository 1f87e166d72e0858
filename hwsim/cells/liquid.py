"""The liquid spiking neuron: input and membrane set how fast the membrane follows its input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwsim import initial
from hwsim.cells.backward import OperatingPoint
from hwsim.cells.cell import Membranes, Size
from hwsim.cells.derived import Derived
from hwsim.cells.spiking import FiringOptions, emitted, refuse_inverse
from hwsim.cells.synapses import per_neuron, synapses
from hwsim.machine import Bias, Machine, Matrix, Signal
from hwsim.operations import fire, join, membrane, sigmoid, zeros
from hwsim.operations.derivative import Node


class Options(FiringOptions, extra="forbid"):
    """Spiking neurons with liquid time constants."""

    name: Annotated[Literal["liquid"], Field(description="which cell")]
    gate: Annotated[
        float,
        Field(allow_inf_nan=False, description="initial bias of the gate a = σ(…); -1/ln(1 - a) steps are τ"),
    ] = 0.0


def size(options: Options, inputs: int) -> Size:
    """N wires of membranes; W, U and b of the drive, and the gate's matrix on drive and membrane, with its bias.

    Raises:
        CapabilityError: neurons have more synapses from the input than it has wires.
    """
    n = options.units
    return Size(n, n, n * (per_neuron(options, inputs) + 1) + n * (2 * n + 1), n)


class Liquid(Derived):
    """u' = m + a (s - m), with s = W z + U x + b, a = σ(G [s; m] + g), z = [u > θ], and m what a spike leaves of u.

    m is u (1 - z) with `reset: zero`, as in the source, or u - θ z. The state is u before the reset, so that spikes
    follow from it; in derivatives the reset is cut. The threshold is fixed.

    Source: Yin, Corradi and Bohté, "Accurate online training of dynamical spiking neural networks through Forward
    Propagation Through Time", Nature Machine Intelligence 5:518, 2023, and the authors' code.
    """

    emits = True

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        refuse_inverse(name, options, uses)
        n = self.width = options.units
        self.neuron = options.firing._replace(decay=1.0)

        self.W, self.U = synapses(machine, name, options, inputs, options.gain, options.gain)
        self.b = Bias.trained(machine, f"{name} b", "input", initial.zeros(n))
        gate = initial.normal(machine.seed, f"{name} G", n, 2 * n)
        self.gate = Matrix(machine, f"{name} G", "recurrent", gate)
        self.gate_bias = Bias.trained(machine, f"{name} g", "recurrent", initial.constant(n, options.gate))
        self.keep(self.W, self.U, self.b, self.gate, self.gate_bias)
        self.synapses = self.W, self.U  # the gate's matrix hears membranes
        self.membranes = Membranes(0, self.neuron.threshold)

    def next(self, h: Signal, x: Signal) -> Signal:
        z = fire(h, self.neuron)
        drive = self.W @ z + self.U @ x + self.b
        left: Signal = membrane(h, z, zeros(self.machine, self.width), self.neuron)
        a = sigmoid(self.gate @ join(drive, left) + self.gate_bias)
        return left + a * (drive - left)

    def emitted(self, h: Signal) -> Node:
        return emitted(h, self.neuron)

    def fired(self, at: OperatingPoint, emitted: Signal | None) -> Signal:
        assert emitted is not None, "the readout sees spikes"
        return emitted

    def arriving(self, at: OperatingPoint) -> tuple[Signal, ...]:
        (heard,) = (node.result for node in at.nodes if node.operation is fire)
        return heard, at.x
