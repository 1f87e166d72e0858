"""What a digital machine is made of, and what its operations cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import ceil, prod
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.energy import Charge, Leak, charge
from hwsim.accounts.memory import (
    ACCUMULATORS,
    DELAY,
    INPUT_REPLAY,
    LEARNING,
    MASTER,
    OPTIMIZER,
    STATE,
    TAPE,
    TARGET_REPLAY,
    WEIGHTS,
)
from hwsim.accounts.scaling import Factor, Node, Target, factor
from hwsim.accounts.work import WORK
from hwsim.quantities import Constant, Count, Energy, EnergyPerBit, Information, Time
from hwsim.records import Record

COEFFICIENTS = ("bias", "gain", "mode gain", "spread", "diagonal", "conjugate diagonal", "inverse diagonal")
"""Operations that apply coefficients, which digital machines fetch from memory."""

MEMORIES = {
    "weight memory": (WEIGHTS, MASTER, OPTIMIZER),
    "gradient memory": (ACCUMULATORS,),
    "state memory": (STATE, LEARNING, DELAY),
    "sequence memory": (TAPE, INPUT_REPLAY, TARGET_REPLAY),
}
"""The memories of a digital machine, and the classes of the memory ledger that each holds."""


REGISTER_ACCESSES = "register_bit registers_per_operation"

REGISTERS = "coefficient registers"
"""What holds the few words that circuits multiply by, right beside them."""


def memory_of(kind: str) -> str:
    """The memory that holds a class."""
    return next(memory for memory, kinds in MEMORIES.items() if kind in kinds)


class Arithmetic(BaseModel, extra="forbid"):
    """Energy of the elementary operations of one number format."""

    add: Annotated[Constant[Energy], Field(description="of one addition")]
    multiply: Annotated[Constant[Energy], Field(description="of one multiplication")]


class Expansion(BaseModel, extra="forbid"):
    """An operation without a published cost, as a count of ones that have one."""

    multiply: Annotated[int, Field(ge=0, description="how many")] = 0
    add: Annotated[int, Field(ge=0, description="how many")] = 0
    compare: Annotated[int, Field(ge=0, description="how many")] = 0
    exp: Annotated[int, Field(ge=0, description="how many, each as that operation expands")] = 0
    divide: Annotated[int, Field(ge=0, description="how many, each as that operation expands")] = 0
    because: Annotated[str, Field(description="the method that is counted")]


class Expansions(BaseModel, extra="forbid"):
    """Operations that take several steps of a multiplier and an adder; what they expand to stands above them."""

    divide: Annotated[Expansion, Field(description="x / y, and 1 / x")]
    root: Annotated[Expansion, Field(description="√x")]
    exp: Annotated[Expansion, Field(description="exp x")]
    tanh: Annotated[Expansion, Field(description="tanh x")]
    cos: Annotated[Expansion, Field(description="cos x, and sin x")]

    @model_validator(mode="after")
    def _come_to_an_end(self) -> Self:
        names = list(type(self).model_fields)
        for position, name in enumerate(names):
            endless = [part for part in names[position:] if getattr(getattr(self, name), part, 0)]
            if endless:
                raise ValueError(f"{name} may not expand to {', '.join(sorted(endless))}: that would not end")
        return self


class StaticMemory(BaseModel, extra="forbid"):
    """On-chip memories: each as small a macro as holds what it has to, up to `capacity`."""

    node_nm: Annotated[Literal[22, 32, 45, 65], Field(description="technology node of the macros, in nm")]
    cell: Annotated[
        Literal["lstp", "hp"], Field(description="low standby power, or high performance, which leaks far more")
    ] = "lstp"
    capacity: Annotated[Constant[Information], Field(description="of each memory; the rest goes off the chip")]
    scale: Annotated[
        Constant[Count] | None,
        Field(description="of the energies in CACTI's table: for a node that it does not have, and for their range"),
    ] = None
    leakage_scale: Annotated[Constant[Count] | None, Field(description="of the leakage in CACTI's table")] = None


class DynamicMemory(BaseModel, extra="forbid"):
    """Off-chip memory, for what does not fit."""

    energy: Annotated[Constant[EnergyPerBit], Field(description="to move one bit")]
    time: Annotated[Constant[Time], Field(description="to move one 64-bit word")]


class Dataflow(BaseModel, extra="forbid"):
    """How often what was fetched is used again: the choices that move the energy of BPTT most."""

    batch_parallel: Annotated[
        int, Field(ge=1, description="sequences worked on together: they share fetched weights, each has its own tape")
    ] = 1
    weight_reuse: Annotated[
        float, Field(ge=1, description="uses of a fetched weight in successive steps before it is fetched again")
    ] = 1
    gradient_block: Annotated[
        float, Field(ge=1, description="outer products summed up close to the multipliers before memory is updated")
    ] = 1


class Timing(BaseModel, extra="forbid"):
    """How much the units do in a clock cycle."""

    clock: Annotated[Constant[Time], Field(description="period of the clock")]
    macs: Annotated[Constant[Annotated[int, Field(ge=1)]], Field(description="multiply-accumulates a cycle")]
    lanes: Annotated[Constant[Annotated[int, Field(ge=1)]], Field(description="elementary operations a cycle")]


class DigitalParts(BaseModel, extra="forbid"):
    """Arithmetic, memories and dataflow of a digital machine, or of the digital part of another one."""

    arithmetic: Annotated[dict[str, Arithmetic], Field(description="by number format, such as float32 or int8")]
    compare: Annotated[Constant[Energy], Field(description="of one comparison")]
    register_bit: Annotated[Constant[Energy], Field(description="one bit read from or written to a register")]
    registers_per_operation: Annotated[Constant[Count], Field(description="register accesses of an operation")]
    expansions: Expansions
    sram: StaticMemory
    dram: DynamicMemory
    dataflow: Dataflow = Dataflow()
    timing: Timing


def at_node(parts: DigitalParts, measured: Node, target: Target) -> DigitalParts:
    """The same parts at another node: arithmetic, registers and the clock; memories stay what the file says.

    Raises:
        ValueError: the equations do not reach one of the nodes or voltages.
    """
    energy, delay = factor("energy", measured, target), factor("delay", measured, target)
    assumed = measured.voltage.assumed or target.voltage.assumed
    arithmetic = {
        format: Arithmetic(add=_times(each.add, energy, assumed), multiply=_times(each.multiply, energy, assumed))
        for format, each in parts.arithmetic.items()  # noqa: A001
    }
    timing = parts.timing.model_copy(update={"clock": _times(parts.timing.clock, delay, assumed)})
    return parts.model_copy(
        update={
            "arithmetic": arithmetic,
            "compare": _times(parts.compare, energy, assumed),
            "register_bit": _times(parts.register_bit, energy, assumed),
            "timing": timing,
        }
    )


def _times(constant: Constant[float], by: Factor, assumed: str | None) -> Constant[float]:
    """A constant times a factor, and its range times that of the factor; assumed if one of them is."""
    low, high = constant.bounds
    span = (constant.value * low * by.low, constant.value * high * by.high)
    changed: dict[str, object] = {
        "value": constant.value * by.value,
        "range": list(span) if constant.value else None,
    }
    if assumed and not constant.assumed:
        changed |= {"source": None, "assumed": f"a supply voltage: {assumed}"}
    return constant.model_copy(update=changed)


@dataclass(frozen=True)
class Macro:
    """One size of static memory: energies in joules a bit, power in watts, time for a 64-bit word."""

    bits: int
    read: float
    write: float
    leakage: float
    access: float


@cache
def macros(node_nm: int, cell: str) -> tuple[Macro, ...]:
    """The macros with 64-bit words that CACTI gives for a node and cell type, smallest first."""
    table = yaml.safe_load(resources.files(__package__).joinpath("sram_cacti7.yaml").read_text())
    found = []
    for node, kind, kib, width, read, write, leakage, access, _area in table["rows"]:
        if (node, kind, width) == (node_nm, cell, 64):
            found.append(Macro(kib * 8192, read * 1e-12 / 64, write * 1e-12 / 64, leakage * 1e-6, access * 1e-9))
    return tuple(found)


@dataclass(frozen=True)
class Store:
    """A memory as it was sized: a macro, how many of them, and the share of what it holds that is off the chip."""

    macro: Macro
    banks: int
    outside: float


def sized(bits: int, sram: StaticMemory) -> Store:
    """The smallest memory that holds so many bits."""
    choices = macros(sram.node_nm, sram.cell)
    inside = min(bits, int(sram.capacity.value))
    macro = next((choice for choice in choices if choice.bits >= inside), choices[-1])
    return Store(macro, ceil(inside / macro.bits), 1 - inside / bits if bits else 0.0)


class Priced(NamedTuple):
    """A number format as prices see it: bits of a number, and its row in the table of energies."""

    bits: int
    arithmetic: str


class DigitalPrices:
    """Energy and time of a digital machine's operations.

    Arithmetic costs its elementary operations and their register accesses, each of a word, but where a sum is written:
    that is as wide as sums are. A matrix is fetched once for as many uses as the dataflow says, an outer product reads
    and writes the gradient once in so many. Registers, tapes and kept inputs cost an access of the memory that holds
    them. What is not modelled: instruction fetch, the network on the chip, what holds weights and products for further
    use, and the background power of off-chip memory.

    Args:
        parts: what the machine is made of.
        most: bits that each memory held at most, by its name; it is sized for them.
        usual: the number format of results.
        sums: the format in which products are summed.
        widths: bits of a value of storages, by name, where they are not words.
        update: the name of a format that some records are in, and what it counts as; the others count as `usual`.
    """

    def __init__(
        self,
        parts: DigitalParts,
        most: Mapping[str, int],
        usual: Priced,
        sums: Priced,
        widths: Mapping[str, int] = MappingProxyType({}),
        update: tuple[str, Priced] | None = None,
    ) -> None:
        self._usual, self._sums, self._others = usual, sums, dict([update] if update else [])
        self.parts, self.word, self.widths = parts, usual.bits, widths
        self.stores = {memory: sized(most.get(memory, 0), parts.sram) for memory in MEMORIES}

    def charges(self, record: Record) -> list[Charge]:
        return self._arithmetic(record) + self._traffic(record)

    def activities(self, record: Record) -> int:
        return 0

    def leakage(self) -> list[Leak]:
        sram = self.parts.sram
        name = f"sram_cacti7 {sram.node_nm} nm {sram.cell} leakage"
        power, assumed, low, high = _scaled(sram.leakage_scale)
        return [
            Leak(memory, name, store.macro.leakage * store.banks * power, assumed, low, high)
            for memory, store in self.stores.items()
            if store.banks
        ]

    def duration(self, record: Record) -> int:
        """Arithmetic and the memory that feeds it overlap; the slower of them counts."""
        timing, flow = self.parts.timing, self.parts.dataflow
        counts = self._elementary(record)
        macs = counts.pop("mac", 0) * flow.batch_parallel
        cycles = ceil(macs / timing.macs.value) + ceil(sum(counts.values()) * flow.batch_parallel / timing.lanes.value)
        seconds = max(
            cycles * timing.clock.value, sum(self._access_time(memory, bits) for memory, _, bits in self._moves(record))
        )
        return round(seconds * 1e12)

    # ---- arithmetic ------------------------------------------------------------------------------------------

    def _elementary(self, record: Record) -> dict[str, int]:
        """Counts of mac, multiply, add and compare, with everything else expanded."""
        counts: dict[str, int] = {}
        pending = list(WORK[record.kind](record.size).items())
        while pending:
            name, count = pending.pop()
            expansion = getattr(self.parts.expansions, name, None)
            if expansion is None:
                counts[name] = counts.get(name, 0) + count
            else:
                pending += [
                    (part, count * times) for part, times in expansion.model_dump(exclude={"because"}).items() if times
                ]
        return counts

    def _arithmetic(self, record: Record) -> list[Charge]:
        unit, charges, operations, sums = record.unit, [], 0, 0
        word, usual = self._others.get(record.format, self._usual)
        for name, count in self._elementary(record).items():
            operations += count
            if name == "mac" or record.kind == "accumulate":
                sums += count
            if name == "mac":
                charges.append(self._operation(unit, usual, "multiply", count))
                charges.append(self._operation(unit, self._sums.arithmetic, "add", count))
            elif name == "compare":
                charges.append(charge(unit, "compare", count, self.parts.compare))
            else:
                format = self._sums.arithmetic if record.kind == "accumulate" else usual  # noqa: A001
                charges.append(self._operation(unit, format, name, count))
        bit, each = self.parts.register_bit, self.parts.registers_per_operation
        if operations and each.value:
            wider = sums * (self._sums.bits - word) / each.value  # in one of the accesses, that of the result
            charges.append(charge("registers", REGISTER_ACCESSES, operations * word + wider, bit, each))
        return charges

    def _operation(self, unit: str, format: str, name: str, count: float) -> Charge:  # noqa: A002
        table = self.parts.arithmetic.get(format)
        constant = None if table is None else getattr(table, name)
        key = f"arithmetic.{format}.{name}"
        return Charge(unit, key, None, False, count) if constant is None else charge(unit, key, count, constant)

    # ---- memory ----------------------------------------------------------------------------------------------

    def _moves(self, record: Record) -> list[tuple[str, str, float]]:
        """`(memory, "read" or "write", bits)` for one sequence."""
        kind, flow = record.kind, self.parts.dataflow
        storage = str(record.writes if isinstance(record.writes, str) else next(iter(record.reads), ""))
        bits = float(prod(record.size) * self.widths.get(storage, self.word))
        if kind in ("read", "read transposed"):
            uses = flow.weight_reuse * flow.batch_parallel
            return [("weight memory", "read", prod(record.size[-2:]) * self.word / uses)]
        if kind in COEFFICIENTS:
            uses = flow.weight_reuse * flow.batch_parallel
            words = record.size[-1] // 2 if kind == "mode gain" else record.size[-1]  # one for both wires of a mode
            return [("weight memory", "read", words * self.word / uses)]
        if kind == "fetch":
            return [(REGISTERS if record.unit == REGISTERS else "weight memory", "read", bits)]
        if kind in ("outer", "accumulate"):
            block = bits / (flow.gradient_block * flow.batch_parallel)
            return [("gradient memory", "read", block), ("gradient memory", "write", block)]
        if kind in ("load", "pop", "replay"):
            return [(record.unit, "read", bits)]
        if kind in ("store", "push", "keep"):
            return [(record.unit, "write", bits)]
        return []

    def _traffic(self, record: Record) -> list[Charge]:
        charges = []
        for memory, way, bits in self._moves(record):
            if memory == REGISTERS:
                charges.append(charge("registers", "register_bit", bits, self.parts.register_bit))
                continue
            store, sram, dram = self.stores[memory], self.parts.sram, self.parts.dram
            name = f"sram_cacti7 {sram.node_nm} nm {sram.cell} {store.macro.bits >> 13} KiB {way}"
            scale, assumed, low, high = _scaled(sram.scale)
            inside = bits * (1 - store.outside)
            charges.append(Charge(memory, name, getattr(store.macro, way) * scale, assumed, inside, None, low, high))
            if store.outside:
                charges.append(charge("off-chip memory", "dram.energy", bits * store.outside, dram.energy))
        return charges

    def _access_time(self, memory: str, bits: float) -> float:
        if memory == REGISTERS:
            return self.parts.timing.clock.value
        store = self.stores[memory]
        word = (1 - store.outside) * store.macro.access + store.outside * self.parts.dram.time.value
        return bits * self.parts.dataflow.batch_parallel / 64 * word


def _scaled(scale: Constant[float] | None) -> tuple[float, bool, float, float]:
    """A scale's value, whether it is assumed, and its bounds."""
    return (1.0, False, 1.0, 1.0) if scale is None else (scale.value, scale.assumed is not None, *scale.bounds)
