"""Accuracy over the age of devices, in a table and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hwsim.quantities import si
from hwsim.reports.tables import NOT_FINITE, Systems, Table, TableCell, TableRow
from hwsim.results.summary import AgedTest, Spread, SystemSummary

_SPANS = (("year", 31_557_600), ("week", 604_800), ("day", 86_400), ("h", 3_600), ("min", 60))
WAYS = {"drifted": "as they are", "compensated": "compensated", "repaired": "repaired"}
"""What may be done about drift, in words."""


class Line(NamedTuple):
    """The tests of a system at all ages, with one thing done about drift.

    Attributes:
        name: of the line.
        system: whose tests they are.
        ages: the seconds of each wait.
        tests: after each of them.
    """

    name: str
    system: SystemSummary
    ages: tuple[float, ...]
    tests: tuple[AgedTest, ...]


def span(seconds: float) -> str:
    """A time in words: the largest unit of which it is a whole number; below a minute in seconds."""
    for name, size in _SPANS:
        count = seconds / size
        if count >= 1 and count.is_integer():
            return f"{count:.0f} {name}{'s' if count > 1 and name in ('year', 'week', 'day') else ''}"
    return f"{seconds:g} s" if 1 <= seconds < 1e6 else si(seconds, "s")


def lines(systems: Systems) -> list[Line]:
    """What is known of systems whose devices aged: a line for each way to test them."""
    aged = {name: system for name, system in systems.items() if system.aged}
    return [line for name, system in aged.items() for line in _of(f"{name}, " if len(aged) > 1 else "", system)]


def _of(prefix: str, system: SystemSummary) -> Iterator[Line]:
    ages = tuple(float(age.after_s) for age in system.aged)
    for way, words in WAYS.items():
        tests = tuple(test for age in system.aged if (test := getattr(age, way)) is not None)
        if tests:
            yield Line(f"{prefix}{words}", system, ages, tests)


def measured(test: AgedTest | SystemSummary) -> Spread:
    """What is shown of a test: its accuracy, or its loss if it has none."""
    found = test.accuracy or test.loss
    assert found is not None
    return found


def ageing(systems: Systems) -> Table | None:
    """Accuracy, or loss, after each wait, a column for each line; None if no devices aged."""
    found = lines(systems)
    if not found:
        return None
    accuracy = found[0].tests[0].accuracy is not None
    waits = sorted({age for line in found for age in line.ages})
    fresh = TableRow("just written", tuple(_cell(measured(line.system), accuracy) for line in found))
    rows = [TableRow(f"after {span(wait)}", tuple(_at(line, wait, accuracy) for line in found)) for wait in waits]
    title = f"{'Accuracy' if accuracy else 'Loss'} over the age of the devices (worst and best chip)"
    return Table(title, tuple(line.name for line in found), (fresh, *rows))


def remarks(systems: Systems) -> list[str]:
    """What is left of conductances at the end, a sentence for each system, and what repairs took."""
    said = []
    for name, system in systems.items():
        if system.aged:
            last = system.aged[-1]
            said.append(f"{name}: after {span(last.after_s)} devices have {last.conductance:.0%} of their conductance.")
            repair = last.repaired
            if repair is not None and repair.energy_j is not None and repair.time_s is not None:
                took = f"{si(repair.energy_j, 'J')} and {si(repair.time_s, 's')} of hardware time"
                said.append(f"{name}: a repair then takes {took}.")
    return said


def _at(line: Line, wait: float, accuracy: bool) -> TableCell:
    return _cell(measured(line.tests[line.ages.index(wait)]), accuracy) if wait in line.ages else TableCell("-")


def _cell(spread: Spread, accuracy: bool) -> TableCell:
    if spread.median is None:
        return TableCell(NOT_FINITE)
    known = [value for value in spread.per_chip if value is not None]
    ends = [f"{value:.1%}" if accuracy else f"{value:.3f}" for value in (spread.median, min(known), max(known))]
    return TableCell(ends[0], spread.median, f"({ends[1]}, {ends[2]})" if len(known) > 1 else "")
