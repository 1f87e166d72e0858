"""Deployment: ages, compensation and repair change nothing else of a run; equal exponents are made up for exactly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim import tasks
from hwsim.accounts.energy import grouped
from hwsim.config import experiment as config
from hwsim.errors import ConfigError
from hwsim.experiments.costs import Costs
from hwsim.experiments.deployment import _read_all
from hwsim.experiments.footprint import footprint
from hwsim.experiments.repair import Resumed
from hwsim.experiments.run import run
from hwsim.experiments.system import System

DRIFT = {"law": "constant", "mean": 0.05, "deviation": 0.0, "start": "20 s", "source": "measurement"}


def tiny(mean: float = 0.05, deviation: float = 0.0, **keys: Any) -> dict[str, Any]:
    """A few updates on exact devices that drift."""
    device = {
        "name": "drifting",
        "what": "a device for tests",
        "sources": {"measurement": "none"},
        "conductance": {
            "min": {"value": "0 uS", "source": "measurement"},
            "max": {"value": "25 uS", "source": "measurement"},
        },
        "programming": {
            "error": {"coefficients": ["0 uS"], "source": "measurement"},
            "step": {"value": "0.01 uS", "source": "measurement"},
        },
        "read_noise": {"law": "relative", "deviation_of_g": 0, "source": "measurement"},
        "write": {
            "law": "voltage",
            "voltage": {"value": "1 V", "source": "measurement"},
            "time": {"value": "1 us", "source": "measurement"},
        },
        "drift": {**DRIFT, "mean": mean, "deviation": deviation},
    }
    return {
        "name": "tiny",
        "task": {"name": "digits", "order": "rows"},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 8, "leak": 0.3}}]},
        "learning": {"name": "eprop"},
        "machine": {"like": "ideal_crossbar", "device": device},
        "chips": 2,
        "training": {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 32, "steps": 4},
        **keys,
    }


def told(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(content).summary.text())
    return found


def test_equal_exponents_are_compensated_exactly_and_nothing_else_changes() -> None:
    plain = told(tiny())["systems"]["substrate"]
    deploy = {"after": ["1 h", "1 year"], "compensation": "global", "repair": {"steps": 2}}
    aged = told(tiny(deploy=deploy))["systems"]["substrate"]
    ages = aged.pop("aged")
    assert aged == plain
    for age, waited in zip(ages, (3600, 31557600), strict=True):
        assert age["conductance"] == close(((waited + 20) / 20) ** -0.05, rel=1e-9)
        assert age["compensated"]["loss"]["per_chip"] == close(plain["loss"]["per_chip"], rel=1e-4)
        assert age["drifted"]["loss"]["per_chip"] != close(plain["loss"]["per_chip"], rel=1e-3)
        assert age["repaired"]["energy_j"] > 0
        assert age["repaired"]["time_s"] > 0


def test_a_repair_in_place_goes_on_from_the_states_and_the_wear_of_devices() -> None:
    content = tiny(deploy={"after": ["1 s"], "repair": {"steps": 1}})
    still = {**DRIFT, "mean": 0.0, "source": "aihwkit"}
    wears = {"cycles": {"value": 2, "assumed": "for this test"}}
    device = {"like": "reram_sb", "name": "mortal", "drift": still, "endurance": wears}
    content["machine"] = {"like": "rram_crossbar", "device": device}
    content["training"] |= {"update": {"name": "in_situ"}, "optimizer": {"name": "sgd", "rate": 0.3}, "batch": 1}
    options = config.load(content)
    made = (options, "x", options.systems()["substrate"], tasks.build(options.task, 0), {})
    ended = System(*made)
    ended.run(lambda *_: None)
    resumed = Resumed(ended, 1.0)
    resumed._adopt(resumed._built(resumed.chips, {}, learns=True, scheme=options.scheme(resumed.options)))
    for name, devices in resumed.machine.devices.arrays.items():
        before = ended.machine.devices.arrays[name]
        for found, old in ((devices.state, before.state), (devices.writes, before.writes)):
            assert np.array_equal(found, old)
        assert devices.stuck.worn.sum() == before.stuck.worn.sum() > 0
        assert before.state.any()


def test_a_repair_goes_on_from_the_end_of_the_training() -> None:
    """Devices that do not drift, and updates that change next to nothing: the test is that of the end."""
    deploy = {"after": ["1 h"], "repair": {"steps": 1, "rate": 1e-9}}
    found = told(tiny(mean=0.0, deploy=deploy))["systems"]["substrate"]
    (age,) = found["aged"]
    for name in ("drifted", "repaired"):
        assert age[name]["loss"]["per_chip"] == close(found["loss"]["per_chip"], rel=1e-4)


STAYS = {"like": "rram_crossbar", "device": "rram_milo"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"deploy": {"after": ["1 day", "1 h"]}}, "rising order"),
        ({"deploy": {"after": ["1 h"]}, "machine": "ideal"}, "needs devices"),
        (
            {"deploy": {"after": ["1 h"]}, "machine": {"like": "rram_crossbar", "device": "rram_milo"}},
            "have no `drift`",
        ),
        ({"deploy": {"after": ["1 h"]}, "test": False}, "needs a test"),
        ({"deploy": {"after": ["1 h"], "repair": {"steps": 1}}, "training": None}, "needs `training`"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.load(tiny(**change))


def test_a_machine_that_is_refused_is_not_said_to_have_no_devices() -> None:
    with pytest.raises(ConfigError) as refused:
        config.load(tiny(deploy={"after": ["1 h"]}, machine={"like": "pcm_crossbar", "chips": 2}))
    assert "deploy" not in str(refused.value)


def test_ages_fall_as_waits_grow() -> None:
    found = told(tiny(deviation=0.01, deploy={"after": ["1 h", "1 day", "1 year"]}))["systems"]["substrate"]["aged"]
    assert (np.diff([age["conductance"] for age in found]) < 0).all()


@pytest.mark.parametrize("interface", ["analog", "digital"])
def test_tests_at_ages_are_charged_like_others_and_compensation_by_all_that_it_takes(interface: str) -> None:
    """Devices that do not drift: the same energy as at the end; V² G t for all of them at each read of all, a quotient;
    and a multiplication of each output of each matrix at each step of each sequence."""
    content = tiny(mean=0.0, deploy={"after": ["1 h"], "compensation": "global"})
    content["machine"]["parts"] = {"tiles": {"interface": interface}}
    options = config.load(content)
    system = System(options, "x", options.systems()["substrate"], tasks.build(options.task, 0), {})
    system.run(lambda *_: None)
    (aged,), costs = system.outcome.aged, Costs(system)
    plain, compensated = (costs.taken(work) for work in aged.work)
    assert system.outcome.inference is not None
    usual = costs.taken(system.outcome.inference)
    assert plain["energy_j"] == close(usual["energy_j"], rel=1e-9)
    assert plain["time_s"] == close(usual["time_s"], rel=1e-9)
    arrays = system.machine.devices
    system.machine.journal.collect()
    for array in arrays.values():
        array.begin_compensation()
    _read_all(system.network, waited=False)
    before = system.machine.journal.collect()
    _read_all(system.network, waited=True)
    after = system.machine.journal.collect()
    assert aged.words == arrays.words == 2 * 32 * len(arrays)
    tiles = options.machine.parts.tiles
    volts, seconds = tiles.voltage.value, tiles.phases * tiles.phase(options.machine.parts.dac.bits).value
    total_g = np.mean([sum(each.conductance[chip].sum() for each in arrays.arrays.values()) for chip in range(2)])
    drawn = grouped(costs.of_totals(before), "component")["devices"].energy
    assert drawn == close(volts**2 * total_g * seconds, rel=1e-9)
    rows, test = sum(each.devices.conductance.shape[2] for each in arrays.values()), system.dataset.test
    numbers = test.batch * test.steps * rows
    component = "analog multiply" if interface == "analog" else "vector unit"
    groups = [grouped(costs.of_totals(work), "component") for work in (aged.work[1], aged.work[0], before, after)]
    spent, *known = (each[component].energy if component in each else 0.0 for each in groups)
    counted = spent - sum(known)
    parts = options.machine.parts
    price = (
        parts.functions.multiply.energy
        if interface == "analog"
        else options.machine.digital_unit.parts.arithmetic["float32"].multiply
    )
    assert counted == close(numbers * price.value, rel=1e-9)
    both = [costs.taken(work) for work in (before, after)]
    more = compensated["energy_j"] - plain["energy_j"] - sum(each["energy_j"] for each in both)
    assert more > 0.99 * counted
    assert compensated["time_s"] > plain["time_s"] + sum(each["time_s"] for each in both)


def test_a_factor_multiplies_what_a_matrix_gives() -> None:
    """By numbers and by voltages the same, to rounding: half the conductance, and a factor of two."""
    for interface in ("analog", "digital"):
        content = tiny(mean=0.3, deploy={"after": ["1 h"], "compensation": "global"})
        content["machine"]["parts"] = {"tiles": {"interface": interface}}
        found = told(content)["systems"]["substrate"]
        (age,) = found["aged"]
        assert age["compensated"]["loss"]["per_chip"] == close(found["loss"]["per_chip"], rel=1e-3)
        assert age["compensated"]["memory_bytes"] == 2 * 4 * 3


def test_a_footprint_has_the_memory_of_ageing_and_of_a_second_machine_to_repair_on() -> None:
    def moments(**keys: Any) -> dict[str, int]:
        return {each.when: each.size for each in footprint(config.load(tiny(**keys))).moments}

    plain, aged = moments(), moments(deploy={"after": ["1 h"], "repair": {"steps": 2}})
    assert plain.items() <= aged.items()
    more = {when: size for when, size in aged.items() if when not in plain}
    ends = {when.partition(": ")[2].partition(",")[0]: size for when, size in more.items()}
    assert set(ends) == {"to test aged devices", "to repair aged devices"}
    assert ends["to test aged devices"] > max(size for when, size in plain.items() if "in a test" in when) - 10_000
    assert ends["to repair aged devices"] > ends["to test aged devices"]
