"""The tornado chart: the energy of a training step with each constant at the ends of its range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.accounts.energy import TIMES
from hwsim.printing import opening
from hwsim.quantities import si
from hwsim.reports.figures.canvas import INK, PALETTE, PAPER, Drawing, canvas, drawing, quantities, shortened
from hwsim.reports.per_step import step_of
from hwsim.reports.tables import KnownContribution, contributions
from hwsim.results.summary import SystemSummary

MOST = 12
"""Largest number of constants in the figure; the table below it has all."""
_KEYS = "Names are keys of the machine; tables below have them in full, with their sources."


def constants(name: str, system: SystemSummary) -> Drawing | None:
    """A tornado chart if there are ranges, else the contribution of each constant; None without energy."""
    parts, total = contributions(system), system.energy.training_step_j
    if not parts or not total:
        return None
    ranged = any(part.swing for part in parts.values())
    key = (lambda constant: -parts[constant].swing) if ranged else (lambda constant: -parts[constant].energy)
    shown = sorted(parts, key=key)[:MOST]
    if ranged:
        shown = [constant for constant in shown if parts[constant].swing]
    with canvas(80 + 31 * len(shown)) as figure:
        axes = figure.subplots()
        for row, constant in enumerate(shown):
            part = parts[constant]
            low, high = _reach(part, total) if ranged else (0.0, part.energy)
            colour = PALETTE["orange"] if part.assumed else PALETTE["blue"]
            hatch = "////" if part.assumed else None
            label = "assumed" if part.assumed else "from a source"
            axes.barh(
                row,
                high - low,
                left=low,
                height=0.42,
                color=colour,
                alpha=0.85,
                hatch=hatch,
                edgecolor=INK,
                linewidth=0,
                label=label,
            )
            axes.annotate(
                f"{shortened(_behind_the_machine(constant), 56)}  {part.energy / total:.0%}",
                (0, row),
                xycoords=("axes fraction", "data"),
                xytext=(2, 8.5),
                textcoords="offset points",
                va="bottom",
                fontsize=9.5,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},  # lines end before words
            )
        if ranged:
            axes.axvline(total, color=INK, linewidth=1)
        else:
            axes.set_xlim(0)
        axes.set_yticks([])
        axes.set_ylim(len(shown) - 0.5, -0.85)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        quantities(axes.xaxis, "J")
        step = step_of(system.energy.sequences)
        axes.set_xlabel(f"energy of a {step}" if ranged else f"part of the energy of a {step}", color=INK)
        _legend(figure, axes)
        return drawing(figure, "constants", _heading(name, system, parts, total, ranged), _caption(ranged))


def _behind_the_machine(name: str) -> str:
    """A product of constants with the keys that they have in their machine."""
    return TIMES.join(key.rpartition("machine.")[2] for key in name.split(TIMES))


def named(name: str) -> str:
    """A constant, or a product of several, in words; keys as they stand in their machine.

    >>> named("machine.periphery.output × machine.parts.tiles.time × machine.parts.tiles.scale.power")
    'the product of the constants periphery.output, parts.tiles.time and parts.tiles.scale.power'
    """
    *most, last = _behind_the_machine(name).split(TIMES)
    return f"the product of the constants {', '.join(most)} and {last}" if most else f"the constant {last}"


def _reach(part: KnownContribution, total: float) -> tuple[float, float]:
    low = part.energy if part.low is None else part.low
    high = part.energy if part.high is None else part.high
    return total - (part.energy - low), total + (high - part.energy)


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    if first:
        figure.legend(list(first.values()), list(first), loc="outside upper left", ncols=2)


def _heading(
    name: str, system: SystemSummary, parts: Mapping[str, KnownContribution], total: float, ranged: bool
) -> str:
    assumed = system.energy.assumed_fraction
    rests = f"; {assumed:.0%} of {name}’s energy rests on assumptions" if assumed is not None else ""
    if ranged:
        most = max(parts, key=lambda constant: parts[constant].swing)
        low, high = _reach(parts[most], total)
        return f"Most hangs on {named(most)}: {si(low, 'J')} to {si(high, 'J')}{rests}"
    most = next(iter(parts))
    return f"{opening(named(most))} makes {parts[most].energy / total:.0%} of the total{rests}"


def _caption(ranged: bool) -> str:
    if ranged:
        return (
            "The vertical line is the total. Each bar spans the total from the lowest to the highest value of one "
            f"constant, with all others unchanged. Beside each name stands its share of the total. {_KEYS}"
        )
    return (
        "Each bar is the energy that is charged by one constant; beside its name stands its share of the total. "
        f"{_KEYS}"
    )
