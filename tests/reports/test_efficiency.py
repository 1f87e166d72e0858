"""The table of efficiency, and the published chips beside it."""

from typing import Any

import run_folders
from conftest import close

from hwsim.reports import efficiency
from hwsim.reports.efficiency import chips, published, remarks, sources
from hwsim.results.summary import SystemSummary

KNOWN = {
    "energy_per_mac_j": 3.1e-13,
    "tops_per_w": 6.45,
    "converter_share": 0.4,
    "tile_fill": 0.0042,
    "mean_power_w": 0.054,
    "area_m2": 1.5e-6,
    "area_by_part_m2": {"tiles": 1e-6, "local buffer": 5e-7},
    "area_why_null": None,
}


def system(constant: str = "periphery.driver tiles.time", **changed: Any) -> SystemSummary:
    return run_folders.system({"efficiency": KNOWN | changed, "energy": {"by_constant": {constant: {}}}})


def cells(table: Any) -> dict[str, list[str]]:
    return {line.label: [str(cell) for cell in line.cells] for line in table.rows}


def test_every_measure_has_a_line() -> None:
    assert cells(efficiency.efficiency({"chip": system()})) == {
        "energy / MAC": ["310 fJ"],
        "TOPS/W": ["6.45"],
        "… of it converters": ["40%"],
        "tile fill": ["0.42%"],
        "mean power": ["54 mW"],
        "area": ["1.5 mm²"],
    }


def test_an_area_that_is_not_known_as_a_whole_is_told_as_far_as_it_is() -> None:
    lacking = system(area_m2=None, area_why_null="no source gives it", tile_fill=0.5)
    found = {"chip": lacking, "other": lacking, "digital": system(tile_fill=None, converter_share=None)}
    table = cells(efficiency.efficiency(found))
    assert table["area"] == ["-", "-", "1.5 mm²"]
    assert table["… as far as known"] == ["1.5 mm²", "1.5 mm²", "-"]
    assert remarks(found) == ["chip, other: no area as a whole, since no source gives it."]


def test_tiles_that_are_mostly_empty_are_told_once_for_all_that_have_the_same() -> None:
    found = {
        "chip": system(),
        "other": system(),
        "fuller": system(tile_fill=0.12),
        "bare": system("tiles.voltage² g tiles.time"),
        "digital": system(tile_fill=None),
    }
    (line,) = remarks(found)
    assert line.startswith("chip, other: weights fill 0.42 % of the tiles that are read")


def test_where_nothing_is_known_of_it_the_table_is_empty() -> None:
    assert not efficiency.efficiency({"chip": run_folders.system({})}).rows


def test_the_published_chips_are_as_published() -> None:
    found = chips()
    assert found["HERMES, one phase"].energy_per_mac_pj == close(13.44e3 / 256**2, rel=2e-3)
    assert found["HERMES, four phases"].energy_per_mac_pj == close(52.81e3 / 256**2, rel=2e-3)
    assert found["NeuRRAM"].energy_per_mac_pj == close(2 / 8.257, rel=2e-3)
    assert {chip.source for chip in found.values()} == set(sources())
    table = cells(published())
    assert table["NeuRRAM"][:4] == ["242 fJ", "8.26", "1.05 mW", "1.16 mm²"]
    assert [len(line.cells) for line in published(brief=True).rows] == [3] * len(found)
