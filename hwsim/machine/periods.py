"""Periods: which steps of a pass are of one kind, and how kinds follow each other.

Steps are of one kind if their indices are multiples of the same periods. Where each period is a multiple of the shorter
ones, the kinds between two multiples of a period are the same each time, and are made of those between multiples of the
next shorter one. So a sequence of any length takes as many blocks as there are periods.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from math import lcm

from hwsim.accounts.runs import Runs

PLAIN = 0
"""The kind of a step whose index is a multiple of no period."""


class Periods:
    """Kinds of steps: a number with one bit for each period that an index is a multiple of.

    Args:
        periods: all above 1, in order.

    Attributes:
        kinds: all that there are.
    """

    def __init__(self, periods: tuple[int, ...]) -> None:
        self._periods = periods
        nested = all(later % earlier == 0 for earlier, later in pairwise(periods))
        self._levels = periods if nested else (lcm(*periods),)  # each is a multiple of the one before it
        first = {PLAIN: 1}  # a step of each kind, which is that of its least common multiple with any period, too
        for period in periods:
            first |= {self.kind(index): index for index in [lcm(each, period) for each in first.values()]}
        self.kinds = sorted(first)

    def kind(self, index: int) -> int:
        """The kind of a step; it is that of -index, too."""
        return sum((index % period == 0) << bit for bit, period in enumerate(self._periods))

    def next(self, kind: int, start: int, stop: int) -> int:
        """The first step of a kind among those from `start` on; `stop` if there is none."""
        step = lcm(*(period for bit, period in enumerate(self._periods) if kind >> bit & 1))
        index = start + -start % step
        while index < stop and self.kind(index) != kind:
            index += step
        return min(index, stop)

    def last(self, kind: int, start: int, stop: int) -> int:
        """The last step of a kind before `stop`; `stop` if there is none from `start` on."""
        last = -self.next(kind, 1 - stop, 1 - start)
        return stop if last < start else last

    def runs(self, start: int, stop: int) -> Runs:
        """The kinds of these steps, in runs."""
        return Runs(self._runs(start, stop) if self._periods else [(PLAIN, stop - start)])

    def _runs(self, start: int, stop: int) -> Iterator[tuple[int | Runs, int]]:
        least, most = self._levels[0], self._levels[-1]
        while start < stop:
            if start % most == 0 and stop - start >= 2 * most:
                times = (stop - start) // most
                yield self._round(len(self._levels) - 1), times
                start += times * most
            elif start % least == 0:
                yield self.kind(start), 1
                start += 1
            else:
                whole = [
                    level
                    for level, period in enumerate(self._levels)
                    if (start - 1) % period == 0 and start - 1 + period <= stop
                ]
                if whole:
                    yield _as_item(self._between(whole[-1]))
                    start += self._levels[whole[-1]] - 1
                else:
                    end = min(stop, start + -start % least)
                    yield from self._counted(start, end)
                    start = end

    @cache  # noqa: B019 (there are few of them, and they are kept)
    def _round(self, level: int) -> Runs:
        """The kinds from one multiple of a period on, up to the next."""
        return Runs(((self.kind(self._levels[level]), 1), _as_item(self._between(level))))

    @cache  # noqa: B019
    def _between(self, level: int) -> Runs:
        """The kinds between two multiples of a period."""
        if not level:
            return Runs(self._counted(1, self._levels[0]))
        times = self._levels[level] // self._levels[level - 1] - 1
        again = self._round(level - 1)
        return Runs((_as_item(self._between(level - 1)), *(again if times == 1 else [(again, times)])))

    def _counted(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The kinds of steps that no level parts."""
        while start < stop:
            end = min(stop, *(start + -start % period for period in self._periods))  # the next that is not plain
            if start < end:
                yield PLAIN, end - start
            if end < stop:
                yield self.kind(end), 1
            start = end + 1


def _as_item(runs: Runs) -> tuple[int | Runs, int]:
    return runs[0] if len(runs) == 1 else (runs, 1)


@cache
def of(*periods: int) -> Periods:
    """The kinds of steps that these periods make."""
    return Periods(periods)
