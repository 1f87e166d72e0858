"""Exponents: how fast a quantity of a study grows along an axis, as the power of a power law."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, log
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from hwsim.config.study import FigureOptions
from hwsim.reports.figures.points import at, drawn, levels, points
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.reports.vocabulary import Vocabulary
from hwsim.results.study_folder import StudyFolder


def exponents(study: StudyFolder, figures: list[FigureOptions]) -> Table | None:
    """b in y ~ x^b for each line of the figures that ask for it; None if none does.

    b is the slope between the two largest x of a line, in logarithms: at large sizes the fastest growing term is alone.
    """
    columns: dict[str, dict[str, TableCell]] = {}
    for figure in figures:
        if figure.exponents:
            columns |= _of_figure(figure, drawn(figure, study.rows(figure)))
    if not columns:
        return None
    labels = dict.fromkeys(label for column in columns.values() for label in column)
    rows = [TableRow(label, tuple(column.get(label, NOTHING) for column in columns.values())) for label in labels]
    return Table("Exponents: b in y ~ x^b, between the two largest x", tuple(columns), tuple(rows))


def _of_figure(figure: FigureOptions, rows: pd.DataFrame) -> dict[str, dict[str, TableCell]]:
    """A column for each panel of a figure, with a cell for each line."""
    words, places = Vocabulary(figure.names, figure.units), [*figure.down, *figure.across]
    what = f"{figure.y_label or words.column(figure.y)} over {words.column(figure.x)}"
    columns = {}
    for level in levels(rows, places) if places else [()]:
        title = ", ".join([what, *map(words.level, places, level)])
        columns[title] = dict(_of_lines(figure, at(rows, places, level), words))
    return columns


def _of_lines(figure: FigureOptions, rows: pd.DataFrame, words: Vocabulary) -> Iterator[tuple[str, TableCell]]:
    if not is_numeric_dtype(rows[figure.x]):
        return  # words have no logarithm
    hues: list[Any] = [level[0] for level in levels(rows, [figure.hue])] if figure.hue else [None]
    for hue in hues:
        line = rows if figure.hue is None else rows[rows[figure.hue] == hue]
        known = [(float(point.x), point.middle) for point in points(figure, line) if point.middle and point.x > 0]
        label = words.column(figure.y) if figure.hue is None else words.value(figure.hue, hue)
        if len(known) > 1:
            (x, y), (far, high) = known[-2:]
            b = log(high / y) / log(far / x) if y * high > 0 else float("nan")
            if isfinite(b):
                yield label, TableCell(f"{b:.2f}".replace("-", "−"), b)
