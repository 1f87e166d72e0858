"""Scaling between CMOS nodes: values by hand from the published coefficients, and machines at other nodes."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
from conftest import close, machine_options

from hwsim import machines
from hwsim.accounts.scaling import Node, Target, factor, relative
from hwsim.config import hardware
from hwsim.errors import ConfigError

NODES = {7: 0.7, 10: 0.75, 14: 0.8, 16: 0.85, 20: 0.9, 32: 0.9, 45: 0.9, 65: 1.1, 90: 1.2, 130: 1.2}


def node(nm: float, volts: float, **more: Any) -> dict[str, Any]:
    return {"node": f"{nm} nm", "voltage": {"value": f"{volts} V", "assumed": "for a test", **more}}


def between(start: tuple[float, float], end: tuple[float, float], law: Any = "energy", **more: Any) -> Any:
    measured, target = Node.model_validate(node(*start)), Target.model_validate({**node(*end), **more})
    return factor(law, measured, target)


@pytest.mark.parametrize(
    ("nm", "volts", "kind", "energy"),
    [
        (45, 0.9, "high_performance", 1.018 * 0.81 - 0.3107 * 0.9 + 0.1539),
        (45, 0.9, "low_power", 0.84433),  # 0.89343 - 0.3258 + 0.2767
        (45, 0.8, "low_power", 0.69302),  # 0.70592 - 0.2896 + 0.2767
        (90, 1.2, "high_performance", 3.21208),  # 6.85728 - 5.7372 + 2.092
        (90, 0.8, "low_power", 1.31488),  # 3.04768 - 3.8248 + 2.092
        (130, 1.2, "low_power", 5.17944),  # 10.32624 - 8.0508 + 2.904
        (7, 0.7, "high_performance", 0.047815),  # 0.087024 - 0.063679 + 0.02447
        (7, 0.7, "low_power", 0.0424555),  # 0.0458885 - 0.023863 + 0.02043
        (22, 0.8, "high_performance", 0.187381),  # 0.153200 + 2 / 12 (0.358288 - 0.153200)
    ],
)
def test_energies_are_those_of_the_published_coefficients(nm: float, volts: float, kind: Any, energy: float) -> None:
    assert relative("energy", nm, volts, kind) == close(energy, rel=1e-4)


@pytest.mark.parametrize(
    ("start", "end", "value", "low"),
    [
        ((45, 0.9), (90, 1.2), 4.5962, 3.8043),  # 3.21208 / 0.69885, and / 0.84433
        ((45, 0.9), (130, 1.2), 7.4114, 6.1344),
        ((45, 0.9), (7, 0.7), 0.068420, 0.050283),  # 0.047815 / 0.69885, 0.0424555 / 0.84433
    ],
)
def test_the_quotient_of_two_nodes_and_its_range(start: Any, end: Any, value: float, low: float) -> None:
    found = between(start, end)
    assert found.value == found.high == close(value, rel=1e-4)
    assert found.low == close(low, rel=1e-4)


def test_delays_are_those_of_the_published_coefficients() -> None:
    before = -501.6 * 0.729 + 1567 * 0.81 - 1619 * 0.9 + 566.1  # 12.6036
    after = -60.34 * 1.728 + 262.5 * 1.44 - 384.2 * 1.2 + 210.9  # 23.5925
    assert between((45, 0.9), (90, 1.2), "delay").value == close(after / before, rel=1e-9)


def test_the_way_there_and_back_is_one_and_so_is_staying() -> None:
    there, back = between((45, 0.9), (22, 0.8)), between((22, 0.8), (45, 0.9))
    assert there.value * back.value == close(1)
    assert between((45, 0.9), (45, 0.9)) == close((1, 1, 1))


def test_smaller_nodes_take_less_energy_at_their_usual_supply() -> None:
    for kind in ("high_performance", "low_power"):
        found = [relative("energy", nm, volts, kind) for nm, volts in NODES.items()]  # type: ignore[arg-type]
        assert all(smaller < larger for smaller, larger in pairwise(found))


def test_between_nodes_of_the_table_lies_a_straight_line() -> None:
    ends = [relative("energy", nm, 0.9) for nm in (20, 32)]
    assert relative("energy", 26, 0.9) == close(sum(ends) / 2)


@pytest.mark.parametrize(("nm", "volts"), [(5, 0.7), (180, 1.2), (45, 0.3), (45, 2.0)])
def test_what_the_fit_does_not_reach_is_refused(nm: float, volts: float) -> None:
    with pytest.raises(ValueError, match="known"):
        relative("energy", nm, volts)


def test_the_range_covers_the_ranges_of_voltages_and_another_source() -> None:
    plain = between((45, 0.9), (90, 1.2))
    wide = factor(
        "energy",
        Node.model_validate(node(45, 0.9)),
        Target.model_validate(node(90, 1.2, range=["1.0 V", "1.3 V"])),
    )
    assert wide.value == plain.value
    assert wide.low < plain.low < plain.high < wide.high
    other = between((45, 0.9), (90, 1.2), other={"value": 9, "assumed": "for a test"})
    assert other == (plain.value, plain.low, 9)
    assert between((45, 0.9), (90, 1.2), "delay", other={"value": 9, "assumed": "for a test"}).high < 9


# ---- machines ------------------------------------------------------------------------------------------------


def test_arithmetic_registers_and_the_clock_are_scaled_and_nothing_else() -> None:
    base, scaled = (machine_options(name) for name in ("digital_45nm", "digital_90nm"))
    before, after = base.parts, scaled.priced_parts()
    assert scaled.parts.arithmetic == before.arithmetic
    energy, delay = between((45, 0.9), (90, 1.2)), between((45, 0.9), (90, 1.2), "delay")
    for name, row in before.arithmetic.items():
        for operation in ("add", "multiply"):
            old, new = getattr(row, operation), getattr(after.arithmetic[name], operation)
            assert new.value == close(old.value * energy.value)
            assert new.bounds == close((old.bounds[0] * energy.low / energy.value, old.bounds[1]))
            assert old.assumed is None
            assert new.assumed == "a supply voltage: a usual supply of the node"  # what rests on an assumed one is too
    assert after.register_bit.value == close(0.009e-12 * 4.5962, rel=1e-4)
    assert after.compare.value == close(0.1e-12 * 4.5962, rel=1e-4)
    assert after.timing.clock.value == close(1e-9 * delay.value)
    assert (after.dram, after.dataflow, after.registers_per_operation) == (
        before.dram,
        before.dataflow,
        before.registers_per_operation,
    )
    assert machines.build(scaled).prices().parts == after  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "energy", "leakage"),
    [
        ("digital_90nm", relative("energy", 90, 1.2) / relative("energy", 65, 1.2), None),
        ("digital_130nm", relative("energy", 130, 1.2) / relative("energy", 65, 1.2), None),
        ("digital_14nm", sqrt(14 / 22), 0.79 * sqrt(14 / 22)),
        ("digital_7nm", sqrt(7 / 22), 0.79 * sqrt(7 / 22)),
        ("digital_22nm", 1, None),
        ("digital_65nm", 1, None),
    ],
)
def test_memories_are_scaled_as_their_source_says(name: str, energy: float, leakage: float | None) -> None:
    sram = machine_options(name).parts.sram
    assert sram.scale.value == close(energy, rel=1e-3)
    assert sram.scale.bounds == close((0.72, 1.63), rel=2e-3)
    if leakage is not None:
        assert sram.leakage_scale.value == close(leakage, rel=1e-3)


def test_at_seven_nanometres_the_range_reaches_to_the_other_source() -> None:
    add = machine_options("digital_7nm").priced_parts().arithmetic["float32"].add
    assert add.value == close(0.9e-12 * 0.068420, rel=1e-4)
    assert add.value * add.bounds[1] == close(0.378e-12)  # Jouppi et al.: 0.38 pJ


def test_a_chip_may_have_its_digital_unit_at_another_node() -> None:
    chips = [machines.build(machine_options({"like": "pcm_crossbar", "digital": f"digital_{nm}nm"})) for nm in (45, 90)]
    costs = [chip.prices().digital.parts.arithmetic["float32"].add.value for chip in chips]  # type: ignore[attr-defined]
    assert costs[1] / costs[0] == close(4.5962, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"measured_at": None}, "measured_at has to say which node and voltage the numbers are of"),
        ({"scaled_to": node(90, 2.0)}, "is not known at 2 V"),
        ({"scaled_to": node(5, 0.7)}, r"scaled_to.node \(\"5 nm\"\): must be at least 7e-09"),
    ],
)
def test_what_cannot_be_scaled_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        machine_options({"like": "digital_90nm", **changes})


def test_every_shipped_node_is_tested_here() -> None:
    assert {name for name in hardware.names("configs/hardware") if name.startswith("digital")} == {
        *(f"digital_{nm}nm" for nm in (7, 14, 22, 45, 65, 90, 130)),
        "digital_45nm_fp16",
        "digital_45nm_int8_bound",
    }


def test_scaled_from_and_to_published_voltages_a_constant_is_as_published_as_before() -> None:
    known = {"node": "90 nm", "voltage": {"value": "1.2 V", "source": "horowitz2014"}}
    scaled = machine_options({"like": "digital_45nm", "scaled_to": known})
    assert scaled.priced_parts().register_bit.assumed is None
    assert scaled.priced_parts().compare.assumed == scaled.parts.compare.assumed
