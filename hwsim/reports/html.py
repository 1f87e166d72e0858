"""A report: one HTML file that needs nothing else, from what a run folder says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import hwsim
from hwsim.errors import OutputError
from hwsim.experiments.run_folder import RunFolder
from hwsim.reports import answers, tables
from hwsim.reports.figures.canvas import Drawing
from hwsim.reports.figures.constants import constants
from hwsim.reports.figures.devices import clipped, conductances, writes
from hwsim.reports.figures.gradient import gradient
from hwsim.reports.figures.horizon import horizon
from hwsim.reports.figures.learning import learning
from hwsim.reports.figures.memory import memory
from hwsim.reports.figures.purposes import purposes
from hwsim.reports.figures.timeline import timeline
from hwsim.reports.tables import Table


class Sheet(NamedTuple):
    """A table on a page."""

    table: Table
    note: str = ""
    sortable: bool = True


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        more: tables that are shown when asked for.
    """

    name: str
    title: str
    remarks: list[str]
    tables: list[Sheet]
    drawings: list[Drawing]
    more: list[Sheet]


def of_run(run: RunFolder) -> str:
    """The report of a run; the same run gives the same bytes."""
    return _page(
        "run.html.jinja",
        title=run.summary["name"],
        about=_about(run),
        warnings=answers.warnings(run.systems),
        answers=answers.answers(run),
        sections=[section for section in _sections(run) if section.tables or section.drawings],
        facts=_facts(run.summary),
        config=(run.path / "config.yaml").read_text(encoding="utf-8"),
    )


def _sections(run: RunFolder) -> list[Section]:
    systems = run.systems
    name, first = next(iter(systems.items()))
    return [
        Section("systems", "Systems side by side", [], [Sheet(tables.systems(systems), sortable=False)], [], []),
        Section(
            "learning-well",
            "Learning",
            [],
            [],
            _drawn(learning(run), gradient(systems), horizon(systems)),
            _checks(systems),
        ),
        Section(
            "costs",
            "Energy",
            [],
            [],
            _drawn(purposes(systems), constants(name, first)),
            [Sheet(tables.energy(systems)), *_constants(systems)],
        ),
        Section("held", "Memory", [], [], _drawn(memory(run)), [Sheet(tables.memory(systems))]),
        Section("devices", "Devices and circuits", [], [], _drawn(conductances(run), writes(run), clipped(run)), []),
        Section("time", "Time", [], [], _drawn(timeline(run)), _utilisation(systems)),
    ]


def _checks(systems: tables.Systems) -> list[Sheet]:
    table = tables.gradients(systems)
    note = "exact BPTT at the target weights, at the programmed ones, and along the states that the chip recorded"
    return [Sheet(table, note)] if table.lines else []


def _constants(systems: tables.Systems) -> list[Sheet]:
    return [Sheet(table) for name, system in systems.items() if (table := tables.constants(name, system)).lines]


def _utilisation(systems: tables.Systems) -> list[Sheet]:
    table = tables.utilisation(systems)
    return [Sheet(table)] if table.lines else []


def _drawn(*drawings: Drawing | None) -> list[Drawing]:
    return [drawing for drawing in drawings if drawing is not None]


def _about(run: RunFolder) -> str:
    config, first = run.config, next(iter(run.systems.values()))
    chips = f", {first['chips']} chips" if first["chips"] > 1 else ""
    return f"{first['rule']} on {first['machine']}{chips} · task {config['task']['name']} · seed {run.summary['seed']}"


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("made by", f"hwsim {summary['hwsim_version']}, report by hwsim {hwsim.__version__}"),
        ("schema of the folder", summary["schema_version"]),
        ("seed", summary["seed"]),
        ("config SHA-256", summary["config_sha256"]),
    ]


def write(path: Path, page: str) -> None:
    """Write a report, whole or not at all; one that is there already is replaced.

    Raises:
        OutputError: there is no place to write.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another file with --out") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _page(template: str, **content: Any) -> str:
    environment = Environment(
        loader=PackageLoader("hwsim.reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = Path(__file__).with_name("page")
    for name, file in (("style", "style.css"), ("script", "sort.js")):
        environment.globals[name] = Markup((folder / file).read_text(encoding="utf-8"))  # our own
    environment.globals["version"] = hwsim.__version__
    return environment.get_template(template).render(**content)
