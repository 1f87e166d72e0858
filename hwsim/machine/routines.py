"""Routines: what is done with batch after batch in the same way, so that most of its steps can be captured.

What a rule does at a step depends on its options and on the place of the step. So the first batch of a routine is
carried out step by step, and the machine notes which steps are like the ones before them. In later batches of the
routine these are captured, but for the last step of each pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.errors import CausalityError
from hwsim.machine.captured import Aside, Captured
from hwsim.machine.stage import Stage
from hwsim.records import Entry

WORTH = 2
"""Steps in a row for which it pays to capture one: that takes about as long as carrying it out."""


class Routines:
    """Notes which steps are alike in the first batch of each routine, and captures them in later ones.

    On strict machines nothing is captured: each step is carried out, and has to be what would have been captured.
    """

    def __init__(self, machine: Stage) -> None:
        self._machine = machine
        self._known: dict[Any, list[Pass]] = {}
        self._key: Any = None
        self._passes: list[Pass] = []  # of the batch under way
        self._pass: Pass | None = None  # the one under way, as it was in the first batch
        self._latest: Any = None

    def begin(self, key: Any) -> None:
        """A batch begins: of a routine, or of none if the key is None."""
        self._key, self._passes, self._pass = key, [], None

    def end(self) -> None:
        """The batch is over."""
        if self._key is not None:
            self._known.setdefault(self._key, self._passes)
        self._key = self._pass = None

    def open_pass(self, name: str, order: range) -> None:
        """A pass begins."""
        if self._key is None:
            return
        number, known = len(self._passes), self._known.get(self._key)
        self._passes.append(Pass(name, order))
        self._latest = self._pass = None
        if known is not None and number < len(known) and known[number].like(self._passes[-1]):
            self._pass = known[number]

    def aside(self) -> Aside | None:
        """Where the step that begins leaves what its records leave out; None if nobody wants to know."""
        return None if self._key is None else Aside()

    def after(self, entries: list[Entry], aside: Aside | None, position: int) -> tuple[Captured | None, int]:
        """What is captured from the step that was carried out at a position of the pass, and for how many steps.

        Raises:
            CausalityError: on a strict machine, a step is not what it would be if it were captured.
        """
        if aside is None:
            return None, 0
        machine, first = self._machine, self._pass is None
        if first or machine.strict:
            this = machine.sequencer.journal.last, aside.alike()
            alike, self._latest = this == self._latest, this
            self._passes[-1].alike[position] = alike
            if self._pass is not None and self._pass.alike[position] and not alike:
                raise CausalityError(
                    f"{machine.sequencer.sweep_name!r}: step {machine.sequencer.step_index} was like the one before it "
                    "in the first batch, and is not in this one; what a rule does may depend on the step and on its "
                    "options, not on batches"
                )
            return None, 0
        assert self._pass is not None
        times = self._pass.following(position)
        if times < WORTH or machine.sequencer.after_step is not None:
            return None, 0
        captured = Captured(machine, entries, aside)
        return (captured, times) if captured.possible else (None, 0)


class Pass:
    """A pass of a routine.

    Attributes:
        alike: for each step, in the order of the pass, whether it is like the one before it.
    """

    def __init__(self, name: str, order: range) -> None:
        self._name, self._order = name, order
        self.alike = np.zeros(len(order), bool)

    def like(self, other: Pass) -> bool:
        """Whether it is of the same name, and over the same steps."""
        return self._name == other._name and self._order == other._order

    def following(self, position: int) -> int:
        """How many steps behind a position are alike, without the last one of the pass."""
        rest = self.alike[position + 1 : -1]
        return len(rest) if rest.all() else int(rest.argmin())
