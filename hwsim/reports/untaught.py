"""What has learned nothing, or needs no memory, and whether a system of a run does better: its interval decides."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import numpy as np

from hwsim.results.paired import student
from hwsim.results.summary import AveragedAnswer, ConstantAnswer, SystemSummary


class Untaught(NamedTuple):
    """What has learned nothing.

    Attributes:
        constant: the accuracy or the loss of the best constant answer; None if it is not known.
        start: that of the untrained network.
        is_accuracy: whether they are accuracies.
        averaged: that of a linear map of inputs averaged over time, which needs no dynamics; None if it is not known.
    """

    constant: float | None
    start: float
    is_accuracy: bool
    averaged: float | None = None

    def __str__(self) -> str:
        others = (bar for bar in (self.constant, self.start) if bar is not None and isfinite(bar))
        if self.averaged is not None and not any(self._worse(self.averaged, bar) for bar in others):
            return f"a linear map of inputs averaged over time ({self._said(self.averaged)})"
        if self.constant is not None and not self._worse(self.constant, self.start):
            return f"a constant answer ({self._said(self.constant)})"
        return f"the untrained network ({self._said(self.start)})"

    def beaten_by(self, end: float, system: SystemSummary) -> bool | None:
        """Whether a system is better; None if its interval does not decide.

        The interval is that of its accuracy, by sequences and chips, or that of its losses over chips.
        """
        bars = [bar for bar in (self.constant, self.start, self.averaged) if bar is not None and isfinite(bar)]
        low, high = _interval(end, system, self.is_accuracy)
        if any(not self._worse(bar, end) for bar in bars):
            return False
        return True if all(self._worse(bar, worst) for bar in bars for worst in (low, high)) else None

    def _worse(self, value: float, other: float) -> bool:
        return value < other if self.is_accuracy else value > other

    def _said(self, value: float) -> str:
        return f"{value:.1%}" if self.is_accuracy else f"{value:.3g}"


def untaught(
    constant: ConstantAnswer | None, start: float, is_accuracy: bool, averaged: AveragedAnswer | None = None
) -> Untaught:
    """What has learned nothing, or needs no memory, in a run."""
    known = None if constant is None else constant.accuracy if is_accuracy else constant.loss
    return Untaught(known, start, is_accuracy, averaged.accuracy if averaged is not None and is_accuracy else None)


def without_memory(averaged: AveragedAnswer) -> str:
    """What classifiers of averages give, in a sentence."""
    first, *_, last = averaged.seeds
    return (
        f"A linear map of inputs averaged over time has an accuracy of {averaged.accuracy:.1%}, and one of "
        f"{averaged.features} random features of them {averaged.features_accuracy:.1%} "
        f"(median of seeds {first} to {last})."
    )


def said(constant: ConstantAnswer) -> str:
    """The best constant answer in a sentence."""
    share = "" if constant.accuracy is None else f"an accuracy of {constant.accuracy:.1%} and "
    return f"The best constant answer has {share}a loss of {constant.loss:.3g}."


def _interval(end: float, system: SystemSummary, is_accuracy: bool) -> tuple[float, float]:
    """The 95 % interval of the last test; its value alone if there is none."""
    if is_accuracy:
        sure = system.accuracy and system.accuracy.uncertainty
        return (float(sure.low), float(sure.high)) if sure else (end, end)
    chips = [value for value in (system.loss.per_chip if system.loss else []) if value is not None]
    if len(chips) < 2:
        return end, end
    found = student(np.array(chips, float))
    return float(found.low), float(found.high)
