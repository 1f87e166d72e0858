"""One step of a pass, as a rule sees it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from math import lcm
from sys import maxsize
from typing import NoReturn, Protocol, Self

from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine.signal import Signal


class OfStep(float):
    """A fixed number of an operation that is a function of the step's index."""

    __slots__ = ("of",)
    of: Callable[[int], float]

    def __new__(cls, of: Callable[[int], float], index: int) -> Self:
        number = super().__new__(cls, of(index))
        number.of = of
        return number


class Landmarks:
    """Where the steps of an episode differ from each other, as far as rules have asked; estimates need to know.

    Attributes:
        steps: of the sequence.
        marks: the first steps that differ from those before them, in order; no step is behind the last mark.
        period: steps after which a rule does the same again.
        periods: the periods that rules have asked for, in order, each a number of steps and a place: steps are alike
            whose index leaves the places of the same periods when divided by their steps.
        looked: whether a rule asked for the index of a step, so that it may do anything in any of them.
    """

    def __init__(self, episode: Episode) -> None:
        steps, loss, free = episode.steps, episode.loss_from, episode.free_from or 0
        self.marks = [*sorted({0, 1, loss, loss + 1, free, steps - 1, steps, steps + 1}), maxsize]
        self.steps, self.period, self.looked = steps, 1, False
        self.periods: list[tuple[int, int]] = []

    def enter(self, period: tuple[int, int] = (1, 0), mark: int = 0) -> None:
        """Note a period, and a mark."""
        if period[0] > 1 and period not in self.periods:
            self.period = lcm(self.period, period[0])
            insort(self.periods, period)
        place = bisect_left(self.marks, mark)  # no mark is behind the last one
        if self.marks[place] != mark:
            self.marks.insert(place, mark)


class Shows(Protocol):
    """What shows an episode, as its steps see it."""

    landmarks: Landmarks

    def target(self, index: int) -> Signal:
        """The target of the step under way."""

    def mask(self, index: int) -> Signal:
        """Which sequences have a loss in the step under way."""


class Step:
    """One step of a pass.

    Attributes:
        first, last: whether it is the sequence's first or last step, whatever the direction of the pass.
        begins, ends: whether it is the first or the last one of the pass.
        input: the input of this step.
        carries_loss, loss_before: whether this step, and the one before it, carry a loss.
        free: whether the output of the step before takes the place of its input, see `Free`.
        beyond: whether it is behind the end of the input, see `Beyond`.
    """

    __slots__ = ("_index", "_presenter", "begins", "carries_loss", "ends", "first", "input", "last", "loss_before")
    free = beyond = False
    input: Signal

    def __init__(self, presenter: Shows, episode: Episode, index: int, begins: bool, ends: bool) -> None:
        self._presenter, self._index, self.begins, self.ends = presenter, index, begins, ends
        self.first, self.last = index == 0, index == episode.steps - 1
        self.carries_loss = index >= episode.loss_from
        self.loss_before = index > episode.loss_from

    @property
    def index(self) -> int:
        """Its place in the sequence, from 0.

        A rule that branches on it has steps of many kinds, so that costs are estimated by carrying all of them out;
        they are not if it asks `every` or `past`.
        """
        self._presenter.landmarks.looked = True
        return self._index

    def every(self, steps: int, after: int = 0) -> bool:
        """Whether it is one of every so many steps, of which the one with `after` steps before it is the first.

        Raises:
            ValueError: `steps` is less than 1.
        """
        if steps < 1:
            raise ValueError(f"every {steps} steps is no period; it has to be at least 1")
        self._presenter.landmarks.enter(period=(steps, after % steps))
        return self.past(after) and (self._index - after) % steps == 0

    def past(self, steps: int) -> bool:
        """Whether at least so many steps of the sequence were before it."""
        self._presenter.landmarks.enter(mark=max(steps, 0))
        return self._index >= steps

    def number(self, of: Callable[[int, int], float]) -> float:
        """A fixed number of this step, from its index and the number of steps: to multiply by, not to branch on."""
        return of(self._index, self._presenter.landmarks.steps)

    @property
    def share(self) -> float:
        """1 / (t + 1) for t steps before it: the weight of its value in the mean so far."""
        return OfStep(_share, self._index)

    @property
    def target(self) -> Signal:
        """What the network should answer in this step: one-hot for classes."""
        return self._presenter.target(self._index)

    @property
    def mask(self) -> Signal:
        """One wire: 1 for sequences that have a loss in this step, 0 for the others; for masked episodes only."""
        return self._presenter.mask(self._index)


class Free(Step):
    """A step in closed loop: nothing is shown but the target, and the network goes on from what it said before."""

    __slots__ = ()
    free = True

    @property
    def input(self) -> NoReturn:  # type: ignore[override]
        raise CausalityError(
            f"step {self._index} has no input: it is in closed loop, as `step.free` says, which only tests can be"
        )


class Beyond(Step):
    """A step behind the end of the input: it has neither input nor target, and carries no loss.

    It is what a pass ends with that needs a few steps more than the sequence has, to empty its queues and delay lines.
    """

    __slots__ = ()
    beyond = True

    def __init__(self, presenter: Shows, episode: Episode, index: int, ends: bool) -> None:
        self._presenter, self._index, self.begins, self.ends = presenter, index, False, ends
        self.first = self.last = self.carries_loss = False
        self.loss_before = index == episode.steps

    @property
    def input(self) -> NoReturn:  # type: ignore[override]
        self._refuse("input")

    @property
    def target(self) -> NoReturn:
        self._refuse("target")

    @property
    def mask(self) -> NoReturn:
        self._refuse("mask")

    def _refuse(self, what: str) -> NoReturn:
        raise CausalityError(
            f"step {self._index} has no {what}: it is beyond the end of the input, as `step.beyond` says"
        )


def _share(index: int) -> float:
    return 1 / (index + 1)
