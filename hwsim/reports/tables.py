"""The tables that end a run: systems side by side, energy by purpose, memory by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hwsim.accounts.energy import LEAKAGE
from hwsim.accounts.memory import CLASSES
from hwsim.quantities import si
from hwsim.records import PURPOSES

Summary = dict[str, Any]


def show(summary: Summary, console: Console) -> None:
    """Print the tables of a `summary.json`."""
    for table in (systems(summary), energy(summary), memory(summary)):
        console.print(table)
    for line in remarks(summary):
        console.print(line)


def systems(summary: Summary) -> Table:
    """The substrate and its references; in brackets the ratio to the substrate."""
    title = f"{summary['name']}: the substrate beside its references (× is the ratio to the substrate)"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    found = summary["systems"]
    for name in found:
        table.add_column(name, justify="right", overflow="fold")
    first = next(iter(found.values()))

    def row(label: str, get: Callable[[Summary], Any], write: Callable[[Any], str], ratio: bool = False) -> None:
        cells = []
        for system in found.values():
            value, base = get(system), get(first)
            cell = "-" if value is None else write(value)
            if ratio and system is not first and value is not None and base:
                cell += f" (×{value / base:.3g})"
            cells.append(cell)
        if any(cell != "-" for cell in cells):
            table.add_row(label, *cells)

    row("rule", lambda s: s["rule"], str)
    row("machine", lambda s: s["machine"], escape)
    row("accuracy (min, max)", lambda s: s["accuracy"], _percent)
    row("test loss", lambda s: s["loss"] and s["loss"]["median"], lambda v: f"{v:.3f}")
    for group in ("recurrent", "input", "readout"):
        row(f"cosine, {group}", lambda s, g=group: _cosine(s, g), lambda v: f"{v:.3f}")  # type: ignore[misc]
    row("energy / inference", lambda s: s["energy"]["inference_j_per_sequence"], _joules, True)
    row("energy / gradient", lambda s: s["energy"]["gradient_j_per_sequence"], _joules, True)
    row("energy / training step", lambda s: s["energy"]["training_step_j"], _joules, True)
    row("… on assumptions", lambda s: s["energy"]["assumed_fraction"], lambda v: f"{v:.0%}")
    row("energy, whole run", lambda s: s["energy"]["run_j"], _joules, True)
    row("peak memory", lambda s: s["memory"]["peak_bytes"], lambda v: si(v, "B"), True)
    row("memory devices", lambda s: s["memory"]["devices"] or None, lambda v: f"{v:,}".replace(",", " "))
    row("passes", lambda s: s["time"].get("passes"), lambda v: f"{v:.3g}")
    row("time / sequence", lambda s: s["time"].get("sequence_s") or None, lambda v: si(v, "s"), True)
    row("writes / device", lambda s: (s["weights"] or {}).get("writes_per_device"), lambda v: f"{v:.3g}")
    row("saturated", lambda s: (s["signal_health"] or {}).get("saturation_rate"), lambda v: f"{v:.2%}")
    return table


def energy(summary: Summary) -> Table:
    """Energy of one training step, or of one gradient if there is no training, by purpose."""
    purposes = [*PURPOSES, LEAKAGE]
    return _breakdown(
        summary, "Energy of a training step, by purpose", purposes, lambda s: s["energy"]["by_purpose"], "J"
    )


def memory(summary: Summary) -> Table:
    """What was held when the most was held, by class."""
    return _breakdown(
        summary, "Memory at its peak, by class", list(CLASSES), lambda s: s["memory"]["peak_by_class"], "B"
    )


def remarks(summary: Summary) -> list[str]:
    """What a reader should know besides the numbers."""
    lines = []
    for name, system in summary["systems"].items():
        reach = system["horizon"]
        if reach is not None:
            lines += _propagation(name, reach)
        if system["diverged"]:
            where = system["diverged"]
            place = f" in {where['storage']}, step {where['step']} of {where['sweep']}" if "storage" in where else ""
            lines.append(f"{name}: learning diverged after {where['updates']} updates{place}; chips {where['chips']}.")
        health = system["signal_health"]
        if health and health["saturation_rate"] > 0.01:
            lines.append(f"{name}: {health['saturation_rate']:.1%} of analog values saturate; widen parts.ranges.")
        if system["energy"].get("why_null"):
            lines.append(f"{name}: no energy, since {system['energy']['why_null']}.")
    return lines


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
        f"{_steps(reach)}; at the initial weights it was {_steps(reach['at_start'])}."
    )
    return lines


def _steps(reach: Summary) -> str:
    """The shorter of both horizons."""
    fresh, frozen = _limit(reach["fresh_steps"]), _limit(reach["frozen_steps"])
    return f"{min(fresh, frozen):.3g}" + (" (by frozen errors)" if frozen < fresh else " (by fresh errors)")


def _breakdown(
    summary: Summary, title: str, order: list[str], get: Callable[[Summary], dict[str, float | None]], unit: str
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    found = {name: get(system) for name, system in summary["systems"].items()}
    for name in found:
        table.add_column(name, justify="right")
    totals = {name: _total(parts) for name, parts in found.items()}
    for key in order:
        if any(key in parts for parts in found.values()):
            cells = []
            for name, parts in found.items():
                value, whole = parts.get(key), totals[name]
                share = "" if value is None or not whole else f" {value / whole:4.0%}"
                cells.append("-" if value is None else si(value, unit) + share)
            table.add_row(key, *cells)
    table.add_section()
    table.add_row("sum", *("-" if total is None else si(total, unit) for total in totals.values()))
    return table


def _total(parts: dict[str, float | None]) -> float | None:
    """The sum of what is known, if that is all, and something."""
    known = [value for value in parts.values() if value is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _percent(spread: Summary) -> str:
    chips = spread["per_chip"]
    rest = f" ({min(chips):.1%}, {max(chips):.1%})" if len(chips) > 1 else ""
    return f"{spread['median']:.1%}{rest}"


def _joules(value: float) -> str:
    return si(value, "J")


def _cosine(system: Summary, group: str) -> float | None:
    return system["gradient"][group]["target"]["cosine"] if system["gradient"] else None


def _limit(steps: float | None) -> float:
    return float("inf") if steps is None else steps
