"""What it takes to reach an accuracy, and what an energy reaches: tables, and the remarks below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

from hwsim.quantities import si
from hwsim.reports.tables import NOTHING, Systems, Table, TableCell, TableRow
from hwsim.results import reaching
from hwsim.results.reaching import Reaching, Target, Tested

NOT_REACHED = TableCell("not reached")


class Question(NamedTuple):
    """What a user asks of learning curves.

    Attributes:
        accuracy: the accuracy to reach; None for the default.
        budget: an energy in joules; None if none was given.
    """

    accuracy: float | None = None
    budget: float | None = None


def target(metrics: pd.DataFrame, systems: Systems, asked: Question) -> Target | None:
    """The accuracy that systems are compared at; None if nothing was trained, or nothing that is finite."""
    if asked.accuracy is not None:
        return Target(asked.accuracy)
    lost = [name for name, system in systems.items() if system.diverged]
    return reaching.default_target(reaching.tests(metrics), without=lost)


def tables(metrics: pd.DataFrame, systems: Systems, asked: Question) -> list[Table]:
    """The table of what it takes to reach an accuracy, and that of a budget if there is one."""
    made, goal = [], target(metrics, systems, asked)
    if goal is not None:
        made.append(_to_accuracy(goal, reaching.reaching(metrics, goal.accuracy), systems))
    if asked.budget is not None:
        made.append(_for_budget(asked.budget, reaching.within(metrics, asked.budget), systems))
    return [table for table in made if table.rows]


def remarks(metrics: pd.DataFrame, systems: Systems, asked: Question) -> list[str]:
    """How fine the tables are, and which systems diverged."""
    goal, tested = target(metrics, systems, asked), reaching.tests(metrics)
    if goal is None or not tested:
        return []
    found = reaching.reaching(metrics, goal.accuracy)
    lines = [
        "Accuracy is known at tests only: it was reached between the test before and the one that is given. Nothing is "
        "interpolated, and tests themselves cost nothing here."
    ]
    for name, each in found.items():
        system = systems[name]
        if each.at is None:
            lines.append(f"{name} did not reach {goal.accuracy:.1%}; its best median was {_share(each.best.accuracy)}.")
        elif system.diverged:
            lines.append(f"{name} reached {goal.accuracy:.1%}, but diverged after {system.diverged.updates} updates.")
    return lines


def _to_accuracy(goal: Target, found: Mapping[str, Reaching], systems: Systems) -> Table:
    shown = {name: found[name] for name in systems if name in found}
    rows: list[TableRow] = []
    first = next(iter(shown.values()), None)

    def row(label: str, write: Callable[[float], str], get: Callable[[Tested], float | None], before: str = "") -> None:
        base = None if first is None or first.at is None else get(first.at)
        cells = [
            NOT_REACHED if each.at is None else _spent(get(each.at), write, None if each is first else base)
            for each in shown.values()
        ]
        if all(cell in (NOTHING, NOT_REACHED) for cell in cells) and label != "updates":
            return
        rows.append(TableRow(label, tuple(cells)))
        if before:
            earlier = (each.before if each.at else None for each in shown.values())
            cells = [NOTHING if point is None else _spent(get(point), write, None) for point in earlier]
            rows.append(TableRow(before, tuple(cells)))

    row("energy", lambda value: si(value, "J"), lambda point: point.energy, before="… at the test before")
    row("time", lambda value: si(value, "s"), lambda point: point.seconds or None)
    row("writes / device", lambda value: f"{value:.3g}", lambda point: point.writes)
    row("updates", lambda value: f"{value:,.0f}".replace(",", " "), lambda point: point.updates, before="… before")
    rows.append(TableRow("chips that reach it", tuple(map(_chips, shown.values()))))
    rows.append(TableRow("best median", tuple(TableCell(_share(each.best.accuracy)) for each in shown.values())))
    memory = [systems[name].memory.peak_bytes for name in shown]
    rows.append(TableRow("peak memory", tuple(_spent(held, lambda value: si(value, "B"), None) for held in memory)))
    steps = [systems[name].energy.training_step_j for name in shown]
    rows.append(TableRow("energy / training step", tuple(_spent(step, lambda v: si(v, "J"), None) for step in steps)))
    return Table(f"To reach {goal.accuracy:.1%} on the test{why(goal)}", tuple(shown), tuple(rows), corner="it takes")


def _for_budget(joules: float, found: Mapping[str, Tested | None], systems: Systems) -> Table:
    shown = {name: found[name] for name in systems if name in found}
    none = TableCell("no test yet")
    rows = [
        TableRow("accuracy", tuple(none if at is None else _accuracy(at) for at in shown.values())),
        TableRow("updates", tuple(none if at is None else TableCell(f"{at.updates}") for at in shown.values())),
        TableRow(
            "energy until then",
            tuple(none if at is None else TableCell(si(at.energy or 0.0, "J")) for at in shown.values()),
        ),
    ]
    return Table(bought(joules), tuple(shown), tuple(rows) if shown else (), corner="reached")


def why(goal: Target) -> str:
    """Where a target is from, behind it in a title; empty if it was asked for."""
    return f", one point below the best median of {goal.lowest}, the lowest" if goal.lowest else ""


def bought(joules: float) -> str:
    """The title of what an energy reaches."""
    return f"What {si(joules, 'J')} of learning reaches: the last test within it"


def _accuracy(at: Tested) -> TableCell:
    chips = at.lowest is not None and at.highest is not None and at.lowest < at.highest
    beside = f"({at.lowest:.1%}, {at.highest:.1%})" if chips else ""
    return TableCell(_share(at.accuracy), at.accuracy, beside)


def _chips(found: Reaching) -> TableCell:
    reached = sum(chip is not None for chip in found.chips)
    return TableCell(f"{reached} of {len(found.chips)}", reached)


def _spent(value: float | None, write: Callable[[float], str], base: float | None) -> TableCell:
    if value is None:
        return NOTHING
    return TableCell(write(value), value, f"(×{value / base:.3g})" if base else "")


def _share(accuracy: float) -> str:
    return f"{accuracy:.1%}" if accuracy >= 0 else "not finite"
