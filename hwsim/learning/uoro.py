"""Unbiased online recurrent optimisation: the sensitivities as one outer product of random signs."""

from __future__ import annotations

from functools import reduce
from math import sqrt
from typing import Any, Literal

from pydantic import BaseModel

from hwsim.accounts.memory import LEARNING
from hwsim.cells import Cell
from hwsim.cells.factor import Factor
from hwsim.learning.keeps import Directions, Keeps
from hwsim.learning.sensitivities import ForwardRule, Sensitivities, balance, columns, rows_of, size_of
from hwsim.machine import Signal, Workspace
from hwsim.operations import reciprocal, signs, singles, total
from hwsim.operations import sqrt as root


class Options(BaseModel, extra="forbid"):
    """Unbiased online recurrent optimisation: N + P numbers for P parameters, and an unbiased, noisy gradient."""

    name: Literal["uoro"]


class UORO(ForwardRule):
    """M ≈ s θ̃ᵀ, with s ← ρ₀ J s + ρ₁ ν, θ̃ ← θ̃ / ρ₀ + Fᵀν / ρ₁, and dL/dθ ≈ Σ_t (g_t · s_t) θ̃_t.

    ν holds a fresh random sign for each wire of the state, in each step, sequence and chip. Since E[ν νᵀ] = I, the mean
    of s θ̃ᵀ is M, whatever the positive numbers ρ are. ρ₀ = √(‖θ̃‖ / ‖J s‖) and ρ₁ = √(‖Fᵀν‖ / ‖ν‖) give both factors
    one size, for which the variance is least; ε is added to all norms, so that nothing is divided by zero.

    Unbiased for one recurrent layer, and for the top one of a stack: like `rtrl` without `across`, whose mean it is.

    Source: Tallec and Ollivier, "Unbiased online recurrent optimization", ICLR 2018, algorithm 1.
    """

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        return "its estimate is right in the mean; how far random signs put it off has no closed form here"

    def sensitivities(self, cell: Cell, workspace: Workspace) -> RankOne:
        return RankOne(cell, workspace)


class RankOne(Sensitivities):
    """s on the wires of the state, and θ̃, a number per parameter."""

    def __init__(self, cell: Cell, workspace: Workspace) -> None:
        super().__init__(cell)
        self._s = workspace.register(f"{cell.name} s", cell.width, LEARNING)
        self._theta = {
            name: workspace.register(
                f"{cell.name} theta of {name}",
                sums.size[0],
                LEARNING,
                bundle=columns(sums.size),
            )
            for name, sums in cell.sums.items()
        }

    def advance(self, at: Any) -> None:
        nu = signs(self.cell.machine, f"{self.cell.name} signs", self.cell.width)
        js = self.cell.along(at, self._s.load())
        old = {name: register.load() for name, register in self._theta.items()}
        fresh: dict[str, Signal] = {}
        for factor in self.cell.factors(at):
            part = self._transposed(factor, nu)  # Fᵀν
            fresh[factor.name] = part if factor.name not in fresh else fresh[factor.name] + part
        rho_0 = balance(self._norm(old), size_of([(js, False)]))
        rho_1 = root((1 / sqrt(self.cell.width)) * self._norm(fresh))  # every ν has the same norm
        self._now = rho_0 * js + rho_1 * nu
        back_0, back_1 = reciprocal(rho_0), reciprocal(rho_1)
        self._thetas = {name: back_0 * old[name] + back_1 * fresh[name] for name in old}
        self._s.store(self._now)
        for name, theta in self._thetas.items():
            self._theta[name].store(theta)

    def _transposed(self, factor: Factor, nu: Signal) -> Signal:
        """Fᵀν for one parameter, laid out as its gradient."""
        rows = [(self._own(nu, block), r) for block, r in enumerate(factor.rows) if r is not None]
        parts = [factor.product(rows_of(each, r.width), r) for each, r in rows]
        whole: Signal = reduce(lambda x, y: x + y, parts)
        return whole if factor.column is None else whole * singles(factor.column)

    def _norm(self, values: dict[str, Signal]) -> Signal:
        """Of all parameters together."""
        return size_of([(value, len(self.cell.sums[name].size) > 1) for name, value in values.items()])

    def learn(self, g: Signal) -> None:
        along = total(g * self._now)
        for name, theta in self._thetas.items():
            self.cell.sums[name].add(along * theta)
