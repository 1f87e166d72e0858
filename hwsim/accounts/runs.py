"""Runs: the steps of a pass in order, equal ones counted, and blocks of them that repeat counted as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Any


class Runs(tuple[tuple["int | Runs", int], ...]):
    """Runs of equal steps in order: `(trace, steps)`, or `(runs, times)` for a block of runs that repeats.

    A block may hold blocks and stand in several places, so a long pass takes no more room than what differs in it. Two
    are equal if the same steps follow each other, however they are grouped.
    """

    def __eq__(self, other: object) -> bool:
        if self is other or tuple.__eq__(self, other) is True:
            return True
        if not isinstance(other, Runs) or self.steps != other.steps:
            return False
        return all(one == two for one, two in zip_longest(self.flat, other.flat))

    def __ne__(self, other: object) -> bool:
        return not self == other

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self.steps.items()))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def steps(self) -> Counter[int]:
        """How many steps each trace has."""
        count: Counter[int] = Counter()
        for what, times in self:
            of_one = {what: 1} if isinstance(what, int) else what.steps
            for trace, steps in of_one.items():
                count[trace] += steps * times
        return count

    @property
    def flat(self) -> Iterator[tuple[int, int]]:
        """The same without blocks: traces, and how many steps each has in a row."""
        for trace, alike in groupby(self._unfolded(), key=itemgetter(0)):
            yield trace, sum(steps for _, steps in alike)

    def mapped(self, traces: Mapping[int, int], known: dict[Any, Runs]) -> Runs:
        """The same runs of other traces.

        Args:
            traces: those in place of the ones here.
            known: blocks that were mapped before, so that equal ones are one.
        """
        if len({traces[trace] for trace in self.steps}) == 1:
            return Runs([(traces[next(iter(self.steps))], self.steps.total())])
        items: list[tuple[int | Runs, int]] = []
        for what, times in self:
            if isinstance(what, int):
                items.append((traces[what], times))
                continue
            key = what, tuple(traces[trace] for trace in sorted(what.steps))
            if key not in known:
                known[key] = what.mapped(traces, known)
            block = known[key]
            items.append((block[0][0], block[0][1] * times) if len(block) == 1 else (block, times))
        alike = groupby(items, key=itemgetter(0))
        return Runs((what, sum(times for _, times in same)) for what, same in alike)

    def _unfolded(self) -> Iterator[tuple[int, int]]:
        for what, times in self:
            if isinstance(what, int):
                yield what, times
            else:
                for _ in range(times):
                    yield from what._unfolded()
