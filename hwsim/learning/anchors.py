"""Where anchors are opened, and how long they stay open: from rates of forgetting, and the precision of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, isfinite, log
from typing import NamedTuple

AMPLIFIED = 1.25
"""Where the machine is less precise than the error asked for, errors may grow by as much between two anchors."""


class Group(NamedTuple):
    """Wires of a layer's state that have their anchors at the same steps.

    Attributes:
        every: S, the steps from one anchor to the next.
        age: the steps that an anchor stays open at least.
        wires: the wires; None for all.
    """

    every: int
    age: int
    wires: tuple[int, ...] | None = None

    @property
    def most(self) -> int:
        """The number of its anchors that are open at a time, at most."""
        return ceil(self.age / self.every)


class Aim(NamedTuple):
    """What anchors are placed for.

    Attributes:
        error: the relative error of δ that they should leave, where the machine is precise enough for it.
        precision: relative error of one step.
        steps: of a sequence.
    """

    error: float
    precision: float
    steps: int

    @property
    def tolerated(self) -> float:
        return max(self.error, AMPLIFIED * self.precision)

    def distance(self, rate: float) -> int:
        """S = τ ln(tol/ε), for a time constant τ = 1/rate: after S steps an error ε has grown to the tolerated one."""
        steps = log(self.tolerated / self.precision) / rate if rate > 0 else inf
        return max(1, int(min(steps, self.steps)))

    def reach(self, rate: float) -> int:
        """D = τ ln(1/tol): what is later than that is forgotten, but for the tolerated error."""
        steps = log(1 / self.tolerated) / rate if rate > 0 else inf
        return ceil(min(steps, self.steps))


def uniform(rates: Sequence[float], aim: Aim, every: int | None = None, age: int | None = None) -> tuple[Group, ...]:
    """One group: the distance that the fastest direction allows, and the age that the slowest one needs.

    Args:
        every, age: the one of them that is given.
    """
    every = every or min(aim.distance(rate) for rate in rates)
    return (Group(every, min(age or every + max(aim.reach(rate) for rate in rates), aim.steps)),)


def by_mode(rates: Sequence[float], aim: Aim, shortest: int, age: int | None = None) -> tuple[Group, ...]:
    """Groups of modes, with distances S₀ 2^k, the largest that each mode allows.

    Args:
        shortest: S₀, at most the shortest distance. Layers have the same one, so that their steps repeat together.
    """
    distances = [aim.distance(rate) for rate in rates]
    modes: dict[int, list[int]] = {}
    for mode, distance in enumerate(distances):
        every = shortest << max(0, int(log(distance / shortest, 2) + 1e-9))
        modes.setdefault(every, []).append(mode)
    groups = []
    for every, members in sorted(modes.items()):
        oldest = age or every + max(aim.reach(rates[mode]) for mode in members)
        wires = tuple(wire for mode in members for wire in (2 * mode, 2 * mode + 1))
        groups.append(Group(every, min(oldest, aim.steps), wires))
    return tuple(groups) if len(groups) > 1 else (groups[0]._replace(wires=None),)


def usable(rates: Sequence[float]) -> bool:
    """Whether rates are numbers; those of directions that are forgotten within one step may be infinite."""
    return bool(rates) and all(isfinite(rate) or rate == inf for rate in rates)
