"""In a notebook a run and a study show their tables and figures by themselves."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import run_folders

import hwsim
from hwsim import documents
from hwsim.config import grid
from hwsim.experiments.study import study
from hwsim.reports import html
from hwsim.reports import study as report

VOID = {"img", "br"}


class Read(HTMLParser):
    """A text of HTML, whose elements have to be closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[bytes] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [key for key, _ in attrs if key.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            source = dict(attrs)["src"] or ""
            assert source.startswith("data:image/svg+xml;base64,")
            self.images.append(b64decode(source.partition(",")[2]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def run() -> hwsim.Run:
    return hwsim.run(run_folders.FULL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "run"
    hwsim.run(run_folders.FULL, out=made)
    return made


@pytest.mark.usefixtures("numba_is_warm")
def test_a_run_shows_what_its_report_does(run: hwsim.Run, folder: Path) -> None:
    read = hwsim.read(folder)
    shown = Read(run._repr_html_())
    assert run._repr_html_() == read._repr_html_()
    page = html.of_run(read)  # type: ignore[arg-type]
    headings = [drawing.heading for drawing in run.figures.values()]
    assert len(shown.images) == len(headings) == page.count("<figure") > 5
    for heading in headings:
        assert heading in shown.text
    for each in ("full", "substrate", "digital", "accuracy (min, max)", "more tables"):
        assert each in shown.text
    assert not {"script", "style", "link", "iframe"} & set(shown.tags)
    assert shown.tags.count("table") > 5


def test_an_image_of_a_notebook_is_a_drawing_of_its_own(run: hwsim.Run) -> None:
    for image in Read(run._repr_html_()).images:
        drawing = ElementTree.fromstring(image)
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search(rb"var\(--\w+\)", image)  # each colour has a value without a style sheet


def test_a_figure_is_had_by_its_name_and_shows_itself(run: hwsim.Run) -> None:
    assert {"learning", "purposes", "memory", "timeline"} <= set(run.figures)
    figure = run.figures["timeline"]
    assert figure.heading in Read(figure._repr_html_()).text
    assert figure.svg.startswith("<svg")


def test_what_a_cell_shows_without_html_is_a_line(run: hwsim.Run, folder: Path) -> None:
    assert repr(run) == "<Run full, seed 0: substrate, digital, exact>"
    assert repr(hwsim.read(folder)) == f"<RunFolder {folder}: substrate, digital, exact>"


def test_a_study_shows_its_tables_and_figures(tmp_path: Path) -> None:
    plan = grid.compose(documents.parse(run_folders.STUDY.replace("seeds: 3", "seeds: 1"), "study.yaml"))
    study.run(plan, tmp_path / "s", workers=1)
    report.draw(plan, tmp_path / "s")
    shown = Read(hwsim.read(tmp_path / "s")._repr_html_())
    assert len(shown.images) == 1
    assert "cosine" in shown.text
    assert "table" in shown.tags


def test_a_real_notebook_shows_a_run(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        f"import hwsim\nrun = hwsim.run({run_folders.FULL!r})\nrun",
        "run.figures['timeline']",
        "run.energy.head()",
    ]
    book: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    whole, figure, table = ([output.get("data", {}) for output in cell.outputs][-1] for cell in book.cells)
    assert whole["text/plain"] == "<Run full, seed 0: substrate, digital, exact>"
    assert len(Read(whole["text/html"]).images) > 5
    assert len(Read(figure["text/html"]).images) == 1
    assert "<table" in table["text/html"]
