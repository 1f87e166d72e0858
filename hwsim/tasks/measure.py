"""A measure: what the literature of a task states of a test, beside the loss that the network learns by."""

from __future__ import annotations

from collections.abc import Callable
from math import log, nan
from typing import NamedTuple

import numpy as np


class Measure(NamedTuple):
    """The mean of a quantity over the losses of a test.

    Attributes:
        key: its name in summaries and tables, one of `hwsim.columns.MEASURES`.
        of: computes it from scaled outputs `(chips, sequences, n)`, and target classes `(sequences,)` or values
            `(sequences, n)` of a step: `(chips,)`, summed over sequences.
        of_probabilities: whether outputs are logarithms of probabilities, but for a constant; the loss has to be the
            cross-entropy then.
        undefined: what a chip has whose mean is no number.
    """

    key: str
    of: Callable[[np.ndarray, np.ndarray], np.ndarray]
    of_probabilities: bool = False
    undefined: float = nan


def bits(output: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log₂ softmax(output) at the classes, summed over sequences: cross-entropy is so many bits times ln 2."""
    logs = output - output.max(-1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    found: np.ndarray = -np.take_along_axis(logs, labels[None, :, None], 2)[..., 0].sum(1) / log(2)
    return found


BITS_PER_CHARACTER = Measure("bits_per_character", bits, of_probabilities=True)


def smape(shift: float) -> Measure:
    """The symmetric mean absolute percentage error: the mean of 200 |p - y| / (|p| + |y|), of predictions p of y.

    It is that of NeuroBench (Yik et al., Nature Communications 16:1545, 2025), where 200 stands for what is no
    number.

    Args:
        shift: what was taken off the values before they were shown, and is added to predictions and targets.
    """

    def of(output: np.ndarray, values: np.ndarray) -> np.ndarray:
        predicted, wanted = output + shift, values + shift
        with np.errstate(invalid="ignore"):
            found: np.ndarray = 200 * (np.abs(predicted - wanted) / (np.abs(predicted) + np.abs(wanted))).mean(-1).sum(
                1
            )
        return found

    return Measure("smape", of, undefined=200.0)
