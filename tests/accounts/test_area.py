"""The area of a chip: tiles with lines of two kinds, and digital parts, by hand from numbers that all differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from conftest import built, close, random_episode, rule

MM2, UM2 = 1e-6, 1e-12
DISTINCT = yaml.safe_load((Path(__file__).parents[1] / "hardware" / "distinct.yaml").read_text(encoding="utf-8"))
TILE = {"fixed": "0.0071 mm^2", "driver": "1031 um^2", "output": "1277 um^2", "cell": "3.7 um^2"}
DIGITAL = {
    "mac": {"float16": {"value": "1907 um^2", "source": "test"}},
    "whole": {"value": 3.1, "source": "test"},
    "scale": {"value": 0.61, "source": "test"},
}
NETWORK = {"layers": [{"cell": {"name": "leaky_tanh", "units": 5}, "readout": {}}]}
TILES = 3 * 2 + 3 * 1 + 2 * 2
"""Of 2 rows and 3 columns: W is 5 by 5, U 5 by 2, V 3 by 5."""


def area(*without: str) -> Any:
    """The area of a chip that holds a network, but for what its file does not say."""
    chip = yaml.safe_load(yaml.safe_dump(DISTINCT))
    told = {name: {"value": value, "source": "test"} for name, value in TILE.items() if name not in without}
    chip["periphery"]["area"] = told
    chip["digital"]["parts"]["area"] = {key: value for key, value in DIGITAL.items() if key not in without}
    if "scale" in without:
        del chip["parts"]["tiles"]["scale"]
    if "area" in without:
        del chip["periphery"]["area"]
    return built(NETWORK, rule("one_step"), random_episode(), on=chip).machine.prices().area()


def test_the_area_of_tiles_is_that_of_their_lines_and_cells() -> None:
    lines = 3 * 1031 * UM2 + 2 * 1277 * UM2 + 3 * 2 * 3.7 * UM2
    assert area().parts["tiles"] == close(TILES * 1.39 * (0.0071 * MM2 + lines))
    assert area("scale").parts["tiles"] == close(TILES * (0.0071 * MM2 + lines))
    assert area("fixed").parts["tiles"] == close(TILES * 1.39 * lines)
    assert area("driver").parts["tiles"] == close(TILES * 1.39 * (0.0071 * MM2 + lines - 3 * 1031 * UM2))


def test_the_area_of_arithmetic_is_that_of_its_elements() -> None:
    parts = area().parts
    assert parts["systolic array"] == close(17 * 1907 * UM2 * 3.1 * 0.61)
    assert parts["vector unit"] == close(13 * 1907 * UM2 * 3.1 * 0.61)
    assert area("scale").parts["systolic array"] == close(17 * 1907 * UM2 * 3.1)


def test_what_has_no_source_is_said() -> None:
    assert area().lacks == "no source gives the area of analog registers, multipliers and function circuits"
    without = area("area")
    assert "tiles" not in without.parts
    assert without.lacks.startswith("the periphery distinct periphery does not say what it takes; ")


def test_memories_are_in_it() -> None:
    """Macros of 2 KiB, and eight of 8 KiB for the buffer, at 65 nm in CACTI's table, times the scale of the file."""
    parts = area().parts
    assert parts["weight memory"] == parts["gradient memory"] == close(1.37 * 0.0141 * MM2)
    assert parts["local buffer"] == close(8 * 1.37 * 0.0548 * MM2)
