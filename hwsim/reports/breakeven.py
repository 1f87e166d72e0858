"""The report of a break-even: sentences and a table for a terminal, CSV files and a figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from math import inf
from pathlib import Path

from hwsim.printing import Terminal
from hwsim.quantities import si
from hwsim.reports.fitting import put
from hwsim.reports.tables import Table, TableCell, TableRow
from hwsim.results.breakeven import QUANTITIES, Breakeven, Course, FragileConstant, Quantity

MOVES = ("quantity", "constant", "less_as_stated", "less_halved", "less_doubled", "keys", "source")
COLUMNS = ("over", "value", "system", "energy_j", "low_j", "high_j", "peak_bytes", "time_s")


LISTED = 8
"""Largest number of constants that are explained per quantity, those that move it most."""


def show(result: Breakeven, console: Terminal, fragile: Sequence[FragileConstant] | None = None) -> None:
    """Print a break-even and, if given, the constants that it depends on."""
    put(table(result), console)
    for line in sentences(result):
        console.print(line, highlight=False)
    for line in [] if fragile is None else robustness(result, fragile):
        console.print(line, highlight=False)


def robustness(result: Breakeven, fragile: Sequence[FragileConstant]) -> list[str]:
    """The constants that meetings depend on, one line per constant."""
    lines = []
    for quantity, _ in QUANTITIES:
        constants = [constant for constant in fragile if constant.quantity == quantity]
        if not constants:
            lines.append(f"{quantity}: robust; no constant moves it by more than 10 % when it is halved or doubled.")
        for constant in constants[:LISTED]:
            why = "".join(f" ({origin.why})" for origin in constant.origins[:1])
            lines.append(f"{quantity}: not robust: {_dependence(result.verdicts[quantity].stated, constant)}{why}.")
        if len(constants) > LISTED:
            others = ", ".join(map(_key, constants[LISTED:]))
            lines.append(f"{quantity}: it moves with {others} too.")
    return lines


def _dependence(stated: Course, moved: FragileConstant) -> str:
    """How meetings move with a constant."""
    courses = moved.halved, moved.doubled
    if moved.by < inf and len(stated.meetings) == 1:
        first, last = (course.meetings[0].value for course in courses)
        if min(first, last) <= stated.meetings[0].value <= max(first, last):
            return f"moves with {_key(moved)} from {_whole(first)} to {_whole(last)}"
    as_stated, halved, doubled = map(_where, (stated, *courses))
    return (
        f"the substrate needs less {as_stated} as stated, {halved} with {_key(moved)} halved, {doubled} with it doubled"
    )


def _key(constant: FragileConstant) -> str:
    """The key of a constant in the first system that has it."""
    if not constant.origins:
        return constant.name
    first, *others = constant.origins
    count = f"{len(others)} other system{'s' if len(others) > 1 else ''}"
    return f"{first.key} (as in {count})" if others else first.key


def table(result: Breakeven) -> Table:
    """The energy at each value, and the ratio of the substrate to the best reference."""
    names = list(next(iter(result.costs.values())))
    rows = []
    for value, costs in result.costs.items():
        least = min(cost.energy[0] for name, cost in costs.items() if name not in (result.substrate, *result.bounds))
        cells = []
        for name, cost in costs.items():
            ratio = "" if name != result.substrate else f"(×{cost.energy[0] / least:.3g})"
            cells.append(TableCell(si(cost.energy[0], "J"), cost.energy[0], ratio))
        rows.append(TableRow(_whole(value), tuple(cells)))
    title = (
        f"{result.name}: energy of {result.energy_of} per sequence (× is the ratio to the best digital reference); "
        "estimated from shapes, nothing was simulated"
    )
    return Table(title, tuple(names), tuple(rows), corner=result.axis)


def sentences(result: Breakeven) -> list[str]:
    """Where the substrate meets the best digital reference, by quantity, and remarks."""
    bounds = [f"{name!r} is no best reference: {bound}." for name, bound in result.bounds.items()]
    costs = (
        "These are costs alone: whether a rule still learns there is not asked. How many steps forward propagation "
        "carries errors on this chip, its horizon, `hwsim run` says."
    )
    return [*(_sentence(result, quantity) for quantity in QUANTITIES), *bounds, *result.notes, costs]


def _sentence(result: Breakeven, quantity: Quantity) -> str:
    verdict, what = result.verdicts[quantity.name], result.over
    stated, values = verdict.stated, list(result.costs)
    if not stated.meetings:
        text = (
            f"at all values of {what} from {_whole(values[0])} to {_whole(values[-1])} the substrate needs "
            f"{'less' if stated.less else 'more'} than the best digital reference"
        )
    else:
        text = "; ".join(
            f"from {what} = {_whole(meeting.value)} on the substrate needs {'less' if meeting.less else 'more'} "
            f"than the best digital reference, {meeting.reference!r}"
            for meeting in stated.meetings
        )
    if not verdict.favourable == verdict.unfavourable == stated:
        best, worst = _where(verdict.favourable), _where(verdict.unfavourable)
        text += f"; within the sources' ranges it needs less {best} at best, {worst} at worst"
    if verdict.bound is not None:
        text += f"; less than the lowest bound it needs {_where(verdict.bound)}"
    return f"{quantity.name}: {text}."


def _where(course: Course) -> str:
    """Where the substrate needs less."""
    if not course.meetings:
        return "at all values" if course.less else "at no value"
    places, first = [], ""
    for value, less in [(_whole(meeting.value), meeting.less) for meeting in course.meetings]:
        if less:
            first = value
        else:
            places.append(f"from {first} to below {value}" if first else f"below {value}")
    if course.meetings[-1].less:
        places.append(f"from {first} on")
    return " and ".join(places)


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def write(result: Breakeven, folder: Path, fragile: Sequence[FragileConstant] | None = None) -> None:
    """Write `breakeven.csv` and `breakeven.svg` into an empty folder, and, if constants are given, `robustness.csv`."""
    from hwsim.reports.figures.breakeven import svg

    with (folder / "breakeven.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for value, costs in result.costs.items():
            for name, cost in costs.items():
                writer.writerow([result.over, value, name, *map(repr, cost.energy), cost.memory[0], repr(cost.time[0])])
    (folder / "breakeven.svg").write_text(svg(result), encoding="utf-8")
    if fragile is not None:
        with (folder / "robustness.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(MOVES)
            for moved in fragile:
                stated = result.verdicts[moved.quantity].stated
                courses = map(_where, (stated, moved.halved, moved.doubled))
                keys, why = "; ".join(each.key for each in moved.origins), [each.why for each in moved.origins[:1]]
                writer.writerow([moved.quantity, moved.name, *courses, keys, *(why or [""])])
