"""The journal: which traces were carried out, how often, in which passes, with which measured activities.

It is kept per trace and per run of equal steps, so a long run costs no more to account for than a short one, and sums
are exact.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from hwsim.accounts.runs import Runs
from hwsim.records import Entry, Trace, record

PASS = "pass"
PHASE = "phase"


class Sweep(NamedTuple):
    """A pass over the input, or a phase outside passes.

    Attributes:
        name: what the rule calls it.
        kind: `PASS` (repeated for every sequence on a serial machine) or `PHASE` (once a batch).
        runs: its steps in order; a trace is its number in the journal.
        beyond: the number of its steps, the last ones, that are behind the end of the input.
    """

    name: str
    kind: str
    runs: Runs
    beyond: int = 0


class Batch(NamedTuple):
    """One batch of sequences as it was worked on, the unit of repetition."""

    sequences: int
    sweeps: tuple[Sweep, ...]


class Done(NamedTuple):
    """One step that was carried out, or several equal ones in a row.

    Attributes:
        sweep, step: where; of several steps the one before them.
        trace: its number in the journal.
        activities: measured in all of them, `(activities, chips)`.
        times: how many steps.
    """

    sweep: int
    step: int
    trace: int
    activities: np.ndarray | None
    times: int = 1

    def repeated(self, times: int) -> "Done":
        """So many times more."""
        activities = None if self.activities is None else self.activities * times
        return self._replace(activities=activities, times=self.times * times)


Entered = tuple[int, np.ndarray | None]
"""A step that was entered: its trace, and the activities that were measured in it."""


class Standing(NamedTuple):
    """Where a journal stood: how many sweeps there were, steps in detail, and the sums of activities by trace."""

    sweeps: int
    detail: int
    activities: dict[int, np.ndarray]


@dataclass
class Totals:
    """What was done since the journal was last collected.

    Attributes:
        batches: how often each batch was carried out.
        activities: for each trace, the sums of its measured activities over steps and sequences, `(activities, chips)`.
    """

    batches: Counter[Batch] = field(default_factory=Counter)
    activities: dict[int, np.ndarray] = field(default_factory=dict)

    def times(self, count: int) -> "Totals":
        """All of it so many times."""
        batches = Counter({batch: times * count for batch, times in self.batches.items()})
        return Totals(batches, {trace: values * count for trace, values in self.activities.items()})

    def __add__(self, other: "Totals") -> "Totals":
        activities = {trace: values.copy() for trace, values in self.activities.items()}
        for trace, values in other.activities.items():
            activities[trace] = activities[trace] + values if trace in activities else values.copy()
        return Totals(self.batches + other.batches, activities)

    def steps(self) -> Counter[int]:
        """How often each trace was carried out, over all sequences."""
        count: Counter[int] = Counter()
        for (_, trace), times in self.in_sweeps().items():
            count[trace] += times
        return count

    def in_sweeps(self) -> Counter[tuple[Sweep, int]]:
        """The same for each kind of sweep that a trace was carried out in."""
        count: Counter[tuple[Sweep, int]] = Counter()
        for batch, times in self.batches.items():
            for sweep, alike in Counter(batch.sweeps).items():
                repeat = alike * times * (batch.sequences if sweep.kind == PASS else 1)
                for trace, steps in sweep.runs.steps.items():
                    count[sweep, trace] += steps * repeat
        return count


class Journal:
    """Collects traces into sweeps, sweeps into batches, batches into totals."""

    def __init__(self, chips: int) -> None:
        self.traces: list[Trace] = []
        self.totals = Totals()
        self.detail: list[Done] | None = None
        """While this is a list, every step is added to it."""
        self.latest: Batch | None = None
        self.blocks: dict[Any, Runs] = {}
        """Blocks of runs that were entered, so that equal ones are one."""
        self._chips = chips
        self._numbers: dict[tuple[Entry, ...], int] = {}
        self._traces: dict[Trace, int] = {}
        self._sweeps: list[Sweep] = []
        self._runs: list[list[Any]] | None = None
        self._name, self._kind, self._beyond = "", "", 0
        self._last_entries: list[Entry] | None = None  # not those of a step without operations
        self._last_activities: np.ndarray | None = None
        self.last = -1
        """The trace of the last step."""

    def open_sweep(self, name: str, kind: str, beyond: int = 0) -> None:
        self._name, self._kind, self._beyond, self._runs = name, kind, beyond, []

    def step(self, entries: list[Entry], activities: np.ndarray | None, step: int) -> int:
        """Enter one step; returns its trace's number. `activities` is `(activities, chips)`."""
        if entries == self._last_entries:  # steps of a pass mostly repeat, and comparing is cheaper than hashing
            number = self.last
        else:
            key = tuple(entries)
            found = self._numbers.get(key)
            if found is None:  # batches of other sizes have other entries of the same records
                trace = tuple(map(record, key))
                found = self._numbers[key] = self._traces.setdefault(trace, len(self.traces))
                if found == len(self.traces):
                    self.traces.append(trace)
            number = found
            self._last_entries, self.last = entries, number
        self._last_activities = activities
        if activities is not None:
            total = self.totals.activities.get(number)
            if total is None:
                self.totals.activities[number] = activities.copy()
            else:
                total += activities
        if self.detail is not None:
            self.detail.append(Done(len(self._sweeps), step, number, activities))
        self._add_to_runs(number, 1)
        return number

    @property
    def entered(self) -> Entered:
        """The last step."""
        return self.last, self._last_activities

    def leap(self, runs: Runs, steps: Sequence[tuple[Entered, int]]) -> None:
        """Enter runs, made of steps that were entered before, each of them so many times more."""
        for what, count in runs:
            self._add_to_runs(what, count)
        for (trace, activities), times in steps:
            if activities is not None:
                self.totals.activities[trace] += activities * times
            if self.detail is not None:
                latest = next(done for done in reversed(self.detail) if done.trace == trace)
                self.detail.append(Done(latest.sweep, latest.step, trace, activities).repeated(times))

    def _add_to_runs(self, what: int | Runs, times: int) -> None:
        assert self._runs is not None
        if self._runs and self._runs[-1][0] == what:
            self._runs[-1][1] += times
        else:
            self._runs.append([what, times])

    def mark(self) -> Standing:
        """Where the journal stands, between sweeps."""
        activities = {trace: values.copy() for trace, values in self.totals.activities.items()}
        return Standing(len(self._sweeps), 0 if self.detail is None else len(self.detail), activities)

    def since(self, mark: Standing) -> tuple[Sweep, ...]:
        """The sweeps since then."""
        return tuple(self._sweeps[mark.sweeps :])

    def repeat_since(self, mark: Standing, times: int) -> None:
        """Enter the sweeps since then so many times more."""
        self._sweeps += self._sweeps[mark.sweeps :] * times
        for trace, values in self.totals.activities.items():
            values += (values - mark.activities.get(trace, 0.0)) * times
        if self.detail is not None:
            self.detail += [done.repeated(times) for done in self.detail[mark.detail :]]

    def close_sweep(self) -> None:
        assert self._runs is not None
        runs = Runs((what, times) for what, times in self._runs)
        self._sweeps.append(Sweep(self._name, self._kind, runs, self._beyond))
        self._runs = None

    def close_batch(self, sequences: int) -> None:
        """Enter the sweeps since the last batch as one batch of `sequences`."""
        if self._sweeps:
            self.latest = Batch(sequences, tuple(self._sweeps))
            self.totals.batches[self.latest] += 1
            self._sweeps = []

    def collect(self) -> Totals:
        """What was done since the last call."""
        totals, self.totals = self.totals, Totals()
        return totals
