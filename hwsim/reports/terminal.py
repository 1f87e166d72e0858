"""The output of a run or an estimate on a terminal."""

from __future__ import annotations

from hwsim.printing import Terminal
from hwsim.reports import efficiency, tables
from hwsim.reports.tables import put
from hwsim.results.summary import Summary


def show(summary: Summary, console: Terminal) -> None:
    """Print the tables of a `summary.json`."""
    systems = summary.systems
    title = f"{summary.name}: the substrate beside its references (× is the ratio to the substrate)"
    if summary.estimated is not None:
        title = f"{title}; estimated from shapes, nothing was simulated"
    shown = [
        tables.systems(systems, title),
        tables.energy(systems),
        tables.memory(systems),
        efficiency.efficiency(systems),
    ]
    if summary.estimated is not None:  # the report of a run has it
        shown.append(efficiency.published(brief=True))
    for table in shown:
        put(table, console)
    for line in (*tables.remarks(systems), *efficiency.remarks(systems)):
        console.print(line)
