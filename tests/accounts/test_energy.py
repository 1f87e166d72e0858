"""The energy ledger against prices that are made up here, and a recount that goes through every step.

Energies, amounts, activities and times are small whole numbers, so that sums are exact in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import built, close, gradient_of, random_episode, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts.energy import (
    LEAKAGE,
    UNPRICED,
    Account,
    Area,
    Balance,
    Charge,
    Leak,
    Ledger,
    NoPrices,
    Occupied,
    Price,
    Spent,
    Tariff,
    charge,
    grouped,
    total,
)
from hwsim.accounts.journal import PASS, PHASE, Batch, Journal, Sweep, Totals
from hwsim.accounts.passes import ONCE, Occurrence, Passes
from hwsim.accounts.runs import Runs
from hwsim.quantities import Constant, Energy
from hwsim.records import GRADIENT, INFERENCE, WEIGHT_WRITE, Entry, Head, Record, Trace, slotless

CHIPS = 2
READ = Charge("devices", Price("voltage", 3.0, False, 0.5, 2.0), 2.0)
SUMMED = Charge("devices", Price("conductance", 5.0, False, 0.25, 4.0), 4.0, 0)
SQUARED = Charge("drivers", Price("voltage", 3.0, False, 0.5, 2.0), 8.0, 1)
CONVERTED = Charge("adc", Price("conversion", 7.0, True, 0.5, 2.0), 16.0)
SPIKED = Charge("links", Price("spike", 11.0, True, 0.5, 2.0), 1.0, 0)
UNKNOWN = Charge("memory", Price("access", None), 6.0)
PRICED: dict[str, tuple[int, list[Charge]]] = {
    "read": (2, [READ, SUMMED, SQUARED, CONVERTED]),
    "spike": (1, [SPIKED]),
    "add": (0, [CONVERTED, READ]),
    "wire": (0, []),
    "push": (0, [UNKNOWN, READ]),
}
"""By kind of record: how many activities it has, and what it is charged for."""
MEASURED = {
    (kind, each.component, each.price.name)
    for kind, (_, charges) in PRICED.items()
    for each in charges
    if each.activity is not None
}
STATIC, BIAS = Price("static", 2.0, False, 0.5, 4.0), Price("bias", 3.0, True, 0.5, 2.0)
LEAKS = [Leak("devices", STATIC), Leak("adc", BIAS)]


@dataclass
class Prices(NoPrices):
    """The charges of the table above."""

    leaks: list[Leak] = field(default_factory=lambda: list(LEAKS))

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        return PRICED[record.kind][1]

    def activities(self, record: Record) -> int:
        return PRICED[record.kind][0]

    def leakage(self) -> list[Leak]:
        return self.leaks


# ---- what is done ------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """The records of a step, and a number that its activities are made of."""

    what: tuple[tuple[str, str, str], ...]
    size: int

    @property
    def entries(self) -> list[Entry]:
        return [
            (Head(kind, f"unit of {kind}", layer, purpose, "analog"), (CHIPS, 1, 3), None, (), slot)
            for slot, (kind, layer, purpose) in enumerate(self.what)
        ]

    @property
    def activities(self) -> np.ndarray | None:
        """One a row, on two chips."""
        count = sum(PRICED[kind][0] for kind, _, _ in self.what)
        ahead = np.arange(1.0, count + 1)[:, None] * [self.size, self.size + 2]
        return ahead if count else None


class Done(NamedTuple):
    """A sweep that is carried out."""

    kind: str
    steps: list[Step]


records = st.tuples(
    st.sampled_from([*PRICED]), st.sampled_from(["layer 1", "layer 2"]), st.sampled_from([INFERENCE, GRADIENT])
)
steps = st.builds(Step, st.lists(records, max_size=3).map(tuple), st.integers(0, 5))
sweeps = st.builds(Done, st.sampled_from([PASS, PHASE]), st.lists(steps, min_size=1, max_size=4))
batches = st.tuples(st.integers(1, 3), st.lists(sweeps, min_size=1, max_size=3))
works = st.lists(batches, min_size=1, max_size=3)
Work = tuple[int, list[Done]]


def carried_out(made: Journal, work: Work) -> None:
    sequences, done = work
    for number, sweep in enumerate(done):
        made.open_sweep(f"sweep {number}", sweep.kind)
        for place, step in enumerate(sweep.steps):
            made.step(step.entries, step.activities, place)
        made.close_sweep()
    made.close_batch(sequences)


def journal(done: list[Work], detail: bool = False) -> Journal:
    made = Journal(CHIPS)
    made.detail = [] if detail else None
    for work in done:
        carried_out(made, work)
    return made


def every_charge(done: list[Work]) -> Iterator[tuple[Account, Charge, float]]:
    """Each charge of each record of each step, one by one, and how many events it is of."""
    for sequences, sweeps_done in done:
        for sweep in sweeps_done:
            for step in sweep.steps:
                first = 0
                for kind, layer, purpose in step.what:
                    count, charges = PRICED[kind]
                    for each in charges:
                        account = Account(layer, purpose, f"unit of {kind}", kind, each.component, each.price.name)
                        if each.activity is None:
                            yield account, each, each.amount * (sequences if sweep.kind == PASS else 1)
                        else:  # over all sequences already; of one machine, which is the mean over chips
                            row = first + each.activity + 1
                            yield account, each, each.amount * row * (step.size + 1)
                    first += count


def counts(ledger: Ledger) -> dict[Account, float]:
    return {account: balance.count for account, balance in ledger.items()}


def of(made: Journal, totals: Totals, seconds: float = 0.0, leaks: list[Leak] | None = None) -> Ledger:
    prices = Prices() if leaks is None else Prices(leaks)
    return Tariff(made.traces, prices).of_totals(totals, seconds)


# ---- one charge --------------------------------------------------------------------------------------------------

values = st.floats(0.1, 10)
spans = st.tuples(st.floats(0.1, 1), st.floats(1, 10))


def constant(value: float, span: tuple[float, float] | None, assumed: bool) -> Constant[Any]:
    where = {"assumed": "a guess"} if assumed else {"source": "a paper"}
    ends = None if span is None else [f"{value * each} J" for each in span]
    return Constant[Energy].model_validate({"value": f"{value} J", "range": ends, **where})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(values, st.none() | spans, st.booleans()), min_size=1, max_size=3))
def test_a_product_lies_between_its_least_and_its_largest_corner(factors: list[Any]) -> None:
    made = charge("devices", 4.0, *(constant(*each).at(name, {}) for name, each in zip("abc", factors, strict=False)))
    ends = [span or ((0.5, 2) if assumed else (1, 1)) for _, span, assumed in factors]
    corners = [prod(corner) for corner in product(*ends)]
    assert made.energy == close(4 * prod(value for value, _, _ in factors), rel=1e-12)
    assert (made.price.low, made.price.high) == close((min(corners), max(corners)), rel=1e-12)
    assert made.price.assumed == any(assumed for _, _, assumed in factors)
    assert (made.component, made.amount, made.activity) == ("devices", 4.0, None)
    assert made.price.name == " × ".join("abc"[: len(factors)])


def test_the_same_constant_twice_is_its_square() -> None:
    volt, time = constant(3.0, (0.5, 2.0), False).at("v", {}), constant(5.0, None, False).at("t", {})
    made = charge("devices", 1.0, volt, time, volt, activity=2)
    assert (made.energy, made.activity) == (close(45.0), 2)
    assert (made.price.low, made.price.high) == (close(0.25), close(4.0))
    assert (made.price.name, made.price.constants) == ("v² × t", (volt, time, volt))


def test_an_amount_that_was_typed_in_is_assumed_and_off_by_two_either_way() -> None:
    assert READ.typed() == READ._replace(price=READ.price._replace(assumed=True, low=0.25, high=4.0))
    assert READ.typed().typed() == READ._replace(price=READ.price._replace(assumed=True, low=0.125, high=8.0))
    assert UNKNOWN.typed().energy is None


# ---- ledgers -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(works)
def test_a_ledger_is_what_a_recount_of_every_step_gives(done: list[Work]) -> None:
    made = journal(done)
    ledger = of(made, made.totals, leaks=[])
    recount: Counter[Account] = Counter()
    prices: dict[Account, Price] = {}
    for account, each, events in every_charge(done):
        recount[account] += events  # type: ignore[assignment]
        prices[account] = each.price
    assert counts(ledger) == dict(recount)
    for account, balance in ledger.items():
        price = prices[account]
        assert balance.price == price
        assert balance.energy == (None if price.value is None else price.value * recount[account])


@settings(max_examples=60, deadline=None)
@given(works, st.integers(0, 5))
def test_a_total_is_the_sum_of_its_accounts_and_of_all_groups(done: list[Work], seconds: int) -> None:
    made = journal(done)
    ledger = of(made, made.totals, float(seconds))
    priced = [
        (balance.price.value * balance.count, balance.price)
        for balance in ledger.values()
        if balance.price.value is not None
    ]
    spent = total(ledger)
    assert spent.known == sum(energy for energy, _ in priced)
    assert spent.low == sum(energy * price.low for energy, price in priced)
    assert spent.high == sum(energy * price.high for energy, price in priced)
    assert spent.assumed == sum(energy for energy, price in priced if price.assumed)
    assert spent.unknown == {account.constant for account, balance in ledger.items() if balance.price.value is None}
    assert spent.energy == (None if spent.unknown else spent.known)
    assert spent.range == (None if spent.unknown else (spent.low, spent.high))
    for what in Account._fields:
        whole = Spent()
        groups = grouped(ledger, what)
        assert set(groups) == {getattr(account, what) for account in ledger}
        for group in groups.values():
            whole.absorb(group)
        assert whole == spent
    assert {name: part.energy for name, part in spent.by_constant.items()} == {
        name: group.known for name, group in grouped(ledger, "constant").items() if not group.unknown
    }


@settings(max_examples=60, deadline=None)
@given(works, st.integers(0, 4), st.integers(0, 5))
def test_what_is_done_so_many_times_costs_so_many_times_as_much(done: list[Work], times: int, seconds: int) -> None:
    made = journal(done)
    once = of(made, made.totals, float(seconds))
    often = of(made, made.totals.times(times), float(seconds * times))
    assert counts(often) == {account: times * count for account, count in counts(once).items()}
    for account, balance in often.items():
        assert balance.price == once[account].price
    assert total(often).known == times * total(once).known


@settings(max_examples=60, deadline=None)
@given(works, works, st.integers(0, 5), st.integers(0, 5))
def test_costs_of_two_runs_add_up_to_those_of_both(first: list[Work], other: list[Work], s: int, t: int) -> None:
    made = Journal(CHIPS)
    parts = []
    for part in (first, other):
        for work in part:
            carried_out(made, work)
        parts.append(made.collect())
    both: Counter[Account] = Counter()
    for part, seconds in zip(parts, (s, t), strict=True):
        for account, count in counts(of(made, part, float(seconds))).items():
            both[account] += count  # type: ignore[assignment]
    assert counts(of(made, parts[0] + parts[1], float(s + t))) == dict(both)


@settings(max_examples=60, deadline=None)
@given(works)
def test_energy_is_affine_in_activities(done: list[Work]) -> None:
    """Accounts that depend on them are proportional to them; the others do not change."""
    made = journal(done)
    plain = of(made, made.totals, leaks=[])
    tripled = Totals(made.totals.batches, {trace: 3 * each for trace, each in made.totals.activities.items()})
    for account, balance in of(made, tripled, leaks=[]).items():
        measured = (account.operation, account.component, account.constant) in MEASURED
        assert balance.count == (3 if measured else 1) * plain[account].count
    tariff = Tariff(made.traces, Prices())
    tariff.of_totals(made.totals, 0.0)
    met = {record.kind for trace in made.traces for record in trace}
    assert tariff.by_activity() == {constant for kind, _, constant in MEASURED if kind in met}


@settings(max_examples=60, deadline=None)
@given(batches)
def test_the_steps_of_a_batch_add_up_to_its_whole(work: Work) -> None:
    made = journal([work], detail=True)
    assert made.latest is not None
    assert made.detail is not None
    seconds = [float(2 * number + 1) for number in range(len(made.latest.sweeps))]
    tariff = Tariff(made.traces, Prices())
    found = list(tariff.of_steps(made.latest, made.detail, seconds))
    summed: Counter[Account] = Counter()
    for _, _, ledger in found:
        for account, count in counts(ledger).items():
            summed[account] += count  # type: ignore[assignment]
    assert dict(summed) == counts(tariff.of_totals(made.totals, sum(seconds)))
    order = [(sweep, step) for sweep, step, _ in found]
    _, done = work
    assert order == [
        place
        for sweep, each in enumerate(done)
        for place in [*((sweep, step) for step in range(len(each.steps))), (sweep, -1)]
    ]
    for sweep, step, ledger in found:
        leaked = {
            account.constant: balance.count for account, balance in ledger.items() if account.operation == LEAKAGE
        }
        assert leaked == ({} if step >= 0 else {"static": seconds[sweep], "bias": seconds[sweep]})


# ---- leakage and what is not known -------------------------------------------------------------------------------


def test_leakage_is_power_times_time_and_serves_no_layer() -> None:
    ledger: Ledger = {}
    Tariff([], Prices()).leak(ledger, 0.25)
    Tariff([], Prices()).leak(ledger, 0.5)
    assert ledger == {
        Account("all", LEAKAGE, "devices", LEAKAGE, "devices", "static"): Balance(STATIC, 0.75),
        Account("all", LEAKAGE, "adc", LEAKAGE, "adc", "bias"): Balance(BIAS, 0.75),
    }
    spent = total(ledger)
    assert (spent.energy, spent.range, spent.assumed) == (3.75, (0.75 + 1.125, 6.0 + 4.5), 2.25)


def test_one_constant_without_a_value_makes_the_sum_unknown_and_is_named() -> None:
    made = journal([(2, [Done(PASS, [Step((("push", "layer 1", INFERENCE), ("add", "layer 1", INFERENCE)), 0)])])])
    ledger = of(made, made.totals, 1.0, [Leak("wires", Price("drift", None))])
    spent = total(ledger)
    assert (spent.energy, spent.range, spent.unknown) == (None, None, {"access", "drift"})
    assert spent.known == 2 * (2 * READ.amount * 3.0 + CONVERTED.amount * 7.0)
    by_component = grouped(ledger, "component")
    assert by_component["memory"].energy is None
    assert by_component["devices"].energy == 2 * 2 * READ.amount * 3.0
    assert "access" not in spent.by_constant


def test_machines_without_prices_have_counts_and_no_energy() -> None:
    made = journal([(3, [Done(PASS, [Step((("read", "layer 1", INFERENCE),) * 2, 1)] * 5)])])
    totals = Totals(made.totals.batches)
    spent = total(Tariff(made.traces, NoPrices()).of_totals(totals, 1.0))
    assert (spent.energy, spent.known, spent.unknown) == (None, 0.0, {UNPRICED})
    (balance,) = Tariff(made.traces, NoPrices()).of_totals(totals, 1.0).values()
    assert balance.count == 3 * 5 * 2
    assert NoPrices().area().whole is None


# ---- where a record stands ---------------------------------------------------------------------------------------


class OncePerPass(NoPrices):
    """What is fetched once a pass, and so costs each of its steps a share."""

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        return [Charge("memory", Price("fetch", 12.0), 1 / where.steps)]


def test_the_same_trace_is_charged_for_each_pass_as_it_stands_there() -> None:
    trace: Trace = (Record("read", "array", "layer 1", INFERENCE, "float32", (3, 3), 3, ("W",), 0),)
    long, short = Sweep("long", PASS, Runs(((0, 4),))), Sweep("short", PASS, Runs(((0, 2),)))
    phase = Sweep("phase", PHASE, Runs(((0, 1),)))
    for sweeps_done, fetches in (((long,), 1), ((short,), 1), ((long, short), 2), ((long, short, phase), 3)):
        for sequences in (1, 3):
            totals = Totals(Counter({Batch(sequences, sweeps_done): 2}))
            passes = sum(sweep.kind == PASS for sweep in sweeps_done)
            (balance,) = Tariff([trace], OncePerPass()).of_totals(totals, 0.0).values()
            assert balance.count == close(2 * (sequences * passes + fetches - passes), rel=1e-14)


def machine_that_learned(on: str) -> Any:
    learned, episode = rule({"name": "fptt", "parts": 2}), random_episode(steps=24)
    made = built("lru stack", learned, episode, on=on)
    gradient_of(made, learned, episode)
    return made.machine


@pytest.mark.parametrize("on", ["digital_45nm", "pcm_crossbar", "pcm_crossbar_in_the_loop"])
def test_what_a_record_costs_does_not_depend_on_its_slots(on: str) -> None:
    machine = machine_that_learned(on)
    prices, passes = machine.prices(), Passes(machine.journal.traces)
    for sweep in machine.journal.latest.sweeps:
        for number in sweep.runs.steps:
            for record, where in zip(machine.journal.traces[number], passes.of(sweep).occurrences(number), strict=True):
                assert prices.charges(slotless(record), where) == prices.charges(record, where)
                assert prices.occupied(slotless(record), where) == prices.occupied(record, where)


def test_records_that_differ_in_their_slots_alone_are_priced_once() -> None:
    """A part of 12 steps goes back in one step, so that one has many of them."""
    machine = machine_that_learned("digital_45nm")
    traces, prices, asked = machine.journal.traces, machine.prices(), Counter[Any]()

    class Counting:
        activities, leakage, area, occupied = prices.activities, prices.leakage, prices.area, prices.occupied

        def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
            asked[slotless(record), where] += 1
            found: list[Charge] = prices.charges(record, where)
            return found

    Tariff(traces, Counting()).of_totals(machine.journal.collect(), 0.0)
    assert set(asked.values()) == {1}
    assert len(asked) < sum(map(len, traces)) / 3


def test_purposes_of_equal_operations_have_accounts_of_their_own() -> None:
    what = (("add", "layer 1", INFERENCE), ("add", "layer 1", WEIGHT_WRITE), ("add", "layer 2", INFERENCE))
    made = journal([(1, [Done(PASS, [Step(what, 0)])])])
    spent = grouped(of(made, made.totals, leaks=[]), "purpose")
    each = READ.amount * 3.0 + CONVERTED.amount * 7.0
    assert {purpose: group.energy for purpose, group in spent.items()} == {INFERENCE: 2 * each, WEIGHT_WRITE: each}


# ---- how long, and how large -------------------------------------------------------------------------------------


def test_an_operation_takes_as_long_as_the_slowest_of_its_unit_and_its_memories() -> None:
    slow = Occupied.of(2e-9, {"sram": 5e-9, "dram": 3e-9, "idle": 0.0})
    assert slow == Occupied(5000, 2000, (("sram", 5000), ("dram", 3000)))
    assert Occupied.of(7e-9, {"sram": 5e-9}).duration == 7000
    assert Occupied.of(1.4e-12) == Occupied(1, 1)
    assert Occupied.of(0.0) == Occupied()


def test_units_and_memories_are_busy_only_while_they_work() -> None:
    slow = Occupied.of(2e-9, {"sram": 5e-9})
    assert slow.busy("array") == {"array": 2000, "sram": 5000}
    assert slow.busy("sram") == {"sram": 5000}  # a unit that is a memory itself
    assert Occupied.of(2e-9, {"sram": 1e-9}).busy("sram") == {"sram": 2000}
    assert slow.memories == (("sram", 5000),)


def test_an_area_that_lacks_a_part_is_not_known_as_a_whole() -> None:
    assert Area({"tiles": 2e-6, "adc": 1e-6}).whole == close(3e-6, rel=1e-12)
    assert Area({"tiles": 2e-6}, "drivers have no source").whole is None


@pytest.mark.parametrize("count", [0.0, 2.0])
def test_a_balance_is_its_price_times_its_count(count: float) -> None:
    assert Balance(Price("p", 3.0), count).energy == 3.0 * count
    assert Balance(Price("p", None), count).energy is None
