"""Reports: whole pages that need nothing else, say what the folder says, and are the same bytes each time."""

from __future__ import annotations

import copy
import json
import os
import re
import runpy
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from run_folders import KINDS, Folders, changed

from hwsim.errors import OutputError, ResultsError
from hwsim.reports import html
from hwsim.reports.comparison import compare, differences, remarks
from hwsim.results import study_folder
from hwsim.results.run_folder import RunFolder
from hwsim.results.summary import Summary

Pages = Callable[[str], str]
VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = '<script>alert(1)</script> & "quoted" $\\frac$ ünïcødé 漢字 \''


class Page(HTMLParser):
    """Tags as they are opened and closed; fails where they do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_has_a_page(page: Pages, kind: str) -> None:
    parsed = Page(page(kind))
    identifiers = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    assert {f"#{name}" for name in identifiers} >= {a["href"] for a in parsed.of("a")}
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in parsed.of("svg"))
    assert len(parsed.of("script")) == 1
    assert "nan" not in re.sub(r"<[^>]*>", " ", page(kind).split("<main>")[1].split('id="model"')[0]).lower().split()


def test_the_same_run_gives_the_same_bytes(folders: Folders, page: Pages) -> None:
    assert html.of_run(folders("full")) == page("full")


def test_a_page_asks_for_nothing_from_elsewhere(page: Pages) -> None:
    text = page("full")
    links = [
        value for _, attrs in Page(text).tags for key, value in attrs.items() if key in ("src", "href", "xlink:href")
    ]
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_text_in_figures_is_text_in_colours_of_the_page(page: Pages) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page("full"), re.S)
    assert len(drawings) >= 9
    for svg in drawings:
        assert "<text" in svg
        assert set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', svg)) <= {
            pair for name in re.findall(r' id="([^"]*)"', svg) for pair in ((name, ""), ("", name))
        }
        assert "font-family" not in svg
        assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg)  # only as what a variable falls back on


def sections(page: str) -> set[str]:
    return set(re.findall(r'<figure id="([^"]*)"', page))


def test_a_run_shows_the_figures_that_it_has_the_numbers_for(page: Pages) -> None:
    everything = sections(page("full"))
    assert everything >= {
        "learning",
        "gradient",
        "horizon",
        "purposes",
        "constants",
        "memory",
        "conductances",
        "writes",
    }
    assert "timeline" in everything
    assert everything - sections(page("unchecked")) == {"gradient"}
    assert everything - sections(page("untrained")) <= {"learning", "clipped"}
    assert sections(page("ideal")) == {"learning", "gradient", "horizon", "memory"}
    assert "horizon" not in sections(page("one step"))


def test_numbers_of_the_summary_stand_on_the_page(folders: Folders, page: Pages) -> None:
    run, text = folders("full"), page("full")
    for system in run.systems.values():
        for value in (system.energy.training_step_j, system.memory.peak_bytes):
            assert value is None or f'data-value="{value}"' in text
    assert run.summary.config_sha256 in text
    assert "task:" in text
    assert "assumed" in text


def test_every_constant_of_a_price_is_cited_by_its_key(folders: Folders, page: Pages) -> None:
    said = [unescape(text).strip() for text in re.findall(r"<t[dh][^>]*>([^<]*)", page("full"))]
    cited = {key: said[place + 1 : place + 4] for place, key in enumerate(said) if "machine." in key}
    for name, system in folders("full").systems.items():
        for key, origin in system.energy.constants.items():
            if "sram_cacti7" not in key:
                span = "-" if origin.low is None else f"{origin.low} to {origin.high}"
                why = f"assumed: {origin.assumed}" if origin.assumed else f"{origin.source}: {origin.citation}"
                assert cited[key] == [origin.value, span, why], (name, key)
    assert cited["references.digital.machine.parts.compare"][:2] == ["100 fJ", "29.5 fJ to 210 fJ"]


def renamed(run: RunFolder, name: str) -> RunFolder:
    """The same run, were everything in it that has a name called otherwise."""
    old = list(run.systems)
    new = {system: f"{name} {place}" for place, system in enumerate(old)}
    said = run.summary.plain()
    said["name"] = name
    said["systems"] = {new[system]: said["systems"][system] for system in old}
    for system in said["systems"].values():
        system["rule"] = system["machine"] = name
        system["energy"]["by_constant"] = {f"{name} {key}": v for key, v in system["energy"]["by_constant"].items()}
        if system["gradient"]:
            layers = system["gradient"]["by_layer"]
            system["gradient"]["by_layer"] = {f"{name} {key}": value for key, value in layers.items()}
    found = RunFolder(run.path, Summary.model_validate(said), copy.deepcopy(run.config))
    for table in ("energy", "memory", "metrics", "histograms", "clipping"):
        frame = getattr(run, table).copy()
        frame["system"] = frame["system"].map(new)
        for column in {"unit", "array", "holder", "layer"} & set(frame):
            frame[column] = name + " " + frame[column].astype(str)
        setattr(found, table, frame)
    events = json.loads(json.dumps(run.timeline))
    for event in events:
        if event["ph"] == "M":
            event["args"]["name"] = f"{name} {event['args']['name']}"
    found.timeline = events
    found.config["task"]["name"] = name
    return found


@pytest.mark.parametrize("name", [HOSTILE, "x" * 300, "_]]>{{ 7 * 7 }}\u202eltr"])
def test_names_are_text_and_nothing_else(folders: Folders, name: str) -> None:
    page = html.of_run(renamed(folders("full"), name))
    parsed = Page(page)
    assert len(parsed.of("script")) == 1
    assert "<script>alert" not in page
    assert "49" not in re.findall(r"<title>(.*?)</title>", page)[0]


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    html.write(tmp_path / "a.html", "one")
    html.write(tmp_path / "a.html", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "two"
    with pytest.raises(OutputError, match=r"cannot write .*; choose another file with --out"):
        html.write(tmp_path / "none" / "a.html", "three")


def test_the_picture_of_a_run_stands_by_itself(folders: Folders) -> None:
    """Colours of the page fall back on their own, and letters on those that the drawing was measured with."""
    made = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "picture.py"))["picture"](folders("full"))
    root = ElementTree.fromstring(made)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == "560"
    assert "substrate" in "".join(root.itertext())
    assert not re.search(r"var\(--\w+\)", made)
    assert "font-family" in (root.get("style") or "")


# ---- comparisons ---------------------------------------------------------------------------------------------


def test_runs_side_by_side(folders: Folders) -> None:
    runs = [folders("full"), folders("unchecked"), folders("regression")]
    found = compare(runs)
    assert next(iter(found.systems)) == "full"
    assert found.systems["full"] is runs[0].systems["substrate"]
    assert found.columns["unchecked"]["digital"] != "full: digital"  # it was not checked, so it says less
    lines = remarks(found)
    assert lines[0] == "The task of regression is another than that of full: their numbers answer different questions."
    rows = {line.label: [cell.text for cell in line.cells] for line in differences(found).rows}
    assert rows["task.name"] == ["random", "random", "adding"]
    assert rows["gradient_check.sequences"] == ["2", "-", "2"]
    assert not any(key.startswith(("machine", "learning")) for key in rows)
    Page(html.of_comparison(found))
    assert list(compare(runs, substrates=True).systems) == ["full", "unchecked", "regression"]


def test_what_is_the_same_stands_once(folders: Folders, tmp_path: Path) -> None:
    run = folders("full")
    changes = changed(run, lambda systems: systems["substrate"].update(rule="another"))
    other = RunFolder(tmp_path / "copy", changes.summary, run.config)
    found = compare([run, other])
    assert list(found.systems) == ["full", "full: digital", "full: exact", "copy"]
    assert remarks(found) == [
        f"full: {name} is the same in copy, and stands here once." for name in ("digital", "exact")
    ]


def test_references_that_are_alike_are_told_once_and_a_run_may_have_none(folders: Folders) -> None:
    run, bare = folders("full"), folders("bare")
    twins = changed(run, lambda systems: systems.update(twin=systems["digital"], third=systems["digital"]))
    found = compare([run, RunFolder(run.path / "twins", twins.summary, run.config)])
    assert "full: digital is the same in twins, and stands here once." in remarks(found)
    rows = {line.label: [cell.text for cell in line.cells] for line in differences(compare([run, bare])).rows}
    assert rows["references.digital"] == ["bptt on digital_45nm", "-"]
    assert "references" not in rows
    untested = RunFolder(run.path / "untested", run.summary, run.config | {"test": False})
    (line,) = differences(compare([run, untested])).rows
    assert [cell.text for cell in line.cells] == ["true", "false"]


def test_a_machine_of_another_kind_is_one_difference(folders: Folders) -> None:
    rows = {line.label: line for line in differences(compare([folders("full"), folders("ideal")])).rows}
    assert [cell.text for cell in rows["machine.name"].cells] == ["pcm_crossbar", "ideal"]
    assert [key for key in rows if key.startswith("machine.")] == ["machine.name"]


def test_what_differs_inside_a_machine_of_another_name_is_listed(folders: Folders, tmp_path: Path) -> None:
    run = folders("full")

    def rows(change: Any) -> dict[str, list[str]]:
        config = copy.deepcopy(dict(run.config))
        change(config["machine"])
        other = RunFolder(tmp_path / "other", run.summary, config)
        found = differences(compare([run, other])).rows
        return {line.label: [cell.text for cell in line.cells] for line in found}

    def mine(machine: Any) -> None:
        machine["name"] = "mine"
        machine["parts"]["adc"]["bits"] = 5
        machine["parts"]["verify"] = {"value": "7e-12 joule", "source": None, "assumed": "mine", "range": None}
        machine["device"]["name"] = "own"
        machine["device"]["what"] = "something else"
        machine["device"]["read_noise"]["cap"] = 0.5

    before = run.config["machine"]
    assert rows(mine) == {
        "machine.name": ["pcm_crossbar", "mine"],
        "machine.device.name": [before["device"]["name"], "own"],
        "machine.device.read_noise.cap": [str(before["device"]["read_noise"]["cap"]), "0.5"],
        "machine.parts.adc.bits": [str(before["parts"]["adc"]["bits"]), "5"],
        "machine.parts.verify": ["2 pJ", "7 pJ"],
    }
    assert rows(lambda machine: machine["device"].update(name="own")) == {
        "machine.device.name": [before["device"]["name"], "own"]
    }

    def all_different(data: Any) -> None:
        for key, value in data.items():
            if isinstance(value, dict):
                all_different(value)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                data[key] = value + 1

    def other(machine: Any) -> None:
        machine["name"] = "mine"
        all_different(machine)

    found = rows(other)
    assert len([label for label in found if label.startswith("machine.")]) == 13
    assert list(found)[-1].startswith("machine: ")
    assert list(found)[-1].endswith(" more")


def test_a_report_replaces_regular_files_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(OutputError, match="it is no regular file; choose another file with --out"):
            html.write(path, "page")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_what_only_one_run_has_is_one_difference(folders: Folders, tmp_path: Path) -> None:
    run = folders("full")
    config = copy.deepcopy(dict(run.config))
    last = config["references"].pop()
    rows = {
        line.label: [cell.text for cell in line.cells]
        for line in differences(compare([run, RunFolder(tmp_path / "less", run.summary, config)])).rows
    }
    said = f"{last['learning']['name']} on {last['machine']['name']}"
    assert rows == {f"references.{last['name']}": [said, "-"]}


def test_runs_of_the_same_name_are_told_apart(folders: Folders, tmp_path: Path) -> None:
    run = folders("full")
    twin = RunFolder(tmp_path / "full", run.summary, run.config)
    assert len(compare([run, twin]).runs) == 2
    with pytest.raises(ResultsError, match="stands twice"):
        compare([run, run])
    with pytest.raises(ResultsError, match="two runs or more"):
        compare([run])


# ---- studies -------------------------------------------------------------------------------------------------

SVG = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'viewBox="0 0 300 200" onload="alert(1)"><style>*{fill:red}</style><script>alert(2)</script>'
    '<defs><path id="m" d="M 0 0 L 1.23456 2"/></defs><g id="axes_1"><use xlink:href="#m" style="stroke: #0072b2"/>'
    '<use xlink:href="http://evil.example/x.svg#m"/><image href="http://evil.example/x.png"/>'
    '<a href="http://evil.example"><text>gone</text></a><rect style="fill: url(http://evil.example)"/>'
    '<text style="font-size: 9px; font-family: serif">kept</text></g></svg>'
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study folder as the contract has it."""
    folder = tmp_path / "a study"
    (folder / "figures").mkdir(parents=True)
    (folder / "study.yaml").write_text("name: <b>bits</b>\nvary: {bits: {key: x, values: [4, 8]}}\n")
    rows, lines = [], []
    for bits, joules in ((4, 1e-9), (8, 2e-9)):
        for system, rule in (("substrate", "fpe"), ("BPTT", "bptt")):
            where = {"bits": bits, "system": system, "rule": rule, "machine": "m"}
            row = {"seed": 0, "status": "done", "error": None, "chip": 0, "accuracy": None if bits == 4 else bits / 10}
            rows.append({**where, **row, "non_finite": bits == 4})
            for quantity, value in (("accuracy", bits / 10), ("energy_training_step_j", joules)):
                lines.append({**where, "quantity": quantity, "median": value, "min": value, "max": value, "count": 1})
    rows.append({"bits": 2, "system": None, "seed": 0, "status": "failed", "error": "it <i>broke</i>\nhere"})
    pd.DataFrame(rows).to_parquet(folder / "table.parquet", index=False)
    pd.DataFrame(lines).to_csv(folder / "summary.csv", index=False)
    (folder / "figures" / "by_bits.svg").write_text(SVG)
    study_folder.seal(folder)
    return folder


def test_a_study_has_a_page(study: Path) -> None:
    page = html.of_study(study_folder.read(study))
    assert page == html.of_study(study_folder.read(study))
    parsed = Page(page)
    assert "evil.example" not in page
    assert "alert" not in page
    assert "<b>bits" not in page
    assert len(parsed.of("script")) == 1
    assert "var(--blue, #0072b2)" in page
    assert ">kept</text>" in page
    for said in (
        "1 trials failed and are in no median.",
        "1 × it &lt;i&gt;broke&lt;/i&gt;",
        "2 of 5 rows contain something that is not finite",
        "Substrate is good enough at bits 8.",
        "It does best at bits 8: 80.0%.",
        "A training step of a whole batch takes 1 nJ to 2 nJ.",
    ):
        assert said in page, said


def test_what_points_are_called_is_read_as_it_was_written(study: Path) -> None:
    names = {2: "NA", 4: "null", 8: "1.0"}
    table = pd.read_parquet(study / "table.parquet")
    table.assign(bits=table["bits"].map(names)).to_parquet(study / "table.parquet", index=False)
    summary = pd.read_csv(study / "summary.csv")
    summary.assign(bits=summary["bits"].map(names)).to_csv(study / "summary.csv", index=False)
    study_folder.seal(study)
    found = study_folder.read(study)
    assert set(found.table["bits"]) == {"NA", "null", "1.0"}
    assert set(found.summary["bits"]) == {"null", "1.0"}
    assert "does best at bits 1.0: 80.0%" in html.of_study(found)


def test_figures_that_are_no_drawings_are_refused(study: Path) -> None:
    (study / "figures" / "broken.svg").write_text("<svg")
    study_folder.seal(study)
    with pytest.raises(ResultsError, match=r"broken\.svg"):
        html.of_study(study_folder.read(study))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "summary.csv").unlink(), "it has neither its tables, whole, nor trials.sqlite"),
        (lambda folder: (folder / "study.yaml").unlink(), "it has no study.yaml"),
        (
            lambda folder: pd.DataFrame({"a": [1]}).to_parquet(folder / "table.parquet"),
            "its tables lack status, system",
        ),
        (lambda folder: (folder / "table.parquet").write_text(""), "is damaged"),
        (lambda folder: (folder / "summary.csv").write_bytes(b"\xff\xfe"), "is damaged"),
        (lambda folder: (folder / "study.yaml").write_text("]"), "not YAML"),
    ],
)
def test_studies_that_cannot_be_read_are_refused(study: Path, change: Any, said: str) -> None:
    change(study)
    study_folder.seal(study)
    with pytest.raises(ResultsError, match=re.escape(said)):
        study_folder.read(study)
