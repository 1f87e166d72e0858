"""Memories: registers, a local buffer, static memories that are as large as they have to be, off-chip memory."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated

from pydantic import BaseModel, Field

from hwsim.accounts.blocking import Blocking
from hwsim.accounts.energy import Charge, Leak, charge
from hwsim.accounts.memories import BUFFER, MEMORIES, REGISTERS, SEQUENCE_MEMORY, Move
from hwsim.accounts.passes import Occurrence
from hwsim.operations import moves
from hwsim.quantities import Constant, EnergyPerBit, Information, Time
from hwsim.records import Record
from hwsim.units.sram import WORD, StaticMemory, Store, sized


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


class MemoryPrices:
    """Energy and time of what moves between memories, the local buffer and the multipliers.

    What products fetch follows from their sizes, the length of the pass and the sequences that are worked on together
    (`hwsim.accounts.traffic`), unless the dataflow types it in. Registers, tapes and kept inputs cost an access of the
    memory that holds them. The background power of off-chip memory is not modelled.

    Args:
        most: bits that each memory held at most, by its name; it is sized for them.
        word: bits of a number.
        widths: bits of a value of storages, by name, where they are not words.
        register_bit, clock: energy of a bit of a register, and the time of an access.
        sequences: that are worked on together.
    """

    def __init__(
        self,
        sram: StaticMemory,
        buffer: LocalBuffer,
        dram: DynamicMemory,
        most: Mapping[str, int],
        blocking: Blocking,
        word: int,
        widths: Mapping[str, int],
        registers: tuple[Constant[float], float],
        sequences: int,
    ) -> None:
        self.blocking, self._word, self._widths, self._dram = blocking, word, widths, dram
        (self._register_bit, self._clock), self._sequences = registers, sequences
        self.stores = {name: sized(name, most.get(name, 0), sram, limited=name == SEQUENCE_MEMORY) for name in MEMORIES}
        self.stores[BUFFER] = buffer.store(sram)

    def waiting(self, record: Record, where: Occurrence) -> list[Move]:
        """A result that waits for those of other steps, since a product takes them together, is written once."""
        if record.kind == moves.pop.kind or not self.blocking.waits(where):
            return []  # what comes off a tape is in that memory already
        return [Move(SEQUENCE_MEMORY, "write", float(record.values * self._word))]

    def moves(self, record: Record, where: Occurrence) -> list[Move]:
        """What moves for one sequence."""
        kind, waiting = record.kind, self.waiting(record, where)
        storage = str(record.writes if isinstance(record.writes, str) else next(iter(record.reads), ""))
        width = self._widths.get(storage, self._word)
        bits = float(prod(record.size) * width)
        if record.unit == REGISTERS:
            return [Move(REGISTERS, "read", bits), *waiting]
        if kind in READ:
            return [Move(record.unit, "read", bits), *waiting]
        if kind in WRITTEN:
            return [Move(record.unit, "write", bits)]
        fetched = [
            move._replace(amount=move.amount * (width if move.sums else move.bits or self._word))
            for move in self.blocking.moves(record, where)
            if move.amount
        ]
        return fetched + waiting

    def charges(self, moved: list[Move]) -> list[Charge]:
        """What moves cost."""
        charges = []
        for move in moved:
            if move.memory == REGISTERS:
                charges.append(charge("registers", move.amount, self._register_bit))
                continue
            store = self.stores[move.memory]
            accesses = store.access(move.way, move.amount * (1 - store.outside))
            if store.outside:
                outside = move.amount * store.outside
                accesses.append(charge("off-chip memory", outside, self._dram.energy))
            charges += [each.typed() for each in accesses] if move.assumed else accesses
        return charges

    def seconds(self, moved: list[Move]) -> dict[str, float]:
        """How long moves keep each memory busy, for all sequences that are worked on together."""
        busy: dict[str, float] = {}
        for move in moved:
            if move.memory == REGISTERS:
                seconds = self._clock
            else:
                store = self.stores[move.memory]
                outside = store.outside * self._dram.time.value / WORD
                each = (1 - store.outside) * store.seconds_per_bit + outside
                seconds = move.amount * self._sequences * each
            busy[move.memory] = busy.get(move.memory, 0.0) + seconds
        return busy

    def leakage(self) -> list[Leak]:
        """Power that static memories draw all the time."""
        return [leak for store in self.stores.values() for leak in store.leak()]

    def area(self) -> dict[str, float]:
        """Of static memories, in square metres; off-chip memory is not on the chip."""
        return {name: store.area for name, store in self.stores.items() if store.banks}


READ = tuple(operation.kind for operation in (moves.load, moves.pop, moves.get, moves.replay))
WRITTEN = tuple(operation.kind for operation in (moves.store, moves.push, moves.put, moves.keep))
