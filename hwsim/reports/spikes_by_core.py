"""A file with the figure of what `hwsim events` counted: the spikes of each core."""

from __future__ import annotations

from pathlib import Path

from hwsim.errors import OutputError
from hwsim.reports import html
from hwsim.reports.figures.canvas import Drawing, alone
from hwsim.reports.figures.cores import cores
from hwsim.results.event_cost import EventCost


def drawn(name: str, cost: EventCost) -> Drawing | None:
    """The spikes of each core, as bars or as a map; None if no core has neurons."""
    sequences = f", all {cost.sequences} sequences together" if cost.sequences > 1 else ""
    what = f"Spikes of {name} in {cost.steps:,} steps{sequences}, by the core that the neurons stand on."
    return cores(cost.by_core, cost.machine.shape, cost.machine.name, what)


def write(name: str, cost: EventCost, path: Path) -> None:
    """Write the figure as an SVG file; an existing one is replaced.

    Raises:
        OutputError: the file cannot be written, or there is nothing to draw.
    """
    figure = drawn(name, cost)
    if figure is None:
        raise OutputError(f"cannot draw {path}: no core has neurons, since all groups are sources")
    html.write(path, alone(figure), "--figure")
