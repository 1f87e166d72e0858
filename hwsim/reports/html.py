"""Reports: one self-contained HTML file, made from the folder of a run or a study, or from a comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import ParseError

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import hwsim
from hwsim import documents
from hwsim.errors import OutputError, ResultsError
from hwsim.reports import (
    ageing,
    answers,
    crossings,
    efficiency,
    limits,
    reached,
    specification,
    spiking,
    study_reached,
    tables,
    trials,
    verdict,
)
from hwsim.reports.comparison import ComparedRuns, differences, doubts, remarks
from hwsim.reports.comparison import metrics as comparison_metrics
from hwsim.reports.exponents import exponents
from hwsim.reports.figures import study as pictures
from hwsim.reports.figures.ageing import ageing as aged_figure
from hwsim.reports.figures.canvas import Drawing, adopted
from hwsim.reports.figures.constants import constants
from hwsim.reports.figures.cores import event_cores
from hwsim.reports.figures.devices import clipped, conductances, writes
from hwsim.reports.figures.gradient import gradient
from hwsim.reports.figures.horizon import horizon
from hwsim.reports.figures.learning import learning, measured, scores
from hwsim.reports.figures.membranes import membranes
from hwsim.reports.figures.memory import memory
from hwsim.reports.figures.purposes import purposes
from hwsim.reports.figures.raster import raster
from hwsim.reports.figures.recorded import spiking as fired
from hwsim.reports.figures.specification import specification as specified
from hwsim.reports.figures.timeline import timeline
from hwsim.reports.reached import Question
from hwsim.reports.tables import Table
from hwsim.results.limits_folder import FIGURE, VALUES, LimitsFolder
from hwsim.results.run_folder import RunFolder
from hwsim.results.study_folder import STUDY, StudyFolder
from hwsim.results.summary import ConstantAnswer
from hwsim.results.verdict import VerdictFolder
from hwsim.results.whole import replace


class Sheet(NamedTuple):
    """A table on a page."""

    table: Table
    note: str = ""
    sortable: bool = True


class PageSection(NamedTuple):
    """A part of a page.

    Attributes:
        more: tables that are folded at first.
    """

    name: str
    title: str
    tables: Sequence[Sheet] = ()
    drawings: Sequence[Drawing] = ()
    more: Sequence[Sheet] = ()


def of_run(run: RunFolder, asked: Question | None = None) -> str:
    """The report of a run; the same run gives the same bytes."""
    asked = asked or Question()
    return _page(
        "a run",
        title=run.summary.name,
        about=_about(run),
        warnings=[*run.doubts, *answers.warnings(run.systems)],
        answers=answers.answers(run, asked),
        sections=run_sections(run, asked),
        facts=_facts(run),
        config=_text(run.path / "config.yaml"),
    )


def run_sections(run: RunFolder, asked: Question | None = None) -> list[PageSection]:
    """The tables and figures of a run."""
    systems, asked = run.systems, asked or Question()
    name, first = next(iter(systems.items()))
    goal = reached.target(run.metrics, systems, asked, run.summary.constant)
    measure = measured(run)
    line = goal.value if goal and measure == f"test_{goal.quantity}" else None
    learned = learning(scores(run), systems, measure, line)
    return [
        _reached(run.metrics, systems, asked, run.summary.constant),
        PageSection("systems", "Systems side by side", tables=[Sheet(tables.systems(systems), sortable=False)]),
        PageSection(
            "learning-well",
            "Learning",
            drawings=_drawn(learned, gradient(systems), horizon(systems)),
            more=_filled(tables.gradients(systems), tables.diagnostics(systems)),
        ),
        PageSection(
            "costs",
            "Energy",
            drawings=_drawn(purposes(systems), constants(name, first)),
            more=_filled(
                tables.energy(systems),
                *(tables.constants(*each) for each in systems.items()),
                *(tables.origins(*each) for each in systems.items()),
            ),
        ),
        PageSection(
            "efficiency",
            "Efficiency, beside published chips",
            tables=[
                Sheet(efficiency.efficiency(systems), note=" ".join(efficiency.remarks(systems)), sortable=False),
                Sheet(efficiency.published()),
            ],
        ),
        _spikes(run),
        _aged(systems),
        PageSection("held", "Memory", drawings=_drawn(memory(run)), more=_filled(tables.memory(systems))),
        PageSection("devices", "Devices and circuits", drawings=_drawn(conductances(run), writes(run), clipped(run))),
        PageSection("time", "Time", drawings=_drawn(timeline(run)), more=_filled(tables.utilisation(systems))),
    ]


def _spikes(run: RunFolder) -> PageSection:
    """The table and the figures of spikes, of networks that spike."""
    table = spiking.spiking(run.systems)
    sheets = [] if table is None else [Sheet(table, note=" ".join(spiking.remarks(run.systems)), sortable=False)]
    each = (draw(run, system) for system in fired(run) for draw in (raster, membranes))
    return PageSection("spiking", "Spikes", tables=sheets, drawings=[*_drawn(*each), *event_cores(run)])


def _aged(systems: tables.Systems) -> PageSection:
    """The table and the figure of accuracy over the age of devices, where they aged."""
    table = ageing.ageing(systems)
    sheets = [] if table is None else [Sheet(table, note=" ".join(ageing.remarks(systems)), sortable=False)]
    return PageSection("aged", "Age of the devices", tables=sheets, drawings=_drawn(aged_figure(systems)))


def _reached(
    metrics: pd.DataFrame, systems: tables.Systems, asked: Question, constant: ConstantAnswer | None
) -> PageSection:
    notes = " ".join(reached.remarks(metrics, systems, asked, constant))
    sheets = [Sheet(table, sortable=False) for table in reached.tables(metrics, systems, asked, constant)]
    sheets = [sheet._replace(note="" if number else notes) for number, sheet in enumerate(sheets)]
    return PageSection("reached", "What it takes to learn as well", tables=sheets)


def of_comparison(comparison: ComparedRuns, asked: Question | None = None) -> str:
    """The report of a comparison of runs."""
    systems = comparison.systems
    all_tests = []
    for label, run in comparison.runs.items():
        columns = comparison.columns[label]
        tests = scores(run)
        all_tests.append(tests[tests.system.isin(columns)].assign(system=tests.system.map(columns)))
    everything = pd.concat(all_tests).drop_duplicates(["system", "updates"])
    measures = {measured(run) for run in comparison.runs.values()}
    learned = learning(everything, systems, measures.pop()) if len(measures) == 1 else None
    sections = [
        PageSection("different", "What differs", tables=[Sheet(differences(comparison))]),
        _reached(comparison_metrics(comparison), systems, asked or Question(), comparison.constant),
        PageSection("systems", "Side by side", tables=[Sheet(tables.systems(systems), sortable=False)]),
        PageSection("learning-well", "Learning", drawings=_drawn(learned, gradient(systems))),
        PageSection("costs", "Energy", drawings=_drawn(purposes(systems)), more=_filled(tables.energy(systems))),
        PageSection("held", "Memory", more=_filled(tables.memory(systems))),
    ]
    return _page(
        "a comparison",
        title=" · ".join(comparison.runs),
        about=f"{len(comparison.runs)} runs; ratios are to the first",
        warnings=[*remarks(comparison), *doubts(comparison), *answers.warnings(systems)],
        answers=[],
        sections=sections,
        facts=[fact for label, run in comparison.runs.items() for fact in [("run", label), *_facts(run)]],
        config=None,
    )


def of_study(study: StudyFolder, asked: Question | None = None) -> str:
    """The report of a study."""
    taken = study_reached.tables(study, asked or Question())
    return _page(
        "a study",
        title=str(study.study.get("name", study.path.name)),
        about=trials.outline(study),
        warnings=trials.warnings(study),
        answers=[] if study.summary.empty else trials.answers(study, next(iter(taken), None)),
        sections=study_sections(study, taken),
        facts=[
            ("made by", f"report by hwsim {hwsim.__version__}"),
            ("table", "table.csv in the folder of the study" + (", once it is finished" if study.progress else "")),
        ],
        config=_text(study.path / STUDY),
    )


def of_limits(found: LimitsFolder) -> str:
    """The report of what limits a machine."""
    result = found.limits
    return _page(
        "what limits a machine",
        title=result.name,
        about=f"{result.rule} on {result.machine}",
        warnings=[],
        answers=[],
        sections=limits_sections(found),
        facts=[("made by", f"report by hwsim {hwsim.__version__}"), ("values", f"{VALUES} in the folder")],
        config=_text(found.path / "config.yaml"),
    )


def of_verdict(found: VerdictFolder) -> str:
    """The report of a verdict on a device."""
    asked, table = found.asked, verdict.beside(found)
    learning = found.learning
    learned = run_sections(learning)[:4] if isinstance(learning, RunFolder) else study_sections(learning)
    needed = [
        PageSection(
            f"needed-{each.measure}",
            f"What the device would have to be, by the {specification.SAID[each.measure]}",
            tables=[Sheet(specification.table(each), note=" ".join(specification.sentences(each)))],
            drawings=_drawn(specified(each)),
            more=[Sheet(specification.meanings(each))],
        )
        for each in found.specifications
    ]
    return _page(
        "a verdict on a device",
        title=str(asked["device"]["name"]),
        about=verdict.about(found),
        warnings=verdict.warnings(found),
        answers=verdict.said(found),
        sections=[
            *needed,
            *limits_sections(found.limits),
            PageSection("beside", "Beside shipped devices", tables=[Sheet(table, verdict.how(found))] if table else []),
            *learned,
        ],
        facts=[
            ("made by", f"hwsim {hwsim.__version__}"),
            (
                "folders",
                "learning, beside, limits and specification have the values; `hwsim report` shows the first three",
            ),
        ],
        config=documents.dump(asked),
    )


def limits_sections(found: LimitsFolder) -> list[PageSection]:
    """The ranked table and the figure of what limits a machine, and what its sentences say."""
    return [
        PageSection(
            "limits",
            "What limits the machine",
            tables=[Sheet(limits.table(found.limits), note=_flowing(limits.sentences(found.limits)))],
            drawings=[_adopted(FIGURE.removesuffix(".svg"), found.figure, found.path / FIGURE)],
        )
    ]


def _flowing(sentences: Sequence[str]) -> str:
    """Sentences, some of which are lines of a list on a terminal, one after another."""
    return " ".join(each.removeprefix("- ") for each in sentences)


def study_sections(study: StudyFolder, taken: Sequence[Table] | None = None) -> list[PageSection]:
    """The tables and figures of a study.

    Args:
        taken: the tables of what it takes to reach an accuracy; by default those of the default accuracy.
    """
    taken = study_reached.tables(study, Question()) if taken is None else taken
    return [
        PageSection("reached", "What it takes to learn as well", tables=_filled(*taken)),
        PageSection("figures", "Figures", drawings=_figures(study)),
        PageSection(
            "medians",
            "System beside system",
            tables=_filled(
                *trials.pivots(study),
                exponents(study, trials.drawn(study)),
                *crossings.tables(study, trials.drawn(study)),
                *trials.differences(study),
                trials.from_base(study),
            ),
        ),
        PageSection("spread", "Medians and spread", more=_filled(trials.medians(study), *trials.spreads(study))),
    ]


def _figures(study: StudyFolder) -> list[Drawing]:
    """The study's figures, drawn for the page; and the other drawings in its folder."""
    drawings, beside = [], dict(study.figures)
    for figure in trials.drawn(study):
        rows = study.rows(figure)
        if {*figure.placing, figure.y, *figure.where, *figure.hollow} <= set(rows):
            redrawn = pictures.on_a_page(figure, rows, _identifier(figure.file))
            if redrawn is not None:
                drawings.append(redrawn)
                beside.pop(figure.file, None)
    return [*drawings, *(_adopted(name, svg) for name, svg in beside.items())]


def _identifier(name: str) -> str:
    return f"figure-{re.sub(r'[^A-Za-z0-9_-]', '-', name)}"


def _adopted(name: str, svg: str, file: Path | None = None) -> Drawing:
    try:
        return adopted(svg, _identifier(name), name.replace("_", " "))
    except ParseError as error:
        raise ResultsError(
            f"{file or f'figures/{name}.svg'} is not a drawing ({error}); the command that made it makes it again"
        ) from None


def _filled(*candidates: Table | None) -> list[Sheet]:
    """The tables that have rows, each on a sheet."""
    return [Sheet(table) for table in candidates if table is not None and table.rows]


def _drawn(*drawings: Drawing | None) -> list[Drawing]:
    return [drawing for drawing in drawings if drawing is not None]


def _about(run: RunFolder) -> str:
    config, first = run.config, next(iter(run.systems.values()))
    chips = f", {first.chips} chips" if first.chips > 1 else ""
    return f"{first.rule} on {first.machine}{chips} · task {config['task']['name']} · seed {run.summary.seed}"


def _facts(run: RunFolder) -> list[tuple[str, Any]]:
    summary = run.summary
    return [
        ("made by", f"hwsim {summary.hwsim_version}, report by hwsim {hwsim.__version__}"),
        ("schema of the folder", summary.schema_version),
        ("seed", summary.seed),
        ("SHA-256 of the configuration", summary.config_sha256),
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from None


def write(path: str | Path, page: str, option: str = "--out") -> None:
    """Write a report, or a figure, atomically; an existing one is replaced.

    Args:
        option: the option that names the file.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"cannot write {path}: it is no regular file; choose another file with {option}")
    try:
        replace(path, page.encode("utf-8"))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another file with {option}") from None


def _page(what: str, *, sections: list[PageSection], **content: Any) -> str:
    templates = environment()
    folder = Path(__file__).with_name("page")
    for name, file in (("style", "style.css"), ("script", "sort.js")):
        templates.globals[name] = Markup((folder / file).read_text(encoding="utf-8"))  # trusted: files of this package
    templates.globals["version"] = hwsim.__version__
    shown = [section for section in sections if section.tables or section.drawings or section.more]
    return templates.get_template("report.html.jinja").render(what=what, sections=shown, **content)


def environment() -> Environment:
    """The templates of pages; what is put into them is escaped."""
    return Environment(
        loader=PackageLoader("hwsim.reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
