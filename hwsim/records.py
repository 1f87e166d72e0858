"""One operation, one record: what numbers, timeline, energy and memory are all read from."""

from typing import NamedTuple

ANALOG = "analog"
"""The format of analog results in records."""

INFERENCE = "inference"
WARM_UP = "warm-up"
ERROR = "error propagation"
GRADIENT = "gradient"
UPDATE = "weight update"
WEIGHT_WRITE = "weight write"
REPLAY = "input replay"
PURPOSES = (INFERENCE, WARM_UP, ERROR, GRADIENT, UPDATE, WEIGHT_WRITE, REPLAY)


class Head(NamedTuple):
    """What an operation is: its kind, the unit that carries it out, what it serves, and the format of its result."""

    kind: str
    unit: str
    layer: str
    purpose: str
    format: str


class Record(NamedTuple):
    """What one unit did in one step, for one sequence on one chip.

    A record never holds a value, a time, the global step or the pass, so equal steps have equal records, and a trace of
    records is costed and scheduled once for all the steps that share it.

    Attributes:
        kind: the operation, the kind of one of `hwsim.operations`.
        unit: the physical unit that carried it out.
        layer: the part of the network that it served.
        purpose: one of `PURPOSES`.
        format: the number format of the result.
        size: what was worked on: `(n,)` wires, `(k, n)` for a bundle of k vectors, `(rows, columns)` or
            `(k, rows, columns)` for a matrix.
        values: how many numbers were made, or written to a storage.
        reads: operands; an int is the slot of an earlier record of this step, a string names a storage.
        writes: the slot of the result (its own position in the step), or the name of the storage written.
    """

    kind: str
    unit: str
    layer: str
    purpose: str
    format: str
    size: tuple[int, ...]
    values: int
    reads: tuple[int | str, ...]
    writes: int | str


def slotless(record: Record) -> Record:
    """The record without the slots in its step: what it costs, and how long it takes, does not depend on them."""
    reads = tuple([0 if isinstance(read, int) else read for read in record.reads])
    return Record(*record[:-2], reads, 0 if isinstance(record.writes, int) else record.writes)


Trace = tuple[Record, ...]
"""The records of one step, in program order."""

Shape = tuple[int, ...]
Entry = tuple[Head, Shape, Shape | None, tuple[int | str, ...], int | str]
"""A record as it is made: head, shape of the result, size of the work if it differs, reads, writes.

Shapes are those of arrays, with the axes of chips and sequences in front; sizes are without them. Entries are kept
cheap: one is made for each operation that is simulated, a record only for each that is new.
"""


def record(entry: Entry) -> Record:
    """The record that an entry stands for."""
    head, shape, work, reads, writes = entry
    values = 1
    for n in shape[2:]:
        values *= n
    return Record(*head, shape[2:] if work is None else work, values, reads, writes)
