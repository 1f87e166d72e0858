"""What a stream of spikes costs on an event-driven machine: counts of events, energy, and the time of each step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwsim.accounts import spikes as counted
from hwsim.accounts.energy import Ledger, Spent, total
from hwsim.units.event_cores import EventMachine


@dataclass
class EventCost:
    """What a stream of spikes costs.

    Attributes:
        machine: on which it was.
        counts: of each event, over all steps and sequences.
        steps, sequences: how many there were.
        step_times: of each step in seconds, from the start to that of the next, `(timed sequences, steps)`.
        without_links: how long a sequence takes, on average, if packets arrive as soon as they are sent.
        late: steps that took longer than the machine's interval.
        by_step: spikes of each step, over all sequences.
        by_core: spikes of each core that has neurons, over all steps and sequences.
    """

    machine: EventMachine
    counts: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    sequences: int = 1
    step_times: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    without_links: float = 0.0
    late: int = 0
    by_step: list[float] = field(default_factory=list)
    by_core: dict[int, float] = field(default_factory=dict)

    @property
    def latency(self) -> float:
        """How long one sequence takes on average, in seconds."""
        return float(self.step_times.sum(1).mean()) if self.step_times.size else 0.0

    @property
    def waiting(self) -> float:
        """The part of the latency that hops and busy links account for, in seconds."""
        return self.latency - self.without_links

    @property
    def synaptic_operations(self) -> float:
        """Of all kinds."""
        return sum(count for name, count in self.counts.items() if name.startswith(counted.operation("")))

    @property
    def ledger(self) -> Ledger:
        """The energy of all sequences, one after another, in accounts."""
        return self.machine.ledger(self.counts, self.latency * self.sequences)

    @property
    def spent(self) -> Spent:
        """The energy of all sequences."""
        return total(self.ledger)
