"""Circuits of neurons that are text: one input step of them, and its derivatives.

The state of N neurons is blocks of N wires, one behind the other. What a circuit is made of, it says itself: it is a
constant of these operations. The size of their work ends in `(neurons, picoseconds, counts + 1 …)`: the time of an
input step, and how many of each elementary operation a digital unit takes for one neuron.
"""

from __future__ import annotations

from math import prod
from typing import Any, Protocol

import numpy as np

from hwsim.operations.operation import Operation, Size, Work
from hwsim.records import Shape

COUNTED = "add", "multiply", "divide", "exp", "root", "tanh", "cos", "compare"
"""Elementary operations, in the order in which sizes name them."""


class Text(Protocol):
    """A circuit, as operations see it.

    Attributes:
        blocks: names of the blocks of its state.
        derivatives: how many derivatives of a step of one neuron may differ from zero.
        picoseconds: of an input step.
    """

    blocks: list[str]
    derivatives: int
    picoseconds: int

    def advance(self, h: np.ndarray, drive: np.ndarray) -> np.ndarray:
        """The state behind an input step, without noise and mismatch."""

    def slopes(self, h: np.ndarray, drive: np.ndarray) -> np.ndarray:
        """The derivatives of that step, a block of wires for each."""

    def work(self, derivatives: bool) -> dict[str, int]:
        """Elementary operations for one neuron and input step."""


def size_of(circuit: Any, drive: Shape, derivatives: bool = False) -> Size:
    """The size of the work of an input step."""
    work = circuit.work(derivatives)
    return *drive[2:], circuit.picoseconds, *(1 + work.get(name, 0) for name in COUNTED)


def _work(size: Size) -> Work:
    neurons = prod(size[: -1 - len(COUNTED)])
    return {name: neurons * (each - 1) for name, each in zip(COUNTED, size[-len(COUNTED) :], strict=True) if each > 1}


advance = Operation(
    "advance",
    lambda h, drive, circuit: circuit.advance(h, drive),
    size=lambda h, drive, circuit: size_of(circuit, drive),
    work=_work,
)
"""The state of neurons behind an input step: `advance(state, drive, circuit)`."""
advance_slopes = Operation(
    "advance slopes",
    lambda h, drive, circuit: circuit.slopes(h, drive),
    shape=lambda h, drive, circuit: (*drive[:-1], drive[-1] * circuit.derivatives),
    size=lambda h, drive, circuit: size_of(circuit, drive, True),
    work=_work,
)
"""Its derivatives that may differ from zero, a block of wires for each: `advance_slopes(state, drive, circuit)`."""
