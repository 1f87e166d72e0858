"""Saturation of analog signals, window by window: how much of what a chip makes is beyond full scale, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hwsim.machine import Machine

WORST = 3
"""Units that a window names."""

Counts = dict[str, dict[str, tuple[int, int]]]
"""Values, and those beyond full scale, by what clips them and unit."""


class Saturation:
    """Counts what is clipped from one moment to another.

    Attributes:
        windows: what was found, one after another: the updates at their end, rates, and the worst units.
    """

    def __init__(self) -> None:
        self.windows: list[dict[str, Any]] = []
        self._before: Counts = {}

    def begin(self, machine: Machine) -> None:
        """A window begins."""
        self._before = counted(machine)

    def end(self, machine: Machine, updates: int) -> None:
        """The window is over; the next one begins. Machines without full scales have none."""
        now = counted(machine)
        if not now:
            return
        since = {
            kind: {unit: _less(counts, self._before.get(kind, {}).get(unit, (0, 0))) for unit, counts in units.items()}
            for kind, units in now.items()
        }
        self._before, rates = now, {kind: rate(units.values()) for kind, units in since.items()}
        analog = {unit: rate([counts]) for unit, counts in since["analog"].items() if counts[1]}
        worst = dict(sorted(analog.items(), key=lambda each: (-each[1], each[0]))[:WORST])
        self.windows.append(
            {
                "updates": updates,
                "dac_clip_rate": rates["dac"],
                "adc_clip_rate": rates["adc"],
                "saturation_rate": rates["analog"],
                "worst": worst,
            }
        )


def counted(machine: Machine) -> Counts:
    """What a machine has counted so far."""
    kinds = machine.clipped or {}
    return {kind: {unit: (each[0], each[1]) for unit, each in units.items()} for kind, units in kinds.items()}


@contextmanager
def uncounted(machine: Machine) -> Iterator[None]:
    """What is clipped in here is not counted."""
    before = counted(machine)
    try:
        yield
    finally:
        for kind, units in before.items():
            machine.clipped[kind].clear()
            machine.clipped[kind].update({unit: list(counts) for unit, counts in units.items()})


def rate(counts: Iterable[Any]) -> float:
    """The share of values that are beyond full scale."""
    known = list(counts)
    values, beyond = sum(count[0] for count in known), sum(count[1] for count in known)
    return beyond / values if values else 0.0


def _less(now: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    return now[0] - before[0], now[1] - before[1]
