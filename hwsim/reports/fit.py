"""What was fitted to measurements, on a terminal: parameters with intervals, laws, devices left out."""

from __future__ import annotations

import pandas as pd

from hwsim.physics.fits.found import Fit, Parameter
from hwsim.printing import Terminal
from hwsim.quantities import si
from hwsim.reports.fitting import put
from hwsim.reports.tables import Table, TableCell, TableRow

NAMED = 12
"""Devices that are named one by one."""
_COUNTS = ("devices",)


def show(fit: Fit, console: Terminal) -> None:
    """Print what one file tells."""
    console.print(f"{fit.path}: {fit.counted}", highlight=False)
    if len(fit.table):
        put(by_target(fit.table), console)
    put(parameters(fit), console)
    for line in (*fit.laws, *left_out(fit)):
        console.print(line, highlight=False)


def parameters(fit: Fit) -> Table:
    """The parameters, with their 95 % intervals."""
    rows = [TableRow(each.name, (_cell(each), TableCell(_interval(each), None))) for each in fit.parameters]
    return Table("what was fitted", ("value", "95 % interval"), tuple(rows), corner="parameter")


def _cell(parameter: Parameter) -> TableCell:
    return TableCell(_value(parameter.value, parameter.unit), parameter.value)


def _interval(parameter: Parameter) -> str:
    return f"{_value(parameter.low, parameter.unit)} to {_value(parameter.high, parameter.unit)}"


def _value(value: float, unit: str) -> str:
    return si(value, unit) if unit else f"{value:.3g}"


def by_target(found: pd.DataFrame) -> Table:
    """Bias, and σ of programming and of reading, at each target; behind ± is half of the 95 % interval."""
    rows = []
    for row in found.to_dict("records"):
        cells = [TableCell(f"{row[name]:,}", row[name]) for name in _COUNTS]
        for name in ("bias", "programming", "reading"):
            text = f"{row[name] * 1e6:.3f} ± {row[f'{name}_half'] * 1e6:.3f}"
            cells.append(TableCell(text, row[name]))
        rows.append(TableRow(f"{row['target'] * 1e6:.4g}", tuple(cells)))
    title = "bias, and σ of programming and of reading, in µS; ± half of the 95 % interval"
    return Table(title, (*_COUNTS, "bias", "programming", "reading"), tuple(rows), corner="target, µS")


def left_out(fit: Fit) -> list[str]:
    """The devices that were left out of the fit."""
    said = [f"left out: device {each.device}, {each.why}" for each in fit.aside[:NAMED]]
    more = len(fit.aside) - NAMED
    return [*said, f"left out: {more} more devices"] if more > 0 else said
