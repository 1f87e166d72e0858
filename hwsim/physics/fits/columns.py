"""Columns of a measurement: which of a table's columns is what, and in which unit it is.

A header is a name and perhaps a unit, in brackets or behind an underscore: `conductance (S)`, `G [µS]`, `read_uS`.
Case does not count. What a file measures follows from its columns: a target is that of program and verify, a polarity
or a voltage of pulses that of a pulse response, a time that of drift.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import pandas as pd

from hwsim.documents import Problem, refuse
from hwsim.documents.table import header, table

CONDUCTANCE = {"s": 1.0, "siemens": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}
"""Units of conductance in siemens; no time stands in such a column, so that `us` is microsiemens."""
TIME = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
"""Units of time in seconds."""


class Role(NamedTuple):
    """What a column may be.

    Attributes:
        names: that it goes by, in lower case.
        units: that it may have; None for no quantity.
        example: a header.
    """

    names: tuple[str, ...]
    units: Mapping[str, float] | None
    example: str


_CONDUCTANCE = (
    "conductance",
    "g",
    "read",
    "g_read",
    "read_g",
    "read_conductance",
    "measured",
    "g_measured",
    "leitwert",
)
_POLARITY = ("polarity", "direction", "pulse_type", "sign", "richtung", "polarität")
DEVICE = Role(("device", "device_id", "dev", "cell", "device_number", "id", "bauteil", "zelle"), None, "device")
_MEASURED = Role(_CONDUCTANCE, CONDUCTANCE, "conductance (S)")
KINDS = {
    "reads": {
        "device": DEVICE,
        "target": Role(
            ("target", "g_target", "target_g", "target_conductance", "goal", "soll", "ziel"), CONDUCTANCE, "target_us"
        ),
        "read": Role(_CONDUCTANCE, CONDUCTANCE, "read_us"),
    },
    "pulses": {
        "device": DEVICE,
        "polarity": Role((*_POLARITY, "pulse_voltage", "amplitude", "voltage"), None, "polarity"),
        "conductance": _MEASURED,
        "cycle": Role(("cycle", "cycle_number", "loop", "round", "zyklus"), None, "cycle"),
        "pulse": Role(
            ("pulse", "pulse_number", "pulses", "number", "n", "pulse_index", "puls", "pulsnummer"), None, "pulse"
        ),
    },
    "drift": {
        "device": DEVICE,
        "time": Role(("time", "t", "delay", "elapsed", "time_since_programming", "zeit"), TIME, "time_s"),
        "conductance": _MEASURED,
    },
}
"""Kinds of measurements, and the columns that each needs or may have."""
OPTIONAL = ("cycle", "pulse")
"""Columns that a measurement may lack."""
_TELLS = {"reads": "target", "pulses": "polarity", "drift": "time"}
"""The column that a kind is told by."""
_BRACKETS = re.compile(r"(.+?)[ _]*[(\[] *([^()\[\]]+?) *[)\]]")
_ENDING = re.compile(r"(.+)[_ ]([^_ ]+)")
_OF_VOLTAGE = {"v": 1.0, "mv": 1e-3}
"""Units that a column without a quantity may name: the sign of a voltage is a polarity."""


def read(path: Path, columns: Mapping[str, str], kind: str | None = None) -> tuple[str, pd.DataFrame]:
    """A measurement, in SI units.

    Args:
        path: a table in CSV.
        columns: headers by what they are, such as `{"target": "Soll (uS)"}`; a unit in brackets may be added here.
        kind: of measurement; by default the one that the columns tell.

    Returns:
        The kind, and a table with its columns: `device` as text, quantities in SI units; rows have the number of their
        line as index.

    Raises:
        ConfigError: what is wrong, with its line.
    """
    there = header(path)
    kind = kind or _kind(path, there, columns)
    where = {
        name: _column(path, there, kind, name, columns.get(name))
        for name, role in KINDS[kind].items()
        if name not in OPTIONAL or name in columns or _candidates(there, role)
    }
    if len({column for column, _ in where.values()}) < len(where):
        _refuse(path, f"one column is asked for twice: {', '.join(f'{name}={at}' for name, (at, _) in where.items())}")
    given = table(path, {column: "str" if unit is None else "float64" for column, unit in where.values()})
    if given.empty:
        _refuse(path, "no reads stand below the names of the columns")
    measured = pd.DataFrame(
        {name: given[column] if unit is None else given[column] * unit for name, (column, unit) in where.items()}
    )
    if (nameless := measured["device"] == "").any():
        _refuse(path, "device '': which device was read? Leave out lines of none", int(measured.index[nameless][0]))
    return kind, measured


def _kind(path: Path, there: list[str], columns: Mapping[str, str]) -> str:
    """What a file measures, by its columns."""
    told = [kind for kind, name in _TELLS.items() if name in columns or _candidates(there, KINDS[kind][name])]
    if len(told) > 1 and not any(_plain(_parted(each, _OF_VOLTAGE)[0]) in _POLARITY for each in there):
        told = [kind for kind in told if kind != "pulses" or "polarity" in columns]  # a voltage may be that of reads
    if len(told) == 1:
        return told[0]
    asks = "; ".join(f"{kind}: {', '.join(_needed(kind))}" for kind in KINDS)
    if told:
        said = f"by its columns this may be {' or '.join(told)}; say --kind {told[0]}, or --kind {told[1]}"
    else:
        said = (
            f"no columns of a known measurement; there: {', '.join(there)}; known are {asks}; or name them, as in "
            "--columns 'device=HEADER,polarity=HEADER,conductance=HEADER (uS)'"
        )
    return _refuse(path, said)


def _needed(kind: str) -> list[str]:
    return [role.example for name, role in KINDS[kind].items() if name not in OPTIONAL]


def _candidates(there: list[str], role: Role) -> list[str]:
    """The columns that may be what is asked for: those with the first of its names that any has."""
    for name in role.names:
        if found := [each for each in there if _plain(_parted(each, role.units or _OF_VOLTAGE)[0]) == name]:
            return found
    return []


def _column(path: Path, there: list[str], kind: str, name: str, asked: str | None) -> tuple[str, float | None]:
    """The column that is asked for, and its unit in SI units; None for what is no quantity."""
    role = KINDS[kind][name]
    needed = f"needed for {kind}: {', '.join(_needed(kind))}"
    unit = None
    if asked is not None:
        stem, unit = _parted(asked, role.units)
        found = [asked] if asked in there else [each for each in there if each == stem]
    else:
        found = _candidates(there, role)
    if not found:
        lacks = f"the column {asked or role.example!r} is missing"
        _refuse(path, f"{lacks}; {needed}; there: {', '.join(there)}; name it: --columns '{name}=HEADER (UNIT)'")
    if len(found) > 1:
        _refuse(path, f"{' and '.join(map(repr, found))}: which is the {name}? Say --columns {name}=HEADER; {needed}")
    if role.units is None:
        return found[0], None
    unit = unit or _parted(found[0], role.units)[1]
    if unit is None:
        example = f"'{name}={found[0]} ({'s' if role.units is TIME else 'uS'})'"
        _refuse(path, f"the column {found[0]!r} has no unit; say it in its header, or as --columns {example}; {needed}")
    return found[0], role.units[unit]


def _parted(text: str, units: Mapping[str, float] | None) -> tuple[str, str | None]:
    """A header without its unit, and the unit."""
    for pattern in (_BRACKETS, _ENDING):
        if found := pattern.fullmatch(text.strip()):
            unit = unicodedata.normalize("NFKC", found[2]).replace("μ", "u").lower()
            if units is not None and unit in units:
                return found[1], unit
    return text.strip(), None


def _plain(text: str) -> str:
    return re.sub(r"[ _-]+", "_", text.strip().lower())


def _refuse(path: Path, text: str, line: int = 1) -> NoReturn:
    raise refuse([Problem(str(path), line, 1, text)])
