"""Crossings of a study's figure: where lines cross on the scales of the figure, their rings, and their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from hwsim.config.study import FigureOptions
from hwsim.reports import crossings as tabled
from hwsim.reports.figures import study as pictures
from hwsim.reports.figures.crossings import Crossing, crossings
from hwsim.reports.figures.points import DataPoint
from hwsim.results.study_folder import StudyFolder
from tests.conftest import close

FIGURE: dict[str, Any] = {"name": "kept", "x": "steps", "y": "memory_to_learn_bytes", "hue": "rule", "crossings": True}
LOG = {"x_scale": "log", "y_scale": "log"}


def line(values: dict[float, float | None]) -> list[DataPoint]:
    return [DataPoint(x, y, y, y, 1, 0, 0) for x, y in values.items()]


def found(one: dict[float, float | None], other: dict[float, float | None], **changed: Any) -> list[Crossing]:
    figure = FigureOptions.model_validate({**FIGURE, **changed})
    return crossings(figure, [("one", line(one)), ("other", line(other))])


def test_lines_cross_where_they_are_equal() -> None:
    """y = x crosses y = 5, and lies above it from there on."""
    assert found({0: 0, 10: 10}, {0: 5, 10: 5}) == [(5, 5, "one", "other")]
    assert found({0: 10, 10: 0}, {0: 5, 10: 5}) == [(5, 5, "other", "one")]


def test_on_logarithmic_scales_power_laws_cross_where_they_are_equal() -> None:
    """2 T and 64 √T are equal at T = 1024."""
    x = [1.0, 16.0, 256.0, 4096.0]
    (crossing,) = found({t: 2 * t for t in x}, {t: 64 * t**0.5 for t in x}, **LOG)
    assert [crossing.x, crossing.y] == close([1024, 2048])
    assert crossing[2:] == ("one", "other")


def test_lines_that_meet_cross_only_if_they_change_sides() -> None:
    assert found({0: 0, 1: 2, 2: 4}, {0: 4, 1: 2, 2: 0}) == [(1, 2, "one", "other")]
    assert found({0: 0, 1: 2, 2: 0}, {0: 4, 1: 2, 2: 4}) == []
    assert found({0: 1, 1: 2, 2: 2}, {0: 2, 1: 2, 2: 2}) == []
    assert found({0: 1, 1: 2, 2: 2, 3: 5}, {0: 2, 1: 2, 2: 2, 3: 2}) == [(2, 2, "one", "other")]


def test_only_places_that_both_lines_have_are_compared() -> None:
    assert found({0: 0, 2: 10, 4: 0}, {0: 5, 2: None, 4: 5}) == []
    assert found({0: 0, 10: 10}, {20: 5, 30: 5}) == []


def test_a_line_at_zero_crosses_none_on_a_logarithmic_scale() -> None:
    assert found({1: 0, 8: 0}, {1: 1, 8: 8}, **LOG) == []


@pytest.fixture
def table() -> pd.DataFrame:
    """BPTT keeps 2 B a step, RTRL 100 B; on one of two machines BPTT keeps ten times as much."""
    rows = [
        {"steps": steps, "system": system, "rule": rule, "memory_to_learn_bytes": factor * kept}
        for system, factor in (("chip", 1), ("digital", 10))
        for steps in (10, 1000)
        for rule, kept in (("BPTT", 2 * steps), ("RTRL", 100))
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(status="done", seed=0, chip=0, machine="m", non_finite=False)


def test_a_figure_has_a_ring_at_each_crossing(table: pd.DataFrame, tmp_path: Path) -> None:
    asked = {**FIGURE, **LOG, "facet": "system"}
    path = pictures.draw(FigureOptions.model_validate(asked), table, tmp_path)
    assert path is not None
    drawing = path.read_text(encoding="utf-8")
    assert drawing.count('id="crossing"') == 2
    assert "ring: two lines cross" in drawing
    plain = pictures.draw(FigureOptions.model_validate({**asked, "crossings": False}), table, tmp_path)
    assert plain is not None
    assert "cross" not in plain.read_text(encoding="utf-8")


def test_a_table_says_which_line_is_above_from_where(table: pd.DataFrame, tmp_path: Path) -> None:
    figure = FigureOptions.model_validate({**FIGURE, **LOG, "facet": "system", "x_label": "steps"})
    study = StudyFolder(tmp_path, {"name": "s", "figures": [figure.model_dump()]}, table, pd.DataFrame(), {})
    (made,) = tabled.tables(study, [figure])
    assert made.columns[:3] == ("system", "is above", "from steps")
    said = [(row.label, *(str(cell) for cell in row.cells)) for row in made.rows]
    assert said == [("BPTT", "chip", "RTRL", "50", "100 B"), ("BPTT", "digital", "RTRL", "50", "1 kB")]
    assert tabled.tables(study, [figure.model_copy(update={"crossings": False})]) == []


@pytest.mark.parametrize(
    "changed",
    [{"hue": None}, {"kind": "points"}, {"kind": "map", "hue": None, "up": "b"}, {"x_scale": "even"}, {"x": "updates"}],
)  # fmt: skip
def test_crossings_are_asked_of_lines_alone(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="crossings: "):
        FigureOptions.model_validate({**FIGURE, **changed})
