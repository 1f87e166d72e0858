"""What the properties of a device would have to be: a table, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from hwsim.printing import opening
from hwsim.reports.limits import difference
from hwsim.reports.plus_minus import plus_minus
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results.specification import Sought, Specification, Threshold

SAID = {"cosine": "cosine of the gradient", "change": "cosine of the change by pulses", "accuracy": "accuracy"}
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
                _lost(result, each),
                _good_enough(each),
            ),
        )
        for each in result.ranked
    ]
    lost = "points lost now" if result.measure == "accuracy" else "cosine lost now"
    columns = "now", "needed", "factor", lost, "good enough"
    title = f"What {result.device} needs for a loss of less than {allowed(result)} by each property alone"
    return Table(title, columns, tuple(rows), corner="property")


def value(sought: Sought, number: float) -> str:
    """A value of a property with its unit."""
    if sought.whole:
        return f"{number:,.0f}"
    return f"{100 * number:.3g} %" if sought.unit == "%" else f"{number:.3g}"


def _needed(each: Threshold) -> TableCell:
    """The worst value that is good enough, with its interval; or what is known where it was not found."""
    sought, (middle, low, high) = each.sought, each.within
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
    return TableCell(f"{most} {value(sought, middle)}", middle, _between(sought, low, high))


def _between(sought: Sought, low: float, high: float) -> str:
    """An interval; an end that is not within what was tried is not known."""
    if not isfinite(low):
        return "no interval"
    least, most = min(sought.tried), max(sought.tried)
    first = f"below {value(sought, least)}" if low <= least and not sought.whole else value(sought, low)
    last = f"above {value(sought, most)}" if high >= most and not sought.whole else value(sought, high)
    return f"{first} to {last}"


def _lost(result: Specification, each: Threshold) -> TableCell:
    """What the present value costs, of a cosine or in points of accuracy."""
    if result.measure != "accuracy" or not each.lost.observations:
        return TableCell(difference(each.lost), each.lost.mean)
    half = (each.lost.high - each.lost.low) / 2
    return TableCell(plus_minus(100 * each.lost.mean, 100 * half), each.lost.mean)


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


def allowed(result: Specification) -> str:
    """What a property that is good enough may lose, in words."""
    if result.measure == "accuracy":
        return f"{100 * result.allowed:.3g} points of accuracy"
    return f"{result.allowed:.3g} of the cosine"


def sentences(result: Specification) -> list[str]:
    """What has to become better, what is good enough, what is undecided, and how it was found."""
    return [*findings(result), *_how(result)]


def findings(result: Specification) -> list[str]:
    """What has to become better, what is undecided, what is good enough, and what was not tried."""
    return [*known(result), *untried([result])]


def known(result: Specification) -> list[str]:
    """What has to become better, what is undecided, what is good enough, and what does good."""
    lines = []
    for known, text in (
        (False, "Has to become better: "),
        (None, "Undecided, the interval of what is needed has the present value in it: "),
        (True, "Good enough: "),
    ):
        named = [said(each) for each in result.ranked if each.good_enough is known]
        if named:
            lines.append(f"{text}{'; '.join(named)}.")
    return [*lines, *_better_with(result)]


def untried(results: Sequence[Specification]) -> list[str]:
    """What could not be asked about by any of these, with the reason."""
    tried = {each.sought.name for result in results for each in result.thresholds}
    found = dict(pair for result in results for pair in result.untried if pair[0] not in tried)
    return [f"{opening(name)}: {why}." for name, why in found.items()]


def _better_with(result: Specification) -> Iterator[str]:
    """What the measure is surely better with than without it, and why drift can be."""
    named = [each for each in result.ranked if each.lost.high < 0]
    if not named:
        return
    yield f"Better with it than without: {', '.join(f'{each.sought.name} ({_gained(each)})' for each in named)}."
    if any(each.sought.name == "drift" for each in named):
        yield (
            "Drift makes all weights smaller. With smaller weights, noise of circuits and errors of devices grow less "
            "on their way through steps and layers, so the gradient can point better, while the answers of the network "
            "change. Compensation brings back the size of the weights, and makes what devices that drift unequally "
            "have added larger as well. What an age does to accuracy is what `deploy` in an experiment tests."
        )


def _gained(each: Threshold) -> str:
    return plus_minus(-each.lost.mean, (each.lost.high - each.lost.low) / 2)


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
        f"Where less than {allowed(result)} is lost was found for each of the {over} by halving; intervals are 95 % "
        f"by Student’s t over {over}. Properties together lose more than each alone."
    ]
    if result.measure == "cosine":
        lines.append(
            f"{opening(SAID['cosine'])}: with exact BPTT at the initial target weights, mean of {how.gradients} "
            f"gradients of {how.sequences} sequences, before any training."
        )
    elif result.measure == "change":
        lines.append(
            f"{opening(SAID['change'])}: of what {how.updates} updates by one sequence each change the weights that "
            "devices remember, with what the same updates change on an ideal machine. The noise of what is written "
            "last is not part of that change, since the next pulse draws it anew; signals and errors are read with it."
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
