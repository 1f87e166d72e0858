"""The direction of gradients beside exact ones, by group and layer, all systems side by side."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.reports.figures.canvas import (
    MARKERS,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    Drawing,
    canvas,
    drawing,
    legend,
    shortened,
)
from hwsim.reports.tables import Systems, alignments, lost_gradients
from hwsim.results.summary import Against


def gradient(systems: Systems) -> Drawing | None:
    """A row per group, over all layers and per layer; a mark per system; None if nothing was checked."""
    checked = {name: dict(alignments(system.gradient)) for name, system in systems.items() if system.gradient}
    if not checked:
        return None
    rows = list(dict.fromkeys(row for groups in checked.values() for row in groups))
    values = [
        value
        for groups in checked.values()
        for against in groups.values()
        for value in (_cosine(against), *_chips(against))
    ]
    with canvas(70 + 27 * len(rows) + 16 * ((len(checked) + 1) // 2)) as figure:
        axes = figure.subplots()
        for row in range(len(rows)):
            axes.axhline(row, color=RULE, linewidth=0.7, zorder=0)
        for place, (name, groups) in enumerate(checked.items()):
            colour, shift = (
                SERIES[place % len(SERIES)],
                (place - (len(checked) - 1) / 2) * min(0.17, 0.8 / len(checked)),
            )
            for row, label in enumerate(rows):
                chips = _chips(groups[label]) if label in groups else []
                if len(chips) > 1:
                    axes.plot([min(chips), max(chips)], [row + shift] * 2, color=colour, linewidth=1.2, alpha=0.7)
            marks = [(row, _cosine(groups[label])) for row, label in enumerate(rows) if label in groups]
            known = [(row + shift, value) for row, value in marks if value is not None]
            axes.plot(
                [value for _, value in known],
                [row for row, _ in known],
                MARKERS[place % len(MARKERS)],
                color=colour,
                markeredgecolor=PAPER,
                markeredgewidth=0.5,
                markersize=7,
                label=name,
            )
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.axvline(1, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
        axes.set_xlim(min([-0.05, *(value - 0.05 for value in values if value is not None)]), 1.04)
        axes.set_yticks(range(len(rows)), [shortened(row) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params("y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("cosine with the exact gradient")
        legend(figure, axes)
        return drawing(
            figure,
            "gradient",
            _heading(checked),
            "1 is the exact direction, 0 is no better than chance, below 0 a step makes the loss worse. Exact "
            "gradients are those of BPTT at the target weights; marks are medians, and lines reach over all chips."
            + _left_out(systems),
        )


def _cosine(against: Against) -> float | None:
    return against.target.cosine


def _chips(against: Against) -> list[float]:
    return [value for value in against.target.per_chip if value is not None]


def _left_out(systems: Systems) -> str:
    """The remark about chips that have no mark."""
    lost = {name: count for name, system in systems.items() if (count := lost_gradients(system))}
    listed = ", ".join(f"{count} of {name}" for name, count in lost.items())
    return f" Chips whose gradients are not finite are in neither: {listed}." if listed else ""


def _heading(checked: Mapping[str, Mapping[str, Against]]) -> str:
    name, groups = next(iter(checked.items()))
    known = {row: value for row, against in groups.items() if (value := _cosine(against)) is not None}
    if not known:
        return f"The gradients of {name} have no direction to compare"
    worst = min(known, key=lambda row: known[row])
    return f"Gradients of {name} point worst for {worst}: a cosine of {known[worst]:.2f}"
