"""Leaps over what is equal: where only costs are wanted, a pass is carried out around its landmarks.

A rule may branch on the configuration, and on what a step says of itself: whether it is the first or the last one, of
the sequence or of its pass, carries a loss, follows one that does, is beyond the end of the input, is one of `every` so
many steps, or is `past` the first ones. Between these landmarks steps are alike from period to period, where a period
is one step unless the rule asks for `every`. So once three periods in a row have left the same records and changed what
is held in the same way, the ledgers are given the rest at once, but for the last period, which is carried out as well:
what is held at most is held in one of the periods around. The same goes for rounds of passes over one part of the
sequence after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import lcm
from typing import Any

from hwsim.accounts.journal import Entered, Standing
from hwsim.errors import CausalityError
from hwsim.machine.stage import Stage
from hwsim.machine.step import Step

ALIKE = 3
"""Periods that have to be alike before others are taken to be so too."""


class Equals:
    """Counts what is alike in a row: steps, or rounds, each with the one that is a period before it."""

    def __init__(self, stage: Stage, what: str) -> None:
        self._stage, self._what, self._period = stage, what, 1
        self._held = [self._holdings()]  # before the first of the latest, and behind each of them
        self._latest: list[Any] = []  # as many as a period has, if there were so many
        self._alike = self._due = 0

    def growth(self, period: int, *looks: Any) -> dict[str, int] | None:
        """What the latest period has changed in what is held, if enough are alike; None if not.

        Args:
            period: steps or rounds after which all is alike.
            looks: what the latest step or round was like besides.

        Raises:
            CausalityError: it is not like the ones that were leapt over.
        """
        held = self._holdings()
        this = _change(self._held[-1], held), *looks
        if period != self._period:
            self._period, self._alike = period, 0
        alike = len(self._latest) >= period and this == self._latest[-period]
        if self._due and not alike:
            raise CausalityError(
                f"{self._stage.sequencer.sweep_name!r}: the last of many {self._what} that should be alike is not like "
                "the others; a rule that branches on anything but what a step says of itself has to ask for its index"
            )
        self._due, self._alike = max(self._due - 1, 0), self._alike + 1 if alike else 0
        self._held, self._latest = [*self._held[-period:], held], [*self._latest[1 - period :], this][-period:]
        before = self._held[0]
        if self._alike < (ALIKE - 1) * period or before.keys() != held.keys():
            return None
        return {name: values - before[name] for name, values in held.items() if values != before[name]}

    def leapt(self) -> None:
        """There was a leap over whole periods; the next period has to be like the one before it."""
        self._held, self._alike, self._due = [self._holdings()], 0, self._period

    def _holdings(self) -> dict[str, int]:
        return {name: holding.values for name, holding in self._stage.holdings.ledger.live.items()}


def _change(before: dict[str, int], held: dict[str, int]) -> dict[str, tuple[int, bool, bool]]:
    """By how much what is held differs, and whether it is there before and afterwards, where it does."""
    return {
        name: (held.get(name, 0) - before.get(name, 0), name in before, name in held)
        for name in before.keys() | held.keys()
        if held.get(name) != before.get(name)
    }


class Skips:
    """Skips steps of one pass, over the steps `order`."""

    def __init__(self, stage: Stage, order: range) -> None:
        self._stage, self._order = stage, order
        self._landmarks = stage.sequencer.presenter.landmarks
        self._equals = Equals(stage, "steps")
        self._entered: list[Entered] = []

    def after(self, step: Step, position: int) -> int:
        """How many steps further the pass goes on, when the step at `position` is over: 1, or a leap."""
        sequencer, marks, period = self._stage.sequencer, self._landmarks.marks, self._landmarks.period
        between = bisect_right(marks, self._order[position])
        entered = sequencer.journal.entered
        self._entered = [*self._entered, entered][-period:]
        growth = self._equals.growth(period, marks[between - 1], step.begins, entered[0])
        times = self._left(position, marks[between - 1], marks[between]) // period - 1
        if growth is None or self._landmarks.looked or times < 1:
            return 1
        sequencer.repeat(growth, self._entered, times)
        self._equals.leapt()
        return 1 + times * period

    def _left(self, position: int, before: int, behind: int) -> int:
        """How many steps follow the one at `position`, until the next of the landmarks `before` and `behind` it.

        The last step of the pass is a landmark too.
        """
        index, last = self._order[position], self._order[-1]
        return min(behind, last) - index - 1 if self._order.step > 0 else index - max(before, last + 1)


def rounds(stage: Stage, parts: Sequence[range]) -> Iterator[range]:
    """The parts of a sequence, each for a round of passes over it; parts that are like those before are leapt over."""
    equals, position, sequencer = Equals(stage, "rounds"), 0, stage.sequencer
    landmarks, journal = sequencer.presenter.landmarks, sequencer.journal
    begun: list[Standing] = []

    def kind(part: range) -> tuple[int, ...]:
        first, last = (landmarks.marks[bisect_right(landmarks.marks, step) - 1] for step in (part[0], part[-1]))
        return len(part), first, last, part[0] % landmarks.period

    while position < len(parts):
        part = parts[position]
        begun.append(journal.mark())
        yield part
        period = lcm(landmarks.period, len(part)) // len(part)
        growth = equals.growth(period, kind(part), journal.since(begun[-1]))
        position += 1
        end, begun = position, begun[-period:]
        while growth is not None and end < len(parts) and kind(parts[end]) == kind(parts[end - period]):
            end += 1
        times = (end - position) // period - 1
        if growth is not None and not landmarks.looked and times > 0:
            leapt = parts[position : position + times * period]
            sequencer.repeat_rounds(begun[0], growth, leapt, times)
            equals.leapt()
            position += len(leapt)
