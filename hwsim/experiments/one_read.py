"""One read: energy and time of a matrix-vector product on a machine, to compare with published chips."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim import machines
from hwsim.accounts.energy import Tariff, grouped, total
from hwsim.accounts.passes import Occurrence
from hwsim.accounts.schedule import Scheduler
from hwsim.episode import Episode
from hwsim.initial import Initial
from hwsim.machine import Machine, Matrix
from hwsim.operations import held
from hwsim.records import Head, Record

SIZE = 256
"""Rows and columns of the matrix for a machine without tiles, and the number of vectors that it is multiplied by."""


class Read(NamedTuple):
    """A read of a tile; on a machine without tiles, one product of a pass.

    Attributes:
        rows, columns: the shape of the matrix.
        energy: in joules; None if a constant has no value.
        time: in seconds.
        by_component: the energy by component.
    """

    rows: int
    columns: int
    energy: float | None
    time: float
    by_component: dict[str, float]

    @property
    def per_mac(self) -> float | None:
        """Joules per multiply-accumulate."""
        return None if self.energy is None else self.energy / (self.rows * self.columns)


def one_read(options: Any) -> Read:
    """One read of a matrix that fills a tile, with conversions; inputs are at full scale, weights evenly spread.

    A machine without tiles multiplies a matrix of 256 by 256 by 256 vectors in a pass, outside of any recurrence.
    """
    chip = machines.build(options)
    if chip.devices is None:
        return _one_product(chip)
    tiles = chip.devices.options
    matrix = _matrix(chip, tiles.rows, tiles.columns)
    for _ in chip.phase("programming"):
        matrix.program()
    chip.journal.close_batch(1)
    chip.journal.collect()
    signs = np.where(np.arange(tiles.columns) % 2, 1.0, -1.0)
    with chip.showing(Episode(signs[None, None, :], labels=np.zeros(1, int), classes=2)), chip.workspace():
        for step in chip.forward_pass("read"):
            chip.digital(matrix @ step.input)
    totals, prices = chip.journal.totals, chip.prices()
    ledger = Tariff(chip.journal.traces, prices).of_totals(totals, 0.0)
    reads = {
        account: each for account, each in ledger.items() if account.operation in ("dac", "read", "adc", "tile adc")
    }
    (batch,) = totals.batches
    (timing,) = Scheduler(chip.journal.traces, prices.occupied).batch(batch)
    parts = {component: spent.known for component, spent in grouped(reads, "component").items()}
    return Read(tiles.rows, tiles.columns, total(reads).energy, timing.busy[f"{matrix.name} tiles"] * 1e-12, parts)


def _one_product(chip: Any) -> Read:
    _matrix(chip, SIZE, SIZE)
    head: Head = chip.head(held.read)._replace(format=str(getattr(chip.options, "format", chip.dtype)))  # of passes
    record = Record(*head, (SIZE, SIZE), SIZE, (0, "W"), 1)
    where = Occurrence(steps=SIZE, recurrent=False)
    charges, occupied = chip.prices().charges(record, where), chip.prices().occupied(record, where)
    parts: dict[str, float] = {}
    for charge in charges:
        if charge.energy is not None:
            parts[charge.component] = parts.get(charge.component, 0.0) + charge.energy
    energy = None if any(charge.energy is None for charge in charges) else sum(parts.values())
    return Read(SIZE, SIZE, energy, occupied.duration * 1e-12, parts)


def _matrix(chip: Machine, rows: int, columns: int) -> Matrix:
    weights = np.linspace(-1, 1, rows * columns).reshape(rows, columns)
    return Matrix(chip, "W", "readout", Initial(weights.shape, lambda: weights))
