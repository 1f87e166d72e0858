"""The tables of results: systems side by side, energy by purpose, memory by class; as data, and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from hwsim.accounts.energy import LEAKAGE
from hwsim.accounts.memory import CLASSES
from hwsim.quantities import si
from hwsim.records import PURPOSES
from hwsim.results.summary import (
    Against,
    Alignment,
    Diagnostic,
    Diverged,
    GradientCheck,
    Range,
    Spread,
    System,
)

Systems = Mapping[str, System]
"""What is known of each system, by name; ratios are to the first."""


class Cell(NamedTuple):
    """What stands in a table, the number that it is sorted by, if there is one, and what stands beside it."""

    text: str
    value: float | None = None
    beside: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.beside}" if self.beside else self.text


class Line(NamedTuple):
    """A row of a table."""

    label: str
    cells: tuple[Cell, ...]


class Table(NamedTuple):
    """A table with a column for each system.

    Attributes:
        total: the last line, which stays where it is however the others are sorted.
        corner: what the labels of the lines are.
    """

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Line | None = None
    corner: str = ""


GROUPS = ("recurrent", "input", "readout")

NOTHING = Cell("-")
NOT_FINITE = "not finite"


def put(table: Table, console: Console) -> None:
    """Print a table; one that is too wide goes on below with its other columns."""
    fitting = max(1, (console.width - _LABEL) // _NARROWEST)
    unbounded = console.options.update(max_width=10_000)
    blocks = (
        1
        if console.measure(printable(table), options=unbounded).maximum <= console.width
        else math.ceil(len(table.columns) / fitting)
    )
    each = math.ceil(len(table.columns) / max(1, blocks))
    for first in range(0, len(table.columns), max(1, each)):
        part = slice(first, first + each)
        lines = tuple(Line(line.label, line.cells[part]) for line in table.lines)
        total = table.total and Line(table.total.label, table.total.cells[part])
        title = f"{table.title}, continued" if first else table.title
        console.print(printable(table._replace(title=title, columns=table.columns[part], lines=lines, total=total)))


_LABEL, _NARROWEST = 16, 15
"""Characters that labels and columns of a table need at least, with the lines between them."""


def printable(table: Table) -> RichTable:
    """The table for a terminal."""
    drawn = RichTable(title=escape(table.title), title_justify="left")
    drawn.add_column(table.corner, overflow="fold")
    for name in table.columns:
        drawn.add_column(escape(name), justify="right", overflow="fold")
    for line in table.lines:
        drawn.add_row(escape(line.label), *(escape(str(cell)) for cell in line.cells))
    if table.total is not None:
        drawn.add_section()
        drawn.add_row(table.total.label, *(escape(str(cell)) for cell in table.total.cells))
    return drawn


def systems(found: Systems, title: str = "Systems side by side (× is the ratio to the first)") -> Table:
    """What there is to know of each system, a line for each quantity; in brackets the ratio to the first."""
    first = next(iter(found.values()))
    lines: list[Line] = []

    def row(
        label: str,
        get: Callable[[System], Any],
        write: Callable[[Any], str],
        *,
        ratio: bool = False,
        number: Callable[[Any], float | None] = lambda value: value,
        range_: Callable[[Any], str] = lambda value: "",
    ) -> None:
        cells = []
        base = get(first)
        for system in found.values():
            value = get(system)
            if value is None:
                cells.append(NOTHING)
                continue
            beside = f"(×{value / base:.3g})" if ratio and system is not first and base else range_(value)
            cells.append(Cell(write(value), number(value), beside))
        if any(cell is not NOTHING for cell in cells):
            lines.append(Line(label, tuple(cells)))

    row("rule", lambda s: s.rule, str, number=_none)
    row("machine", lambda s: s.machine, str, number=_none)
    row("costs are", lambda s: s.bound and "a bound", str, number=_none)
    row("accuracy (min, max)", lambda s: s.accuracy, _percent, number=lambda spread: spread.median, range_=_range)
    row("test loss", lambda s: s.loss, _loss, number=lambda spread: spread.median)
    row("chips not finite", _lost_of_all, lambda v: f"{v[0]} of {v[1]}", number=lambda v: v[0] / v[1])
    for group in GROUPS:
        row(
            f"cosine, {group}",
            lambda s, g=group: _known(s, g),  # type: ignore[misc]
            lambda v: NOT_FINITE if v.cosine is None else f"{v.cosine:.3f}",
            number=lambda v: v.cosine,
            range_=_lost_beside,
        )
    row("energy / inference", lambda s: s.energy.inference_j_per_sequence, _joules, ratio=True)
    row("energy / gradient", lambda s: s.energy.gradient_j_per_sequence, _joules, ratio=True)
    row("energy / training step", lambda s: s.energy.training_step_j, _joules, ratio=True)
    row("… lowest to highest", _range_of_step, _span, number=lambda span: span[1])
    row("… on assumptions", lambda s: s.energy.assumed_fraction, lambda v: f"{v:.0%}")
    row("… on expected values", lambda s: s.energy.expected_fraction or None, lambda v: f"{v:.1%}")
    row("energy, whole run", lambda s: s.energy.run_j, _joules, ratio=True)
    row("peak memory", lambda s: s.memory.peak_bytes, lambda v: si(v, "B"), ratio=True)
    row("memory devices", lambda s: s.memory.devices or None, lambda v: f"{v:,}".replace(",", " "))
    row("passes", lambda s: s.time.passes, lambda v: f"{v:.3g}")
    row("time / sequence", lambda s: s.time.sequence_s or None, lambda v: si(v, "s"), ratio=True)
    row("writes / device", lambda s: s.weights and s.weights.writes_per_device, lambda v: f"{v:.3g}")
    row("saturated", lambda s: s.signal_health and s.signal_health.saturation_rate, lambda v: f"{v:.2%}")
    return Table(title, tuple(found), tuple(lines))


def energy(found: Systems) -> Table:
    """Energy of one training step, or of one gradient if there is no training, by purpose."""
    parts = {name: system.energy.by_purpose for name, system in found.items()}
    return _breakdown("Energy of a training step, by purpose", "purpose", (*PURPOSES, LEAKAGE), parts, "J")


def memory(found: Systems) -> Table:
    """What was held when the most was held, by class."""
    parts = {name: system.memory.peak_by_class for name, system in found.items()}
    return _breakdown("Memory at its peak, by class", "class", CLASSES, parts, "B")


def constants(name: str, system: System) -> Table:
    """What each constant contributes to a training step, between what it might, and whether it is assumed."""
    found, total = shares(system), system.energy.training_step_j
    lines = []
    for constant, share in found.items():
        part = NOTHING if not total else Cell(f"{share.energy / total:.1%}", share.energy / total)
        ends = tuple(NOTHING if end is None else Cell(si(end, "J"), end) for end in (share.low, share.high))
        said = NOTHING if share.assumed is None else Cell("assumed" if share.assumed else "from a source")
        lines.append(Line(constant, (Cell(si(share.energy, "J"), share.energy), part, *ends, said)))
    known = [any(line.cells[column] != NOTHING for line in lines) for column in range(5)]
    columns = ("energy", "share", "lowest", "highest", "value")
    return Table(
        f"Constants of {name}, by what they contribute to a training step",
        tuple(column for column, filled in zip(columns, known, strict=True) if filled),
        tuple(
            Line(line.label, tuple(cell for cell, filled in zip(line.cells, known, strict=True) if filled))
            for line in lines
        ),
        corner="constant",
    )


def gradients(found: Systems) -> Table:
    """Cosines with exact gradients at the target and at the programmed weights, and along the recorded states."""
    columns, rows = [], dict[str, list[Cell]]()
    for name, system in found.items():
        if system.gradient:
            for against in ("target", "programmed", "recorded"):
                columns.append(f"{name}, {against}")
                for row, each in alignments(system.gradient):
                    one: Alignment = getattr(each, against)
                    nothing = Cell(NOT_FINITE) if one.non_finite else NOTHING
                    cell = nothing if one.cosine is None else Cell(f"{one.cosine:.3f}", one.cosine, _lost_beside(one))
                    rows.setdefault(row, []).append(cell)
    whole = {row: cells for row, cells in rows.items() if len(cells) == len(columns)}
    lines = tuple(Line(row, tuple(cells)) for row, cells in whole.items())
    return Table("Cosine with exact gradients", tuple(columns), lines, corner="parameters")


def utilisation(found: Systems) -> Table:
    """How much of a sequence's time each unit works."""
    busy = {name: system.time.utilisation or {} for name, system in found.items()}
    units = dict.fromkeys(unit for parts in busy.values() for unit in parts)
    lines = tuple(
        Line(
            unit,
            tuple(Cell(f"{parts[unit]:.1%}", parts[unit]) if unit in parts else NOTHING for parts in busy.values()),
        )
        for unit in units
    )
    return Table("Utilisation of each unit", tuple(busy), lines, corner="unit")


class Share(NamedTuple):
    """What one constant contributes, and between what it might lie; None where its source gives no range.

    Attributes:
        assumed: whether the constant is assumed; None if the run folder does not say.
    """

    energy: float
    low: float | None = None
    high: float | None = None
    assumed: bool | None = None

    @property
    def swing(self) -> float:
        """How much of the total hangs on where in its range the constant lies."""
        return self.high - self.low if self.low is not None and self.high is not None else 0.0


def shares(system: System) -> dict[str, Share]:
    """What each constant contributes to a training step, the largest first."""
    found = {}
    for name, entry in system.energy.by_constant.items():
        if entry.energy_j is not None:  # where learning diverged it may be no number
            found[name] = Share(entry.energy_j, entry.low_j, entry.high_j, entry.assumed)
    return dict(sorted(found.items(), key=lambda item: -item[1].energy))


def alignments(gradient: GradientCheck) -> Iterator[tuple[str, Against]]:
    """What the gradient check says of each group, over all layers and in each, with a label."""
    yield "all parameters", gradient.all
    for group in GROUPS:
        yield group, getattr(gradient, group)
    layers = gradient.by_layer
    if len(layers) > 1:
        for layer, groups in layers.items():
            for group in GROUPS:
                yield f"{layer}, {group}", getattr(groups, group)


def lost(system: System) -> list[int]:
    """The chips that have no number in the last test, since an answer of theirs is not finite."""
    chips = system.loss.per_chip if system.loss else []
    return [chip for chip, value in enumerate(chips) if value is None]


def left_out(system: System) -> list[str]:
    """What is to be said of chips whose answers are not finite."""
    found = _lost_of_all(system)
    if found is None:
        return []
    gone, chips = found
    rest = ", so its test has no result" if gone == chips else "; its medians are those of the others"
    return [f"on {gone} of {chips} chips answers are not finite{rest}."]


def remarks(found: Systems) -> list[str]:
    """What a reader should know besides the numbers."""
    lines = []
    for name, system in found.items():
        lines += [f"{name}: {said}" for said in left_out(system)]
        if system.bound:
            lines.append(f"{name}: {system.bound}.")
        lines += [f"{name}: {said}." for said in verdicts(system)]
        if system.diverged:
            lines.append(f"{name}: {diverged(system.diverged)}")
        health = system.signal_health
        if health and health.saturation_rate > 0.01:
            lines.append(f"{name}: {health.saturation_rate:.1%} of analog values saturate; widen parts.ranges.")
        if system.energy.why_null:
            lines.append(f"{name}: no energy, since {system.energy.why_null}.")
    return lines


def diverged(where: Diverged) -> str:
    """When, where and on which chips learning left the range of numbers."""
    place = f" in {where.storage}, step {where.step} of {where.sweep}" if where.storage is not None else ""
    return f"learning diverged after {where.updates} updates{place}; chips {where.chips}."


def cosine(system: System, group: str) -> float | None:
    """Of a group of the gradient with that of exact BPTT at the target weights; None if it was not checked."""
    return getattr(system.gradient, group).target.cosine if system.gradient else None


def verdicts(system: System, bad_alone: bool = False) -> list[str]:
    """What the rule says of what it reported, sentences without full stops, with what it was at the initial weights.

    Args:
        bad_alone: only those that are not good.
    """
    return [
        each.verdict + _at_first(each)
        for each in system.diagnostics
        if each.verdict and (not bad_alone or each.good is False)
    ]


def _at_first(each: Diagnostic) -> str:
    before = each.at_start.words if each.at_start else None
    return f"; at the initial weights it was {before}" if before else ""


def diagnostics(found: Systems) -> Table:
    """What rules report of themselves, with what it was at the initial weights beside it."""
    named = {name: system for name, system in found.items() if system.diagnostics}
    rows: dict[str, dict[str, Cell]] = {}
    for name, system in named.items():
        for each in system.diagnostics:
            label = f"{each.description} ({each.unit})" if each.unit else each.description
            before = _parts(each.at_start.found) if each.at_start else {}
            for part, value in _parts(each.found).items():
                cell = _reported(value, before.get(part))
                rows.setdefault(f"{label}, {part}" if part else label, {})[name] = cell
    lines = tuple(Line(row, tuple(cells.get(name, NOTHING) for name in named)) for row, cells in rows.items())
    return Table("What rules report of themselves", tuple(named), lines, corner="quantity")


def _parts(found: float | Mapping[str, float | None] | None) -> Mapping[str, float | None]:
    """By layer or chip, or under no name if it is one number."""
    return found if isinstance(found, Mapping) else {"": found}


def _reported(found: float | None, start: float | None) -> Cell:
    text = "∞" if found is None else f"{found:.3g}"
    return Cell(text, found, "" if start is None else f"({start:.3g} at first)")


def _breakdown(
    title: str, corner: str, order: Iterable[str], found: Mapping[str, Mapping[str, float | None]], unit: str
) -> Table:
    totals = {name: _total(parts) for name, parts in found.items()}
    lines = []
    for key in order:
        if any(key in parts for parts in found.values()):
            cells = []
            for name, parts in found.items():
                value, whole = parts.get(key), totals[name]
                share = "" if value is None or not whole else f"{value / whole:4.0%}"
                cells.append(NOTHING if value is None else Cell(si(value, unit), value, share))
            lines.append(Line(key, tuple(cells)))
    sums = (NOTHING if total is None else Cell(si(total, unit), total) for total in totals.values())
    return Table(title, tuple(found), tuple(lines), Line("sum", tuple(sums)), corner)


def _total(parts: Mapping[str, float | None]) -> float | None:
    """The sum of what is known, if that is all, and something."""
    known = [value for value in parts.values() if value is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _percent(spread: Spread) -> str:
    return NOT_FINITE if spread.median is None else f"{spread.median:.1%}"


def _loss(spread: Spread) -> str:
    return NOT_FINITE if spread.median is None else f"{spread.median:.3f}"


def _lost_of_all(system: System) -> tuple[int, int] | None:
    """How many chips have no number in the last test, and of how many; None if each has one."""
    gone = len(lost(system))
    return (gone, len(system.loss.per_chip)) if gone and system.loss else None


def lost_gradients(system: System) -> int:
    """On how many chips the gradient is not finite, in the group in which that is so on most."""
    groups = [getattr(system.gradient, group).target for group in GROUPS] if system.gradient else []
    return max((found.non_finite for found in groups), default=0)


def _known(system: System, group: str) -> Alignment | None:
    """What the gradient check says of a group; None if the cosine is undefined, or was not asked for."""
    found: Alignment | None = getattr(system.gradient, group).target if system.gradient else None
    return None if not found or (found.cosine is None and not found.non_finite) else found


def _lost_beside(found: Alignment) -> str:
    """How many chips are in no median, if some are in it."""
    gone = found.non_finite
    return f"({gone} {NOT_FINITE})" if gone and found.cosine is not None else ""


def _range(spread: Spread) -> str:
    chips = [value for value in spread.per_chip if value is not None]
    return f"({min(chips):.1%}, {max(chips):.1%})" if len(chips) > 1 else ""


def _joules(value: float) -> str:
    return si(value, "J")


def _none(_: Any) -> None:
    return None


def _range_of_step(system: System) -> Range:
    """Between what the energy of a training step lies; None if that is unknown, or no number."""
    bounds = system.energy.training_step_range_j
    return None if bounds is None or None in bounds else bounds


def _span(bounds: Iterable[float]) -> str:
    return " … ".join(map(_joules, bounds))


def _limit(steps: float | None) -> float:
    return float("inf") if steps is None else steps
