"""Values of losses, computed outside the machine with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hwsim.networks import CrossEntropy, HalfSquare, Loss

OfASequence = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From outputs or answers `(chips, batch, n)`, and target classes `(batch,)` or values `(batch, n)`: the loss of each
chip, summed over sequences."""


class Numbers(NamedTuple):
    """The functions that compute the values of a loss.

    Attributes:
        of_outputs: computes them from scaled outputs.
        of_answers: computes them from the results of `Loss.answer`.
    """

    of_outputs: OfASequence
    of_answers: OfASequence


def numbers(loss: Loss) -> Numbers:
    """The functions that compute the values of a loss, without the weights of steps.

    Raises:
        NotImplementedError: `KNOWN` has no functions for a loss of this kind.
    """
    if type(loss) not in KNOWN:  # one that inherits from a known one may have another error
        raise NotImplementedError(f"{__name__}.KNOWN has no functions for {type(loss).__name__}")
    return KNOWN[type(loss)]


def _at_class(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    loss: np.ndarray = -np.take_along_axis(logs, labels[None, :, None], 2)[..., 0].sum(1)
    return loss


def _cross_entropy_of_outputs(output: np.ndarray, labels: np.ndarray) -> np.ndarray:
    logs = output - output.max(-1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    return _at_class(logs, labels)


def _cross_entropy_of_answers(answer: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return _at_class(np.log(np.maximum(answer, 1e-30)), labels)


def _half_square(output: np.ndarray, values: np.ndarray) -> np.ndarray:
    if values.ndim == 1:  # classes, of which the targets are one-hot
        values = values[:, None] == np.arange(output.shape[-1])
    loss: np.ndarray = 0.5 * np.square(output - values).sum((1, 2))
    return loss


KNOWN: dict[type, Numbers] = {
    CrossEntropy: Numbers(_cross_entropy_of_outputs, _cross_entropy_of_answers),
    HalfSquare: Numbers(_half_square, _half_square),
}
