"""The tables of results: systems side by side, energy by purpose, memory by class; as data, and for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from hwsim.accounts.energy import LEAKAGE
from hwsim.accounts.memory import CLASSES
from hwsim.quantities import si
from hwsim.records import PURPOSES

Summary = Mapping[str, Any]
Systems = Mapping[str, Summary]
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


NOTHING = Cell("-")


def show(summary: Summary, console: Console) -> None:
    """Print the tables of a `summary.json`."""
    found = summary["systems"]
    title = f"{summary['name']}: the substrate beside its references (× is the ratio to the substrate)"
    for table in (systems(found, title), energy(found), memory(found)):
        console.print(printable(table))
    for line in remarks(found):
        console.print(line, markup=False)


def printable(table: Table) -> RichTable:
    """The table for a terminal."""
    drawn = RichTable(title=escape(table.title), title_justify="left")
    drawn.add_column("")
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
        get: Callable[[Summary], Any],
        write: Callable[[Any], str],
        *,
        ratio: bool = False,
        number: Callable[[Any], float | None] = lambda value: value,
    ) -> None:
        cells = []
        base = get(first)
        for system in found.values():
            value = get(system)
            if value is None:
                cells.append(NOTHING)
                continue
            beside = f"(×{value / base:.3g})" if ratio and system is not first and base else ""
            cells.append(Cell(write(value), number(value), beside))
        if any(cell is not NOTHING for cell in cells):
            lines.append(Line(label, tuple(cells)))

    row("rule", lambda s: s["rule"], str, number=_none)
    row("machine", lambda s: s["machine"], str, number=_none)
    row("accuracy (min, max)", lambda s: s["accuracy"], _percent, number=lambda spread: spread["median"])
    row("test loss", lambda s: s["loss"] and s["loss"]["median"], lambda v: f"{v:.3f}")
    for group in ("recurrent", "input", "readout"):
        row(f"cosine, {group}", lambda s, g=group: cosine(s, g), lambda v: f"{v:.3f}")  # type: ignore[misc]
    row("energy / inference", lambda s: s["energy"]["inference_j_per_sequence"], _joules, ratio=True)
    row("energy / gradient", lambda s: s["energy"]["gradient_j_per_sequence"], _joules, ratio=True)
    row("energy / training step", lambda s: s["energy"]["training_step_j"], _joules, ratio=True)
    row("… on assumptions", lambda s: s["energy"]["assumed_fraction"], lambda v: f"{v:.0%}")
    row("energy, whole run", lambda s: s["energy"]["run_j"], _joules, ratio=True)
    row("peak memory", lambda s: s["memory"]["peak_bytes"], lambda v: si(v, "B"), ratio=True)
    row("memory devices", lambda s: s["memory"]["devices"] or None, lambda v: f"{v:,}".replace(",", " "))
    row("passes", lambda s: s["time"].get("passes"), lambda v: f"{v:.3g}")
    row("time / sequence", lambda s: s["time"].get("sequence_s") or None, lambda v: si(v, "s"), ratio=True)
    row("writes / device", lambda s: (s["weights"] or {}).get("writes_per_device"), lambda v: f"{v:.3g}")
    row("saturated", lambda s: (s["signal_health"] or {}).get("saturation_rate"), lambda v: f"{v:.2%}")
    return Table(title, tuple(found), tuple(lines))


def energy(found: Systems) -> Table:
    """Energy of one training step, or of one gradient if there is no training, by purpose."""
    parts = {name: system["energy"]["by_purpose"] for name, system in found.items()}
    return _breakdown("Energy of a training step, by purpose", "purpose", (*PURPOSES, LEAKAGE), parts, "J")


def memory(found: Systems) -> Table:
    """What was held when the most was held, by class."""
    parts = {name: system["memory"]["peak_by_class"] for name, system in found.items()}
    return _breakdown("Memory at its peak, by class", "class", CLASSES, parts, "B")


def remarks(found: Systems) -> list[str]:
    """What a reader should know besides the numbers."""
    lines = []
    for name, system in found.items():
        reach = system["horizon"]
        if reach is not None:
            lines += _propagation(name, reach)
        if system["diverged"]:
            lines.append(f"{name}: {diverged(system['diverged'])}")
        health = system["signal_health"]
        if health and health["saturation_rate"] > 0.01:
            lines.append(f"{name}: {health['saturation_rate']:.1%} of analog values saturate; widen parts.ranges.")
        if system["energy"].get("why_null"):
            lines.append(f"{name}: no energy, since {system['energy']['why_null']}.")
    return lines


def diverged(where: Summary) -> str:
    """When, where and on which chips learning left the range of numbers."""
    place = f" in {where['storage']}, step {where['step']} of {where['sweep']}" if "storage" in where else ""
    return f"learning diverged after {where['updates']} updates{place}; chips {where['chips']}."


def cosine(system: Summary, group: str) -> float | None:
    """Of a group of the gradient with that of exact BPTT at the target weights; None if it was not checked."""
    return system["gradient"][group]["target"]["cosine"] if system["gradient"] else None


def reached(reach: Summary) -> str:
    """The shorter of both horizons, in steps."""
    fresh, frozen = _limit(reach["fresh_steps"]), _limit(reach["frozen_steps"])
    return f"{min(fresh, frozen):.3g}" + (" (by frozen errors)" if frozen < fresh else " (by fresh errors)")


def _propagation(name: str, reach: Summary) -> list[str]:
    """How well errors were carried forward, the bad news first."""
    lines = []
    missed = {layer: value for layer, value in reach["end_residual"].items() if value > reach["tolerance"]}
    if missed:
        worst = ", ".join(f"{value:.0%} in {layer}" for layer, value in missed.items())
        lines.append(
            f"{name}: in the last training step, the errors propagated to the end of a sequence were off by {worst}. "
            "Fresh noise makes forward signals differ from pass to pass, which the horizon does not count."
        )
    verdict = "within" if reach["fits"] else "beyond"
    lines.append(
        f"{name}: for the circuits that carry errors, {reach['steps']} steps are {verdict} the horizon of "
        f"{reached(reach)}; at the initial weights it was {reached(reach['at_start'])}."
    )
    return lines


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


def _percent(spread: Summary) -> str:
    chips = spread["per_chip"]
    rest = f" ({min(chips):.1%}, {max(chips):.1%})" if len(chips) > 1 else ""
    return f"{spread['median']:.1%}{rest}"


def _joules(value: float) -> str:
    return si(value, "J")


def _none(_: Any) -> None:
    return None


def _limit(steps: float | None) -> float:
    return float("inf") if steps is None else steps
