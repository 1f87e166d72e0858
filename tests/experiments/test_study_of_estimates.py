"""Studies of estimates: costs over sizes that nobody would simulate, and the exponents with which they grow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import close

from hwsim import documents
from hwsim.config import grid
from hwsim.experiments.estimate import estimate
from hwsim.experiments.study import study
from hwsim.reports import study as report
from hwsim.reports import trials
from hwsim.reports.exponents import exponents
from hwsim.results import study_folder

STUDY = """\
schema_version: 1
name: sizes
estimate: true
experiment:
  name: sizes
  task: {name: random, steps: 64, width: 8, outputs: 4, train: 1, test: 1}
  network: {layers: [{cell: {name: leaky_tanh, units: 8}}]}
  learning: {name: rtrl}
  machine: digital_45nm
  gradient_check: {sequences: 1}
  test: false
  references: [{name: BPTT, learning: {name: bptt}, machine: digital_45nm}]
vary:
  size:
    zip:
      task.width: [64, 128, 64, 128]
      network.layers.0.cell:
        - {name: leaky_tanh, units: 64}
        - {name: leaky_tanh, units: 128}
        - {name: lru, modes: 64}
        - {name: lru, modes: 128}
    labels: {N: [64, 128, 64, 128], cell: [dense, dense, diagonal, diagonal]}
  steps: {key: task.steps, values: [10000, 100000]}
figures:
  - {name: ops, x: N, y: operations_gradient, hue: system, facet: cell, where: {steps: [100000]}, exponents: true}
  - {name: kept, x: steps, y: memory_to_learn_bytes, hue: system, where: {N: [64], cell: [dense]}, exponents: true}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sizes") / "study"
    asked = grid.compose(documents.parse(STUDY, "study.yaml"))
    assert study.run(asked, made, workers=1).failed == 0
    report.draw(asked, made)
    return made


def test_an_axis_may_have_several_columns(folder: Path) -> None:
    table = pd.read_parquet(folder / "table.parquet")
    assert list(table.columns[:3]) == ["N", "cell", "steps"]
    points = table[["N", "cell", "steps"]].drop_duplicates().itertuples(index=False, name=None)
    sizes = [(64, "dense"), (128, "dense"), (64, "diagonal"), (128, "diagonal")]
    assert list(points) == [(n, cell, steps) for n, cell in sizes for steps in (10_000, 100_000)]


def test_trials_are_estimates_and_say_what_an_estimate_says(folder: Path) -> None:
    asked = grid.compose(documents.parse(STUDY, "study.yaml")).experiment(3)  # 128 dense units, 100 000 steps
    table = pd.read_parquet(folder / "table.parquet").query("N == 128 and cell == 'dense' and steps == 100_000")
    for name, system in estimate(asked).summary.systems.items():
        (row,) = table[table.system == name].to_dict("records")
        assert row["energy_gradient_j"] == system.energy.gradient_j_per_sequence
        assert row["peak_memory_bytes"] == system.memory.peak_bytes
        assert row["operations_gradient"] == system.work.operations
        assert pd.isna(row["cosine_all"])


def test_exponents_are_those_of_the_textbook(folder: Path) -> None:
    """Williams and Zipser, Neural Computation 1, 1989: N⁴ operations per step for N units, N² where J is diagonal."""
    found = study_folder.read(folder)
    table = exponents(found, trials.drawn(found))
    by_label = {row.label: [cell.value for cell in row.cells] for row in table.rows}
    assert by_label["substrate"] == [close(4, 0.02), close(2, 0.05), close(0, abs=0.02)]
    assert by_label["BPTT"] == [close(2, 0.05), close(2, 0.1), close(1, 0.01)]
    assert table.columns[0].endswith("over N, dense")


@pytest.mark.parametrize("fan_in", [None, 2])
def test_accesses_are_what_storages_are_read_and_written(fan_in: int | None) -> None:
    """Truncation after one step, for N units, d inputs and o outputs, counted by hand."""
    n, d, o, steps = 5, 3, 2, 7
    made = estimate(
        {
            "name": "counted",
            "task": {"name": "random", "steps": steps, "width": d, "outputs": o, "train": 1, "test": 1},
            "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": n, "fan_in": fan_in}}]},
            "learning": {"name": "one_step"},
            "machine": "ideal",
            "gradient_check": {"sequences": 1},
            "test": False,
        }
    )
    state = 2 * n  # load and store
    cell = n * (fan_in or n) + n * d + n  # sums of W, U and b
    readout = o * n + o
    assert made.summary.systems["substrate"].work.accesses == steps * (state + cell + readout)
