"""The fourteen Mackey-Glass series of NeuroBench, whose delays are 17 to 30, sampled 75 times a Lyapunov time.

J. Yik et al., Nature Communications 16:1545, 2025, whose files say of each series its Lyapunov time and its value up to
the beginning. They are solved anew here. After some ten Lyapunov times the values hang on the solver, since errors grow
by e in each; so what is found compares with what others find on their files on average alone.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np

GROWTH, DECAY = 0.2, 0.1
POINTS, TIMES = 75, 10
"""Points of a Lyapunov time; Lyapunov times to learn from, and as many to test on."""
REPEATS = 30
"""Parts of a series that a score is the mean of; each begins half a Lyapunov time after the one before."""
_INTERVALS = 1000
"""Steps of the solver per delay: with half as many, values change by less than 1e-9 in the first Lyapunov time."""


class Delay(NamedTuple):
    """A series: its Lyapunov time, and its value up to the beginning."""

    lyapunov: int
    start: float


DELAYS = {
    17: Delay(197, 0.72066),
    18: Delay(138, 0.774431),
    19: Delay(315, 0.778347),
    20: Delay(131, 0.922599),
    21: Delay(191, 0.947943),
    22: Delay(119, 0.545596),
    23: Delay(106, 0.862225),
    24: Delay(97, 0.325966),
    25: Delay(98, 0.829783),
    26: Delay(104, 1.003349),
    27: Delay(112, 0.649141),
    28: Delay(119, 1.09575),
    29: Delay(131, 0.925618),
    30: Delay(139, 0.271364),
}
"""By delay τ."""


def series(tau: int, repeat: int, points: int) -> np.ndarray:
    """Some points of a series, from the beginning of a repeat on."""
    first = repeat * POINTS // 2
    lyapunov, start = DELAYS[tau]
    at = np.arange(first, first + points) * (lyapunov / POINTS)
    return between(solved(tau, start, at[-1]), at * (_INTERVALS / tau))


def solved(tau: float, start: float, end: float, intervals: int = _INTERVALS) -> np.ndarray:
    """dx/dt = 0.2 x(t - τ) / (1 + x(t - τ)¹⁰) - 0.1 x(t) from t = 0 to `end` or later, `intervals` steps per delay.

    By the method of steps: within a delay x(t - τ) is known, so x(t) = e^(-0.1 t) (x(0) + ∫ e^(0.1 s) f(s) ds), whose
    integral is taken by Simpson's rule, with cubics between known values.
    """
    step = tau / intervals
    grown, grown_between = (np.exp(DECAY * step * at) for at in (np.arange(intervals + 1), np.arange(intervals) + 0.5))
    late, found = np.full(intervals + 1, start), [np.array([start])]
    for _ in range(ceil(end / tau)):
        ends = grown * _production(late)
        middles = grown_between * _production(between(late, np.arange(intervals) + 0.5))
        parts = step / 6 * (ends[:-1] + 4 * middles + ends[1:])
        late = np.append(late[-1], late[-1] + np.cumsum(parts)) / grown
        found.append(late[1:])
    return np.concatenate(found)


def between(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values at places between them, which count from the first, by the cubic through the four nearest ones."""
    left = np.clip(np.floor(at).astype(np.int64) - 1, 0, len(values) - 4)
    u = at - left
    first, last = -(u - 1) * (u - 2) * (u - 3) / 6, u * (u - 1) * (u - 2) / 6
    weights = first, u * (u - 2) * (u - 3) / 2, -u * (u - 1) * (u - 3) / 2, last
    found: np.ndarray = sum(weight * values[left + number] for number, weight in enumerate(weights))
    return found


def _production(late: np.ndarray) -> np.ndarray:
    made: np.ndarray = GROWTH * late / (1 + late**10)
    return made
