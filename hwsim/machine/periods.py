"""Periods: which steps of a pass are of one kind, and how kinds follow each other.

A period of S steps with the place r has the steps whose index leaves r when divided by S; steps are of one kind if the
same periods have them. Where all places are 0 and each period is a multiple of the shorter ones, the kinds between two
multiples of a period are the same each time, and are made of those between multiples of the next shorter one. So a
sequence of any length takes as many blocks as there are periods. Otherwise it takes one block, of the least common
multiple of all periods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from math import gcd, lcm
from typing import NamedTuple

from hwsim.accounts.runs import Runs

PLAIN = 0
"""The kind of a step that no period has."""


class Period(NamedTuple):
    """Some indices: those that leave `place` when divided by `steps`."""

    steps: int
    place: int = 0

    def has(self, index: int) -> bool:
        """Whether an index is among them."""
        return (index - self.place) % self.steps == 0

    def after(self, start: int) -> int:
        """The first from `start` on."""
        return start + (self.place - start) % self.steps

    def common(self, other: Period) -> Period | None:
        """The indices that are among both; None if there are none."""
        step, rest = gcd(self.steps, other.steps), other.steps // gcd(self.steps, other.steps)
        apart, left = divmod(other.place - self.place, step)
        if left:
            return None
        steps = self.steps * rest
        return Period(steps, (self.place + self.steps * (apart * pow(self.steps // step, -1, rest) % rest)) % steps)

    def within(self, other: Period) -> bool:
        """Whether all of them are among the others."""
        return self.steps % other.steps == 0 and other.has(self.place)


class Periods:
    """Kinds of steps: a number with one bit for each period that has the step.

    Args:
        periods: all longer than a step, in order.

    Attributes:
        kinds: all that there may be.
    """

    def __init__(self, periods: tuple[Period, ...]) -> None:
        self._periods = periods
        nested = all(later.steps % earlier.steps == 0 for earlier, later in pairwise(periods))
        whole = lcm(*(period.steps for period in periods))
        aligned = nested and not any(period.place for period in periods)
        self._levels = tuple(period.steps for period in periods) if aligned else (whole,)
        self._whole = whole
        self._indices = {PLAIN: Period(1)}  # those that a step of each kind is among
        for period in periods:
            for common in [each.common(period) for each in self._indices.values()]:
                if common is not None:
                    self._indices[self._sum(map(common.within, periods))] = common
        self.kinds = sorted(self._indices)

    @staticmethod
    def _sum(bits: Iterable[bool]) -> int:
        return sum(bit << place for place, bit in enumerate(bits))

    def kind(self, index: int) -> int:
        """The kind of a step."""
        return self._sum(period.has(index) for period in self._periods)

    @property
    def mirrored(self) -> Periods:
        """What has the kind of `index` at `-index`."""
        return of(*((steps, -place % steps) for steps, place in self._periods))

    def next(self, kind: int, start: int, stop: int) -> int:
        """The first step of a kind among those from `start` on; `stop` if there is none."""
        indices, end = self._indices[kind], min(stop, start + self._whole)  # behind which all comes again
        index = indices.after(start)
        while index < end and self.kind(index) != kind:
            index += indices.steps
        return index if index < end else stop

    def last(self, kind: int, start: int, stop: int) -> int:
        """The last step of a kind before `stop`; `stop` if there is none from `start` on."""
        last = -self.mirrored.next(kind, 1 - stop, 1 - start)
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
            end = min(stop, *(period.after(start) for period in self._periods))  # the next that is not plain
            if start < end:
                yield PLAIN, end - start
            if end < stop:
                yield self.kind(end), 1
            start = end + 1


def _as_item(runs: Runs) -> tuple[int | Runs, int]:
    return runs[0] if len(runs) == 1 else (runs, 1)


@cache
def of(*periods: tuple[int, int]) -> Periods:
    """The kinds of steps that these periods make, each a number of steps and a place."""
    return Periods(tuple(Period(*period) for period in periods))
