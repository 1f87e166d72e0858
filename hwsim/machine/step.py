"""One step of a pass, as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.episode import Episode
from hwsim.machine.signal import Signal


class Step:
    """One step of a pass.

    Attributes:
        index: its place in the sequence, from 0.
        first, last: whether it is the sequence's first or last step, whatever the direction of the pass.
        input: the input of this step.
        carries_loss, loss_before: whether this step, and the one before it, carry a loss.
    """

    __slots__ = ("_target", "carries_loss", "first", "index", "input", "last", "loss_before")

    def __init__(self, episode: Episode, index: int, shown: Signal, target: Callable[[int], Signal]) -> None:
        self.index, self.input, self._target = index, shown, target
        self.first, self.last = index == 0, index == episode.steps - 1
        self.carries_loss = index >= episode.loss_from
        self.loss_before = index > episode.loss_from

    @property
    def target(self) -> Signal:
        """What the network should answer in this step: one-hot for classes."""
        return self._target(self.index)
