"""Break-even, for people: sentences and a table for a terminal, a CSV file and a figure."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Console

from hwsim.experiments import run_folder
from hwsim.experiments.breakeven import AXES, QUANTITIES, SUBSTRATE, Breakeven, Meeting, Quantity
from hwsim.quantities import si
from hwsim.reports.tables import Cell, Line, Table, put

COLUMNS = ("over", "value", "system", "energy_j", "low_j", "high_j", "peak_bytes", "time_s")


def show(found: Breakeven, console: Console) -> None:
    """Print what was found."""
    put(table(found), console)
    for line in sentences(found):
        console.print(line, markup=False, highlight=False)


def table(found: Breakeven) -> Table:
    """The energy of a gradient at each value, and how much less or more the substrate needs than the best reference."""
    names = list(next(iter(found.costs.values())))
    lines = []
    for value, costs in found.costs.items():
        least = min(cost.energy[0] for name, cost in costs.items() if name != SUBSTRATE)
        cells = []
        for name, cost in costs.items():
            ratio = "" if name != SUBSTRATE else f"(×{cost.energy[0] / least:.3g})"
            cells.append(Cell(si(cost.energy[0], "J"), cost.energy[0], ratio))
        lines.append(Line(_whole(value), tuple(cells)))
    title = (
        f"{found.name}: energy of a gradient, a sequence (× is the ratio to the best digital reference); "
        "estimated from shapes, nothing was simulated"
    )
    return Table(title, tuple(names), tuple(lines), corner=AXES[found.over].what)


def sentences(found: Breakeven) -> list[str]:
    """Where the substrate meets the best digital reference, quantity by quantity."""
    return [_sentence(found, quantity) for quantity in QUANTITIES] + found.notes


def _sentence(found: Breakeven, quantity: Quantity) -> str:
    meetings, what = found.meetings[quantity.name], found.over
    values = list(found.costs)
    if not meetings:
        last = found.costs[values[-1]]
        best = min(getattr(cost, quantity.name)[0] for name, cost in last.items() if name != SUBSTRATE)
        less = "less" if getattr(last[SUBSTRATE], quantity.name)[0] < best else "more"
        said = (
            f"at all values of {what} from {_whole(values[0])} to {_whole(values[-1])} the substrate needs {less} than "
            "the best digital reference"
        )
    else:
        said = "; ".join(
            f"from {what} = {_whole(meeting.value)} on the substrate needs {'less' if meeting.less else 'more'} than "
            f"the best digital reference, {meeting.reference!r}"
            for meeting in meetings
        )
    return f"{quantity.name}: {said}{_band(found, quantity)}."


def _band(found: Breakeven, quantity: Quantity) -> str:
    """What the ranges of the sources make of it."""
    best, worst = found.favourable[quantity.name], found.unfavourable[quantity.name]
    if best == worst == found.meetings[quantity.name]:
        return ""
    return f"; with the sources' ranges {_where(best)} at best, {_where(worst)} at worst"


def _where(meetings: list[Meeting]) -> str:
    return " and ".join(_whole(meeting.value) for meeting in meetings) or "nowhere"


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def write(found: Breakeven, folder: Path) -> None:
    """Write `breakeven.csv` and `breakeven.svg` into a new folder.

    Raises:
        OutputError: it cannot be written.
    """
    from hwsim.reports.figures.breakeven import svg

    with run_folder.written_whole(folder) as partial:
        with (partial / "breakeven.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for value, costs in found.costs.items():
                for name, cost in costs.items():
                    writer.writerow(
                        [found.over, value, name, *map(repr, cost.energy), cost.memory[0], repr(cost.time[0])]
                    )
        (partial / "breakeven.svg").write_text(svg(found), encoding="utf-8")
