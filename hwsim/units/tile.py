"""Crossbar tiles: where matrices are, how they are read forward and transposed, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from hwsim.accounts.memory import MASTER, WEIGHTS
from hwsim.errors import CapabilityError, ConfigError
from hwsim.machine.holder import Weights, summed
from hwsim.machine.numerics import Pulses, Rounding
from hwsim.machine.parameters import NOTHING, Matrix
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Register, Storage
from hwsim.operations import Held, Operation, held, moves, quantise, total, unequal
from hwsim.operations.noise import Source
from hwsim.operations.reductions import peak
from hwsim.operations.wiring import chop
from hwsim.physics import DataSheet
from hwsim.streams import Draws, generator, numbered
from hwsim.units import coloured, one_way, own, pulsed, shared, slices, stuck, trains
from hwsim.units import devices as physical
from hwsim.units.compensation import Compensation
from hwsim.units.converter import Converters
from hwsim.units.devices import Cut, Devices
from hwsim.units.mapping import PERCENTILE, Mapping, OneWay, Referenced, headroom, levels, mapping
from hwsim.units.periphery import Periphery
from hwsim.units.tile_reads import TileReads
from hwsim.units.tiles import Tiles
from hwsim.units.unit import AnalogStage

_STREAMS = "row trains", "column trains", "noise of pulses", "noise of writing"
"""Of fresh draws while devices are pulsed."""


class TileArray(Weights):
    """The tiles of one matrix; what a host multiplies with is the master values.

    Attributes:
        devices: of the matrix.
        name: of the unit in records.
        leaks: whether devices leak.
        layer: that it is part of.
        renews: whether pairs of devices are renewed.
    """

    def __init__(
        self,
        machine: AnalogStage,
        matrix: Matrix,
        options: Tiles,
        sheets: Sequence[DataSheet],
        periphery: Periphery,
        converters: Converters,
        rounding: Rounding | None,
    ) -> None:
        super().__init__(matrix, rounding)
        self._machine, self._options = machine, options
        self.name, self.layer = f"{matrix.name} tiles", matrix.trainable.layer
        self._streams = [Source(machine.seed, f"{matrix.name} {what}", machine.numbers) for what in _STREAMS]
        run, sheet = machine.numerics.run, sheets[0]  # chips differ in errors alone
        self.whole = sheet.update is not None
        self._matrix, self.leaks = matrix, any(each.leak is not None for each in sheets)
        cut = options.slices
        self.renews = sheet.update is not None and sheet.update.one_way
        does: Any = one_way if self.renews else pulsed if self.whole else physical
        self._program = run((shared if options.shares else does if cut is None else slices).PROGRAM)
        self._count, self._apply = run(does.COUNT), run(does.PULSE)
        bits = (2 * (levels(sheet, options.shifted) if cut is None else cut.most)).bit_length()
        chips, (rows, columns) = machine.chips, matrix.shape
        held_at = shared.size_of(rows, columns, (options.rows, options.columns), options.shifted)
        self._conductance = Storage(
            machine,
            f"{matrix.name} devices",
            WEIGHTS,
            held_at,
            machine.numerics.zeros((chips, options.devices_per_weight, *held_at), np.dtype(float)),
            shared=True,
            bits=bits,
            technology=sheet.name,
            devices=options.devices_per_weight,
            volatile=False,
        )
        unknown = machine.numerics.unknown((chips, 1, rows * columns), machine.dtype)
        size = None if matrix.trainable.kept else NOTHING
        self._steps = Register(machine, f"{matrix.name} steps", MASTER, unknown, shared=True, bits=bits, size=size)
        self.mapping = self._mapped(matrix, sheet)
        self.devices: Devices = self._made(matrix, sheets)
        if options.wires is not None and options.wires.solution != "off" and options.wires.ohms:
            self.devices.through = options.wires, options.rows, options.columns
        drawn = self._drawn(matrix.name, "devices")
        run(stuck.BESET)(self.devices, sheets, drawn)
        run(own.GIVE)(self.devices, sheets, options.reach, drawn)
        self._kept = run(physical.KEPT)(self.devices)
        self._colour(sheet)
        own_converters = periphery.converter is not None
        self.reads = TileReads(machine, matrix, options, self.devices, converters, own_converters, self.name)
        self.takes_numbers = self.reads.takes_numbers

    def _mapped(self, matrix: Matrix, sheet: DataSheet) -> Mapping:
        """How devices hold the weights."""
        options, largest = self._options, matrix.largest
        if options.percentile is not None:
            numerics = self._machine.numerics
            start = numerics.drawn(matrix.trainable.initial)
            largest = numerics.run(PERCENTILE)(start, options.percentile)
        if options.slices is not None:
            return slices.sliced(sheet, largest, options.weight_range, options.reach, options.slices)
        if options.shares:
            how, lines = (options.mapping, options.parallel), (options.rows, options.columns)
            return shared.shared(sheet, largest, options.weight_range, options.reach, how, lines)
        w_max = headroom(sheet, options.weight_range) * largest or 1.0
        return mapping(sheet, w_max, options.reach)

    def wait(self, name: str, seconds: float, compensated: bool = False) -> None:
        """Let the devices drift for so long, and read on with them, until `unwait`.

        Args:
            name: of the matrix.
            seconds: since devices were written. Noise that has a memory goes on from where it is, for as long.
            compensated: whether outputs are multiplied by what all devices conducted together before the wait, over
                what they conduct after it: one factor for the matrix, from one read before and one after. There must
                be words for it, see `begin_compensation`.
        """
        machine = self._machine
        draws = partial(machine.numerics.generators, machine.seed, machine.numbers, name)
        self._young()
        before = self.devices.current(draws("current before a wait")) if compensated else np.zeros(0)
        self.devices.wait(seconds, draws("drift"))
        if self.devices.coloured is not None:
            self.devices.coloured.wait(
                seconds,
                machine.numerics.generators(machine.seed, machine.numbers, name, "noise after a wait", repr(seconds)),
            )
        if compensated:
            after = self.devices.current(draws("current after a wait"))
            assert self.reads.compensation is not None
            factor = before / np.maximum(after, np.finfo(float).tiny)
            self.reads.compensation.factor.value = factor.astype(machine.dtype)[:, None, None]
        self.reads.forget()

    def begin_compensation(self) -> None:
        """Have words for what all devices conduct together before a wait, and for the factor, until `unwait`."""
        self.reads.compensation = Compensation.made(self._machine, self._matrix.name)

    def read_all(self, waited: bool) -> None:
        """Enter one read of all devices with all inputs at full scale, and what is made of it in numbers.

        Outputs are converted and summed. Before the wait the sum is kept; after it, the factor is made and kept. Values
        are those of `wait`.
        """
        machine, devices, words = self._machine, self.devices, self.reads.compensation
        assert words is not None
        rows, columns = self._matrix.shape
        machine.measure(devices.conductance.sum((1, 2, 3), dtype=float), *self.reads.once)
        head, made = machine.analog_heads[held.read, self.name], np.ones((machine.chips, 1, rows), machine.dtype)
        current = total(machine.digital(machine.emit_analog(head, made, (), machine.full_scale, (rows, columns))))
        if waited:
            words.factor.store(words.before.load() / current)
        else:
            words.before.store(current)

    def unwait(self) -> None:
        """Have the devices as they were before the wait, and forget its compensation."""
        self._young()
        if self.reads.compensation is not None:
            self.reads.compensation.release()
            self.reads.compensation = None

    def _young(self) -> None:
        self.devices.unwait()
        if self.devices.coloured is not None:
            self.devices.coloured.unwait()
        self.reads.forget()

    def _made(self, matrix: Matrix, sheets: Sequence[DataSheet]) -> Any:
        """The devices; those with a law of updates have their states apart from what conducts."""
        machine, name = self._machine, matrix.name
        run = machine.numerics.run
        if self._options.slices is not None:
            return run(slices.MAKE)(self.mapping, self._conductance.value, sheets)
        if isinstance(self.mapping, shared.Shared):
            keys = shared.keys_of(machine.seed, numbered(machine.numbers), name)
            return run(shared.MAKE)(self.mapping, self._conductance.value, sheets, matrix.shape, keys)
        if not isinstance(self.mapping, Referenced):
            return run(physical.MAKE)(self.mapping, self._conductance.value, sheets)
        each = (2, *matrix.shape) if self.renews else matrix.shape
        drawn = self._drawn(name, "answer to pulses")
        zeros = machine.numerics.zeros((machine.chips, *each), np.dtype(float))
        self._states = Storage(machine, f"{name} states", WEIGHTS, NOTHING, zeros, shared=True)  # of the same devices
        make: Any = one_way.MAKE if self.renews else pulsed.MAKE
        return run(make)(self.mapping, self._conductance.value, sheets, self._states.value, drawn)

    def _colour(self, sheet: DataSheet) -> None:
        """Have the read noise of devices the memory that their data sheet says."""
        if sheet.colour is None:
            return
        machine, run, what = self._machine, self._machine.numerics.run, f"{self._matrix.name} noise with memory"
        chips, *each = self._conductance.value.shape
        shape = chips, sheet.colour.count, *each
        start = run(coloured.START)(sheet.colour, shape, self._drawn(self._matrix.name, "noise with memory"))
        self._signals = Storage(machine, what, WEIGHTS, NOTHING, start, shared=True)
        self._fluctuation = Source(machine.seed, what, machine.numbers)
        run(coloured.GIVE)(self.devices, sheet.colour, self._signals.value)

    def _drawn(self, name: str, of: str) -> Draws:
        """Streams of the numbers of each device."""
        seed, numbers = self._machine.seed, numbered(self._machine.numbers)
        return lambda chip, purpose: generator(seed, f"chip {numbers[chip]}", name, of, purpose)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix."""
        return self._matrix.shape

    def programmed(self, matrix: Matrix) -> np.ndarray:
        """The weights that the devices really hold."""
        return self.devices.weights

    def program(self, matrix: Matrix) -> None:
        """Write the devices whose target has moved; how many is measured.

        The digital unit finds the step of each target, compares it with the one that was programmed, and keeps it.
        """
        machine, mapping = self._machine, self.mapping
        target = matrix.trainable.master.load()
        wanted = machine.carry_out(quantise, target, mapping.clipped_at, mapping.furthest, mapping.unit)
        before = self._steps.load()
        moved = machine.two(unequal, wanted, before)
        self._steps.store(wanted)
        place = f"{machine.sequencer.batch_number}", f"{machine.sequencer.sweep_number}"
        draws = machine.numerics.generators(machine.seed, machine.numbers, matrix.name, "programming", *place)
        words = machine.see(wanted), machine.see(before), machine.see(moved)
        written, conductance = self._program(self.devices, *words, draws)
        self.reads.forget()
        machine.devices.written += written
        machine.measure(written, conductance)
        head = machine.analog_heads[moves.program, self.name]
        machine.note(head, (0, 0, *matrix.shape), (wanted._slot, before._slot, moved._slot), self._conductance.name)
        self.take(matrix)

    def pulse(self, matrix: Matrix, change: Signal, factor: float) -> None:
        """Give each device a train of its own, row after row; the numbers of pulses come from the digital unit."""
        machine = self._machine
        x = machine.digital(change)
        self._pulse_devices(matrix, moves.pulse, (x,), factor)
        if matrix.trainable.kept:
            super().pulse(matrix, x, factor)

    def pulse_outer(self, matrix: Matrix, error: Signal, x: Signal, factor: float) -> None:
        """Give all devices their trains at once, from the voltages on the lines of rows and columns."""
        machine = self._machine
        self._pulse_devices(matrix, moves.pulse_outer, (machine.analog(error), machine.analog(x)), factor)
        if matrix.trainable.kept:
            super().pulse_outer(matrix, error, x, factor)

    def chopped(self, x: Signal, signs: Register) -> Signal:
        """A signal behind the choppers of the drivers, which swap the two lines of a pair where a bit says so."""
        machine = self._machine
        x, bits = machine.analog(x), signs.load()
        value = machine.compute(machine.functions[chop], (x, bits))
        head = machine.analog_heads[chop, f"{self.name}, choppers"]
        return machine.emit_analog(head, value, (x._slot, bits._slot), x._full_scale)

    def pulse_column(self, matrix: Matrix, change: Signal, place: Signal, factor: float) -> None:
        """Give the devices of one column their trains at once.

        Random trains come from the voltages on the lines; whole numbers of pulses come from the digital unit.
        """
        machine, pulses = self._machine, matrix.trainable.pulses
        on_lines = machine.analog if pulses is not None and pulses.random else machine.digital
        operands = on_lines(change), on_lines(place)
        self._pulse_devices(matrix, moves.pulse_outer, operands, factor, 1 / matrix.shape[1])

    def _pulse_devices(
        self, matrix: Matrix, operation: Operation, operands: tuple[Signal, ...], factor: float, share: float = 1.0
    ) -> None:
        """Pulse devices at the end of the step.

        Args:
            share: of them that can get a pulse at all, which an estimate cannot see.
        """
        if self._options.slices is not None:
            raise slices.no_pulses(matrix.name)
        if self._options.shares:
            raise shared.no_pulses(matrix.name)
        machine, pulses, known = self._machine, matrix.trainable.pulses, operands
        if pulses is not None and pulses.random and operation is moves.pulse_outer:
            change, known = self._met(operands, factor, pulses)
        else:
            change = machine.numerics.change(summed(machine, matrix.shape, *operands), factor, pulses)
        machine.holdings.watch(matrix.trainable.master, change)
        counted, conductance = self._count(self.devices, change, pulses)
        if not machine.numerics.exact:
            counted, conductance = share * counted, share * conductance
        machine.devices.written += counted
        machine.measure(counted, conductance)
        size = (1 if pulses is None else pulses.most, *matrix.shape)
        head, reads = machine.analog_heads[operation, self.name], tuple(each._slot for each in known)
        machine.note(head, (0, 0, *size), reads, self._conductance.name)
        noise: tuple[Any, ...] = ()
        if isinstance(self.mapping, Referenced):
            streams = self._streams[2:]
            noise = tuple(map(machine.sequencer.moment, streams)), tuple(each.keys for each in streams)
        machine.holdings.change_later(partial(self._change_devices, matrix, change, noise))

    def _met(
        self, operands: tuple[Signal, ...], factor: float, pulses: Pulses
    ) -> tuple[np.ndarray, tuple[Signal, ...]]:
        """What an outer product changes the weights by where its signals are trains of pulses on the lines.

        Trains are chosen by the largest size of each signal, which comparators on its lines find.

        Returns:
            Changes, and the signals with their largest sizes.
        """
        machine, streams = self._machine, self._streams[:2]
        moments = [machine.sequencer.moment(each) for each in streams]
        peaks = [self._peak(x, side) for x, side in zip(operands, ("rows", "columns"), strict=True)]
        values, largest = map(machine.see, operands), tuple(machine.see(each)[..., 0] for each in peaks)
        keys = tuple(each.keys for each in streams)
        met: np.ndarray = machine.numerics.run(trains.MEET)(*values, factor, pulses, largest, keys, moments[0])
        return met, (*operands, *peaks)

    def _peak(self, x: Signal, side: str) -> Signal:
        """The largest size of a signal on the lines of one side."""
        machine = self._machine
        value = machine.compute(machine.functions[peak], (x,))
        head = machine.analog_heads[peak, f"{self.name}, {side}"]
        return machine.emit_analog(head, value, (x._slot,), 0.0, x._value.shape[2:])  # no converter ever meets it

    def _change_devices(self, matrix: Matrix, change: np.ndarray, noise: tuple[Any, ...]) -> None:
        """Let pulses reach the devices."""
        self._follow(matrix, self._apply(self.devices, change, matrix.trainable.pulses, *noise))

    def leak(self, seconds: float) -> None:
        """Let devices that leak do so for so long."""
        if self.leaks:
            self._follow(self._matrix, self._machine.numerics.run(pulsed.LEAK)(self.devices, seconds))

    def fluctuate(self, seconds: float) -> None:
        """So long has passed: read noise that has a memory goes on."""
        noise, machine = self.devices.coloured, self._machine
        if noise is not None:
            moments = [machine.sequencer.moment(self._fluctuation) for _ in range(noise.colour.count)]
            noise.advance(seconds, coloured.counted(self._fluctuation.keys, moments))
            self.reads.forget()

    def _follow(self, matrix: Matrix, weights: np.ndarray) -> None:
        """Read on with other weights; where nothing else holds them, they are the master values."""
        machine, trainable = self._machine, matrix.trainable
        self.reads.forget()
        if not trainable.kept:
            trainable.master.value = weights.reshape(trainable.master.value.shape).astype(machine.dtype)
            machine.holdings.watch(trainable.master, trainable.master.value)
            self.take(matrix)

    def renew(self, matrix: Matrix) -> None:
        """In a phase: reset the pairs that are worn, and write their differences anew."""
        machine, mapping = self._machine, self.mapping
        assert isinstance(mapping, OneWay)
        place = f"{machine.sequencer.batch_number}", f"{machine.sequencer.sweep_number}"
        draws = machine.numerics.generators(machine.seed, machine.numbers, matrix.name, "renewal", *place)
        weights, counted, conductance = machine.numerics.run(one_way.RENEW)(self.devices, draws)
        machine.devices.written += counted
        machine.measure(counted, conductance)
        head = machine.analog_heads[moves.renew, self.name]
        machine.note(head, (0, 0, mapping.most_pulses, *matrix.shape), (), self._conductance.name)
        self._follow(matrix, weights)

    def pulse_of(self, levels: int | None, matrix: Matrix) -> float:
        """What one of so many pulses from zero to the largest weight changes a weight by; by default one step.

        Raises:
            ConfigError: `levels` is given, and the data sheet says how large a pulse is.
            CapabilityError: devices answer to pulses by a law, and a host keeps the weights as numbers; or weights are
                in slices, where no pulse of one device is a step of a weight; or they have other devices than pairs.
        """
        if self._options.slices is not None:
            raise slices.no_pulses(matrix.name)
        if self._options.shares:
            raise shared.no_pulses(matrix.name)
        if not isinstance(self.mapping, Referenced):
            return self.mapping.w_max / (levels or self.mapping.levels)
        sheet = self.mapping.sheet
        if levels is not None:
            raise ConfigError(
                f"training.update: `update.step` of {sheet.name} says how large a pulse is; leave out `levels`"
            )
        if matrix.trainable.kept:
            raise CapabilityError(
                f"{matrix.name}: devices of {sheet.name} answer to pulses by a law, and the host would keep weights "
                "that answer linearly; take `attached: nothing`, or training.update: {name: accumulate}"
            )
        return self.mapping.pulse

    def wants(self, operation: Held, x: Signal) -> bool:
        """Whether it carries out the product: always, whatever the signal's domain."""
        return True

    def apply(self, operation: Held, matrix: Matrix, x: Signal) -> Signal:
        """A product, forward or transposed."""
        return self.reads.apply(operation, matrix, x)

    def cut(self, transposed: bool) -> Cut:
        """What all devices read with, of a matrix that is on one tile."""
        return self.reads.whole(transposed)
