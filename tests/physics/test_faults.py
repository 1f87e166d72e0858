"""Faults and endurance: shares, kinds, deaths at their count, and years.

Bounds on random numbers are exact binomial tests, whose p-value is below 1e-6 once in a million by chance, or five
standard errors.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import close
from scipy import stats

from hwsim import machines, tasks
from hwsim.config import experiment as config
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.experiments.run import run
from hwsim.experiments.system import System
from hwsim.imperfection import found
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.machine.numerics import Pulses
from hwsim.physics.endurance import YEAR, Endurance
from hwsim.physics.faults import Faults
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping
from hwsim.units.stuck import BESET

RARE = 1e-6
MICRO = 1e-6
SHARES = {"low": 0.02, "high": 0.01, "unformed": 0.005}


def sheet(like: str = "ideal", **parts: Any) -> Any:
    return hardware.device(Document("test", {"like": like, "name": "mine", **parts}))


def faults(**shares: float) -> dict[str, Any]:
    return {**shares, "assumed": "for this test"}


def constant(value: float) -> dict[str, Any]:
    return {"value": value, "assumed": "for this test"}


def endurance(cycles: float, **keys: Any) -> dict[str, Any]:
    numbers = {key: constant(keys.pop(key)) for key in ("spread", "narrows") if key in keys}
    return {"cycles": constant(cycles), **numbers, **keys}


def streams(chip: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([chip, len(purpose), *purpose.encode()])


def made(of: Any, chips: int = 1, size: tuple[int, int] = (20, 30)) -> Devices:
    """Devices of positive weights that conduct half of the largest; the others conduct the least."""
    g = np.full((chips, 2, *size), of.conductance.min.value)
    g[:, 0] = of.conductance.max.value / 2
    devices = Devices(Mapping(of, 1.0), g)
    BESET.values(devices, [of] * chips, streams)
    devices.refresh()
    return devices


def written(devices: Devices, steps: float) -> None:
    """Write the devices of positive weights to so many steps from the least."""
    chips, rows, columns = devices.weights.shape
    wanted = np.full((chips, 1, rows * columns), steps * devices.mapping.unit)
    draws = [np.random.default_rng(chip) for chip in range(chips)]
    devices.program(wanted, np.zeros_like(wanted), np.ones_like(wanted), draws)


# ---- faults --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["low", "high", "unformed"])
def test_a_share_is_that_share_and_not_its_square(kind: str) -> None:
    """Of 200 000 devices, against an exact binomial; the square of 2 % is off by 300 standard deviations."""
    n = 200_000
    where, at = Faults(**faults(**SHARES)).draw(n, 1.0, 2.0, np.random.default_rng(5))
    count = int((at == {"low": 1.0, "high": 2.0, "unformed": 0.0}[kind]).sum())
    assert stats.binomtest(count, n, SHARES[kind]).pvalue > RARE
    assert where.size == at.size == np.unique(where).size


def test_twice_as_many_faults_have_the_first_among_them_of_the_same_kind() -> None:
    law, n = Faults(**faults(**SHARES)), 50_000
    one, twice = (
        dict(zip(*each.draw(n, 1.0, 2.0, np.random.default_rng(5)), strict=True)) for each in (law, law.times(2))
    )
    assert one.items() <= twice.items()
    assert stats.binomtest(len(twice), n, 0.07).pvalue > RARE
    assert law.times(1000).share == close(1.0, rel=1e-12)


def test_programming_pulses_and_drift_leave_faulty_devices_where_they_are() -> None:
    of = sheet("pcm_gst_90nm", faults=faults(low=0.1, high=0.1, unformed=0.1))
    devices = made(of, chips=2)
    assert devices.stuck is not None
    pinned = {(chip, where): at for (chip, where), at in _stuck(devices).items()}
    assert len(pinned) == devices.stuck.faulty.sum()
    sound = np.ones(devices.conductance.shape, bool)
    for chip, where in pinned:
        sound[chip].reshape(-1)[where] = False
    written(devices, 7)
    assert (devices.writes[:, 0] == 1).all()  # a chip does not know them
    devices.pulse(np.full(devices.weights.shape, -0.2), None)
    devices.wait(3600.0, [np.random.default_rng(chip) for chip in range(2)])
    for (chip, where), at in pinned.items():
        assert devices.conductance[chip].reshape(-1)[where] == at
    ends = [0.0, of.conductance.min.value, of.conductance.max.value]
    assert not np.isin(devices.plus[sound[:, 0]], ends).any()
    devices.unwait()
    for (chip, where), at in pinned.items():
        assert devices.conductance[chip].reshape(-1)[where] == at


def _stuck(devices: Devices) -> dict[tuple[int, int], float]:
    stuck, size = devices.stuck, devices.conductance[0].size
    assert stuck is not None
    return {divmod(int(where), size): float(at) for where, at in zip(stuck._where, stuck._at, strict=True)}


def _conductances(chips: Any, others: int = 0, **parts: Any) -> dict[str, np.ndarray]:
    """What devices of a chip have once they are programmed."""
    options = hardware.machine(Document("test", {"like": "pcm_crossbar", "device": {"like": "pcm_gst_90nm", **parts}}))
    stage = machines.build(options, chips=chips, seed=3)
    names = [f"other {number}" for number in range(others)] + ["B"]
    values = np.random.default_rng(1).normal(size=(16, 9))
    matrices = [Matrix(stage, name, "input", Initial((16, 9), lambda: values)) for name in names]
    for _ in stage.phase("programming"):
        for matrix in matrices:
            matrix.program()
    return {name: array.devices.conductance.copy() for name, array in stage.devices.items()}


def test_faults_are_those_of_the_chip_alone_and_change_no_other_draw() -> None:
    plain, faulty = _conductances(3), _conductances(3, faults=faults(**dict.fromkeys(SHARES, 0.05)))
    ((name, g),) = faulty.items()
    same = g == plain[name]
    assert 0.05 < 1 - same.mean() < 0.3
    beside = _conductances([2], others=2, faults=faults(**dict.fromkeys(SHARES, 0.05)))
    assert np.array_equal(beside[name][0], g[2])


def test_a_sheet_without_faults_is_written_as_ever() -> None:
    data = sheet("pcm_gst_90nm").model_dump(mode="json")
    assert not {"faults", "endurance"} & set(data)
    assert "faults" in sheet(faults=faults(low=0.1)).model_dump(mode="json")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"faults": faults(low=0.6, high=0.6)}, "1.2 of all devices"),
        ({"faults": faults(low=1.5)}, "low .*at most 1"),
        ({"faults": {"low": 0.1}}, "source or a reason"),
        ({"faults": faults(lows=0.1)}, "did you mean 'low'"),
        ({"endurance": endurance(0)}, "cycles"),
        ({"endurance": endurance(10, dead="gone")}, "endurance.dead"),
    ],
)
def test_what_is_none_is_refused(part: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sheet(**part)


def test_faults_are_an_imperfection_of_a_machine() -> None:
    device = {"like": "pcm_gst_90nm", "faults": faults(low=0.01)}
    options = hardware.machine(Document("test", {"like": "pcm_crossbar", "device": device}))
    by_key = {each.key: each for each in found(options)}
    assert by_key["device.faults"].off.device.faults.share == 0
    assert by_key["device.faults"].doubled.device.faults.low == 0.02
    assert "device.faults" not in {each.key for each in found(hardware.machine(Document("test", "pcm_crossbar")))}


def test_devices_that_learn_in_place_may_be_stuck_as_well() -> None:
    """Half of them, references included; a weight whose two devices are stuck never moves."""
    device = {"like": "reram_sb", "name": "mine", "faults": faults(low=0.25, high=0.25)}
    learning = {"optimizer": {"name": "sgd", "rate": 0.5}, "batch": 1, "steps": 2, "update": {"name": "in_situ"}}
    options = config.load(tiny({}) | {"machine": {"like": "rram_crossbar", "device": device}, "training": learning})
    system = System(options, "x", options.systems()["substrate"], tasks.build(options.task, 0), {})
    system.run(lambda *_: None)
    for devices in system.machine.devices.arrays.values():
        stuck = _stuck(devices)
        assert len(stuck) > 0.2 * devices.conductance.size
        assert devices.writes.max() > 1
        for (chip, where), at in stuck.items():
            assert devices.conductance[chip].reshape(-1)[where] == at


# ---- endurance -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dead", "at"), [("kept", None), ("low", 0.0), ("high", 25e-6), ("open", 0.0)])
def test_devices_die_with_the_write_that_is_their_last(dead: str, at: float | None) -> None:
    devices = made(sheet(endurance=endurance(3, dead=dead)))
    for time in range(1, 6):
        written(devices, time)
        assert devices.stuck is not None
        alive, step = time < 3, devices.mapping.goal(np.array(float(min(time, 3))))
        assert devices.stuck.worn[0] == (0 if alive else 600)
        np.testing.assert_allclose(devices.plus, step if alive or at is None else at, rtol=1e-12)
    assert (devices.writes[:, 0] == 5).all()


def test_pulses_are_writes_and_each_device_has_a_life_of_its_own() -> None:
    """Lives are log-normal: their median is `cycles`, and the σ of their logarithm `spread`."""
    devices = made(sheet(endurance=endurance(500, spread=0.4)), size=(100, 100))
    assert devices.stuck is not None
    lives = devices.stuck._lives[0].copy()
    n = lives.size
    assert stats.binomtest(int((lives > 500).sum()), n, 0.5).pvalue > RARE
    assert abs(np.log(lives).std() - 0.4) < 5 * 0.4 / (2 * n) ** 0.5
    step = devices.mapping.w_max / devices.mapping.levels
    for _ in range(5):
        devices.pulse(np.full((1, 100, 100), 120 * step), Pulses(step, 1000))
    dead = (lives <= 600).reshape(2, 100, 100)[0]  # the devices of positive weights got 600 pulses
    assert devices.stuck.worn[0] == dead.sum()
    before = devices.plus[0].copy()
    devices.pulse(np.full((1, 100, 100), 10 * step), Pulses(step, 1000))
    assert np.array_equal(devices.plus[0][dead], before[dead])
    assert (devices.plus[0][~dead] != before[~dead]).all()


def test_the_range_narrows_until_a_device_dies() -> None:
    devices = made(sheet(endurance=endurance(10, narrows=0.5)))
    most = devices.mapping.levels
    for time in range(1, 11):
        written(devices, most)
        np.testing.assert_allclose(devices.plus, 25e-6 * (1 - 0.05 * time), rtol=1e-12)


def test_years_are_the_closed_form() -> None:
    law = Endurance.model_validate({"cycles": {"value": 1e6, "source": "x"}})
    assert law.years(0.1, 10.0) == close(1e6 / (0.1 * 10.0) / (365.25 * 86400), rel=1e-12)


def tiny(device: dict[str, Any], **training: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "task": {"name": "digits", "order": "rows"},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 8, "leak": 0.3}}]},
        "learning": {"name": "eprop"},
        "machine": {"like": "pcm_crossbar", "device": {"like": "pcm_gst_90nm", **device}},
        "chips": 2,
        "training": {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 32, "steps": 4, **training},
    }


def test_a_run_counts_what_is_faulty_or_dead_and_says_how_long_devices_last() -> None:
    both = {"faults": faults(low=0.05, unformed=0.05), "endurance": endurance(3, spread=0.2)}
    weights = json.loads(run(tiny(both, update_rate="5 Hz")).summary.text())["systems"]["substrate"]["weights"]
    n = weights["writes"] / weights["writes_per_device"]
    assert stats.binomtest(int(weights["faulty"]), round(n), 0.1).pvalue > RARE
    assert 0 < weights["worn"] < n
    lasts = weights["endurance"]
    assert lasts["writes_per_update"] == close((weights["writes_per_device"] - _first(weights, n)) / 4, rel=0.05)
    assert lasts["years"] == close(3 / (lasts["writes_per_update"] * 5) / YEAR, rel=1e-12)
    assert lasts["least_years"] == close(3 / (lasts["most_writes_per_update"] * 5) / YEAR, rel=1e-12)


def _first(weights: dict[str, Any], n: float) -> float:
    """Writes per device of the first programming: all devices."""
    return 1.0


def test_without_either_a_run_says_nothing_of_them() -> None:
    weights = json.loads(run(tiny({})).summary.text())["systems"]["substrate"]["weights"]
    assert set(weights) == {"writes", "writes_per_device", "beyond_range"}
    assert yaml.safe_load(yaml.safe_dump(weights)) == weights
