"""What a break-even hangs on: with a constant halved or doubled, costs are those of changed files."""

import csv
import json
from math import inf, log

import pytest
from conftest import close

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.breakeven import AXES, CostCurves, breakeven
from hwsim.experiments.robustness import SHAPING, VariedCurves, distance, fragile, scaled
from hwsim.quantities import Origin
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


CHANGES = {  # constants by their keys behind the machine, and whether the digital unit or the chip has them
    "parts.arithmetic.float32.multiply": "digital",
    "parts.register_bit": "digital",
    "parts.dram.energy": "digital",
    "parts.functions.tanh": "digital",
    "parts.sram.scale": "digital",
    "parts.sram.leakage_scale": "digital",
    "parts.sram.wires": "digital",
    "parts.adc.energy_per_bits.8": "chip",
    "periphery.driver": "chip",
    "parts.tiles.voltage": "chip",
    "parts.tiles.scale.power": "chip",
    "device.write.pulses": "chip",
    "parts.sram.capacity": "digital",
    "parts.sram.bank": "digital",
    "parts.buffer.capacity": "digital",
    "parts.timing.clock": "digital",
    "parts.timing.macs": "digital",
    "parts.tiles.time": "chip",
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
    where = CHANGES[name]
    varied = VariedCurves(curves, name, factor)
    for value in curves.values:
        for system in ("substrate", "BPTT"):
            experiment, asked, dataset = curves.options(value, system)
            machine = asked.machine
            if where == "digital" and system == "substrate":
                machine = machine.model_copy(update={"digital": set_(machine.digital, name, factor)})
            elif where == "digital" or system == "substrate":
                machine = set_(machine, name, factor)
            fresh = curves.cost(experiment, system, asked.model_copy(update={"machine": machine}), dataset)
            mine = varied.at(value)[system]
            for quantity, _ in QUANTITIES:
                found, expected = getattr(mine, quantity)[0], getattr(fresh, quantity)[0]
                if quantity == "energy" or name in SHAPING:
                    assert found == close(expected, rel=1e-9), (value, system, quantity)


def test_a_shared_constant_is_moved_in_the_chip_and_in_the_reference(curves):
    for options in (curves.options(4, "substrate")[1].machine, curves.options(4, "BPTT")[1].machine):
        changed, found = scaled(options, "parts.sram.capacity", 2.0)
        parts = (changed.digital if hasattr(changed, "digital") else changed).parts
        assert found
        assert parts.sram.capacity.value == 2 * 64 * 2**20
    assert not scaled(curves.options(4, "BPTT")[1].machine, "parts.tiles.time", 2.0)[1]


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


def test_a_chip_that_reads_by_bits_is_varied_in_the_time_that_it_has():
    """Its reads take `time_per_bits`, which determines time as `time` does."""
    data = DATA | {"machine": "neurram_130nm"}
    curves = CostCurves(config.compose(Document("test", json.loads(json.dumps(data)))), AXES["steps"], [8, 16], None)
    bits = curves.options(8, "substrate")[1].machine.parts.dac.bits
    for key, least in ((f"parts.tiles.time_per_bits.{bits}", 1.5), ("parts.tiles.time_per_bits.2", 1.0)):
        stated, longer = (at.at(8)["substrate"] for at in (curves, VariedCurves(curves, key, 2.0)))
        for quantity in ("time", "energy"):
            ratio = getattr(longer, quantity)[0] / getattr(stated, quantity)[0]
            assert ratio == 1 if least == 1 else least < ratio < 2, (key, quantity)


def test_a_meeting_that_moves_is_told(monkeypatch):
    """A substrate of 100 that rests on one constant, and a reference as large as the value, on another."""
    from hwsim.results.breakeven import RangedConstant, SystemCost

    mine = "parts.compare"

    def at(self, value):
        def cost(name, energy):
            return SystemCost((energy,) * 3, (1, 1, 1), (1, 1, 1), {RangedConstant((name,), 1.0, 1.0): energy})

        return {"substrate": cost(mine, 100.0), "BPTT": cost("b", float(value)), "checkpoints": cost("c", 1e9)}

    monkeypatch.setattr(CostCurves, "at", at)
    monkeypatch.setattr("hwsim.experiments.robustness.SHAPING", ())
    found = breakeven(small(), "steps", 1, 10_000, 5)
    hangs = fragile(found.curves, QUANTITIES, found.exact)
    assert {(each.quantity, each.name) for each in hangs} == {("energy", mine), ("energy", "b")}
    (first, *_) = [each for each in hangs if each.name == mine]
    assert [each.meetings[0].value for each in (first.halved, first.doubled)] == [50, 200]
    lines = report.robustness(found, hangs)
    assert [each.key for each in first.origins] == [
        f"{place}.parts.compare"
        for place in ("machine.digital", "references.BPTT.machine", "references.checkpoints.machine")
    ]
    moves = "moves with machine.digital.parts.compare (as in 2 other systems) from 50 to 200"
    assert f"energy: not robust: {moves} ({first.origins[0].why})." in lines
    assert first.origins[0].why.startswith("assumed: a comparison costs an integer addition")
    assert "energy: not robust: moves with b from 200 to 50." in lines
    assert "memory: robust; no constant moves it by more than 10 % when it is halved or doubled." in lines


def test_what_disappears_is_told(tmp_path):
    found = breakeven(small(), "steps", 2, 300, 4)
    stated = found.verdicts["time"].stated
    from hwsim.results.breakeven import FragileConstant

    where = ("machine.digital.parts.timing.clock", "references.BPTT.machine.parts.timing.clock")
    origins = tuple(Origin(key, "1 ns", None, None, "fast, a remark", "F. Ast, 2020", None) for key in where)
    gone = FragileConstant("time", "parts.timing.clock", origins, course(not stated.less), course(stated.less, 7), inf)
    line = report.robustness(found, [gone])[-1]
    assert line.startswith("time: not robust: the substrate needs less at no value as stated")
    assert "with machine.digital.parts.timing.clock (as in 1 other system) halved" in line
    assert line.endswith(" with it doubled (fast, a remark: F. Ast, 2020).")
    (tmp_path / "out").mkdir()
    report.write(found, tmp_path / "out", [gone])
    (row,) = csv.DictReader((tmp_path / "out" / "robustness.csv").open(encoding="utf-8"))
    assert (row["quantity"], row["constant"], row["keys"]) == ("time", "parts.timing.clock", "; ".join(where))
    assert row["source"] == "fast, a remark: F. Ast, 2020"


def test_progress_is_told(curves):
    told = []
    fragile(curves, (QUANTITIES[0],), False, lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == len(told) - 1
