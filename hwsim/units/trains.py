"""Trains of pulses on the lines of rows and columns: where two pulses meet, a device changes by one step.

Each line has a train of L slots, and in each slot a pulse with a probability of its own, B |x| on a column and A |d| on
a row. A device is pulsed in the slots in which both of its lines are, up or down as the signs say. So the number of its
pulses is binomial, of L slots with p = A B |x| |d|, and

    E[Δw] = η x d,  Var[Δw] = L p (1 - p) ε²  while no probability is above 1,

for a learning rate η and a step ε. Devices on one line share its train, so their pulses are not independent. (Gokmen
and Vlasov, Front. Neurosci. 10:333, 2016. L, A and B are chosen for the largest signals of a sequence, as in aihwkit,
Rasch et al., AICAS 2021. Comparators on the lines find these: see `TilePulses`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
from numpy import float64, uint32, uint64

from hwsim.machine.numerics import Primitive, Pulses
from hwsim.machine.shapes import blank
from hwsim.operations.kernels import compiled, inlined
from hwsim.operations.noise import Moment, philox

MOST = 64
"""Slots that a train may have here."""


class Management(NamedTuple):
    """How long trains are, and what probabilities of pulses are per signal.

    Attributes:
        length: slots, L.
        row, column: A and B.
    """

    length: int
    row: float
    column: float


def managed(rate: float, step: float, row: float, column: float, longest: int) -> Management:
    """Trains for signals of at most `row` and `column` in size.

    With k = η row column / ε, the largest number of steps that is wanted, L = min(⌈k⌉, longest). Both lines have the
    same probability at most, √(k / L). Where that would be above 1, the column has 1 at most, and the row saturates.
    """
    k = rate * row * column / step
    if not k:
        return Management(1, 0.0, 0.0)
    length = ceil(min(k, longest))
    per_column = sqrt(min(k, length) / length) / column
    return Management(length, rate / (step * length * per_column), per_column)


@inlined
def _ones(v):  # type: ignore[no-untyped-def]
    """How many bits of a word are 1."""
    v = v - ((v >> uint64(1)) & uint64(0x5555555555555555))
    v = (v & uint64(0x3333333333333333)) + ((v >> uint64(2)) & uint64(0x3333333333333333))
    v = (v + (v >> uint64(4))) & uint64(0x0F0F0F0F0F0F0F0F)
    return (v * uint64(0x0101010101010101)) >> uint64(56)


@compiled
def _trains(values, factor, length, sequence, key, moment):  # type: ignore[no-untyped-def]
    """The train of each line as bits of a word; a pulse where a random number is below factor × |value|."""
    k0, k1 = uint32(key[0] ^ uint32(moment[1] >> 32)), key[1]
    c1, c2, c3 = uint32(moment[0]), uint32(moment[1]), uint32(moment[2])
    out = np.zeros(values.size, np.uint64)
    for i in range(values.size):
        below = uint64(min(abs(float64(values[i])) * factor, 1.0) * 4294967296.0)
        word = uint64(0)
        for four in range((length + 3) // 4):
            place = uint32((sequence * values.size + i) * 16 + four)
            a, b, c, d = philox(place, c1, c2, c3, k0, k1)
            bits = (
                uint64(uint64(a) < below)
                | (uint64(uint64(b) < below) << uint64(1))
                | (uint64(uint64(c) < below) << uint64(2))
                | (uint64(uint64(d) < below) << uint64(3))
            )
            word |= bits << uint64(4 * four)
        if length < 64:
            word &= (uint64(1) << uint64(length)) - uint64(1)
        out[i] = word
    return out


@compiled
def _add_meetings(counts, row_trains, column_trains, rows, columns, sign):  # type: ignore[no-untyped-def]
    """Add the slots in which two trains meet, with the sign of the product of their signals."""
    for i in range(rows.size):
        of_row = row_trains[i]
        if of_row == 0:
            continue
        upward = sign if rows[i] > 0 else -sign
        for j in range(columns.size):
            met = np.int64(_ones(of_row & column_trains[j]))
            counts[i, j] += upward * met if columns[j] > 0 else -upward * met


def meetings(
    rows: np.ndarray,
    columns: np.ndarray,
    factor: float,
    trains: Sequence[Management],
    keys: tuple[np.ndarray, np.ndarray],
    moment: Moment,
) -> np.ndarray:
    """Pulses of each device for the signals of one chip, down if negative, `(rows, columns)`.

    Args:
        rows, columns: signals `(batch, n)`, whose sequences come one after another.
        factor: the learning rate, with the sign of the change.
        trains: of each sequence, see `managed`.
        keys: of the streams of rows and of columns.
        moment: the point in both.
    """
    counts = np.zeros((rows.shape[1], columns.shape[1]), np.int64)
    for place, (row, column, sent) in enumerate(zip(rows, columns, trains, strict=True)):
        row_trains = _trains(row, sent.row, sent.length, place, keys[0], moment)
        column_trains = _trains(column, sent.column, sent.length, place, keys[1], moment)
        _add_meetings(counts, row_trains, column_trains, row, column, 1 if factor > 0 else -1)
    return counts


def met(
    rows: np.ndarray,
    columns: np.ndarray,
    factor: float,
    pulses: Pulses,
    largest: tuple[np.ndarray, np.ndarray],
    keys: tuple[np.ndarray, np.ndarray],
    moment: Moment,
) -> np.ndarray:
    """What trains change the weights of all chips by, in steps of pulses, `(chips, rows, columns)`.

    Args:
        rows, columns: signals `(chips, batch, n)`; those that are no numbers have no pulses.
        factor: the learning rate, with the sign of the change.
        largest: absolute values of signals, `(chips, batch)` each.
        keys: of the streams of rows and of columns, `(chips, 2)` each.
        moment: the point in both.
    """
    change = np.zeros((len(rows), rows.shape[2], columns.shape[2]))
    rows, columns = (np.ascontiguousarray(np.where(np.isfinite(each), each, 0)) for each in (rows, columns))
    of_rows, of_columns = (np.where(np.isfinite(each), each, 0).astype(float) for each in largest)
    for chip in range(len(rows)):
        of_each = zip(of_rows[chip], of_columns[chip], strict=True)
        trains = [managed(abs(factor), pulses.step, row, column, pulses.most) for row, column in of_each]
        own = keys[0][chip % len(keys[0])], keys[1][chip % len(keys[1])]
        change[chip] = meetings(rows[chip], columns[chip], factor, trains, own, moment)
    return change * pulses.step


MEET = Primitive(met, lambda expected, rows, columns, *_: blank((len(rows), rows.shape[2], columns.shape[2]), float))
