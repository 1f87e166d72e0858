"""Times of things that are to be compared: one after another, again and again, so that a slow moment hits them all."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter


def seconds(tasks: dict[str, Callable[[], object]], repeats: int = 7) -> dict[str, float]:
    """The median time of each task, after one run that nobody counts."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(repeats + 1):
        for name, task in tasks.items():
            start = perf_counter()
            task()
            if number:
                taken[name].append(perf_counter() - start)
    return {name: median(times) for name, times in taken.items()}
