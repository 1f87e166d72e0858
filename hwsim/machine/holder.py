"""Holders: the units in which parameters are, as numbers; a crossbar tile and a bank of multipliers are others."""

from __future__ import annotations

import numpy as np

from hwsim.accounts.memory import WEIGHTS
from hwsim.machine.numerics import Rounding
from hwsim.machine.parameters import Coefficients, Conjugate, Matrix
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Storage


class Weights:
    """A matrix whose weights are its master values, in the format in which products take them."""

    def __init__(self, matrix: Matrix, rounding: Rounding | None) -> None:
        self._rounding = rounding
        self.take(matrix)

    def take(self, matrix: Matrix) -> None:
        """Have products take the master values from now on."""
        values = matrix.trainable.values
        matrix.take(values if self._rounding is None else self._rounding(values))

    def program(self, matrix: Matrix) -> None:
        """Bring the weights to the master values: here there is nothing to carry."""
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

    def program(self, matrix: Matrix) -> None:
        copy = self._copy
        copy.port.overwrite(copy, matrix.trainable.master.load(), self._rounding)
        matrix.take(copy.value)


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
