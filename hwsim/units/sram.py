"""Static memories: macros of CACTI 7 in banks, and the wires that lead to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import ceil, sqrt
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge, Leak, Price, charge
from hwsim.quantities import Constant, Count, EnergyPerBit, EnergyPerBitLength, Information, Power

WORD = 64
"""Bits that a bank moves in one access."""
TABLE = "sram_cacti7"
"""The table of macros; prices name its numbers by node, cell, size and column, since they have no key."""


class StaticMemory(BaseModel, extra="forbid"):
    """On-chip memories, in banks that work side by side."""

    node_nm: Annotated[Literal[22, 32, 45, 65], Field(description="technology node of the macros, in nm")]
    cell: Annotated[
        Literal["lstp", "hp"], Field(description="low standby power, or high performance, which leaks far more")
    ] = "lstp"
    bank: Annotated[
        Constant[Information],
        Field(description="of one macro; a memory has as many as it takes, each with a port of 64 bits of its own"),
    ]
    capacity: Annotated[
        Constant[Information],
        Field(
            description="of the memory for sequences (tape, kept inputs and targets, operands that wait); the rest "
            "goes off the chip. The memories for weights, gradients and states hold all that they have to"
        ),
    ]
    wire: Annotated[Constant[EnergyPerBitLength], Field(description="to move one bit along a wire between banks")]
    wires: Annotated[
        Constant[Count],
        Field(description="wire energy of an access, in multiples of one way from the middle of the memory to a bank"),
    ]
    scale: Annotated[
        Constant[Count] | None,
        Field(description="of the energies in CACTI's table: for a node that it does not have, and for their range"),
    ] = None
    leakage_scale: Annotated[Constant[Count] | None, Field(description="of the leakage in CACTI's table")] = None
    area_scale: Annotated[Constant[Count] | None, Field(description="of the area in CACTI's table")] = None


@dataclass(frozen=True)
class Macro:
    """One size of static memory.

    Attributes:
        bits: that it holds.
        read, write: energies in joules per bit.
        leakage: in watts.
        access: time for a 64-bit word, in seconds.
        area: in square metres.
    """

    bits: int
    read: float
    write: float
    leakage: float
    access: float
    area: float


@cache
def macros(node_nm: int, cell: str) -> tuple[Macro, ...]:
    """The macros with 64-bit words that CACTI gives for a node and cell type, smallest first."""
    found = []
    for node, kind, kib, width, read, write, leakage, access, area in _table()["rows"]:
        if (node, kind, width) == (node_nm, cell, WORD):
            joules = read * 1e-12 / WORD, write * 1e-12 / WORD
            found.append(Macro(kib * 8192, *joules, leakage * 1e-6, access * 1e-9, area * 1e-6))
    return tuple(found)


@cache
def _table() -> Any:
    return yaml.safe_load(resources.files(__package__).joinpath(f"{TABLE}.yaml").read_text("utf-8"))


@cache
def listed(macro: Macro, node_nm: int, cell: str, column: Literal["read", "write", "leakage"]) -> Constant[float]:
    """A number of the table as a constant, with its place there instead of a key; leakage of all sizes is one."""
    kind, sources = f"{TABLE} {node_nm} nm {cell}", {"cacti7": _table()["source"]}
    if column == "leakage":
        power = Constant[Power].model_construct(value=macro.leakage, source="cacti7")
        return power.at(f"{kind} leakage", sources, "by the size of banks")
    energy = Constant[EnergyPerBit].model_construct(value=getattr(macro, column), source="cacti7")
    return energy.at(f"{kind} {macro.bits >> 13} KiB {column}", sources)


@dataclass(frozen=True)
class Store:
    """A memory as it was sized.

    Attributes:
        name: what it is called.
        sram: what it is built of.
        macro: of each bank.
        banks: how many there are.
        outside: the share of what it holds that is off the chip.
    """

    name: str
    sram: StaticMemory
    macro: Macro
    banks: int
    outside: float

    @property
    def area(self) -> float:
        """Of all banks, in square metres."""
        return self.macro.area * self.banks * (self.sram.area_scale.value if self.sram.area_scale else 1.0)

    @property
    def seconds_per_bit(self) -> float:
        """All banks move words at the same time."""
        return self.macro.access / (WORD * self.banks) if self.banks else 0.0

    def access(self, way: Literal["read", "write"], bits: float) -> list[Charge]:
        """What moving so many bits in or out costs: the bank, and the wires to it if there are several."""
        charges = [
            charge(
                self.name, bits, listed(self.macro, self.sram.node_nm, self.sram.cell, way), *_known(self.sram.scale)
            )
        ]
        if self.banks > 1:
            distance = sqrt(self.area) / 2  # mean Manhattan distance from the middle of a square
            charges.append(charge(self.name, bits * distance, self.sram.wire, self.sram.wires))
        return charges

    def leak(self) -> list[Leak]:
        """The power that all banks draw all the time."""
        if not self.banks:
            return []
        scale = self.sram.leakage_scale
        power = self.macro.leakage * self.banks * (1.0 if scale is None else scale.value)
        each = Price.of(listed(self.macro, self.sram.node_nm, self.sram.cell, "leakage"), *_known(scale))
        return [Leak(self.name, each._replace(value=power))]


def sized(name: str, bits: int, sram: StaticMemory, limited: bool = False) -> Store:
    """The memory that holds so many bits, in as many banks as that takes.

    Args:
        limited: whether `sram.capacity` bounds what is on the chip.
    """
    inside = min(bits, int(sram.capacity.value)) if limited else bits
    choices = macros(sram.node_nm, sram.cell)
    largest = next((choice for choice in choices if choice.bits >= sram.bank.value), choices[-1])
    fitting = next((choice for choice in choices if choice.bits >= inside), largest)
    macro = min(fitting, largest, key=lambda choice: choice.bits)
    return Store(name, sram, macro, ceil(inside / macro.bits), 1 - inside / bits if bits else 0.0)


def _known(scale: Constant[float] | None) -> list[Constant[float]]:
    return [] if scale is None else [scale]
