"""The run folder: everything that a run found, written whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from hwsim import documents
from hwsim.accounts.energy import total
from hwsim.accounts.journal import PASS
from hwsim.accounts.timeline import TimelineWriter
from hwsim.errors import OutputError
from hwsim.experiments.costs import Costs, Row

METRICS = (
    "system",
    "updates",
    "epoch",
    "chip",
    "train_loss",
    "test_loss",
    "test_accuracy",
    "horizon_fresh_steps",
    "horizon_frozen_steps",
)


class Held(NamedTuple):
    """A line of memory.csv: what changed, and what was held then."""

    system: str
    sweep: str | None
    step: int | None
    holder: str
    memory_class: str
    technology: str
    values: int
    bits_per_value: int
    change_bits: int
    live_bits: int


def place(out: Path | None, name: str) -> Path:
    """Where a run goes: the folder that was asked for, or the next free one in `runs/`.

    Raises:
        OutputError: it exists already, or cannot be made.
    """
    if out is not None:
        try:
            taken = out.exists()
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror}; choose another folder with --out") from None
        if taken:
            raise OutputError(f"{out} exists already, and nothing is overwritten; choose another folder with --out")
        return out
    base = Path("runs") / name.replace(" ", "_")
    number = 2
    chosen = base
    while chosen.exists():
        chosen, number = base.with_name(f"{base.name}-{number}"), number + 1
    return chosen


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name when all is written, and is gone if anything goes wrong.

    Raises:
        OutputError: there is no place to write.
    """
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    new = [parent for parent in folder.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder.parent}: {error.strerror}; choose a folder with --out") from None
    try:
        yield partial
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in new:
            with suppress(OSError):  # it holds the folder
                parent.rmdir()


def write(folder: Path, config: dict[str, Any], summary: dict[str, Any], costs: list[Costs]) -> None:
    """Write what a run found into an empty folder."""
    (folder / "config.yaml").write_text(documents.dump(config), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    _table(folder / "energy.csv", Row._fields, (row for one in costs for row in one.rows()))
    _table(folder / "memory.csv", Held._fields, (row for one in costs for row in held(one)))
    _table(folder / "metrics.csv", METRICS, (row for one in costs for row in metrics(one)))
    with (folder / "timeline.json").open("w", encoding="utf-8") as file:
        writer = TimelineWriter(file)
        for number, one in enumerate(costs, 1):
            _timeline(writer, number, one)
        writer.close()


def metrics(costs: Costs) -> Iterator[list[Any]]:
    """A row for each test and chip."""
    return ([row[key] for key in METRICS] for row in costs.outcome.metrics)


def held(costs: Costs) -> Iterator[Held]:
    """What was held when one batch began, and every change in it."""
    name, detail = costs.trial.name, costs.outcome.detail
    if detail is None:
        return
    live = 0
    for holding in detail.before:
        live += holding.total_bits
        yield Held(
            name, None, None, *holding[:2], holding.technology, holding.values, holding.bits, holding.total_bits, live
        )
    names = [sweep.name for sweep in detail.batch.sweeps]
    for change in detail.changes:
        live += change.bits
        sweep = names[change.sweep - 1] if change.sweep <= len(names) else "end"
        bits = abs(change.bits // change.values) if change.values else 0
        row = change.name, change.kind, change.technology, change.values, bits, change.bits, live
        yield Held(name, sweep, change.step, *row)


def _timeline(writer: TimelineWriter, number: int, costs: Costs) -> None:
    detail = costs.outcome.detail
    if detail is None or not any(timing.makespan for timing in costs.scheduler.batch(detail.batch)):
        return

    def joules() -> Iterator[float]:
        for sweep, _, ledger in costs.steps(detail):
            share = detail.batch.sequences if detail.batch.sweeps[sweep].kind == PASS else 1
            yield (total(ledger).energy or 0.0) / share

    live = sum(holding.total_bits for holding in detail.before)
    writer.system(number, costs.trial.name, costs.scheduler, detail.batch, joules(), live, detail.changes)


def _table(path: Path, header: Iterable[str], rows: Iterable[Any]) -> None:
    """Stream rows to a CSV file; numbers keep all their digits, what is unknown stays empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(
                "" if value is None else repr(value) if isinstance(value, float) else value for value in row
            )
