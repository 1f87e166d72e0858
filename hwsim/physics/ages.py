"""Laws that were measured at a few ages: where an age is between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import log


def place(ages: Sequence[float], waited: float, logarithmic: bool) -> tuple[int, float]:
    """The age before `waited`, by its number, and the share of the way from it to the next; both in seconds.

    Behind the last age everything stays as it is there, and before the first one as it is at that.

    Args:
        logarithmic: whether the way is one of ln t, not of t.
    """
    if waited <= ages[0]:
        return 0, 0.0
    if waited >= ages[-1]:
        return len(ages) - 2, 1.0
    number = bisect_right(ages, waited) - 1
    first, second, now = (log(age) if logarithmic else age for age in (*ages[number : number + 2], waited))
    return number, (now - first) / (second - first)


def ascending(ages: list[float]) -> list[float]:
    """The ages, which grow.

    Raises:
        ValueError: they do not.
    """
    if any(later <= age for age, later in pairwise(ages)):
        raise ValueError("the earliest age comes first")
    return ages
