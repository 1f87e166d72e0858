"""A data set: training sequences and test sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hwsim import streams
from hwsim.episode import Episode


class Dataset(NamedTuple):
    """Two large episodes, from which batches are taken."""

    train: Episode
    test: Episode

    def batches(self, size: int, seed: int, epoch: int) -> Iterator[Episode]:
        """The training sequences in random order, in batches of `size`; an incomplete last batch is left out.

        Windows come in the order of time, and all but the first go on from the state of the ones before.
        """
        lanes = self.train.lanes
        if lanes:
            for start in range(0, self.train.batch, lanes):
                yield replace(self.train.select(slice(start, start + lanes)), continues=start > 0)
            return
        order = streams.generator(seed, "order", epoch).permutation(self.train.batch)
        for start in range(0, self.train.batch - size + 1, size):
            yield self.train.select(order[start : start + size])


def windows(episode: Episode, length: int) -> Episode:
    """Sequences with a target per step as windows of so many steps, each of which hands its state on to the next.

    A remainder is left out. The first windows of all sequences stand in front, then the second ones.
    """
    count = episode.steps // length

    def cut(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        parts = values[:, : count * length].reshape(episode.batch, count, length, *values.shape[2:])
        return parts.swapaxes(0, 1).reshape(count * episode.batch, length, *values.shape[2:])

    parts = {name: cut(getattr(episode, name)) for name in ("inputs", "labels", "values", "mask")}
    return replace(episode, **parts, lanes=episode.batch)  # type: ignore[arg-type]


def split(episode: Episode, test_share: float, seed: int) -> Dataset:
    """Sequences split at random; the same seed gives the same split."""
    order = streams.generator(seed, "split").permutation(episode.batch)
    _, cut = split_sizes(episode.batch, test_share)
    return Dataset(episode.select(np.sort(order[cut:])), episode.select(np.sort(order[:cut])))


def split_sizes(sequences: int, test_share: float) -> tuple[int, int]:
    """The numbers of training and of test sequences; there is at least one of each."""
    test = min(max(1, round(test_share * sequences)), sequences - 1)
    return sequences - test, test


def chunks(episode: Episode, size: int) -> Iterator[Episode]:
    """All sequences in order, in batches of at most `size`."""
    for start in range(0, episode.batch, size):
        yield episode.select(slice(start, start + size))
