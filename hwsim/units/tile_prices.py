"""What reads and writes of crossbar tiles cost: energy, time and area."""

from __future__ import annotations

from math import ceil, prod

from hwsim.accounts.energy import Charge, charge
from hwsim.operations import held, moves
from hwsim.physics import DataSheet
from hwsim.quantities import Constant, Energy
from hwsim.records import Record
from hwsim.units.periphery import Periphery
from hwsim.units.tiles import Tiles

PULSES = (moves.pulse.kind, moves.pulse_outer.kind)


class TilePrices:
    """What reads and writes cost.

    A read costs Σ V² G t for the inputs and conductances that it really had, and what the whole periphery of each tile
    draws meanwhile, used or not, once for each phase. Weights in slices are read transposed one slice after another:
    all phases are repeated for each, and a cell is on in those of its slice alone.

    Programming costs the pulses of the devices that were really written; its time is that of writing and verifying all
    lines of rows, one after another, since schedules do not depend on values. Each pulse costs what one of the data
    sheet costs; the time is that of the longest train, for each row if devices have trains of their own, once if the
    trains come from the lines of rows and columns.

    Args:
        bits: of the inputs.
        verify: to read a device once while it is programmed.
        dac: of one conversion of an input, which a repeated read takes again.

    Attributes:
        repeats: how often at most a forward read is repeated.
    """

    def __init__(
        self,
        tiles: Tiles,
        periphery: Periphery,
        sheet: DataSheet,
        bits: int,
        verify: Constant[Energy],
        dac: Constant[Energy] | None = None,
    ) -> None:
        self._dac = dac
        self.tiles, self.periphery, self.sheet, self._verify = tiles, periphery, sheet, verify
        self._phase = tiles.phase(bits)
        coded = tiles.encoding(bits)  # how often it is read to read it once, and how often all inputs are on in that
        self._phases = tiles.phases * (bits if periphery.bit_serial else 1) if coded is None else coded.reads
        self._on = self._phases if coded is None else 1
        self.repeats = 0 if tiles.management is None else tiles.management.bound

    def charges(self, record: Record) -> list[Charge]:
        if record.kind in PULSES:
            return self._pulses()
        if record.kind == moves.renew.kind:
            return self._renewal(record)
        return self._programming() if record.kind == moves.program.kind else self._reading(record)

    def seconds(self, record: Record) -> float:
        if record.kind in PULSES:
            longest, rows = record.size[-3:-1]
            return longest * (rows if record.kind == moves.pulse.kind else 1) * self.sheet.write.time.value
        if record.kind == moves.renew.kind:
            most, rows, columns = record.size[-3:]
            return rows * (most + 1) * self.sheet.write.time.value + 2 * columns * self._phase.value
        if record.kind == moves.program.kind:
            write = self.sheet.write
            tiles, rows = self.tiles, record.size[-2]
            lines = (rows + tiles.shifted * ceil(rows / tiles.rows)) * tiles.parallel * tiles.columns_per_output
            return lines * (write.duration + write.reads * self._phase.value)
        forward = record.kind == held.read.kind
        times = self._phases * self._turns(forward) * (1 + self.repeats * forward)
        return prod(record.size[:-2]) * times * self._phase.value

    def _turns(self, forward: bool) -> int:
        """How often a tile is read for one phase: transposed, the cells of weights in slices drive lines in turn."""
        return 1 if forward else self.tiles.columns_per_output

    def area(self, used: int) -> float | None:
        """Of so many tiles with their periphery, in square metres; None if no source gives it."""
        around = self.periphery.area
        if around is None:
            return None
        factor = 1.0 if self.tiles.scale is None else self.tiles.scale.area.value
        outputs, inputs = self.tiles.lines
        more = inputs * outputs * (self.tiles.parallel - 1) * around.cell.value  # in parallel
        return used * (around.of(inputs, outputs) + more) * factor

    def _reading(self, record: Record) -> list[Charge]:
        """A read, forward or transposed: the devices, and the periphery of all tiles that are read, used or not."""
        tiles, around, (rows, columns) = self.tiles, self.periphery, record.size[-2:]
        forward = record.kind == held.read.kind
        turns = self._turns(forward)
        used = ceil(rows / tiles.rows) * ceil(columns / tiles.columns)
        reads = prod(record.size[:-2]) * used * self._phases * turns
        lines_out, lines_in = tiles.lines
        inputs, outputs = (lines_in, lines_out) if forward else (lines_out, lines_in)
        converted = outputs - tiles.shifted if tiles.interface == "digital" else 0
        drawn = (
            ("tile control", around.fixed, 1),
            ("tile control", around.unexplained, 1),
            ("tile drivers", around.driver, inputs),
            ("tile outputs", around.output, outputs),
            ("adc", around.converter, converted),
            ("devices", around.cell, inputs * outputs // turns * tiles.parallel),  # those of the lines that are driven
        )
        factors = [] if tiles.scale is None else [tiles.scale.power]
        charges = [
            charge(component, reads * lines, power, self._phase, *factors)
            for component, power, lines in drawn
            if power is not None and lines and power.value
        ]
        if around.cell is None:
            factors = [tiles.voltage, tiles.voltage, self._phase]
            charges.append(charge("devices", self._on, *factors, activity=0))
        if forward and self.repeats:
            charges += self._repeated(charges, columns, prod(record.size[:-2]))
        return charges

    def _repeated(self, charges: list[Charge], columns: int, vectors: int) -> list[Charge]:
        """What the reads beyond the first take of a periphery, and of converters of inputs; how many is measured."""
        again = [each._replace(amount=each.amount / vectors, activity=1) for each in charges if each.activity is None]
        return again if self._dac is None else [*again, charge("dac", columns, self._dac, activity=1)]

    def _pulses(self) -> list[Charge]:
        """Pulses that devices get in training, without verifying reads."""
        write = self.sheet.write
        return [charge("pulses", 1.0, *write.pulse, activity=int(write.by_conductance))]

    def _renewal(self, record: Record) -> list[Charge]:
        """Resets and pulses, whose number is measured, and a read of each device; a reset is priced as a pulse."""
        write, (rows, columns) = self.sheet.write, record.size[-2:]
        return [
            charge("renewal", 1.0, *write.pulse, activity=int(write.by_conductance)),
            charge("renewal", 2 * rows * columns, self._verify),
        ]

    def _programming(self) -> list[Charge]:
        """Pulses and verifying reads of the devices written, whose number and conductance are measured."""
        write = self.sheet.write
        return [
            charge("programming", 1.0, *write.pulse, *write.rounds, activity=int(write.by_conductance)),
            charge("programming", 1.0, self._verify, *write.rounds, activity=0),  # each pulse has a verifying read
        ]
