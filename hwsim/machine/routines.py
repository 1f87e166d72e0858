"""Routines: what is done with batch after batch in the same way, so that most of its steps can be captured.

What a rule does at a step depends on its options and on the place of the step. So the first batch of a routine is
carried out step by step, and the machine notes which steps of a pass are alike. In later batches of the routine the
first of its kind is carried out, and all others are captured from it, but for the last step of each pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwsim.errors import CausalityError
from hwsim.machine.captured import Aside, Captured
from hwsim.machine.stage import Stage
from hwsim.records import Entry

WORTH = 2
"""Steps for which it pays to capture one like them: that takes about as long as carrying it out."""


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
        self._captured: dict[int, Captured | None] = {}  # steps of the pass under way, by kind; None if not possible
        self._storages = 0

    def begin(self, key: Any) -> None:
        """A batch begins: of a routine, or of none if the key is None."""
        self._key, self._passes, self._pass = key, [], None

    def end(self) -> None:
        """The batch is over."""
        if self._passes:
            self._passes[-1].close()
        if self._key is not None:
            self._known.setdefault(self._key, self._passes)
        self._key = self._pass = None
        self._captured = {}

    def open_pass(self, name: str, order: range) -> None:
        """A pass begins."""
        if self._key is None:
            return
        number, known = len(self._passes), self._known.get(self._key)
        if self._passes:
            self._passes[-1].close()
        self._passes.append(Pass(name, order))
        self._pass, self._captured = None, {}
        if known is not None and number < len(known) and known[number].like(self._passes[-1]):
            self._pass = known[number]

    def aside(self) -> Aside | None:
        """Where the step that begins leaves what its records leave out; None if nobody wants to know."""
        return None if self._key is None else Aside()

    def after(self, entries: list[Entry], aside: Aside | None, position: int) -> Iterator[Captured]:
        """The captured steps that follow the step that was carried out at a position of the pass, in their order.

        Raises:
            CausalityError: on a strict machine, a step is not what it would be if it were captured.
        """
        if aside is None:
            return
        machine, first = self._machine, self._pass
        if first is None or machine.strict:
            this = self._passes[-1]
            this.note(position, machine.sequencer.journal.last, aside.alike())
            if first is not None and this.kinds[position] != this.kinds[first.pattern(position)]:
                raise CausalityError(
                    f"{machine.sequencer.sweep_name!r}: step {machine.sequencer.step_index} was like step "
                    f"{first.order[first.pattern(position)]} in the first batch, and is not in this one; what a rule "
                    "does may depend on the step and on its options, not on batches"
                )
        elif machine.sequencer.after_step is None:
            self._capture(first, entries, aside, position)
            for kind in first.kinds[position + 1 : -1]:
                captured = self._captured.get(kind)
                if captured is None:
                    return
                yield captured

    def _capture(self, first: Pass, entries: list[Entry], aside: Aside, position: int) -> None:
        """Keep a step to carry it out again, if there are enough that are like it."""
        machine, storages = self._machine, self._machine.holdings.changes
        if storages != self._storages:  # captured steps know the storages that there were
            self._captured, self._storages = {}, storages
        kind = first.kinds[position]
        if kind not in self._captured and first.times(kind, position) >= WORTH:
            captured = Captured(machine, entries, aside)
            self._captured[kind] = captured if captured.possible else None


class Pass:
    """A pass of a routine.

    Attributes:
        order: its steps.
        kinds: for each step, in the order of the pass, the number of its kind; steps of one kind are alike.
    """

    def __init__(self, name: str, order: range) -> None:
        self._name, self.order = name, order
        self.kinds = np.full(len(order), -1)
        self._first: list[int] = []  # of each kind
        self._looks: dict[int, list[tuple[Any, int]]] = {}  # of each kind, by trace

    def note(self, position: int, trace: int, looks: Any) -> None:
        """Note what the step at a position is like."""
        known = self._looks.setdefault(trace, [])
        kind = next((kind for each, kind in known if each == looks), None)
        if kind is None:
            kind = len(self._first)
            self._first.append(position)
            known.append((looks, kind))
        self.kinds[position] = kind

    def close(self) -> None:
        """Forget what kinds are like: it holds on to storages and parameters."""
        self._looks.clear()

    def like(self, other: Pass) -> bool:
        """Whether it is of the same name, and over the same steps."""
        return self._name == other._name and self.order == other.order

    def pattern(self, position: int) -> int:
        """The position of the first step that is like the one at a position."""
        return self._first[self.kinds[position]]

    def times(self, kind: int, position: int) -> int:
        """How many steps of a kind are behind a position, without the last one of the pass."""
        return int(np.count_nonzero(self.kinds[position + 1 : -1] == kind))
