"""Plans: what is expected of rules beside what gradient checks measure, how rules are ranked, why some are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import close
from typer.testing import CliRunner

import hwsim
from hwsim.cli import app
from hwsim.config import experiment as config
from hwsim.errors import ConfigError
from hwsim.experiments.plan import Prospect
from hwsim.experiments.prediction import Prediction
from hwsim.learning import RULES
from hwsim.reports import plan as report
from hwsim.results.plan import Candidate, Plan, ranked

LRU = {"name": "lru", "modes": 6, "r_min": 0.7}
SMALL: dict[str, Any] = {
    "name": "small",
    "task": {"name": "random", "steps": 12, "width": 2, "outputs": 3, "train": 16, "test": 4},
    "network": {"layers": [{"cell": LRU}]},
    "learning": {"name": "rtrl"},
    "machine": "digital_45nm",
    "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 8, "steps": 2},
}


def plan(changes: dict[str, Any] | None = None, **asked: Any) -> Plan:
    return hwsim.plan({**SMALL, **(changes or {})}, **asked)


def of(found: Plan, name: str) -> Candidate:
    return next(each for each in found.candidates if each.name == name)


# ---- what is expected, beside what is measured ------------------------------------------------------------------

CHIP = {"like": "pcm_crossbar", "attached": "memory", "parts": {"ranges": {"input": 4.0}}}
GRID = [
    ("ideal", 64, 0.5, {"name": "one_step"}),
    ("ideal", 64, 0.5, {"name": "fpe_anchored"}),
    ("ideal", 160, 0.5, {"name": "fpe"}),
    ("ideal", 160, 0.9, {"name": "fpe"}),
    ("ideal", 64, 0.98, {"name": "tbptt", "k": 8}),
    ("ideal", 16, 0.9, {"name": "tbptt", "k": 8}),
    ({"like": "ideal", "format": "float32"}, 64, 0.5, {"name": "fpe"}),
    (CHIP, 64, 0.98, {"name": "rtrl"}),
]
"""A few points of `benchmarks/plan_agreement.py`, far enough from a cosine of 0.9 that one seed tells the side."""


def foreseen(asked: dict[str, Any]) -> Prediction:
    prospect = Prospect(config.load(asked), None)
    prediction = prospect.expected(*prospect.candidate(asked["learning"]))
    assert not isinstance(prediction, str)
    return prediction


def cosines(
    task: dict[str, Any], layers: list[Any], rule: Any, machine: Any, sequences: int, seed: int = 0
) -> tuple[float, float]:
    """The cosine of the whole gradient that is expected, and the one that is measured along so many sequences."""
    asked = {
        **SMALL,
        "seed": seed,
        "task": task,
        "network": {"layers": layers},
        "learning": rule,
        "machine": machine,
        "gradient_check": {"sequences": sequences},
        "training": None,
        "test": False,
    }
    gradient = hwsim.run(asked).summary.systems["substrate"].gradient
    assert gradient is not None
    measured = gradient.all.programmed.cosine
    assert measured is not None
    return foreseen(asked).cosines["all"], measured


@pytest.mark.parametrize(("machine", "steps", "r_min", "rule"), GRID, ids=str)
def test_the_side_of_a_cosine_of_nine_tenths_is_foreseen(machine: Any, steps: int, r_min: float, rule: Any) -> None:
    task = {"name": "random", "steps": steps, "width": 4, "outputs": 4, "train": 16, "test": 4}
    layers = [{"cell": {"name": "lru", "modes": 16, "r_min": r_min}}]
    expected, measured = cosines(task, layers, rule, machine, 16)
    assert (expected >= 0.9) == (measured >= 0.9)


@pytest.mark.parametrize(("order", "r_min"), [("rows", 0.9), ("pixels", 0.5)])
def test_where_terms_agree_noise_is_expected_to_matter_little(order: str, r_min: float) -> None:
    """Digits have positive pixels, and one label in all steps; slow modes are smaller than the noise of this chip."""
    layers = [{"cell": {"name": "lru", "modes": 16, "r_min": r_min}, "readout": {"width": 8}}] * 2
    expected, measured = cosines({"name": "digits", "order": order}, layers, {"name": "bptt"}, CHIP, 96)
    assert measured == close(expected, rel=0, abs=0.1)


@pytest.mark.parametrize("rule", [{"name": "one_step"}, {"name": "tbptt", "k": 4}, {"name": "rtrl"}], ids=str)
def test_what_a_rule_leaves_out_in_exact_arithmetic_is_foreseen_exactly(rule: dict[str, Any]) -> None:
    layers = [{"cell": LRU, "readout": {"hidden": [5], "width": 4}}, {"cell": {"name": "gru", "units": 5}}]
    expected, measured = cosines(SMALL["task"], layers, rule, "ideal", 16)
    assert 0.2 < measured < 0.999
    assert expected == close(measured, rel=1e-9)


def test_a_rule_that_takes_a_computer_long_is_left_to_closed_forms() -> None:
    asked = {**SMALL, "learning": {"name": "one_step"}, "machine": "ideal"}
    prospect = Prospect(config.load(asked), None)
    experiment, system = prospect.candidate(asked["learning"])
    costs = {"work": {"operations": 1.0}, "memory": {"most_by_class": {}}}
    by_rehearsal = prospect.expected(experiment, system, costs)
    by_forms = prospect.expected(experiment, system, {**costs, "work": {"operations": 1e12}})
    assert not isinstance(by_rehearsal, str)
    assert not isinstance(by_forms, str)
    assert by_rehearsal.cosines == foreseen(asked).cosines != by_forms.cosines
    assert by_forms.cosines["all"] == close(by_rehearsal.cosines["all"], rel=0, abs=0.2)


def test_noise_that_decides_what_a_hidden_layer_passes_is_foreseen() -> None:
    """The quickstart: its second state is smaller than the noise, and so is what hidden wires get: signs are noise."""
    cell = {"name": "lru", "modes": 16, "r_min": 0.9}
    layers = [{"cell": cell, "readout": {"hidden": [32], "width": 16}}, {"cell": cell, "readout": {"hidden": [32]}}]
    expected, measured = cosines({"name": "digits", "order": "rows"}, layers, {"name": "bptt"}, CHIP, 32, seed=1)
    assert measured < 0.9
    assert measured == close(expected, rel=0, abs=0.1)


# ---- the plan ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Plan:
    return plan()


def test_costs_are_those_of_an_estimate(small: Plan) -> None:
    estimate = hwsim.estimate({**SMALL, "learning": {"name": "fpe"}}).summary.systems["substrate"]
    fpe = of(small, "fpe")
    assert fpe.energy == close(estimate.energy.training_step_j)
    assert fpe.time == close(estimate.time.training_step_s)
    assert fpe.memory is not None
    assert 0 < fpe.memory < (fpe.whole or 0)


def test_what_fits_comes_first_by_its_energy_and_what_is_refused_comes_last(small: Plan) -> None:
    states = [each.state for each in small.candidates]
    assert states == sorted(states, key=["fits", "poor", "unknown", "too large", "refused"].index)
    energies = [each.energy for each in small.candidates if each.state == "fits"]
    assert energies == sorted(energies, key=lambda energy: energy or 0.0)
    assert small.best is small.candidates[0]
    assert small.best.reason == ""
    assert all(each.reason for each in small.candidates if each.state != "fits")


def test_every_rule_is_judged_or_open(small: Plan) -> None:
    assert {each.learning["name"] for each in small.candidates} == RULES.keys() - {"auto"}


def test_reasons_say_what_is_missing(small: Plan) -> None:
    assert "left out" in of(small, "spatial").reason
    assert "recurrent parameters do not learn" in of(small, "spatial").reason
    assert of(small, "uoro").state == "unknown"
    assert "leaky" in of(small, "rflo").reason


def test_a_chip_without_a_tape_refuses_what_needs_one_and_a_budget_what_takes_more(small: Plan) -> None:
    most = of(small, "fpe").memory
    assert most is not None
    chip = plan({"machine": "pcm_crossbar"}, memory=f"{most} B")
    assert of(chip, "bptt").state == "refused"
    assert "tape" in of(chip, "bptt").reason
    for each in chip.candidates:
        if each.memory is not None:
            assert (each.state == "too large") == (each.memory > most), each
            assert ("takes" in each.reason) == (each.state == "too large")


def test_the_machine_is_named_as_the_reason_where_it_is_the_reason() -> None:
    fine = {"task": {**SMALL["task"], "steps": 120}, "learning": {"name": "fpe"}}
    grown = foreseen({**SMALL, **fine, "machine": "digital_45nm_fp16"})
    assert "grow over 120 steps of the inverse" in grown.reason(0.9)
    noisy = foreseen({**SMALL, "learning": {"name": "rtrl"}, "machine": "pcm_crossbar"})
    assert noisy.reason(0.5) == ""
    assert "noise" in noisy.reason(0.999)
    assert "left out" in foreseen({**SMALL, "learning": {"name": "one_step"}}).reason(0.9)


def test_candidates_with_a_poor_gradient_are_ranked_by_it() -> None:
    def poor(cosine: float, energy: float) -> Candidate:
        return Candidate({"name": f"{cosine}"}, "poor", "-", {"all": cosine}, energy)

    assert [each.name for each in ranked([poor(0.2, 1.0), poor(0.8, 9.0)])] == ["0.8", "0.2"]


@pytest.mark.parametrize("asked", [{"memory": "20 pints"}, {"memory": -1.0}, {"memory": "0 B"}, {"good": 1.5}], ids=str)
def test_what_is_no_amount_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"memory|good"):
        plan(**asked)


# ---- a rule that is left open -------------------------------------------------------------------------------------


def auto(**options: Any) -> dict[str, Any]:
    return {**SMALL, "learning": {"name": "auto", **options}}


def test_a_run_takes_the_first_rule_and_says_which(small: Plan, tmp_path: Path) -> None:
    assert small.best is not None
    run = hwsim.run(auto(), out=tmp_path / "run")
    assert run.summary.systems["substrate"].rule == small.best.learning["name"]
    written = yaml.safe_load(next((tmp_path / "run").glob("*.yaml")).read_text("utf-8"))
    assert written["learning"].items() >= small.best.learning.items()
    again = hwsim.run({**SMALL, "learning": small.best.learning})
    assert again.summary.systems == run.summary.systems


def test_where_nothing_fits_the_closest_are_told() -> None:
    with pytest.raises(ConfigError, match=r"no rule is expected .* within 3 B.*Closest: .*takes"):
        hwsim.estimate(auto(memory="3 B"))


def test_what_does_not_choose_says_so() -> None:
    with pytest.raises(ConfigError, match="hwsim plan FILE"):
        hwsim.limits(auto(), seeds=1, updates=1)


# ---- the command --------------------------------------------------------------------------------------------------


def test_the_report_has_a_table_the_choice_and_the_reasons(small: Plan) -> None:
    assert small.best is not None
    said = list(report.sentences(small))
    assert f"First: {small.best.name}, the least energy at an expected cosine of 0.9 or more." in said
    assert any(line.startswith(("uoro; kf_rtrl: not predicted", "kf_rtrl; uoro: not predicted")) for line in said)
    rows = report.table(small).rows
    assert [row.label for row in rows] == [each.name for each in small.candidates if each.state != "refused"]
    assert rows[0].cells[0].text == "yes"


def test_the_command_gives_the_plan(tmp_path: Path, small: Plan) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL), "utf-8")
    done = CliRunner().invoke(app, ["plan", str(file), "--json"])
    assert done.exit_code == 0
    assert done.stdout == small.text()
