"""Break-even: meetings are where estimates cross, to the whole number, on every axis."""

import csv
import itertools
import json
from math import inf, nan

import pytest
from conftest import close
from hypothesis import given
from hypothesis import strategies as st

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.experiments import breakeven as experiments
from hwsim.experiments.breakeven import AXES, CostCurves, breakeven, moved
from hwsim.experiments.estimate import estimate
from hwsim.reports import breakeven as report
from hwsim.results.breakeven import Course, RangedConstant

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
    systems = estimate(experiment).summary.plain()["systems"]
    key, inner = {
        "energy": ("energy", "gradient_j_per_sequence"),
        "memory": ("memory", "peak_bytes"),
        "time": ("time", "sequence_s"),
    }[quantity]
    return systems["substrate"][key][inner], min(systems[name][key][inner] for name in ("BPTT", "checkpoints"))


@pytest.fixture(scope="module")
def found():
    return breakeven(small(**ONE_PASS), "steps", 2, 300, 7)


def test_meetings_are_where_estimates_cross_to_the_whole_number(found):
    met = [(quantity, each) for quantity, verdict in found.verdicts.items() for each in verdict.stated.meetings]
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
        assert list(costs) == ["substrate", "BPTT", "checkpoints"]
        assert costs["substrate"].energy[0] == substrate
        assert min(costs[name].energy[0] for name in ("BPTT", "checkpoints")) == digital


@pytest.mark.parametrize(("shared", "found"), [("", (26, 101, 401)), ("one constant", (101, 101, 101))])
def test_bands_come_from_the_ranges_of_energies(monkeypatch, shared, found):
    """With each energy known within a factor of 2, the lead may be off by 4 to either side, or, if it is the same
    constant that both rest on, not at all."""

    def at(self, value):
        def cost(name, energy):
            parts = {RangedConstant((shared or name,), 0.5, 2.0): energy}
            return experiments.SystemCost((energy, energy / 2, energy * 2), (1, 1, 1), (1, 1, 1), parts)

        energies = {"substrate": 100.0, "BPTT": float(value), "checkpoints": 1e9}
        return {name: cost(name, energy) for name, energy in energies.items()}

    monkeypatch.setattr(CostCurves, "at", at)
    result = breakeven(small(), "steps", 1, 10_000, 5)
    verdict = result.verdicts["energy"]
    courses = (verdict.favourable, verdict.stated, verdict.unfavourable)
    assert tuple(course.meetings[0].value for course in courses) == found
    (middle,) = verdict.stated.meetings
    assert (middle.less, middle.reference) == (True, "BPTT")
    said = report.sentences(result)[0]
    assert "whether a rule still learns there is not asked" in report.sentences(result)[-1]
    assert "from steps = 101 on the substrate needs less" in said
    assert ("within the sources' ranges it needs less from 26 on at best, from 401 on at worst" in said) != bool(shared)


energies = st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 10), min_size=1)
bounds = st.tuples(st.floats(0.1, 1), st.floats(1, 10))


@given(energies, energies, st.fixed_dictionaries(dict.fromkeys("abcd", bounds)))
def test_constants_are_moved_to_where_the_difference_is_least_or_most(mine, other, limits):
    def keyed(parts):
        return {RangedConstant((name,), *limits[name]): energy for name, energy in parts.items()}

    names = sorted(mine.keys() | other.keys())
    corners = itertools.product(*(limits[name] for name in names))
    moves = [dict(zip(names, corner, strict=True)) for corner in corners]
    differences = [
        sum((mine.get(name, 0) - other.get(name, 0)) * factor for name, factor in move.items()) for move in moves
    ]
    for end, wanted in ((experiments.FAVOURABLE, min(differences)), (experiments.UNFAVOURABLE, max(differences))):
        substrate, digital = moved(keyed(mine), keyed(other), end)
        assert substrate - digital == close(wanted)


def test_a_chip_shares_the_constants_of_its_digital_unit():
    """With nothing else to be unsure of, the band of one machine against itself has no width."""
    same = {"learning": {"name": "bptt"}, "machine": "digital_45nm"}
    twin = small(**same, references=[{"name": "same", **same}])
    verdict = breakeven(twin, "steps", 2, 300, 4).verdicts["energy"]
    assert verdict.favourable == verdict.unfavourable == verdict.stated == Course(False, ())
    curves = CostCurves(small(), AXES["steps"], [12], None)
    chip, digital = (curves.at(12)[name].constants for name in ("substrate", "BPTT"))
    shared = {each.names for each in chip.keys() & digital.keys()}
    assert ("parts.arithmetic.float32.multiply",) in shared
    assert ("parts.register_bit", "parts.registers_per_operation") in shared
    assert ("sram_cacti7 45 nm lstp", "parts.sram.scale") in shared


def test_a_bound_is_never_the_best_reference_and_is_shown_apart():
    bound = {"name": "bound", "learning": {"name": "bptt"}, "machine": "digital_45nm_int8_bound"}
    with_bound = breakeven(small(references=[*DATA["references"], bound]), "steps", 2, 3000, 4)
    without = breakeven(small(), "steps", 2, 3000, 4)
    assert with_bound.costs[2]["bound"].energy < with_bound.costs[2]["BPTT"].energy
    for quantity, verdict in with_bound.verdicts.items():
        assert verdict._replace(bound=None) == without.verdicts[quantity]
        assert (verdict.bound is not None) == (quantity == "energy")  # of memory and time it is none
    assert any("'bound' is no best reference: a lower bound of cost" in line for line in report.sentences(with_bound))
    with pytest.raises(ConfigError, match="there is no digital reference"):
        breakeven(small(references=[bound]), "steps", 2, 30, 2)


@pytest.mark.parametrize(
    ("course", "where"),
    [
        ((True, ()), "at all values"),
        ((False, ()), "at no value"),
        ((True, (30,)), "below 30"),
        ((True, (30, 90)), "below 30 and from 90 on"),
        ((False, (30, 90)), "from 30 to below 90"),
    ],
)
def test_it_is_said_where_the_substrate_needs_less(course, where):
    less, values = course
    meetings = (experiments.Meeting(value, (number % 2 == 0) != less, "") for number, value in enumerate(values))
    assert report._where(Course(less, tuple(meetings))) == where


def test_the_substrate_may_be_called_something_else():
    named = small(called="chip")
    assert list(breakeven(named, "steps", 2, 30, 2).costs[2]) == ["chip", "BPTT", "checkpoints"]


@pytest.mark.parametrize(("over", "values"), [("width", (8, 64)), ("batch", (1, 16))])
def test_other_axes_change_what_they_say(over, values):
    experiment = small()
    for value in values:
        changed, data = AXES[over].at(experiment, CostCurves(experiment, AXES[over], [value], None).dataset, value)
        if over == "width":
            (layer,) = changed.network.layers
            assert (layer.cell.modes, layer.readout.hidden) == (value, [6 * value // 4])
        else:
            assert changed.training.batch == value <= data.train.batch
    assert set(breakeven(experiment, over, *values, 2).costs) == set(values)


def test_along_batches_energy_has_the_update_that_sequences_share():
    experiment = small()
    found = breakeven(experiment, "batch", 1, 4, 2)
    assert found.energy_of == "a training step"
    assert "energy of a training step per sequence" in report.table(found).title
    for batch, costs in found.costs.items():
        asked = experiment.model_copy(
            update={"training": experiment.training.model_copy(update={"batch": int(batch), "test_every": 10})}
        )
        for name, system in estimate(asked).summary.systems.items():
            if name in costs:
                assert costs[name].energy[0] == close(system.energy.training_step_j / batch), (batch, name)
    assert breakeven(experiment, "steps", 2, 30, 2).energy_of == "the gradient"


def test_nodes_are_those_of_the_shipped_machines():
    found = breakeven(small(references="strong"), "node", None, None, 5)
    assert list(found.costs) == experiments.nodes()
    assert 45 in experiments.nodes()
    here = breakeven(small(references="strong"), "steps", 12, 13, 2).costs[12]
    assert found.costs[45] == {name: here[name] for name in found.costs[45]}  # in formats of their own
    assert {"BPTT fp16", "BPTT int8 bound"} < found.costs[45].keys()
    assert "BPTT 90 nm" not in found.costs[45]  # which is that in fp32 there
    assert found.costs[90]["BPTT fp32"] == here["BPTT 90 nm"]


@pytest.mark.parametrize(
    ("changes", "over", "ends", "said"),
    [
        ({}, "length", (None, None), "unknown axis 'length'"),
        ({}, "steps", (100, 10), "the first below the last"),
        ({}, "steps", (0, None), "--from 0 --to 1e\\+06: must be 1 to"),
        ({}, "steps", (None, inf), "--from 10 --to inf: must be 1 to"),
        ({}, "steps", (nan, None), "the first below the last"),
        ({}, "node", (500, 900), "there is nothing from 500 to 900; allowed: 7, 14, 22"),
        ({}, "node", (200, None), "there is nothing from 200 to inf"),
        ({"references": []}, "steps", (None, None), "there is no digital reference"),
        ({"training": None}, "steps", (None, None), "needs training or gradient_check"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, over, ends, said):
    with pytest.raises(ConfigError, match=said):
        breakeven(small(**changes), over, *ends)


def test_the_table_and_the_figure_are_written(found, tmp_path):
    (tmp_path / "out").mkdir()
    report.write(found, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "breakeven.csv").open()))
    assert len(rows) == 3 * len(found.costs)
    assert float(rows[0]["energy_j"]) == found.costs[2]["substrate"].energy[0]
    svg = (tmp_path / "out" / "breakeven.svg").read_text()
    assert "steps of a sequence" in svg
    assert "mathdefault" not in svg  # numbers on the axes, not their markup
    assert "checkpoints" in svg
