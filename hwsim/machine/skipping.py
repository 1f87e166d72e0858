"""Leaps over what is equal: where only costs are wanted, a pass is carried out around its landmarks.

A rule may branch on the configuration, and on what a step says of itself: whether it is the first or the last one, the
first of its pass, carries a loss, follows one that does, or is beyond the end of the input. Between these landmarks all
steps are alike. So once a few steps in a row have left the same records and changed what is held in the same way, the
ledgers are given the rest at once, but for the last one, which is carried out as well: what is held at most is held in
one of the steps around. The same goes for rounds of passes over one part of the sequence after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from sys import maxsize
from typing import Any

from hwsim.errors import CausalityError
from hwsim.machine.stage import Stage
from hwsim.machine.step import Step

ALIKE = 3
"""Steps or rounds that have to be alike before others are taken to be so too."""


class Equals:
    """Counts what is alike in a row: steps, or rounds."""

    def __init__(self, stage: Stage, what: str) -> None:
        self._stage, self._what = stage, what
        steps, loss = stage.episode.steps, stage.episode.loss_from
        self.marks = [*sorted({0, 1, loss, loss + 1, steps - 1, steps, steps + 1}), maxsize]
        self._held = self._holdings()
        self._latest: Any = None
        self._alike, self._leapt = 0, False

    def growth(self, *looks: Any) -> dict[str, int] | None:
        """What the latest one has changed in what is held, if enough are alike; None if not.

        Args:
            looks: what it was like besides.
        """
        held, before, growth = self._holdings(), self._held, None
        if held.keys() == before.keys():
            growth = {name: values - before[name] for name, values in held.items() if values != before[name]}
        this = growth, *looks
        if self._leapt and this != self._latest:
            raise CausalityError(
                f"{self._stage.sequencer.sweep_name!r}: the last of many {self._what} that should be alike is not like "
                "the others; a rule that branches on anything but what a step says of itself has to ask for its index"
            )
        self._alike = self._alike + 1 if this == self._latest else 1
        self._held, self._latest, self._leapt = held, this, False
        return growth if self._alike >= ALIKE else None

    def leapt(self) -> None:
        """There was a leap; what comes next has to be like the one before it."""
        self._held, self._leapt = self._holdings(), True

    def _holdings(self) -> dict[str, int]:
        return {name: holding.values for name, holding in self._stage.holdings.ledger.live.items()}


class Skips:
    """Skips steps of one pass, over the steps `order`."""

    def __init__(self, stage: Stage, order: range) -> None:
        self._stage, self._order, self._looked = stage, order, False
        self._equals = Equals(stage, "steps")

    def after(self, step: Step, position: int) -> int:
        """How many steps further the pass goes on, when the step at `position` is over: 1, or a leap."""
        between = bisect_right(self._equals.marks, self._order[position])
        growth = self._equals.growth(between, step.begins, self._stage.sequencer.journal.last)
        self._looked = self._looked or step.looked
        times = self._left(position, between) - 1
        if growth is None or self._looked or times < 1:
            return 1
        self._stage.sequencer.repeat(growth, times)
        self._equals.leapt()
        return 1 + times

    def _left(self, position: int, between: int) -> int:
        """How many steps follow the one at `position` before the next landmark."""
        index, order, marks = self._order[position], self._order, self._equals.marks
        if order.step > 0:
            return min(marks[between], order.stop) - index - 1
        return index - max(marks[between - 1], order.stop + 1)


def rounds(stage: Stage, parts: Sequence[range]) -> Iterator[range]:
    """The parts of a sequence, each for a round of passes over it; parts that are like those before are leapt over."""
    equals, position, journal = Equals(stage, "rounds"), 0, stage.sequencer.journal

    def kind(part: range) -> tuple[int, ...]:
        return len(part), bisect_right(equals.marks, part[0]), bisect_right(equals.marks, part[-1])

    while position < len(parts):
        part, begun = parts[position], journal.mark()
        yield part
        growth = equals.growth(kind(part), journal.since(begun))
        position += 1
        end = position
        while growth is not None and end < len(parts) and kind(parts[end]) == kind(part):
            end += 1
        if end - position > 1:
            assert growth is not None
            stage.sequencer.repeat_round(begun, growth, parts[position : end - 1])
            equals.leapt()
            position = end - 1
