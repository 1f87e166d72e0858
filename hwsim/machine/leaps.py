"""Leaps over equal steps: where only costs are wanted, a pass is carried out around its landmarks.

A rule may branch on the configuration, and on what a step says of itself: whether it is the first or the last one, the
first of its pass, carries a loss, or follows one that does. Between these landmarks all steps are alike. So once a few
steps in a row have left the same records and changed what is held in the same way, the ledgers are given the rest at
once, but for the last one, which is carried out as well: what is held at most is held in one of the steps around.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from hwsim.errors import CausalityError
from hwsim.machine.step import Step

if TYPE_CHECKING:
    from hwsim.machine.sequencer import Sequencer

ALIKE = 3
"""Steps that have to be alike before others are taken to be so too."""


class Leaps:
    """The leaps of one pass, over the steps `order`."""

    def __init__(self, stage: Sequencer, order: range) -> None:
        self._stage, self._order = stage, order
        steps, loss = stage.episode.steps, stage.episode.loss_from
        self._marks = sorted({0, 1, loss, loss + 1, steps - 1, steps})
        self._held = self._holdings()
        self._latest: tuple[int, bool, int, dict[str, int] | None] | None = None
        self._alike, self._looked, self._leapt = 0, False, False

    def after(self, step: Step, position: int) -> int:
        """How many steps further the pass goes on, when the step at `position` is over: 1, or a leap."""
        held, before = self._holdings(), self._held
        self._held, growth = held, None
        if held.keys() == before.keys():
            growth = {name: values - before[name] for name, values in held.items() if values != before[name]}
        between = bisect_right(self._marks, self._order[position])
        this = between, step.begins, self._stage.journal.last, growth
        if self._leapt and this != self._latest:
            raise CausalityError(
                f"{self._stage.sweep_name!r}: the last of many steps that should be alike is not like the others; a "
                "rule that branches on anything but what a step says of itself has to ask for its index"
            )
        self._alike = self._alike + 1 if this == self._latest else 1
        self._latest, self._leapt, self._looked = this, False, self._looked or step.looked
        times = self._left(position, between) - 1
        if growth is None or self._alike < ALIKE or self._looked or times < 1:
            return 1
        self._stage.repeat(growth, times)
        self._held, self._leapt = self._holdings(), True
        return 1 + times

    def _left(self, position: int, between: int) -> int:
        """How many steps follow the one at `position` before the next landmark."""
        index, order = self._order[position], self._order
        if order.step > 0:
            return min(self._marks[between], order.stop) - index - 1
        return index - max(self._marks[between - 1], order.stop + 1)

    def _holdings(self) -> dict[str, int]:
        return {name: holding.values for name, holding in self._stage.memory.live.items()}
