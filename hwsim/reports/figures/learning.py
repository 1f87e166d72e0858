"""Learning curves: accuracy, or loss if there is none, over the energy spent so far; bands span the chips."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from hwsim.quantities import si
from hwsim.reports.figures.canvas import (
    DASHES,
    MARKERS,
    MUTED,
    SERIES,
    Drawing,
    canvas,
    drawing,
    legend,
    percent,
    quantities,
)
from hwsim.results.run_folder import RunFolder


def scores(run: RunFolder) -> pd.DataFrame:
    """The tests of each system: the energy that learning took until then, and the median and range over chips.

    Columns: system; updates; learning_energy_j, NaN if unknown; median, lowest and highest, over the chips that have a
    number; lost, the number of chips that have none.
    """
    tests = run.metrics.groupby(["system", "updates"], sort=False)
    of_chips = tests[measured(run)].agg(median="median", lowest="min", highest="max")
    lost = tests.test_loss.agg(lambda losses: int(losses.isna().sum())).rename("lost")
    return pd.concat([tests.learning_energy_j.first(), of_chips, lost], axis=1).reset_index()


def measured(run: RunFolder) -> str:
    """The column of the tests that is shown."""
    return "test_loss" if all(system.accuracy is None for system in run.systems.values()) else "test_accuracy"


def learning(tests: pd.DataFrame, names: Iterable[str], measure: str, target: float | None = None) -> Drawing | None:
    """A line per system whose energy is known; over updates if no energy is known.

    None if there are fewer than two tests, or if no chip has a number in any test.

    Args:
        made: the tests, as `scores` gives them.
        names: the names of all systems, whose order determines their colours.
        measure: `test_accuracy` or `test_loss`.
        target: an accuracy or a loss that gets a line.
    """
    if tests.updates.nunique() < 2 or tests["median"].isna().all():
        return None
    accuracy = measure == "test_accuracy"
    known = tests[tests.groupby("system").learning_energy_j.transform(lambda column: column.notna().any())]
    priced = bool(known["median"].notna().any())
    shown = known if priced else tests
    over = "learning_energy_j" if priced else "updates"
    wide = priced and _far_apart(shown)
    if wide:
        shown = shown[shown[over] > 0]  # before the first update a machine without devices has spent nothing
    with canvas(290) as figure:
        axes = figure.subplots()
        for place, system in enumerate(names):
            rows = shown[shown.system == system]
            if rows.empty:
                continue
            colour = SERIES[place % len(SERIES)]
            axes.fill_between(rows[over], rows.lowest, rows.highest, color=colour, alpha=0.16, linewidth=0)
            axes.plot(
                rows[over],
                rows["median"],
                DASHES[place % len(DASHES)],
                marker=MARKERS[place % len(MARKERS)],
                markersize=4.5,
                color=colour,
                label=system,
            )
        if target is not None:
            axes.axhline(target, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
            axes.annotate(
                _level(target, accuracy), (1, target), (-2, -4), xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right", va="top", fontsize=9, color=MUTED,
            )  # fmt: skip
        if wide:
            axes.set_xscale("log")
        if priced:
            quantities(axes.xaxis, "J", log=wide)
        axes.set_xlabel("energy of learning since the start" if priced else "updates")
        axes.set_ylabel("test accuracy" if accuracy else "test loss")
        if accuracy:
            percent(axes.yaxis)
        axes.grid()
        legend(figure, axes)
        return drawing(
            figure,
            "learning",
            _heading(shown, priced, accuracy),
            "Lines are medians over chips, bands reach from the worst chip to the best."
            + _left_out(shown)
            + (" Energy includes programming, training and tests" if priced else "")
            + ((", on a logarithmic axis." if wide else ".") if priced else ""),
        )


def _level(target: float, accuracy: bool) -> str:
    return f"{target:.1%}" if accuracy else f"{target:.3g}"


def _far_apart(shown: pd.DataFrame) -> bool:
    """Whether some systems spend so much more than others that one axis cannot show both."""
    spent = shown.groupby("system").learning_energy_j.max()
    return bool(spent.min() > 0 and spent.max() > 20 * spent.min())


def _heading(shown: pd.DataFrame, priced: bool, accuracy: bool) -> str:
    first = shown.system.iloc[0]
    last = shown[shown.system == first].iloc[-1]
    if pd.isna(last["median"]):
        return f"{first} has no finite {'accuracy' if accuracy else 'loss'} after {int(last.updates)} updates"
    value = f"{last['median']:.1%}" if accuracy else f"a loss of {last['median']:.3g}"
    if not priced or pd.isna(last.learning_energy_j):
        return f"{first} reaches {value} after {int(last.updates)} updates"
    return f"{first} reaches {value} for {si(last.learning_energy_j, 'J')}"


def _left_out(shown: pd.DataFrame) -> str:
    """The remark about chips that are on no line."""
    most = shown.groupby("system", sort=False).lost.max()
    listed = ", ".join(f"{count} of {system}" for system, count in most.items() if count)
    return f" Chips whose answers are not finite are in neither: {listed}." if listed else ""
