"""How much arithmetic records are, in counts of elementary operations."""

from collections import Counter

from hwsim.operations import BY_KIND, Work, moves, sparse
from hwsim.records import Record, Trace

_ACCESSES = {
    move.kind
    for move in (
        moves.load, moves.store, moves.push, moves.pop, moves.put, moves.get,
        moves.accumulate, moves.outer, sparse.outer, moves.keep, moves.replay,
    )
}  # fmt: skip


def work(record: Record) -> Work:
    """The elementary operations of one record."""
    return BY_KIND[record.kind].work(record.size)


def total_work(trace: Trace) -> Counter[str]:
    """The elementary operations of a step."""
    total: Counter[str] = Counter()
    for record in trace:
        total.update(work(record))
    return total


def accesses(trace: Trace) -> int:
    """The values that a step reads from storages, and writes to them; what matrices hold is not counted."""
    return sum(record.values for record in trace if record.kind in _ACCESSES)
