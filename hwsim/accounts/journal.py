"""The journal: which traces were carried out, how often, in which passes, with which measured activities.

It is kept per trace and per run of equal steps, so a long run costs no more to account for than a short one, and sums
are exact.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hwsim.records import Entry, Trace, record

PASS = "pass"
PHASE = "phase"


class Sweep(NamedTuple):
    """A pass over the input, or a phase outside passes, as runs of equal steps.

    Attributes:
        name: what the rule calls it.
        kind: `PASS` (repeated for every sequence on a serial machine) or `PHASE` (once a batch).
        runs: `(trace, steps)` pairs in order; a trace is its number in the journal.
    """

    name: str
    kind: str
    runs: tuple[tuple[int, int], ...]


class Batch(NamedTuple):
    """One batch of sequences as it was worked on, the unit of repetition."""

    sequences: int
    sweeps: tuple[Sweep, ...]


@dataclass
class Totals:
    """What was done since the journal was last collected.

    Attributes:
        batches: how often each batch was carried out.
        activities: for each trace, the sums of its measured activities over steps and sequences, `(activities, chips)`.
    """

    batches: Counter[Batch] = field(default_factory=Counter)
    activities: dict[int, np.ndarray] = field(default_factory=dict)

    def steps(self) -> Counter[int]:
        """How often each trace was carried out, over all sequences."""
        count: Counter[int] = Counter()
        for batch, times in self.batches.items():
            for sweep in batch.sweeps:
                repeat = times * (batch.sequences if sweep.kind == PASS else 1)
                for trace, steps in sweep.runs:
                    count[trace] += steps * repeat
        return count


class Journal:
    """Collects traces into sweeps, sweeps into batches, batches into totals."""

    def __init__(self, chips: int) -> None:
        self.traces: list[Trace] = []
        self.totals = Totals()
        self.detail: list[tuple[int, int, int, np.ndarray | None]] | None = None
        """While this is a list: `(sweep, step, trace, activities)` of every step."""
        self.latest: Batch | None = None
        self._chips = chips
        self._numbers: dict[tuple[Entry, ...], int] = {}
        self._traces: dict[Trace, int] = {}
        self._sweeps: list[Sweep] = []
        self._runs: list[list[int]] | None = None
        self._name = self._kind = ""
        self._last_entries: list[Entry] = []
        self._last = -1

    def open_sweep(self, name: str, kind: str) -> None:
        self._name, self._kind, self._runs = name, kind, []

    def step(self, entries: list[Entry], activities: np.ndarray | None, step: int) -> int:
        """Enter one step; returns its trace's number. `activities` is `(activities, chips)`."""
        assert self._runs is not None
        if entries == self._last_entries:  # steps of a pass mostly repeat, and comparing is cheaper than hashing
            number = self._last
        else:
            key = tuple(entries)
            found = self._numbers.get(key)
            if found is None:  # batches of other sizes have other entries of the same records
                trace = tuple(map(record, key))
                found = self._numbers[key] = self._traces.setdefault(trace, len(self.traces))
                if found == len(self.traces):
                    self.traces.append(trace)
            number = found
            self._last_entries, self._last = entries, number
        if activities is not None:
            total = self.totals.activities.get(number)
            if total is None:
                self.totals.activities[number] = activities.copy()
            else:
                total += activities
        if self.detail is not None:
            self.detail.append((len(self._sweeps), step, number, activities))
        if self._runs and self._runs[-1][0] == number:
            self._runs[-1][1] += 1
        else:
            self._runs.append([number, 1])
        return number

    def close_sweep(self) -> None:
        assert self._runs is not None
        self._sweeps.append(Sweep(self._name, self._kind, tuple((trace, steps) for trace, steps in self._runs)))
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
