"""What prices need to know of the pass that a record belongs to: its length, and what its recurrence reads.

A digital machine can take an operation for many steps at once, unless it depends on its own result of the step before.
Whether it does follows from the records: they say what each operation reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import NamedTuple

from hwsim.accounts.journal import PASS, Sweep
from hwsim.operations import BY_KIND, SPARSE, Traffic, moves
from hwsim.records import ANALOG, Record, Trace

SUMMED = (Traffic.SUMS, Traffic.OUTER_SUMS, Traffic.SPARSE_OUTER_SUMS)
"""What operations fetch that add to sums over steps and sequences."""
OF_A_MATRIX = (Traffic.PRODUCT, Traffic.TRANSPOSED_PRODUCT, Traffic.MATRIX, *SPARSE)
"""What operations fetch that need a whole matrix from memory."""


RECORDED = (moves.push.kind, moves.keep.kind)
"""Records of what goes to the memory for sequences."""


class Occurrence(NamedTuple):
    """Where a record stands in its pass.

    Attributes:
        steps: of the pass; 1 in a phase.
        recurrent: whether its operands depend on its own result of the step before.
        matrices: numbers in all matrices that the same recurrence reads in a step; each index of a sparse one takes
            the place of a number.
        recurrences: numbers in all matrices that any recurrence of the pass reads.
        weights: numbers in all matrices that the pass reads.
        sums: numbers in all sums over the steps of the pass.
        awaited: whether its result is an operand of a product outside of all recurrences, which can take many steps at
            once.
    """

    steps: int = 1
    recurrent: bool = True
    matrices: int = 0
    sums: int = 0
    awaited: bool = False
    recurrences: int = 0
    weights: int = 0


ONCE = Occurrence()
"""An operation on its own."""


class Pass:
    """The traces of one pass, and how they depend on each other from step to step.

    Args:
        flows: of traces that were looked at before, by their numbers; those of others are added.

    Attributes:
        steps: how many the pass has.
    """

    def __init__(self, traces: dict[int, Trace], steps: int, flows: dict[int, Flow] | None = None) -> None:
        flows = {} if flows is None else flows
        self.steps, self._traces, self._flows = steps, traces, flows
        for number in traces.keys() - flows.keys():
            flows[number] = Flow(traces[number])
        self._loops = _loops([edges for number in traces for edges in flows[number].edges.items()])
        self._between: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}
        self._matrices = self._read_by_each_loop(traces)
        weights = {name: size for trace in traces.values() for _, name, size in _matrices(trace)}
        sums = {
            record.writes: _sums(record)
            for trace in traces.values()
            for record in trace
            if BY_KIND[record.kind].traffic in SUMMED
        }
        self._whole = Occurrence(
            steps,
            sums=sum(sums.values()),
            recurrences=sum(self._matrices.values()),
            weights=sum(weights.values()),
        )
        self._known: dict[int, tuple[Occurrence, ...]] = {}
        self._standings: dict[tuple[frozenset[str], bool], Occurrence] = {}

    def occurrences(self, trace: int) -> tuple[Occurrence, ...]:
        """Where each record of a trace stands."""
        if trace not in self._known:
            loops = [self._loop(trace, slot) for slot in range(len(self._traces[trace]))]
            awaited = self._awaited(trace, loops)
            self._known[trace] = tuple(self._standing(loop, slot in awaited) for slot, loop in enumerate(loops))
        return self._known[trace]

    def _standing(self, loop: frozenset[str], awaited: bool) -> Occurrence:
        """Where a record of a recurrence stands; most of a long trace stand alike."""
        key = loop, awaited
        if key not in self._standings:
            matrices = self._matrices.get(loop, 0)
            self._standings[key] = self._whole._replace(recurrent=bool(loop), matrices=matrices, awaited=awaited)
        return self._standings[key]

    def waiting(self, waits: Callable[[Occurrence], bool]) -> int:
        """Numbers that wait per step for products outside of recurrences, the most in any trace."""
        return max(
            sum(record.values for record, where in zip(trace, self.occurrences(number), strict=True) if waits(where))
            for number, trace in self._traces.items()
        )

    def _awaited(self, trace: int, loops: list[frozenset[str]]) -> set[int]:
        """The slots that products outside of recurrences read, unless they are in the memory for sequences anyway."""
        records = self._traces[trace]
        recorded = {record.reads[0] for record in records if record.kind in RECORDED and record.reads}
        return {
            read
            for record, loop in zip(records, loops, strict=True)
            if BY_KIND[record.kind].product and record.format != ANALOG and not loop
            for read in record.reads
            if isinstance(read, int) and read not in recorded and records[read].kind != moves.replay.kind
        }

    def _loop(self, trace: int, slot: int) -> frozenset[str]:
        """The storages of the recurrence that a record is part of; none if it is part of none."""
        flow = self._flows[trace]
        key = flow.before[slot], flow.behind[slot]  # most records of a long trace share both
        if key not in self._between:
            before, behind = key
            loops = (self._loops.get(first) for first in before)
            self._between[key] = next((loop for loop in loops if loop and not loop.isdisjoint(behind)), frozenset())
        return self._between[key]

    def _read_by_each_loop(self, traces: dict[int, Trace]) -> dict[frozenset[str], int]:
        """Numbers in the matrices of each recurrence; a matrix that is read in several ways counts once."""
        found: dict[frozenset[str], dict[str, int]] = {}
        for number, trace in traces.items():
            for slot, name, size in _matrices(trace):
                loop = self._loop(number, slot)
                if loop:
                    found.setdefault(loop, {})[name] = size
        return {loop: sum(sizes.values()) for loop, sizes in found.items()}


class Flow:
    """How values flow through one step.

    Attributes:
        before: for each record, the storages that it depends on.
        behind: for each record, the storages that depend on it.
        edges: for each storage that is read, the ones that are written from it.
    """

    def __init__(self, trace: Trace) -> None:
        same: dict[frozenset[str], frozenset[str]] = {}  # equal sets are one object: most records of a long trace share
        self.before: list[frozenset[str]] = []
        for record in trace:
            storages = (frozenset([read]) if isinstance(read, str) else self.before[read] for read in record.reads)
            before = frozenset[str]().union(*storages)
            self.before.append(same.setdefault(before, before))
        behind: list[set[str]] = [set() for _ in trace]
        for slot in range(len(trace) - 1, -1, -1):
            record = trace[slot]
            if isinstance(record.writes, str):
                behind[slot].add(record.writes)
            for read in record.reads:
                if isinstance(read, int):
                    behind[read] |= behind[slot]
        self.behind = [same.setdefault(storages, storages) for storages in map(frozenset, behind)]
        edges: dict[str, set[str]] = {}
        for slot, record in enumerate(trace):
            if isinstance(record.writes, str):
                for storage in self.before[slot]:
                    edges.setdefault(storage, set()).add(record.writes)
        self.edges = {storage: frozenset(written) for storage, written in edges.items()}


class Passes:
    """The passes of a journal, each kind of them looked at once.

    Args:
        length: of a sweep that has so many steps, if it stands for a longer one.
    """

    def __init__(self, traces: list[Trace], length: Callable[[int], int] = lambda steps: steps) -> None:
        self._traces, self._length = traces, length
        self._known: dict[tuple[int, frozenset[int]], Pass] = {}
        self._flows: dict[int, Flow] = {}
        self._sweeps: dict[Sweep, Pass] = {}

    def of(self, sweep: Sweep) -> Pass:
        """The pass that a sweep is; a phase is one of a single step."""
        if sweep not in self._sweeps:
            numbers = frozenset(sweep.runs.steps)
            steps = self._length(sweep.runs.steps.total()) if sweep.kind == PASS else 1
            key = steps, numbers
            if key not in self._known:
                traces = {number: self._traces[number] for number in sorted(numbers)}
                self._known[key] = Pass(traces, steps, self._flows)
            self._sweeps[sweep] = self._known[key]
        return self._sweeps[sweep]


def _matrices(trace: Trace) -> Iterator[tuple[int, str, int]]:
    """The slots of a step that need a whole matrix from memory, each with its name and the numbers in it."""
    for slot, record in enumerate(trace):
        if BY_KIND[record.kind].traffic in OF_A_MATRIX and record.format != ANALOG:
            name = next((read for read in record.reads if isinstance(read, str)), record.unit)
            yield slot, name, _numbers(record)


def _numbers(record: Record) -> int:
    """Numbers of the matrix that a record needs; a sparse one has an index with each weight."""
    sparse = BY_KIND[record.kind].traffic in SPARSE
    return 2 * prod(record.size[-3:-1]) if sparse else prod(record.size[-2:])


def _sums(record: Record) -> int:
    """Sums that a record adds to."""
    sparse = BY_KIND[record.kind].traffic in SPARSE
    return prod(record.size[:-1]) if sparse else prod(record.size)


def _loops(edges: Iterable[tuple[str, frozenset[str]]]) -> dict[str, frozenset[str]]:
    """For each storage that depends on itself, however many steps later, all that do so with it."""
    next_: dict[str, set[str]] = {}
    for storage, written in edges:
        next_.setdefault(storage, set()).update(written)
    reach = {}
    for storage in next_:
        seen: set[str] = set()
        pending = [storage]
        while pending:
            fresh = next_.get(pending.pop(), set()) - seen
            seen |= fresh
            pending += fresh
        reach[storage] = seen
    return {
        storage: frozenset(each for each in after if storage in reach.get(each, ()))
        for storage, after in reach.items()
        if storage in after
    }
