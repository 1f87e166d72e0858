"""What a device would have to be: the worst value of each of its properties that costs less than is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from hwsim.results.limits import Method
from hwsim.results.paired import PairedDifference, student

Measured = Literal["cosine", "change", "accuracy"]
State = Literal["found", "none fails", "all fail", "open"]


class Sought(NamedTuple):
    """A property of a device whose worst value is sought.

    Attributes:
        name: what it is called.
        key: of its option, behind the machine.
        means: what its values are, in words.
        unit: `%` for shares, otherwise nothing.
        now: its value on the data sheet, or of the machine.
        perfect: the value at which it costs nothing.
        tried: the values that are tried, from the best to the worst.
        whole: whether they are whole numbers, of which fewer are worse.
        logarithmic: whether they are evenly spaced on a logarithmic scale.
    """

    name: str
    key: str
    means: str
    unit: str
    now: float
    perfect: float
    tried: tuple[float, ...]
    whole: bool = False
    logarithmic: bool = True


class Threshold(NamedTuple):
    """The worst value of a property that loses less than is allowed.

    Attributes:
        sought: the property.
        lost: by how much the machine as it is is worse than one with the perfect value, paired.
        passed: how many of the values tried, from the best on, pass in each group: a seed, or a chip if there is one
            seed.
        over: what a group is, `seeds` or `chips`.
    """

    sought: Sought
    lost: PairedDifference
    passed: tuple[int, ...]
    over: str

    @property
    def state(self) -> State:
        """Whether there is a value in the range tried: `open` if it is in the range for some groups only."""
        ends = {0: "all fail", len(self.sought.tried): "none fails"}
        states = {ends.get(each, "found") for each in self.passed}
        return states.pop() if len(states) == 1 else "open"  # type: ignore[return-value]

    @property
    def values(self) -> np.ndarray:
        """The threshold of each group: between the last value that passes and the first that fails.

        Of whole numbers it is the last that passes. A group in which all fail has the best value tried, one in which
        none fails the worst: its own threshold is beyond.
        """
        last, first = self._around
        if self.sought.whole:
            return last
        return np.sqrt(last * first) if self.sought.logarithmic else (last + first) / 2

    @property
    def _around(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each group the last value that passes, and the first that fails."""
        tried = self.sought.tried
        last, first = (
            np.array([tried[min(max(each + more, 0), len(tried) - 1)] for each in self.passed], float)
            for more in (-1, 0)
        )
        return last, first

    @property
    def needed(self) -> tuple[float, float, float]:
        """The threshold and its 95 % interval, `(value, low, high)`; NaN unless it is `found`, or without an interval.

        By Student's t over groups, of logarithms where the values are on a logarithmic scale. Whole numbers are rounded
        outwards, and the value upwards, to what is good enough. Of others the interval is wider by half the distance of
        the values tried, at either end, since all groups may lie between the same two of them.
        """
        if self.state != "found":
            return np.nan, np.nan, np.nan
        scale: Any = np.log if self.sought.logarithmic else np.asarray
        found = np.array(student(scale(self.values))[:3], float)
        if not self.sought.whole:
            last, first = (float(scale(each).mean()) for each in self._around)
            found += np.array([0, -0.5, 0.5]) * abs(first - last)
        value, low, high = np.exp(found) if self.sought.logarithmic else np.array(found)
        if self.sought.whole:
            value, low, high = np.ceil(value - _FUZZ), np.floor(low + _FUZZ), np.ceil(high - _FUZZ)
        return float(value), float(low), float(high)

    @property
    def within(self) -> tuple[float, float, float]:
        """The threshold and its interval, as far as it lies within what was tried: beyond, nothing is known."""
        value, low, high = np.clip(self.needed, min(self.sought.tried), max(self.sought.tried))
        return float(value), float(low), float(high)

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest threshold of any group."""
        return float(self.values.min()), float(self.values.max())

    @property
    def factor(self) -> float:
        """How many times worse the property may become: below 1, it has to become better. NaN if that is not known."""
        value = self.needed[0]
        if not value > 0 or not self.sought.now > 0:
            return np.nan
        return self.sought.now / value if self.sought.whole else value / self.sought.now

    @property
    def good_enough(self) -> bool | None:
        """Whether the present value is; None if the interval leaves that open."""
        if self.state == "none fails":
            return True
        if self.state == "all fail":
            return False
        (low, high), now, whole = self.ends, self.sought.now, self.sought.whole
        if self.state == "found" and np.isfinite(self.needed[1]):
            _, low, high = self.needed
        if now < low:
            return not whole
        if now > high:
            return whole
        return True if low == high else None


_FUZZ = 1e-6
"""What is within so much of a whole number is that number."""


class Specification(NamedTuple):
    """What the device of a machine would have to be.

    Attributes:
        name: of the experiment.
        rule, machine, device: what learns, and where.
        method: how much was simulated.
        measure: what is lost.
        allowed: a value passes if less than this is lost.
        thresholds: of each property.
        untried: properties that could not be asked about, each with the reason.
    """

    name: str
    rule: str
    machine: str
    device: str
    method: Method
    measure: Measured
    allowed: float
    thresholds: list[Threshold]
    untried: Sequence[tuple[str, str]] = ()

    @property
    def ranked(self) -> list[Threshold]:
        """The properties by what they cost now, the most first; those surely beyond what is allowed come before."""

        def order(each: Threshold) -> tuple[bool, float]:
            cost = each.lost.mean
            return each.good_enough is not False, -cost if np.isfinite(cost) else -np.inf

        return sorted(self.thresholds, key=order)

    @property
    def table(self) -> pd.DataFrame:
        """A row per property: its value now, what it costs, the threshold and the range that was tried."""
        rows = []
        for each in self.ranked:
            value, low, high = each.needed
            sought = each.sought
            row: dict[str, Any] = {"property": sought.name, "key": sought.key, "means": sought.means}
            row |= {"now": sought.now, "needed": value, "low": low, "high": high, "factor": each.factor}
            row |= {"state": each.state, "good_enough": each.good_enough, "best_tried": sought.tried[0]}
            row |= {"worst_tried": sought.tried[-1], "measure": self.measure, "allowed": self.allowed}
            row |= {f"lost_{name}": value for name, value in zip(("now", "low", "high"), each.lost[:3], strict=True)}
            rows.append({**row, "over": each.over, "groups": " ".join(f"{one:.6g}" for one in each.values)})
        return pd.DataFrame(rows)

    def plain(self) -> dict[str, Any]:
        """All of it as data for JSON."""
        return {
            **{name: getattr(self, name) for name in ("name", "rule", "machine", "device", "measure", "allowed")},
            "method": self.method._asdict(),
            "thresholds": [
                {"sought": each.sought._asdict(), "lost": _finite(each.lost._asdict()), "passed": list(each.passed)}
                | {"over": each.over}
                for each in self.thresholds
            ],
            "untried": [list(each) for each in self.untried],
        }

    @classmethod
    def of(cls, data: dict[str, Any]) -> Specification:
        """The same, from its data.

        Raises:
            LookupError, TypeError: it is no such data.
        """
        thresholds = [
            Threshold(
                Sought(**{**each["sought"], "tried": tuple(each["sought"]["tried"])}),
                _known(each["lost"]),
                tuple(each["passed"]),
                each["over"],
            )
            for each in data["thresholds"]
        ]
        named = {name: data[name] for name in ("name", "rule", "machine", "device", "measure", "allowed")}
        untried = [(name, why) for name, why in data["untried"]]
        return cls(**named, method=Method(**data["method"]), thresholds=thresholds, untried=untried)


def _known(numbers: dict[str, Any]) -> PairedDifference:
    whole: dict[str, Any] = {name: np.nan if value is None else value for name, value in numbers.items()}
    return PairedDifference(**whole)


def _finite(numbers: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in numbers.items()
    }
