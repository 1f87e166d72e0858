"""What an optimizer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from hwsim.accounts.memory import OPTIMIZER
from hwsim.machine import Register, Signal, Trainable
from hwsim.networks import Network


class Optimizer(ABC):
    """Turns the gradient of a parameter into its new value, in a phase, by operations of the machine.

    Attributes:
        iteration: updates made so far.
        numbers: the format of updates.
    """

    slots: tuple[str, ...] = ()
    """Names of the values that the optimizer keeps per parameter, each in a register."""

    def __init__(self, options: Any, network: Network) -> None:
        self.options, self.iteration, self.numbers = options, 0, network.machine.update
        self._slots: dict[tuple[str, str], Register] = {}
        self.include(network.trainables)

    def include(self, trainables: Sequence[Trainable]) -> None:
        """Have slots for these parameters."""
        for trainable in trainables:
            for slot in self.slots:
                if (trainable.name, slot) not in self._slots:
                    self._slots[trainable.name, slot] = trainable.slot(f"{trainable.name} {slot}", OPTIMIZER)

    def slot(self, trainable: Trainable, name: str) -> Register:
        return self._slots[trainable.name, name]

    @abstractmethod
    def updated(self, trainable: Trainable, gradient: Signal, rate: float) -> Signal:
        """The new value of a parameter; the slots of the parameter are updated."""
