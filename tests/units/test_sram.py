"""Static memories: the table of macros, how many banks a memory takes, and what an access of it costs."""

from __future__ import annotations

from importlib import resources
from math import ceil, sqrt

import pytest
import yaml
from conftest import close, machine_options
from hypothesis import given
from hypothesis import strategies as st

from hwsim.units.sram import StaticMemory, macros, sized

KIB, MIB = 8 << 10, 8 << 20
PICO = 1e-12
ROWS = [
    row
    for row in yaml.safe_load(resources.files("hwsim.units").joinpath("sram_cacti7.yaml").read_text())["rows"]
    if row[3] == 64
]


def static(capacity: str = "1 MiB", bank: str = "32 KiB", node: int = 45, **more: object) -> StaticMemory:
    test = {"assumed": "a test"}
    return StaticMemory.model_validate(
        {
            "node_nm": node,
            "bank": {"value": bank, **test},
            "capacity": {"value": capacity, **test},
            "wire": {"value": "240 fJ/bit/mm", **test},
            "wires": {"value": 2.0, **test},
            **more,
        }
    )


@pytest.mark.parametrize("cell", ["lstp", "hp"])
@pytest.mark.parametrize("node", [22, 32, 45, 65])
def test_the_table_of_macros_is_read_as_it_stands(node: int, cell: str) -> None:
    found = [
        (
            each.bits,
            each.read * 64 / PICO,
            each.write * 64 / PICO,
            each.leakage * 1e6,
            each.access * 1e9,
            each.area * 1e6,
        )
        for each in macros(node, cell)
    ]
    expected = [(row[2] * KIB, *row[4:9]) for row in ROWS if row[:2] == [node, cell]]
    assert len(found) == 6
    assert found == [close(row) for row in expected]
    assert found == sorted(found)


@pytest.mark.parametrize("kib", [2, 8, 32, 128, 256, 1024])
@pytest.mark.parametrize("node", [22, 32, 45, 65])
def test_fast_cells_leak_at_least_400_times_more(node: int, kib: int) -> None:
    slow, fast = (
        next(macro for macro in macros(node, cell) if macro.bits == kib * KIB).leakage for cell in ("lstp", "hp")
    )
    assert fast >= (400 if node != 45 else 17_000) * slow


@given(st.integers(1, 4 * MIB), st.sampled_from([22, 32, 45, 65]))
def test_a_memory_is_the_smallest_macro_that_holds_it_or_as_many_banks_as_it_takes(needed: int, node: int) -> None:
    store = sized("memory", needed, static(node=node))
    fitting = [row[2] * KIB for row in ROWS if row[:2] == [node, "lstp"] and row[2] * KIB >= needed]
    expected = (min(fitting), 1) if needed <= 32 * KIB else (32 * KIB, ceil(needed / (32 * KIB)))
    assert (store.macro.bits, store.banks, store.outside) == (*expected, 0)


@pytest.mark.parametrize(("more", "kib"), [(0, 2), (1, 8)])
def test_one_bit_too_many_takes_the_next_macro(more: int, kib: int) -> None:
    assert sized("memory", 2 * KIB + more, static()).macro.bits == kib * KIB


def test_a_bank_between_two_macros_is_the_larger_one() -> None:
    assert sized("memory", MIB, static(bank="4 KiB")).macro.bits == 8 * KIB


@pytest.mark.parametrize(("needed", "outside"), [(MIB, 0), (4 * MIB, 0.75)])
def test_what_does_not_fit_a_limited_memory_is_outside(needed: int, outside: float) -> None:
    store = sized("memory", needed, static(), limited=True)
    assert (store.banks, store.outside) == (32, outside)


def test_nothing_is_held_in_no_memory() -> None:
    store = sized("memory", 0, static())
    assert (store.banks, store.outside, store.area, store.leak(), store.seconds_per_bit) == (0, 0, 0, [], 0)


# ---- prices --------------------------------------------------------------------------------------------------


def test_a_single_bank_has_no_wires() -> None:
    (charge,) = sized("memory", 32 * KIB, static()).access("read", 640)
    (macro,) = [row for row in ROWS if row[:3] == [45, "lstp", 32]]
    assert charge.component == "memory"
    assert charge.price.name == "sram_cacti7 45 nm lstp 32 KiB read"
    assert charge.energy == close(640 / 64 * macro[4] * PICO)


def test_several_banks_are_reached_by_wires_as_long_as_half_of_a_side() -> None:
    bank, wires = sized("memory", 64 * 32 * KIB, static()).access("write", 640)
    (macro,) = [row for row in ROWS if row[:3] == [45, "lstp", 32]]
    assert bank.energy == close(640 / 64 * macro[5] * PICO)
    side = sqrt(64 * macro[8])  # of all banks, in mm
    assert wires.energy == close(640 * 2.0 * 0.24 * PICO * side / 2)
    assert wires.price.constants == (static().wire, static().wires)


def test_scales_apply_to_energy_leakage_and_area() -> None:
    scales = {
        name: {"value": value, "source": "x"} for name, value in (("scale", 3), ("leakage_scale", 5), ("area_scale", 7))
    }
    plain, scaled = (sized("memory", 32 * KIB, static(**more)) for more in ({}, scales))
    assert scaled.access("read", 1)[0].energy == close(3 * plain.access("read", 1)[0].energy)
    assert scaled.leak()[0].price.value == close(5 * plain.leak()[0].price.value)
    assert scaled.area == close(7 * plain.area)


def test_banks_leak_together_and_move_words_at_the_same_time() -> None:
    one, many = (sized("memory", banks * 32 * KIB, static()) for banks in (1, 40))
    assert many.leak()[0].price.value == close(40 * one.leak()[0].price.value)
    assert many.seconds_per_bit == close(one.seconds_per_bit / 40)
    assert one.seconds_per_bit == close(1.41e-9 / 64)


def test_published_memories_are_met() -> None:
    """The buffer of Eyeriss, 108 KB at 65 nm, takes six multiplications of 16 bits for an access of 16 bits (Sze et
    al., 2017), of 1.4 pJ or so each. 128 MB at 7 nm take 1.88 pJ per bit (TPUv4i), to which the wires are fitted.
    """
    options = machine_options("digital_65nm")
    buffer = options.parts.buffer.store(options.parts.sram)
    joules = sum(charge.energy for charge in buffer.access("read", 16))
    assert joules == close(6 * 1.4 * PICO, rel=0.3)
    sram = machine_options("digital_7nm").parts.sram
    bank = sram.model_copy(update={"bank": sram.bank.model_copy(update={"value": 512 * KIB})})
    joules = sum(charge.energy for charge in sized("CMEM", 128 * MIB, bank).access("read", 1))
    assert joules == close(1.88 * PICO, rel=0.35)
