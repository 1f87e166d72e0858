"""The timeline of a small run: a trace-event file that viewers can show, and that says what the ledgers say."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from conftest import close

from hwsim.accounts.energy import total
from hwsim.accounts.journal import PASS
from hwsim.accounts.timeline import TimelineWriter
from hwsim.config import experiment
from hwsim.documents import Document
from hwsim.experiments.costs import Costs
from hwsim.experiments.run import run

TINY = {
    "schema_version": 1,
    "name": "tiny",
    "seed": 3,
    "task": {"name": "random", "steps": 5, "width": 2, "outputs": 3, "train": 8, "test": 4},
    "network": {
        "layers": [{"cell": {"name": "lru", "modes": 3}, "readout": {"hidden": [4], "width": 3}}] * 2,
        "pooling": "cumulative_mean",
    },
    "learning": {"name": "fpe"},
    "machine": "pcm_crossbar",
    "chips": 2,
    "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 4, "steps": 2},
    "references": [{"name": "digital", "learning": {"name": "bptt"}, "machine": "digital_45nm"}],
}


def tiny() -> experiment.Experiment:
    return experiment.compose(Document("test", deepcopy(TINY)))


@cache
def costs() -> tuple[Costs, ...]:
    """What the two systems of a tiny experiment cost."""
    return tuple(run(tiny()).costs)


def joules(one: Costs) -> list[float]:
    """For one sequence: of each step, and behind each sweep its leakage."""
    detail, found = one.outcome.detail, []
    assert detail is not None
    for sweep, _, ledger in one.steps(detail):
        sequences = detail.batch.sequences if detail.batch.sweeps[sweep].kind == PASS else 1
        found.append((total(ledger).energy or 0.0) / sequences)
    return found


@cache
def written(most: int = 200_000) -> tuple[dict[str, Any], TimelineWriter]:
    """The timeline of both systems, read again, and its writer."""
    file = io.StringIO()
    writer = TimelineWriter(file, most)
    for number, one in enumerate(costs(), 1):
        detail = one.outcome.detail
        assert detail is not None
        held = sum(holding.total_bits for holding in detail.before)
        name = one.system.name
        writer.system(number, name, one.scheduler, detail.batch, iter(joules(one)), held, detail.changes)
    writer.close()
    return json.loads(file.getvalue()), writer


def events(phase: str, process: int | None = None, name: str | None = None) -> list[dict[str, Any]]:
    return [
        event
        for event in written()[0]["traceEvents"]
        if event["ph"] == phase and process in (None, event["pid"]) and name in (None, event["name"])
    ]


def counter(process: int, name: str) -> list[tuple[float, float]]:
    return [(event["ts"], event["args"][name]) for event in events("C", process, name)]


def test_a_run_writes_the_same_timeline(tmp_path: Any) -> None:
    run(tiny(), out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "timeline.json").read_text()) == written()[0]


def test_nothing_is_dropped_while_there_is_room() -> None:
    document, writer = written()
    assert (writer.dropped, document["metadata"]["dropped_events"]) == (0, 0)
    assert writer.written == len(document["traceEvents"])
    assert document["metadata"]["time_scale"] == "1 us here is 1 ns of hardware time"


@pytest.mark.parametrize("process", [1, 2])
def test_slices_of_a_lane_do_not_overlap(process: int) -> None:
    lanes: dict[int, list[tuple[float, float]]] = {}
    for event in events("X", process):
        lanes.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    assert len(lanes) > 3
    for slices in lanes.values():
        assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(sorted(slices)))


@pytest.mark.parametrize("process", [1, 2])
def test_slices_are_the_operations_that_take_time_in_nanoseconds(process: int) -> None:
    one, offset, expected = costs()[process - 1], 0, []
    detail = one.outcome.detail
    assert detail is not None
    for sweep in detail.batch.sweeps:
        for position, (trace, before, timing) in enumerate(one.scheduler.steps(sweep)):
            for record, span in zip(one.scheduler.traces[trace], timing.spans, strict=True):
                where = {"layer": record.layer, "purpose": record.purpose, "pass": sweep.name, "step": position}
                start, length = offset + before + span.start, span.end - span.start
                if length:
                    expected.append((record.kind, record.unit, start / 1000, length / 1000, where))
        offset += one.scheduler.sweep(sweep).makespan
    lanes = {event["tid"]: event["args"]["name"] for event in events("M", process, "thread_name")}
    found = [
        (event["name"], lanes[event["tid"]], event["ts"], event["dur"], event["args"]) for event in events("X", process)
    ]
    assert found == expected
    assert all(event["cat"] == event["args"]["purpose"] for event in events("X", process))


def test_a_tile_read_lasts_250_units_of_the_file() -> None:
    assert {event["dur"] for event in events("X", 1, "read")} == {250.0}  # 250 ns, by the machine's file


@pytest.mark.parametrize(("process", "name"), [(1, "substrate"), (2, "digital")])
def test_processes_and_lanes_have_names(process: int, name: str) -> None:
    (named,) = events("M", process, "process_name")
    assert named["args"]["name"].startswith(name)
    lanes = events("M", process, "thread_name")
    assert {event["tid"] for event in events("X", process)} == {event["tid"] for event in lanes}
    assert len({event["args"]["name"] for event in lanes}) == len(lanes)
    assert 0 not in {event["tid"] for event in lanes}


def test_lanes_are_named_before_they_are_used() -> None:
    named = set()
    for event in written()[0]["traceEvents"]:
        if event["name"] == "thread_name":
            named.add((event["pid"], event["tid"]))
        assert event["ph"] != "X" or (event["pid"], event["tid"]) in named


@pytest.mark.parametrize("process", [1, 2])
def test_energy_never_falls_and_ends_at_what_a_sequence_cost(process: int) -> None:
    found = counter(process, "energy_pJ")
    assert found == sorted(found)
    assert all(value >= 0 for _, value in found)
    assert found[-1][1] == close(sum(joules(costs()[process - 1])) * 1e12)
    assert found[-1][1] > found[0][1]


@pytest.mark.parametrize("process", [1, 2])
def test_changes_of_memory_come_in_the_order_of_their_moments(process: int) -> None:
    detail = costs()[process - 1].outcome.detail
    assert detail is not None
    moments = [(change.sweep, change.step) for change in detail.changes]
    assert moments == sorted(moments)
    assert moments[0] == (1, 0)


@pytest.mark.parametrize("process", [1, 2])
def test_energy_is_told_when_a_step_is_issued_and_when_a_pass_is_over(process: int) -> None:
    one, expected, offset = costs()[process - 1], [], 0
    assert one.outcome.detail is not None
    for sweep in one.outcome.detail.batch.sweeps:
        for _, before, timing in one.scheduler.steps(sweep):
            expected.append((offset + before + (timing.spans[0].start if timing.spans else 0)) / 1000)
        offset += one.scheduler.sweep(sweep).makespan
        expected.append(offset / 1000)
    assert [time for time, _ in counter(process, "energy_pJ")] == expected
    assert {time for time, _ in counter(process, "live_memory_bytes")} <= set(expected)


@pytest.mark.parametrize("process", [1, 2])
def test_live_memory_is_what_the_ledger_held_when_steps_were_issued(process: int) -> None:
    one = costs()[process - 1]
    detail = one.outcome.detail
    assert detail is not None
    start = sum(holding.total_bits for holding in detail.before)
    expected = []
    for index, sweep in enumerate(detail.batch.sweeps, 1):
        for position in range(sum(count for _, count in sweep.runs)):
            before = [change.bits for change in detail.changes if (change.sweep, change.step) <= (index, position)]
            held = (start + sum(before)) / 8
            if position == 0 or held != expected[-1]:
                expected.append(held)
    assert [value for _, value in counter(process, "live_memory_bytes")] == expected


@pytest.mark.parametrize("process", [1, 2])
def test_the_last_slice_ends_when_the_batch_does(process: int) -> None:
    one = costs()[process - 1]
    detail = one.outcome.detail
    assert detail is not None
    whole = sum(one.scheduler.sweep(sweep).makespan for sweep in detail.batch.sweeps)
    assert max(event["ts"] + event["dur"] for event in events("X", process)) == close(whole / 1000, abs=1e-6)


@pytest.mark.parametrize("most", [0, 1, 50])
def test_what_is_too_much_is_counted_and_not_written(most: int) -> None:
    short, writer = written(most)
    whole = written()[0]
    kept = [event for event in short["traceEvents"] if event["ph"] != "M"]
    names = [event for event in whole["traceEvents"] if event["ph"] == "M"]
    assert [event for event in short["traceEvents"] if event["ph"] == "M"] == names  # names are always written
    assert len(kept) <= most
    assert len(kept) + writer.dropped == len(whole["traceEvents"]) - len(names)
    assert short["metadata"]["dropped_events"] == writer.dropped > 0


def test_a_timeline_of_nothing_is_a_document() -> None:
    file = io.StringIO()
    TimelineWriter(file).close()
    assert json.loads(file.getvalue())["traceEvents"] == []
