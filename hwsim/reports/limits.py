"""The report of what limits a machine: a ranked table and sentences for a terminal; files and a figure for a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from hwsim import documents
from hwsim.config.experiment import Experiment
from hwsim.printing import Terminal
from hwsim.reports.fitting import put
from hwsim.reports.plus_minus import plus_minus
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results import limits_folder
from hwsim.results.limits import CHANGES, DOUBLED, OFF, Limit, Limits, Measure
from hwsim.results.paired import CONFIDENCE, PairedDifference

SAID = {"cosine": "cosine of the gradient", "change_cosine": "cosine of the change by pulses", "loss": "loss"}
_MARKS = {1: "▲", -1: "▼", 0: ""}
_NAMED = 5
"""Imperfections, at most, that a sentence names."""


def show(result: Limits, console: Terminal) -> None:
    """Print the ranked table, and what it says in sentences."""
    put(table(result), console)
    for line in sentences(result):
        console.print(line, highlight=False)


def table(result: Limits) -> Table:
    """A row per imperfection, ranked by the first measure without it."""
    rows = [
        TableRow(limit.name, tuple(_cell(limit, change, measure) for measure in result.measures for change in CHANGES))
        for limit in result.ranked(result.measures[0])
    ]
    columns = tuple(f"{measure.name.replace('_', ' ')}, {change}" for measure in result.measures for change in CHANGES)
    title = f"{result.name}: what limits {result.machine} under {result.rule} (▲ better, ▼ worse, beyond noise)"
    return Table(title, columns, tuple(rows), corner="one imperfection alone")


def _cell(limit: Limit, change: str, measure: Measure) -> TableCell:
    found = limit.differences.get((change, measure.name))
    if found is None:
        return NOTHING
    lost = f"({found.non_finite} lost)" if found.non_finite and found.observations else ""
    beside = " ".join(filter(None, (_MARKS[limit.verdict(change, measure)], lost)))
    return TableCell(difference(found), found.mean, beside)


def difference(found: PairedDifference) -> str:
    """A difference with its interval, as in `+0.022 ± 0.008`."""
    return plus_minus(found.mean, (found.high - found.low) / 2) if found.observations else "not finite"


def _none_at_all(found: PairedDifference) -> bool:
    """Whether there is no difference, to the last bit."""
    return found.mean == found.low == found.high == 0


def sentences(result: Limits) -> list[str]:
    """What limits the machine, by each measure; how that was found, and how far to trust it."""
    lines = [line for measure in result.measures for line in _of_measure(result, measure)]
    idle = [limit.name for limit in result.limits if all(map(_none_at_all, limit.differences.values()))]
    without = [f"No difference at all, as nothing here uses it: {', '.join(idle)}."] if idle else []
    return [*lines, *without, _chance(result), _method(result)]


def _of_measure(result: Limits, measure: Measure) -> Iterator[str]:
    """What matters by one measure."""
    level = result.level(measure)
    half = f" ± {level.half:.2g}" if level.half > 0 else ""
    mean = f"{level.mean:.3g}{half}" if level.observations else "not finite"
    begin = f"By the {SAID[measure.name]}, {mean} as the machine is"
    limiting = [limit for limit in result.ranked(measure) if limit.verdict(OFF, measure) > 0]
    if limiting:
        first, *others = _named(limiting, OFF, measure)
        then = f"; then {', '.join(others)}" if others else ""
        yield f"{begin}: {limiting[0].name} first{first.removeprefix(limiting[0].name)}{then}; the rest is below noise."
    else:
        yield f"{begin}: nothing stands out; what is gained without any one imperfection is below noise."
    for change, sign, text in (
        (DOUBLED, -1, "Twice as much does harm, beyond noise, of"),
        (OFF, -1, "Learning is worse without"),
        (DOUBLED, 1, "Learning is better with twice as much of"),
    ):
        found = [limit for limit in result.ranked(measure, change) if limit.verdict(change, measure) == sign]
        if found:
            yield f"- {text}: {', '.join(_named(found, change, measure))}."


def _named(limits: list[Limit], change: str, measure: Measure) -> list[str]:
    named = [f"{limit.name} ({difference(limit.differences[change, measure.name])})" for limit in limits[:_NAMED]]
    return [*named, f"and {len(limits) - _NAMED} more"] if len(limits) > _NAMED else named


def _chance(result: Limits) -> str:
    """How many intervals leave zero out by chance alone."""
    found = [each for limit in result.limits for each in limit.differences.values()]
    tried = sum(each.high > each.low for each in found)
    return (
        f"± is half of a 95 % interval, for each of {tried} differences by itself. If none of them were real, about "
        f"{(1 - CONFIDENCE) * tried:.0f} would still be beyond noise; believe a small one if both measures have it."
    )


def _method(result: Limits) -> str:
    """How it was measured."""
    how, over = result.method, "seeds" if len(result.method.seeds) > 1 else "chips"
    text = (
        f"Measured over {_many(len(how.seeds), 'seed')} of {_many(how.chips, 'chip')}, the same for all; intervals "
        f"are over {over}. "
    )
    if how.gradients:
        text += (
            "Cosine: with exact BPTT at the initial target weights, mean of "
            f"{_many(how.gradients, 'gradient')} of {_many(how.sequences, 'sequence')}."
        )
    else:
        text += "Change: what the updates change all weights by, with the change by the same updates in exact numbers."
    if how.updates is not None:
        text += f" Loss: of {how.tested} test sequences, after {_many(how.updates, 'update')} by {how.batch} each."
    return text


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def write(result: Limits, experiment: Experiment, folder: Path) -> None:
    """Write into an empty folder: what was asked, what was found in words, the ranked table, all values, a figure."""
    from hwsim.reports.figures.limits import svg

    (folder / "config.yaml").write_text(documents.dump(experiment.resolved()), encoding="utf-8")
    (folder / "limits.json").write_text(json.dumps(summary(result), indent=2) + "\n", encoding="utf-8")
    for name, frame in (("limits.csv", result.table), ("values.csv", result.values)):
        frame.to_csv(folder / name, index=False, lineterminator="\n")
    (folder / "limits.svg").write_text(svg(result), encoding="utf-8")
    limits_folder.seal(folder)


def summary(result: Limits) -> dict[str, object]:
    """The content of `limits.json`."""
    return {
        "name": result.name,
        "rule": result.rule,
        "machine": result.machine,
        **result.method._asdict(),
        "as_it_is": {measure.name: _level(result, measure) for measure in result.measures},
        "ranked": {
            measure.name: {change: [each.name for each in result.ranked(measure, change)] for change in CHANGES}
            for measure in result.measures
        },
        "imperfections": [{"name": each.name, "key": each.key, "means": each.means} for each in result.limits],
        "absent": result.absent,
        "says": sentences(result),
    }


def _level(result: Limits, measure: Measure) -> dict[str, float | None]:
    """A mean with its interval; null where there is none."""
    level = result.level(measure)._asdict()
    return {name: float(value) if value == value else None for name, value in level.items()}
