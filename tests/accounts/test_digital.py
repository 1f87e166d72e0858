"""Prices of digital operations: a worked example, the dataflow, the sizing of memories, leakage and durations."""

from __future__ import annotations

from importlib import resources
from math import ceil, prod
from typing import Any

import pytest
import yaml
from conftest import built, close, gradient_of, machine_options, random_episode, rule, sized

from hwsim import machines
from hwsim.accounts.blocking import Dataflow
from hwsim.accounts.energy import Charge, Ledger, Tariff, grouped, total
from hwsim.accounts.journal import PASS, Sweep
from hwsim.accounts.memories import MEMORIES, memory_of
from hwsim.accounts.memory import BUFFERS, CLASSES
from hwsim.accounts.runs import Runs
from hwsim.operations import BY_KIND, SPARSE, Traffic
from hwsim.records import GRADIENT, INFERENCE, Record
from hwsim.units.arithmetic import PricedFormat
from hwsim.units.processor import DigitalPrices

KIB, MIB = 8 << 10, 8 << 20
PICO = 1e-12
MOST = {
    "weight memory": 256 * KIB,
    "gradient memory": 256 * KIB,
    "state memory": 2 * KIB,
    "sequence memory": 1 * MIB,
}
ROWS = [
    row
    for row in yaml.safe_load(resources.files("hwsim.units").joinpath("sram_cacti7.yaml").read_text())["rows"]
    if row[3] == 64
]


def prices(
    format: str = "float32",  # noqa: A002
    accumulator: str = "float32",
    most: dict[str, int] | None = None,
    word: int = 32,
    **parts: Any,
) -> DigitalPrices:
    """A 45 nm machine without reuse, whose memories are a macro each, but for what `parts` say."""
    parts = {"dataflow": {"weight_reuse": 1, "gradient_block": 1}} | parts
    parts["sram"] = {"bank": {"value": "1 MiB", "assumed": "a test"}} | parts.get("sram", {})
    options = machine_options({"like": "digital_45nm", "parts": parts})
    usual, sums = PricedFormat(word, format), PricedFormat(word, accumulator)
    return DigitalPrices(options.parts, MOST if most is None else most, usual, sums)


def of(kind: str, *size: int, unit: str = "vector unit", writes: int | str = 0) -> Record:
    return Record(kind, unit, "layer 1", GRADIENT if kind == "outer" else INFERENCE, "", size, prod(size), (), writes)


def _way(charge: Charge) -> str:
    """Whether an access of a static memory reads or writes."""
    return charge.price.name.partition(" ×")[0].split()[-1]


READ = of("read", 256, 256, unit="systolic array")
READ_BACK = of("read transposed", 256, 256, unit="systolic array")
OUTER = of("outer", 256, 256, unit="systolic array", writes="W gradient")
PUSH, POP = of("push", 256, unit="sequence memory", writes="tape"), of("pop", 256, unit="sequence memory")


def spent(found: DigitalPrices, *trace: Record, times: int = 1) -> dict[str, float | None]:
    """Joules by component."""
    return {
        component: each.energy for component, each in grouped(charged(found, *trace, times=times), "component").items()
    }


def charged(found: DigitalPrices, *trace: Record, times: int = 1) -> Ledger:
    """What records cost that stand alone in a pass of one step."""
    ledger: Ledger = {}
    Tariff([trace], found).charge(ledger, Sweep("pass", PASS, Runs(((0, 1),))), 0, times, None)
    return ledger


def bits(charges: list[Charge], component: str) -> float:
    return sum(charge.amount for charge in charges if charge.component == component)


# ---- a worked example: backpropagation through 1000 steps of 256 units ---------------------------------------
# arithmetic 3 N² T, all weights fetched twice a step, the gradient read and written once a step, in CACTI's macros


def test_the_worked_example_comes_out() -> None:
    found = spent(prices(), READ, READ_BACK, OUTER, PUSH, POP, times=1000)
    del found["registers"], found["local buffer"]  # not in the example
    assert found == close(
        {
            "systolic array": 904.4e-6,
            "weight memory": 2930.5e-6,
            "gradient memory": 2726.7e-6,
            "sequence memory": 21.72e-6,
        },
        rel=1e-3,
    )
    assert sum(each for each in found.values() if each) == close(6583e-6, rel=1e-3)


def test_the_arithmetic_of_the_worked_example_in_eight_bits() -> None:
    found = spent(prices("int8", "int8", word=8), READ, READ_BACK, OUTER, times=1000)
    assert found["systolic array"] == close(45.2e-6, rel=1e-3)


def test_a_tape_off_the_chip_costs_what_its_bits_cost() -> None:
    parts = {"capacity": {"value": "1 bit", "assumed": "none"}}
    found = spent(prices(sram=parts), PUSH, POP, times=1000)
    assert found["off-chip memory"] == close(131.1e-6, rel=1e-3)


# ---- arithmetic ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "accumulator", "mac"),  # in picojoules; Horowitz, ISSCC 2014
    [
        ("float32", "float32", 3.7 + 0.9),
        ("float16", "float16", 1.1 + 0.4),
        ("float16", "float32", 1.1 + 0.9),
        ("fixed<8,4>", "fixed<8,4>", 0.2 + 0.03),
        ("fixed<8,4>", "fixed<32,8>", 0.2 + 0.1),
        ("fixed<32,16>", "fixed<32,16>", 3.1 + 0.1),
    ],
)
def test_a_product_multiplies_in_its_format_and_adds_in_that_of_the_sums(
    format: str,  # noqa: A002
    accumulator: str,
    mac: float,
) -> None:
    options = machine_options({"like": "digital_45nm", "format": format, "accumulator": accumulator})
    found = machines.build(options).prices()
    assert spent(found, READ)["systolic array"] == close(256 * 256 * mac * PICO)


@pytest.mark.parametrize(
    ("format", "accumulator", "bits"),
    [
        ("float32", "float32", 32 + 32 + 32),
        ("float16", "float32", 16 + 16 + 32),
        ("fixed<8,4>", "fixed<32,8>", 8 + 8 + 32),
    ],
)
def test_the_registers_of_a_product_hold_two_operands_and_the_sum(
    format: str,  # noqa: A002
    accumulator: str,
    bits: int,
) -> None:
    options = machine_options({"like": "digital_45nm", "format": format, "accumulator": accumulator})
    found = machines.build(options).prices()
    assert spent(found, READ)["registers"] == close(256 * 256 * bits * 0.009 * PICO)
    assert spent(found, of("accumulate", 6, writes="b gradient"))["registers"] == close(6 * bits * 0.009 * PICO)


@pytest.mark.parametrize(
    ("kind", "multiply", "add", "compare"),
    [
        ("add", 0, 1, 0),
        ("multiply", 1, 0, 0),
        ("relu", 0, 0, 1),
        ("tanh slope", 1, 1, 0),
        ("divide", 7, 3, 0),
        ("sqrt", 10, 3, 0),
    ],
)
def test_what_has_no_price_of_its_own_costs_its_parts(kind: str, multiply: int, add: int, compare: int) -> None:
    found = spent(prices(), of(kind, 6))
    assert found["vector unit"] == close(6 * (multiply * 3.7 + add * 0.9 + compare * 0.1) * PICO)
    assert found["registers"] == close(6 * (multiply + add + compare) * 3 * 32 * 0.009 * PICO)


@pytest.mark.parametrize("kind", ["tanh", "exp", "cos", "sin"])
def test_functions_have_units_of_their_own(kind: str) -> None:
    """A picojoule each, as the units of accelerators take, where a polynomial in float32 takes a hundred."""
    found = spent(prices(), of(kind, 6))
    assert found["vector unit"] == close(6 * 1.0 * PICO)
    assert found["registers"] == close(6 * 3 * 32 * 0.009 * PICO)
    scaled = machines.build(machine_options("digital_7nm")).prices()
    assert spent(scaled, of(kind, 6))["vector unit"] < 0.2 * 6 * PICO  # with the node, as all arithmetic


MOVED = ("load", "store", "push", "pop", "put", "get", "keep", "replay")


@pytest.mark.parametrize("kind", sorted(set(BY_KIND) - {"dac", "adc", "program"}))
def test_every_operation_comes_down_to_what_has_a_price(kind: str) -> None:
    unit = "state memory" if kind in MOVED else "vector unit"
    keys = ("arithmetic.float32.multiply", "arithmetic.float32.add", "compare")
    arithmetic = {f"parts.{key}" for key in (*keys, "functions.tanh", "functions.exp", "functions.cos")}
    arithmetic.add("parts.register_bit × parts.registers_per_operation")
    size = (4, 4, 4) if BY_KIND[kind].traffic in SPARSE else sized(kind, 4, 4)
    names = {charge.price.name for charge in prices().charges(of(kind, *size, unit=unit))}
    assert {name for name in names if "sram" not in name} <= arithmetic
    assert bool(names & arithmetic) == bool(BY_KIND[kind].work(size))


@pytest.mark.parametrize(
    ("format", "row"), [("bfloat16", "bfloat16"), ("fixed<16,12>", "int16"), ("fixed<7,3>", "int7")]
)
def test_a_format_without_a_price_has_no_energy(format: str, row: str) -> None:  # noqa: A002
    ledger = charged(machines.build(machine_options({"like": "digital_45nm", "format": format})).prices(), READ)
    assert total(ledger).energy is None
    assert f"parts.arithmetic.{row}.multiply" in total(ledger).unknown
    assert grouped(ledger, "component")["weight memory"].energy is not None


def test_constants_without_a_source_are_summed_apart() -> None:
    by_operation = grouped(charged(prices(), of("relu", 8), of("add", 8)), "operation")
    registers = 8 * 3 * 32 * 0.009 * PICO  # how many accesses there are is assumed
    assert by_operation["relu"].assumed == close(8 * 0.1 * PICO + registers)
    assert by_operation["add"].assumed == close(registers)


# ---- what is fetched, and how often; what follows from sizes is tested in test_blocking.py ---------------------


@pytest.mark.parametrize("factor", [1, 2, 3, 64])
@pytest.mark.parametrize(
    ("key", "shares"),
    [("weight_reuse", ("weight memory",)), ("gradient_block", ("gradient memory",))],
)
def test_typed_reuse_divides_what_it_is_about_and_is_called_assumed(
    key: str, shares: tuple[str, ...], factor: int
) -> None:
    trace = (READ, READ_BACK, OUTER, PUSH, POP, of("bias", 256), of("accumulate", 256, writes="b gradient"))
    once = spent(prices(), *trace)
    found = charged(prices(dataflow={"weight_reuse": 1, "gradient_block": 1, key: factor}), *trace)
    often = {component: each.energy for component, each in grouped(found, "component").items()}
    del once["local buffer"], often["local buffer"]  # what is fetched goes there
    expected = {name: each / factor if name in shares else each for name, each in once.items() if each is not None}
    assert often == close(expected, rel=1e-14)
    assert all(
        each.price.assumed
        for account, each in found.items()
        if account.component in shares and "sram" in account.constant
    )
    computed = charged(prices(dataflow={}), *trace)
    assert not any(each.price.assumed for account, each in computed.items() if "sram_cacti7" in account.constant)


@pytest.mark.parametrize(
    ("kind", "size", "words"),
    [
        ("read", (3, 4), 12),
        ("read transposed", (3, 4), 12),
        ("read", (5, 3, 4), 12),  # once for a bundle
        ("bias", (6,), 6),
        ("gain", (6,), 6),
        ("diagonal", (6,), 6),
        ("conjugate diagonal", (6,), 6),
        ("inverse diagonal", (6,), 6),
        ("diagonal", (5, 6), 6),
        ("spread", (5, 3), 3),
        ("fetch", (3, 4), 12),
        ("mode gain", (6,), 3),  # one factor for both wires of a mode
    ],
)
@pytest.mark.parametrize("flow", [{}, {"weight_reuse": 1}])
def test_each_parameter_is_fetched_once(kind: str, size: tuple[int, ...], words: int, flow: dict[str, Any]) -> None:
    assert bits(prices(dataflow=flow).charges(of(kind, *size)), "weight memory") == words * 32


@pytest.mark.parametrize(
    ("kind", "size", "bits_of_all"),
    [
        ("sparse read", (6, 2, 9), 12 * (32 + 4)),  # a weight in float32, and an index that names one of nine columns
        ("sparse read", (5, 6, 2, 9), 12 * (32 + 4)),  # once for a bundle
        ("sparse read transposed", (6, 2, 8), 12 * (32 + 3)),
        ("sparse read transposed", (6, 1, 1), 6 * (32 + 1)),
        ("sparse fetch", (6, 2, 2), 12 * (32 + 1)),
        ("sparse outer", (6, 2, 9), 12 * 4),  # indices alone
    ],
)
def test_connections_of_a_sparse_matrix_are_fetched_with_indices_of_their_own_width(
    kind: str, size: tuple[int, ...], bits_of_all: int
) -> None:
    assert bits(prices().charges(of(kind, *size)), "weight memory") == bits_of_all
    assert bits(prices(dataflow={"weight_reuse": 4}).charges(of(kind, *size)), "weight memory") == bits_of_all / 4


@pytest.mark.parametrize("kind", ["sparse read", "sparse read transposed", "sparse outer"])
def test_the_lanes_of_the_vector_unit_multiply_by_sparse_matrices(kind: str) -> None:
    found, parts = prices(), machine_options("digital_45nm").parts.timing
    cycles = found.arithmetic.seconds(of(kind, 60, 20, 99), 3) / parts.clock.value
    assert cycles == close(ceil(60 * 20 * 3 / parts.lanes.value))


def test_all_coefficients_are_fetched_from_the_weights() -> None:
    fetching = Traffic.COEFFICIENTS, Traffic.MODE_COEFFICIENTS
    kinds = [kind for kind, operation in BY_KIND.items() if operation.traffic in fetching]
    assert len(kinds) == 7
    assert all(bits(prices().charges(of(kind, 6)), "weight memory") for kind in kinds)


@pytest.mark.parametrize("kind", ["outer", "accumulate"])
def test_sums_are_read_and_written(kind: str) -> None:
    charges = prices().charges(of(kind, 8, 8))
    ways = [_way(charge) for charge in charges if charge.component == "gradient memory"]
    assert ways == ["read", "write"]


@pytest.mark.parametrize(
    ("kind", "way"),
    [("load", "read"), ("pop", "read"), ("replay", "read"), ("store", "write"), ("push", "write"), ("keep", "write")],
)
def test_storages_are_accessed_in_the_memory_that_holds_them(kind: str, way: str) -> None:
    (charge,) = prices().charges(of(kind, 8, unit="sequence memory"))
    assert (charge.component, _way(charge), charge.amount) == ("sequence memory", way, 256)


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar"])
def test_kept_inputs_are_as_wide_when_they_move_as_when_they_are_held(on: str) -> None:
    found, episode = rule("fpe"), random_episode(steps=3)
    network = built("lru", found, episode, on=on)
    network.machine.memory.history = []
    gradient_of(network, found, episode)
    stage = network.machine
    (kept,) = [change for change in stage.memory.history or () if change.name == "input replay" and change.values > 0]
    moves = [
        record
        for trace in stage.journal.traces
        for record in trace
        if record.writes == "input replay" or "input replay" in record.reads
    ]
    assert moves
    for record in moves:
        charges = [each for each in stage.prices().charges(record) if "wire" not in each.price.name]
        assert sum(charge.amount for charge in charges) == prod(record.size) * (kept.bits / kept.values)


@pytest.mark.parametrize("target", ["each", "one", "values"])
@pytest.mark.parametrize("name", ["bptt", "fpe", {"name": "bptt", "checkpoints": 3}])
def test_what_is_held_to_be_shown_again_was_written_once(name: Any, target: str) -> None:
    found, episode = rule(name), random_episode(steps=7, target=target)
    network = built("lru stack", found, episode, on="digital_45nm")
    stage = network.machine
    stage.journal.collect()
    stage.memory.history = []
    gradient_of(network, found, episode)
    held = {change.name: change.values for change in stage.memory.history if change.values > 0}
    written: dict[str, int] = {}
    for trace, times in stage.journal.totals.steps().items():
        for record in stage.journal.traces[trace]:
            if record.kind == "keep":
                holder = str(record.writes)
                written[holder] = written.get(holder, 0) + times * prod(record.size)
    assert written == {name: episode.batch * held[name] for name in ("input replay", "target replay")}


# ---- memories ------------------------------------------------------------------------------------------------


def test_each_class_of_memory_is_in_one_memory_but_the_wires() -> None:
    held = [kind for kinds in MEMORIES.values() for kind in kinds]
    assert sorted([*held, BUFFERS]) == sorted(CLASSES)
    assert all(kind in MEMORIES[memory_of(kind)] for kind in held)


def test_only_the_memory_for_sequences_is_bounded() -> None:
    """The others hold whatever they have to."""
    most = dict.fromkeys(MEMORIES, 4 * MIB)
    found = prices(most=most, sram={"capacity": {"value": "1 MiB", "assumed": "a test"}})
    assert {name: store.outside for name, store in found.memory.stores.items()} == {
        "weight memory": 0,
        "gradient memory": 0,
        "state memory": 0,
        "sequence memory": close(0.75),
        "local buffer": 0,
    }
    charges = found.charges(PUSH)
    assert bits(charges, "sequence memory") == close(256 * 32 / 4)
    assert bits(charges, "off-chip memory") == close(256 * 32 * 3 / 4)
    joules = 256 * 32 * (76.183 / 64 / 4 + 8 * 3 / 4) * PICO
    assert sum(charge.energy for charge in charges if charge.energy) == close(joules)


def test_memories_are_sized_for_all_classes_that_they_hold() -> None:
    found = prices(most={"weight memory": 40 * KIB})
    assert found.memory.stores["weight memory"].macro.bits == 128 * KIB


# ---- leakage -------------------------------------------------------------------------------------------------


def test_leakage_is_power_times_time() -> None:
    ledger: Ledger = {}
    Tariff([], prices()).leak(ledger, 0.25)
    found = {account.component: each.energy for account, each in ledger.items()}
    microwatts = {
        "weight memory": 6.68110,
        "gradient memory": 6.68110,
        "state memory": 0.07417,
        "sequence memory": 24.96260,
        "local buffer": 16 * 0.25678,
    }
    assert found == close({name: power * 1e-6 * 0.25 for name, power in microwatts.items()})
    assert {(line.purpose, line.layer) for line in ledger} == {("leakage", "all")}


# ---- time ----------------------------------------------------------------------------------------------------

NO_MEMORY = {
    "sram": {"capacity": {"value": "1 bit", "assumed": "off"}, "bank": {"value": "2 KiB", "assumed": "fast"}},
    "buffer": {"capacity": {"value": "1 GiB", "assumed": "fast"}, "bank": {"value": "2 KiB", "assumed": "fast"}},
    "dram": {"time": {"value": "1 fs", "assumed": "0"}},
}
"""Memories that take next to no time: so many banks that all words come at once."""


def duration(found: DigitalPrices, record: Record) -> int:
    return found.occupied(record).duration


@pytest.mark.parametrize(
    ("record", "cycles"),
    [
        (READ, 256),  # 65 536 products by 256 in a cycle
        (of("read", 10, 10), 1),
        (of("add", 16), 1),
        (of("add", 17), 2),  # 16 lanes
        (of("tanh", 16), 1),
        (of("solve", 3, 3), 1 + 4),  # 11 products; 6 divisions of 10 operations each
        (of("negate", 100), 0),
    ],
)
def test_arithmetic_takes_whole_cycles(record: Record, cycles: int) -> None:
    found = prices(most=dict.fromkeys(MEMORIES, 1 << 40), **NO_MEMORY)
    assert duration(found, record) == close(cycles * 1000, abs=2)
    assert found.occupied(record).works == cycles * 1000


def test_memory_takes_the_time_of_its_words_where_that_is_longer() -> None:
    words = 256 * 256 * 32 / 64
    found = prices().occupied(READ)
    assert dict(found.memories)["weight memory"] == round(words * 2730)  # 2.73 ns a word of a 256 KiB macro
    assert (found.duration, found.works) == (round(words * 2730), 256_000)
    typed = prices(dataflow={"weight_reuse": 64}).occupied(READ)
    assert dict(typed.memories)["weight memory"] == round(words / 64 * 2730)
    assert dict(prices().occupied(OUTER).memories)["gradient memory"] == round(2 * words * 2730)  # read and written


def test_more_banks_bring_more_words_at_once() -> None:
    """A memory that holds as much in banks of 32 KiB has eight ports, and each of them is faster."""
    one, eight = (
        dict(prices(sram={"bank": {"value": bank, "assumed": "a test"}}).occupied(READ).memories)["weight memory"]
        for bank in ("256 KiB", "32 KiB")
    )
    assert eight == close(one / 8 * 1.41 / 2.73, rel=1e-4)


@pytest.mark.parametrize("memory", ["sequence memory", "weight memory"])
def test_a_memory_that_holds_more_is_not_slower(memory: str) -> None:
    record = PUSH if memory == "sequence memory" else READ
    times = []
    for more in (1, 4, 16, 64):
        most = MOST | {memory: more * MIB}
        options = machine_options(
            {"like": "digital_45nm", "parts": {"sram": {"capacity": {"value": "1 GiB", "assumed": "-"}}}}
        )
        found = DigitalPrices(options.parts, most, PricedFormat(32, "float32"), PricedFormat(32, "float32"))
        times.append(dict(found.occupied(record).memories)[memory])
    assert times == sorted(times, reverse=True)


def test_sequences_side_by_side_share_fetched_weights_but_not_the_array() -> None:
    alone, four = prices(dataflow={}), prices(dataflow={"batch_parallel": 4})
    memory = "weight memory"  # one fetch for all four
    assert dict(four.occupied(READ).memories)[memory] == dict(alone.occupied(READ).memories)[memory]
    assert four.occupied(READ).works == 4 * 256_000
    assert duration(four, PUSH) == 4 * duration(alone, PUSH)


def test_words_off_the_chip_take_their_own_time() -> None:
    found = prices(most={"sequence memory": 4 * MIB}, sram={"capacity": {"value": "1 MiB", "assumed": "a test"}})
    assert duration(found, PUSH) == round(128 * (0.25 * 4020 + 0.75 * 312.5))


def test_what_is_outside_moves_there_and_the_rest_does_not() -> None:
    """A quarter of a tape of 4 MiB is on the chip."""
    found = prices(most={"sequence memory": 4 * MIB}, sram={"capacity": {"value": "1 MiB", "assumed": "a test"}})
    for record in (PUSH, POP):
        charges = found.charges(record)
        assert bits(charges, "sequence memory") == close(0.25 * 256 * 32)
        assert bits(charges, "off-chip memory") == close(0.75 * 256 * 32)


def test_sums_that_are_wider_than_words_move_as_they_are_kept() -> None:
    parts = machine_options("digital_45nm").parts.model_copy(update={"dataflow": Dataflow(gradient_block=1)})
    word, sums = PricedFormat(16, "float16"), PricedFormat(32, "float32")
    found = DigitalPrices(parts, MOST, word, sums, widths={"W gradient": 24})
    record = of("outer", 8, 4, unit="systolic array", writes="W gradient")
    moved = [
        (_way(each), each.amount)
        for each in found.charges(record)
        if each.component == "gradient memory" and "KiB" in each.price.name
    ]
    assert moved == [("read", 8 * 4 * 24), ("write", 8 * 4 * 24)]
