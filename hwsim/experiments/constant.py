"""The constant answer: what a network has that has learned nothing of its input."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.episode import Episode
from hwsim.networks import CrossEntropy, Loss


def constant(episode: Episode, loss: Loss) -> dict[str, Any]:
    """The accuracy and the least loss of an output that is the same in all steps and sequences of a test.

    With the shares p_k of the classes among the answers, the accuracy is max p_k. With the shares q_k of the classes
    among the losses, each with the weight of its step and W their mean weight, the least cross-entropy is
    W Σ q_k ln(1/q_k), at softmax(output) = q; half the squared distance is least at the mean of the targets, where it
    is W/2 Σ (target - mean)², the sum over wires of half the variance.

    Returns:
        `accuracy`, None without classes, and `loss`.
    """
    targets, weights = _targets(episode), _weights(episode, loss)
    total, losses = float(weights.sum()), episode.losses
    mean = np.einsum("bt,btk->k", weights, targets) / total
    if isinstance(loss, CrossEntropy):
        shares = mean[mean > 0]
        least = -total * float((shares * np.log(shares)).sum())
    else:
        least = 0.5 * float(np.einsum("bt,btk->", weights, np.square(targets - mean)))
    return {"accuracy": _most_frequent(episode, targets) if episode.classes else None, "loss": least / losses}


def _most_frequent(episode: Episode, targets: np.ndarray) -> float:
    """The share of the most frequent class among the answers that count."""
    counted = _counted(episode) if episode.target_per_step else np.ones((episode.batch, 1))
    counts = np.einsum("bt,btk->k", counted, targets)
    return float(counts.max() / counts.sum())


def _targets(episode: Episode) -> np.ndarray:
    """`(batch, losses or 1, outputs)`: one target of a sequence stands for all its losses."""
    return np.asarray(
        episode.targets if not episode.target_per_step else episode.targets[:, episode.loss_from :], float
    )


def _counted(episode: Episode) -> np.ndarray:
    """1 where a sequence has a loss, `(batch, losses)`."""
    if episode.mask is None:
        return np.ones((episode.batch, episode.loss_steps))
    return episode.mask[:, episode.loss_from :].astype(float)


def _weights(episode: Episode, loss: Loss) -> np.ndarray:
    """The weight of each loss, `(batch, losses)`, 0 where there is none; of all with one target, `(batch, 1)`."""
    steps = range(episode.loss_from, episode.steps)
    of_step = [1.0 if loss.weight is None else loss.weight(step, episode.steps) for step in steps]
    weights = _counted(episode) * np.array(of_step)
    return weights if episode.target_per_step else weights.sum(1, keepdims=True)
