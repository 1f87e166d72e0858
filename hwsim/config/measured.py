"""A data sheet from files of measurements: fitted, checked as any other, and compared with published devices."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim.config import hardware, plausible
from hwsim.documents import Document, Problem, dump, refuse, unknown
from hwsim.errors import ConfigError, OutputError
from hwsim.physics import DataSheet
from hwsim.physics.fits import columns as tables
from hwsim.physics.fits import drift, pulses, reads
from hwsim.physics.fits.found import Fit
from hwsim.quantities import parse, si

FITS: dict[str, Callable[[Path, pd.DataFrame], Fit]] = {
    "reads": reads.fit,
    "pulses": pulses.fit,
    "drift": drift.fit,
}
"""How each kind of measurement is fitted."""
_NAMED = 12
"""Devices left out that a data sheet names."""
GUESS = "a guess, as this measurement does not tell"


class Fitted(NamedTuple):
    """What follows from measurements.

    Attributes:
        fits: what was found in each file.
        written: the data sheet as plain data, to be dumped.
        sheet: the same, checked.
        doubts: what a reader should know: few devices, a bias, dead devices, values beyond those of published devices.
    """

    fits: list[Fit]
    written: dict[str, Any]
    sheet: DataSheet
    doubts: list[str]


def columns(words: Sequence[str]) -> dict[str, str]:
    """Headers by what they are, from words such as `target=Soll,read=Ist (uS)`.

    Raises:
        ConfigError: one is not written so.
    """
    found = {}
    for word in [one.strip() for each in words for one in each.split(",")]:
        name, equals, header = word.partition("=")
        if not equals or not header.strip():
            raise ConfigError(f"--columns {word!r}: write it as target=Soll or 'read=Ist (uS)'")
        found[name.strip()] = header.strip()
    return found


def fit(path: Path, columns: Mapping[str, str] | None = None, kind: str | None = None) -> Fit:
    """What one file tells of devices.

    Args:
        path: a table in CSV, as `hwsim.physics.fits.columns.read` takes it.
        columns: headers by what they are, where they are not recognised.
        kind: of measurement; by default the one that the columns tell.

    Raises:
        ConfigError: the table is not as it should be, or tells too little, or no device has such conductances.
    """
    if kind is not None and kind not in FITS:
        raise ConfigError(unknown("kind of measurement", kind, list(FITS)))
    known = {name for each in tables.KINDS.values() for name in each}
    for name in columns or {}:
        if name not in known:
            raise ConfigError(f"--columns: {unknown('column', name, sorted(known))}")
    kind, measured = tables.read(path, columns or {}, kind)
    _possible(path, measured)
    return FITS[kind](path, measured)


def data_sheet(
    paths: Path | Sequence[Path],
    name: str = "my_device",
    source: str = "our measurement",
    columns: Mapping[str, str] | None = None,
    kind: str | None = None,
) -> Fitted:
    """The data sheet of devices that were measured, in one file or in several.

    Args:
        paths: tables in CSV.
        name: of the device.
        source: what was measured, where and when.
        columns, kind: as for `fit`.

    Raises:
        ConfigError: as for `fit`, or the fit makes no data sheet.
    """
    fits = [fit(path, columns, kind) for path in ([paths] if isinstance(paths, Path) else paths)]
    return sheet_of(fits, name, source)


def sheet_of(fits: Sequence[Fit], name: str, source: str) -> Fitted:
    """The data sheet that fits of several files make; what none of them tells is assumed, and says so.

    Raises:
        ConfigError: the fit makes no data sheet, or two files are of one kind.
    """
    path = ", ".join(str(each.path) for each in fits)
    if not tells_enough(fits):
        raise ConfigError(
            f"{path}: a data sheet needs the error of programming and the noise of reading; give program and verify as "
            "well (device, target_us, read_us), with several reads of each device, or pulses (device, polarity, "
            "conductance_us)"
        )
    for each in {each.kind for each in fits}:
        if len(same := [str(one.path) for one in fits if one.kind == each]) > 1:
            raise ConfigError(f"{' and '.join(same)} are both of {each}; a data sheet is of one file of each kind")
    written = _written(fits, name, source)
    try:
        sheet = hardware.device(Document(path, written))
    except ConfigError as error:
        raise ConfigError(f"the fit makes no data sheet; {error}") from None
    doubts = [text for each in fits for text in each.remarks]
    return Fitted(list(fits), written, sheet, [*doubts, *(doubt.text for doubt in plausible.doubts(sheet))])


def tells_enough(fits: Sequence[Fit]) -> bool:
    """Whether fits make a data sheet."""
    return any("programming" in each.sheet for each in fits)


def text(fitted: Fitted) -> str:
    """The data sheet in YAML; comments on top say what was measured, what was left out, and what it cannot hold."""
    said = []
    for each in fitted.fits:
        said += [f"{each.path.name}: {each.counted}", *(f"- {remark}" for remark in each.remarks)]
        said += [f"- left out: device {one.device}, {one.why}" for one in each.aside[:_NAMED]]
        said += [f"- left out: {len(each.aside) - _NAMED} more devices"] * (len(each.aside) > _NAMED)
    lines = [
        line
        for one in said
        for line in textwrap.wrap(one, 110, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)
    ]
    return "\n".join([*lines, dump(fitted.written)])


def write(fitted: Fitted, path: Path) -> None:
    """Write the data sheet in YAML; never over another file.

    Raises:
        OutputError: the file is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(text(fitted))
    except FileExistsError:
        raise _there(path) from None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another file with --out") from None


def refuse_existing(path: Path) -> None:
    """Refuse to write over a file, before anything is fitted.

    Raises:
        OutputError: it is there.
    """
    if path.exists():
        raise _there(path)


def _there(path: Path) -> OutputError:
    return OutputError(f"{path} is there already; choose another file with --out")


def _written(fits: Sequence[Fit], name: str, source: str) -> dict[str, Any]:
    """The data sheet as plain data: of each key the one from the file that tells most of it.

    Program and verify tell errors and noise better than pulses do, and the range of conductance worse: the law of
    pulses counts from its own.
    """
    told = {each.kind: each.sheet for each in fits}
    keys = {**told.get("drift", {}), **told.get("pulses", {}), **told.get("reads", {})}
    if "pulses" in told and "reads" in told:
        keys |= {"conductance": told["pulses"]["conductance"]}
        largest = parse(keys["conductance"]["max"]["value"], "siemens", "25 uS")
        at = next(each.of_largest for each in fits if each.of_largest is not None)
        keys |= at(largest)
        if faults := _faults(fits):
            keys["faults"] = faults
    order = [name for name in DataSheet.model_fields if name in keys]
    return {
        "name": name,
        "what": f"fitted to {source}",
        "sources": {"measurement": f"{source} ({', '.join(each.path.name for each in fits)})"},
        **{key: keys[key] for key in order},
        "write": {
            "law": "voltage",
            "voltage": {"value": "2 V", "assumed": GUESS},
            "time": {"value": "1 us", "assumed": GUESS},
        },
    }


def _faults(fits: Sequence[Fit]) -> dict[str, Any]:
    """Devices that do not work: dead ones from the file with most devices that names any; stuck ones from pulses."""
    named = [each for each in fits if "faults" in each.sheet]
    told = [each for each in named if "unformed" in each.sheet["faults"]]
    most = max(told, key=lambda each: each.devices, default=None)
    found: dict[str, Any] = {}
    for each in named:
        own = each.sheet["faults"]
        taken = {name for name in own if name in ("low", "high") or (name == "unformed" and each is most)}
        if taken:
            said = f"{own['source'].partition(', ')[2]} in {each.path.name}"
            source = f"{found['source']}, {said}" if found else f"measurement, {said}"
            found |= {**{name: own[name] for name in sorted(taken)}, "source": source}
    return found


def _possible(path: Path, measured: Any) -> None:
    """Refuse conductances far from those of all published devices: a wrong unit, not a new device."""
    row = next(each for each in plausible.PUBLISHED[DataSheet] if each.key == "conductance.max")
    name = next(each for each in ("target", "conductance") if each in measured)
    largest = float(measured[name].max() if name == "target" else measured[name].quantile(0.99))
    if text := row.doubt(largest):
        what = "highest target" if name == "target" else "largest conductance"
        said = f"the {what} is {si(largest, 'S')}, {text}; a header has its unit: target_s and read_s are in siemens, "
        raise refuse([Problem(str(path), 1, 1, f"{said}target_us, read_us or conductance (uS) in microsiemens")])
