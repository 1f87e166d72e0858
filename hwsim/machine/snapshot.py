"""Snapshots: all that a machine holds at the end of a step, and where it stands; enough to go on from there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.machine.stage import Stage


class Snapshot(NamedTuple):
    """What the memory ledger lists, and where the machine stands."""

    batch: int
    sweep: int
    step: int
    values: dict[str, np.ndarray]


def snapshot(machine: Stage) -> Snapshot:
    """A copy of all that the memory ledger lists, and of where the machine stands. For `after_step`."""
    at, storages = machine.sequencer, machine.holdings.storages
    values = {name: storage.saved.copy() for name, storage in storages.items()}
    return Snapshot(at.batch_number, at.sweep_number, at.step_index, values)


def resume(machine: Stage, taken: Snapshot) -> None:
    """Have a new machine go on where another one stood. Call it before anything is built on the machine.

    Storages find their values in the snapshot as they are made; passes that were done yield nothing, and the one
    that was under way goes on after its last step.
    """
    machine.holdings.values = dict(taken.values)
    machine.sequencer.batch_number = taken.batch - 1
    machine.sequencer.done = taken.sweep, taken.step
