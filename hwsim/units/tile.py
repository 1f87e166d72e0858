"""The tiles of one matrix: how it is read, written, pulsed, and what it becomes as time passes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from hwsim.machine.holder import Weights
from hwsim.machine.numerics import Rounding
from hwsim.machine.parameters import Matrix
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Register
from hwsim.operations import Held, Operation, held, moves, quantise, total, unequal
from hwsim.operations.wiring import chop
from hwsim.physics import DataSheet
from hwsim.units import one_way, pulsed
from hwsim.units.compensation import Compensation
from hwsim.units.converter import Converters
from hwsim.units.devices import Cut
from hwsim.units.mapping import OneWay
from hwsim.units.periphery import Periphery
from hwsim.units.tile_devices import TileDevices
from hwsim.units.tile_pulses import TilePulses
from hwsim.units.tile_reads import TileReads
from hwsim.units.tiles import Tiles
from hwsim.units.unit import AnalogStage


class TileArray(Weights):
    """The tiles of one matrix; what a host multiplies with is the master values.

    Attributes:
        devices: of the matrix.
        mapping: how they hold the weights.
        reads: of the tiles.
        name: of the unit in records.
        layer: that it is part of.
        leaks: whether devices leak.
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
        self._machine, self._matrix = machine, matrix
        self.name, self.layer = f"{matrix.name} tiles", matrix.trainable.layer
        made = self._held = TileDevices(machine, matrix, options, sheets)
        self.devices, self.mapping = made.physical, made.mapping
        self.whole, self.renews, self.leaks = made.whole, made.renews, made.leaks
        own_converters = periphery.converter is not None
        self.reads = TileReads(machine, matrix, options, self.devices, converters, own_converters, self.name)
        self.takes_numbers = self.reads.takes_numbers
        self._pulses = TilePulses(machine, matrix, options, made, self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix."""
        return self._matrix.shape

    # ---- how it is read ------------------------------------------------------------------------------------------

    def wants(self, operation: Held, x: Signal) -> bool:
        """Whether it carries out the product: always, whatever the signal's domain."""
        return True

    def apply(self, operation: Held, matrix: Matrix, x: Signal) -> Signal:
        """A product, forward or transposed."""
        return self.reads.apply(operation, matrix, x)

    def cut(self, transposed: bool) -> Cut:
        """What all devices read with, of a matrix that is on one tile."""
        return self.reads.whole(transposed)

    # ---- how it is written ---------------------------------------------------------------------------------------

    def program(self, matrix: Matrix) -> None:
        """Write the devices whose target has moved; how many is measured.

        The digital unit finds the step of each target, compares it with the one that was programmed, and keeps it.
        """
        machine, mapping = self._machine, self.mapping
        target = matrix.trainable.master.load()
        wanted = machine.carry_out(quantise, target, mapping.clipped_at, mapping.furthest, mapping.unit)
        before = self._held.steps.load()
        moved = machine.two(unequal, wanted, before)
        self._held.steps.store(wanted)
        place = f"{machine.sequencer.batch_number}", f"{machine.sequencer.sweep_number}"
        draws = machine.numerics.generators(machine.seed, machine.numbers, matrix.name, "programming", *place)
        words = machine.see(wanted), machine.see(before), machine.see(moved)
        written, conductance = self._held.program(self.devices, *words, draws)
        self.reads.forget()
        machine.devices.written += written
        machine.measure(written, conductance)
        head = machine.analog_heads[moves.program, self.name]
        machine.note(head, (0, 0, *matrix.shape), (wanted._slot, before._slot, moved._slot), self._held.storage.name)
        self.take(matrix)

    def programmed(self, matrix: Matrix) -> np.ndarray:
        """The weights that the devices really hold."""
        return self.devices.weights

    def pulse(self, matrix: Matrix, change: Signal, factor: float) -> None:
        """Give each device a train of its own, row after row; the numbers of pulses come from the digital unit."""
        machine = self._machine
        x = machine.digital(change)
        self._give(matrix, moves.pulse, (x,), factor)
        if matrix.trainable.kept:
            super().pulse(matrix, x, factor)

    def pulse_outer(self, matrix: Matrix, error: Signal, x: Signal, factor: float) -> None:
        """Give all devices their trains at once, from the voltages on the lines of rows and columns."""
        machine = self._machine
        self._give(matrix, moves.pulse_outer, (machine.analog(error), machine.analog(x)), factor)
        if matrix.trainable.kept:
            super().pulse_outer(matrix, error, x, factor)

    def pulse_column(self, matrix: Matrix, change: Signal, place: Signal, factor: float) -> None:
        """Give the devices of one column their trains at once.

        Random trains come from the voltages on the lines; whole numbers of pulses come from the digital unit.
        """
        machine, pulses = self._machine, matrix.trainable.pulses
        on_lines = machine.analog if pulses is not None and pulses.random else machine.digital
        operands = on_lines(change), on_lines(place)
        self._give(matrix, moves.pulse_outer, operands, factor, 1 / matrix.shape[1])

    def _give(
        self, matrix: Matrix, operation: Operation, operands: tuple[Signal, ...], factor: float, share: float = 1.0
    ) -> None:
        """Pulse devices at the end of the step; see `TilePulses.given`."""
        pulse = self._pulses.given(matrix, operation, operands, factor, share)
        self._machine.holdings.change_later(lambda: self._follow(matrix, pulse()))

    def pulse_of(self, levels: int | None, matrix: Matrix) -> float:
        """What one of so many pulses from zero to the largest weight changes a weight by; see `TilePulses.size_of`."""
        return self._pulses.size_of(levels, matrix)

    def chopped(self, x: Signal, signs: Register) -> Signal:
        """A signal behind the choppers of the drivers, which swap the two lines of a pair where a bit says so."""
        machine = self._machine
        x, bits = machine.analog(x), signs.load()
        value = machine.compute(machine.functions[chop], (x, bits))
        head = machine.analog_heads[chop, f"{self.name}, choppers"]
        return machine.emit_analog(head, value, (x._slot, bits._slot), x._full_scale)

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
        machine.note(head, (0, 0, mapping.most_pulses, *matrix.shape), (), self._held.storage.name)
        self._follow(matrix, weights)

    def _follow(self, matrix: Matrix, weights: np.ndarray) -> None:
        """Read on with other weights; where nothing else holds them, they are the master values."""
        machine, trainable = self._machine, matrix.trainable
        self.reads.forget()
        if not trainable.kept:
            trainable.master.value = weights.reshape(trainable.master.value.shape).astype(machine.dtype)
            machine.holdings.watch(trainable.master, trainable.master.value)
            self.take(matrix)

    # ---- as time passes ------------------------------------------------------------------------------------------

    def leak(self, seconds: float) -> None:
        """Let devices that leak do so for so long."""
        if self.leaks:
            self._follow(self._matrix, self._machine.numerics.run(pulsed.LEAK)(self.devices, seconds))

    def fluctuate(self, seconds: float) -> None:
        """So long has passed: read noise that has a memory goes on."""
        if self.devices.coloured is not None:
            self._held.fluctuate(seconds)
            self.reads.forget()

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
