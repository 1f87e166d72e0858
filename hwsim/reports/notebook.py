"""Results in a notebook: tables and figures that need no style sheet, no script and no network."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from hwsim.reports import answers, html, tables, trials
from hwsim.reports.figures.canvas import Drawing
from hwsim.results.limits_folder import LimitsFolder
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import StudyFolder


def figures(results: RunFolder | StudyFolder) -> dict[str, Drawing]:
    """The figures of the report of a run or a study, by name; a notebook shows one that ends a cell."""
    sections = html.run_sections(results) if isinstance(results, RunFolder) else html.study_sections(results)
    return {drawing.name: drawing for section in sections for drawing in section.drawings}


def shown(results: RunFolder | StudyFolder | LimitsFolder) -> str:
    """What a notebook shows of a run, a study or limits: what to beware of, its tables and its figures."""
    if isinstance(results, RunFolder):
        title, sections = results.summary.name, html.run_sections(results)
        warnings = [*results.doubts, *answers.warnings(results.systems)]
        remarks = tables.remarks(results.systems)
    elif isinstance(results, LimitsFolder):
        title, sections = results.limits.name, html.limits_sections(results)
        warnings, remarks = [], []
    else:
        title, sections = f"{results.path.name}: {trials.outline(results)}", html.study_sections(results)
        warnings, remarks = trials.warnings(results), []
    parts = [Markup("<h3>{}</h3>").format(title)]
    parts += [_list(warnings), *(_sheets(section.tables) for section in sections), _list(remarks)]
    parts += [Markup(drawing._repr_html_()) for section in sections for drawing in section.drawings]
    more = Markup("").join(_sheets(section.more) for section in sections)
    if more:
        parts.append(Markup("<details><summary>more tables</summary>{}</details>").format(more))
    return Markup('<div style="overflow-x:auto">{}</div>').format(Markup("\n").join(parts))


def _sheets(sheets: Iterable[html.Sheet]) -> Markup:
    macros = html.environment().get_template("parts.html.jinja").module
    return Markup("").join(Markup(macros.sheet(sheet.table, sheet.note, False)) for sheet in sheets)  # type: ignore[attr-defined]


def _list(lines: Iterable[str]) -> Markup:
    items = Markup("").join(Markup("<li>{}</li>").format(escape(line)) for line in lines)
    return Markup("<ul>{}</ul>").format(items) if items else items
