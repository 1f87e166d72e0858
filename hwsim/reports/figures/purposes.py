"""Energy of a training step by purpose, on a logarithmic axis, all systems side by side."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.accounts.energy import LEAKAGE
from hwsim.quantities import si
from hwsim.records import PURPOSES
from hwsim.reports.figures.canvas import (
    MARKERS,
    PAPER,
    RULE,
    SERIES,
    Drawing,
    canvas,
    drawing,
    legend,
    quantities,
)
from hwsim.reports.per_step import training_step
from hwsim.reports.tables import Systems


def purposes(systems: Systems) -> Drawing | None:
    """A row per purpose, a mark per system."""
    breakdowns = {name: system.energy.by_purpose for name, system in systems.items()}
    known = {name: {key: value for key, value in parts.items() if value} for name, parts in breakdowns.items()}
    shown = [key for key in (*PURPOSES, LEAKAGE) if any(key in parts for parts in known.values())]
    if not shown:
        return None
    with canvas(60 + 26 * len(shown) + 16 * ((len(breakdowns) + 1) // 2)) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        for row, key in enumerate(shown):
            values = [parts[key] for parts in known.values() if key in parts]
            axes.plot([min(values), max(values)], [row, row], color=RULE, linewidth=3, zorder=1)
        for place, (name, parts) in enumerate(known.items()):
            rows = [row for row, key in enumerate(shown) if key in parts]
            shift = (place - (len(breakdowns) - 1) / 2) * min(
                0.16, 0.7 / len(breakdowns)
            )  # marks do not cover each other
            axes.plot(
                [parts[shown[row]] for row in rows],
                [row + shift for row in rows],
                MARKERS[place % len(MARKERS)],
                color=SERIES[place % len(SERIES)],
                markeredgecolor=PAPER,
                markeredgewidth=0.6,
                markersize=7,
                label=name,
            )
        axes.set_yticks(range(len(shown)), shown)
        axes.tick_params("y", length=0)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(axis="x")
        quantities(axes.xaxis, "J", log=True)
        axes.set_xlabel(f"energy of a {training_step(systems)}")
        legend(figure, axes)
        return drawing(
            figure,
            "purposes",
            _heading(breakdowns, training_step(systems)),
            "Each mark is a system; the axis is logarithmic, so one division is ten times the energy. "
            "What a system does not do has no mark.",
        )


def _heading(breakdowns: Mapping[str, Mapping[str, float | None]], step: str) -> str:
    """The purpose that takes most, for the first system whose energies are all known."""
    for name, parts in breakdowns.items():
        known = {key: value for key, value in parts.items() if value is not None}
        if known and len(known) == len(parts) and sum(known.values()):
            most = max(known, key=lambda key: known[key])
            whole = sum(known.values())
            share = f"{known[most] / whole:.0%} of the {si(whole, 'J')}"
            return f"{most[0].upper()}{most[1:]} takes {share} that {name} spends on a {step}"
    return f"Energy of a {step}, by purpose, as far as it is known"
