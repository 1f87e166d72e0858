"""Robustness of a break-even: the search is repeated with each named constant halved and doubled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from math import inf, log
from typing import Any

from hwsim.accounts.energy import Tariff
from hwsim.accounts.schedule import Scheduler, recursion
from hwsim.experiments.breakeven import STATED, CostCurves, shared
from hwsim.experiments.costs import Costs
from hwsim.quantities import Constant, Origin, replaced
from hwsim.results.breakeven import QUANTITIES, Course, FragileConstant, Quantity, SystemCost
from hwsim.units.sram import TABLE

FACTORS = (0.5, 2.0)
MOVED = 1.1
"""A meeting has moved if its value changes by more than this factor."""

AHEAD = 4
"""A reference that needs this many times as much as the best one cannot become the best by one constant."""

CAPACITIES = ("parts.sram.capacity", "parts.sram.bank", "parts.buffer.capacity", "parts.buffer.bank")
TIMES = ("parts.dram.time", "parts.timing.clock", "parts.timing.macs", "parts.timing.lanes", "parts.tiles.time")
SHAPING = (*CAPACITIES, *TIMES)
"""Starts of the keys of constants that do more than set a price: they determine traffic, or time."""
RESIZING = ("parts.buffer.capacity",)
"""Constants that determine how much data waits, so that memory needs a new estimate."""


def fragile(
    curves: CostCurves,
    quantities: tuple[Quantity, ...],
    exact: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[FragileConstant]:
    """The constants that a break-even depends on, those that move it most first.

    Between the values of the axis, the lead of a system is interpolated linearly in logarithms.

    Args:
        curves: the costs along the axis, as their sources state them.
        exact: whether meetings are searched to the whole number.
        progress: called with the number of constants that are done, and their total.
    """
    names, origins = list(dict.fromkeys([*SHAPING, *_priced(curves)])), _origins(curves)
    moving: list[FragileConstant] = []
    for number, name in enumerate(names):
        progress(number, len(names))
        halved, doubled = (VariedCurves(curves, name, factor) for factor in FACTORS)
        for quantity, _ in quantities:
            if quantity != "energy" and not name.startswith(SHAPING):
                continue
            varied = halved, curves, doubled
            low, stated, high = (each.course(quantity, STATED, exact, within=inf) for each in varied)
            by = max(distance(stated, low), distance(stated, high))
            if by > log(MOVED):
                moving.append(FragileConstant(quantity, name, tuple(origins.get(name, ())), low, high, by))
    progress(len(names), len(names))
    return sorted(moving, key=lambda constant: -constant.by)


def distance(first: Course, second: Course) -> float:
    """How far apart the meetings of two courses are, as a logarithm."""
    ways = [[first.less], [second.less]]
    for way, course in zip(ways, (first, second), strict=True):
        way += [meeting.less for meeting in course.meetings]
    if ways[0] != ways[1]:
        return inf
    pairs = zip(first.meetings, second.meetings, strict=True)
    return max((abs(log(a.value / b.value)) for a, b in pairs), default=0.0)


class VariedCurves(CostCurves):
    """Cost curves with one constant multiplied by a factor."""

    def __init__(self, base: CostCurves, constant: str, factor: float) -> None:
        self.__dict__.update(base.__dict__)
        self.base, self.constant, self.factor = base, constant, factor
        self._known = {}

    def at(self, value: int) -> dict[str, SystemCost]:
        if value not in self._known:
            stated = self.base.at(value)
            self._known[value] = {
                name: self._varied(value, name, cost) if self._counts(cost, stated) else cost
                for name, cost in stated.items()
                if name not in self.bounds
            }
        return self._known[value]

    def _counts(self, cost: SystemCost, stated: dict[str, SystemCost]) -> bool:
        """Whether a system is the substrate, or a reference that could become the best one with other constants."""
        if cost is stated[self.substrate]:
            return True
        return any(
            getattr(cost, quantity)[0] <= AHEAD * min(getattr(stated[name], quantity)[0] for name in self.references)
            for quantity, _ in QUANTITIES
        )

    def _varied(self, value: int, name: str, stated: SystemCost) -> SystemCost:
        if not self.constant.startswith(SHAPING):
            more = sum(
                energy * (self.factor**power - 1)
                for ranged, energy in stated.constants.items()
                if (power := ranged.names.count(self.constant))
            )
            return stated._replace(energy=(stated.energy[0] + more, *stated.energy[1:]))
        experiment, stated_options, dataset = self.base.options(value, name)
        machine, changed = scaled(stated_options.machine, self.constant, self.factor)
        if not changed:
            return stated
        if self.constant in RESIZING:
            options = stated_options.model_copy(update={"machine": machine})
            return self.base.cost(experiment, name, options, dataset)
        return self.base.cost_of(name, repriced(self.base.costs(value, name), machine))


def repriced(costs: Costs, machine: Any) -> Costs:
    """The ledgers of a system at the prices of a machine with other constants.

    Args:
        machine: the options of the other machine.
    """
    changed = copy.copy(costs)
    prices, traces, passes = costs.machine.prices(machine), costs.machine.journal.traces, costs.tariff.passes
    changed.tariff = Tariff(traces, prices, passes)
    changed.scheduler = Scheduler(traces, prices.occupied, recursion, passes=passes)
    return changed


def scaled(options: Any, name: str, factor: float) -> tuple[Any, bool]:
    """A machine's options with a constant multiplied, also in its digital unit; and whether it has that constant.

    Args:
        name: its key behind the machine.
    """

    def multiplied(constant: Constant[Any], *_: Any) -> Constant[Any]:
        if shared(constant) != name:
            return constant
        value = constant.value * factor
        whole = max(1, round(value)) if isinstance(constant.value, int) else value
        return constant.model_copy(update={"value": whole, "range": None})

    changed = replaced(options, multiplied)
    return changed, changed is not options


def _origins(curves: CostCurves) -> dict[str, list[Origin]]:
    """Where constants stand in the systems that are compared, by their keys behind the machine."""
    origins: dict[str, list[Origin]] = {}

    def note(constant: Constant[Any], *_: Any) -> Constant[Any]:
        origins.setdefault(shared(constant), []).append(constant.origin)
        return constant

    for name in (curves.substrate, *curves.references):
        replaced(curves.options(curves.values[0], name)[1].machine, note)
    return origins


def _priced(curves: CostCurves) -> Iterator[str]:
    """Constants that set prices of the substrate or of a digital reference, anywhere along the axis."""
    for value in curves.values:
        for cost in curves.at(value).values():
            for constant in cost.constants:
                alone = len(constant.names) == 1
                yield from (name for name in constant.names if alone or not name.startswith(TABLE))  # but their scale
