"""The uncertainty of an accuracy, and of a difference of two, from one run: by its test sequences, and by its chips.

Other sequences would have given another accuracy, and so would other chips. Each has an interval by the method of the
literature, and the two are combined by squaring and adding (Newcombe, Statistics in Medicine 17, 1998; Zou and Donner,
Statistics in Medicine 27, 2008). What differs from sequence to sequence on some chips only is in both, so that the
result is rather too wide than too narrow. What other seeds would have given is not in it: that takes a study.
"""

from __future__ import annotations

from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from hwsim.results.paired import CONFIDENCE, Interval, PairedDifference, paired_difference, student

Bounds = tuple[float, float]


class Uncertain(NamedTuple):
    """A mean over chips and test sequences, and its 95 % interval.

    Attributes:
        mean, low, high: the mean and the interval by sequences and chips together.
        over_sequences: the interval by test sequences alone; None if they are not known one by one.
        over_chips: the interval by chips alone; None if there is one.
    """

    mean: float
    low: float
    high: float
    over_sequences: Bounds | None
    over_chips: Bounds | None


def accuracy(right: np.ndarray) -> Uncertain:
    """The accuracy of one system.

    By sequences it is Wilson's interval (1927). Answers to one sequence, on all chips and at all its steps, are no
    independent ones; so there are as many as would have the variance that is found from sequence to sequence (Korn and
    Graubard, Survey Methodology 24, 1998). By chips it is Student's t.

    Args:
        right: `(chips, sequences)`: right answers, in units of the mean number of answers per sequence.
    """
    share, sequences = float(right.mean()), right.shape[1]
    variance = float(right.mean(0).var(ddof=1)) / sequences if sequences > 1 else 0.0
    answers = max(share * (1 - share) / variance, 1.0) if variance else sequences
    over_sequences = wilson(share, answers)
    found = _combined(share, over_sequences, _bounds(student(right.mean(1)), 0.0, 1.0))
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))


def difference(first: np.ndarray, second: np.ndarray) -> Uncertain:
    """The difference first − second of two accuracies that were tested with the same sequences.

    By sequences it is the adjusted Wald interval of matched pairs (Agresti and Min, Statistics in Medicine 24, 2005);
    by chips it is Student's t of paired chips, where a system with a single chip stands beside each of the other's.

    Args:
        first, second: as for `accuracy`.
    """
    mean = float(first.mean() - second.mean())
    over_sequences = matched(first.mean(0) - second.mean(0))
    over_chips = _bounds(paired_difference(first.mean(1)[None], second.mean(1)[None]), -1.0, 1.0)
    found = _combined(mean, over_sequences, over_chips)
    return found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0))


def difference_of_losses(first: np.ndarray, second: np.ndarray) -> Uncertain | None:
    """The difference first − second of losses by chip; None unless there are several chips, which are paired."""
    found = paired_difference(first[None], second[None])
    bounds = _bounds(found)
    return None if bounds is None else _combined(found.mean, None, bounds)


def wilson(share: float, answers: float, confidence: float = CONFIDENCE) -> Bounds:
    """Wilson's score interval of a share of independent answers."""
    z = -float(ndtri((1 - confidence) / 2))
    middle = (share + z**2 / (2 * answers)) / (1 + z**2 / answers)
    half = z / (1 + z**2 / answers) * sqrt(share * (1 - share) / answers + z**2 / (4 * answers**2))
    return min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share)


def matched(differences: np.ndarray, confidence: float = CONFIDENCE) -> Bounds:
    """Agresti and Min's interval of the mean of differences between answers to the same sequences, each from -1 to 1.

    It has four more pairs of weight one half, one of each kind: right and right, right and wrong, wrong and right,
    wrong and wrong. So it has a width even if no pair differs.
    """
    count, z = len(differences) + 2, -float(ndtri((1 - confidence) / 2))
    middle = float(differences.sum()) / count
    half = z * sqrt((float((differences**2).sum() + 1) / count - middle**2) / count)
    mean = float(differences.mean())
    return min(middle - half, mean), max(middle + half, mean)


def _combined(mean: float, *parts: Bounds | None) -> Uncertain:
    """The interval whose distances from the mean are the roots of the sums of squares."""
    known = [part for part in parts if part is not None]
    low = mean - sqrt(sum((mean - low) ** 2 for low, _ in known))
    high = mean + sqrt(sum((high - mean) ** 2 for _, high in known))
    return Uncertain(mean, low, high, *parts)


def _bounds(found: Interval | PairedDifference, least: float = -inf, most: float = inf) -> Bounds | None:
    """The ends of an interval, as far as values can be; None if there is one observation."""
    low, high = max(float(found.low), least), min(float(found.high), most)
    return (low, high) if isfinite(found.low) and isfinite(found.high) else None
