"""What it takes to reach an accuracy or a loss at each point of a study, and what an energy reaches there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from hwsim.quantities import si
from hwsim.reports import trials
from hwsim.reports.reached import NOT_REACHED, Question, aim, bought, tested, why
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results import reaching
from hwsim.results.reaching import Reaching, Target, Tested
from hwsim.results.study_folder import StudyFolder

Place = tuple[Any, ...]


def target(study: StudyFolder, asked: Question) -> Target | None:
    """What is asked for; else one point below the lowest of the systems' best medians over all points, or 1 % above.

    A system counts at no point where a chip of it is not finite. None without a training that is finite. A system that
    is nowhere better than the best constant answer sets the target only if none is.
    """
    if asked.target is not None:
        return asked.target
    best: dict[str, list[Tested]] = {}
    trials_at = _trials(study)
    of = _quantity(study)
    for place, metrics in _at_points(study):
        lost = _lost(trials_at[place])
        for name, points in reaching.tests(metrics, of).items():
            best[name] = best.get(name, []) + (points if name not in lost else [])
    whole = {name: points for name, points in best.items() if points}
    return reaching.default_target(whole, of=of, constant=_constant(study, of))


def tables(study: StudyFolder, asked: Question) -> list[Table]:
    """A row for each point and system; the second table is that of the budget, if there is one."""
    goal = target(study, asked)
    if goal is None:
        return []
    reached, affordable = list[TableRow](), list[TableRow]()
    varied, words, trials_at = trials.axes(study), trials.vocabulary(study), _trials(study)
    for place, metrics in _at_points(study):
        point = [TableCell(words.value(name, value, bare=True)) for name, value in zip(varied, place, strict=True)]
        lost = _lost(trials_at[place])
        for name, found in reaching.reaching(metrics, goal).items():
            memory = _memory(trials_at[place], name)
            reached.append(TableRow(name, (*point, *_row(goal, found, memory, diverged=name in lost))))
        if asked.budget is not None:
            for name, at in reaching.within(metrics, asked.budget, goal.quantity).items():
                affordable.append(TableRow(name, (*point, *_bought(goal.quantity, at))))
    heads = tuple(words.column(name) for name in varied)
    made = [
        Table(
            f"To reach {aim(goal)} on the test, medians over chips and seeds{why(goal)}",
            (
                *heads,
                "energy",
                "… at the test before",
                "time",
                "writes / device",
                "updates",
                "reached by",
                "best median",
                "memory",
            ),
            tuple(reached),
            corner="system",
            keys=len(heads),
        )
    ]
    if asked.budget is not None:
        columns = (*heads, goal.quantity, "updates", "energy")
        made.append(Table(bought(asked.budget), columns, tuple(affordable), corner="system", keys=len(heads)))
    return [table for table in made if table.rows]


def regions(study: StudyFolder, asked: Question) -> list[str]:
    """A line for each system: where it reaches the target that is asked for, and what that takes there."""
    goal = asked.target
    if goal is None:
        return []
    found: dict[str, dict[Place, Reaching]] = {}
    for place, metrics in _at_points(study):
        for name, each in reaching.reaching(metrics, goal).items():
            found.setdefault(name, {})[place] = each
    lines = []
    for name, at in found.items():
        where = trials.where(study, {place: each.at is not None for place, each in at.items()})
        spent = [each.at.energy for each in at.values() if each.at and each.at.energy is not None]
        ends = list(dict.fromkeys(si(end, "J") for end in (min(spent), max(spent)))) if spent else []
        took = f"; learning takes {' to '.join(ends)} there" if ends else ""
        said = "not reached" if where is None else f"reached {where}".rstrip()
        lines.append(f"{name}: {aim(goal)} {said}{took}.")
    return lines


def _at_points(study: StudyFolder) -> Iterator[tuple[Place, pd.DataFrame]]:
    """The tests at each point; each chip of each seed has a number of its own."""
    curves = study.curves
    if curves.empty or not {*reaching.SPENT, "test_accuracy"} <= set(curves):
        return
    chips = curves.groupby(["seed", "chip"], sort=False).ngroup()
    yield from _by_point(study, curves.assign(chip=chips))


def _trials(study: StudyFolder) -> dict[Place, pd.DataFrame]:
    """The rows of the table that are done, by point."""
    return dict(_by_point(study, study.table[study.table["status"] == "done"]))


def _by_point(study: StudyFolder, rows: pd.DataFrame) -> Iterator[tuple[Place, pd.DataFrame]]:
    columns = trials.axes(study)
    if not columns:
        yield (), rows
        return
    for key, part in rows.groupby(columns, sort=False, dropna=False):
        place: Place = tuple(key)
        yield tuple(None if pd.isna(value) else value for value in place), part  # not a number equals nothing


def _lost(rows: pd.DataFrame) -> set[str]:
    """The systems that are not finite at a point."""
    return set(rows.loc[rows["non_finite"].fillna(False).astype(bool), "system"].astype(str))


def _memory(rows: pd.DataFrame, system: str) -> float | None:
    held = rows.loc[rows["system"] == system, "peak_memory_bytes"].dropna()
    return float(held.median()) if len(held) else None


def _quantity(study: StudyFolder) -> str:
    """What the systems of a study are compared at."""
    return reaching.quantity(study.curves) if "test_accuracy" in study.curves else reaching.ACCURACY


def _constant(study: StudyFolder, of: str) -> float | None:
    """The constant answer's accuracy or loss, median over trials; None if they do not know it."""
    column = f"constant_{of}"
    known = study.table[column].dropna() if column in study.table else pd.Series(dtype=float)
    return float(known.median()) if len(known) else None


def _row(goal: Target, found: Reaching, memory: float | None, diverged: bool) -> tuple[TableCell, ...]:
    at, reached = found.at, sum(chip is not None for chip in found.chips)
    by = TableCell(f"{reached} of {len(found.chips)}", reached, "(not finite later)" if diverged and at else "")
    best = NOTHING if found.best.highest is None else tested(goal.quantity, found.best)
    more = by, best, _cell(memory, "B")
    if at is None:
        return NOT_REACHED, NOTHING, NOTHING, NOTHING, NOTHING, *more
    before = None if found.before is None else found.before.energy
    writes = NOTHING if at.writes is None else TableCell(f"{at.writes:.3g}", at.writes)
    updates = TableCell(str(at.updates), at.updates)
    return _cell(at.energy, "J"), _cell(before, "J"), _cell(at.seconds or None, "s"), writes, updates, *more


def _bought(of: str, at: Tested | None) -> tuple[TableCell, ...]:
    if at is None:
        return TableCell("no test yet"), NOTHING, NOTHING
    return tested(of, at), TableCell(str(at.updates), at.updates), _cell(at.energy, "J")


def _cell(value: float | None, unit: str) -> TableCell:
    return NOTHING if value is None else TableCell(si(value, unit), value)
