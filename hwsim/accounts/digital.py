"""What a digital machine is made of, and what its operations cost."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from hwsim.accounts.blocking import Blocking, Dataflow, blocking
from hwsim.accounts.energy import Area, Charge, Leak, Occupied, charge
from hwsim.accounts.memories import BUFFER, MEMORIES, REGISTERS, SEQUENCE_MEMORY, Move
from hwsim.accounts.passes import ONCE, Occurrence
from hwsim.accounts.scaling import Factor, Node, Target, factor
from hwsim.accounts.sram import WORD, StaticMemory, Store, sized
from hwsim.accounts.work import WORK
from hwsim.quantities import Area as SquareMetres
from hwsim.quantities import Constant, Count, Energy, EnergyPerBit, Information, Time
from hwsim.records import Record

REGISTER_ACCESSES = "register_bit registers_per_operation"


class Arithmetic(BaseModel, extra="forbid"):
    """Energy of the elementary operations of one number format."""

    add: Annotated[Constant[Energy], Field(description="of one addition")]
    multiply: Annotated[Constant[Energy], Field(description="of one multiplication")]


class Expansion(BaseModel, extra="forbid"):
    """An operation without a published cost, as a count of ones that have one."""

    multiply: Annotated[int, Field(ge=0, description="how many")] = 0
    add: Annotated[int, Field(ge=0, description="how many")] = 0
    compare: Annotated[int, Field(ge=0, description="how many")] = 0
    because: Annotated[str, Field(description="the method that is counted")]


class Expansions(BaseModel, extra="forbid"):
    """Operations that take several steps of a multiplier and an adder."""

    divide: Annotated[Expansion, Field(description="x / y, and 1 / x")]
    root: Annotated[Expansion, Field(description="√x")]


class Functions(BaseModel, extra="forbid"):
    """Energy of functions that have a unit of their own: a table, a piecewise polynomial, or shifts and additions.

    Values are those of the exact function, rounded to the format: how exact such a unit is is not modelled.
    """

    exp: Annotated[Constant[Energy], Field(description="of exp x")]
    tanh: Annotated[Constant[Energy], Field(description="of tanh x")]
    cos: Annotated[Constant[Energy], Field(description="of cos x, or sin x")]


class LocalBuffer(BaseModel, extra="forbid"):
    """The memory right in front of the multipliers: every operand of a product comes from it."""

    capacity: Annotated[Constant[Information], Field(description="of all of it")]
    bank: Annotated[
        Constant[Information], Field(description="of one macro; the smaller, the more words come at the same time")
    ]

    def store(self, sram: StaticMemory) -> Store:
        """The buffer, built of the same cells as the other memories."""
        return sized(BUFFER, int(self.capacity.value), sram.model_copy(update={"bank": self.bank}))


class DynamicMemory(BaseModel, extra="forbid"):
    """Off-chip memory, for what does not fit."""

    energy: Annotated[Constant[EnergyPerBit], Field(description="to move one bit")]
    time: Annotated[Constant[Time], Field(description="to move one 64-bit word")]


class DigitalArea(BaseModel, extra="forbid"):
    """The area of arithmetic; that of memories is in their tables."""

    mac: Annotated[
        dict[str, Constant[SquareMetres]],
        Field(description="a multiplier and an adder, by number format, such as float32"),
    ]
    whole: Annotated[
        Constant[Count],
        Field(description="a processing element over its arithmetic: registers, control and wires included"),
    ]
    scale: Annotated[Constant[Count] | None, Field(description="to another node")] = None


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
    functions: Functions
    expansions: Expansions
    sram: StaticMemory
    buffer: LocalBuffer
    dram: DynamicMemory
    dataflow: Dataflow = Dataflow()
    timing: Timing
    area: Annotated[DigitalArea | None, Field(description="of arithmetic; unknown if absent")] = None

    def blocking(self, word: int, sums: int) -> Blocking:
        """How products are cut whose numbers, and the sums of them, have so many bits."""
        return blocking(int(self.buffer.capacity.value) // word, self.timing.macs.value, self.dataflow, sums / word)


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
            "functions": Functions(**{name: _times(each, energy, assumed) for name, each in parts.functions}),
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


class Priced(NamedTuple):
    """A number format as prices see it: bits of a number, and its row in the table of energies."""

    bits: int
    arithmetic: str


class DigitalPrices:
    """Energy and time of a digital machine's operations.

    Arithmetic costs its elementary operations and their register accesses, each of a word, but where a sum is written:
    that is as wide as sums are. What products fetch from memories and from the local buffer follows from their sizes,
    the length of the pass and the sequences that are worked on together (`hwsim.accounts.traffic`), unless the dataflow
    types it in. Registers, tapes and kept inputs cost an access of the memory that holds them. What is not modelled:
    instruction fetch, the network between units, and the background power of off-chip memory.

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
        self.blocking = parts.blocking(usual.bits, sums.bits)
        self.stores = {
            name: sized(name, most.get(name, 0), parts.sram, limited=name == SEQUENCE_MEMORY) for name in MEMORIES
        }
        self.stores[BUFFER] = parts.buffer.store(parts.sram)

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        return self._arithmetic(record) + self.traffic(self._moves(record, where))

    def area(self) -> Area:
        """Of arithmetic and of memories; off-chip memory is not on the chip."""
        found = {name: store.area for name, store in self.stores.items() if store.banks}
        parts, format = self.parts.area, self._usual.arithmetic  # noqa: A001
        if parts is None or format not in parts.mac:
            return Area(found, f"no source gives the area of arithmetic in {format}")
        element = parts.mac[format].value * parts.whole.value * (parts.scale.value if parts.scale else 1.0)
        timing = self.parts.timing
        return Area(
            {"systolic array": timing.macs.value * element, "vector unit": timing.lanes.value * element, **found}
        )

    def activities(self, record: Record) -> int:
        return 0

    def leakage(self) -> list[Leak]:
        return [leak for store in self.stores.values() for leak in store.leak()]

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        """Arithmetic and the memories that feed it work side by side; the slowest of them counts."""
        timing, parallel = self.parts.timing, self.parts.dataflow.batch_parallel
        counts = self._elementary(record)
        macs = counts.pop("mac", 0) * parallel
        cycles = ceil(macs / timing.macs.value) + ceil(sum(counts.values()) * parallel / timing.lanes.value)
        return Occupied.of(cycles * timing.clock.value, self.times(self._moves(record, where)))

    def waiting(self, record: Record, where: Occurrence) -> list[Move]:
        """A result that waits for those of other steps, since a product takes them together, is written once."""
        if record.kind == "pop" or not self.blocking.waits(where):
            return []  # what comes off a tape is in that memory already
        return [Move(SEQUENCE_MEMORY, "write", float(record.values * self.word))]

    # ---- arithmetic ------------------------------------------------------------------------------------------

    def _elementary(self, record: Record) -> dict[str, int]:
        """Counts of mac, multiply, add, compare and functions, with everything else expanded."""
        counts: dict[str, int] = {}
        for name, count in WORK[record.kind](record.size).items():
            expansion = getattr(self.parts.expansions, name, None)
            parts = {name: 1} if expansion is None else expansion.model_dump(exclude={"because"})
            for part, times in parts.items():
                if times:
                    counts[part] = counts.get(part, 0) + count * times
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
            elif name in Functions.model_fields:
                charges.append(charge(unit, f"functions.{name}", count, getattr(self.parts.functions, name)))
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

    def _moves(self, record: Record, where: Occurrence) -> list[Move]:
        """What moves for one sequence."""
        kind, waiting = record.kind, self.waiting(record, where)
        storage = str(record.writes if isinstance(record.writes, str) else next(iter(record.reads), ""))
        bits = float(prod(record.size) * self.widths.get(storage, self.word))
        if record.unit == REGISTERS:
            return [Move(REGISTERS, "read", bits), *waiting]
        if kind in ("load", "pop", "replay"):
            return [Move(record.unit, "read", bits), *waiting]
        if kind in ("store", "push", "keep"):
            return [Move(record.unit, "write", bits)]
        sums = self.widths.get(storage, self.word)
        moves = [
            move._replace(amount=move.amount * (sums if move.sums else self.word))
            for move in self.blocking.moves(record, where)
            if move.amount
        ]
        return moves + waiting

    def traffic(self, moves: list[Move]) -> list[Charge]:
        """What moves cost."""
        charges = []
        for move in moves:
            if move.memory == REGISTERS:
                charges.append(charge("registers", "register_bit", move.amount, self.parts.register_bit))
                continue
            store, dram = self.stores[move.memory], self.parts.dram
            found = store.access(move.way, move.amount * (1 - store.outside))
            if store.outside:
                found.append(charge("off-chip memory", "dram.energy", move.amount * store.outside, dram.energy))
            charges += [each.typed() for each in found] if move.assumed else found
        return charges

    def times(self, moves: list[Move]) -> dict[str, float]:
        """How long moves keep each memory busy, for all sequences that are worked on together."""
        busy: dict[str, float] = {}
        for move in moves:
            if move.memory == REGISTERS:
                seconds = self.parts.timing.clock.value
            else:
                store = self.stores[move.memory]
                outside = store.outside * self.parts.dram.time.value / WORD
                each = (1 - store.outside) * store.seconds_per_bit + outside
                seconds = move.amount * self.parts.dataflow.batch_parallel * each
            busy[move.memory] = busy.get(move.memory, 0.0) + seconds
        return busy
