"""Results of a break-even search: costs along an axis, and where the substrate meets the best digital reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from hwsim.quantities import Origin


class Quantity(NamedTuple):
    """What is compared, its unit, and the key of its value in a `SystemCost`."""

    name: str
    unit: str


QUANTITIES = (Quantity("energy", "J"), Quantity("memory", "B"), Quantity("time", "s"))


class RangedConstant(NamedTuple):
    """A product of constants with a range: its bounds are multiples of its value.

    A constant that two machines share, such as an accelerator and the digital unit of a chip, is one constant.

    Attributes:
        names: the keys of the constants behind their machine, one for each factor.
    """

    names: tuple[str, ...]
    low: float
    high: float


class SystemCost(NamedTuple):
    """The costs of one sequence when it is learned from, for one system at one value of the axis.

    Attributes:
        energy, memory, time: as the sources state it, the lowest and the highest value that their ranges allow.
        constants: the energy by the constants that it depends on.
    """

    energy: tuple[float, float, float]
    memory: tuple[float, float, float]
    time: tuple[float, float, float]
    constants: Mapping[RangedConstant, float] = MappingProxyType({})


class Meeting(NamedTuple):
    """Where the substrate begins, or ceases, to need less than the best digital reference.

    Attributes:
        value: the first value after the change; interpolated when the search does not go to the whole number.
        less: whether the substrate needs less from there on.
        reference: the best digital reference there.
    """

    value: float
    less: bool
    reference: str


class Course(NamedTuple):
    """How the substrate compares along an axis: whether it needs less at the first value, and where that changes."""

    less: bool
    meetings: tuple[Meeting, ...]


class Verdict(NamedTuple):
    """The substrate against the best digital reference, in one quantity.

    Attributes:
        stated: with constants as their sources state them.
        favourable, unfavourable: with each constant at the end of its range that is best, or worst, for the substrate;
            a constant that the substrate and a reference share is the same in both.
        bound: as stated, against references whose costs are only bounds, if there are any; for energy only.
    """

    stated: Course
    favourable: Course
    unfavourable: Course
    bound: Course | None


@dataclass(frozen=True)
class Breakeven:
    """Costs along an axis.

    Attributes:
        name: the name of the experiment.
        over: the key of the axis.
        axis: the axis in words.
        energy_of: what energies are of, each per sequence: "the gradient", or "a training step" with its update.
        substrate: the name of the substrate.
        bounds: references whose costs are only bounds, and what they bound; they count in `Verdict.bound` only.
        costs: the costs of each system at each value of the axis; the substrate comes first.
        verdicts: the verdicts by quantity.
        notes: remarks for the reader.
    """

    name: str
    over: str
    axis: str
    energy_of: str
    substrate: str
    bounds: dict[str, str]
    costs: dict[float, dict[str, SystemCost]]
    verdicts: dict[str, Verdict]
    notes: list[str]


class FragileConstant(NamedTuple):
    """A constant that moves a meeting, or makes one appear or disappear.

    Attributes:
        quantity: the quantity of the meeting.
        name: its key behind the machine.
        origins: where it stands in each system that has it, and what the documents say there.
        halved, doubled: the courses with the constant halved, and doubled.
        by: how far meetings move, as a logarithm; infinite if their number or direction changes.
    """

    quantity: str
    name: str
    origins: tuple[Origin, ...]
    halved: Course
    doubled: Course
    by: float
