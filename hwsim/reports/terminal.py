"""What a run or an estimate prints when it is over."""

from __future__ import annotations

from rich.console import Console

from hwsim.reports import efficiency, tables
from hwsim.reports.tables import Summary, put


def show(summary: Summary, console: Console) -> None:
    """Print the tables of a `summary.json`."""
    found = summary["systems"]
    title = f"{summary['name']}: the substrate beside its references (× is the ratio to the substrate)"
    if "estimated" in summary:
        title = f"{title}; estimated from shapes, nothing was simulated"
    shown = [tables.systems(found, title), tables.energy(found), tables.memory(found), efficiency.efficiency(found)]
    if "estimated" in summary:  # of a run, the report has it
        shown.append(efficiency.published(brief=True))
    for table in shown:
        put(table, console)
    for line in (*tables.remarks(found), *efficiency.remarks(found)):
        console.print(line, markup=False)
