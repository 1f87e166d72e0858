"""The results of a study in words and tables: medians and spread over chips and seeds, and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pandas as pd
from pydantic import ValidationError

from hwsim.columns import error_column
from hwsim.config.study import FigureOptions
from hwsim.quantities import si
from hwsim.reports.answers import Answer
from hwsim.reports.figures.canvas import opening
from hwsim.reports.tables import NOT_FINITE, NOTHING, Table, TableCell, TableRow
from hwsim.reports.vocabulary import Vocabulary
from hwsim.results.study.store import StudyProgress
from hwsim.results.study_folder import StudyFolder

SYSTEM = ("system", "rule", "machine")
STATISTICS = ("median", "lower_quartile", "upper_quartile", "min", "max", "mean", "deviation", "count", "non_finite")
_UNMEASURED = "The study tests nothing and checks no gradient."

FIRST = (
    "accuracy",
    "loss",
    "cosine_all",
    "cosine_recurrent",
    "energy_inference_j",
    "energy_training_step_j",
    "energy_training_step_low_j",
    "energy_training_step_high_j",
    "assumed_fraction",
    "peak_memory_bytes",
    "time_sequence_s",
    "writes_per_device",
    "saturation_rate",
)
"""Quantities in the tables, if a study has them; `summary.csv` has all."""

_FEW = 12
"""Largest number of differences that are all shown; `pairs.csv` has all."""

_COLUMNS = 8
"""Largest number of values of a hue that fit side by side."""
UNDEFINED = TableCell("undefined")
"""The cell for a cosine that is undefined: the gradient is all zero on each chip."""


def axes(study: StudyFolder) -> list[str]:
    """The columns of the summary that vary."""
    return [str(name) for name in study.summary if name not in (*SYSTEM, "quantity", *STATISTICS)]


def outline(study: StudyFolder) -> str:
    """The numbers of values per axis, of seeds and of systems."""
    done = study.table[study.table.status == "done"]
    if done.empty:
        return "no trial is done"
    words = _words(study)
    parts = [f"{study.summary[name].nunique(dropna=False)} of {words.column(name)}" for name in axes(study)]
    seeds = f" · {done['seed'].nunique()} seeds" if "seed" in done else ""
    seeds = seeds.replace(" 1 seeds", " one seed")
    return f"{' × '.join(parts) or 'one point'}{seeds} · {study.table['system'].nunique()} systems"


def how_far(progress: StudyProgress) -> str:
    """The progress of a study that is not finished."""
    failed = f", {progress.failed:,} of them failed" if progress.failed else ""
    return f"{progress.over:,} of {progress.total:,} trials are over{failed}; what stands here is provisional"


def warnings(study: StudyFolder) -> list[str]:
    """Warnings: the study is not finished, trials failed, values are not finite, or values are implausible."""
    lines = [] if study.progress is None else [f"{how_far(study.progress)}."]
    failed = study.table[study.table.status == "failed"]
    if len(failed):
        lines.append(f"{len(failed)} trials failed and are in no median.")
        if "error" in failed:
            errors = Counter(str(error).split("\n")[0] for error in failed["error"])
            lines += [f"{count} × {error}" for error, count in errors.most_common(5)]
    if "non_finite" in study.table:
        lost = int(study.table["non_finite"].fillna(False).astype(bool).sum())
        if lost:
            lines.append(
                f"{lost} of {len(study.table)} rows contain something that is not finite; they are counted apart."
            )
    return lines + study.doubts


def pivots(study: StudyFolder) -> list[Table]:
    """The values of the figures, or of the first quantities: a row per point, a column per system or hue."""
    figures = drawn(study)
    figure_of = {figure.y: figure for figure in reversed(figures)}
    known = [figure.y for figure in figures if figure.y in set(study.summary.quantity)]
    return [_pivot(study, name, figure_of.get(name)) for name in dict.fromkeys(known or _shown(study)[:2])]


def drawn(study: StudyFolder) -> list[FigureOptions]:
    """The options of the study's figures; those that this version does not accept are left out."""
    figures = []
    for options in study.study.get("figures") or []:
        with suppress(ValidationError):
            figures.append(FigureOptions.model_validate(options))
    return figures


def _pivot(study: StudyFolder, quantity: str, figure: FigureOptions | None) -> Table:
    words = Vocabulary() if figure is None else Vocabulary(figure.names, figure.units)
    mean = figure is not None and figure.center == "mean" and "mean" in study.summary
    middle = "mean" if mean else "median"
    gradient = error_column(quantity) if quantity.startswith("cosine_") else quantity
    values = study.summary[study.summary.quantity.isin([quantity, gradient])]
    across = _across(study, figure)
    columns = [name for name in study.table[across].dropna().unique() if name in set(study.summary[across])]
    varied = [name for name in axes(study) if study.summary[name].nunique(dropna=False) > 1 and name != across]
    rows = []
    for key, part in values.groupby(varied, sort=False, dropna=False) if varied else [((), values)]:
        texts = [words.value(name, value, bare=True) for name, value in zip(varied, key, strict=True)]
        point = [TableCell(text, _sortable(value)) for text, value in zip(texts, key, strict=True)]
        known = part.assign(column=part[across])[part.quantity == quantity]
        by_column = {row.column: row for row in known.itertuples()}
        undefined = dict.fromkeys(set(part[across]) - set(by_column), UNDEFINED)
        cells = (undefined.get(name) or _middle(words, quantity, middle, by_column.get(name)) for name in columns)
        rows.append(TableRow(texts[0] if texts else "", (*point[1:], *cells)))
    what = opening(figure.y_label if figure is not None and figure.y_label else words.column(quantity))
    heads = (*map(words.column, varied[1:]), *(words.value(across, name) for name in columns))
    corner = words.column(varied[0]) if varied else ""
    return Table(f"{what}: {middle} over chips and seeds", heads, tuple(rows), corner=corner)


def _across(study: StudyFolder, figure: FigureOptions | None) -> str:
    """The column whose values get columns of the table: the system, or a hue with few values of a single system."""
    hue = "" if figure is None else str(figure.hue)
    alone = study.summary.system.nunique() == 1 and hue in axes(study)
    return hue if alone and study.summary[hue].nunique() <= _COLUMNS else "system"


def _middle(words: Vocabulary, quantity: str, middle: str, row: Any) -> TableCell:
    """The cell of a value; its text says if the value is not finite or undefined."""
    if row is None:
        return NOTHING
    lost, value = int(getattr(row, "non_finite", 0) or 0), getattr(row, middle)
    if pd.isna(value):
        return TableCell(NOT_FINITE) if lost else NOTHING
    text = f"{value:.3f}" if quantity.startswith("cosine") else words.value(quantity, float(value))
    return TableCell(text.replace("-", "−"), float(value), f"({lost} {NOT_FINITE})" if lost else "")


def _sortable(value: Any) -> float | None:
    return None if isinstance(value, str) or pd.isna(value) else float(value)


def differences(study: StudyFolder) -> Table | None:
    """Differences of trained systems within seeds: all pairs if they are few, else those with the first system."""
    known = set(study.pairs["quantity"]) if len(study.curves) and len(study.pairs) else set()
    quantity = "accuracy" if "accuracy" in known else "loss"
    if quantity not in known:
        return None
    words, varied = _words(study), axes(study)
    pairs, rows = study.pairs[study.pairs["quantity"] == quantity], []
    if len(pairs) > _FEW:
        pairs = pairs[pairs["first"] == pairs["first"].iloc[0]]
    for pair in pairs.to_dict("records"):
        point = (TableCell(words.value(name, pair[name], bare=True), _sortable(pair[name])) for name in varied)
        mean, low, high = (_signed(quantity, pair[name]) for name in ("mean", "low", "high"))
        lost = pair.get("non_finite", 0)
        beside = f"({lost} {NOT_FINITE})" if lost else ""
        if pair["count"] > 1:
            statistics = TableCell(mean, pair["mean"]), TableCell(f"{low} to {high}", pair["low"])
        else:
            statistics = TableCell(NOT_FINITE), NOTHING
        leads = TableCell(f"{pair['leads']} of {pair['count']}", pair["leads"], beside)
        rows.append(TableRow(f"{pair['first']} − {pair['second']}", (*point, *statistics, leads)))
    unit = " (points)" if quantity == "accuracy" else ""
    heads = (*map(words.column, varied), f"mean{unit}", f"95 % interval{unit}", "higher in")
    return Table(f"{opening(quantity)}: differences within seeds", heads, tuple(rows), corner="difference")


def _signed(quantity: str, value: float) -> str:
    text = f"{100 * value:+.2f}" if quantity == "accuracy" else f"{value:+.4g}"
    return text.replace("-", "−")


def medians(study: StudyFolder) -> Table:
    """A row per system and point, a column per known quantity of `FIRST`."""
    shown, varied = _shown(study), axes(study)
    rows = []
    for system, point, statistics in _points(study):
        values = statistics.drop_duplicates("quantity").set_index("quantity")
        cells = (_cell(name, values["median"].get(name), _lost(values).get(name, 0)) for name in shown)
        rows.append(TableRow(system, (*point, *cells)))
    columns = (*varied, *(_said(name) for name in shown))
    return Table("Medians over chips and seeds", columns, tuple(rows), corner="system")


def spreads(study: StudyFolder) -> Iterator[Table]:
    """A table per known quantity of `FIRST`: its median, quartiles and range at each point."""
    names, varied = [name for name in STATISTICS if name in study.summary], axes(study)
    for quantity in _shown(study):
        rows = []
        for system, point, of_point in _points(
            study._replace(summary=study.summary[study.summary.quantity == quantity])
        ):
            statistics = of_point.iloc[0]
            cells = (_cell("" if name in ("count", "non_finite") else quantity, statistics[name]) for name in names)
            rows.append(TableRow(system, (*point, *cells)))
        columns = (*varied, *(name.replace("_", " ") for name in names))
        yield Table(opening(_said(quantity)), columns, tuple(rows), corner="system")


def _shown(study: StudyFolder) -> list[str]:
    known = set(study.summary.quantity)
    return [name for name in FIRST if name in known] or sorted(known)[:8]


def answers(study: StudyFolder) -> list[Answer]:
    """The answers to the device physicist, the chip architect and the learning researcher."""
    measure = _measure(study)
    return [_physicist(study, measure), _architect(study), _researcher(study, measure)]


def _physicist(study: StudyFolder, measure: tuple[str, bool] | None) -> Answer:
    question = "Device physicist: where is the device good enough to learn with?"
    if measure is None:
        return Answer(question, _UNMEASURED, "", [])
    name, largest = measure
    first = study.summary.system.iloc[0]
    rows = study.summary[(study.summary.quantity == name) & (study.summary.system == first)]
    whole, reasons = rows[_lost(rows) == 0].dropna(subset=["median"]), _not_judged(study, rows)
    if whole.empty:
        text = f"{opening(str(first))} has at no point {_said(name)} that is finite on all chips."
        return Answer(question, text, "bad", reasons)
    whole = whole.sort_values("median", ascending=not largest, kind="stable")
    best, worst = whole.iloc[0], whole.iloc[-1]
    if len(rows) == 1:
        return Answer(question, f"{opening(str(first))} has {_said(name)} {_number(name, best['median'])}.", "", [])
    text = f"{opening(str(first))} does best{_where(study, best)}: {_said(name)} {_number(name, best['median'])}."
    ends = [f"It does worst{_where(study, worst)}: {_number(name, worst['median'])}."] if len(whole) > 1 else []
    return Answer(question, text, "", [*ends, *reasons])


def _not_judged(study: StudyFolder, rows: pd.DataFrame) -> list[str]:
    """Remarks on points with values that are not finite: they are neither the best nor the worst."""
    lines = []
    for (_, row), lost in zip(rows.iterrows(), _lost(rows), strict=True):
        if lost:
            total = lost + int(row["count"])
            lines.append(f"Not judged{_where(study, row)}: {lost} of {total} are not finite.")
    more = len(lines) - _FEW
    return lines if more <= 0 else [*lines[:_FEW], f"Nor at {more} more points."]


def _architect(study: StudyFolder) -> Answer:
    question = "Chip architect: what do energy, memory and latency amount to?"
    energy = study.summary[study.summary.quantity == "energy_training_step_j"].dropna(subset=["median"])
    if energy.empty:
        return Answer(question, "No system of this study has a known energy.", "", [])
    energy = energy.sort_values("median", kind="stable")
    least, most = energy.iloc[0], energy.iloc[-1]
    text = f"A training step takes {si(least['median'], 'J')} to {si(most['median'], 'J')}."
    reasons = [
        f"The least is that of {least['system']}{_where(study, least)}.",
        f"The most is that of {most['system']}{_where(study, most)}.",
    ]
    for quantity, what, unit in (("peak_memory_bytes", "Memory", "B"), ("time_sequence_s", "A sequence", "s")):
        values = study.summary[study.summary.quantity == quantity]["median"].dropna()
        if len(values) and values.max() > 0:
            reasons.append(f"{what} takes {si(values.min(), unit)} to {si(values.max(), unit)}.")
    return Answer(question, text, "", reasons)


def _researcher(study: StudyFolder, measure: tuple[str, bool] | None) -> Answer:
    question = "Learning researcher: which rule survives?"
    if measure is None:
        return Answer(question, _UNMEASURED, "", [])
    name, largest = measure
    rows = study.summary[study.summary.quantity == name]
    finite: dict[str, pd.Series[float]] = {}
    lost: dict[str, tuple[int, int]] = {}
    for (name_of, system), part in rows.groupby(["rule", "system"], sort=False):
        rule = f"{name_of} ({system})"
        whole = _lost(part) == 0
        lost[rule] = int((~whole).sum()), len(part)
        if part["median"][whole].notna().any():
            finite[rule] = part["median"][whole].dropna()
    not_finite = [
        f"{rule}: not finite at {lost_points} of {points} points."
        for rule, (lost_points, points) in lost.items()
        if lost_points
    ]
    if not finite:
        return Answer(question, f"No {_said(name)} is finite on all chips.", "bad", not_finite)
    fewest = min(lost[rule][0] for rule in finite)
    best = (max if largest else min)(
        (rule for rule in finite if lost[rule][0] == fewest), key=lambda rule: float(finite[rule].median())
    )
    middle = _number(name, float(finite[best].median()))
    over = "the points at which it is finite on all chips" if fewest else "all points"
    text = f"By its median over {over}, {best} does best: {_said(name)} {middle}."
    reasons = [
        f"{rule}: {_number(name, float(values.min()))} to {_number(name, float(values.max()))}."
        for rule, values in finite.items()
    ]
    how = ["What is finite at more points is better, then what has the better median."]
    how = how if not_finite and len(lost) > 1 else []
    return Answer(question, text, "", [*reasons, *not_finite, *how])


def _measure(study: StudyFolder) -> tuple[str, bool] | None:
    """The quantity by which systems are judged, and whether larger values are better."""
    known = set(study.summary.quantity)
    for name in (figure.y for figure in drawn(study) if figure.y in known and figure.y.startswith("cosine")):
        return name, True  # the subject of the study
    for name, largest in (("accuracy", True), ("cosine_all", True), ("cosine_recurrent", True), ("loss", False)):
        if name in known:
            return name, largest
    return None


def _points(study: StudyFolder) -> Iterator[tuple[str, tuple[TableCell, ...], pd.DataFrame]]:
    """Each system at each point: its name, the cells of the point, and its rows."""
    varied = axes(study)
    for key, rows in study.summary.groupby([*varied, "system"], sort=False, dropna=False):
        *point, system = key
        numbers = (value if isinstance(value, (int, float)) and not pd.isna(value) else None for value in point)
        yield str(system), tuple(map(TableCell, map(_short, point), numbers)), rows


def _words(study: StudyFolder) -> Vocabulary:
    """The vocabulary of the study's figures."""
    figures = drawn(study)
    names = {key: value for figure in figures for key, value in figure.names.items()}
    return Vocabulary(names, {key: value for figure in figures for key, value in figure.units.items()})


def _where(study: StudyFolder, row: Any) -> str:
    words, several = _words(study), study.summary.nunique(dropna=False)
    place = ", ".join(words.level(name, row[name]) for name in axes(study) if several[name] > 1)
    return place and f" at {place}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _said(name: str) -> str:
    for unit in ("_j", "_s", "_bytes"):
        name = name.removesuffix(unit)
    return name.replace("_", " ")


def _cell(name: str, value: Any, lost: int = 0) -> TableCell:
    if value is None or pd.isna(value):
        return TableCell(NOT_FINITE) if lost else NOTHING
    return TableCell(_number(name, float(value)), float(value), f"({lost} {NOT_FINITE})" if lost else "")


def _lost(rows: pd.DataFrame) -> pd.Series[int]:
    """The number of values per row of a summary that are not finite, and therefore in no median."""
    return rows["non_finite"].fillna(0).astype(int) if "non_finite" in rows else pd.Series(0, rows.index)


def _number(name: str, value: float) -> str:
    for ending, unit in (("_j", "J"), ("_bytes", "B"), ("_s", "s")):
        if name.endswith(ending):
            return si(value, unit)
    if name in ("accuracy", "assumed_fraction", "saturation_rate"):
        return f"{value:.1%}"
    return f"{value:.4g}"
