"""The memory ledger, against a model that adds everything up anew after each change."""

from __future__ import annotations

import doctest
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts import memory
from hwsim.accounts.memory import CLASSES, STATE, TAPE, WEIGHTS, Holding, MemoryLedger, most_buffered
from hwsim.records import Record, Trace

NAMES = ("h", "tape", "weights", "error")

Action = tuple[str, str, int, int, str]
"""What is done, to which holder, with how many values, and at an allocation also of how many bits and which class."""


@st.composite
def stories(draw: Any) -> list[Action]:
    """Allocations, growth, shrinking and releases in an order that can be carried out."""
    held: dict[str, int] = {}
    story: list[Action] = []
    for _ in range(draw(st.integers(1, 25))):
        name, values = draw(st.sampled_from(NAMES)), draw(st.integers(0, 20))
        if name not in held:
            story.append(("allocate", name, values, draw(st.integers(1, 64)), draw(st.sampled_from(CLASSES[:4]))))
            held[name] = values
            continue
        what = draw(st.sampled_from(("grow", "grow", "shrink", "release")))
        values = min(values, held[name]) if what == "shrink" else values
        held[name] += {"grow": values, "shrink": -values, "release": 0}[what]
        if what == "release":
            del held[name]
        story.append((what, name, values, 0, ""))
    return story


def carry_out(ledger: MemoryLedger, action: Action) -> None:
    what, name, values, bits, kind = action
    if what == "allocate":
        ledger.allocate(Holding(name, kind, values, bits, f"{kind} memory", values))
    elif what == "release":
        ledger.release(name)
    else:
        getattr(ledger, what)(name, values)


class Model:
    """What is held, as numbers of values; everything else is worked out from it."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[int, int, str]] = {}
        self.peak, self.at_peak, self.most = 0, Counter[str](), Counter[str]()

    def carry_out(self, action: Action) -> None:
        what, name, values, bits, kind = action
        if what == "allocate":
            self.held[name] = values, bits, kind
        elif what == "release":
            del self.held[name]
        else:
            before, bits, kind = self.held[name]
            self.held[name] = before + (values if what == "grow" else -values), bits, kind
        by_class: Counter[str] = Counter()
        for values, bits, kind in self.held.values():
            by_class[kind] += values * bits
        if by_class.total() > self.peak:
            self.peak, self.at_peak = by_class.total(), by_class
        self.most |= by_class


@given(stories())
def test_the_ledger_is_what_adding_up_anew_gives(story: list[Action]) -> None:
    ledger, model = MemoryLedger(), Model()
    for action in story:
        carry_out(ledger, action)
        model.carry_out(action)
        assert {name: (each.values, each.bits, each.kind) for name, each in ledger.live.items()} == model.held
        assert ledger.live_bits == sum(values * bits for values, bits, _ in model.held.values())
        assert ledger.peak_bits == model.peak
        assert {kind.removesuffix(" memory"): bits for kind, bits in ledger.most.items() if bits} == +model.most


@given(stories())
def test_the_peak_is_what_was_held_when_the_most_was_held(story: list[Action]) -> None:
    ledger, model = MemoryLedger(), Model()
    for action in story:
        carry_out(ledger, action)
        model.carry_out(action)
    assert ledger.peak_by_class() == +model.at_peak
    assert sum(holding.total_bits for holding in ledger.peak_holdings()) == ledger.peak_bits


@given(stories())
def test_asking_for_the_peak_changes_nothing(story: list[Action]) -> None:
    curious, incurious = MemoryLedger(), MemoryLedger()
    for action in story:
        for ledger in (curious, incurious):
            carry_out(ledger, action)
        curious.peak_by_class()
    assert curious.peak_by_class() == incurious.peak_by_class()
    assert (curious.live, curious.peak_bits, curious.most) == (incurious.live, incurious.peak_bits, incurious.most)


@given(stories())
def test_the_history_sums_to_what_is_held(story: list[Action]) -> None:
    ledger = MemoryLedger()
    ledger.history = []
    for number, action in enumerate(story):
        ledger.moment = number + 1, 7
        carry_out(ledger, action)
    sums: Counter[str] = Counter()
    for change in ledger.history:
        sums[change.name] += change.bits
    assert {name: bits for name, bits in sums.items() if bits} == {
        name: holding.total_bits for name, holding in ledger.live.items() if holding.total_bits
    }
    assert [(change.sweep, change.step) for change in ledger.history] == [(n + 1, 7) for n in range(len(story))]


@given(stories(), stories())
def test_the_history_says_nothing_while_nobody_listens(before: list[Action], after: list[Action]) -> None:
    ledger = MemoryLedger()
    for action in before:
        carry_out(ledger, action)
    assert ledger.history is None
    ledger.history, held = [], ledger.live_bits
    for name in list(ledger.live):
        ledger.release(name)
    for action in after:
        carry_out(ledger, action)
    assert held + sum(change.bits for change in ledger.history) == ledger.live_bits


def test_two_holders_cannot_have_one_name() -> None:
    ledger = MemoryLedger()
    ledger.allocate(Holding("h", STATE, 4, 32, "register", 4))
    with pytest.raises(ValueError, match="'h' is already held"):
        ledger.allocate(Holding("h", TAPE, 1, 8, "sram", 1))
    assert ledger.live_bits == 128


def test_a_holder_keeps_its_devices_and_technology_as_it_grows_and_shrinks() -> None:
    ledger = MemoryLedger()
    ledger.allocate(Holding("tape", TAPE, 0, 16, "sram", 0))
    ledger.grow("tape", 10)
    ledger.shrink("tape", 4)
    assert ledger.live["tape"] == Holding("tape", TAPE, 6, 16, "sram", 6)


def test_what_needs_no_power_needs_none_when_it_has_grown() -> None:
    ledger = MemoryLedger()
    ledger.allocate(Holding("records", TAPE, 0, 4, "phase-change memory", 0, volatile=False))
    ledger.grow("records", 3)
    assert not ledger.live["records"].volatile


def test_a_memory_is_as_large_as_what_it_held_at_most() -> None:
    ledger = MemoryLedger()
    ledger.allocate(Holding("tape", TAPE, 10, 32, "sram", 10))
    ledger.release("tape")
    ledger.allocate(Holding("weights", WEIGHTS, 20, 32, "sram", 20))
    ledger.allocate(Holding("h", STATE, 1, 8, "flip-flop", 1))
    assert ledger.most == {"sram": 640, "flip-flop": 8}
    assert ledger.peak_by_class() == {WEIGHTS: 640, STATE: 8}


def test_classes_are_listed_once_each() -> None:
    assert len(set(CLASSES)) == len(CLASSES)


def test_the_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(memory)
    assert results.attempted > 0
    assert results.failed == 0


# ---- wires ---------------------------------------------------------------------------------------------------


def record(values: int, reads: tuple[int | str, ...], writes: int | str, unit: str = "adder") -> Record:
    return Record("add", unit, "layer 1", "inference", "float32", (values,), values, reads, writes)


@st.composite
def traces(draw: Any) -> Trace:
    """Up to a dozen operations on each other's values; some load registers, and some store into them."""
    records: list[Record] = []
    made: list[int] = []
    for slot in range(draw(st.integers(1, 12))):
        values = draw(st.integers(0, 9))
        operands = draw(st.lists(st.sampled_from(made), max_size=3)) if made else []
        if made and draw(st.integers(0, 3)) == 0:
            records.append(record(values, (draw(st.sampled_from(made)),), "h"))
            continue
        if draw(st.integers(0, 3)) == 0:
            records.append(record(values, ("h",), slot, unit=draw(st.sampled_from(["h", "state memory"]))))
        else:
            records.append(record(values, tuple(operands), slot))
        made.append(slot)
    return tuple(records)


@settings(max_examples=300)
@given(traces())
def test_as_many_values_are_buffered_as_wait_at_the_worst_moment(trace: Trace) -> None:
    worst = 0
    for moment in range(len(trace)):
        waiting = 0
        for slot, made in enumerate(trace[: moment + 1]):
            readers = [later for later, each in enumerate(trace) if slot in each.reads]
            from_storage = made.unit in made.reads
            if isinstance(made.writes, int) and not from_storage and max(readers, default=slot) >= moment:
                waiting += made.values
        worst = max(worst, waiting)
    assert most_buffered(trace) == worst


def test_a_chain_needs_buffers_for_two_neighbours() -> None:
    assert most_buffered((record(3, (), 0), record(5, (0,), 1), record(4, (1,), 2))) == 9


def test_a_value_from_a_register_needs_no_buffer() -> None:
    assert most_buffered((record(8, ("h",), 0, unit="h"), record(2, (0,), 1), record(2, (1,), "h"))) == 2


def test_a_value_out_of_a_memory_needs_one() -> None:
    assert most_buffered((record(8, ("h",), 0, unit="state memory"), record(2, (0,), 1), record(2, (1,), "h"))) == 10


def test_parts_of_a_read_are_added_in_the_tile() -> None:
    parts = record(64, (0,), 1), record(64, (1,), 2)._replace(kind="part adc")
    assert most_buffered((record(5, (), 0), *parts, record(4, (2,), 3))) == 5
    assert most_buffered((record(5, (), 0), *parts, record(8, (0, 2), 3))) == 13


def test_an_empty_step_needs_no_buffers() -> None:
    assert most_buffered(()) == 0
