"""A data sheet from a file of measurements: fitted, checked as any other, and compared with published devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim.config import hardware, plausible
from hwsim.documents import Document, Problem, refuse
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet, repeated_reads
from hwsim.quantities import si


class Fitted(NamedTuple):
    """What follows from a measurement.

    Attributes:
        found: the scatter at each target, as `hwsim.physics.repeated_reads.scatter` gives it.
        written: the data sheet as plain data, to be dumped.
        sheet: the same, checked.
        doubts: what a reader should know: few devices, an offset, values beyond those of published devices.
    """

    found: pd.DataFrame
    written: dict[str, Any]
    sheet: DataSheet
    doubts: list[str]


def data_sheet(path: Path, name: str, source: str) -> Fitted:
    """The data sheet of devices that were programmed, and read repeatedly.

    Args:
        path: a table in CSV, as `hwsim.physics.repeated_reads.read` takes it.
        name: of the device.
        source: what was measured, where and when.

    Raises:
        ConfigError: the table is not as it should be, tells too little, or no device has such conductances.
    """
    found = repeated_reads.scatter(repeated_reads.read(path))
    _possible(path, float(found["target"].max()))
    written = repeated_reads.data_sheet(found, name, source)
    try:
        sheet = hardware.device(Document(str(path), written))
    except ConfigError as error:
        raise ConfigError(f"the fit makes no data sheet; {error}") from None
    known = [doubt.text for doubt in plausible.doubts(sheet)]
    return Fitted(found, written, sheet, [*repeated_reads.doubts(found), *known])


def _possible(path: Path, largest: float) -> None:
    """Refuse conductances far from those of all published devices: a wrong unit, not a new device."""
    row = next(each for each in plausible.PUBLISHED[DataSheet] if each.key == "conductance.max")
    if text := row.doubt(largest):
        said = f"the highest target is {si(largest, 'S')}, {text}; the ending of a column is its unit: target_s and "
        raise refuse([Problem(str(path), 1, 1, f"{said}read_s are in siemens, target_us and read_us in microsiemens")])
