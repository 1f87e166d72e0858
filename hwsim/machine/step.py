"""One step of a pass, as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine.signal import Signal


class Step:
    """One step of a pass.

    Attributes:
        first, last: whether it is the sequence's first or last step, whatever the direction of the pass.
        begins: whether it is the first one of the pass.
        input: the input of this step.
        carries_loss, loss_before: whether this step, and the one before it, carry a loss.
        beyond: whether it is behind the end of the input, see `Beyond`.
        looked: whether somebody asked for its index.
    """

    __slots__ = ("_index", "_target", "begins", "carries_loss", "first", "input", "last", "looked", "loss_before")
    beyond = False

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
        return 1 / (self._index + 1)

    @property
    def target(self) -> Signal:
        """What the network should answer in this step: one-hot for classes."""
        return self._target(self._index)


class Beyond(Step):
    """A step behind the end of the input: it has neither input nor target, and carries no loss.

    It is what a pass ends with that needs a few steps more than the sequence has, to empty its queues and delay lines.
    """

    __slots__ = ()
    beyond = True

    def __init__(self, episode: Episode, index: int) -> None:
        self._index, self.begins, self.looked = index, False, False
        self.first = self.last = self.carries_loss = False
        self.loss_before = index == episode.steps

    @property
    def input(self) -> NoReturn:  # type: ignore[override]
        self._refuse("input")

    @property
    def target(self) -> NoReturn:
        self._refuse("target")

    def _refuse(self, what: str) -> NoReturn:
        raise CausalityError(
            f"step {self._index} has no {what}: it is beyond the end of the input, as `step.beyond` says"
        )
