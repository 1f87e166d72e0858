"""What follows from what in a pass: the recurrence that records show, against one that is walked step by step."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import SPARSE, built, gradient_of, random_episode, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts.journal import PASS, PHASE, Sweep
from hwsim.accounts.passes import ONCE, Pass, Passes
from hwsim.accounts.runs import Runs
from hwsim.records import Record, Trace

STORAGES = ("h", "c", "e", "sum")


def of(kind: str, reads: tuple[int | str, ...], writes: int | str, *size: int) -> Record:
    return Record(kind, "unit", "layer 1", "inference", "float32", size or (3,), 3, reads, writes)


@st.composite
def traces(draw: Any) -> Trace:
    """A step of operations on values and storages; sums are written only."""
    records: list[Record] = []
    made: list[int] = []
    for slot in range(draw(st.integers(1, 8))):
        what = draw(st.sampled_from(("load", "operate", "operate", "store")))
        if what == "load":
            records.append(of("load", (draw(st.sampled_from(STORAGES[:3])),), slot))
        elif what == "store" and made:
            records.append(of("store", (draw(st.sampled_from(made)),), draw(st.sampled_from(STORAGES))))
            continue
        else:
            reads = draw(st.lists(st.sampled_from(made), max_size=2)) if made else []
            records.append(of("add", tuple(reads), slot))
        made.append(slot)
    return tuple(records)


def recurrent(order: list[int], traces: list[Trace]) -> set[tuple[int, int]]:
    """The records that depend on themselves, over all steps of a pass: values pass on what they have seen."""
    held: dict[str, frozenset[tuple[int, int]]] = {}
    found = set()
    for number in order:
        seen: list[frozenset[tuple[int, int]]] = []
        stored: dict[str, frozenset[tuple[int, int]]] = {}
        for slot, record in enumerate(traces[number]):
            parts = [held.get(read, frozenset()) if isinstance(read, str) else seen[read] for read in record.reads]
            before = frozenset().union(*parts)
            if (number, slot) in before:
                found.add((number, slot))
            seen.append(before | {(number, slot)})
            if isinstance(record.writes, str):
                stored[record.writes] = stored.get(record.writes, frozenset()) | seen[slot]
        for name, value in stored.items():  # whatever a storage has held may be in what it holds
            held[name] = held.get(name, frozenset()) | value
    return found


@settings(deadline=None, max_examples=300)
@given(st.tuples(traces(), traces()))
def test_an_operation_is_recurrent_if_it_comes_to_depend_on_itself(pair: tuple[Trace, Trace]) -> None:
    order = [0, 1] * 10
    found = Pass(dict(enumerate(pair)), len(order))
    mine = {
        (number, slot) for number in (0, 1) for slot, where in enumerate(found.occurrences(number)) if where.recurrent
    }
    assert mine == recurrent(order, list(pair))


def learned_on(machine: str, network: Any, learner: str = "bptt") -> Any:
    """The journal of a gradient."""
    learned, episode = rule(learner), random_episode(steps=6, width=2, classes=3)
    made = built(network, learned, episode, on=machine)
    gradient_of(made, learned, episode)
    return made.machine.journal


def products(learner: str, network: Any, sweep: str) -> dict[tuple[str, tuple[int, ...]], tuple[bool, int]]:
    """For each product of a pass: whether it is recurrent, and how large the matrices of its recurrence are."""
    journal = learned_on("digital_45nm", network, learner)
    assert journal.latest is not None
    (wanted,) = [each for each in journal.latest.sweeps if each.name == sweep]
    found = Passes(journal.traces).of(wanted)
    return {
        (record.kind, record.size): (where.recurrent, where.matrices)
        for trace, _ in wanted.runs
        for record, where in zip(journal.traces[trace], found.occurrences(trace), strict=True)
        if record.kind.removeprefix("sparse ") in ("read", "read transposed", "outer", "fetch", "solve")
    }


def test_only_the_recurrent_matrix_of_a_dense_cell_has_to_be_read_step_by_step() -> None:
    """Six units, two inputs, five hidden, three classes: W is 6 by 6."""
    assert products("bptt", "tanh", "forward") == {
        ("read", (6, 6)): (True, 36),
        ("read", (6, 2)): (False, 0),
        ("read", (5, 6)): (False, 0),
        ("read", (3, 5)): (False, 0),
    }
    back = products("bptt", "tanh", "backward")
    assert {kind: each for kind, each in back.items() if each[0]} == {("read transposed", (6, 6)): (True, 36)}


def test_a_sparse_matrix_takes_a_place_for_each_weight_and_each_index() -> None:
    """Six units of two connections; all matrices are W, U of two inputs, and a readout of five and three wires."""
    network = {"layers": SPARSE["layers"][:1]}
    assert products("bptt", network, "forward")["sparse read", (6, 2, 6)] == (True, 24)
    back = products("bptt", network, "backward")
    assert back["sparse read transposed", (6, 2, 6)] == (True, 24)
    assert back["sparse outer", (6, 2, 6)] == (False, 0)
    journal = learned_on("digital_45nm", network)
    (sweep,) = [each for each in journal.latest.sweeps if each.name == "backward"]
    where = Passes(journal.traces).of(sweep).occurrences(sweep.runs[0][0])[0]
    assert where.sums == 12 + 12 + 6 + 5 * 6 + 5 + 3 * 5 + 3
    assert where.weights == 24 + 5 * 6 + 3 * 5  # errors go no further than the state, so U is not read


def test_diagonal_cells_have_no_recurrent_products() -> None:
    for sweep in ("pass 1", "pass 2"):
        assert not any(recurrent for recurrent, _ in products("fpe", "lru", sweep).values())


def test_a_matrix_that_is_read_in_several_ways_is_one_matrix() -> None:
    """In the warm-up of a dense cell the product of Jacobians is multiplied by W, which the dynamics read as well."""
    found = products("fpe", "tanh", "pass 1")
    assert found["read", (6, 6)] == (True, 36)  # in its own recurrence
    assert found["read", (6, 6, 6)] == (True, 36)


def test_a_solver_gets_the_matrix_as_a_whole() -> None:
    found = {kind: each for kind, each in products("fpe", "tanh", "pass 2").items() if kind[0] == "solve"}
    assert {(kind, size) for kind, size in found} == {("solve", (6, 6))}
    assert all(recurrent for recurrent, _ in found.values())


def test_matrices_on_one_way_around_are_of_one_recurrence() -> None:
    """W leads from h to c and V back; U leads from e to e; S leads out of all of them, into a sum."""
    trace = (
        of("load", ("h",), 0),
        of("read", (0, "W"), 1, 5, 3),
        of("store", (1,), "c"),
        of("load", ("c",), 3),
        of("read", (3, "V"), 4, 3, 7),
        of("store", (4,), "h"),
        of("load", ("e",), 6),
        of("read", (6, "U"), 7, 11, 11),
        of("add", (7, 4), 8),
        of("store", (8,), "e"),
        of("read", (7, "S"), 10, 2, 13),
        of("store", (10,), "sum"),
    )
    found = Pass({0: trace}, 9).occurrences(0)
    reads = {record.reads[1]: where for record, where in zip(trace, found, strict=True) if record.kind == "read"}
    assert {name: (where.recurrent, where.matrices) for name, where in reads.items()} == {
        "W": (True, 5 * 3 + 3 * 7),
        "V": (True, 5 * 3 + 3 * 7),
        "U": (True, 11 * 11),
        "S": (False, 0),
    }
    loops = 5 * 3 + 3 * 7 + 11 * 11
    assert {(where.recurrences, where.weights) for where in found} == {(loops, loops + 2 * 13)}


def test_a_phase_is_one_step_and_a_long_pass_can_stand_for_a_short_one() -> None:
    loop = (of("load", ("h",), 0), of("add", (0,), 1), of("store", (1,), "h"))
    found = Passes([loop], lambda steps: 100 if steps == 8 else steps)
    assert found.of(Sweep("update", PHASE, Runs(((0, 5),)))).steps == 1
    assert found.of(Sweep("forward", PASS, Runs(((0, 8),)))).steps == 100
    assert found.of(Sweep("forward", PASS, Runs(((0, 3), (0, 4))))).steps == 7


@pytest.mark.parametrize("keeper", ["push", "keep", "replay"])
def test_what_is_recorded_anyway_does_not_wait_a_second_time(keeper: str) -> None:
    first = of("replay", ("input replay",), 0) if keeper == "replay" else of("input", (), 0)
    record = [] if keeper == "replay" else [of(keeper, (0,), "tape")]
    trace = (first, *record, of("read", (0, "W"), 1 + len(record), 4, 3))
    assert not any(where.awaited for where in Pass({0: trace}, 9).occurrences(0))
    alone = (of("input", (), 0), of("read", (0, "W"), 1, 4, 3))
    found = Pass({0: alone}, 9)
    assert [where.awaited for where in found.occurrences(0)] == [True, False]
    assert found.waiting(lambda where: where.awaited) == 3


def test_an_operation_on_its_own_can_be_shared_with_nothing() -> None:
    assert (ONCE.steps, ONCE.recurrent, ONCE.awaited) == (1, True, False)
