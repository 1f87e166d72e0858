"""Devices that do not work: their shares of all that were measured, and the key of a data sheet that says so."""

from __future__ import annotations

from typing import Any, NamedTuple

from scipy import stats

from hwsim.physics.fits.found import Aside, Parameter

_AT = 0.1
"""A device is stuck low, or high, if it stays within so much of the range from there."""


class Faulty(NamedTuple):
    """How many devices do not work.

    Attributes:
        of: how many devices were measured.
        dead: those that read nothing.
        low, high: those that stay at the least conductance, and at the largest.
        between: conductances of those that stay anywhere else, in siemens.
    """

    of: int
    dead: int = 0
    low: int = 0
    high: int = 0
    between: tuple[float, ...] = ()

    @property
    def parameters(self) -> list[Parameter]:
        """Shares with their exact intervals (Clopper and Pearson, Biometrika 26:404, 1934), of what there is."""
        named = [("dead devices", self.dead), ("devices stuck low", self.low), ("devices stuck high", self.high)]
        named.append(("devices stuck in between", len(self.between)))
        return [share(f"{name}, share of all", count, self.of) for name, count in named if count]

    @property
    def sheet(self) -> dict[str, Any]:
        """The key `faults`, if there are any: dead devices conduct nothing."""
        shares = {"low": self.low, "high": self.high, "unformed": self.dead}
        if not any(shares.values()):
            return {}
        kept = {name: float(f"{count / self.of:.3g}") for name, count in shares.items() if count}
        counted = f"measurement, {self.dead + self.low + self.high} of {self.of} devices"
        return {"faults": {**kept, "source": counted}}


def of_pulses(aside: list[Aside], devices: int, low: float, high: float) -> Faulty:
    """The devices that do not answer to pulses.

    Args:
        aside: devices that were left out.
        devices: how many there are in all.
        low, high: least and largest conductance of the median device, in siemens.
    """
    stuck = [each.reads for each in aside if each.how == "stuck"]
    along = [(each - low) / (high - low) for each in stuck]
    return Faulty(
        devices - sum(each.how == "few" for each in aside),
        sum(each.how == "dead" for each in aside),
        sum(each < _AT for each in along),
        sum(each > 1 - _AT for each in along),
        tuple(each for each, way in zip(stuck, along, strict=True) if _AT <= way <= 1 - _AT),
    )


def share(name: str, count: int, of: int) -> Parameter:
    """A share of devices with its exact 95 % interval."""
    low, high = stats.binomtest(count, of).proportion_ci()
    return Parameter(name, count / of, float(low), float(high))
