"""The report of a study on a terminal: the outline of its trials, its figures, and its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich import box
from rich.table import Table as RichTable

from hwsim.config.grid import Grid
from hwsim.printing import Terminal, say
from hwsim.reports import crossings, study_reached, trials
from hwsim.reports.exponents import exponents
from hwsim.reports.figures import study as figures
from hwsim.reports.fitting import put
from hwsim.reports.reached import Question
from hwsim.reports.tables import Table
from hwsim.results import study_folder
from hwsim.results.study.store import StudyProgress
from hwsim.results.study.table import FILES

_LINES = 36
"""Largest number of rows of a table on the screen; `summary.csv` has all."""


def outline(grid: Grid) -> str:
    """The number of trials, as the product of axes and seeds."""
    counts = [f"{dimension.size} of {', '.join(dimension.columns)}" for dimension in grid.dimensions]
    seeds = f"{len(grid.seeds):,} seed{'s' if len(grid.seeds) > 1 else ''}"
    return f"{grid.study.name}: {' × '.join([*counts, seeds])} = {grid.trials:,} trial{'s' if grid.trials > 1 else ''}"


def draw(grid: Grid, folder: Path) -> list[Path]:
    """Draw the study's figures as SVG files; a figure without data is left out."""
    if not grid.study.figures:
        return []
    study = study_folder.read(folder)
    paths = [figures.draw(figure, study.rows(figure), folder / "figures") for figure in grid.study.figures]
    if study.progress is None:
        study_folder.seal(folder)
    return [path for path in paths if path is not None]


def show(
    folder: Path, ended: StudyProgress, drawn: list[Path], console: Terminal, asked: Question | None = None
) -> None:
    """Print the answers, the values of the figures as tables, the failed trials, and the files."""
    study = study_folder.read(folder)
    reached = study_reached.tables(study, asked or Question())
    if not study.summary.empty:
        for answer in trials.answers(study, next(iter(reached), None)):
            console.print(answer.question, highlight=False)
            console.print(f"  {answer.text}", style="bold", highlight=False)
            for line in answer.reasons:
                console.print(f"  {line}", highlight=False)
    grown = exponents(study, trials.drawn(study))
    further = filter(
        None,
        (grown, *crossings.tables(study, trials.drawn(study)), *trials.differences(study), trials.from_base(study)),
    )
    for table in (*reached, *trials.pivots(study), *further):
        put(table, console, _printable, title=True)
    if ended.failed:
        failed = study.table[study.table["status"] == "failed"]
        console.print(f"{ended.failed} of {ended.total} trials failed:", highlight=False)
        for error, count in failed["error"].value_counts().head(5).items():
            console.print(f"  {count} × {str(error).splitlines()[0]}", highlight=False)
        console.print("which ones is in table.csv; --retry runs them again", highlight=False)
    there = {path.stem for path in drawn}
    for figure in trials.drawn(study):
        if figure.file not in there:
            rows = study.rows(figure)
            lacking = [name for name in (figure.y, *figure.placing) if name not in rows or rows[name].isna().all()]
            reason = f"no trial has {lacking[0]}" if lacking else "no row of the table has all that it asks for"
            console.print(f"{figure.name} is not drawn: {reason}", highlight=False)
    tables = [name for name in FILES if (folder / name).is_file()]
    names = [*tables, *(str(path.relative_to(folder)) for path in drawn)]
    say(f"Results are in {folder}: {', '.join(names)}")


def _printable(table: Table) -> RichTable:
    """The table for a terminal, as narrow as possible: no rules between columns."""
    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    for number, name in enumerate([table.corner, *table.columns]):
        side: Literal["left", "right"] = "right" if number else "left"
        drawn.add_column(name, justify=side, overflow="fold")  # nothing is cut
    for row in table.rows[:_LINES]:
        drawn.add_row(row.label, *(str(cell) for cell in row.cells))
    if len(table.rows) > _LINES:
        drawn.caption = f"{len(table.rows) - _LINES} more lines in the tables of the folder"
        drawn.caption_justify = "left"
    return drawn
