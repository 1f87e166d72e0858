"""The energy ledger: counts and measured activities times constants, plus leakage times time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from hwsim.accounts.journal import PASS, Batch, Done, Totals
from hwsim.records import Record, Trace

LEAKAGE = "leakage"


UNPRICED = "no prices"
"""The constant that machines without an energy model lack."""


class Charge(NamedTuple):
    """One kind of event that an operation costs energy for.

    Attributes:
        component: what spends the energy; the unit of the record, or a memory or converter that served it.
        constant: the name of the constant in the machine's file.
        energy: joules an event; None if the constant has no source and no assumed value.
        assumed: whether the constant is assumed rather than published.
        amount: events for each execution, or for each unit of the activity.
        activity: which of the record's measured activities multiplies the amount; None for a fixed amount.
    """

    component: str
    constant: str
    energy: float | None
    assumed: bool
    amount: float
    activity: int | None = None


class Leak(NamedTuple):
    """Power that a component draws all the time."""

    component: str
    constant: str
    power: float | None
    assumed: bool


class Prices(Protocol):
    """What a machine's operations cost."""

    def charges(self, record: Record) -> list[Charge]:
        """The energy of one execution of a record, for one sequence on one chip."""

    def activities(self, record: Record) -> int:
        """How many measured activities a record has; they follow each other in the order of the trace."""

    def leakage(self) -> list[Leak]:
        """Power drawn all the time."""

    def duration(self, record: Record) -> int:
        """How long a unit is busy with a record, in picoseconds."""


class NoPrices:
    """Operations that are counted, and have no energy and no time."""

    def charges(self, record: Record) -> list[Charge]:
        return [Charge(record.unit, UNPRICED, None, False, 1.0)]

    def activities(self, record: Record) -> int:
        return 0

    def leakage(self) -> list[Leak]:
        return []

    def duration(self, record: Record) -> int:
        return 0


class Line(NamedTuple):
    """What a line of the energy ledger is about."""

    layer: str
    purpose: str
    unit: str
    operation: str
    component: str


@dataclass
class Spent:
    """Energy in joules, and how it comes about.

    Attributes:
        known: the sum of what has a price.
        assumed: the part that rests on assumed constants.
        by_constant: the sum by constant.
        unknown: constants without a value that were met.
    """

    known: float = 0.0
    assumed: float = 0.0
    by_constant: dict[str, float] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    @property
    def energy(self) -> float | None:
        """The sum; None if part of it is unknown."""
        return None if self.unknown else self.known

    def add(self, constant: str, energy: float | None, assumed: bool) -> None:
        if energy is None:
            self.unknown.add(constant)
            return
        self.known += energy
        self.assumed += energy if assumed else 0.0
        self.by_constant[constant] = self.by_constant.get(constant, 0.0) + energy

    def absorb(self, other: Spent) -> None:
        """Add all of another sum."""
        self.known += other.known
        self.assumed += other.assumed
        self.unknown |= other.unknown
        for constant, energy in other.by_constant.items():
            self.by_constant[constant] = self.by_constant.get(constant, 0.0) + energy


Ledger = dict[Line, Spent]


class Tariff:
    """The charges of every trace, worked out once each."""

    def __init__(self, traces: list[Trace], prices: Prices) -> None:
        self.traces, self.prices = traces, prices
        self._charges: dict[int, list[tuple[Line, Charge]]] = {}

    def charge(self, ledger: Ledger, trace: int, times: float, activities: np.ndarray | None) -> None:
        """Enter `times` executions of a trace; `activities`, `(activities, chips)`, are sums over all of them.

        A ledger is for one machine: activities count as their mean over chips.
        """
        means = None if activities is None else activities.mean(1)
        for line, charge in self._of(trace):
            factor = times if charge.activity is None else float(means[charge.activity])  # type: ignore[index]
            energy = None if charge.energy is None else charge.energy * charge.amount * factor
            ledger.setdefault(line, Spent()).add(charge.constant, energy, charge.assumed)

    def leak(self, ledger: Ledger, seconds: float) -> None:
        """Enter the power that is drawn all the time."""
        for leak in self.prices.leakage():
            line = Line("all", LEAKAGE, leak.component, LEAKAGE, leak.component)
            energy = None if leak.power is None else leak.power * seconds
            ledger.setdefault(line, Spent()).add(leak.constant, energy, leak.assumed)

    def of_totals(self, totals: Totals, seconds: float) -> Ledger:
        """All that was done, which took `seconds`."""
        ledger: Ledger = {}
        for trace, times in totals.steps().items():
            self.charge(ledger, trace, times, totals.activities.get(trace))
        self.leak(ledger, seconds)
        return ledger

    def of_steps(self, batch: Batch, detail: Iterable[Done], seconds: list[float]) -> Iterable[tuple[int, int, Ledger]]:
        """One batch, step by step: `(sweep, step, ledger)`, and behind each sweep `(sweep, -1, its leakage)`.

        Args:
            detail: every step, as the journal noted them.
            seconds: how long each sweep took, for all sequences.
        """
        current = 0
        for sweep, step, trace, activities, times in detail:
            if sweep != current:
                yield current, -1, self._leakage(seconds[current])
                current = sweep
            ledger: Ledger = {}
            sequences = batch.sequences if batch.sweeps[sweep].kind == PASS else 1
            self.charge(ledger, trace, sequences * times, activities)
            yield sweep, step, ledger
        yield current, -1, self._leakage(seconds[current])

    def _leakage(self, seconds: float) -> Ledger:
        ledger: Ledger = {}
        self.leak(ledger, seconds)
        return ledger

    def _of(self, trace: int) -> list[tuple[Line, Charge]]:
        if trace not in self._charges:
            found: list[tuple[Line, Charge]] = []
            first = 0
            for record in self.traces[trace]:
                for charge in self.prices.charges(record):
                    line = Line(record.layer, record.purpose, record.unit, record.kind, charge.component)
                    activity = None if charge.activity is None else first + charge.activity
                    found.append((line, charge._replace(activity=activity)))
                first += self.prices.activities(record)
            self._charges[trace] = found
        return self._charges[trace]


def total(ledger: Ledger) -> Spent:
    """The sum of a ledger."""
    spent = Spent()
    for line in ledger.values():
        spent.absorb(line)
    return spent


def grouped(ledger: Ledger, what: str) -> dict[str, Spent]:
    """A ledger summed by one field of its lines, such as `"purpose"`."""
    groups: dict[str, Spent] = {}
    for line, spent in ledger.items():
        groups.setdefault(getattr(line, what), Spent()).absorb(spent)
    return groups
