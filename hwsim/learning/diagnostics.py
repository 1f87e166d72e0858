"""Diagnostics: what a rule reports of itself at each test, in rows that reports show without knowing the rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from hwsim.machine import UnitErrors
from hwsim.operations import Operation


class Diagnostic(NamedTuple):
    """A quantity that a rule reports, as it is at one test.

    Attributes:
        name: in tables, such as `"end_residual"`.
        unit: such as `"steps"`; empty for a share.
        description: what it is.
        value: a number, or one number per layer or chip, by its name.
        words: the value in words, where there is more to say than the number.
        verdict: what the value means, a sentence without its full stop.
        good: whether the value is good; None if it is neither good nor bad.
    """

    name: str
    unit: str
    description: str
    value: float | Mapping[str, float]
    words: str | None = None
    verdict: str | None = None
    good: bool | None = None


class Look(ABC):
    """What a rule may ask about its network from outside, at the present weights, to report of itself.

    Nothing of it costs the machine anything, so a rule must not learn from it.

    Attributes:
        steps: the length of a sequence.
    """

    steps: int

    @abstractmethod
    def forgetting(self) -> float:
        """How fast the recurrence forgets along its fastest direction, ln(1/|λ|min) a step; NaN if that is no number.

        It is infinite where a direction is forgotten at once.
        """

    @abstractmethod
    def errors(self, operation: Operation) -> UnitErrors:
        """The errors of the unit of the machine that carries an operation out."""

    @abstractmethod
    def size(self) -> float:
        """Root mean square of the exact errors of the layer where they are smallest; NaN if that is no number.

        It takes exact backpropagation to find.
        """

    @abstractmethod
    def differences(self, name: str) -> dict[str, float]:
        """|x - y| / |y| of the signals that the rule showed last under one of its `compares`, by layer.

        The median over chips; infinite where it is no number.
        """
