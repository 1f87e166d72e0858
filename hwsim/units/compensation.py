"""Compensation of drift: outputs are multiplied by what devices conducted together before, over what they do now."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.accounts.memories import REGISTERS
from hwsim.accounts.memory import WEIGHTS
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Register
from hwsim.operations import scale
from hwsim.units.unit import AnalogStage


class Compensation(NamedTuple):
    """Words of one matrix for the compensation of drift.

    Attributes:
        before: what all devices conducted together before the wait.
        factor: that over what they conduct now.
    """

    before: Register
    factor: Register

    @classmethod
    def made(cls, machine: AnalogStage, matrix: str) -> Compensation:
        """New words, beside the outputs of the matrix."""
        words = []
        for what in ("current before the wait", "factor"):
            one = np.ones((machine.chips, 1, 1), machine.dtype)
            words.append(Register(machine, f"{matrix} {what}", WEIGHTS, one, shared=True, technology=REGISTERS))
        return cls(*words)

    @property
    def bits(self) -> int:
        """Of both words of one chip."""
        live = self.factor.machine.holdings.ledger.live
        return sum(int(live[word.name].total_bits) for word in self)

    def applied(self, x: Signal, unit: str) -> Signal:
        """An output of the matrix, times the factor."""
        machine: Any = self.factor.machine
        if x._analog:
            value = machine.compute(self._product, (x,))
            return machine.emit_analog(machine.analog_heads[scale, f"{unit}, gain"], value, (x._slot,), x._full_scale)
        word = self.factor.load()
        return machine.emit(machine.heads[scale], machine.compute(self._product, (x, word)), (x._slot, word._slot))

    def _product(self, v: np.ndarray, *word: np.ndarray) -> np.ndarray:
        """Each output times the factor; that is the word, which is loaded where numbers are multiplied."""
        factor = self.factor.value.reshape(-1, *(1,) * (v.ndim - 1))
        return np.asarray(v * factor.astype(v.dtype))

    def release(self) -> None:
        """Give the words back."""
        for word in self:
            word.release()
