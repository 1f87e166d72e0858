"""The records of a run: the rows of its tables, and the events of its timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TextIO

from hwsim.accounts.energy import total
from hwsim.accounts.journal import PASS
from hwsim.accounts.timeline import TimelineWriter
from hwsim.columns import METRICS
from hwsim.experiments import wear
from hwsim.experiments.costs import Costs
from hwsim.results.tables import MemoryRow


def tables(ledgers: Sequence[Costs]) -> Mapping[str, Iterable[Any]]:
    """The rows of each table, by the name of its file; the first system's come first."""
    found: dict[str, Iterable[Any]] = {
        "energy.csv": (row for costs in ledgers for row in costs.rows()),
        "memory.csv": (row for costs in ledgers for row in held(costs)),
        "metrics.csv": (row for costs in ledgers for row in metrics(costs)),
        "histograms.csv": (row for costs in ledgers for row in wear.histograms(costs.system.name, costs.machine)),
        "clipping.csv": (row for costs in ledgers for row in wear.clipping(costs.system.name, costs.machine)),
    }
    if any(costs.outcome.firing is not None for costs in ledgers):
        found["spikes.csv"] = (row for costs in ledgers for row in spikes(costs))
        found["traces.csv"] = (row for costs in ledgers for row in traces(costs))
    return found


def timeline(ledgers: Sequence[Costs], file: TextIO) -> None:
    """Write the events of all systems, in the trace-event format."""
    writer = TimelineWriter(file)
    for number, costs in enumerate(ledgers, 1):
        _timeline(writer, number, costs)
    writer.close()


def metrics(costs: Costs) -> Iterator[list[Any]]:
    """The rows of `metrics.csv`: one per test and chip, with what was spent until then."""
    tests = groupby(costs.outcome.metrics, itemgetter("updates"))
    for (_, chips), spent in zip(tests, costs.at_tests, strict=True):
        for row, writes in zip(chips, spent.writes_per_device, strict=True):
            known = {**row, **spent._asdict(), "writes_per_device": writes}
            yield [known[key] for key in METRICS]


def spikes(costs: Costs) -> Iterator[tuple[Any, ...]]:
    """The rows of `spikes.csv`."""
    if costs.outcome.firing is not None:
        yield from ((costs.system.name, *spike) for spike in costs.outcome.firing.spikes())


def traces(costs: Costs) -> Iterator[tuple[Any, ...]]:
    """The rows of `traces.csv`."""
    if costs.outcome.firing is not None:
        yield from ((costs.system.name, *traced) for traced in costs.outcome.firing.traces())


def held(costs: Costs) -> Iterator[MemoryRow]:
    """The rows of `memory.csv`: the memory held when a batch began, and every change during the batch."""
    name, detail = costs.system.name, costs.outcome.detail
    if detail is None:
        return
    live = 0
    for holding in detail.before:
        live += holding.total_bits
        yield MemoryRow(
            name, None, None, *holding[:2], holding.technology, holding.values, holding.bits, holding.total_bits, live
        )
    names = [sweep.name for sweep in detail.batch.sweeps]
    for change in detail.changes:
        live += change.bits
        sweep = names[change.sweep - 1] if change.sweep <= len(names) else "end"
        bits = abs(change.bits // change.values) if change.values else 0
        row = change.name, change.kind, change.technology, change.values, bits, change.bits, live
        yield MemoryRow(name, sweep, change.step, *row)


def _timeline(writer: TimelineWriter, number: int, costs: Costs) -> None:
    detail = costs.outcome.detail
    if detail is None or not any(timing.makespan for timing in costs.scheduler.batch(detail.batch)):
        return

    def joules() -> Iterator[float]:
        for sweep, _, ledger in costs.steps(detail):
            share = detail.batch.sequences if detail.batch.sweeps[sweep].kind == PASS else 1
            yield (total(ledger).energy or 0.0) / share

    live = sum(holding.total_bits for holding in detail.before)
    writer.system(number, costs.system.name, costs.scheduler, detail.batch, joules(), live, detail.changes)
