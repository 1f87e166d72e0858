"""What it takes to reach an accuracy or a loss, and what an energy reaches: tables, and the remarks below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import NamedTuple

import pandas as pd

from hwsim.quantities import si
from hwsim.reports.per_step import training_step
from hwsim.reports.tables import NOTHING, Systems, Table, TableCell, TableRow
from hwsim.results import reaching
from hwsim.results.reaching import Reaching, Target, Tested
from hwsim.results.summary import ConstantAnswer

NOT_REACHED = TableCell("not reached")


class Question(NamedTuple):
    """What a user asks of learning curves.

    Attributes:
        accuracy: the accuracy to reach; None for the default.
        budget: an energy in joules; None if none was given.
        loss: the loss to reach, where no accuracy is asked for.
    """

    accuracy: float | None = None
    budget: float | None = None
    loss: float | None = None

    @property
    def target(self) -> Target | None:
        """What is to be reached; None for the default."""
        if self.accuracy is not None:
            return Target(self.accuracy)
        return None if self.loss is None else Target(self.loss, quantity=reaching.LOSS)


def target(
    metrics: pd.DataFrame, systems: Systems, asked: Question, constant: ConstantAnswer | None = None
) -> Target | None:
    """What systems are compared at; None if nothing was trained, or nothing that is finite.

    Args:
        constant: the best constant answer: a system that is no better does not set the default.
    """
    if asked.target is not None:
        return asked.target
    lost, of = [name for name, system in systems.items() if system.diverged], reaching.quantity(metrics)
    least = None if constant is None else getattr(constant, of)
    return reaching.default_target(reaching.tests(metrics, of), without=lost, of=of, constant=least)


def tables(
    metrics: pd.DataFrame, systems: Systems, asked: Question, constant: ConstantAnswer | None = None
) -> list[Table]:
    """The table of what it takes to reach a target, and that of a budget if there is one."""
    made, goal = [], target(metrics, systems, asked, constant)
    if goal is not None:
        made.append(_to_target(goal, reaching.reaching(metrics, goal), systems))
    if asked.budget is not None:
        of = goal.quantity if goal else reaching.quantity(metrics)
        made.append(_for_budget(asked.budget, of, reaching.within(metrics, asked.budget, of), systems))
    return [table for table in made if table.rows]


def remarks(
    metrics: pd.DataFrame, systems: Systems, asked: Question, constant: ConstantAnswer | None = None
) -> list[str]:
    """How fine the tables are, which systems diverged, and whether a constant answer does as well."""
    goal = target(metrics, systems, asked, constant)
    if goal is None or not reaching.tests(metrics, goal.quantity):
        return []
    found = reaching.reaching(metrics, goal)
    what = "Accuracy" if goal.quantity == reaching.ACCURACY else "The loss"
    lines = [
        f"{what} is known at tests only: it was reached between the test before and the one that is given. Nothing is "
        "interpolated, and tests themselves cost nothing here."
    ]
    if any(each.best.half is not None for each in found.values()):
        lines[0] += " Behind ± is half of the 95 % interval of the mean over chips."
    if constant is not None and constant_reaches(goal, constant):
        lines.append(
            f"{aim(goal, opening=True)} is what a constant answer has as well "
            f"({constant_said(goal.quantity, constant)}): to reach it shows no learning."
        )
    for name, each in found.items():
        system = systems[name]
        if each.at is None:
            lines.append(
                f"{name} did not reach {aim(goal)}; its best median was {write(goal.quantity, each.best.value)}."
            )
        elif system.diverged:
            lines.append(f"{name} reached {aim(goal)}, but diverged after {system.diverged.updates} updates.")
    return lines


def aim(goal: Target, opening: bool = False) -> str:
    """A target in words: `92.0%`, or `a loss of 0.1`."""
    if goal.quantity == reaching.LOSS:
        return f"{'A' if opening else 'a'} loss of {goal.value:.4g}"
    return f"{goal.value:.1%}"


def write(quantity: str, value: float) -> str:
    """An accuracy or a loss; one that is not finite is worse than all others."""
    if not isfinite(value) or value < 0:
        return "not finite"
    return f"{value:.4g}" if quantity == reaching.LOSS else f"{value:.1%}"


def constant_reaches(goal: Target, constant: ConstantAnswer) -> bool:
    """Whether the best constant answer is as good as a target."""
    value = getattr(constant, goal.quantity)
    return value is not None and goal.met(value)


def constant_said(quantity: str, constant: ConstantAnswer) -> str:
    """The best constant answer's accuracy or loss in words."""
    value = getattr(constant, quantity)
    return "unknown" if value is None else write(quantity, value)


def _to_target(goal: Target, found: Mapping[str, Reaching], systems: Systems) -> Table:
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
    rows.append(TableRow("best median", tuple(tested(goal.quantity, each.best) for each in shown.values())))
    memory = [systems[name].memory.peak_bytes for name in shown]
    rows.append(TableRow("peak memory", tuple(_spent(held, lambda value: si(value, "B"), None) for held in memory)))
    steps = [systems[name].energy.training_step_j for name in shown]
    rows.append(TableRow("energy / training step", tuple(_spent(step, lambda v: si(v, "J"), None) for step in steps)))
    per = f"; the last row is per {training_step(systems)}"
    return Table(f"To reach {aim(goal)} on the test{why(goal)}{per}", tuple(shown), tuple(rows), corner="it takes")


def _for_budget(joules: float, of: str, found: Mapping[str, Tested | None], systems: Systems) -> Table:
    shown = {name: found[name] for name in systems if name in found}
    none = TableCell("no test yet")
    rows = [
        TableRow(of, tuple(none if at is None else tested(of, at) for at in shown.values())),
        TableRow("updates", tuple(none if at is None else TableCell(f"{at.updates}") for at in shown.values())),
        TableRow(
            "energy until then",
            tuple(none if at is None else TableCell(si(at.energy or 0.0, "J")) for at in shown.values()),
        ),
    ]
    return Table(bought(joules), tuple(shown), tuple(rows) if shown else (), corner="reached")


def why(goal: Target) -> str:
    """Where a target is from, behind it in a title; empty if it was asked for."""
    if not goal.lowest:
        return ""
    if goal.quantity == reaching.LOSS:
        return f", 1 % above the best median of {goal.lowest}, the highest"
    return f", one point below the best median of {goal.lowest}, the lowest"


def bought(joules: float) -> str:
    """The title of what an energy reaches."""
    return f"What {si(joules, 'J')} of learning reaches: the last test within it"


def tested(quantity: str, at: Tested) -> TableCell:
    """The cell of a test: the median, and half of the interval of the mean."""
    if not isfinite(at.value):
        return TableCell(write(quantity, at.value))
    half = "" if at.half is None else (f"± {at.half:.2g}" if quantity == reaching.LOSS else f"± {100 * at.half:.1f}")
    return TableCell(write(quantity, at.value), at.value, half)


def _chips(found: Reaching) -> TableCell:
    reached = sum(chip is not None for chip in found.chips)
    return TableCell(f"{reached} of {len(found.chips)}", reached)


def _spent(value: float | None, write: Callable[[float], str], base: float | None) -> TableCell:
    if value is None:
        return NOTHING
    return TableCell(write(value), value, f"(×{value / base:.3g})" if base else "")
