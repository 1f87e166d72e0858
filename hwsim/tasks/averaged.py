"""What a classifier without memory makes of a task: inputs averaged over time, and a linear map to the classes.

A recurrent network whose dynamics serve the task does better than that. Both classifiers are fitted to the training set
in closed form; nothing of them is charged or noisy.
"""

from __future__ import annotations

import numpy as np

from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset

RIDGE = 1e-3
"""λ over the number of training sequences, of inputs with deviation 1."""


def linear(data: Dataset) -> float:
    """Share of test sequences that a linear classifier finds from inputs averaged over time.

    W minimises Σ |W x̄ + b - y|² + λ |W|² over the training set, with y one-hot; the class is the largest output. x̄ are
    means over the steps up to the end of each sequence, scaled to mean 0 and deviation 1 in the training set.

    Raises:
        ValueError: the task has no class per sequence.
    """
    return _accuracy(data, *(averages(data, episode) for episode in data))


def random_features(data: Dataset, count: int, seed: int) -> float:
    """The same from `count` random features tanh(A x̄ + a), with A normal of variance 1 / width and a of variance 1."""
    width = data.train.width
    draw = streams.generator(seed, "random features of averages")
    weights, offsets = draw.normal(0, width**-0.5, (width, count)), draw.normal(size=count)
    return _accuracy(data, *(np.tanh(averages(data, episode) @ weights + offsets) for episode in data))


def averages(data: Dataset, episode: Episode) -> np.ndarray:
    """Inputs averaged over time, `(batch, width)`, and scaled by the training set; a wire that is constant is 0."""
    train = _means(data.train)
    deviation = train.std(0)
    centred = _means(episode) - train.mean(0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-12 * np.abs(train).max(0))


def _means(episode: Episode) -> np.ndarray:
    """Means over the steps of each sequence up to its end."""
    within = np.arange(episode.steps) <= episode.ends[:, None]
    means: np.ndarray = np.einsum("bsw,bs->bw", episode.inputs, within) / within.sum(1, keepdims=True)
    return means


def _accuracy(data: Dataset, train: np.ndarray, test: np.ndarray) -> float:
    labels, wanted = data.train.labels, data.test.labels
    if labels is None or wanted is None or labels.ndim == 2:
        raise ValueError("a classifier of averages needs one class per sequence")
    centre = train.mean(0)
    inner = (train - centre).T @ (train - centre) + RIDGE * len(train) * np.eye(train.shape[1])
    one_hot = (labels[:, None] == np.arange(data.train.classes)).astype(float)
    from scipy import linalg  # slow to import, and no run needs it

    weights = linalg.solve(inner, (train - centre).T @ (one_hot - one_hot.mean(0)), assume_a="pos")
    outputs = (test - centre) @ weights + one_hot.mean(0)
    return float((outputs.argmax(1) == wanted).mean())
