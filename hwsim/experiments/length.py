"""How long a training is: in updates, and from one test to the next."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple, Self

from hwsim.config.experiment import Training


class Length(NamedTuple):
    """How long a training is.

    Attributes:
        size: sequences for each update.
        updates: batches that are learned from; a rule may change the weights more than once for each.
        every: updates from one test to the next.
    """

    size: int
    updates: int
    every: int

    @classmethod
    def of(cls, training: Training, sequences: int) -> Self:
        """That of a training on so many sequences."""
        size = min(training.batch, sequences)
        updates = training.steps or (training.epochs or 0) * (sequences // size)
        return cls(size, updates, training.test_every or sequences // size)

    @property
    def tests(self) -> int:
        """How many tests there are, with the one before training."""
        return ceil(self.updates / self.every) + 1
