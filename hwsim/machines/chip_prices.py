"""What the operations of a chip cost: those of each unit by its own prices, the rest by the digital unit's."""

from __future__ import annotations

from typing import Any

from hwsim.accounts.energy import Area, Charge, Leak, Occupied
from hwsim.accounts.passes import ONCE, Occurrence
from hwsim.operations import BY_NAME, held, moves
from hwsim.records import ANALOG, Record
from hwsim.units.multiplier import MultiplierPrices
from hwsim.units.processor import DigitalPrices
from hwsim.units.tile import TilePrices
from hwsim.units.unit import Free, Priced

CONVERSIONS = tuple(operation.kind for operation in (moves.dac, moves.adc, moves.tile_adc))


class ChipPrices:
    """Energy and time of a chip's operations.

    Args:
        chip: options of the machine.
        digital: prices of the chip's digital unit.
        tiles: how many are in use.
        analog: whether there are other analog circuits than those of tiles.
    """

    def __init__(self, chip: Any, digital: DigitalPrices, tiles: int, analog: bool) -> None:
        parts, self.digital, self._used, self._analog = chip.parts, digital, tiles, analog
        self._periphery = chip.periphery.name
        self._tiles = TilePrices(parts.tiles, chip.periphery, chip.device, parts.dac.bits, parts.verify)
        self._functions = parts.functions
        multipliers = MultiplierPrices(parts.diagonals, parts.functions, chip.sharing)
        diagonals = (held.diagonal, held.conjugate_diagonal, held.inverse_diagonal)
        self._units: dict[str, Priced] = {
            **{operation.kind: self._tiles for operation in (held.read, held.read_transposed, moves.program)},
            **{operation.kind: multipliers for operation in diagonals},
            **{operation.kind: Free() for operation in BY_NAME.values() if operation.wiring},
            moves.load.kind: Free(),
            moves.store.kind: parts.registers,
            moves.dac.kind: parts.dac,
            moves.adc.kind: parts.adc,
            moves.tile_adc.kind: Free(),
        }

    def _unit(self, record: Record) -> Priced | None:
        """The analog unit that a record is of; None for the digital one."""
        if record.format != ANALOG and record.kind not in CONVERSIONS:
            return None
        return self._units.get(record.kind, self._functions)

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        unit = self._unit(record)
        if unit is None:
            return self.digital.charges(record, where)
        charges = unit.charges(record)
        if record.kind in CONVERSIONS:
            charges += self.digital.memory.charges(self.digital.memory.waiting(record, where))
        return charges

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        unit = self._unit(record)
        if unit is None:
            return self.digital.occupied(record, where)
        if record.kind in CONVERSIONS:
            memory = self.digital.memory
            return Occupied.of(unit.seconds(record), memory.seconds(memory.waiting(record, where)))
        return Occupied.of(unit.seconds(record))

    def activities(self, record: Record) -> int:
        if record.kind == moves.program.kind:
            return 2
        return int(self._unit(record) is self._tiles)

    def leakage(self) -> list[Leak]:
        return self.digital.leakage()

    def area(self) -> Area:
        """Of the tiles in use with their periphery, and of the digital unit."""
        digital, tiles = self.digital.area(), self._tiles.area(self._used)
        lacks = [digital.lacks] if digital.lacks else []
        parts = digital.parts
        if tiles is None:
            lacks.append(f"the periphery {self._periphery} does not say what it takes")
        else:
            parts = {"tiles": tiles, **parts}
        if self._analog:
            lacks.append("no source gives the area of analog registers, multipliers and function circuits")
        return Area(parts, "; ".join(lacks))
