"""Rules that take errors through spikes are refused where spikes have no slope, with the line in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.config import experiment
from hwsim.errors import ConfigError

FILE = """name: bad
task: {name: random, steps: 6, width: 2, train: 4, test: 2}
network:
  layers:
    - cell: {name: lif, units: 4, decay: 0.9}
    - cell:
        units: 4
CELL
learning: {name: bptt}
machine: ideal
training: {optimizer: {name: sgd, rate: 0.01}, batch: 2, steps: 1}
"""
LIF = "        name: lif\n        decay: 0.9\n        surrogate: null"
CIRCUIT = "        name: circuit\n        neuron:\n          like: lif\n          surrogate: null"
STDP = "{name: stdp, a_plus: 0.02, a_minus: 0.01, decay_plus: 0.8, decay_minus: 0.7}"


def written(folder: Path, cell: str, learning: str = "{name: bptt}", more: str = "") -> Path:
    file = folder / "bad.yaml"
    file.write_text(FILE.replace("CELL", cell).replace("{name: bptt}", learning) + more, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("cell", "place", "allowed"),
    [
        (LIF, "bad.yaml:10:20: network.layers.1.cell.surrogate", "triangle, fast_sigmoid, multi_gaussian, atan, sig"),
        (CIRCUIT, "bad.yaml:10:11: network.layers.1.cell.neuron", "triangle, fast_sigmoid, atan, sigmoid, exponential"),
    ],
)
def test_a_rule_without_a_slope_is_refused_with_its_line(cell: str, place: str, allowed: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        experiment.load(written(tmp_path, cell))
    for said in (place, "bptt, the rule of 'substrate', takes errors back", "give `surrogate: {name: ", allowed):
        assert said in str(error.value)


def test_a_neuron_in_a_file_of_its_own_is_refused_where_it_is_named(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "configs" / "neurons" / "lif.yaml"
    lines = shipped.read_text(encoding="utf-8").splitlines()
    (tmp_path / "mine.yaml").write_text("\n".join(line for line in lines if "surrogate" not in line))
    with pytest.raises(ConfigError, match=r"bad.yaml:9:17: network.layers.1.cell.neuron: a spike of lif has no slope"):
        experiment.load(written(tmp_path, "        name: circuit\n        neuron: mine.yaml"))


def test_a_rule_that_needs_no_error_is_not_refused_but_its_reference_is(tmp_path: Path) -> None:
    experiment.load(written(tmp_path, LIF, learning=STDP))
    more = "references:\n  - {name: exact, learning: {name: bptt}, machine: ideal}\n"
    with pytest.raises(ConfigError, match="bptt, the rule of 'exact', takes errors back"):
        experiment.load(written(tmp_path, LIF, learning=STDP, more=more))
