"""A matrix in a feedback loop, which solves a linear system with it in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.errors import CapabilityError
from hwsim.machine.parameters import Matrix, Transposed
from hwsim.machine.signal import Signal


class Copy(Matrix):
    """A second unit that holds the parameters of a matrix: devices of their own, programmed to the same master values.

    Raises:
        CapabilityError: pulses change the parameters, and would not reach the copy.
    """

    def __init__(self, of: Matrix, name: str) -> None:
        if of.machine.pulsed:
            raise CapabilityError(
                f"{name}: pulses change {of.name} in place and do not reach its copy; take parts.solver.array: shared, "
                "or training.update: {name: accumulate}"
            )
        self.machine, self.name, self.trainable = of.machine, name, of.trainable
        self.shape, self.largest = of.shape, of.largest
        self.T = Transposed(self)
        self.unit: Any = self.machine.place_matrix(self)
        self.machine.units.append(self)


class FeedbackLoop:
    """Solves (diag(k) + Wᵀ diag(φ)) y = v for y in one operation, with the devices of W between amplifiers.

    Attributes:
        matrix: W, square.
        kept: k, one number for each row.
        unit: that solves.
    """

    def __init__(self, matrix: Matrix, kept: Sequence[float]) -> None:
        self.machine, self.matrix, self.kept = matrix.machine, matrix, tuple(kept)
        self.unit: Any = self.machine.place_loop(self)

    def solve(self, slope: Signal, v: Signal) -> Signal:
        """y, from φ and v.

        Raises:
            UnstableLoopError: an eigenvalue of what is fed back has no positive real part.
        """
        signal: Signal = self.unit.solve(slope, v)
        return signal

    def program(self) -> None:
        """In a phase: bring devices of its own, if there are any, to the master values of W."""
        self.unit.program()
