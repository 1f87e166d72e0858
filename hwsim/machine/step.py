"""One step of a pass, as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from hwsim.episode import Episode
from hwsim.machine.signal import Signal


class OfStep(float):
    """A fixed number of an operation that is a function of the step's index."""

    __slots__ = ("of",)
    of: Callable[[int], float]

    def __new__(cls, of: Callable[[int], float], index: int) -> Self:
        number = super().__new__(cls, of(index))
        number.of = of
        return number


class Step:
    """One step of a pass.

    Attributes:
        first, last: whether it is the sequence's first or last step, whatever the direction of the pass.
        begins: whether it is the first one of the pass.
        input: the input of this step.
        carries_loss, loss_before: whether this step, and the one before it, carry a loss.
        looked: whether somebody asked for its index.
    """

    __slots__ = ("_index", "_target", "begins", "carries_loss", "first", "input", "last", "looked", "loss_before")

    def __init__(
        self, episode: Episode, index: int, shown: Signal, target: Callable[[int], Signal], begins: bool
    ) -> None:
        self._index, self.input, self._target, self.begins, self.looked = index, shown, target, begins, False
        self.first, self.last = index == 0, index == episode.steps - 1
        self.carries_loss = index >= episode.loss_from
        self.loss_before = index > episode.loss_from

    @property
    def index(self) -> int:
        """Its place in the sequence, from 0.

        A rule that branches on it has steps of many kinds, so that costs are estimated by carrying all of them out.
        """
        self.looked = True
        return self._index

    @property
    def share(self) -> float:
        """1 / (t + 1) for t steps before it: the weight of its value in the mean so far."""
        return OfStep(_share, self._index)

    @property
    def target(self) -> Signal:
        """What the network should answer in this step: one-hot for classes."""
        return self._target(self._index)


def _share(index: int) -> float:
    return 1 / (index + 1)
