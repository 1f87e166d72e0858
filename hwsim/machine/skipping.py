"""Leaps over what is equal: where only costs are wanted, a pass is carried out around its landmarks.

A rule may branch on the configuration, and on what a step says of itself: whether it is the first or the last one, of
the sequence or of its pass, carries a loss, follows one that does, is beyond the end of the input, is one of `every` so
many steps, or is `past` the first ones. Between these landmarks steps are alike that the same periods have, those that
the rule asks `every` for. So once three of a kind have left the same records and changed what is held in the same way,
the ledgers are given the others at once, but for the last one, which is carried out as well. The same goes for rounds
of passes over one part of the sequence after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from math import lcm
from typing import Any, NamedTuple

from hwsim.accounts.journal import Entered, Standing
from hwsim.accounts.runs import Runs
from hwsim.errors import CausalityError
from hwsim.machine import periods
from hwsim.machine.stage import Stage
from hwsim.machine.step import Step

ALIKE = 3
"""Periods that have to be alike before others are taken to be so too."""


class Equals:
    """Counts the rounds in a row that are alike, each with the one that is a period before it."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._period = stage, 1
        self._held = [_holdings(stage)]  # before the first of the latest, and behind each of them
        self._latest: list[Any] = []  # as many as a period has, if there were so many
        self._alike = self._due = 0

    def growth(self, period: int, *looks: Any) -> dict[str, int] | None:
        """What the latest period has changed in what is held, if enough are alike; None if not.

        Args:
            period: rounds after which all is alike.
            looks: what the latest round was like besides.

        Raises:
            CausalityError: it is not like the ones that were leapt over.
        """
        held = _holdings(self._stage)
        this = _change(self._held[-1], held), *looks
        if period != self._period:
            self._period, self._alike = period, 0
        alike = len(self._latest) >= period and this == self._latest[-period]
        if self._due and not alike:
            raise CausalityError(
                f"{self._stage.sequencer.sweep_name!r}: the last of many rounds that should be alike is not like "
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
        self._held, self._alike, self._due = [_holdings(self._stage)], 0, self._period


def _holdings(stage: Stage) -> dict[str, int]:
    """How many values each storage holds."""
    return {name: holding.values for name, holding in stage.holdings.ledger.live.items()}


def _change(before: dict[str, int], held: dict[str, int]) -> dict[str, tuple[int, bool, bool]]:
    """By how much what is held differs, and whether it is there before and afterwards, where it does."""
    return {
        name: (held.get(name, 0) - before.get(name, 0), name in before, name in held)
        for name in before.keys() | held.keys()
        if held.get(name) != before.get(name)
    }


class Kind(NamedTuple):
    """What steps of one kind have been like.

    Attributes:
        looks: by how much what is held changed in the latest, and its trace.
        entered: what the journal has of it.
        times: how many were alike in a row.
        leapt: whether others have been leapt over since, so that the next one has to be like them.
    """

    looks: Any
    entered: Entered
    times: int
    leapt: bool = False

    @property
    def growth(self) -> dict[str, int] | None:
        """By how much each that step changes what is held; None if something was made or given back."""
        change: dict[str, tuple[int, bool, bool]] = self.looks[0]
        if not all(was and stays for _, was, stays in change.values()):
            return None
        return {name: values for name, (values, _, _) in change.items()}


class Section(NamedTuple):
    """Steps between two landmarks, the second one not included.

    Attributes:
        start, stop: the landmarks.
        periods: that rules have asked for.
        begins: whether it is the first step of a pass only.
    """

    start: int
    stop: int
    periods: tuple[tuple[int, int], ...]
    begins: bool


class Skips:
    """Skips steps of one pass, over the steps `order`.

    Between landmarks, steps are of one kind if the same periods have them. Once three of a kind have been alike, others
    are entered at once, but for the last one between the landmarks. Behind a landmark one step is enough that is like
    those of its kind before it.
    """

    def __init__(self, stage: Stage, order: range) -> None:
        self._stage, self._order = stage, order
        self._landmarks = stage.sequencer.presenter.landmarks
        self._kinds: dict[int, Kind] = {}
        self._section: Section | None = None
        self._periods = periods.of()
        self._held = _holdings(self._stage)

    def after(self, step: Step, position: int) -> int:
        """How many steps further the pass goes on, when the step at `position` is over: 1, or a leap.

        Raises:
            CausalityError: it is not like those of its kind that were leapt over.
        """
        marks = self._landmarks.marks
        between = bisect_right(marks, self._order[position])
        section = Section(marks[between - 1], marks[between], tuple(self._landmarks.periods), step.begins)
        if section != self._section:
            self._enter_section(section)
        self._note(self._periods.kind(self._order[position]))
        if self._landmarks.looked or step.begins:
            return 1
        last = self._last(position, marks[between - 1], marks[between])
        if last <= position or not self._known(self._periods.kind(self._order[position + 1])):
            return 1
        return 1 + self._leap(self._order[position + 1 : last + 1])

    def _enter_section(self, section: Section) -> None:
        """Begin with what is between other landmarks; the first of a kind that is like those before is enough."""
        alike = self._section is not None and self._section.periods == section.periods and not self._section.begins
        known = {kind: each for kind, each in self._kinds.items() if alike and each.times >= ALIKE}
        self._kinds = {kind: each._replace(times=ALIKE - 1, leapt=False) for kind, each in known.items()}
        self._section, self._periods = section, periods.of(*section.periods)

    def _note(self, kind: int) -> None:
        """Note what the step that is over was like."""
        sequencer, held, known = self._stage.sequencer, _holdings(self._stage), self._kinds.get(kind)
        entered = sequencer.journal.entered
        looks = _change(self._held, held), entered[0]
        alike = known is not None and looks == known.looks
        if known is not None and known.leapt and not alike:
            raise CausalityError(
                f"{sequencer.sweep_name!r}: the last of many steps that should be alike is not like the others; a rule "
                "that branches on anything but what a step says of itself has to ask for its index"
            )
        self._kinds[kind] = Kind(looks, entered, known.times + 1 if known is not None and alike else 1)
        self._held = held

    def _known(self, kind: int) -> bool:
        known = self._kinds.get(kind)
        return known is not None and known.times >= ALIKE and known.growth is not None

    def _last(self, position: int, before: int, behind: int) -> int:
        """The position of the last step until the next of the landmarks `before` and `behind` the one at a position.

        The last step of the pass is a landmark too.
        """
        index, last = self._order[position], self._order[-1]
        return position + (min(behind, last) - index - 1 if self._order.step > 0 else index - max(before, last + 1))

    def _leap(self, steps: range) -> int:
        """Enter as many of these steps as are of known kinds, and not the last of their kind; how many they are."""
        start, stop, kinds = steps.start, steps.stop, self._periods
        if steps.step < 0:
            start, stop, kinds = -start, -stop, kinds.mirrored
        end = min((kinds.last if self._known(kind) else kinds.next)(kind, start, stop) for kind in kinds.kinds)
        if start < end:
            self._enter(kinds.runs(start, end))
        return end - start

    def _enter(self, runs: Runs) -> None:
        """Enter steps of these kinds into the ledgers."""
        growth: Counter[str] = Counter()
        steps: list[tuple[Entered, int]] = []
        for kind, times in sorted(runs.steps.items()):
            known = self._kinds[kind]
            steps.append((known.entered, times))
            for name, values in (known.growth or {}).items():
                growth[name] += values * times
            self._kinds[kind] = known._replace(leapt=True)
        sequencer, traces = self._stage.sequencer, {kind: self._kinds[kind].entered[0] for kind in runs.steps}
        sequencer.leap(
            {name: values for name, values in growth.items() if values},
            runs.mapped(traces, sequencer.journal.blocks),
            steps,
        )
        self._held = _holdings(self._stage)


def rounds(stage: Stage, parts: Sequence[range]) -> Iterator[range]:
    """The parts of a sequence, each for a round of passes over it; parts that are like those before are leapt over."""
    equals, position, sequencer = Equals(stage), 0, stage.sequencer
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
