"""The devices of one matrix on tiles, made by options and data sheets: their mapping, their kind, their storages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.accounts.memory import MASTER, WEIGHTS
from hwsim.machine.parameters import NOTHING, Matrix
from hwsim.machine.storage import Register, Storage
from hwsim.operations.noise import Source
from hwsim.physics import DataSheet
from hwsim.streams import Draws, generator, numbered
from hwsim.units import coloured, one_way, own, pulsed, shared, slices, stuck
from hwsim.units import devices as physical
from hwsim.units.devices import Devices
from hwsim.units.mapping import PERCENTILE, Mapping, Referenced, headroom, levels, mapping
from hwsim.units.tiles import Tiles
from hwsim.units.unit import AnalogStage


class TileDevices:
    """The devices of one matrix, and the storages that they are.

    Attributes:
        whole: whether they answer to pulses by a law, so that whole pulses alone change them.
        renews: whether they are pairs that pulses change one way, and that are renewed.
        leaks: whether they leak.
        program, count, pulse: what writes them, what counts the pulses that they get, and what pulses them.
        storage: their conductances.
        steps: of the weights that were programmed.
        mapping: how they hold the weights.
        physical: the devices themselves.
    """

    def __init__(self, machine: AnalogStage, matrix: Matrix, options: Tiles, sheets: Sequence[DataSheet]) -> None:
        self._machine, self._name, self._options = machine, matrix.name, options
        run, sheet = machine.numerics.run, sheets[0]  # chips differ in errors alone
        self.whole, self.leaks = sheet.update is not None, any(each.leak is not None for each in sheets)
        self.renews = sheet.update is not None and sheet.update.one_way
        does: Any = one_way if self.renews else pulsed if self.whole else physical
        programs = shared if options.shares else does if options.slices is None else slices
        self.program, self.count, self.pulse = run(programs.PROGRAM), run(does.COUNT), run(does.PULSE)
        self.storage, self.steps = self._storages(matrix, sheet)
        self.mapping = mapped(machine, matrix, options, sheet)
        self.physical: Devices = self._made(matrix, sheets)
        if options.wires is not None and options.wires.solution != "off" and options.wires.ohms:
            self.physical.through = options.wires, options.rows, options.columns
        drawn = self._drawn("devices")
        run(stuck.BESET)(self.physical, sheets, drawn)
        run(own.GIVE)(self.physical, sheets, options.reach, drawn)
        self._kept = run(physical.KEPT)(self.physical)
        self._colour(sheet)

    def _storages(self, matrix: Matrix, sheet: DataSheet) -> tuple[Storage, Register]:
        """Of conductances, and of the steps of weights."""
        machine, options, (rows, columns) = self._machine, self._options, matrix.shape
        most = levels(sheet, options.shifted) if options.slices is None else options.slices.most
        bits = (2 * most).bit_length()
        held_at = shared.size_of(rows, columns, (options.rows, options.columns), options.shifted)
        conductance = Storage(
            machine,
            f"{matrix.name} devices",
            WEIGHTS,
            held_at,
            machine.numerics.zeros((machine.chips, options.devices_per_weight, *held_at), np.dtype(float)),
            shared=True,
            bits=bits,
            technology=sheet.name,
            devices=options.devices_per_weight,
            volatile=False,
        )
        unknown = machine.numerics.unknown((machine.chips, 1, rows * columns), machine.dtype)
        size = None if matrix.trainable.kept else NOTHING
        steps = Register(machine, f"{matrix.name} steps", MASTER, unknown, shared=True, bits=bits, size=size)
        return conductance, steps

    def _made(self, matrix: Matrix, sheets: Sequence[DataSheet]) -> Any:
        """The devices; those with a law of updates have their states apart from what conducts."""
        machine, name, run = self._machine, matrix.name, self._machine.numerics.run
        if self._options.slices is not None:
            return run(slices.MAKE)(self.mapping, self.storage.value, sheets)
        if isinstance(self.mapping, shared.Shared):
            keys = shared.keys_of(machine.seed, numbered(machine.numbers), name)
            return run(shared.MAKE)(self.mapping, self.storage.value, sheets, matrix.shape, keys)
        if not isinstance(self.mapping, Referenced):
            return run(physical.MAKE)(self.mapping, self.storage.value, sheets)
        each = (2, *matrix.shape) if self.renews else matrix.shape
        drawn = self._drawn("answer to pulses")
        zeros = machine.numerics.zeros((machine.chips, *each), np.dtype(float))
        self._states = Storage(machine, f"{name} states", WEIGHTS, NOTHING, zeros, shared=True)  # of the same devices
        make: Any = one_way.MAKE if self.renews else pulsed.MAKE
        return run(make)(self.mapping, self.storage.value, sheets, self._states.value, drawn)

    def _colour(self, sheet: DataSheet) -> None:
        """Have the read noise of devices the memory that their data sheet says."""
        if sheet.colour is None:
            return
        machine, run, what = self._machine, self._machine.numerics.run, f"{self._name} noise with memory"
        chips, *each = self.storage.value.shape
        shape = chips, sheet.colour.count, *each
        start = run(coloured.START)(sheet.colour, shape, self._drawn("noise with memory"))
        self._signals = Storage(machine, what, WEIGHTS, NOTHING, start, shared=True)
        self._fluctuation = Source(machine.seed, what, machine.numbers)
        run(coloured.GIVE)(self.physical, sheet.colour, self._signals.value)

    def _drawn(self, of: str) -> Draws:
        """Streams of the numbers of each device."""
        seed, numbers = self._machine.seed, numbered(self._machine.numbers)
        return lambda chip, purpose: generator(seed, f"chip {numbers[chip]}", self._name, of, purpose)

    def fluctuate(self, seconds: float) -> None:
        """So long has passed: read noise that has a memory goes on."""
        noise, machine = self.physical.coloured, self._machine
        assert noise is not None
        moments = [machine.sequencer.moment(self._fluctuation) for _ in range(noise.colour.count)]
        noise.advance(seconds, coloured.counted(self._fluctuation.keys, moments))


def mapped(machine: AnalogStage, matrix: Matrix, options: Tiles, sheet: DataSheet) -> Mapping:
    """How devices hold the weights of a matrix."""
    largest = matrix.largest
    if options.percentile is not None:
        start = machine.numerics.drawn(matrix.trainable.initial)
        largest = machine.numerics.run(PERCENTILE)(start, options.percentile)
    if options.slices is not None:
        return slices.sliced(sheet, largest, options.weight_range, options.reach, options.slices)
    if options.shares:
        how, lines = (options.mapping, options.parallel), (options.rows, options.columns)
        return shared.shared(sheet, largest, options.weight_range, options.reach, how, lines)
    w_max = headroom(sheet, options.weight_range) * largest or 1.0
    return mapping(sheet, w_max, options.reach)
