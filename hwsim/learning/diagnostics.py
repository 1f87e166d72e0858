"""Diagnostics: what a rule reports of itself at each test, in rows that reports show without knowing the rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hwsim.cells.cell import Euler
from hwsim.machine import UnitErrors
from hwsim.operations import Operation


class Diagnostic(NamedTuple):
    """A quantity that a rule reports, at one test.

    Attributes:
        name: its name in tables, such as `"end_residual"`.
        unit: its unit, such as `"steps"`; empty for a ratio.
        description: what the quantity is.
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
    """What a rule may ask about its network, at the present weights, for its diagnostics.

    The answers are computed outside the machine and cost nothing, so a rule must not learn from them.

    Attributes:
        steps: the length of a sequence.
        with_modes: the layers whose cells have modes.
        euler: how the layers whose cells are in continuous time are integrated.
        discrete: whether there are layers whose cells are not.
    """

    steps: int
    with_modes: frozenset[str] = frozenset()
    euler: Mapping[str, Euler] = MappingProxyType({})
    discrete: bool = True

    @abstractmethod
    def forgetting(self) -> float:
        """Rate at which the recurrence forgets along its fastest direction, ln(1/|λ|min), per step.

        Infinite if a direction is forgotten within one step; NaN if the rate is undefined.
        """

    @abstractmethod
    def rates(self) -> dict[str, tuple[float, ...]]:
        """ln(1/|λ|) per step, for each layer: of its modes in their order, or of the directions of a dense recurrence.

        Empty if a weight is not finite.
        """

    def directions(self) -> dict[str, tuple[float, ...]]:
        """The same for each direction of a layer's state; a complex mode has two, which are forgotten alike."""
        return self.rates()

    @abstractmethod
    def errors(self, operation: Operation) -> UnitErrors:
        """The errors of the unit that carries out an operation."""

    @abstractmethod
    def size(self) -> float:
        """Root mean square of the exact errors, in the layer where they are smallest; NaN if it is not finite.

        Computed by exact backpropagation.
        """

    @abstractmethod
    def differences(self, name: str) -> dict[str, float]:
        """|x - y| / |y| of the pair of signals that the rule showed last under `name`, by layer.

        The median over chips; infinite where it is undefined.
        """
