"""Tables of a run folder: what is written is read back to the last digit, and nothing is taken for something."""

from __future__ import annotations

import csv
import tempfile
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.columns import METRICS, SPIKES, TRACES
from hwsim.results import tables
from hwsim.results.tables import TABLES, WORDS, ClippingRow, EnergyRow, HistogramRow, MemoryRow

ROWS = {"energy.csv": EnergyRow, "memory.csv": MemoryRow, "histograms.csv": HistogramRow, "clipping.csv": ClippingRow}
ROW = EnergyRow("substrate", "step", None, "forward", 0, "layer 1", "inference", "tiles", "read", "adc", "adc.energy",
          1e-12, 3.0, 3e-12, 1e-12, 6e-12, 0.0)  # fmt: skip


def test_columns_are_the_fields_of_rows() -> None:
    assert set(TABLES) == {*ROWS, "metrics.csv"}
    for name, kind in ROWS.items():
        assert TABLES[name] == kind._fields
    assert TABLES["metrics.csv"] == METRICS
    assert {"spikes.csv": SPIKES, "traces.csv": TRACES} == tables.RECORDINGS


def test_columns_of_names_are_those_that_are_said_to_be_text() -> None:
    kinds = {name: str(kind) for row in ROWS.values() for name, kind in get_type_hints(row).items()}
    assert {name for name, kind in kinds.items() if "str" in kind} == set(WORDS)
    assert set(METRICS) & set(WORDS) == {"system"}
    assert set(SPIKES) & set(WORDS) == {"system", "layer"}
    assert set(TRACES) & set(WORDS) == {"system", "layer", "quantity"}


def test_units_stand_in_the_names_of_columns() -> None:
    """Those that leave the program are SI, and end in their unit."""
    numbers = {name for row in ROWS.values() for name, kind in get_type_hints(row).items() if "float" in str(kind)}
    bare = {"count", "low", "high"}  # of events; and of what the column `quantity` says, with its unit
    assert all(name.endswith(("_j", "_si")) for name in numbers - bare)
    assert tables.CONDUCTANCE.endswith("_s")
    assert [name for name in MemoryRow._fields if "bit" in name] == ["bits_per_value", "change_bits", "live_bits"]


numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(1e-20, 1e-9), st.just(nan), st.none())
names = st.one_of(
    st.sampled_from(["substrate", "null", "NA", "None", "nan", "1", "1e5", "true", "a, b", 'a "b"', " a", "λ"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(names, names, numbers, numbers, st.integers(0, 2**60)), min_size=1, max_size=5))
def test_what_is_written_is_read_as_the_same(rows: list[tuple[str, str, float | None, float | None, int]]) -> None:
    written = [
        ROW._replace(system=system, constant=constant, energy_j=energy, count=count, step=step)
        for system, constant, energy, count, step in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "energy.csv"
        tables.write(path, iter(written))
        found = tables.read(path)
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    assert list(found.columns) == lines[0] == list(EnergyRow._fields)
    assert len(found) == len(rows)
    for row, line, wanted in zip(found.to_dict("records"), lines[1:], written, strict=True):
        for name, text, value in zip(EnergyRow._fields, line, wanted, strict=True):
            if value is None or value != value:
                assert text == ""
                assert pd.isna(row[name])
            else:
                assert row[name] == value
                assert (float if isinstance(value, float) else type(value))(text) == value


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_is_its_columns(name: str, tmp_path: Path) -> None:
    tables.write(tmp_path / name, [])
    assert (tmp_path / name).read_bytes() == (",".join(TABLES[name]) + "\n").encode()
    found = tables.read(tmp_path / name)
    assert found.empty
    assert tuple(found.columns) == TABLES[name]


def test_rows_are_streamed_and_not_gathered(tmp_path: Path) -> None:
    """The file grows while rows are still being made."""
    sizes: list[int] = []

    def rows() -> Any:
        for _ in range(3000):
            sizes.append((tmp_path / "energy.csv").stat().st_size)
            yield ROW

    tables.write(tmp_path / "energy.csv", rows())
    assert sizes[0] == 0
    assert 0 < sizes[-1] < (tmp_path / "energy.csv").stat().st_size
    assert len(set(sizes)) > 10


def test_infinities_stay_infinite(tmp_path: Path) -> None:
    written = [ROW._replace(energy_j=value) for value in (inf, -inf, 1.0)]
    tables.write(tmp_path / "energy.csv", written)
    found = list(tables.read(tmp_path / "energy.csv")["energy_j"])
    assert found == [inf, -inf, 1.0]
    assert not isfinite(found[0])
