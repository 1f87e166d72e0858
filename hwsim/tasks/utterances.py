"""Utterances as sequences: frames that are scaled by the training set, perhaps encoded as spikes, and masked."""

from __future__ import annotations

import numpy as np

from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks import encoders
from hwsim.tasks.dataset import Dataset
from hwsim.tasks.encoders import AnyEncoder
from hwsim.tasks.scaled import scaled


def split(
    name: str,
    frames: np.ndarray,
    lengths: np.ndarray,
    labels: np.ndarray,
    tested: np.ndarray,
    *,
    classes: int,
    counts: tuple[int, int],
    encoder: AnyEncoder | None,
    seed: int,
) -> Dataset:
    """The training and the test set: as many utterances of each as are asked for, which the seed chooses.

    Frames are scaled by what all training utterances show, and by nothing of the test set.

    Args:
        name: of the streams that are drawn from.
        frames: `(utterances, steps, width)`.
        lengths: frames that each utterance has, `(utterances,)`.
        labels: its class, `(utterances,)`.
        tested: whether it is of the test set, `(utterances,)`.
        counts: utterances to learn from, and to test on.
    """
    mask = np.arange(frames.shape[1]) < lengths[:, None]
    inputs = scaled(frames, frames[mask & ~tested[:, None]], to_unit=encoder is not None)
    inputs[~mask] = 0

    def episode(kind: str, rows: np.ndarray, count: int) -> Episode:
        order = streams.generator(seed, name, kind).permutation(rows)[:count]
        shown = encoders.encode(encoder, inputs[order], seed, name, kind)
        return Episode(shown, labels[order], classes=classes, mask=encoders.stretched(mask[order], shown.shape[1]))

    train = episode("train", np.flatnonzero(~tested), counts[0])
    return Dataset(train, episode("test", np.flatnonzero(tested), counts[1]))
