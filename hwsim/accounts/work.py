"""How much arithmetic records are, in counts of elementary operations."""

from collections import Counter

from hwsim.operations import BY_KIND, Work
from hwsim.records import Record, Trace


def work(record: Record) -> Work:
    """The elementary operations of one record."""
    return BY_KIND[record.kind].work(record.size)


def total_work(trace: Trace) -> Counter[str]:
    """The elementary operations of a step."""
    total: Counter[str] = Counter()
    for record in trace:
        total.update(work(record))
    return total
