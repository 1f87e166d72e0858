"""Sensitivities of a layer's state to its own parameters, M_t = J_{t-1} M_{t-1} + F_t, whole or in part.

What rules that carry sensitivities forward have in common: the registers that hold M, a step of its recursion, and the
gradient Mᵀ g. What is left out of M makes the rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import Any

from hwsim.accounts.memory import LEARNING
from hwsim.cells import Cell
from hwsim.cells.factor import Factor
from hwsim.learning.rule import Rule
from hwsim.machine import Register, Signal, Workspace
from hwsim.networks import Level, Network, traced
from hwsim.networks.readout import Changes
from hwsim.operations import gather, join, ones, place, place_each, plus, project, sqrt, square, take, total
from hwsim.records import GRADIENT, Shape


class Sensitivities(ABC):
    """M of one layer, for all of its cell's parameters."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.units = cell, cell.width // cell.blocks

    @abstractmethod
    def advance(self, at: Any) -> None:
        """M ← J M + F, kept for the next step."""

    @abstractmethod
    def learn(self, g: Signal) -> None:
        """Add Mᵀ g to the gradient, with the M of this step."""

    def _own(self, g: Signal, block: int) -> Signal:
        """Errors at the wires of a block."""
        return take(g, block * self.units, (block + 1) * self.units) if self.cell.blocks > 1 else g

    def _register(self, workspace: Workspace, name: str, width: int, bundle: int, block: int = 0) -> Register:
        """A register for a part of M, which is zero at first."""
        what = f"{self.cell.name} trace of {name}" + (f", block {block}" if self.cell.blocks > 1 else "")
        return workspace.register(what, width, LEARNING, bundle=bundle)


class ForwardRule(Rule):
    """A rule that carries sensitivities forward: one pass, strictly forward, and no past values.

    Each layer has those of its state to its own parameters; the errors that they meet are those of the present step,
    propagated back through the readouts and the layers above.
    """

    @abstractmethod
    def sensitivities(self, cell: Cell, workspace: Workspace) -> Sensitivities:
        """What the rule keeps of M for a cell."""

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace() as workspace:
            states = network.states(workspace)
            kept = {layer: self.sensitivities(layer.cell, workspace) for layer in network.layers}
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                error = network.loss_error(output, step)
                for level in network.downward(error, seen):
                    with machine.part(purpose=GRADIENT):
                        kept[level.layer].advance(level.at)
                    met = self.met(level, error)
                    if met is not None:
                        with machine.part(purpose=GRADIENT):
                            kept[level.layer].learn(met)
        network.finish_gradient()

    def met(self, level: Level, error: Signal | None) -> Signal | None:
        """The error at the state that M meets in this step: g, which also goes on to the layer below; None without one.

        Args:
            error: the error at the output of the network.
        """
        g = level.g()
        if g is not None:
            level.send(g)
        return g


class OwnTraces(Sensitivities):
    """The entries of M within each unit: e ← d e + r cᵀ, a number per parameter, and per wire of a unit.

    d is the part of J from the state of a unit to its own. For a diagonal cell that is all of J, so M is whole.

    Args:
        recurrent: whether weights from a unit to itself count, or only what it keeps without them.
    """

    def __init__(self, cell: Cell, workspace: Workspace, recurrent: bool = True) -> None:
        super().__init__(cell)
        self.recurrent = recurrent
        self._blocks = cell.traced_blocks or cell.blocks
        self._registers = {
            name: [self._register(workspace, name, shape[0], columns(shape), block) for block in range(self._blocks)]
            for name, shape in cell.traced.items()
        }

    def advance(self, at: Any) -> None:
        decay = [row[: self._blocks] for row in self.cell.own_decay(at, self.recurrent)[: self._blocks]]
        self._now: dict[str, tuple[Factor, list[Signal]]] = {}
        for factor in self.cell.factors(at):
            seen = self._now.get(factor.name)
            if seen is None:
                old = [register.load() for register in self._registers[factor.name]]
                parts = [[repeated(d, e) for d, e in zip(row, old, strict=True) if d is not None] for row in decay]
            else:
                parts = [[trace] for trace in seen[1]]
            parts = [
                each if r is None else [*each, factor.own(block)]
                for block, (each, r) in enumerate(zip(parts, factor.rows[: self._blocks], strict=True))
            ]
            self._now[factor.name] = factor, [sum(each[1:], each[0]) for each in parts]
        for name, (_, traces) in self._now.items():
            for register, trace in zip(self._registers[name], traces, strict=True):
                register.store(trace)
        self._show()

    def _show(self) -> None:
        """Show the traces of recurrent weights to who watches from outside, those of membranes."""
        where = self.cell.membranes
        if where is not None:
            name = self.cell.traced_as(self.cell.synapses[0].trainable)
            self.cell.machine.probe(traced(self.cell.name), self._now[name][1][where.first // self.units])

    def learn(self, g: Signal) -> None:
        for factor, traces in self._now.values():
            for block, trace in enumerate(traces):
                error = rows_of(self._own(g, block), trace.width)
                factor.sums.add(factor.product(error, trace))

    def changes(self) -> Changes:
        """M of this step with a whole state for each entry."""
        blocks, units = self.cell.blocks, self.units
        found: Changes = []
        for factor, traces in self._now.values():
            whole = [factor.dispersed(trace, block, blocks, units) for block, trace in enumerate(traces)]
            found.append((factor.sums, sum(whole[1:], whole[0])))
        return found


class Whole(Sensitivities):
    """All of M: for each entry of a parameter a vector on the wires of the state."""

    def __init__(self, cell: Cell, workspace: Workspace) -> None:
        super().__init__(cell)
        self._registers = {
            name: workspace.register(f"{cell.name} trace of {name}", cell.width, LEARNING, bundle=prod(shape))
            for name, shape in cell.traced.items()
        }

    def advance(self, at: Any) -> None:
        self._now: dict[str, tuple[Factor, Signal]] = {}
        for factor in self.cell.factors(at):
            name = factor.name
            before = self._now[name][1] if name in self._now else self.cell.along(at, self._registers[name].load())
            self._now[name] = factor, self._added(before, factor)
        for name, (_, sensitivity) in self._now.items():
            self._registers[name].store(sensitivity)

    def _added(self, sensitivity: Signal, factor: Factor) -> Signal:
        """The sensitivity to a parameter with its factor added."""
        for block, r in enumerate(factor.rows):
            if r is None:
                continue
            where = block * self.units, self.units
            if factor.is_bundle:
                sensitivity = place_each(sensitivity, r, *where)
            else:
                column = ones(self.cell.machine, 1) if factor.column is None else factor.column
                sensitivity = place(sensitivity, r, column, *where)
        return sensitivity

    def learn(self, g: Signal) -> None:
        for factor, sensitivity in self._now.values():
            factor.sums.add(project(sensitivity, g))

    def changes(self) -> Changes:
        """M of this step."""
        return [(factor.sums, sensitivity) for factor, sensitivity in self._now.values()]


def exact(cell: Cell, workspace: Workspace) -> OwnTraces | Whole:
    """All of M, in the fewest numbers."""
    return Whole(cell, workspace) if cell.dense else OwnTraces(cell, workspace)


def columns(shape: Shape) -> int:
    """How many vectors on its rows a parameter is, as a bundle; 0 for one that has no columns, and is a vector."""
    return prod(shape[1:]) if shape[1:] else 0


def rows_of(signal: Signal, rows: int) -> Signal:
    """A signal on the wires of units, once for each of the rows that a parameter has per unit."""
    times = rows // signal.width
    return signal if times == 1 else join(*[signal] * times)


def repeated(decay: Any, trace: Signal) -> Signal:
    """A trace after a step of its own decay: a signal on units, coefficients or a number."""
    product: Signal = (rows_of(decay, trace.width) if isinstance(decay, Signal) else decay) * trace
    return product


EPSILON = 1e-7
"""Added to norms that are divided by each other, as in Tallec and Ollivier's algorithm."""


def size_of(parts: list[tuple[Signal, bool]]) -> Signal:
    """The norm of all numbers together, plus ε: of signals, and of bundles where it says so."""
    squares = [total(gather(square(x)) if bundle else square(x)) for x, bundle in parts]
    norm: Signal = plus(sqrt(sum(squares[1:], squares[0])), EPSILON)
    return norm


def balance(over: Signal, under: Signal) -> Signal:
    """√(over / under): what two factors are multiplied with and divided by, so that both get the same norm."""
    factor: Signal = sqrt(over / under)
    return factor
