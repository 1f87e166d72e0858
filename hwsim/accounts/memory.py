"""The memory ledger: every value that outlives a step, charged from allocation to release."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from hwsim.operations import moves
from hwsim.records import Trace

WEIGHTS = "weights"
MASTER = "master weights"
OPTIMIZER = "optimizer slots"
STATE = "state"
LEARNING = "learning state"
TAPE = "tape"
INPUT_REPLAY = "input replay"
TARGET_REPLAY = "target replay"
ACCUMULATORS = "gradient accumulators"
DELAY = "delay lines"
BUFFERS = "buffers"
CLASSES = (
    WEIGHTS,
    MASTER,
    OPTIMIZER,
    STATE,
    LEARNING,
    TAPE,
    INPUT_REPLAY,
    TARGET_REPLAY,
    ACCUMULATORS,
    DELAY,
    BUFFERS,
)


class Holding(NamedTuple):
    """What one holder keeps.

    Attributes:
        name: the holder.
        kind: its class, one of `CLASSES`.
        values: numbers held.
        bits: bits a number; for an analog value its effective bits, from noise and range.
        technology: what holds it.
        devices: physical cells or devices used.
        volatile: whether it needs power to be kept.
    """

    name: str
    kind: str
    values: int
    bits: int
    technology: str
    devices: int
    volatile: bool = True

    @property
    def total_bits(self) -> int:
        return self.values * self.bits


class Change(NamedTuple):
    """One line of the ledger's history: at this moment `values` more were held, or, if negative, given back.

    The moment is a sweep, counted from 1, and how many of its steps are over.
    """

    sweep: int
    step: int
    name: str
    kind: str
    technology: str
    values: int
    bits: int


class MemoryLedger:
    """Live holdings, and the most that was held.

    Attributes:
        live: who holds what now.
        live_bits, peak_bits: bits held now, and the most that were held at once.
        most: for each technology the most bits that it held, whenever that was; a memory must be that large.
        most_by_class: the same for each class.
        widths: bits of a value of each holder, also of those that are gone.
        history: while it is a list, every change is added to it.
        moment: of the changes that follow: the sweep, from 1, and how many steps of it are over.

    >>> ledger = MemoryLedger()
    >>> ledger.allocate(Holding("h", STATE, 8, 32, "flip-flop", 8))
    >>> ledger.release("h")
    >>> ledger.peak_bits, ledger.peak_by_class(), ledger.live
    (256, {'state': 256}, {})
    """

    def __init__(self) -> None:
        self.live: dict[str, Holding] = {}
        self.live_bits = 0
        self.peak_bits = 0
        self.most: dict[str, int] = {}
        self.most_by_class: dict[str, int] = {}
        self.widths: dict[str, int] = {}
        self.history: list[Change] | None = None
        self.moment = (0, 0)
        self._by_technology: dict[str, int] = {}
        self._by_class: dict[str, int] = {}
        self._at_peak = False
        self._peak: tuple[Holding, ...] = ()

    def allocate(self, holding: Holding) -> None:
        if holding.name in self.live:
            raise ValueError(f"{holding.name!r} is already held")
        self.live[holding.name], self.widths[holding.name] = holding, holding.bits
        self._enter(holding, holding.values)

    def grow(self, name: str, values: int) -> None:
        """Add `values` numbers to what `name` holds, a device each (a tape grows)."""
        before = self.live[name]
        self.live[name] = Holding(
            name, before.kind, before.values + values, *before[3:5], before.devices + values, before.volatile
        )
        self._enter(before, values)

    def shrink(self, name: str, values: int) -> None:
        """Give back `values` of the numbers that `name` holds."""
        self._settle_peak()
        self.grow(name, -values)

    def repeat(self, growth: Mapping[str, int], times: int) -> None:
        """Grow, or shrink, each holder by so many values, so many times."""
        for name, values in sorted(growth.items(), key=lambda one: one[1]):  # first what shrinks: no peak of its own
            (self.shrink if values < 0 else self.grow)(name, abs(values) * times)

    def release(self, name: str) -> None:
        """Give back all that `name` holds."""
        self._settle_peak()
        holding = self.live.pop(name)
        self._enter(holding, -holding.values)

    @contextmanager
    def unmeasured(self) -> Iterator[None]:
        """What is held in here, and given back, does not count among the most that was held."""
        self._settle_peak()
        before = self.peak_bits, self._peak, dict(self.most), dict(self.most_by_class)
        try:
            yield
        finally:
            self.peak_bits, self._peak, self.most, self.most_by_class = before
            self._at_peak = False

    def peak_holdings(self) -> tuple[Holding, ...]:
        """Who held what when the most bits were held."""
        self._settle_peak()
        return self._peak

    def peak_by_class(self) -> dict[str, int]:
        """Bits held by each class when the most were held."""
        bits: Counter[str] = Counter()
        for holding in self.peak_holdings():
            bits[holding.kind] += holding.total_bits
        return {kind: bits[kind] for kind in CLASSES if bits[kind]}

    def _enter(self, holding: Holding, values: int) -> None:
        bits, technology = values * holding.bits, holding.technology
        self.live_bits += bits
        _add(self._by_technology, self.most, technology, bits)
        _add(self._by_class, self.most_by_class, holding.kind, bits)
        if self.history is not None:
            self.history.append(Change(*self.moment, holding.name, holding.kind, technology, values, bits))
        if self.live_bits > self.peak_bits:
            self.peak_bits, self._at_peak = self.live_bits, True

    def _settle_peak(self) -> None:
        """Note who holds what, if this is the peak so far and it is about to pass."""
        if self._at_peak:
            self._peak, self._at_peak = tuple(self.live.values()), False


def most_buffered(trace: Trace) -> int:
    """The most values that are on wires at once in a step: from the operation that makes one to its last reader.

    Values that a register puts on its own wires are its own and do not count; what comes out of a memory does. Parts of
    a read follow one another, and the tile adds each to its sum as it is converted, so of them the sum alone counts.
    The operations run in program order, so this is the fewest buffers that a machine can do with.
    """
    last_reader: dict[int, int] = {}
    in_tiles: set[int | str] = set()
    for position, record in enumerate(trace):
        if record.kind == moves.part_adc.kind:
            in_tiles |= {record.writes, *record.reads}
        for operand in record.reads:
            if isinstance(operand, int):
                last_reader[operand] = position
    waiting = most = 0
    released: Counter[int] = Counter()
    for position, record in enumerate(trace):
        if isinstance(record.writes, int) and record.unit not in record.reads and record.writes not in in_tiles:
            waiting += record.values
            released[last_reader.get(record.writes, position)] += record.values
        most = max(most, waiting)
        waiting -= released[position]
    return most


def _add(held: dict[str, int], most: dict[str, int], name: str, bits: int) -> None:
    """Add to what is held under a name, and to the most that was."""
    held[name] = now = held.get(name, 0) + bits
    if now > most.get(name, 0):
        most[name] = now
