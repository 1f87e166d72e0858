"""The gated recurrent unit: h_t = h_{t-1} + z (c - h_{t-1}), with gates z and r, and a candidate c behind r."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim import initial
from hwsim.cells.cell import Size
from hwsim.cells.derived import Derived
from hwsim.machine import Bias, Machine, Matrix, Signal
from hwsim.operations import sigmoid, take, tanh


class Options(BaseModel, extra="forbid"):
    """Gated recurrent units; the reset gate acts behind the recurrent product."""

    name: Literal["gru"]
    units: Annotated[int, Field(ge=1, description="number of units N")]


def size(options: Options, inputs: int) -> Size:
    """N wires, all visible; W, U and b of three gates."""
    n = options.units
    return Size(n, n, 3 * n * (n + inputs + 1), n)


class GRU(Derived):
    """z, r = σ(W h + U x + b), c = tanh(U_c x + b_c + r (W_c h)), h' = h + z (c - h).

    The reset gate multiplies the recurrent product, not the state, so that one product serves all gates: W, U and b
    hold the rows of z, r and c, one below the other.

    Source: Cho et al., EMNLP 2014; with the reset behind the product as in cuDNN and PyTorch (Chetlur et al.,
    arXiv:1410.0759, 2014).
    """

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        self.n = self.width = options.units
        rows = 3 * self.n
        self.W = Matrix(machine, f"{name} W", "recurrent", initial.normal(machine.seed, f"{name} W", rows, self.n))
        self.U = Matrix(machine, f"{name} U", "input", initial.normal(machine.seed, f"{name} U", rows, inputs))
        self.b = Bias.trained(machine, f"{name} b", "input", initial.zeros(rows))
        self.keep(self.W, self.U, self.b)

    @property
    def together(self) -> list[list[str]]:
        return [["W"], ["U", "b"]]

    def next(self, h: Signal, x: Signal) -> Signal:
        recurrent, driven = self.W @ h, self.U @ x + self.b
        wz, wr, wc = (self._gate(recurrent, number) for number in range(3))
        uz, ur, uc = (self._gate(driven, number) for number in range(3))
        z, r = sigmoid(wz + uz), sigmoid(wr + ur)
        c = tanh(uc + r * wc)
        return h + z * (c - h)

    def _gate(self, stacked: Signal, number: int) -> Signal:
        gate: Signal = take(stacked, number * self.n, (number + 1) * self.n)
        return gate
