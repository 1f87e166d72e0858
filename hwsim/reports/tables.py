"""The tables of results: systems side by side, energy by purpose, memory by class; as data, and for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rich.table import Table as RichTable

from hwsim.accounts.energy import LEAKAGE
from hwsim.accounts.memory import CLASSES
from hwsim.physics.endurance import YEAR
from hwsim.quantities import Origin, si
from hwsim.records import PURPOSES
from hwsim.reports.per_step import per_what, step_of, training_step
from hwsim.results.summary import (
    Against,
    Alignment,
    DiagnosticSummary,
    Diverged,
    GradientCheck,
    Range,
    Spread,
    SystemSummary,
)

Systems = Mapping[str, SystemSummary]
"""The systems by name; ratios are to the first."""


class TableCell(NamedTuple):
    """A cell of a table: its text, the number that it is sorted by, if any, and a remark beside the text."""

    text: str
    value: float | None = None
    beside: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.beside}" if self.beside else self.text


class TableRow(NamedTuple):
    """A row of a table: its label and its cells."""

    label: str
    cells: tuple[TableCell, ...]


class Table(NamedTuple):
    """A table with a column for each system.

    Attributes:
        total: the last row, which is not sorted with the others.
        corner: the heading of the labels.
        keys: the number of columns, the first ones, that name a row together with its label.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    total: TableRow | None = None
    corner: str = ""
    keys: int = 0


GROUPS = ("recurrent", "input", "readout")

_MEASURES = {"bits_per_character": "bits per character", "smape": "sMAPE"}
"""What measures of a test are called, by their keys."""

NOTHING = TableCell("-")
NOT_FINITE = "not finite"


def printable(table: Table) -> RichTable:
    """The table for a terminal."""
    drawn = RichTable(title=table.title, title_justify="left")
    drawn.add_column(table.corner, overflow="fold")
    for name in table.columns:
        drawn.add_column(name, justify="right", overflow="fold")
    for row in table.rows:
        drawn.add_row(row.label, *(str(cell) for cell in row.cells))
    if table.total is not None:
        drawn.add_section()
        drawn.add_row(table.total.label, *(str(cell) for cell in table.total.cells))
    return drawn


def systems(systems: Systems, title: str = "Systems side by side (× is the ratio to the first)") -> Table:
    """The systems side by side, a row per quantity; ratios to the first system are in parentheses.

    Args:
        title: to it is added what energies are per.
    """
    first = next(iter(systems.values()))
    rows: list[TableRow] = []

    def row(
        label: str,
        get: Callable[[SystemSummary], Any],
        write: Callable[[Any], str],
        *,
        ratio: bool = False,
        number: Callable[[Any], float | None] = lambda value: value,
        range_: Callable[[Any], str] = lambda value: "",
    ) -> None:
        cells = []
        base = get(first)
        for system in systems.values():
            value = get(system)
            if value is None:
                cells.append(NOTHING)
                continue
            beside = f"(×{value / base:.3g})" if ratio and system is not first and base else range_(value)
            cells.append(TableCell(write(value), number(value), beside))
        if any(cell is not NOTHING for cell in cells):
            rows.append(TableRow(label, tuple(cells)))

    row("rule", lambda s: s.rule, str, number=_none)
    row("machine", lambda s: s.machine, str, number=_none)
    row("costs are", lambda s: s.bound and "a bound", str, number=_none)
    row("accuracy (min, max)", lambda s: s.accuracy, _percent, number=lambda spread: spread.median, range_=_range)
    row(
        "… mean (95% interval)",
        lambda s: s.accuracy and s.accuracy.uncertainty,
        lambda found: f"{found.mean:.1%}",
        number=lambda found: found.mean,
        range_=lambda found: f"({found.low:.1%}, {found.high:.1%})",
    )
    row("test loss", lambda s: s.loss, _loss, number=lambda spread: spread.median)
    for name in first.measures:
        row(
            _MEASURES.get(name, name),
            lambda s, n=name: s.measures.get(n),  # type: ignore[misc]
            _loss,
            number=lambda spread: spread.median,
        )
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
    row("faulty devices", lambda s: (s.weights and s.weights.faulty) or None, lambda v: f"{v:.0f}")
    row("worn-out devices", lambda s: (s.weights and s.weights.worn) or None, lambda v: f"{v:.0f}")
    row("devices last", lambda s: s.weights and s.weights.endurance and s.weights.endurance.years, years)
    row("saturated", lambda s: s.signal_health and s.signal_health.saturation_rate, lambda v: f"{v:.2%}")
    return Table(f"{title}; {per_what(systems)}", tuple(systems), tuple(rows))


def late(system: SystemSummary) -> list[str]:
    """That solutions were read too early, if any were."""
    rate = system.signal_health and system.signal_health.late_rate
    if not rate:
        return []
    return [f"{rate:.1%} of solutions were read before the inverse solver had settled; a smaller solver.slowest waits."]


SATURATED = 0.01
"""From this share of analog values on, saturation is worth a remark, of the whole or of updates between two tests."""


def saturated(system: SystemSummary) -> list[str]:
    """That many analog values saturate, if they do: in all, or in the worst updates from one test to the next."""
    health = system.signal_health
    if not health:
        return []
    if health.saturation_rate > SATURATED:
        return [f"{health.saturation_rate:.1%} of analog values saturate; widen parts.ranges or set it to auto."]
    begins = [0, *(window.updates for window in health.windows)]
    spans = zip(begins, health.windows, strict=False)
    begin, worst = max(spans, key=lambda span: span[1].saturation_rate, default=(0, None))
    if worst is None or worst.saturation_rate <= SATURATED:
        return []
    unit, share = next(iter(worst.worst.items()))
    return [
        f"in updates {begin + 1} to {worst.updates} {worst.saturation_rate:.1%} of analog values saturate, and "
        f"{share:.0%} of {unit}; set parts.ranges to auto, or find full scales more often (parts.ranges.own.every)."
    ]


def years(value: float) -> str:
    """A time that is given in years, in words: in smaller units where it is less than one."""
    return f"{value:.3g} years" if value >= 1 else si(value * YEAR, "s")


def energy(systems: Systems) -> Table:
    """Energy of one training step, or of one gradient if there is no training, by purpose."""
    parts = {name: system.energy.by_purpose for name, system in systems.items()}
    title = f"Energy of a {training_step(systems)}, by purpose"
    return _breakdown(title, "purpose", (*PURPOSES, LEAKAGE), parts, "J", {each: _total(parts[each]) for each in parts})


def memory(systems: Systems) -> Table:
    """Memory at its peak, by class.

    Each class is rounded up to whole bytes, and so is the peak. The last row is the peak, which a sum of the rounded
    classes would miss by some bytes.
    """
    parts = {name: system.memory.peak_by_class for name, system in systems.items()}
    peaks = {name: system.memory.peak_bytes for name, system in systems.items()}
    title = "Memory at its peak, by class; each number is rounded"
    return _breakdown(title, "class", CLASSES, parts, "B", peaks)


def constants(name: str, system: SystemSummary) -> Table:
    """The contribution of each constant to a training step, its range, and whether the constant is assumed."""
    total, rows = system.energy.training_step_j, []
    for constant, part in contributions(system).items():
        share = NOTHING if not total else TableCell(f"{part.energy / total:.1%}", part.energy / total)
        ends = tuple(NOTHING if end is None else TableCell(si(end, "J"), end) for end in (part.low, part.high))
        origin = TableCell("assumed" if part.assumed else "from a source")
        rows.append(TableRow(constant, (TableCell(si(part.energy, "J"), part.energy), share, *ends, origin)))
    known = [any(row.cells[column] != NOTHING for row in rows) for column in range(5)]
    columns = ("energy", "share", "lowest", "highest", "value")
    return Table(
        f"Constants of {name}, by what they contribute to a {step_of(system.energy.sequences)}",
        tuple(column for column, filled in zip(columns, known, strict=True) if filled),
        tuple(
            TableRow(row.label, tuple(cell for cell, filled in zip(row.cells, known, strict=True) if filled))
            for row in rows
        ),
        corner="constant, or product of constants",
    )


def origins(name: str, system: SystemSummary) -> Table:
    """The constants of a training step by their keys: the value and the range in the documents, and the source."""
    rows = []
    for key, found in system.energy.constants.items():
        origin = Origin(key, **found.plain())
        between = NOTHING if origin.low is None else TableCell(f"{origin.low} to {origin.high}")
        rows.append(TableRow(key, (TableCell(origin.value), between, TableCell(origin.why))))
    title = f"Where the constants of {name} come from; --set KEY=VALUE changes one"
    return Table(title, ("value", "range", "source"), tuple(rows), corner="key")


def gradients(systems: Systems) -> Table:
    """Cosines with exact gradients at the target and at the programmed weights, and along the recorded states."""
    columns, cells_by_row = [], dict[str, list[TableCell]]()
    for name, system in systems.items():
        if system.gradient:
            for exact in ("target", "programmed", "recorded"):
                columns.append(f"{name}, {exact}")
                for row, group in alignments(system.gradient):
                    alignment: Alignment = getattr(group, exact)
                    nothing = TableCell(NOT_FINITE) if alignment.non_finite else NOTHING
                    cell = (
                        nothing
                        if alignment.cosine is None
                        else TableCell(f"{alignment.cosine:.3f}", alignment.cosine, _lost_beside(alignment))
                    )
                    cells_by_row.setdefault(row, []).append(cell)
    whole = {row: cells for row, cells in cells_by_row.items() if len(cells) == len(columns)}
    rows = tuple(TableRow(row, tuple(cells)) for row, cells in whole.items())
    return Table("Cosine with exact gradients", tuple(columns), rows, corner="parameters")


def utilisation(systems: Systems) -> Table:
    """The share of a sequence's time in which each unit works."""
    busy = {name: system.time.utilisation or {} for name, system in systems.items()}
    units = dict.fromkeys(unit for parts in busy.values() for unit in parts)
    rows = tuple(
        TableRow(
            unit,
            tuple(
                TableCell(f"{parts[unit]:.1%}", parts[unit]) if unit in parts else NOTHING for parts in busy.values()
            ),
        )
        for unit in units
    )
    return Table("Utilisation of each unit", tuple(busy), rows, corner="unit")


class KnownContribution(NamedTuple):
    """The energy that one constant contributes to a training step, and its range; None for an end that is not finite.

    Attributes:
        assumed: whether the constant is assumed.
    """

    energy: float
    low: float | None
    high: float | None
    assumed: bool

    @property
    def swing(self) -> float:
        """The change of the total between the ends of the constant's range."""
        return self.high - self.low if self.low is not None and self.high is not None else 0.0


def contributions(system: SystemSummary) -> dict[str, KnownContribution]:
    """The contributions of constants that are finite, by constant; the largest first."""
    known = {
        name: KnownContribution(part.energy_j, part.low_j, part.high_j, part.assumed)
        for name, part in system.energy.by_constant.items()
        if part.energy_j is not None
    }
    return dict(sorted(known.items(), key=lambda item: -item[1].energy))


def alignments(gradient: GradientCheck) -> Iterator[tuple[str, Against]]:
    """The gradient check of each group, over all layers and per layer, with labels."""
    yield "all parameters", gradient.all
    for group in GROUPS:
        yield group, getattr(gradient, group)
    layers = gradient.by_layer
    if len(layers) > 1:
        for layer, groups in layers.items():
            for group in GROUPS:
                yield f"{layer}, {group}", getattr(groups, group)


def lost(system: SystemSummary) -> list[int]:
    """The chips without a finite loss in the last test."""
    chips = system.loss.per_chip if system.loss else []
    return [chip for chip, value in enumerate(chips) if value is None]


def left_out(system: SystemSummary) -> list[str]:
    """The remark about chips whose answers are not finite."""
    counts = _lost_of_all(system)
    if counts is None:
        return []
    lost_chips, chips = counts
    rest = ", so its test has no result" if lost_chips == chips else "; its medians are those of the others"
    return [f"on {lost_chips} of {chips} chips answers are not finite{rest}."]


def remarks(systems: Systems) -> list[str]:
    """Remarks about the systems, besides the numbers; a verdict on several of them is given once."""
    lines = []
    judged: dict[str, list[str]] = {}
    for name, system in systems.items():
        for verdict in verdicts(system):
            judged.setdefault(verdict, []).append(name)
    for name, system in systems.items():
        lines += [f"{name}: {remark}" for remark in left_out(system)]
        if system.bound:
            lines.append(f"{name}: {system.bound}.")
        lines += [f"{', '.join(names)}: {verdict}." for verdict, names in judged.items() if names[0] == name]
        if system.diverged:
            lines.append(f"{name}: {diverged(system.diverged)}")
        lines += [f"{name}: {remark}" for remark in (*saturated(system), *late(system))]
        beyond = system.weights.beyond_range if system.weights else {}
        most = max(beyond, key=lambda matrix: beyond[matrix], default="")
        if most and beyond[most] > BEYOND_RANGE:
            lines.append(
                f"{name}: {beyond[most]:.1%} of the weights of {most} lie beyond the largest that devices hold; "
                "widen parts.tiles.weight_range."
            )
        if system.energy.why_null:
            lines.append(f"{name}: no energy, since {system.energy.why_null}.")
    return lines


BEYOND_RANGE = 0.01
"""Share of a matrix's weights beyond the range of devices from which it is said."""


def diverged(where: Diverged) -> str:
    """When, where and on which chips learning reached values that are not finite."""
    place = f" in {where.storage}, step {where.step} of {where.sweep}" if where.storage is not None else ""
    return f"learning diverged after {where.updates} updates{place}; chips {where.chips}."


def cosine(system: SystemSummary, group: str) -> float | None:
    """The cosine of a group of the gradient with exact BPTT at the target weights; None if it was not checked."""
    return getattr(system.gradient, group).target.cosine if system.gradient else None


def verdicts(system: SystemSummary, bad_alone: bool = False) -> list[str]:
    """The verdicts on what is reported, and how it was at the initial weights: sentences without full stops.

    Args:
        bad_alone: only verdicts on values that are not good.
    """
    return [
        diagnostic.verdict + _at_first(diagnostic)
        for diagnostic in system.diagnostics
        if diagnostic.verdict and (not bad_alone or diagnostic.good is False)
    ]


def _at_first(diagnostic: DiagnosticSummary) -> str:
    before = diagnostic.at_start.words if diagnostic.at_start else None
    return f"; at the initial weights it was {before}" if before else ""


def diagnostics(systems: Systems) -> Table:
    """The table of what rules report of themselves, and of errors, with the values at the initial weights beside it."""
    reporting = {name: system for name, system in systems.items() if system.diagnostics}
    rows: dict[str, dict[str, TableCell]] = {}
    for name, system in reporting.items():
        for diagnostic in system.diagnostics:
            unit = f" ({diagnostic.unit})" if diagnostic.unit else ""
            before = _by_part(diagnostic.at_start.value) if diagnostic.at_start else {}
            for part, value in _by_part(diagnostic.value).items():
                label = f"{diagnostic.description}{unit}" + (f", {part}" if part else "")
                rows.setdefault(label, {})[name] = _reported(value, before.get(part))
    lines = tuple(TableRow(row, tuple(cells.get(name, NOTHING) for name in reporting)) for row, cells in rows.items())
    return Table("What rules report, and what becomes of errors", tuple(reporting), lines, corner="quantity")


def _by_part(value: float | Mapping[str, float | None] | None) -> Mapping[str, float | None]:
    """The values by layer or chip; a single value has the empty name."""
    return value if isinstance(value, Mapping) else {"": value}


def _reported(value: float | None, start: float | None) -> TableCell:
    text = "∞" if value is None else f"{value:.3g}"
    return TableCell(text, value, "" if start is None else f"({start:.3g} at first)")


def _breakdown(
    title: str,
    corner: str,
    order: Iterable[str],
    breakdowns: Mapping[str, Mapping[str, float | None]],
    unit: str,
    totals: Mapping[str, float | None],
) -> Table:
    rows = []
    for key in order:
        if any(key in parts for parts in breakdowns.values()):
            cells = []
            for name, parts in breakdowns.items():
                value, whole = parts.get(key), totals[name]
                share = "" if value is None or not whole else f"{value / whole:4.0%}"
                cells.append(NOTHING if value is None else TableCell(si(value, unit), value, share))
            rows.append(TableRow(key, tuple(cells)))
    sums = (NOTHING if total is None else TableCell(si(total, unit), total) for total in totals.values())
    return Table(title, tuple(breakdowns), tuple(rows), TableRow("sum", tuple(sums)), corner)


def _total(parts: Mapping[str, float | None]) -> float | None:
    """The sum of the parts; None if a part is unknown, or if there are none."""
    known = [value for value in parts.values() if value is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _percent(spread: Spread) -> str:
    return NOT_FINITE if spread.median is None else f"{spread.median:.1%}"


def _loss(spread: Spread) -> str:
    return NOT_FINITE if spread.median is None else f"{spread.median:.3f}"


def _lost_of_all(system: SystemSummary) -> tuple[int, int] | None:
    """The number of chips without a number in the last test, and of all chips; None if each has one."""
    lost_chips = len(lost(system))
    return (lost_chips, len(system.loss.per_chip)) if lost_chips and system.loss else None


def lost_gradients(system: SystemSummary) -> int:
    """The number of chips whose gradient is not finite, in the group with most such chips."""
    groups = [getattr(system.gradient, group).target for group in GROUPS] if system.gradient else []
    return max((alignment.non_finite for alignment in groups), default=0)


def _known(system: SystemSummary, group: str) -> Alignment | None:
    """The gradient check of a group; None if the cosine is undefined, or was not checked."""
    alignment: Alignment | None = getattr(system.gradient, group).target if system.gradient else None
    return None if not alignment or (alignment.cosine is None and not alignment.non_finite) else alignment


def _lost_beside(alignment: Alignment) -> str:
    """The remark about chips that the median leaves out; empty if there are none, or if all are left out."""
    lost_chips = alignment.non_finite
    return f"({lost_chips} {NOT_FINITE})" if lost_chips and alignment.cosine is not None else ""


def _range(spread: Spread) -> str:
    chips = [value for value in spread.per_chip if value is not None]
    return f"({min(chips):.1%}, {max(chips):.1%})" if len(chips) > 1 else ""


def _joules(value: float) -> str:
    return si(value, "J")


def _none(_: Any) -> None:
    return None


def _range_of_step(system: SystemSummary) -> Range:
    """The range of the energy of a training step; None if it is unknown or not finite."""
    bounds = system.energy.training_step_range_j
    return None if bounds is None or None in bounds else bounds


def _span(bounds: Iterable[float]) -> str:
    return " … ".join(map(_joules, bounds))
