"""The length of a training: in updates, and from one test to the next."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple, Self

from hwsim.config.experiment import Training
from hwsim.documents import MOST
from hwsim.errors import ConfigError


class Length(NamedTuple):
    """The length of a training.

    Attributes:
        size: sequences per batch.
        updates: number of batches that are learned from; a rule may update weights several times per batch.
        every: number of batches from one test to the next.
    """

    size: int
    updates: int
    every: int

    @classmethod
    def of(cls, training: Training, sequences: int) -> Self:
        """The length of a training on a number of sequences.

        Raises:
            ConfigError: it has more updates than can be counted.
        """
        size = min(training.batch, sequences)
        updates = training.steps or (training.epochs or 0) * (sequences // size)
        if updates > MOST:
            raise ConfigError(f"training.epochs: {updates:.2g} updates; at most {MOST} (2^53) can be counted")
        return cls(size, updates, training.test_every or sequences // size)

    @property
    def tests(self) -> int:
        """The number of tests, including the one before training."""
        return ceil(self.updates / self.every) + 1
