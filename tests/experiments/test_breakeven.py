"""Break-even: meetings are where estimates cross, to the whole number, on every axis."""

import csv
import json

import pytest

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.experiments import breakeven as experiments
from hwsim.experiments.breakeven import AXES, SUBSTRATE, Curves, breakeven
from hwsim.experiments.estimate import estimate
from hwsim.reports import breakeven as report

DATA = {
    "name": "small",
    "task": {"name": "adding", "steps": 12, "train": 8, "test": 4},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 4}, "readout": {"hidden": [6]}}]},
    "learning": {"name": "fpe"},
    "machine": "pcm_crossbar",
    "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 10},
    "references": [
        {"name": "BPTT", "learning": {"name": "bptt"}, "machine": "digital_45nm"},
        {"name": "checkpoints", "learning": {"name": "bptt", "checkpoints": "sqrt"}, "machine": "digital_45nm"},
        {"name": "in the loop", "learning": {"name": "bptt"}, "machine": "pcm_crossbar_in_the_loop"},
    ],
}


ONE_PASS = {
    "learning": {"name": "rtrl"},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 16}, "readout": {"hidden": [32]}}]},
}
"""What it holds does not grow with the sequence, as what BPTT holds does."""


def small(**changes):
    return config.compose(Document("test", json.loads(json.dumps({**DATA, **changes}))))


def of_estimate(experiment, quantity):
    """The same from whole estimates: the substrate, and the best digital reference."""
    systems = estimate(experiment).summary["systems"]
    key, inner = {
        "energy": ("energy", "gradient_j_per_sequence"),
        "memory": ("memory", "peak_bytes"),
        "time": ("time", "sequence_s"),
    }[quantity]
    return systems[SUBSTRATE][key][inner], min(systems[name][key][inner] for name in ("BPTT", "checkpoints"))


@pytest.fixture(scope="module")
def found():
    return breakeven(small(**ONE_PASS), "steps", 2, 300, 7)


def test_meetings_are_where_estimates_cross_to_the_whole_number(found):
    met = [(quantity, meeting) for quantity, meetings in found.meetings.items() for meeting in meetings]
    assert met
    for quantity, meeting in met:
        for steps, less in ((meeting.value - 1, not meeting.less), (meeting.value, meeting.less)):
            longer = small(**ONE_PASS, task={**DATA["task"], "steps": round(steps)})
            substrate, digital = of_estimate(longer, quantity)
            assert (substrate < digital) == less, (quantity, steps)


def test_points_are_those_of_estimates(found):
    assert [min(found.costs), max(found.costs)] == [2, 300]
    for steps in (2, 300):
        longer = small(**ONE_PASS, task={**DATA["task"], "steps": steps})
        substrate, digital = of_estimate(longer, "energy")
        costs = found.costs[steps]
        assert list(costs) == [SUBSTRATE, "BPTT", "checkpoints"]
        assert costs[SUBSTRATE].energy[0] == substrate
        assert min(costs[name].energy[0] for name in ("BPTT", "checkpoints")) == digital


def test_bands_come_from_the_ranges_of_energies(monkeypatch):
    """With each energy known within a factor of 2, the lead may be off by a factor of 4 to either side."""

    def at(self, value):
        def cost(energy):
            return experiments.Cost((energy, energy / 2, energy * 2), (1, 1, 1), (1, 1, 1))

        return {SUBSTRATE: cost(100.0), "BPTT": cost(float(value)), "checkpoints": cost(1e9)}

    monkeypatch.setattr(Curves, "at", at)
    result = breakeven(small(), "steps", 1, 10_000, 5)
    (middle,), (best,), (worst,) = (
        meetings["energy"] for meetings in (result.meetings, result.favourable, result.unfavourable)
    )
    assert (best.value, middle.value, worst.value) == (26, 101, 401)
    assert (middle.less, middle.reference) == (True, "BPTT")
    assert "from steps = 101 on the substrate needs less" in report.sentences(result)[0]
    assert "with the sources' ranges 26 at best, 401 at worst" in report.sentences(result)[0]


@pytest.mark.parametrize(("over", "values"), [("width", (8, 64)), ("batch", (1, 16))])
def test_other_axes_change_what_they_say(over, values):
    experiment = small()
    for value in values:
        changed, data = AXES[over].at(experiment, Curves(experiment, AXES[over], None).dataset, value)
        if over == "width":
            (layer,) = changed.network.layers
            assert (layer.cell.modes, layer.readout.hidden) == (value, [6 * value // 4])
        else:
            assert changed.training.batch == value <= data.train.batch
    assert set(breakeven(experiment, over, *values, 2).costs) == set(values)


def test_nodes_are_those_of_the_shipped_machines():
    assert list(breakeven(small(), "node", None, None, 5).costs) == experiments.nodes()
    assert 45 in experiments.nodes()


@pytest.mark.parametrize(
    ("changes", "over", "ends", "said"),
    [
        ({}, "length", (None, None), "unknown axis 'length'"),
        ({}, "steps", (100, 10), "the first below the last"),
        ({}, "node", (500, 900), "there is nothing from 500 to 900"),
        ({"references": []}, "steps", (None, None), "there is no digital reference"),
        ({"training": None}, "steps", (None, None), "needs training or gradient_check"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, over, ends, said):
    with pytest.raises(ConfigError, match=said):
        breakeven(small(**changes), over, *ends)


def test_the_table_and_the_figure_are_written(found, tmp_path):
    report.write(found, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "breakeven.csv").open()))
    assert len(rows) == 3 * len(found.costs)
    assert float(rows[0]["energy_j"]) == found.costs[2][SUBSTRATE].energy[0]
    svg = (tmp_path / "out" / "breakeven.svg").read_text()
    assert "steps of a sequence" in svg
    assert "mathdefault" not in svg  # numbers on the axes, not their markup
    assert "checkpoints" in svg
