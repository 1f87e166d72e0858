"""What a search for break-even found: costs along an axis, and where the substrate meets the best digital reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple


class Quantity(NamedTuple):
    """What is compared, its unit, and the key of its value in a `SystemCost`."""

    name: str
    unit: str


QUANTITIES = (Quantity("energy", "J"), Quantity("memory", "B"), Quantity("time", "s"))


class MovedConstant(NamedTuple):
    """What can be elsewhere in its range: a constant, and its bounds as multiples of its value.

    Where two machines have the same, as an accelerator and the digital unit of a chip, it is one constant.
    """

    name: str
    low: float
    high: float


class SystemCost(NamedTuple):
    """One system at one value: of a gradient of one sequence, as the sources say, and the least and most they allow.

    Attributes:
        constants: the energy by what it rests on.
    """

    energy: tuple[float, float, float]
    memory: tuple[float, float, float]
    time: tuple[float, float, float]
    constants: Mapping[MovedConstant, float] = MappingProxyType({})


class Meeting(NamedTuple):
    """Where the substrate begins, or ceases, to need less than the best digital reference.

    Attributes:
        value: the first value at which the other one needs less; between known values for axes that are not whole.
        less: whether the substrate needs less from there on.
        reference: which one is the best digital reference there.
    """

    value: float
    less: bool
    reference: str


class Course(NamedTuple):
    """How the substrate stands along an axis: whether it needs less at the first value, and where that changes."""

    less: bool
    meetings: tuple[Meeting, ...]


class Verdict(NamedTuple):
    """The substrate against the best digital reference, in one quantity.

    Attributes:
        stated: with constants as their sources state them.
        favourable, unfavourable: with each constant at the end of its range that is best, or worst, for the substrate;
            a constant that the substrate and a reference share is the same in both.
        bound: as stated, against what is only a bound of a reference's costs, if there is one; of energy alone.
    """

    stated: Course
    favourable: Course
    unfavourable: Course
    bound: Course | None


@dataclass(frozen=True)
class Breakeven:
    """Costs along an axis.

    Attributes:
        name: of the experiment.
        over: the axis.
        axis: what that is.
        substrate: what the substrate is called.
        bounds: references whose costs are only bounds, and what of; they count for no meeting but those of bounds.
        costs: at each value that was asked for, of each system; the substrate is the first.
        verdicts: by quantity.
        notes: what a reader has to know.
    """

    name: str
    over: str
    axis: str
    substrate: str
    bounds: dict[str, str]
    costs: dict[float, dict[str, SystemCost]]
    verdicts: dict[str, Verdict]
    notes: list[str]


class FragileConstant(NamedTuple):
    """A constant with which a meeting moves, appears or disappears.

    Attributes:
        quantity: in which.
        name: of the constant.
        halved, doubled: how the substrate stands along the axis then.
        by: how far meetings move, as a logarithm; infinite if their number or direction changes.
    """

    quantity: str
    name: str
    halved: Course
    doubled: Course
    by: float
