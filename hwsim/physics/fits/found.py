"""What a fit to a measurement found, in the same words for all kinds of measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

Z = 1.959964
"""Standard errors in half of a 95 % interval."""
FALSE_ALARM = 0.02
"""Chance that a rule for outliers names any device of a file in which all devices are of one normal kind."""


class Parameter(NamedTuple):
    """A number that was fitted.

    Attributes:
        name: what it is.
        value: in SI units.
        low, high: its 95 % interval.
        unit: its SI symbol; empty for a plain number.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str = ""


class Aside(NamedTuple):
    """A device that was left out of the fit.

    Attributes:
        why: in words.
        how: "dead", "stuck", "few" reads, or "far" from the others.
        reads: its usual conductance, in siemens, if it is dead or stuck.
    """

    device: str
    why: str
    how: Literal["dead", "stuck", "few", "far"] = "far"
    reads: float = 0.0


@dataclass(frozen=True)
class Fit:
    """What follows from one file.

    Attributes:
        kind: of measurement.
        path: of the file.
        counted: what was measured, in words.
        laws: which laws were chosen, and how well they fit, a sentence each.
        parameters: what was fitted.
        aside: the devices that were left out.
        remarks: what a reader should know.
        sheet: keys of a data sheet, as plain data.
        table: numbers in between, such as the scatter at each target.
        of_largest: the keys that are counted in shares of the largest conductance, for a sheet with another one.
        data: what a figure draws, which is different for each kind.
        devices: how many were measured.
    """

    kind: str
    path: Path
    counted: str
    laws: list[str]
    parameters: list[Parameter]
    aside: list[Aside]
    remarks: list[str]
    sheet: dict[str, Any]
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    of_largest: Callable[[float], dict[str, Any]] | None = None
    data: Any = None
    devices: int = 0


def simplest(losses: list[np.ndarray]) -> int:
    """The law to take, from the losses of each held-out device under laws that go from simple to rich.

    A richer law is taken where held-out devices prefer it by more than one standard error of the difference.
    """
    best = 0
    for richer in range(1, len(losses)):
        gain = losses[best] - losses[richer]
        if gain.mean() > gain.std(ddof=1) / gain.size**0.5:
            best = richer
    return best
