"""From one CMOS node to another: the equations of Stillmaker and Baas for energy and delay of logic."""

from __future__ import annotations

from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import yaml
from pydantic import BaseModel, Field

from hwsim.quantities import Constant, Count, Length, Voltage

Law = Literal["energy", "delay"]
Transistors = Literal["high_performance", "low_power"]


class Node(BaseModel, extra="forbid"):
    """A CMOS node and its supply voltage."""

    node: Annotated[Length, Field(ge=7e-9, le=130e-9, description="7 nm to 130 nm")]
    voltage: Annotated[Constant[Voltage], Field(description="of the supply")]


class Target(Node):
    """The node that logic is scaled to."""

    other: Annotated[
        Constant[Count] | None,
        Field(description="the factor on energy that another source gives; the range is stretched to it"),
    ] = None


class Factor(NamedTuple):
    """What to multiply a number by, and the least and the most that it may be."""

    value: float
    low: float
    high: float


@cache
def _coefficients(transistors: Transistors) -> list[tuple[float, dict[str, list[float]]]]:
    """`(node in nm, coefficients of each law)`, the largest node first."""
    table = yaml.safe_load(resources.files(__package__).joinpath("scaling_stillmaker.yaml").read_text("utf-8"))
    return [(node, {"energy": energy, "delay": delay}) for node, energy, delay in table[transistors]]


def relative(law: Law, node_nm: float, volts: float, transistors: Transistors = "high_performance") -> float:
    """Energy or delay of logic, in the units of the table; between two nodes of the table on a straight line.

    Raises:
        ValueError: the node is not in the range of the table, or the voltage not in that of the fit.
    """
    for (larger, above), (smaller, below) in pairwise(_coefficients(transistors)):
        if smaller <= node_nm <= larger:
            share = (node_nm - smaller) / (larger - smaller)
            value = share * _polynomial(above[law], volts) + (1 - share) * _polynomial(below[law], volts)
            if not 0.5 <= volts <= 1.4 or value <= 0:
                raise ValueError(f"{law} at {node_nm:g} nm is not known at {volts:g} V")
            return value
    raise ValueError(f"{law} is known from 7 nm to 130 nm, not at {node_nm:g} nm")


def factor(law: Law, measured: Node, target: Target) -> Factor:
    """The quotient of two nodes, of high-performance transistors.

    Its range spans those of both kinds of transistors, over the ranges of voltages if they are given.
    """
    found = []
    for transistors in ("high_performance", "low_power"):
        voltages = [(measured.voltage.value, target.voltage.value)]
        if measured.voltage.range or target.voltage.range:
            starts = measured.voltage.range or (measured.voltage.value,) * 2
            ends = target.voltage.range or (target.voltage.value,) * 2
            voltages += [(starts[0], ends[1]), (starts[1], ends[0])]
        for start, end in voltages:
            before = relative(law, measured.node * 1e9, start, transistors)
            found.append(relative(law, target.node * 1e9, end, transistors) / before)
    other = [target.other.value] if target.other is not None and law == "energy" else []
    return Factor(found[0], min(found + other), max(found + other))


def _polynomial(coefficients: list[float], x: float) -> float:
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value
