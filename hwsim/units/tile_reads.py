"""Reads of crossbar tiles, forward and transposed: from the operand of a product to what comes out of all tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hwsim.machine.machine import vectors
from hwsim.machine.parameters import Matrix
from hwsim.machine.signal import Signal
from hwsim.operations import Held, add, held, moves, multiply
from hwsim.operations.noise import Source, of_chips
from hwsim.units import devices as physical
from hwsim.units import shared
from hwsim.units.compensation import Compensation
from hwsim.units.converter import Converters
from hwsim.units.devices import Cut, Devices
from hwsim.units.management import BOUNDED, Management, normalised
from hwsim.units.mapping import splits
from hwsim.units.read import READ
from hwsim.units.slice_reads import coded
from hwsim.units.tiles import Tiles
from hwsim.units.unit import AnalogStage, tally


@dataclass(slots=True, eq=False)
class Part:
    """The tiles on some input lines of a matrix, which are read together, one way.

    Attributes:
        key: the way of the read, forward or transposed, and the name of the tiles in records.
        transposed: whether it is transposed.
        lines: the input lines.
        alone: whether there are no others.
        size: rows and columns of the matrix that it has.
        cut: what it reads with; None since devices have changed.
    """

    key: tuple[Held, str]
    transposed: bool
    lines: slice
    alone: bool
    size: tuple[int, int]
    cut: Cut | None = None


class TileReads:
    """Reads of the tiles of one matrix.

    Args:
        own: whether tiles have converters of their own.
        unit: name of the tiles in records.

    Attributes:
        compensation: of drift, where outputs are multiplied by a factor: a voltage by a circuit of each output, whose
            own errors are left out, and a number by the digital unit.
        takes_numbers: whether an operand is scaled as a number before it is converted.
    """

    def __init__(
        self,
        machine: AnalogStage,
        matrix: Matrix,
        options: Tiles,
        devices: Devices,
        converters: Converters,
        own: bool,
        unit: str,
    ) -> None:
        self._machine, self._options, self._devices, self._unit = machine, options, devices, unit
        self._converters, self._own_converters, self._shape = converters, own, matrix.shape
        self._source = Source(machine.seed, f"{matrix.name} read", machine.numbers)
        self._coded = coded(machine, options)
        self._managed = options.management or Management()
        self.takes_numbers = self._managed.noise or self._managed.bound > 0
        run = machine.numerics.run
        self._read = run(READ) if self._coded is None else partial(self._coded.read, run(READ))
        self._cut = run((shared if options.shares else physical).CUT if self._coded is None else self._coded.cut)
        self._common, self._bounded, self._powers = run(shared.COMMON), run(BOUNDED), np.ones(0)
        self._shares, self._stays = options.shares, options.interface == "analog"
        self._parts: dict[Held, list[Part]] = {}
        self._known: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self.compensation: Compensation | None = None

    # ---- signals ---------------------------------------------------------------------------------------------

    def apply(self, operation: Held, matrix: Matrix, x: Signal) -> Signal:
        """A product, forward or transposed; tiles side by side are summed as numbers."""
        machine = self._machine
        if self._managed.noise and not x._analog:
            scaled, size = normalised(machine, x)
            return machine.two(multiply, self._product(operation, matrix, scaled), size)
        return self._product(operation, matrix, x)

    def _product(self, operation: Held, matrix: Matrix, x: Signal) -> Signal:
        """The sum of the reads of all parts, compensated."""
        machine, group = self._machine, matrix.trainable.group
        parts, number = self._parts.get(operation) or self._parted(operation), None
        if not x._analog:
            if self._managed.bound and not parts[0].transposed:
                number = x
            x = machine.analog(x)
        if self._coded is not None:
            self._coded.arrives(x)
        signal = self._converted(parts[0], x, group, number)
        if len(parts) > 1:
            signal = machine.digital(signal)
            for part in parts[1:]:
                signal = machine.two(add, signal, machine.digital(self._converted(part, x, group, number)))
        return signal if self.compensation is None else self.compensation.applied(signal, self._unit)

    def _converted(self, part: Part, x: Signal, group: str, number: Signal | None) -> Signal:
        """What comes out of a part: as it is, or as numbers, by the converters of the tile or of the chip.

        Args:
            number: what stands behind x, if the read is repeated with halved inputs where outputs saturate.
        """
        signal, unit = self._outputs(part, x, group, number), part.key[1]
        if self._stays:
            return signal
        if number is None:
            return self._digital(signal, unit)
        factor = self._halvings(signal, unit)
        return self._machine.two(multiply, self._digital(signal, unit), factor)

    def _digital(self, signal: Signal, unit: str) -> Signal:
        """Outputs as numbers."""
        if self._coded is not None and self._coded.split:
            parts = self._converters.carry_out(moves.part_adc, signal, unit)
            return self._coded.joined(parts, unit, self._devices.mapping)
        if self._own_converters:
            return self._converters.carry_out(moves.tile_adc, signal, unit)
        return self._machine.digital(signal)

    def _halvings(self, signal: Signal, unit: str) -> Signal:
        """What the latest read of a part is to be multiplied by, a power of two that counters beside it hold."""
        machine = self._machine
        value = machine.compute(lambda _: self._powers, (signal,))
        return machine.emit(machine.heads[moves.halvings, unit], value, (signal._slot,))

    def _outputs(self, part: Part, x: Signal, group: str, number: Signal | None) -> Signal:
        """The outputs of a part, with its record."""
        machine, v = self._machine, x._value
        head = machine.analog_heads[part.key]
        own = None if self._coded is None else self._coded.limit(part.transposed)
        limit = machine.scales.of(head, (x,), group) if own is None else own
        operands, reads = ((x,), (x._slot,)) if number is None else ((x, number), (x._slot, number._slot))
        y = machine.compute(partial(self._values, part, x._full_scale or 1.0, limit), operands)
        size = part.size if v.ndim == 3 else (*v.shape[2:-1], *part.size)
        return machine.emit_analog(head, y, reads, limit, size)

    # ---- values ----------------------------------------------------------------------------------------------

    def _values(
        self, part: Part, scale: Any, limit: Any, x: np.ndarray, number: np.ndarray | None = None
    ) -> np.ndarray:
        """What a part gives for inputs of full scale `scale`; its inputs are all of the wires if it is alone.

        A captured step asks for the part rather than for what it reads with: devices change between steps where they
        leak, or where noise has a memory.
        """
        machine, scale, limit = self._machine, +scale, +limit
        cut, v = part.cut or self._renewed(part), x if x.ndim == 3 else vectors(x)
        if not part.alone:
            v = machine.numerics.contiguous(v[..., part.lines])
        noise, end = self._errors(limit)
        if number is None:
            y, drawn, beyond = self._read_once(cut, scale, noise, end, v, self._moment(cut))
            machine.measure(drawn, *(() if part.transposed else self.once))
        else:
            read, numbers = partial(self._read_once, cut, scale, noise, end), vectors(number)
            y, beyond = self._repeated(cut, read, limit, scale, v, numbers if part.alone else numbers[..., part.lines])
            self._powers = self._powers.reshape(*x.shape[:-1], 1)
        tally(machine, "analog", self._unit, y.size, beyond)
        if self._coded is not None and self._coded.split:
            return y.reshape(*x.shape[:-1], -1, y.shape[-1])
        return y if x.ndim == 3 else y.reshape(*x.shape[:-1], -1)

    def _read_once(
        self, cut: Cut, scale: Any, noise: np.ndarray, end: np.ndarray, v: np.ndarray, moment: Any
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Outputs for voltages, what devices draw, and how many outputs saturate."""
        if self._shares:
            cut, v = self._common(cut, v, moment)
        found: tuple[np.ndarray, np.ndarray, int] = self._read(
            self._devices.noisy, cut, v, scale, noise, end, self._source, moment
        )
        return found

    def _repeated(
        self, cut: Cut, read: Callable[..., Any], limit: Any, scale: Any, v: np.ndarray, numbers: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """The same, read again with halved inputs where outputs saturate."""
        machine = self._machine
        convert = partial(self._converters.voltages, full_scale=scale)
        moments = [self._moment(cut) for _ in range(1 + self._managed.bound)]
        end = machine.reach * limit
        y, drawn, beyond, self._powers, more = self._bounded(read, convert, moments, v, numbers, end)
        machine.measure(drawn, more)
        return y, beyond

    @property
    def once(self) -> tuple[np.ndarray, ...]:
        """How many reads there are beyond the first, on each chip, of a read that is not repeated where others are."""
        return (np.zeros(self._machine.chips),) if self._managed.bound else ()

    def _moment(self, cut: Cut) -> Any:
        """That of the noise of a read; where inputs are coded, one for each of the devices that are read apart."""
        sequencer, source = self._machine.sequencer, self._source
        if self._coded is None:
            return sequencer.moment(source)
        return [sequencer.moment(source) for _ in cut.sides or (cut,)]

    def _errors(self, limit: Any) -> tuple[np.ndarray, np.ndarray]:
        """σ of the noise of outputs, and where they saturate, at this full scale: of each chip, or one for all."""
        known = self._known.get(limit) if limit.__class__ is float else None
        if known is None:
            known = of_chips(self._options.output_noise * limit), of_chips(self._machine.reach * limit)
            if limit.__class__ is float:
                self._known[limit] = known
        return known

    # ---- what is read with -----------------------------------------------------------------------------------

    def whole(self, transposed: bool) -> Cut:
        """What all devices read with, of a matrix that is on one tile."""
        operation = held.read_transposed if transposed else held.read
        (whole,) = self._parts.get(operation) or self._parted(operation)
        return whole.cut or self._renewed(whole)

    def _parted(self, operation: Held) -> list[Part]:
        """The matrix, cut into tiles by its input lines."""
        transposed, (rows, columns) = operation is held.read_transposed, self._shape
        split = splits(rows, self._options.rows) if transposed else splits(columns, self._options.columns)
        alone, side, parts = len(split) == 1, "row" if transposed else "column", []
        for place, lines in enumerate(split, 1):
            unit, inputs = self._unit if alone else f"{self._unit}, {side} {place}", lines.stop - lines.start
            size = (inputs, columns) if transposed else (rows, inputs)
            parts.append(Part((operation, unit), transposed, lines, alone, size))
        self._parts[operation] = parts
        return parts

    def _renewed(self, part: Part) -> Cut:
        """What a part reads with since devices have changed."""
        cut: Cut = self._cut(self._devices, part.transposed, part.lines)
        part.cut = cut
        return cut

    def forget(self) -> None:
        """Devices have changed: the next read asks them anew."""
        for parts in self._parts.values():
            for part in parts:
                part.cut = None
