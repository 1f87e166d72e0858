"""Pulses for the devices of tiles: from the signals of a change of weights to trains, records, and devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hwsim.errors import CapabilityError, ConfigError
from hwsim.machine.holder import summed
from hwsim.machine.numerics import Pulses
from hwsim.machine.parameters import Matrix
from hwsim.machine.shapes import Shapes
from hwsim.machine.signal import Signal
from hwsim.operations import Operation, moves
from hwsim.operations.noise import Source
from hwsim.operations.reductions import peak
from hwsim.units import shared, slices, trains
from hwsim.units.expected_pulses import expected
from hwsim.units.mapping import Referenced
from hwsim.units.tile_devices import TileDevices
from hwsim.units.tiles import Tiles
from hwsim.units.unit import AnalogStage

_STREAMS = "row trains", "column trains", "noise of pulses", "noise of writing"
"""Of fresh draws while devices are pulsed."""


class TilePulses:
    """Pulses for the devices of one matrix.

    Args:
        held: the devices.
        unit: name of the tiles in records.
    """

    def __init__(
        self,
        machine: AnalogStage,
        matrix: Matrix,
        options: Tiles,
        held: TileDevices,
        unit: str,
    ) -> None:
        self._machine, self._options, self._held, self._unit = machine, options, held, unit
        self._streams = [Source(machine.seed, f"{matrix.name} {what}", machine.numbers) for what in _STREAMS]

    def given(
        self, matrix: Matrix, operation: Operation, operands: tuple[Signal, ...], factor: float, share: float = 1.0
    ) -> Callable[[], np.ndarray]:
        """Enter pulses for a change of weights: that in `operands`, one for each weight or an outer product.

        Args:
            share: of devices that can get a pulse at all, which an estimate cannot see.

        Returns:
            What lets the pulses reach the devices, and gives the weights that these then hold.

        Raises:
            CapabilityError: weights are in slices, or have other devices than pairs.
        """
        self._require(matrix)
        machine, pulses, known = self._machine, matrix.trainable.pulses, operands
        if pulses is not None and pulses.random and operation is moves.pulse_outer:
            change, known = self._met(operands, factor, pulses)
        else:
            change = machine.numerics.change(summed(machine, matrix.shape, *operands), factor, pulses)
        machine.holdings.watch(matrix.trainable.master, change)
        counted, conductance = self._held.count(self._held.physical, change, pulses)
        if isinstance(machine.numerics, Shapes):
            outer, batch = operation is moves.pulse_outer, max(1, machine.episode.batch)
            each = share * expected(machine.numerics.expected, pulses, factor, matrix.trainable.group, outer, batch)
            counted, conductance = each * counted, each * conductance
        machine.devices.written += counted
        machine.measure(counted, conductance)
        size = (1 if pulses is None else pulses.most, *matrix.shape)
        head, reads = machine.analog_heads[operation, self._unit], tuple(each._slot for each in known)
        machine.note(head, (0, 0, *size), reads, self._held.storage.name)
        noise: tuple[Any, ...] = ()
        if isinstance(self._held.mapping, Referenced):
            streams = self._streams[2:]
            noise = tuple(map(machine.sequencer.moment, streams)), tuple(each.keys for each in streams)
        return partial(self._reach, matrix, change, noise)

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
        head = machine.analog_heads[peak, f"{self._unit}, {side}"]
        return machine.emit_analog(head, value, (x._slot,), 0.0, x._value.shape[2:])  # no converter ever meets it

    def _reach(self, matrix: Matrix, change: np.ndarray, noise: tuple[Any, ...]) -> np.ndarray:
        """Let pulses reach the devices."""
        weights: np.ndarray = self._held.pulse(self._held.physical, change, matrix.trainable.pulses, *noise)
        return weights

    def size_of(self, levels: int | None, matrix: Matrix) -> float:
        """What one of so many pulses from zero to the largest weight changes a weight by; by default one step.

        Raises:
            ConfigError: `levels` is given, and the data sheet says how large a pulse is.
            CapabilityError: devices answer to pulses by a law, and a host keeps the weights as numbers; or weights are
                in slices, where no pulse of one device is a step of a weight; or they have other devices than pairs.
        """
        self._require(matrix)
        mapping = self._held.mapping
        if not isinstance(mapping, Referenced):
            return mapping.w_max / (levels or mapping.levels)
        sheet = mapping.sheet
        if levels is not None:
            raise ConfigError(
                f"training.update: `update.step` of {sheet.name} says how large a pulse is; leave out `levels`"
            )
        if matrix.trainable.kept:
            raise CapabilityError(
                f"{matrix.name}: devices of {sheet.name} answer to pulses by a law, and the host would keep weights "
                "that answer linearly; take `attached: nothing`, or training.update: {name: accumulate}"
            )
        return mapping.pulse

    def _require(self, matrix: Matrix) -> None:
        if self._options.slices is not None:
            raise slices.no_pulses(matrix.name)
        if self._options.shares:
            raise shared.no_pulses(matrix.name)
