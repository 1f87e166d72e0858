"""Holders: the units in which parameters are, as numbers; a crossbar tile and a bank of multipliers are others."""

from __future__ import annotations

from functools import partial

import numpy as np

from hwsim.accounts.memory import WEIGHTS
from hwsim.machine.numerics import Rounding
from hwsim.machine.parameters import Coefficients, Conjugate, Matrix, Trainable
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Storage
from hwsim.operations import jittered, largest, moves
from hwsim.records import Head

ROOM = 2.0
"""The largest weight that pulses reach where no devices bound it, as a multiple of the largest initial one."""


class Weights:
    """A matrix whose weights are its master values, in the format in which products take them.

    Pulses change the master values where they are: each is read, and written once a step.
    """

    whole = False
    """Whether what holds the weights takes whole pulses only."""
    renews = False
    """Whether what holds the weights has to be renewed now and then."""
    _shown: Storage | None = None
    """What products read where noise is added to the weights for a while."""

    def __init__(self, matrix: Matrix, rounding: Rounding | None) -> None:
        self._rounding = rounding
        self.take(matrix)

    def take(self, matrix: Matrix) -> None:
        """Have products take the master values from now on."""
        values = matrix.trainable.values
        matrix.take(values if self._rounding is None else self._rounding(values))
        matrix.disturbed = False
        if self._shown is not None:
            self._shown.value = matrix.weights

    def expect_noise(self, matrix: Matrix) -> None:
        """Make room for weights with noise, which `disturb` adds."""
        room = self._shown = self._room(matrix, f"{matrix.name} with noise")
        if room.value is not matrix.weights:  # it comes from a snapshot
            matrix.disturbed = bool((room.value != matrix.weights).any())
            matrix.take(room.value)

    def _room(self, matrix: Matrix, name: str) -> Storage:
        """A storage for what products read."""
        return Storage(matrix.machine, name, WEIGHTS, matrix.trainable.shape, matrix.weights, shared=True)

    def disturb(self, matrix: Matrix, deviation: float) -> None:
        """Have products read the master values with fresh normal noise, until they are programmed.

        Args:
            deviation: of the noise, as a share of the largest weight.
        """
        room, master = self._shown, matrix.trainable.master.load()
        assert room is not None
        room.port.overwrite(room, jittered(master, largest(master), f"{matrix.name} noise", deviation), self._rounding)
        matrix.take(room.value)
        matrix.disturbed = True

    def program(self, matrix: Matrix) -> None:
        """Bring the weights to the master values: here there is nothing to carry."""
        self.take(matrix)

    def pulse_of(self, levels: int | None, matrix: Matrix) -> float | None:
        """What one of so many pulses from zero to the largest weight, twice the first one, changes a weight by."""
        return None if levels is None else ROOM * (matrix.largest or 1.0) / levels

    def pulse(self, matrix: Matrix, change: Signal, factor: float) -> None:
        """Change each weight by a number of its own, at the end of the step."""
        machine = matrix.machine
        x = machine.digital(change)
        sums = summed(machine, matrix.trainable.shape, x)
        self._pulse(matrix, machine.heads[moves.pulse], (x,), sums, factor)

    def pulse_outer(self, matrix: Matrix, error: Signal, x: Signal, factor: float) -> None:
        """Change the weights by an outer product, at the end of the step."""
        machine = matrix.machine
        error, x = machine.digital(error), machine.digital(x)
        sums = summed(machine, matrix.trainable.shape, error, x)
        self._pulse(matrix, machine.heads[moves.pulse_outer], (error, x), sums, factor)

    def _pulse(self, matrix: Matrix, head: Head, reads: tuple[Signal, ...], sums: np.ndarray, factor: float) -> None:
        machine, trainable = matrix.machine, matrix.trainable
        change = machine.numerics.change(sums, factor, trainable.pulses)
        machine.note(head, (0, 0, *trainable.shape), tuple(each._slot for each in reads), trainable.master.name)
        machine.holdings.change_later(partial(self._change, matrix, change))

    def _change(self, matrix: Matrix, change: np.ndarray) -> None:
        change_master(matrix.trainable, change)
        self.take(matrix)

    def programmed(self, matrix: Matrix) -> np.ndarray:
        """The weights."""
        return matrix.weights


class WeightCopy(Weights):
    """A matrix whose weights are a copy of the master values in a narrower format, in a storage of its own."""

    def __init__(self, machine: Stage, matrix: Matrix, rounding: Rounding | None) -> None:
        super().__init__(matrix, rounding)
        self._copy = Storage(
            machine, f"{matrix.name} copy", WEIGHTS, matrix.trainable.shape, matrix.weights, shared=True
        )

    def _pulse(self, matrix: Matrix, head: Head, reads: tuple[Signal, ...], sums: np.ndarray, factor: float) -> None:
        super()._pulse(matrix, head, reads, sums, factor)
        machine, copy = matrix.machine, self._copy
        machine.note(machine.heads[copy.port.stores], (0, 0, *copy.size), (), copy.name)

    def _change(self, matrix: Matrix, change: np.ndarray) -> None:
        super()._change(matrix, change)
        self._copy.value = matrix.weights

    def _room(self, matrix: Matrix, name: str) -> Storage:
        """The copy is overwritten anyway, by each programming."""
        return self._copy

    def program(self, matrix: Matrix) -> None:
        copy = self._copy
        copy.port.overwrite(copy, matrix.trainable.master.load(), self._rounding)
        matrix.take(copy.value)
        matrix.disturbed = False


class Words:
    """Coefficients in a digital memory. Trained ones are their own master values, and conjugates need nothing."""

    def __init__(self, machine: Stage, coefficients: Coefficients) -> None:
        if coefficients.trained_themselves:
            coefficients.storage = coefficients.trainable.master
        elif isinstance(coefficients, Conjugate):
            coefficients.storage = coefficients.diagonal.storage
        else:
            width = coefficients.width
            empty = machine.numerics.zeros((machine.chips, 1, width), machine.dtype)
            coefficients.storage = Storage(machine, coefficients.name, WEIGHTS, (width,), empty, shared=True)

    def program(self, coefficients: Coefficients, values: Signal | None) -> None:
        """Set coefficients to `values`, or to their master values, which they have already."""
        if values is None or isinstance(coefficients, Conjugate):
            return
        coefficients.storage.port.overwrite(coefficients.storage, values)

    def pulse(self, coefficients: Coefficients, change: Signal, factor: float) -> None:
        """Change trained coefficients, at the end of the step."""
        change_coefficients(coefficients, change, factor)


# ---- changes at the end of a step ----------------------------------------------------------------------------


def summed(machine: Stage, shape: tuple[int, ...], *operands: Signal) -> np.ndarray:
    """A signal, or the outer product of two, summed over the batch, `(chips, *shape)`."""
    sums, values = machine.numerics.zeros((machine.chips, *shape), machine.dtype), map(machine.see, operands)
    (machine.numerics.add if len(operands) == 1 else machine.numerics.add_outer)(sums, *values)
    return sums


def change_master(trainable: Trainable, change: np.ndarray) -> None:
    """Change master values, and watch whether they stay finite."""
    machine, master = trainable.machine, trainable.master
    master.value = machine.numerics.changed(master.value, change, machine.round_updates)
    machine.holdings.watch(master, master.value)


def change_coefficients(coefficients: Coefficients, change: Signal, factor: float) -> None:
    """Change the master values of coefficients at the end of the step."""
    machine, trainable = coefficients.machine, coefficients.trainable
    x = machine.digital(change)
    changes = machine.numerics.change(summed(machine, trainable.shape, x), factor, None)
    machine.note(machine.heads[moves.pulse], (0, 0, *trainable.shape), (x._slot,), trainable.master.name)
    machine.holdings.change_later(partial(change_master, trainable, changes))
