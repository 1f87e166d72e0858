"""Crossings: from which x of a figure on one line of a study is above another one."""

from __future__ import annotations

from pandas.api.types import is_numeric_dtype

from hwsim.config.study import FigureOptions
from hwsim.reports.figures.crossings import crossings
from hwsim.reports.figures.points import at, drawn, levels, points
from hwsim.reports.tables import Table, TableCell, TableRow
from hwsim.reports.vocabulary import Vocabulary
from hwsim.results.study_folder import StudyFolder


def tables(study: StudyFolder, figures: list[FigureOptions]) -> list[Table]:
    """A table for each figure that asks for its crossings, and has some: a row for each crossing, by panel and x."""
    made = []
    for figure in figures:
        rows = drawn(figure, study.rows(figure)) if figure.crossings else None
        hue = figure.hue  # options see to it that there is one
        if rows is None or rows.empty or hue is None or not is_numeric_dtype(rows[figure.x]):
            continue
        words, places = Vocabulary(figure.names, figure.units), [*figure.down, *figure.across]
        found = []
        for level in levels(rows, places) if places else [()]:
            panel = at(rows, places, level)
            lines = [
                (words.value(hue, value), list(points(figure, at(panel, [hue], [value]))))
                for (value,) in levels(panel, [hue])
            ]
            where = [TableCell(words.value(name, value, bare=True)) for name, value in zip(places, level, strict=True)]
            for crossing in crossings(figure, lines):
                x = TableCell(words.value(figure.x, float(f"{crossing.x:.3g}"), bare=True), crossing.x)
                y = TableCell(words.value(figure.y, float(f"{crossing.y:.3g}"), bare=True), crossing.y)
                found.append(TableRow(crossing.above, (*where, TableCell(crossing.below), x, y)))
        if found:
            x_label, y_label = figure.x_label or words.column(figure.x), figure.y_label or words.column(figure.y)
            heads = (*map(words.column, places), "is above", f"from {x_label}", y_label)
            made.append(Table(f"Crossings: {figure.name}", heads, tuple(found), corner="line", keys=len(places)))
    return made
