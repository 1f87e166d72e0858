"""The units of a chip: what each operation costs, and which errors the unit makes that carries it out."""

from __future__ import annotations

from typing import Any

from hwsim.accounts.energy import Area, Charge, Leak, Occupied
from hwsim.accounts.passes import ONCE, Occurrence
from hwsim.machine.machine import UnitErrors
from hwsim.operations import BY_NAME, Operation, fire, held, integrate, moves
from hwsim.operations.circuits import advance
from hwsim.operations.feedback import solve_in_loop
from hwsim.records import ANALOG, Record
from hwsim.units.inverse import SolverPrices
from hwsim.units.multiplier import MultiplierPrices
from hwsim.units.processor import DigitalPrices
from hwsim.units.register import effective_bits
from hwsim.units.spiking import CIRCUIT, KINDS
from hwsim.units.tile_prices import TilePrices
from hwsim.units.unit import Free, Priced

WRITES = moves.program, moves.pulse, moves.pulse_outer, moves.renew
"""What writes devices, and measures how many writes there were and what conductances they met."""
MEASURED = {
    **dict.fromkeys((operation.kind for operation in WRITES), 2),
    **dict.fromkeys((operation.kind for operation in (held.read, held.read_transposed, advance, fire)), 1),
    solve_in_loop.kind: 1,
}
"""How many activities an analog unit measures as it carries out an operation of this kind; of others none."""
IN_TILES = moves.part_adc.kind, moves.halvings.kind
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
        self._tiles = TilePrices(
            parts.tiles, chip.periphery, chip.device, parts.dac.bits, parts.verify, parts.dac.conversion
        )
        self._functions = parts.functions
        multipliers = MultiplierPrices(parts.diagonals, parts.functions, chip.sharing)
        diagonals = (held.diagonal, held.conjugate_diagonal, held.inverse_diagonal)
        self.units: dict[str, Priced] = {
            **{operation.kind: self._tiles for operation in (held.read, held.read_transposed, *WRITES)},
            **{operation.kind: multipliers for operation in diagonals},
            **{operation.kind: Free() for operation in BY_NAME.values() if operation.wiring},
            moves.load.kind: Free(),
            moves.store.kind: parts.registers,
            moves.hold.kind: Free(),
            **({advance.kind: parts.neurons} if parts.neurons is not None else {}),
            moves.dac.kind: parts.dac,
            moves.adc.kind: parts.adc,
            moves.tile_adc.kind: Free(),
            moves.part_adc.kind: Free(),
            moves.halvings.kind: Free(),
        }
        if parts.spiking is not None:
            self.units |= dict.fromkeys(KINDS, parts.spiking)
        if parts.integrators is not None:
            self.units[integrate.kind] = parts.integrators

        if parts.solver is not None:
            self.units[solve_in_loop.kind] = SolverPrices(parts.solver, parts.tiles, parts.functions)

    def _unit(self, record: Record) -> Priced | None:
        """The analog unit that a record is of; None for the digital one."""
        if record.format != ANALOG and record.kind not in (*CONVERSIONS, *IN_TILES):
            return None
        return self.units.get(record.kind, self._functions)

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
        repeats = record.kind == held.read.kind and self._tiles.repeats
        return 0 if self._unit(record) is None else MEASURED.get(record.kind, 0) + bool(repeats)

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


def errors(chip: Any, operation: Operation, rounding: float, limit: float) -> UnitErrors:
    """The errors of the unit of a chip that carries an operation out, at signals of learning.

    Args:
        chip: options of the machine.
        rounding: of its digital unit.
        limit: full scale of signals of learning.
    """
    parts = chip.parts
    if operation in (held.read, held.read_transposed):
        return UnitErrors("tiles", limit * parts.tiles.output_noise, 0.0, 0.0, rounding)
    if operation is moves.store:
        return UnitErrors("registers", limit * parts.registers.noise, 0.0, 0.0, rounding)
    if operation is integrate or operation.circuit == CIRCUIT:
        own = "integrators" if operation is integrate else "spiking"
        made = getattr(parts, own)
        if made is None:
            return UnitErrors("arithmetic", 0.0, 0.0, 0.0, rounding)
        return UnitErrors(own, limit * made.noise, 0.0, made.mismatch, rounding)
    if isinstance(operation, held.Held) and operation.multiplier is not None:
        section, name = parts.diagonals, chip.sharing.multiplier(operation)
    elif operation.circuit is not None:
        section, name = parts.functions, operation.circuit
    else:
        return UnitErrors("arithmetic", 0.0, 0.0, 0.0, rounding)
    unit = getattr(section, name)
    return UnitErrors(name, limit * unit.noise, unit.gain_noise, unit.mismatch, rounding)


def resolution(parts: Any, bits: int) -> dict[str, int]:
    """Bits of ideal quantisers that are as noisy as tile outputs and registers; `bits` where there is no noise."""
    tile = effective_bits(parts.tiles.output_noise) or bits
    return {"tile output": min(parts.adc.bits, tile), "register": effective_bits(parts.registers.noise) or bits}
