"""Real-time recurrent learning: sensitivities of the state to the parameters run forward with the state."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

from pydantic import BaseModel

from hwsim.accounts.memory import LEARNING
from hwsim.cells import Cell
from hwsim.cells.factor import Factor
from hwsim.learning.rule import Rule
from hwsim.machine import Register, Signal, Workspace
from hwsim.networks import Network
from hwsim.operations import ones, place, project
from hwsim.records import GRADIENT


class Options(BaseModel, extra="forbid"):
    """Real-time recurrent learning: a number per parameter for diagonal cells, N per parameter for all others."""

    name: Literal["rtrl"]


class RTRL(Rule):
    """M_t = J_{t-1} M_{t-1} + F_t with M_0 = 0, and dL/dθ = Σ_t M_tᵀ g_t; one pass, strictly forward.

    (Williams and Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
    Computation 1, 1989.) Where J is diagonal, M has one entry per parameter, so the rule is affordable. Where it
    is dense, M has N of them, about N³ in all, and J M takes N⁴ multiplications per step. The rule is exact for one
    recurrent layer. In a stack the error that reaches a lower layer is that of the present step only, so there it is
    exact in the top layer alone (Zucchet et al., "Online learning of long-range dependencies", NeurIPS 2023).
    """

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace() as workspace:
            states = network.states(workspace)
            registers = {layer: _registers(layer.cell, workspace) for layer in network.layers}
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                for level in network.downward(network.loss_error(output, step), seen):
                    with machine.part(purpose=GRADIENT):
                        now = _advance(level.cell, level.at, registers[level.layer])  # M_t
                    g = level.g()
                    if g is not None:
                        with machine.part(purpose=GRADIENT):
                            _learn(level.cell, now, g)  # M_tᵀ g_t
                        level.send(g)
        network.finish_gradient()


Sensitivities = dict[str, tuple[Factor, Signal]]
"""M_t by parameter: a bundle of one vector on the wires of the state per entry, or per column if J is diagonal."""


def _registers(cell: Cell, workspace: Workspace) -> dict[str, Register]:
    """A register per parameter for its part of M, which is zero at first."""

    def register(name: str, entries: tuple[int, ...]) -> Register:
        bundle = prod(entries) if entries else 0
        return workspace.register(f"{cell.name} trace of {name}", cell.width, LEARNING, bundle=bundle)

    return {name: register(name, shape if cell.dense else shape[1:]) for name, shape in cell.traced.items()}


def _advance(cell: Cell, at: Any, registers: dict[str, Register]) -> Sensitivities:
    """M ← J M + F, kept for the next step."""
    now: Sensitivities = {}
    for factor in cell.factors(at):
        name = factor.name
        before = now[name][1] if name in now else cell.along(at, registers[name].load())
        now[name] = factor, _added(cell, before, factor)
    for name, (_, sensitivity) in now.items():
        registers[name].store(sensitivity)
    return now


def _added(cell: Cell, sensitivity: Signal, factor: Factor) -> Signal:
    """The sensitivity to a parameter with its factor added."""
    if not cell.dense:
        return sensitivity + factor.own(0)
    units = cell.width // cell.blocks
    column = ones(cell.machine, 1) if factor.column is None else factor.column
    for block, r in enumerate(factor.rows):
        if r is not None:
            sensitivity = place(sensitivity, r, column, block * units, units)
    return sensitivity


def _learn(cell: Cell, sensitivities: Sensitivities, g: Signal) -> None:
    """Add Mᵀ g to the gradient."""
    for name in sensitivities:
        factor, sensitivity = sensitivities[name]
        factor.sums.add(project(sensitivity, g) if cell.dense else factor.product(g, sensitivity))
