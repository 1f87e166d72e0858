"""The timeline as a trace-event file, for ui.perfetto.dev or chrome://tracing.

Those viewers take times for microseconds and round them to nanoseconds, which would lose everything here; so one
microsecond of the file is one nanosecond of hardware time (resolution: a picosecond).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from hwsim.accounts.journal import Batch
from hwsim.accounts.memory import Change
from hwsim.accounts.schedule import Scheduler


class TimelineWriter:
    """Writes events one by one, so that a long timeline takes no memory.

    Args:
        file: open for writing text.
        most: events after which the rest is counted, not written.
    """

    def __init__(self, file: IO[str], most: int = 200_000) -> None:
        self._file, self._most = file, most
        self._first, self.written, self.dropped = True, 0, 0
        file.write('{"traceEvents": [\n')

    def close(self) -> None:
        note = {"time_scale": "1 us here is 1 ns of hardware time", "dropped_events": self.dropped}
        self._file.write(f'\n], "displayTimeUnit": "ns", "metadata": {json.dumps(note)}}}\n')

    def system(
        self,
        number: int,
        name: str,
        scheduler: Scheduler,
        batch: Batch,
        joules: Iterator[float],
        held: int,
        changes: list[Change],
    ) -> None:
        """One sequence of a batch: a lane for each unit, counters for energy and live memory.

        Args:
            number: of the process in the file.
            joules: of each step of a sweep in order, for one sequence, and behind them the sweep's leakage.
            held: bits held when the batch begins.
            changes: of the memory ledger in the batch; sweeps count from 1.
        """
        self._meta(number, "process_name", 0, f"{name} (1 us is 1 ns)")
        lanes: dict[str, int] = {}
        energy, bits = 0.0, held
        pending = iter([*changes, None])
        change = next(pending)
        offset = 0
        for index, sweep in enumerate(batch.sweeps):
            for position, (trace, before, timing) in enumerate(scheduler.steps(sweep)):
                issue = offset + before + timing.issue
                for record, span in zip(scheduler.traces[trace], timing.spans, strict=True):
                    if span.end == span.start:
                        continue
                    if record.unit not in lanes:
                        lanes[record.unit] = len(lanes) + 1
                        self._meta(number, "thread_name", lanes[record.unit], record.unit)
                    where = {"layer": record.layer, "purpose": record.purpose, "pass": sweep.name, "step": position}
                    start = offset + before + span.start
                    self._span(number, lanes[record.unit], record.kind, start, span.end - span.start, where)
                energy += next(joules)
                self._counter(number, "energy_pJ", issue, energy * 1e12)
                now = bits
                while change is not None and (change.sweep, change.step) <= (index + 1, position):
                    now, change = now + change.bits, next(pending)
                if now != bits or position == 0:
                    bits = now
                    self._counter(number, "live_memory_bytes", issue, bits / 8)
            offset += scheduler.sweep(sweep).makespan
            energy += next(joules)
            self._counter(number, "energy_pJ", offset, energy * 1e12)

    def _meta(self, process: int, what: str, thread: int, name: str) -> None:
        self._event({"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}})

    def _span(self, process: int, lane: int, name: str, start: int, length: int, where: dict[str, Any]) -> None:
        event = {"ph": "X", "name": name, "pid": process, "tid": lane, "ts": start / 1000, "dur": length / 1000}
        self._event({**event, "cat": where["purpose"], "args": where})

    def _counter(self, process: int, name: str, at: int, value: float) -> None:
        self._event({"ph": "C", "name": name, "pid": process, "ts": at / 1000, "args": {name: value}})

    def _event(self, event: dict[str, Any]) -> None:
        if self.written >= self._most and event["ph"] != "M":
            self.dropped += 1
            return
        self._file.write(("" if self._first else ",\n") + json.dumps(event, separators=(",", ":")))
        self._first, self.written = False, self.written + 1
