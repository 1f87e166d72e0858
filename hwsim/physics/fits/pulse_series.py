"""The rows of a pulse response in order: which pulses came before each read, and which devices answer to none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd

from hwsim.documents import Problem, refuse
from hwsim.physics.fits.found import Aside
from hwsim.physics.fits.pulse_filter import Series
from hwsim.quantities import si

_UP = ("up", "potentiation", "potentiate", "pot", "ltp", "p", "set", "+", "positive", "increase", "inc", "auf", "hoch")
_DOWN = ("down", "depression", "depress", "dep", "ltd", "d", "reset", "-", "negative", "decrease", "dec", "ab")
_NUMBER = re.compile(r"([-+−]?\d*[.,]?\d+(?:[eE][-+]?\d+)?) *m?[vV]?")
_READS = 8
"""Reads of a device in each direction, at least, for the four numbers that a device has."""
_DEAD, _STILL = 0.01, 0.1
"""A dead device reads less than so much of what others read; one that stays moves less than so much of their way."""
_MOST = 1_000_000
"""The largest number of a pulse, and of a cycle."""


class Rows(NamedTuple):
    """A pulse response, ready to be fitted.

    Attributes:
        devices: names, in the order of the series.
        series: the reads, in `unit`.
        unit: siemens; the usual way of a device in one direction.
        cycles: of the device with most of them.
        aside: devices that are left out.
    """

    devices: list[str]
    series: Series
    unit: float
    cycles: int
    aside: list[Aside]


def rows_of(path: Path, measured: pd.DataFrame) -> Rows:
    """The rows in order.

    Args:
        measured: `device`, `polarity` and `conductance` in siemens, in the order of the file, and perhaps `cycle` and
            `pulse`; lines as index.

    Raises:
        ConfigError: the measurement tells nothing.
    """
    if (below := measured["conductance"] < -_DEAD * float(measured["conductance"].abs().median())).any():
        at = int(measured.index[below][0])
        text = f"a conductance below 0, {si(float(measured['conductance'][at]), 'S')}; conductances are 0 or more"
        _refuse(path, at, f"{text}; take offsets of the circuit that reads out before fitting")
    given = pd.DataFrame(
        {
            "device": measured["device"],
            "line": measured.index,
            "read": measured["conductance"],
            "up": _upward(path, measured["polarity"]),
        }
    )
    for name in ("cycle", "pulse"):
        if name in measured:
            given[name] = _whole(path, name, measured[name])
    parts = [_ordered(path, part) for _, part in given.groupby("device", sort=False)]
    _refuse_silent(path, parts)
    aside = _silent(parts)
    out = {each.device for each in aside}
    kept = [part for part in parts if part["device"].iloc[0] not in out]
    if len(kept) < 2:
        _refuse(path, 1, "one device only; two or more, such as twenty, tell how devices differ" + _said(aside))
    unit = float(np.median([_way(part) for part in kept]))
    every = pd.concat(kept, ignore_index=True)
    series = Series(
        every["read"].to_numpy() / unit,
        every["pulses"].to_numpy(np.int64),
        every["fresh"].to_numpy(np.int64),
        np.cumsum([0, *map(len, kept)]),
        every["cycle"].to_numpy(np.int64),
    )
    cycles = max(part["cycle"].nunique() for part in kept)
    return Rows([part["device"].iloc[0] for part in kept], series, unit, cycles, aside)


def _said(aside: list[Aside]) -> str:
    return f"; left out: device {aside[0].device}, {aside[0].why}" if aside else ""


def _upward(path: Path, polarity: pd.Series) -> pd.Series:
    """Whether pulses went up: words, signs, or the sign of a voltage."""
    said: dict[str, bool] = {}
    for word in polarity.unique().tolist():
        plain = str(word).strip().lower()
        if plain in _UP or plain in _DOWN:
            said[word] = plain in _UP
        elif (number := _NUMBER.fullmatch(plain)) and float(size := number[1].replace(",", ".").replace("−", "-")):
            said[word] = float(size) > 0
        else:
            text = f"polarity {word!r}: up or down? Known are {', '.join(_UP[:5])}; {', '.join(_DOWN[:5])}; 1 and -1"
            _refuse(path, int(polarity.index[polarity == word][0]), f"{text}; a voltage counts by its sign")
    return polarity.map(said).astype(bool)


def _whole(path: Path, name: str, given: pd.Series) -> pd.Series:
    """Numbers of pulses or of cycles."""
    numbers = pd.to_numeric(given.str.replace(",", "."), errors="coerce")
    wrong = ~(numbers.between(0, _MOST) & (numbers % 1 == 0))
    if wrong.any():
        at = int(given.index[wrong][0])
        _refuse(path, at, f"{name} {given[at]!r}: must be a whole number from 0 to {_MOST:,}")
    return numbers.astype(np.int64)


def _ordered(path: Path, part: pd.DataFrame) -> pd.DataFrame:
    """The reads of one device with `pulses`, `fresh` and `cycle`.

    Without a cycle, one begins where pulses go up after they went down. Within a cycle rows stand in the order of the
    file. Numbers of pulses count on through a cycle, or begin anew where the direction changes; the first read after
    that is taken to follow on as many pulses as others do.
    """
    up = part["up"].to_numpy()
    turns = np.append(True, up[1:] != up[:-1])
    if "cycle" in part:
        cycle = part["cycle"].to_numpy()
        fresh = np.append(True, cycle[1:] != cycle[:-1])
        if fresh.sum() != np.unique(cycle).size:
            again = next(at for at in np.flatnonzero(fresh)[1:] if cycle[at] in cycle[:at])
            line, device = int(part["line"].iloc[again]), part["device"].iloc[0]
            text = f"cycle {cycle[again]} of device {device!r} goes on after another cycle; rows stand in order of time"
            _refuse(path, line, text)
    else:
        first = up[0]
        fresh = np.append(True, (up[1:] == first) & (up[:-1] != first))
        cycle = np.cumsum(fresh) - 1
    count = np.ones(len(part), np.int64)
    if "pulse" in part:
        number = part["pulse"].to_numpy()
        ahead = np.diff(number, prepend=number[:1])
        run = ~(turns | fresh)
        if (back := run & (ahead < 0)).any():
            at = int(np.flatnonzero(back)[0])
            text = f"pulse {number[at]} of device {part['device'].iloc[0]!r} after pulse {number[at - 1]}"
            _refuse(path, int(part["line"].iloc[at]), f"{text}; within a cycle and a direction, numbers of pulses rise")
        usual = max(int(np.median(ahead[run])), 1) if run.any() else 1
        count = np.where(run, ahead, np.where(ahead > 0, ahead, usual))
    return part.assign(pulses=np.where(up, count, -count), fresh=fresh.astype(int), cycle=cycle)


def _refuse_silent(path: Path, parts: list[pd.DataFrame]) -> None:
    """Refuse what tells nothing of any device."""
    ups, downs = ([int((part["up"] == way).sum()) for part in parts] for way in (True, False))
    for there, lacks, have in ((sum(ups), "up", "down"), (sum(downs), "down", "up")):
        if not there:
            text = f"pulses go {have} only; a law of pulses needs both directions, some of them {lacks}"
            _refuse(path, int(parts[0]["line"].iloc[0]), text)
    if max(map(min, zip(ups, downs, strict=True))) < _READS:
        text = f"no device has {_READS} reads or more of pulses up and as many of pulses down, such as a hundred each"
        _refuse(path, int(parts[0]["line"].iloc[0]), text)
    moved = [(_way(part, signed=True), part) for part in parts]
    if sum(way for way, _ in moved) < 0 and np.median([way for way, _ in moved]) < 0:
        text = "pulses up lower the conductance, and pulses down raise it; are the names of the polarities exchanged?"
        _refuse(path, int(parts[0]["line"].iloc[0]), text)


def _way(part: pd.DataFrame, signed: bool = False) -> float:
    """How far the conductance goes from the ends of runs down to the ends of runs up, medians over runs."""
    up = part["up"].to_numpy()
    last = np.append(up[1:] != up[:-1], True)
    few = max(1, min(5, len(part) // 20))
    tops: list[float] = []
    bottoms: list[float] = []
    read = part["read"].to_numpy()
    for end in np.flatnonzero(last):
        (tops if up[end] else bottoms).append(float(np.median(read[max(end - few + 1, 0) : end + 1])))
    if not bottoms or (len(tops) == len(bottoms) == 1 and up[0]):
        bottoms.append(float(read[0]))
    if not tops or (len(tops) == len(bottoms) == 1 and not up[0]):
        tops.append(float(read[0]))
    way = float(np.median(tops) - np.median(bottoms))
    return way if signed else abs(way)


def _silent(parts: list[pd.DataFrame]) -> list[Aside]:
    """Devices that read nothing, do not answer to pulses, or have too few reads."""
    found = []
    reads, ways = [float(part["read"].median()) for part in parts], [_way(part, signed=True) for part in parts]
    usual, far = float(np.median(reads)), float(np.median(ways))
    for part, read, way in zip(parts, reads, ways, strict=True):
        device = str(part["device"].iloc[0])
        ups = int(part["up"].sum())
        if min(ups, len(part) - ups) < _READS:
            found.append(
                Aside(device, f"{ups} reads of pulses up, {len(part) - ups} of pulses down; {_READS} are few", "few")
            )
        elif read < _DEAD * usual:
            why = f"dead: reads {si(read, 'S')}, where others read {si(usual, 'S')}"
            found.append(Aside(device, why, "dead", read))
        elif way < _STILL * far:
            why = f"stuck at {si(read, 'S')}: pulses move it by {si(way, 'S')}, where others move {si(far, 'S')}"
            found.append(Aside(device, why, "stuck", read))
    return found


def _refuse(path: Path, line: int, text: str) -> NoReturn:
    raise refuse([Problem(str(path), line, 1, text)])
