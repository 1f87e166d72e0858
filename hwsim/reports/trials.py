"""The results of a study in words and tables: medians and spread over chips and seeds, and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
from pydantic import ValidationError

from hwsim.columns import area_column, error_column
from hwsim.config.grid import ALONE
from hwsim.config.study import FigureOptions
from hwsim.printing import listed, opening
from hwsim.quantities import si
from hwsim.reports import goodness
from hwsim.reports.answers import Answer, Tone
from hwsim.reports.per_step import step_of
from hwsim.reports.plus_minus import plus_minus
from hwsim.reports.region import GridAxis, Point, region
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
    words = vocabulary(study)
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


def training_step(study: StudyFolder) -> str:
    """The training step of a study's trials, with its sequences if they are as many in all trials."""
    column = "training_step_sequences"
    known = set[float]() if column not in study.table else {*study.table[column].dropna()}
    return step_of(int(known.pop()) if len(known) == 1 else None)


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
    per = f", per {training_step(study)}" if quantity.startswith("energy_training_step") else ""
    title = f"{what}{per}: {middle} over chips and seeds".replace(" per training step, per ", " per ")
    return Table(title, heads, tuple(rows), corner=corner, keys=len(varied[1:]))


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


def differences(study: StudyFolder) -> list[Table]:
    """Paired differences of what was trained: between systems, and between points of an axis.

    Those between systems are all if they are few, else those with the first system; those between points are of the
    first system, each value of an axis against the one before it. Where a figure shows learning curves, areas under
    them are compared between systems too, see `hwsim.results.study.areas`.
    """
    known = set(study.pairs["quantity"]) if len(study.curves) and len(study.pairs) else set()
    curves = {figure.y for figure in drawn(study) if figure.over_training}
    loss_alone = "test_loss" in curves and "test_accuracy" not in curves
    quantity = "accuracy" if "accuracy" in known and not loss_alone else "loss"
    if quantity not in known:
        return []
    pairs = study.pairs[study.pairs["quantity"] == quantity]
    first, words, within = pairs["first"].iloc[0], vocabulary(study), f"within {pairs['over'].iloc[0]}"
    points = pairs[pairs["axis"].notna() & (pairs["axis"] != ALONE) & (pairs["first"] == first)]
    points = points.drop_duplicates([*axes(study), "axis"], keep="last")  # the one before it is the last
    areas = [area_column(quantity, early=early) for early in (False, True)] if f"test_{quantity}" in curves else []
    found = []
    for name in (quantity, *areas):
        systems = study.pairs[(study.pairs["quantity"] == name) & study.pairs["axis"].isna()]
        if len(systems) > _FEW:
            systems = systems[systems["first"] == first]
        found.append(_differences(study, systems, name, f"{opening(words.column(name))}: differences {within}"))
    along = _differences(study, points, quantity, f"{opening(quantity)} of {first}: steps along an axis, {within}")
    return [table for table in (found[0], along, *found[1:]) if table.rows]


def _differences(study: StudyFolder, pairs: pd.DataFrame, quantity: str, title: str) -> Table:
    words, varied, rows = vocabulary(study), axes(study), []
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
        axis = pair["axis"]
        what = (
            f"{pair['first']} − {pair['second']}"
            if pd.isna(axis)
            else f"{words.column(axis)}: {pair['against']} → here"
        )
        rows.append(TableRow(what, (*point, *statistics, leads)))
    unit = " (points)" if quantity.startswith("accuracy") else ""
    heads = (*map(words.column, varied), f"mean{unit}", f"95 % interval{unit}", "higher in")
    return Table(title, heads, tuple(rows), corner="difference", keys=len(varied))


_ALONE = ("accuracy", "loss", "cosine_all")
"""Quantities in the table of axes that vary one at a time, if a study has them; `pairs.csv` has all."""


def from_base(study: StudyFolder) -> Table | None:
    """Differences to the base point, for axes that vary one at a time: a row per point and system."""
    if "axis" not in study.pairs or not (of_base := study.pairs["axis"] == ALONE).any():
        return None
    words, pairs, alone = vocabulary(study), study.pairs[of_base], _alone(study)
    hidden = [ALONE, *(column for columns in alone.values() for column in columns)]
    others = [name for name in axes(study) if name not in hidden]
    others += ["first"] if pairs["first"].nunique() > 1 else []
    known = [name for name in _ALONE if name in set(pairs["quantity"])]
    rows = []
    for _, part in pairs.groupby([*others, *hidden], sort=False, dropna=False):
        point, of = part.iloc[0], {pair["quantity"]: pair for pair in part.to_dict("records")}
        values = (words.value(name, point[name], bare=True) for name in alone.get(point[ALONE], ()))
        cells = (_difference(of[name]) if name in of else NOTHING for name in known)
        beside = (TableCell(words.value(name, point[name], bare=True)) for name in others)
        rows.append(TableRow(" ".join([words.column(point[ALONE]), *values]), (*beside, *cells)))
    heads = ["system" if name == "first" else words.column(name) for name in others]
    heads += [f"{_said(name)}{' (points)' if name == 'accuracy' else ''}" for name in known]
    title = f"Differences to the base point, with 95 % intervals over {pairs['over'].iloc[0]}"
    return Table(title, tuple(heads), tuple(rows), corner="varied alone", keys=len(others))


def _alone(study: StudyFolder) -> dict[str, list[str]]:
    """The axes that vary one at a time, with their columns."""
    axes = (study.study.get("vary") or {}).get("one_at_a_time") or {}
    labels = {name: axis.get("labels") if isinstance(axis, dict) else None for name, axis in axes.items()}
    return {name: [*given] if isinstance(given, dict) else [name] for name, given in labels.items()}


def _difference(pair: Mapping[Any, Any]) -> TableCell:
    """A mean difference with half of its interval; of accuracies in points."""
    lost = f"({pair['non_finite']} {NOT_FINITE})" if pair["non_finite"] else ""
    if not pair["count"] > 1:
        return TableCell(NOT_FINITE)
    times = 100 if pair["quantity"] == "accuracy" else 1
    half = times * (pair["high"] - pair["low"]) / 2
    return TableCell(plus_minus(times * pair["mean"], half), pair["mean"], lost)


def _signed(quantity: str, value: float) -> str:
    text = f"{100 * value:+.2f}" if quantity.startswith("accuracy") else f"{value:+.4g}"
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
    title = f"Medians over chips and seeds; inference and gradient are of one sequence, a {training_step(study)}"
    return Table(title, columns, tuple(rows), corner="system")


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


def answers(study: StudyFolder, reached: Table | None = None) -> list[Answer]:
    """The answers to the device physicist, the chip architect and the learning researcher.

    Args:
        reached: the table of what it takes to reach an accuracy.
    """
    measure = _measure(study)
    return [_physicist(study, measure), _architect(study, reached), _researcher(study, measure)]


def _physicist(study: StudyFolder, measure: tuple[str, bool] | None) -> Answer:
    question = "Device physicist: where is the device good enough to learn with?"
    if measure is None:
        return Answer(question, _UNMEASURED, "", [])
    name, largest = measure
    first = str(study.summary.system.iloc[0])
    rows = study.summary[(study.summary.quantity == name) & (study.summary.system == first)]
    whole, not_judged = rows[_lost(rows) == 0].dropna(subset=["median"]), _not_judged(study, rows)
    if whole.empty:
        text = f"{opening(first)} has at no point {_said(name)} that is finite on all chips."
        return Answer(question, text, "bad", not_judged)
    said, tone, reasons = _where_good(study, first, measure)
    whole = whole.sort_values("median", ascending=not largest, kind="stable")
    ends = [whole.iloc[0], whole.iloc[-1]][: min(len(whole), 2)]
    for how, row in zip(("best", "worst"), ends, strict=False):
        text = f"It does {how}{_where(study, row)}" if len(whole) > 1 else f"Its {_said(name)} is"
        reasons.append(f"{text}{': ' if len(whole) > 1 else ' '}{_number(name, row['median'])}.")
    return Answer(question, said, tone, [*reasons, *not_judged])


def _where_good(study: StudyFolder, system: str, measure: tuple[str, bool]) -> tuple[str, Tone, list[str]]:
    """Where a system is good enough: the sentence, its tone, and what it rests on."""
    name, largest = measure
    values, grid = goodness.by_point(study.table, axes(study), name), _grid(study)
    asked = goodness.criterion(values, name, largest, _rules(study), system)
    bar = goodness.untaught(study.table, study.curves, axes(study), name)
    judged = goodness.judge(values, system, asked, bar)
    good, unsure = (_region(study, judged, fate) for fate in (goodness.GOOD, goodness.UNDECIDED))
    subject = opening(system)
    if good is None:
        text = f"{subject} is at no point good enough"
        if unsure is not None:
            place = f" {_spoken(unsure)}" if grid else ""
            text = f"{subject} is at no point surely good enough; that is undecided{place}"
    elif good == [""]:
        text = f"{subject} is good enough" + (" at all points" if grid else "")
    else:
        text = f"{subject} is good enough {_spoken(good)}"
    tone: Tone = "good" if good == [""] else "bad" if good is None and unsure is None else "unsure"
    known = any(each.loss.known for each in judged.values())
    if not known and tone == "good":
        tone = "unsure"
    learned = f", and better than {_untaught(study, name)}" if bar.get(system) else ""
    reasons = [f"Good enough is {_needed(asked, name)}{learned}" + (RESTS_ON if known else _NO_INTERVAL)]
    stupid = {point: each._replace(fate=each.learned) for point, each in judged.items()}
    if (none := _region(study, stupid, goodness.BAD)) is not None:
        reasons.append(f"It is no better than that {_spoken(none) if grid else ''}".rstrip() + ".")
    if unsure is not None:
        reasons.append(
            f"Undecided {'; '.join(unsure) or 'at all points'}; more seeds or chips would tell.".replace("  ", " ")
        )
    if good is None and name.startswith("cosine") and grid:
        near = goodness.near_best({system: values[system]}, name, largest)
        where = _region(study, goodness.judge(values, system, near), goodness.GOOD)
        if where and where != [""]:
            reasons.append(f"It is {near.text} {'; '.join(where)}.")
    return f"{text}.", tone, reasons


RESTS_ON = ", with the whole 95 % interval."
"""What a judgement rests on, behind its criterion: paired differences, or means where the criterion is a level."""
_NO_INTERVAL = "; there is one seed and one chip, so no interval."


def _needed(asked: goodness.Criterion, name: str) -> str:
    """What is good enough, with its article, such as `an accuracy at most 2 points below digital`."""
    if asked.text.startswith("a "):
        return asked.text
    return f"{'an' if name[0] in 'aeiou' else 'a'} {_said(name)} {asked.text}"


def _untaught(study: StudyFolder, name: str) -> str:
    """What has learned nothing, with its range over trials."""
    column = f"constant_{name}"
    known = study.table[column].dropna() if column in study.table else pd.Series(dtype=float)
    if known.empty:
        return "the untrained network"
    ends = dict.fromkeys(_number(name, end) for end in (known.min(), known.max()))
    return f"a constant answer ({' to '.join(ends)}) and the untrained network"


def _region(study: StudyFolder, judged: Mapping[Point, goodness.Judged], fate: str) -> list[str] | None:
    """Where a system has a fate, in words; None for nowhere."""
    columns, grid = axes(study), _grid(study)
    places = [columns.index(name) for name in grid]
    return region(list(grid.values()), {tuple(p[i] for i in places): each.fate == fate for p, each in judged.items()})


def where(study: StudyFolder, holds: Mapping[Point, bool]) -> str | None:
    """Where in a study something holds, in words: empty for everywhere where nothing varies, None for nowhere."""
    columns, grid = axes(study), _grid(study)
    places = [columns.index(name) for name in grid]
    found = region(list(grid.values()), {tuple(point[i] for i in places): each for point, each in holds.items()})
    return None if found is None else _spoken(found) if grid else ""


def _spoken(parts: list[str]) -> str:
    """The parts of a region as one text."""
    return "; ".join(parts) or "at all points"


def _grid(study: StudyFolder) -> dict[str, GridAxis]:
    """The axes that vary, in the order of a sentence."""
    varied = [name for name in axes(study) if study.summary[name].nunique(dropna=False) > 1]
    x = next((figure.x for figure in drawn(study) if figure.x in varied), None)
    return goodness.grid_axes(study.table, varied, vocabulary(study), x)


def _rules(study: StudyFolder) -> dict[str, str]:
    """The rule of each system that has the same one at all points."""
    known = study.summary.groupby("system", sort=False)["rule"].agg(["nunique", "first"])
    return {str(system): str(row["first"]) for system, row in known.iterrows() if row["nunique"] == 1}


def _not_judged(study: StudyFolder, rows: pd.DataFrame) -> list[str]:
    """Remarks on points with values that are not finite: they are neither the best nor the worst."""
    lines = []
    for (_, row), lost in zip(rows.iterrows(), _lost(rows), strict=True):
        if lost:
            total = lost + int(row["count"])
            lines.append(f"Not judged{_where(study, row)}: {lost} of {total} are not finite.")
    more = len(lines) - _FEW
    return lines if more <= 0 else [*lines[:_FEW], f"Nor at {more} more points."]


def _architect(study: StudyFolder, reached: Table | None) -> Answer:
    question = "Chip architect: what do energy, memory and latency amount to?"
    energy = study.summary[study.summary.quantity == "energy_training_step_j"].dropna(subset=["median"])
    if energy.empty:
        return Answer(question, "No system of this study has a known energy.", "", [])
    energy = energy.sort_values("median", kind="stable")
    least, most = energy.iloc[0], energy.iloc[-1]
    reasons = [
        f"The least is that of {least['system']}{_where(study, least)}.",
        f"The most is that of {most['system']}{_where(study, most)}.",
    ]
    text = f"A {training_step(study)} takes {si(least['median'], 'J')} to {si(most['median'], 'J')}."
    for quantity, what, unit in (("peak_memory_bytes", "Memory", "B"), ("time_sequence_s", "A sequence", "s")):
        values = study.summary[study.summary.quantity == quantity]["median"].dropna()
        if len(values) and values.max() > 0:
            reasons.append(f"{what} takes {si(values.min(), unit)} to {si(values.max(), unit)}.")
    column = None if reached is None else len(axes(study))
    spent = [] if reached is None or column is None else [row.cells[column].value for row in reached.rows]
    known = [value for value in spent if value is not None]
    if reached is not None and known:
        reasons.insert(0, text)
        goal = reached.title.split(" on the test")[0]
        text = f"{goal}, learning takes {si(min(known), 'J')} to {si(max(known), 'J')}."
        if len(known) < len(spent):
            reasons.insert(0, f"{len(spent) - len(known)} of {len(spent)} systems and points do not reach it.")
    return Answer(question, text, "", reasons)


def _researcher(study: StudyFolder, measure: tuple[str, bool] | None) -> Answer:
    question = "Learning researcher: which rule survives?"
    if measure is None:
        return Answer(question, _UNMEASURED, "", [])
    name, largest = measure
    rows = study.summary[study.summary.quantity == name]
    if not rows["median"][_lost(rows) == 0].notna().any():
        text = f"No {_said(name)} is finite on all chips."
        return Answer(question, text, "bad", [line for _, _, line in _counted_lost(rows) if line])
    values = goodness.by_point(study.table, axes(study), name)
    asked = goodness.criterion(values, name, largest, _rules(study), str(study.summary.system.iloc[0]))
    bar = goodness.untaught(study.table, study.curves, axes(study), name)
    fates, reasons = list[str](), list[str]()
    lives: dict[tuple[str | None, str | None], list[str]] = {}
    for label, part, lost in _counted_lost(rows):
        system = str(part["system"].iloc[0])
        if system == asked.reference:
            continue
        places = set(part[axes(study)].itertuples(index=False, name=None))
        judged = {point: each for point, each in goodness.judge(values, system, asked, bar).items() if point in places}
        good, unsure = (_region(study, judged, fate) for fate in (goodness.GOOD, goodness.UNDECIDED))
        fates.append("good" if good == [""] else "unsure" if good or unsure else "bad")
        place = (None if good is None else _spoken(good), None if unsure is None else _spoken(unsure))
        lives.setdefault(place, []).append(label)
        middles = part[_lost(part) == 0]["median"].dropna()
        ends = dict.fromkeys(_number(name, end) for end in (middles.min(), middles.max()))
        reasons += [f"{label}: {' to '.join(ends)}."] if len(middles) else []
        reasons += [lost] if lost else []
    tone: Tone = "bad" if set(fates) == {"bad"} else "good" if set(fates) == {"good"} else "unsure"
    learned = f", better than {_untaught(study, name)}" if bar else ""
    reasons.append(f"To survive is to have {_needed(asked, name)}{learned}{RESTS_ON}")
    said = "; ".join(_survive(labels, *place) for place, labels in lives.items())
    return Answer(question, f"{opening(said)}.", tone, reasons)


def _survive(labels: Sequence[str], good: str | None, unsure: str | None) -> str:
    """Where rules survive, and where that is undecided; None for nowhere.

    >>> _survive(["fpe (chip)"], None, "up to 6 bits")
    'whether fpe (chip) survives is undecided up to 6 bits'
    >>> _survive(["fpe (chip)", "rtrl (chip)"], "from 8 bits on", None)
    'fpe (chip) and rtrl (chip) survive from 8 bits on'
    """
    who, verb = listed(labels), "survives" if len(labels) == 1 else "survive"
    if good is None:
        return f"{who} {verb} at no point" if unsure is None else f"whether {who} {verb} is undecided {unsure}"
    return f"{who} {verb} {good}" + ("" if unsure is None else f", which is undecided {unsure}")


def _counted_lost(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Each rule of each system: what it is called, its rows of the summary, and how often it is not finite."""
    for (rule, system), part in rows.groupby(["rule", "system"], sort=False):
        label, lost = f"{rule} ({system})", int((_lost(part) > 0).sum())
        yield label, part, f"{label}: not finite at {lost} of {len(part)} points." if lost else ""


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


def vocabulary(study: StudyFolder) -> Vocabulary:
    """The vocabulary of the study's figures."""
    figures = drawn(study)
    names = {key: value for figure in figures for key, value in figure.names.items()}
    return Vocabulary(names, {key: value for figure in figures for key, value in figure.units.items()})


def _where(study: StudyFolder, row: Any) -> str:
    words, several = vocabulary(study), study.summary.nunique(dropna=False)
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
