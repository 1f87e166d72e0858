"""The output of a run or an estimate on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hwsim.printing import Terminal
from hwsim.reports import ageing, efficiency, reached, spiking, tables, untaught
from hwsim.reports.answers import Answer
from hwsim.reports.fitting import put
from hwsim.reports.reached import Question
from hwsim.results.summary import Summary


def show(
    summary: Summary,
    console: Terminal,
    metrics: pd.DataFrame | None = None,
    asked: Question | None = None,
    answers: Sequence[Answer] = (),
) -> None:
    """Print the answers, and the tables of a `summary.json`.

    The first is what it took to reach an accuracy, if there are learning curves: the content of `metrics.csv`.
    """
    systems, asked = summary.systems, asked or Question()
    for answer in answers:
        console.print(answer.question)
        console.print(f"  {answer.text}", style="bold")
    if metrics is not None:
        for table in reached.tables(metrics, systems, asked, summary.constant):
            put(table, console)
        for line in reached.remarks(metrics, systems, asked, summary.constant):
            console.print(line)
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
    spikes = spiking.spiking(systems)
    for table in [*shown, *(extra for extra in (spikes, ageing.ageing(systems)) if extra is not None)]:
        put(table, console)
    if summary.constant is not None:
        console.print(untaught.said(summary.constant))
    if summary.averaged is not None:
        console.print(untaught.without_memory(summary.averaged))
    for line in (
        *ageing.remarks(systems),
        *spiking.remarks(systems),
        *tables.remarks(systems),
        *efficiency.remarks(systems),
    ):
        console.print(line)
