"""What limits a machine: how its learning changes as each of its imperfections is switched off, or doubled, alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hwsim.imperfection import Found
from hwsim.results.paired import Interval, PairedDifference, paired_difference, student

CHANGES = OFF, DOUBLED = "off", "doubled"

Measured = dict[str, np.ndarray]
"""Values of each measure, `(seeds, chips)`."""


class Measure(NamedTuple):
    """What a machine is judged by.

    Attributes:
        name: in tables.
        better: 1 if larger values are better, −1 if smaller ones are.
    """

    name: str
    better: int


COSINE, CHANGE, LOSS = Measure("cosine", 1), Measure("change_cosine", 1), Measure("loss", -1)
MEASURES = COSINE, CHANGE, LOSS
"""In the order of tables. A machine is judged by one of the first two, and by the loss."""


class Method(NamedTuple):
    """How much was simulated.

    Attributes:
        seeds: of the experiments.
        chips: of each seed.
        sequences: of each gradient.
        gradients: that the cosine is the mean over; 0 where the change by pulses is measured in its place.
        updates, batch: of the training; None without one.
        tested: sequences that the loss is of; None without a training.
    """

    seeds: Sequence[int]
    chips: int
    sequences: int
    gradients: int
    updates: int | None
    batch: int | None
    tested: int | None


class Limit(NamedTuple):
    """One imperfection, and what it does to learning.

    Attributes:
        name: what it is called.
        key: of its option, behind the machine.
        means: what off and doubled are, in words.
        measured: with it off, and doubled.
        differences: of each measure to the machine as it is, paired over seeds and chips; by change and measure.
    """

    name: str
    key: str
    means: str
    measured: dict[str, Measured]
    differences: dict[tuple[str, str], PairedDifference]

    def gain(self, change: str, measure: Measure) -> float:
        """By how much learning is better with a change; NaN where that is not known."""
        found = self.differences.get((change, measure.name))
        return np.nan if found is None else measure.better * found.mean

    def verdict(self, change: str, measure: Measure) -> int:
        """1 if learning is better with a change, −1 if it is worse, 0 if the interval leaves that open."""
        found = self.differences.get((change, measure.name))
        return 0 if found is None else measure.better * (int(found.low > 0) - int(found.high < 0))


class Limits(NamedTuple):
    """What limits a machine.

    Attributes:
        name: of the experiment.
        rule, machine: what learns, and where.
        method: how much was simulated.
        base: what was measured of the machine as it is.
        limits: the imperfections that it has, in the order of its options.
        absent: the names of those that it could have, and has not.
    """

    name: str
    rule: str
    machine: str
    method: Method
    base: Measured
    limits: list[Limit]
    absent: list[str]

    @property
    def measures(self) -> list[Measure]:
        """What was measured."""
        return [measure for measure in MEASURES if measure.name in self.base]

    def level(self, measure: Measure) -> Interval:
        """The mean of a measure on the machine as it is, over seeds; over chips if there is one seed."""
        values = self.base[measure.name]
        return student(values[0] if len(values) == 1 else values.mean(1))

    def ranked(self, measure: Measure, change: str = OFF) -> list[Limit]:
        """The imperfections by how much they limit: by the gain without them, or by the harm that twice as much does.

        Those whose interval is on one side of zero come first.
        """
        sign = 1 if change == OFF else -1

        def order(limit: Limit) -> tuple[int, float]:
            gain = sign * limit.gain(change, measure)
            return -max(sign * limit.verdict(change, measure), 0), -gain if np.isfinite(gain) else np.inf

        return sorted(self.limits, key=order)

    @property
    def table(self) -> pd.DataFrame:
        """A row per imperfection, change and measure: the difference to the machine as it is, and its rank."""
        ranks = {(change, measure): self.ranked(measure, change) for change in CHANGES for measure in self.measures}
        rows = [
            {
                "imperfection": limit.name,
                "key": limit.key,
                "change": change,
                "measure": measure.name,
                **found._asdict(),
                "better": {1: True, -1: False, 0: None}[limit.verdict(change, measure)],
                "rank": 1 + order.index(limit),
            }
            for limit in self.limits
            for (change, measure), order in ranks.items()
            if (found := limit.differences.get((change, measure.name))) is not None
        ]
        head = ("imperfection", "key", "change", "measure", *PairedDifference._fields, "better", "rank")
        return pd.DataFrame(rows, columns=head)

    @property
    def values(self) -> pd.DataFrame:
        """A row per machine, seed and chip, with each measure; the machine as it is comes first."""
        rows: list[dict[str, Any]] = []
        for name, key, change, measured in self._machines():
            for number, seed in enumerate(self.method.seeds):
                for chip in range(self.method.chips):
                    found = {measure: values[number, chip] for measure, values in measured.items()}
                    rows.append(
                        {"imperfection": name, "key": key, "change": change, "seed": seed, "chip": chip, **found}
                    )
        return pd.DataFrame(rows)

    def _machines(self) -> Iterator[tuple[str, str, str, Measured]]:
        yield "none", "", "", self.base
        for limit in self.limits:
            for change, measured in limit.measured.items():
                yield limit.name, limit.key, change, measured


def limit(found: Found, base: Measured, measured: dict[str, Measured]) -> Limit:
    """What an imperfection does, from what was measured without it and with twice as much of it."""
    differences = {
        (change, name): paired_difference(values, base[name])
        for change, each in measured.items()
        for name, values in each.items()
    }
    return Limit(found.name, found.key, found.means, measured, differences)
