"""Digital arithmetic: a systolic array for products and a vector unit for the rest, in one number format."""

from __future__ import annotations

from math import ceil
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge, Price, charge
from hwsim.operations import BY_KIND, SPARSE, moves
from hwsim.quantities import Area as SquareMetres
from hwsim.quantities import Constant, Count, Energy, Time
from hwsim.records import Record


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


class ArithmeticParts(BaseModel, extra="forbid"):
    """Energies, times and areas of arithmetic."""

    arithmetic: Annotated[dict[str, Arithmetic], Field(description="by number format, such as float32 or int8")]
    compare: Annotated[Constant[Energy], Field(description="of one comparison")]
    register_bit: Annotated[Constant[Energy], Field(description="one bit read from or written to a register")]
    registers_per_operation: Annotated[Constant[Count], Field(description="register accesses of an operation")]
    functions: Functions
    expansions: Expansions
    timing: Timing
    area: Annotated[DigitalArea | None, Field(description="of arithmetic; unknown if absent")] = None


class PricedFormat(NamedTuple):
    """A number format as prices see it: bits of a number, and its row in the table of energies."""

    bits: int
    arithmetic: str


class ArithmeticPrices:
    """Energy and time of arithmetic: elementary operations and their register accesses.

    A register access is one of a word, but where a sum is written: that is as wide as sums are.

    Args:
        usual: the number format of results.
        sums: the format in which products are summed.
        update: the name of a format that some records are in, and what it counts as; the others count as `usual`.
    """

    def __init__(
        self, parts: ArithmeticParts, usual: PricedFormat, sums: PricedFormat, update: tuple[str, PricedFormat] | None
    ) -> None:
        self._parts, self._usual, self._sums = parts, usual, sums
        self._others = dict([update] if update else [])

    def charges(self, record: Record) -> list[Charge]:
        """The energy of one execution of a record."""
        unit, summed, charges, operations, sums = record.unit, record.kind == moves.accumulate.kind, [], 0, 0
        word, usual = self._others.get(record.format, self._usual)
        for name, count in self._elementary(record).items():
            operations += count
            if name == "mac" or summed:
                sums += count
            if name == "mac":
                charges.append(self._operation(unit, usual, "multiply", count))
                charges.append(self._operation(unit, self._sums.arithmetic, "add", count))
            elif name == "compare":
                charges.append(charge(unit, count, self._parts.compare))
            elif name in Functions.model_fields:
                charges.append(charge(unit, count, getattr(self._parts.functions, name)))
            else:
                charges.append(self._operation(unit, self._sums.arithmetic if summed else usual, name, count))
        bit, each = self._parts.register_bit, self._parts.registers_per_operation
        if operations and each.value:
            wider = sums * (self._sums.bits - word) / each.value  # in one of the accesses, that of the result
            charges.append(charge("registers", operations * word + wider, bit, each))
        return charges

    def seconds(self, record: Record, sequences: int) -> float:
        """How long both units work on a record, for so many sequences together; the lanes do what is sparse."""
        timing, counts = self._parts.timing, self._elementary(record)
        macs = counts.pop("mac", 0) * sequences
        a_cycle = timing.lanes if BY_KIND[record.kind].traffic in SPARSE else timing.macs
        cycles = ceil(macs / a_cycle.value) + ceil(sum(counts.values()) * sequences / timing.lanes.value)
        return cycles * timing.clock.value

    def area(self) -> dict[str, float] | None:
        """Of both units, in square metres; None if no source gives it."""
        parts, timing = self._parts.area, self._parts.timing
        if parts is None or self._usual.arithmetic not in parts.mac:
            return None
        element = parts.mac[self._usual.arithmetic].value * parts.whole.value
        element *= parts.scale.value if parts.scale else 1.0
        return {"systolic array": timing.macs.value * element, "vector unit": timing.lanes.value * element}

    def _elementary(self, record: Record) -> dict[str, int]:
        """Counts of mac, multiply, add, compare and functions, with everything else expanded."""
        counts: dict[str, int] = {}
        for name, count in BY_KIND[record.kind].work(record.size).items():
            expansion = getattr(self._parts.expansions, name, None)
            parts = {name: 1} if expansion is None else expansion.model_dump(exclude={"because"})
            for part, times in parts.items():
                if times:
                    counts[part] = counts.get(part, 0) + count * times
        return counts

    def _operation(self, unit: str, format: str, name: str, count: float) -> Charge:  # noqa: A002
        table = self._parts.arithmetic.get(format)
        if table is not None:
            return charge(unit, count, getattr(table, name))
        missing = self._parts.compare.key.removesuffix("compare") + f"arithmetic.{format}.{name}"
        return Charge(unit, Price(missing, None), count)
