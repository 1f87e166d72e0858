"""Tables in narrow terminals: nothing is cut, no word is broken that need not be, and rows keep their names."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from run_folders import Folders

from hwsim.printing import Terminal
from hwsim.reports import comparison, fitting, study, tables
from hwsim.reports.fitting import broken, put
from hwsim.reports.tables import Table, TableCell, TableRow
from hwsim.results import run_folder


def printed(table: Table, width: int, of_study: bool = False) -> str:
    console = Terminal(file=io.StringIO(), width=width)
    if of_study:
        put(table, console, study._printable, title=True)
    else:
        put(table, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def wide(keys: int, values: int, name: str = "the substrate") -> Table:
    """Rows that only their keys tell apart."""
    heads = (*(f"axis {number}" for number in range(keys)), *(f"quantity number {number}" for number in range(values)))
    rows = tuple(
        TableRow(name, tuple(TableCell(f"{row}.{number} units") for number in range(keys + values))) for row in range(3)
    )
    return Table("T", heads, rows, corner="system", keys=keys)


@pytest.mark.parametrize("of_study", [True, False])
@pytest.mark.parametrize(("keys", "values"), [(0, 9), (2, 8), (7, 3)])
def test_each_part_has_the_names_of_its_rows_and_nothing_is_cut(keys: int, values: int, of_study: bool) -> None:
    said = printed(wide(keys, values), 80, of_study)
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    parts = said.count("quantity") and said.count("T, continued") + 1
    whole = " ".join(re.sub("[│┃]", " ", said).split())
    for row in range(3):
        for number in range(keys + values):
            times = parts if number < keys else 1
            found = len(re.findall(rf"(?<![\d.]){row}\.{number}(?= units|,| )", whole))
            assert found >= times, (row, number, said)


def test_what_fits_is_one_table() -> None:
    assert "continued" not in printed(wide(2, 8), 400)
    assert "continued" in printed(wide(2, 8), 80)


def test_keys_are_broken_behind_dots_and_numbers_are_not() -> None:
    assert broken("machine.device.programming.error.coefficients", 24) == (
        "machine.device.\nprogramming.error.\ncoefficients"
    )
    assert broken("rate 0.0125 of the layer", 10) == "rate\n0.0125 of\nthe layer"
    assert broken("x" * 25, 10) == "x" * 10 + "\n" + "x" * 10 + "\n" + "x" * 5
    assert "".join(broken("machine.device.read_noise", 7).split()) == "machine.device.read_noise"
    assert broken("short", 10) == "short"


def test_a_comparison_breaks_keys_at_dots_and_shows_prefixes_in_80_columns(folders: Folders, tmp_path: Path) -> None:
    from hwsim.config import experiment as config
    from hwsim.documents import Document
    from hwsim.experiments.run import run

    first = folders("bare")
    other = dict(first.config) | {"machine": "rram_crossbar"}
    run(config.compose(Document("other", other)), out=tmp_path / "other")
    found = comparison.compare([first, run_folder.read(tmp_path / "other")])
    said = printed(comparison.differences(found), 80)
    assert "continued" not in said  # both runs stand side by side
    for text in ("250 nS", "25 µS", "40 µS", "1.75 V", "[263.48 nS,", "machine.device.", "read_noise.factor"):
        assert text in said, text
    assert "siemens" not in said
    assert "conducta " not in said
    for line in (line for line in said.splitlines() if "│" in line):
        key = line.split("│")[1].strip()
        assert key.endswith(".") or re.fullmatch(r"[a-z_.]*[a-z]|machine: \d+ more", key), key


def test_a_value_whose_prefix_would_hide_a_difference_is_shown_as_it_stands() -> None:
    close_by = ["1.0 volt", "1.0000000000001 volt"]
    assert comparison._texts(close_by) == close_by
    assert comparison._texts(["1e-12 joule", "2.0 joule"]) == ["1 pJ", "2 J"]
    assert comparison._texts([8, "8 bits", None, [1e-6, "1e-6 second"]]) == ["8", "8 bits", "null", "[1.0e-06, 1 µs]"]


def test_all_tables_of_a_run_fit_80_columns(folders: Folders) -> None:
    systems = folders("full").systems
    for table in (tables.systems(systems), tables.energy(systems), tables.memory(systems), tables.gradients(systems)):
        said = printed(table, 80)
        assert max(map(len, said.splitlines())) <= 80
        for name in (*systems, *(row.label for row in table.rows)):
            assert " ".join(name.split()) in " ".join(re.sub("[│┃]", " ", said).split())


def test_the_narrowest_terminal_gets_every_letter() -> None:
    said = re.sub(r"[^a-z0-9.]", "", printed(wide(1, 2), 24))
    assert said.count("substrate") >= 3
    assert fitting.broken("", 10) == ""
