"""What a break-even hangs on: with a constant halved or doubled, costs are those of changed files."""

import json
from math import inf, log

import pytest
from conftest import close

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.breakeven import AXES, CostCurves, breakeven
from hwsim.experiments.robustness import SHAPING, VariedCurves, distance, fragile, powers, scaled
from hwsim.reports import breakeven as report
from hwsim.results.breakeven import QUANTITIES, Course, Meeting

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
    ],
}


def small():
    return config.compose(Document("test", json.loads(json.dumps(DATA))))


def course(less, *values):
    return Course(less, tuple(Meeting(value, (n % 2 == 0) != less, "BPTT") for n, value in enumerate(values)))


@pytest.fixture(scope="module")
def curves():
    return CostCurves(small(), AXES["steps"], [4, 64], None)


CHANGES = {  # constants by their names, and where they stand in the files of substrate and reference
    "arithmetic.float32.multiply": ("parts.arithmetic.float32.multiply", "digital"),
    "register_bit": ("parts.register_bit", "digital"),
    "dram.energy": ("parts.dram.energy", "digital"),
    "functions.tanh": ("parts.functions.tanh", "digital"),
    "adc.energy": ("parts.adc.energy_per_bits.8", "chip"),
    "periphery.driver": ("periphery.driver", "chip"),
    "tiles.voltage": ("parts.tiles.voltage", "chip"),
    "sram.capacity": ("parts.sram.capacity", "digital"),
    "sram.bank": ("parts.sram.bank", "digital"),
    "buffer.capacity": ("parts.buffer.capacity", "digital"),
    "timing.clock": ("parts.timing.clock", "digital"),
    "timing.macs": ("parts.timing.macs", "digital"),
    "tiles.time": ("parts.tiles.time", "chip"),
}


def set_(options, path, factor):
    """The options with a constant multiplied, by its dotted path."""
    found = options.model_copy(deep=True)
    target, *keys = found, *path.split(".")
    for key in keys[:-1]:
        target = target[int(key) if key.isdigit() else key] if isinstance(target, dict) else getattr(target, key)
    last = int(keys[-1]) if keys[-1].isdigit() else keys[-1]
    constant = target[last] if isinstance(target, dict) else getattr(target, last)
    value = constant.value * factor
    changed = constant.model_copy(update={"value": round(value) if isinstance(constant.value, int) else value})
    if isinstance(target, dict):
        target[last] = changed
    else:
        setattr(target, last, changed)
    return found


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("name", CHANGES)
def test_a_constant_that_is_varied_costs_what_a_changed_file_costs(curves, name, factor):
    path, where = CHANGES[name]
    varied = VariedCurves(curves, name, factor)
    for value in curves.values:
        for system in ("substrate", "BPTT"):
            experiment, asked, dataset = curves.options(value, system)
            machine = asked.machine
            if where == "digital" and system == "substrate":
                machine = machine.model_copy(update={"digital": set_(machine.digital, path, factor)})
            elif where == "digital" or system == "substrate":
                machine = set_(machine, path, factor)
            fresh = curves.cost(experiment, system, asked.model_copy(update={"machine": machine}), dataset)
            mine = varied.at(value)[system]
            for quantity, _ in QUANTITIES:
                found, expected = getattr(mine, quantity)[0], getattr(fresh, quantity)[0]
                if quantity == "energy" or name in SHAPING:
                    assert found == close(expected, rel=1e-9), (value, system, quantity)


def test_a_shared_constant_is_moved_in_the_chip_and_in_the_reference(curves):
    for options in (curves.options(4, "substrate")[1].machine, curves.options(4, "BPTT")[1].machine):
        changed, found = scaled(options, "sram.capacity", 2.0)
        parts = (changed.digital if hasattr(changed, "digital") else changed).parts
        assert found
        assert parts.sram.capacity.value == 2 * 64 * 2**20
    assert not scaled(curves.options(4, "BPTT")[1].machine, "tiles.time", 2.0)[1]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (course(False), course(False), 0.0),
        (course(False, 100), course(False, 100), 0.0),
        (course(False, 100), course(False, 50), log(2)),
        (course(False, 100, 1000), course(False, 100, 4000), log(4)),
        (course(False), course(True), inf),
        (course(False, 100), course(False), inf),
        (course(False, 100), course(True, 100), inf),
    ],
)
def test_how_far_meetings_move(one, other, expected):
    assert distance(one, other) == close(expected)
    assert distance(other, one) == close(expected)


def test_prices_that_are_products_name_their_constants():
    assert powers("tiles.voltage² tiles.time") == {"tiles.voltage": 2, "tiles.time": 1}
    assert powers("sram_cacti7 45 nm lstp") == {"sram.scale": 1}
    assert powers("sram_cacti7 45 nm lstp leakage") == {"sram.leakage_scale": 1}
    assert powers("adc.energy") == {"adc.energy": 1}


def test_a_meeting_that_moves_is_told(monkeypatch):
    """A substrate of 100 that rests on `a`, and a reference as large as the value, that rests on `b`."""
    from hwsim.results.breakeven import RangedConstant, SystemCost

    def at(self, value):
        def cost(name, energy):
            return SystemCost((energy,) * 3, (1, 1, 1), (1, 1, 1), {RangedConstant(name, 1.0, 1.0): energy})

        return {"substrate": cost("a", 100.0), "BPTT": cost("b", float(value)), "checkpoints": cost("c", 1e9)}

    monkeypatch.setattr(CostCurves, "at", at)
    monkeypatch.setattr("hwsim.experiments.robustness.SHAPING", ())
    found = breakeven(small(), "steps", 1, 10_000, 5)
    hangs = fragile(found.curves, QUANTITIES, found.exact)
    assert {(each.quantity, each.name) for each in hangs} == {("energy", "a"), ("energy", "b")}
    (first, *_) = [each for each in hangs if each.name == "a"]
    assert [each.meetings[0].value for each in (first.halved, first.doubled)] == [50, 200]
    lines = report.robustness(found, hangs)
    assert "energy: not robust: moves with a from 50 to 200." in lines
    assert "energy: not robust: moves with b from 200 to 50." in lines
    assert "memory: robust; no constant moves it by more than 10 % when it is halved or doubled." in lines


def test_what_disappears_is_told(tmp_path):
    found = breakeven(small(), "steps", 2, 300, 4)
    stated = found.verdicts["time"].stated
    from hwsim.results.breakeven import FragileConstant

    gone = FragileConstant("time", "timing.clock", course(not stated.less), course(stated.less, 7), inf)
    line = report.robustness(found, [gone])[-1]
    assert line.startswith("time: not robust: the substrate needs less at no value as stated")
    report.write(found, tmp_path / "out", [gone])
    assert (tmp_path / "out" / "robustness.csv").read_text().splitlines()[1].startswith("time,timing.clock,")


def test_progress_is_told(curves):
    told = []
    fragile(curves, (QUANTITIES[0],), False, lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == len(told) - 1
