"""The points of a study's figure: centre and spread over chips and seeds, and missing values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite, isnan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hwsim.columns import error_column
from hwsim.config.study import FigureOptions


class DataPoint(NamedTuple):
    """One mark of a figure.

    Attributes:
        x: its position.
        low, middle, high: centre and spread of the values; None if there are none.
        total: the number of values, over chips and seeds.
        lost: the number of values that are not finite.
        undefined: the number of undefined values, such as the cosine of a gradient that is all zero.
        hollow: whether the figure's condition for hollow marks holds.
    """

    x: Any
    low: float | None
    middle: float | None
    high: float | None
    total: int
    lost: int
    undefined: int
    hollow: bool = False


def drawn(figure: FigureOptions, table: pd.DataFrame) -> pd.DataFrame:
    """The rows that a figure shows: of trials that are done, and of systems that were asked for y."""
    if not {figure.y, *figure.placing} <= set(table):
        return table.iloc[:0]
    rows = table[table["status"] == "done"] if "status" in table else table
    rows = rows.dropna(subset=figure.placing)
    for column, wanted in figure.where.items():
        rows = rows[rows[column].astype(str).isin([str(value) for value in wanted])]
    lost = _lost(rows)
    known = rows[figure.y].notna() | lost
    if figure.y.startswith("cosine_") and (error := error_column(figure.y)) in rows:
        known |= rows[error].notna()  # it was asked for, and is undefined on this chip
        rows = rows[known]
    return rows[rows["system"].isin(rows.loc[known, "system"].unique())]


def points(figure: FigureOptions, rows: pd.DataFrame) -> Iterator[DataPoint]:
    """The points of a line: one per value of x, or one per test of a learning curve."""
    lost, hollow = _lost(rows), _condition(figure)
    by = "updates" if figure.over_training else figure.x
    for x, group in rows.groupby(by, sort=pd.api.types.is_numeric_dtype(rows[by])):
        if figure.over_training:
            x = float(group[figure.x].median())
            if isnan(x):
                continue
        values = group[figure.y].dropna()
        missing = group[figure.y].isna()
        low, middle, high = _spread(figure, values) if len(values) else (None, None, None)
        lost_values = int((missing & lost[group.index]).sum())
        yield DataPoint(x, low, middle, high, len(group), lost_values, int(missing.sum()) - lost_values, hollow(group))


def at(rows: pd.DataFrame, columns: list[str], level: Sequence[Any]) -> pd.DataFrame:
    """The rows with one combination of values of columns."""
    for column, value in zip(columns, level, strict=True):
        rows = rows[rows[column] == value]
    return rows


def levels(rows: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """The combinations of values of columns: numbers by size, names in the order of the table."""
    combinations = rows[columns].drop_duplicates().dropna()
    order = {column: _order(rows[column]) for column in columns}
    return sorted(
        combinations.itertuples(index=False, name=None),
        key=lambda level: [order[column][value] for column, value in zip(columns, level, strict=True)],
    )


def _order(values: pd.Series[Any]) -> dict[Any, int]:
    distinct = list(values.dropna().unique())
    ordered = sorted(distinct) if pd.api.types.is_numeric_dtype(values) else distinct
    return {value: place for place, value in enumerate(ordered)}


def _lost(rows: pd.DataFrame) -> pd.Series[bool]:
    """The rows with a value that is not finite; for learning curves, in the test or in the training before it."""
    if "non_finite" in rows:
        return rows["non_finite"].astype("boolean").fillna(False).astype(bool)
    if "updates" in rows:
        return rows["test_loss"].isna() | (rows["train_loss"].isna() & (rows["updates"] > 0))
    return pd.Series(False, rows.index)


def _condition(figure: FigureOptions) -> Any:
    """The condition for hollow marks: the median of a column is beyond a bound."""
    for column, bound in figure.hollow.items():
        side, number = bound.split()
        if side == "below":
            return lambda rows: bool(rows[column].median() < float(number))
        return lambda rows: bool(rows[column].median() > float(number))
    return lambda rows: False


def _spread(figure: FigureOptions, values: pd.Series[float]) -> tuple[float, float, float]:
    """Lower end, centre and upper end."""
    middle = float(values.median() if figure.center == "median" else values.mean())
    half = 0.0
    if figure.spread == "quartiles":
        return float(values.quantile(0.25)), middle, float(values.quantile(0.75))
    if figure.spread == "range":
        return float(values.min()), middle, float(values.max())
    if len(values) > 1 and figure.spread in ("deviation", "interval"):
        with np.errstate(over="ignore"):  # values that have grown large have squares that are not finite
            half = float(values.std(ddof=1))
        if not isfinite(half):
            return middle, middle, middle
        if figure.spread == "interval":
            from scipy.stats import t

            half *= float(t.ppf(0.975, len(values) - 1)) / len(values) ** 0.5
    return middle - half, middle, middle + half
