"""The energy ledger: counts and measured activities times constants, plus leakage times time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwsim.accounts.journal import PASS, Batch, Done, Sweep, Totals
from hwsim.accounts.passes import ONCE, Occurrence, Pass, Passes
from hwsim.quantities import ASSUMED, Constant
from hwsim.records import Record, Trace, slotless

LEAKAGE = "leakage"


UNPRICED = "no prices"
"""The constant that machines without an energy model lack."""


class Price(NamedTuple):
    """A product of constants.

    Attributes:
        name: the dotted keys of the constants, as in `machine.parts.tiles.voltage² × machine.parts.tiles.time`.
        value: in joules per event, or in watts; None if a constant has neither a source nor an assumed value.
        assumed: whether one of the constants is assumed rather than published.
        low, high: what the ranges of the constants allow, as multiples of the value.
        constants: what is multiplied, in this order.
    """

    name: str
    value: float | None
    assumed: bool = False
    low: float = 1.0
    high: float = 1.0
    constants: tuple[Constant[Any], ...] = ()

    @staticmethod
    def of(*constants: Constant[Any]) -> Price:
        """The product of constants and of their bounds, assumed if one of them is."""
        ids = tuple(map(id, constants))
        price = _PRICES.get(ids)
        if price is None:
            if len(_PRICES) == _MOST_PRICES:
                _PRICES.clear()
            price = _PRICES[ids] = Price._product(constants)
        return price

    @staticmethod
    def _product(constants: tuple[Constant[Any], ...]) -> Price:
        value = low = high = 1.0
        powers: dict[str, int] = {}
        for constant in constants:
            least, most = constant.bounds
            value, low, high = value * constant.value, low * least, high * most
            name = constant.key or f"{constant.value:g} ({constant.source or 'assumed'})"  # of no document
            powers[name] = powers.get(name, 0) + 1
        name = TIMES.join(key + (_POWERS[power] if power > 1 else "") for key, power in powers.items())
        return Price(name, value, any(each.assumed is not None for each in constants), low, high, constants)


_PRICES: dict[tuple[int, ...], Price] = {}
"""Products by the ids of their constants, which prices keep alive: many records have the same price."""
_MOST_PRICES = 4096

TIMES = " × "
"""Stands between the keys of a product."""
_POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


class Charge(NamedTuple):
    """One kind of event that an operation costs energy for.

    Attributes:
        component: what spends the energy; the unit of the record, or a memory or converter that served it.
        price: of one event, in joules.
        amount: events for each execution, or for each unit of the activity.
        activity: which of the record's measured activities multiplies the amount; None for a fixed amount.
    """

    component: str
    price: Price
    amount: float
    activity: int | None = None

    @property
    def energy(self) -> float | None:
        """Of one execution, or for each unit of the activity, in joules; None if it is unknown."""
        return None if self.price.value is None else self.price.value * self.amount

    def typed(self) -> Charge:
        """The same where the amount was typed in: assumed, and off by a factor of two either way."""
        low, high = self.price.low / ASSUMED, self.price.high * ASSUMED
        return self._replace(price=self.price._replace(assumed=True, low=low, high=high))


def charge(component: str, amount: float, *constants: Constant[Any], activity: int | None = None) -> Charge:
    """An event whose energy is the product of constants."""
    return Charge(component, Price.of(*constants), amount, activity)


class Leak(NamedTuple):
    """Power that a component draws all the time; the price is in watts."""

    component: str
    price: Price


class Occupied(NamedTuple):
    """How long a record keeps things busy, in picoseconds.

    Attributes:
        duration: until its unit can go on with the next one.
        works: how much of that the unit works; otherwise it waits for a memory.
        memories: how long each memory is busy with it.
    """

    duration: int = 0
    works: int = 0
    memories: tuple[tuple[str, int], ...] = ()

    def busy(self, unit: str) -> dict[str, int]:
        """How long the unit and each memory really work; a unit may be a memory itself."""
        times = dict(self.memories)
        times[unit] = max(times.get(unit, 0), self.works)
        return times

    @staticmethod
    def of(seconds: float, memories: Mapping[str, float] = MappingProxyType({})) -> Occupied:
        """A unit that works so many seconds while memories are busy for theirs; the longest of them counts."""
        works = round(seconds * 1e12)
        busy = tuple((name, round(each * 1e12)) for name, each in memories.items() if each)
        return Occupied(max(works, *(time for _, time in busy), 0), works, busy)


class Area(NamedTuple):
    """What a machine takes of a chip.

    Attributes:
        parts: in square metres.
        lacks: why it is not all; empty if it is.
    """

    parts: dict[str, float]
    lacks: str = ""

    @property
    def whole(self) -> float | None:
        """In square metres; None if part of it has no source."""
        return None if self.lacks else sum(self.parts.values())


class Prices(Protocol):
    """What a machine's operations cost.

    A record's price may depend on where it stands in its pass: what was fetched for one step may serve others.
    """

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        """The energy of one execution of a record, for one sequence on one chip."""

    def activities(self, record: Record) -> int:
        """How many measured activities a record has; they follow each other in the order of the trace."""

    def leakage(self) -> list[Leak]:
        """Power drawn all the time."""

    def area(self) -> Area:
        """What all of it takes of a chip."""

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        """How long a record keeps its unit, and memories, busy."""


class NoPrices:
    """Operations that are counted, and have no energy and no time."""

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        return [Charge(record.unit, Price(UNPRICED, None), 1.0)]

    def activities(self, record: Record) -> int:
        return 0

    def leakage(self) -> list[Leak]:
        return []

    def area(self) -> Area:
        return Area({}, "this machine has no model of its area")

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        return Occupied()


class Account(NamedTuple):
    """What energy is booked under: an operation, what spends the energy, and the constants of its price."""

    layer: str
    purpose: str
    unit: str
    operation: str
    component: str
    constant: str


@dataclass(slots=True)
class Balance:
    """What an account of the energy ledger has come to.

    Attributes:
        price: of one event in joules, or, for leakage, in watts.
        count: events, or seconds.
    """

    price: Price
    count: float = 0.0

    @property
    def energy(self) -> float | None:
        """In joules; None if a constant has no value."""
        return None if self.price.value is None else self.price.value * self.count


@dataclass(slots=True)
class Contribution:
    """The energy that rests on one constant, or on a product of several, in joules, with its bounds.

    Attributes:
        assumed: whether a constant is assumed.
        constants: what is multiplied.
    """

    energy: float
    low: float
    high: float
    assumed: bool
    constants: tuple[Constant[Any], ...]


@dataclass
class Spent:
    """Energy in joules, and how it comes about.

    Attributes:
        known: the sum of what has a price.
        low, high: the same if all constants were the lowest, or the highest, in their ranges.
        assumed: the part that rests on assumed constants.
        by_constant: the sum by constant.
        unknown: constants without a value that were met.
    """

    known: float = 0.0
    low: float = 0.0
    high: float = 0.0
    assumed: float = 0.0
    by_constant: dict[str, Contribution] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    @property
    def energy(self) -> float | None:
        """The sum; None if part of it is unknown."""
        return None if self.unknown else self.known

    @property
    def range(self) -> tuple[float, float] | None:
        """The bounds of the sum; None if part of it is unknown."""
        return None if self.unknown else (self.low, self.high)

    def add(self, balance: Balance) -> None:
        """Add what an account of a ledger has come to."""
        energy, price = balance.energy, balance.price
        if energy is None:
            self.unknown.add(price.name)
        else:
            bounds = energy * price.low, energy * price.high
            self._enter(price.name, Contribution(energy, *bounds, price.assumed, price.constants))

    def absorb(self, other: Spent) -> None:
        """Add all of another sum."""
        self.unknown |= other.unknown
        for name, contribution in other.by_constant.items():
            self._enter(name, contribution)

    def _enter(self, name: str, more: Contribution) -> None:
        self.known += more.energy
        self.low += more.low
        self.high += more.high
        if more.assumed:
            self.assumed += more.energy
        known = self.by_constant.get(name)
        if known is None:
            self.by_constant[name] = replace(more)
        else:
            known.energy += more.energy
            known.low += more.low
            known.high += more.high


Ledger = dict[Account, Balance]


class Tariff:
    """The charges of every trace, worked out once for each kind of pass that it occurs in."""

    def __init__(self, traces: list[Trace], prices: Prices, passes: Passes | None = None) -> None:
        self.traces, self.prices, self.passes = traces, prices, passes or Passes(traces)
        self._charges: dict[tuple[Pass, int], list[tuple[Account, Charge]]] = {}
        self._priced: dict[tuple[Record, Occurrence], list[tuple[Account, Charge]]] = {}

    def charge(self, ledger: Ledger, sweep: Sweep, trace: int, times: float, activities: np.ndarray | None) -> None:
        """Enter `times` executions of a trace in a sweep.

        Args:
            activities: `(activities, chips)`, sums over all executions. A ledger is for one machine: they count as
                their mean over chips. None enters only what does not depend on them.
        """
        means = None if activities is None else activities.mean(1)
        for account, charge in self._of(sweep, trace):
            if charge.activity is None:
                _enter(ledger, account, charge.price, charge.amount * times)
            elif means is not None:
                _enter(ledger, account, charge.price, charge.amount * float(means[charge.activity]))

    def by_activity(self) -> set[str]:
        """The constants met so far whose energy depends on measured activities."""
        charges = (charge for found in self._charges.values() for _, charge in found)
        return {charge.price.name for charge in charges if charge.activity is not None}

    def leak(self, ledger: Ledger, seconds: float) -> None:
        """Enter the power that is drawn all the time."""
        for leak in self.prices.leakage():
            account = Account("all", LEAKAGE, leak.component, LEAKAGE, leak.component, leak.price.name)
            _enter(ledger, account, leak.price, seconds)

    def of_totals(self, totals: Totals, seconds: float) -> Ledger:
        """All that was done, which took `seconds`."""
        ledger: Ledger = {}
        somewhere: dict[int, Sweep] = {}
        for (sweep, trace), times in totals.in_sweeps().items():
            self.charge(ledger, sweep, trace, times, None)
            somewhere[trace] = sweep
        for trace, activities in totals.activities.items():  # what they cost does not depend on the sweep
            self.charge(ledger, somewhere[trace], trace, 0, activities)
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
            while current < sweep:
                yield current, -1, self._leakage(seconds[current])
                current += 1
            ledger: Ledger = {}
            sequences = batch.sequences if batch.sweeps[sweep].kind == PASS else 1
            self.charge(ledger, batch.sweeps[sweep], trace, sequences * times, activities)
            yield sweep, step, ledger
        yield current, -1, self._leakage(seconds[current])

    def _priced_as(self, record: Record, where: Occurrence) -> list[tuple[Account, Charge]]:
        key = slotless(record), where
        if key not in self._priced:
            about, charges = (record.layer, record.purpose, record.unit, record.kind), self.prices.charges(*key)
            self._priced[key] = [(Account(*about, each.component, each.price.name), each) for each in charges]
        return self._priced[key]

    def _leakage(self, seconds: float) -> Ledger:
        ledger: Ledger = {}
        self.leak(ledger, seconds)
        return ledger

    def _of(self, sweep: Sweep, trace: int) -> list[tuple[Account, Charge]]:
        key = self.passes.of(sweep), trace
        if key not in self._charges:
            found: list[tuple[Account, Charge]] = []
            first = 0
            for record, where in zip(self.traces[trace], key[0].occurrences(trace), strict=True):
                for account, charge in self._priced_as(record, where):
                    activity = charge.activity
                    found.append((account, charge if activity is None else charge._replace(activity=first + activity)))
                first += self.prices.activities(record)
            self._charges[key] = found
        return self._charges[key]


def _enter(ledger: Ledger, account: Account, price: Price, count: float) -> None:
    balance = ledger.get(account)
    if balance is None:
        balance = ledger[account] = Balance(price)
    balance.count += count


def total(ledger: Ledger) -> Spent:
    """The sum of a ledger."""
    spent = Spent()
    for balance in ledger.values():
        spent.add(balance)
    return spent


def grouped(ledger: Ledger, what: str) -> dict[str, Spent]:
    """A ledger summed by one field of its accounts, such as `"purpose"`."""
    groups: dict[str, Spent] = {}
    for account, balance in ledger.items():
        groups.setdefault(getattr(account, what), Spent()).add(balance)
    return groups
