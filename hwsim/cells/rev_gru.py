"""The reversible GRU: two halves of the state, each of which changes by what the other one says."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field

from hwsim import initial
from hwsim.cells.backward import OperatingPoint
from hwsim.cells.cell import Size
from hwsim.cells.derived import Derived
from hwsim.machine import Bias, Machine, Matrix, Signal
from hwsim.machine.following import following
from hwsim.operations import add, forget, forgotten, join, plus, remember, round_to, sigmoid, take, tanh
from hwsim.operations.derivative import Node
from hwsim.operations.fixed_point import GATE


class Options(BaseModel, extra="forbid"):
    """Reversible gated recurrent units, in two halves."""

    name: Literal["rev_gru"]
    units: Annotated[int, Field(ge=1, description="number of units N; the state is 2N real numbers, in two halves")]
    forgets: Annotated[
        Annotated[int, Field(ge=1, le=GATE)] | None,
        Field(
            description="the most bits of its state that a unit forgets in a step; the state is then in fixed point, "
            "and steps can be undone. Without it, neither"
        ),
    ] = None
    fraction: Annotated[int, Field(ge=1, le=40, description="fraction bits of a state in fixed point")] = 23


def size(options: Options, inputs: int) -> Size:
    """2N wires, all visible; W, U and b of three gates of both halves."""
    n = options.units
    return Size(2 * n, 2 * n, 2 * 3 * n * (n + inputs + 1), n)


class _Half(NamedTuple):
    """The parameters of what one half is told by the other."""

    W: Matrix
    U: Matrix
    b: Bias


class RevGRU(Derived):
    """h¹' = z¹ h¹ + (1 - z¹) g¹(h²), then h²' = z² h² + (1 - z²) g²(h¹').

    What one half is told by the other, h, is as in a GRU: z, r = σ(W h + U x + b), g = tanh(U_g x + b_g + r (W_g h)).
    W, U and b hold the rows of z, r and g, one below the other; the reset gate r multiplies the product, as in `gru`.

    With `forgets` the state is in fixed point, and z = 2^-bits + (1 - 2^-bits) σ(…), so that a product z h loses that
    many bits at most. Then the step can be undone: z² and g² follow from h¹', then h² from what z² h² lost, and so on.
    Gradients take rounding for the identity.

    Source: MacKay, Vicol, Ba and Grosse, "Reversible recurrent neural networks", NeurIPS 2018, who limit what is
    forgotten as well. Their algorithm 1, after Maclaurin, Duvenaud and Adams (ICML 2015), puts what was lost into one
    long integer, so that no fraction of a bit is wasted and its length depends on the values; here each step has a word
    of its own.
    """

    blocks = 2

    def __init__(self, machine: Machine, name: str, options: Options, inputs: int, uses: frozenset[str]) -> None:
        super().__init__(machine, name)
        n, seed = options.units, machine.seed
        self.n, self.width = n, 2 * n
        self.forgets, self.fraction = options.forgets, options.fraction
        self.halves = [
            _Half(
                Matrix(machine, f"{name} W{half}", "recurrent", initial.normal(seed, f"{name} W{half}", 3 * n, n)),
                Matrix(machine, f"{name} U{half}", "input", initial.normal(seed, f"{name} U{half}", 3 * n, inputs)),
                Bias.trained(machine, f"{name} b{half}", "input", initial.zeros(3 * n)),
            )
            for half in (1, 2)
        ]
        self.keep(*self.halves[0], *self.halves[1])

    def next(self, h: Signal, x: Signal) -> Signal:
        n = self.n
        first, second = take(h, 0, n), take(h, n, 2 * n)
        first = self._coupled(first, *self._told(self.halves[0], second, x))
        second = self._coupled(second, *self._told(self.halves[1], first, x))
        state: Signal = join(first, second)
        return state

    def _told(self, half: _Half, other: Signal, x: Signal) -> tuple[Signal, Signal]:
        """z and (1 - z) g of a half, from the other half."""
        n = self.n
        recurrent, driven = half.W @ other, half.U @ x + half.b
        wz, wr, wg = (take(recurrent, gate * n, (gate + 1) * n) for gate in range(3))
        uz, ur, ug = (take(driven, gate * n, (gate + 1) * n) for gate in range(3))
        z, r = sigmoid(wz + uz), sigmoid(wr + ur)
        g = tanh(ug + r * wg)
        if self.forgets is None:
            return z, (1 - z) * g
        least = 2.0**-self.forgets
        z = round_to(plus((1 - least) * z, least), GATE)
        return z, round_to((1 - z) * g, self.fraction)

    def _coupled(self, h: Signal, z: Signal, told: Signal) -> Signal:
        return (z * h if self.forgets is None else forget(h, z, *self._fixed)) + told

    # ---- back by a step --------------------------------------------------------------------------------------

    @property
    def _fixed(self) -> tuple[int, int]:
        """The constants of a product in fixed point: bits that it loses at most, and fraction bits."""
        assert self.forgets is not None, f"{self.name} has no state in fixed point"
        return self.forgets, self.fraction

    def forgotten(self, at: OperatingPoint) -> Signal:
        products = [node for node in at.nodes if node.operation is forget]
        lost: Signal = join(*(forgotten(*node.operands, node.result, *self._fixed) for node in products))
        return lost

    def back(self, h: Signal, x: Signal, lost: Signal) -> tuple[Signal, OperatingPoint]:
        n, machine = self.n, self.machine
        first, second = take(h, 0, n), take(h, n, 2 * n)
        with following(machine) as told_second:
            z2, new2 = self._told(self.halves[1], first, x)
        kept2 = second - new2
        before2 = remember(kept2, z2, take(lost, n, 2 * n), *self._fixed)
        with following(machine) as told_first:
            z1, new1 = self._told(self.halves[0], before2, x)
        kept1 = first - new1
        before1 = remember(kept1, z1, take(lost, 0, n), *self._fixed)
        before: Signal = join(before1, before2)
        nodes = [  # of `next`, which would find the same signals
            Node(take, (before,), (0, n), None, before1),
            Node(take, (before,), (n, 2 * n), None, before2),
            *told_first,
            Node(forget, (before1, z1), self._fixed, None, kept1),
            Node(add, (kept1, new1), (), None, first),
            *told_second,
            Node(forget, (before2, z2), self._fixed, None, kept2),
            Node(add, (kept2, new2), (), None, second),
            Node(join, (first, second), (), None, h),
        ]
        return before, OperatingPoint(machine, before, x, h, nodes)
