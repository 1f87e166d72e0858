"""A data set: training sequences and test sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwsim import streams
from hwsim.episode import Episode


class Dataset(NamedTuple):
    """Two large episodes, from which batches are taken."""

    train: Episode
    test: Episode

    def batches(self, size: int, seed: int, epoch: int) -> Iterator[Episode]:
        """The training sequences in random order, in batches of `size`; an incomplete last batch is left out."""
        order = streams.generator(seed, "order", epoch).permutation(self.train.batch)
        for start in range(0, self.train.batch - size + 1, size):
            yield self.train.select(order[start : start + size])


def split(episode: Episode, test_share: float, seed: int) -> Dataset:
    """Sequences split at random; the same seed gives the same split."""
    order = streams.generator(seed, "split").permutation(episode.batch)
    _, cut = split_sizes(episode.batch, test_share)
    return Dataset(episode.select(np.sort(order[cut:])), episode.select(np.sort(order[:cut])))


def split_sizes(sequences: int, test_share: float) -> tuple[int, int]:
    """The numbers of training and of test sequences."""
    test = max(1, round(test_share * sequences))
    return sequences - test, test


def chunks(episode: Episode, size: int) -> Iterator[Episode]:
    """All sequences in order, in batches of at most `size`."""
    for start in range(0, episode.batch, size):
        yield episode.select(slice(start, start + size))
