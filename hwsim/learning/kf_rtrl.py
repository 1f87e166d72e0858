"""Kronecker-factored real-time recurrent learning: the sensitivities as one Kronecker product of random signs."""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal

from pydantic import BaseModel

from hwsim.accounts.memory import LEARNING
from hwsim.cells import Cell
from hwsim.cells.factor import Factor
from hwsim.errors import CapabilityError
from hwsim.learning.keeps import Directions, Keeps
from hwsim.learning.sensitivities import ForwardRule, Sensitivities, balance, exact, size_of
from hwsim.machine import Signal, Workspace
from hwsim.machine.sparse import SparseTrainable
from hwsim.networks import Network
from hwsim.operations import disperse, join, ones, project, reciprocal, signs, take


class Options(BaseModel, extra="forbid"):
    """Kronecker-factored RTRL: N² numbers beside N, and an unbiased gradient with less noise than that of `uoro`."""

    name: Literal["kf_rtrl"]


class KFRTRL(ForwardRule):
    """M ≈ uᵀ ⊗ A, with u ← c₁ p₁ u + c₂ p₂ z, A ← c₁ J A / p₁ + c₂ D / p₂, and dL/dθ ≈ Σ_t (A_tᵀ g_t) u_tᵀ.

    The step enters the state by F_t = z_tᵀ ⊗ D_t: for leaky tanh units z = (h, x, 1), the columns of (W U b), and
    D = diag(φ). c₁ and c₂ are fresh random signs in each step, sequence and chip, so that the mean is M, whatever the
    positive numbers p are. p₁ = √(‖J A‖ / ‖u‖) and p₂ = √(‖D‖ / ‖z‖) give both factors one size, for which the variance
    is least; ε is added to all norms, so that nothing is divided by zero. Parameters with different D, as in a GRU,
    have factors and signs of their own. In a diagonal cell M has fewer numbers than such factors, so there it is kept.

    Unbiased for one recurrent layer, and for the top one of a stack: like `rtrl` without `across`, whose mean it is.

    Source: Mujika, Meier and Steger, "Approximating real-time recurrent learning with random Kronecker factors",
    NeurIPS 2018.
    """

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if any(isinstance(trainable, SparseTrainable) for trainable in layer.cell.trainables):
                raise CapabilityError(
                    f"learning.name: kf_rtrl takes matrices of which all rows have the same columns, and {layer.name} "
                    "has a sparse one; leave out fan_in, or take `snap`, `uoro` or `rtrl`"
                )

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        return "its estimate is right in the mean; how far random signs put it off has no closed form here"

    def sensitivities(self, cell: Cell, workspace: Workspace) -> Sensitivities:
        return Kronecker(cell, workspace) if cell.dense else exact(cell, workspace)


class Kronecker(Sensitivities):
    """u, a number per column, and A, a bundle with a state for each row, of each group of parameters."""

    def __init__(self, cell: Cell, workspace: Workspace) -> None:
        super().__init__(cell)
        self._groups = [Group(cell, names, workspace) for names in cell.together]

    def advance(self, at: Any) -> None:
        factors: dict[str, Factor] = {}
        for factor in self.cell.factors(at):
            if factor.name in factors:
                raise CapabilityError(
                    f"{self.cell.name} {factor.name} enters a step twice, so that it has no single Kronecker factor"
                )
            factors[factor.name] = factor
        for group in self._groups:
            group.advance(at, [factors[name] for name in group.names])

    def learn(self, g: Signal) -> None:
        for group in self._groups:
            group.learn(g)


class Group:
    """Parameters that enter the state by the same rows: their columns side by side are z."""

    def __init__(self, cell: Cell, names: list[str], workspace: Workspace) -> None:
        self.cell, self.names = cell, names
        sums, shapes = cell.sums, cell.traced
        self._sums, self._columns = [sums[name] for name in names], [(*shapes[name], 1)[1] for name in names]
        what = f"{cell.name} %s of {' '.join(names)}"
        self._signs = what % "signs"
        self._u = workspace.register(what % "u", sum(self._columns), LEARNING)
        self._A = workspace.register(what % "A", cell.width, LEARNING, bundle=shapes[names[0]][0])

    def advance(self, at: Any, factors: list[Factor]) -> None:
        """One step of u and A, kept for the next."""
        machine, rows = self.cell.machine, factors[0].rows
        z = join(*(ones(machine, 1) if each.column is None else each.column for each in factors))
        u, h = self._u.load(), self.cell.along(at, self._A.load())
        p_1 = balance(size_of([(h, True)]), size_of([(u, False)]))
        p_2 = balance(size_of([(r, False) for r in rows if r is not None]), size_of([(z, False)]))
        drawn = signs(machine, self._signs, 2)
        c_1, c_2 = take(drawn, 0, 1), take(drawn, 1, 2)
        self._now = (
            (c_1 * p_1) * u + (c_2 * p_2) * z,
            (c_1 * reciprocal(p_1)) * h + (c_2 * reciprocal(p_2)) * self._D(rows),
        )
        self._u.store(self._now[0])
        self._A.store(self._now[1])

    def _D(self, rows: tuple[Signal | None, ...]) -> Signal:
        """Each row of the parameters on the wires of its unit: a bundle with a state for each row."""
        width, units = self.cell.width, self.cell.width // self.cell.blocks
        parts = [disperse(r, block * units, units, width) for block, r in enumerate(rows) if r is not None]
        whole: Signal = reduce(lambda x, y: x + y, parts)
        return whole

    def learn(self, g: Signal) -> None:
        """Add (Aᵀ g) uᵀ to the gradients."""
        u, A = self._now
        error, start = project(A, g), 0
        for sums, columns in zip(self._sums, self._columns, strict=True):
            part, start = take(u, start, start + columns), start + columns
            if len(sums.size) > 1:
                sums.add_outer(error, part)
            else:
                sums.add(part * error)
