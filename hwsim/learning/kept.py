"""Kept sensitivities: entries of M for the units that a parameter reaches within a few steps, and no others."""

from __future__ import annotations

from typing import Any

from hwsim.cells import Cell
from hwsim.cells.factor import Factor
from hwsim.learning.sensitivities import Sensitivities, columns
from hwsim.machine import Signal, Workspace
from hwsim.operations import Places, collect, flat, identity, pick


class Kept(Sensitivities):
    """M where it is kept: for each column of a parameter a vector with a number for each of its `pairs`.

    A step takes the Jacobian's entries between kept wires, multiplies, and sums.

    Args:
        steps: in which a parameter is to reach a unit.
    """

    def __init__(self, cell: Cell, workspace: Workspace, steps: int) -> None:
        super().__init__(cell)
        links = cell.links
        assert links is not None, "connections are fixed"
        shapes = cell.traced
        self._pairs = {rows: Pairs(cell, links, rows, steps) for rows in {shape[0] for shape in shapes.values()}}
        self._of = {name: self._pairs[shape[0]] for name, shape in shapes.items()}
        self._registers = {
            name: self._register(workspace, name, self._of[name].kept, columns(shape)) for name, shape in shapes.items()
        }

    def advance(self, at: Any) -> None:
        jacobian = flat(self.cell.along(at, identity(self.cell.machine, self.cell.width)))  # vector l is J e_l
        through = {rows: pick(jacobian, pairs.factors) for rows, pairs in self._pairs.items()}
        self._now: dict[str, tuple[Factor, Signal]] = {}
        for factor in self.cell.factors(at):
            name, pairs = factor.name, self._of[factor.name]
            if name in self._now:
                before = self._now[name][1]
            else:
                terms = through[pairs.rows] * pick(self._registers[name].load(), pairs.sources)
                before = collect(terms, pairs.goals, pairs.kept)
            for block, r in enumerate(factor.rows):
                if r is not None:
                    before = before + collect(factor.own(block), pairs.own[block], pairs.kept)
            self._now[name] = factor, before
        for name, (_, kept) in self._now.items():
            self._registers[name].store(kept)

    def learn(self, g: Signal) -> None:
        for name, (factor, kept) in self._now.items():
            pairs = self._of[name]
            factor.sums.add(collect(pick(g, pairs.wires) * kept, pairs.row, pairs.rows))


class Pairs:
    """Which wires of the state are kept for each row of a parameter: fixed by the connections.

    Attributes:
        rows: of the parameter.
        kept: how many pairs of a wire and a row there are.
        wires, row: of each pair.
        own: for each block of the state, the pair of each row with the wire of its own unit.
        goals, sources, factors: of each product in J M, the pairs that it goes to and comes from, and the entry of J,
            column by column.
    """

    def __init__(self, cell: Cell, links: list[list[int]], rows: int, steps: int) -> None:
        width, units = cell.width, cell.width // cell.blocks
        reached = reach(links, steps)
        pairs = [(wire, row) for row in range(rows) for wire in range(width) if wire % units in reached[row % units]]
        number = {pair: place for place, pair in enumerate(pairs)}
        products = [
            (place, number[before, row], before * width + wire)
            for place, (wire, row) in enumerate(pairs)
            for unit in sorted({wire % units, *links[wire % units]})
            for before in range(unit, width, units)
            if (before, row) in number
        ]
        goals, sources, entries = zip(*products, strict=True)
        self.rows, self.kept = rows, len(pairs)
        self.wires, self.row = Places([wire for wire, _ in pairs]), Places([row for _, row in pairs])
        self.own = [
            Places([number[block * units + row % units, row] for row in range(rows)]) for block in range(cell.blocks)
        ]
        self.goals, self.sources, self.factors = Places(goals), Places(sources), Places(entries)


def reach(links: list[list[int]], steps: int) -> list[set[int]]:
    """The units that each unit acts on within so many steps, the first of which is its own.

    >>> reach([[2], [0], [1]], 2)
    [{0, 1}, {1, 2}, {0, 2}]
    """
    heard_by: list[set[int]] = [set() for _ in links]
    for unit, heard in enumerate(links):
        for other in heard:
            heard_by[other].add(unit)
    reached = [{unit} for unit in range(len(links))]
    for _ in range(steps - 1):
        reached = [units.union(*(heard_by[unit] for unit in units)) for units in reached]
    return reached
