"""What a study says: the outline of its trials, its figures, and the table that ends it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hwsim.config.grid import Grid
from hwsim.experiments.study.study import Progress
from hwsim.experiments.study.table import OF_SYSTEM
from hwsim.quantities import si
from hwsim.reports.figures import study as figures

_LINES = 24
"""Of the table on the screen; `summary.csv` has all."""
_SHOWN = {
    "accuracy": "accuracy",
    "loss": "loss",
    "cosine_recurrent": "cosine, recurrent",
    "cosine_all": "cosine, all",
    "energy_training_step_j": "training step",
    "peak_memory_bytes": "peak memory",
}
_UNITS = {"energy_training_step_j": "J", "peak_memory_bytes": "B"}


def outline(grid: Grid) -> str:
    """How many trials there are, and of what."""
    parts = [f"{line.size} of {', '.join(line.columns)}" for line in grid.lines]
    seeds = f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"
    return f"{grid.study.name}: {' × '.join([*parts, seeds])} = {grid.trials:,} trial{'s' if grid.trials > 1 else ''}"


def draw(grid: Grid, folder: Path) -> list[Path]:
    """The figures that the study asks for, as SVG files."""
    if not grid.study.figures:
        return []
    found = pd.read_parquet(folder / "table.parquet")
    return [figures.draw(figure, grid, found, folder / "figures") for figure in grid.study.figures]


def show(grid: Grid, folder: Path, ended: Progress, drawn: list[Path], console: Console) -> None:
    """Print medians over chips and seeds, what failed, and where everything is."""
    summary = pd.read_csv(folder / "summary.csv")
    console.print(_medians(grid, summary))
    if ended.failed:
        failed = pd.read_csv(folder / "table.csv", usecols=["status", "error"]).query("status == 'failed'")
        console.print(f"{ended.failed} of {ended.total} trials failed:", highlight=False)
        for error, count in failed["error"].value_counts().head(5).items():
            console.print(f"  {count} × {escape(str(error).splitlines()[0])}", highlight=False)
        console.print("which ones is in table.csv; --retry runs them again", highlight=False)
    names = ["table.csv", "table.parquet", "summary.csv", *(str(path.relative_to(folder)) for path in drawn)]
    console.print(f"Results are in {folder}: {', '.join(names)}", highlight=False)


def _medians(grid: Grid, summary: pd.DataFrame) -> Table:
    quantities = [name for name in _SHOWN if name in set(summary["quantity"])]
    by = [*grid.columns, "system"]
    table = Table(title=f"{grid.study.name}: medians over chips and seeds", title_justify="left")
    for name in by:
        table.add_column(name, overflow="fold")
    for name in quantities:
        table.add_column(_SHOWN[name], justify="right")
    groups = list(summary.groupby([*grid.columns, *OF_SYSTEM], sort=False, dropna=False))
    for key, rows in groups[:_LINES]:
        medians = rows.set_index("quantity")["median"]
        cells = [_number(medians.get(name), _UNITS.get(name)) for name in quantities]
        table.add_row(
            *(escape(f"{part:.4g}" if isinstance(part, float) else str(part)) for part in key[: len(by)]), *cells
        )
    if len(groups) > _LINES:
        table.caption = f"{len(groups) - _LINES} more lines in summary.csv"
    return table


def _number(value: float | None, unit: str | None = None) -> str:
    if value is None or pd.isna(value):
        return "-"
    return si(float(value), unit) if unit else f"{value:.3f}"
