"""The specification inverter: the worst value of each property of a device that loses less than is allowed.

All values have the same seeds, chips and streams of noise, so that a property is a smooth knob: of two values the worse
one loses more, but for effects that are not monotonic, such as where rounding happens to fall. Bisection over the
values to try finds, for each seed on its own, where the loss exceeds what is allowed; seeds scatter, and Student's t
over them gives the interval. With one seed, chips take the place of seeds, as in `hwsim.limits`.

The loss is that to the same machine with the perfect value, all else as it is; what stays is not charged to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import tasks
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment
from hwsim.errors import ConfigError
from hwsim.experiments.limits import (
    CHIPS,
    SEEDS,
    TESTED,
    UPDATES,
    Changes,
    ExactGradients,
    Lineup,
    Progress,
    method,
    most_side_by_side,
    require_pulses,
    shortened,
)
from hwsim.experiments.one_thread import one_thread
from hwsim.experiments.properties import AGE, Property, properties
from hwsim.experiments.rehearsal import rehearse
from hwsim.results.paired import paired_difference
from hwsim.results.specification import Measured, Specification, Threshold

ALLOWED = 0.02
"""What may be lost, unless something else is said: of a cosine, or two points of accuracy."""


@one_thread()
def specification(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    *,
    measure: Measured = "cosine",
    allowed: float = ALLOWED,
    age: float = AGE,
    seeds: int = SEEDS,
    chips: int | None = None,
    updates: int = UPDATES,
    of: Callable[[Property], bool] = lambda each: True,
    data: str | Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Specification:
    """Find what the devices of an experiment's substrate would have to be.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        measure: what is lost: the cosine of the gradient with the exact one; the cosine of the `change` that pulses
            make in place with the exact change by the same updates; or the accuracy after a training.
        allowed: a value passes if less than this is lost, as a number: 0.02 of a cosine, or 2 points of accuracy.
        age: at which drift is asked about, in seconds.
        seeds, chips, updates, data: as for `hwsim.limits`.
        of: which properties are asked about.
        progress: called with how much is done, of how much.

    Raises:
        HwsimError: the file is invalid, the rule cannot run on the machine, data or memory is missing, the machine has
            no devices, or nothing to measure by.
    """
    asked = experiment if isinstance(experiment, Experiment) else config.load(experiment)
    _check(asked, measure, allowed, seeds, chips, updates)
    short = shortened(asked, max(CHIPS, asked.chips) if chips is None else chips, updates)
    every, untried = properties(short.machine, age)
    wanted, hidden = [each for each in every if of(each)], _why_untried(short, measure)
    shown = [each for each in wanted if hidden(each) is None]
    untried += [(each.sought.name, why) for each in wanted if (why := hidden(each)) is not None]
    how = method(short, seeds)
    if measure == "cosine":
        how = how._replace(updates=None, batch=None, tested=None)
    rounds = 1 + max((_rounds(each) for each in shown), default=0)
    told, found = _Told(progress, len(how.seeds) * rounds), list[list[Search]]()
    for seed in how.seeds:
        found.append(
            _of_seed(short.model_copy(update={"seed": seed}), shown, measure, allowed, len(how.seeds), data, told)
        )
        told.seed_over(rounds)
    return Specification(
        asked.name,
        asked.learning.name,
        short.machine.name,
        short.machine.device.name,
        how,
        measure,
        allowed,
        [_threshold(each, [one[number] for one in found]) for number, each in enumerate(shown)],
        untried,
    )


def _check(asked: Experiment, measure: Measured, allowed: float, seeds: int, chips: int | None, updates: int) -> None:
    for name, value in (("seeds", seeds), ("chips", chips), ("updates", updates)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} ({value}): must be at least 1")
    if not 0 < allowed < 1:
        raise ConfigError(f"allowed ({allowed:g}): what may be lost is above 0 and below 1, such as 0.02")
    if getattr(asked.machine, "device", None) is None:
        raise ConfigError(f"{asked.name}: {asked.machine.name} has no devices, so there is nothing to specify")
    if measure not in ("cosine", "change", "accuracy"):
        raise ConfigError(f"measure ({measure!r}): must be 'cosine', 'change' or 'accuracy'")
    if measure == "change":
        require_pulses(asked)
    if measure == "accuracy":
        if asked.training is None:
            raise ConfigError(f"{asked.name}: no training, so there is no accuracy; give one, or measure by the cosine")
        if not tasks.outline(asked.task).test.classes:
            raise ConfigError(
                f"{asked.name}: {asked.task.name} has no classes, so there is no accuracy; measure by the cosine"
            )


def _why_untried(short: Experiment, measure: Measured) -> Callable[[Property], str | None]:
    """Says of a property why it does not show in a measure; None where it does."""
    ((_, options),) = short.systems().items()
    scheme = short.scheme(options)
    pulsed = measure != "cosine" and scheme is not None and scheme.pulses

    def why(each: Property) -> str | None:
        if each.trains and not pulsed:
            return "it shows only while devices are pulsed in place: measure by the change"
        if each.after is not None and measure != "cosine":
            return "it shows only at an age, where gradients are measured: measure by the cosine"
        return None

    return why


def _rounds(each: Property) -> int:
    """How often the values to try are halved until it is known how many of them pass."""
    return ceil(log2(len(each.sought.tried) + 1))


class _Told:
    """Tells how many rounds are done, of how many."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._before = progress, total, 0
        progress(0, total)

    def __call__(self, done: int) -> None:
        self._progress(min(self._before + done, self._total), self._total)

    def seed_over(self, rounds: int) -> None:
        self._before += rounds
        self(0)


class Search:
    """Where a property begins to cost too much, in each group of chips of one seed.

    Args:
        perfect, now: what was measured with the perfect value, and with the present one, `(chips,)`.
        groups: chips that are taken together: all of a seed, or each by itself.

    Attributes:
        low, high: at least and at most so many of the values to try pass, in each group.
    """

    def __init__(
        self, each: Property, perfect: np.ndarray, now: np.ndarray, allowed: float, groups: list[slice]
    ) -> None:
        self.of, self.perfect, self.now, self._allowed, self._groups = each, perfect, now, allowed, groups
        self.low, self.high = [0] * len(groups), [len(each.sought.tried)] * len(groups)

    @property
    def wanted(self) -> list[int]:
        """The numbers of the values to try next; none where all is known."""
        return sorted({self._middle(group) for group in range(len(self._groups)) if self._open(group)})

    def learn(self, measured: Mapping[int, np.ndarray]) -> None:
        """Take what was measured with these values."""
        for group, chips in enumerate(self._groups):
            if self._open(group):
                middle = self._middle(group)
                lost = float((self.perfect[chips] - measured[middle][chips]).mean())
                if lost < self._allowed:  # not where it is not a number
                    self.low[group] = middle + 1
                else:
                    self.high[group] = middle

    def _open(self, group: int) -> bool:
        return self.low[group] < self.high[group]

    def _middle(self, group: int) -> int:
        return (self.low[group] + self.high[group]) // 2


def _of_seed(
    short: Experiment,
    shown: Sequence[Property],
    measure: Measured,
    allowed: float,
    seeds: int,
    data: str | Path | None,
    told: _Told,
) -> list[Search]:
    """The searches of a seed, all properties in step with each other."""
    bench = _Bench(short, measure, data)
    perfect = bench.measured([(each, each.at(each.sought.perfect)) for each in shown])
    now = bench.measured([(each, short.machine) for each in shown])
    told(1)
    chips = len(perfect[0]) if perfect else 0
    groups = [slice(None)] if seeds > 1 else [slice(chip, chip + 1) for chip in range(chips)]
    searches = [Search(*each, allowed, groups) for each in zip(shown, perfect, now, strict=True)]
    done = 1
    while asked := [(search, number) for search in searches for number in search.wanted]:
        machines = [(search.of, search.of.at(search.of.sought.tried[number])) for search, number in asked]
        found = dict(zip([(id(search), number) for search, number in asked], bench.measured(machines), strict=True))
        for search in searches:
            search.learn({number: found[id(search), number] for number in search.wanted})
        done += 1
        told(done)
    return searches


def _threshold(each: Property, searches: list[Search]) -> Threshold:
    """What the searches of all seeds found."""
    lost = paired_difference(
        np.stack([search.perfect for search in searches]), np.stack([search.now for search in searches])
    )
    passed = tuple(count for search in searches for count in search.low)
    return Threshold(each.sought, lost, passed, "seeds" if len(searches) > 1 else "chips")


class _Bench:
    """Measures machines with the seed of an experiment: the same data, weights, chips and streams for all of them."""

    def __init__(self, short: Experiment, measure: Measured, data: str | Path | None) -> None:
        whole = tasks.build(short.task, short.seed, None if data is None else Path(data))
        self._short, self._measure = short, measure
        self._dataset = whole._replace(test=whole.test.select(slice(0, TESTED)))
        ((self._name, self._options),) = short.systems().items()
        if measure == "change":
            self._short = short = short.model_copy(update={"test": False})
        self._holds = rehearse(short, self._name, self._options, *self._dataset)
        self._exact: ExactGradients = []
        self._changes: Changes = {}
        if measure == "change":
            assert short.training is not None
            self._changes = self._lineup([short.machine], None, False).exact_changes(short.training)
        if measure == "cosine":
            self._exact = self._lineup([short.machine], None, False).exact_gradients()
        self._most = most_side_by_side(short)
        self._known: dict[tuple[float | None, bool], np.ndarray] = {}

    def measured(self, machines: Sequence[tuple[Property, Any]]) -> list[np.ndarray]:
        """The measure of each machine, `(chips,)`: under the condition that its property is asked about."""
        found: dict[int, np.ndarray] = {}
        together: dict[tuple[float | None, bool], list[int]] = {}
        for number, (each, machine) in enumerate(machines):
            condition = each.after, each.compensated
            if machine is self._short.machine and condition in self._known:
                found[number] = self._known[condition]
            elif each.apart and machine is not self._short.machine:
                (found[number],) = self._of([machine], *condition)
            else:
                together.setdefault(condition, []).append(number)
        for condition, numbers in together.items():
            own = [number for number in numbers if machines[number][1] is self._short.machine]
            once = [number for number in numbers if number not in own[1:]]
            for start in range(0, len(once), self._most):
                part = once[start : start + self._most]
                values = self._of([machines[number][1] for number in part], *condition)
                found |= zip(part, values, strict=True)
            if own:
                self._known[condition] = found[own[0]]
                found |= dict.fromkeys(own, found[own[0]])
        return [found[number] for number in range(len(machines))]

    def _of(self, machines: list[Any], after: float | None, compensated: bool) -> list[np.ndarray]:
        """The measure of machines side by side."""
        lineup = self._lineup(machines, after, compensated)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if self._measure == "cosine":
                values = lineup.cosines(self._exact, self._holds, lambda done: None)
            elif self._measure == "change":
                assert self._short.training is not None
                values = lineup.changed(self._short.training, self._changes, self._holds)
            else:
                assert self._short.training is not None
                score = lineup.trained(self._short.training, self._holds, lambda done: None)
                assert score.accuracy is not None
                values = score.accuracy
        return list(values.reshape(len(machines), -1))

    def _lineup(self, machines: list[Any], after: float | None, compensated: bool) -> Lineup:
        return Lineup(self._short, self._name, self._options, self._dataset, machines, after, compensated)
