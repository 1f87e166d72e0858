"""Long short-term memory: c_t = f c_{t-1} + i g, h_t = o tanh(c_t); the state is h and c, and the readout sees h."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim import initial
from hwsim.cells.cell import Size
from hwsim.cells.derived import Derived
from hwsim.machine import Bias, Machine, Matrix, Signal
from hwsim.operations import join, sigmoid, take, tanh


class Options(BaseModel, extra="forbid"):
    """Long short-term memory."""

    name: Literal["lstm"]
    units: Annotated[int, Field(ge=1, description="number of units N; the state is 2N real numbers, h and c")]


def size(options: Options, inputs: int) -> Size:
    """2N wires, of which h is visible; W, U and b of four gates."""
    n = options.units
    return Size(2 * n, n, 4 * n * (n + inputs + 1), n)


class LSTM(Derived):
    """i, f, o = σ(W h + U x + b), g = tanh(W h + U x + b), c' = f c + i g, h' = o tanh(c').

    W, U and b hold the rows of i, f, o and g, one below the other; the bias of f starts at 1, so that the cell begins
    by remembering.

    Source: Hochreiter and Schmidhuber, Neural Computation 9:1735, 1997, with the forget gate of Gers, Schmidhuber and
    Cummins, Neural Computation 12:2451, 2000.
    """

    blocks = 2

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        n = self.n = options.units
        self.width = 2 * n
        self.W = Matrix(machine, f"{name} W", "recurrent", initial.normal(machine.seed, f"{name} W", 4 * n, n))
        self.U = Matrix(machine, f"{name} U", "input", initial.normal(machine.seed, f"{name} U", 4 * n, inputs))
        self.b = Bias.trained(machine, f"{name} b", "input", initial.ones_between(4 * n, n, 2 * n))
        self.keep(self.W, self.U, self.b)

    @property
    def together(self) -> list[list[str]]:
        return [["W", "U", "b"]]

    def next(self, h: Signal, x: Signal) -> Signal:
        n = self.n
        before, c = take(h, 0, n), take(h, n, 2 * n)
        gates = self.W @ before + self.U @ x + self.b
        i, f, o = (sigmoid(take(gates, number * n, (number + 1) * n)) for number in range(3))
        g = tanh(take(gates, 3 * n, 4 * n))
        new = f * c + i * g
        state: Signal = join(o * tanh(new), new)
        return state
