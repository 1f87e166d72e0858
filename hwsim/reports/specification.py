"""What the properties of a device would have to be: a table, and sentences."""

from __future__ import annotations

from math import isfinite

from hwsim.printing import opening
from hwsim.reports.limits import difference
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results.specification import Sought, Specification, Threshold

SAID = {"cosine": "cosine of the gradient", "accuracy": "accuracy"}
_UNCHANGED = 1.05
"""Up to this factor a property need not change."""


def table(result: Specification) -> Table:
    """A row per property, those that cost most first: its value now, the value needed, and what it costs now."""
    rows = [
        TableRow(
            each.sought.name,
            (
                TableCell(value(each.sought, each.sought.now), each.sought.now),
                _needed(each),
                _factor(each),
                TableCell(difference(each.lost), each.lost.mean),
                _good_enough(each),
            ),
        )
        for each in result.ranked
    ]
    columns = "now", "needed", "factor", f"{result.measure} lost now", "good enough"
    title = f"What {result.device} needs for a loss of less than {_allowed(result)} by each property alone"
    return Table(title, columns, tuple(rows), corner="property")


def value(sought: Sought, number: float) -> str:
    """A value of a property with its unit."""
    if sought.whole:
        return f"{number:,.0f}"
    return f"{100 * number:.3g} %" if sought.unit == "%" else f"{number:.3g}"


def _needed(each: Threshold) -> TableCell:
    """The worst value that is good enough, with its interval; or what is known where it was not found."""
    sought, (middle, low, high) = each.sought, each.needed
    most = "≥" if sought.whole else "≤"
    best, worst = (value(sought, end) for end in (sought.tried[0], sought.tried[-1]))
    if each.state == "none fails":
        return TableCell(f"any, down to {worst}" if sought.whole else f"any, up to {worst}")
    if each.state == "all fail":
        return TableCell("not even the best tried", beside=best)
    if each.state == "open":
        return TableCell(
            f"{most} {' to '.join(value(sought, end) for end in each.ends)}", beside="differs by " + each.over
        )
    between = f"{value(sought, low)} to {value(sought, high)}" if isfinite(low) else "no interval"
    return TableCell(f"{most} {value(sought, middle)}", middle, between)


def _factor(each: Threshold) -> TableCell:
    """How many times better it has to become, or how many times worse it may."""
    factor = each.factor
    if not isfinite(factor):
        return NOTHING
    if 1 / _UNCHANGED <= factor <= _UNCHANGED:
        return TableCell("as it is", 1.0)
    return TableCell(f"{factor:.2g} × slack" if factor > 1 else f"{1 / factor:.2g} × better", factor)


def _good_enough(each: Threshold) -> TableCell:
    return TableCell({True: "yes", False: "no", None: "undecided"}[each.good_enough])


def _allowed(result: Specification) -> str:
    if result.measure == "accuracy":
        return f"{100 * result.allowed:.3g} points of accuracy"
    return f"{result.allowed:.3g} of the cosine"


def sentences(result: Specification) -> list[str]:
    """What has to become better, what is good enough, what is undecided, and how it was found."""
    return [*findings(result), *_how(result)]


def findings(result: Specification) -> list[str]:
    """What has to become better, what is undecided, what is good enough, and what was not tried."""
    lines = []
    for known, text in (
        (False, "Has to become better: "),
        (None, "Undecided, the interval of what is needed has the present value in it: "),
        (True, "Good enough: "),
    ):
        named = [said(each) for each in result.ranked if each.good_enough is known]
        if named:
            lines.append(f"{text}{'; '.join(named)}.")
    return [*lines, *(f"{opening(name)}: {why}." for name, why in result.untried)]


def said(each: Threshold) -> str:
    """A property in a few words: what it is now, and what it has to be."""
    cell, sought = _needed(each), each.sought
    beside = f" ({cell.beside})" if cell.beside else ""
    return f"{sought.name}, now {value(sought, sought.now)}, needs {cell.text}{beside}"


def _how(result: Specification) -> list[str]:
    how = result.method
    over = "seeds" if len(how.seeds) > 1 else "chips"
    lines = [
        "Each property was changed alone, all else as it is, and the loss is to the same machine with the perfect "
        f"value; the values that are tried have the same {len(how.seeds)} × {how.chips} chips and the same noise. "
        f"Where less than {_allowed(result)} is lost was found for each of the {over} by halving; intervals are 95 % "
        f"by Student’s t over {over}. Properties together lose more than each alone."
    ]
    if result.measure == "cosine":
        lines.append(
            f"{opening(SAID['cosine'])}: with exact BPTT at the initial target weights, mean of {how.gradients} "
            f"gradients of {how.sequences} sequences, before any training."
        )
    else:
        lines.append(f"Accuracy: of {how.tested} test sequences, after {how.updates} updates by {how.batch} each.")
    return lines


def meanings(result: Specification) -> Table:
    """What the values of each property are."""
    rows = tuple(
        TableRow(
            each.sought.name,
            (
                TableCell(each.sought.means),
                TableCell(f"{value(each.sought, each.sought.tried[0])} to {value(each.sought, each.sought.tried[-1])}"),
                TableCell(each.sought.key),
            ),
        )
        for each in result.ranked
    )
    return Table("What the values are, and which were tried", ("value", "tried", "option"), rows, corner="property")
