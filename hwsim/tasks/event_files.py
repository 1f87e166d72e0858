"""Files of events: which channel spiked when, in which sample, and what the sample is.

**CSV**, in any order of columns, found by the names in the first line: `sample`, `label`, `channel`, and the time as
`time_s`, `time_ms`, `time_us` or `time_ns`, since the start of the sample. A line is an event. The lines of a sample
stand together, in the order of time, and all have its label; a sample without events is one line with time and channel
left empty. Samples are counted as they come, whatever `sample` calls them.

    sample,label,time_us,channel
    a,7,120,0
    a,7,130.5,12
    b,3,,

**HDF5**, the layout of the Spiking Heidelberg Digits (Cramer, Stradmann, Schemmel and Zenke, IEEE Transactions on
Neural Networks and Learning Systems 33, 2022): `spikes/times` in seconds and `spikes/units`, an array per sample each,
and `labels`. Times are of 16 bits there, whose steps are 0.5 ms below 1 s and 1 ms above; they are widened before use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwsim.documents import missing
from hwsim.errors import DataError
from hwsim.tasks.folder import data_errors

UNITS = {"time_s": 1.0, "time_ms": 1e-3, "time_us": 1e-6, "time_ns": 1e-9}
BLOCK = 65_536
"""Events that are held at a time."""


class Block(NamedTuple):
    """Some events of one sample: its number, its class, and times in seconds and channels of the events."""

    sample: int
    label: int
    times: np.ndarray
    channels: np.ndarray


class Range(NamedTuple):
    """How many channels and classes there may be."""

    channels: int
    classes: int


def check(path: Path) -> None:
    """Whether a file of events is there, and of a kind that can be read.

    Raises:
        DataError: it is not.
    """
    if path.suffix == ".csv":
        with data_errors():
            _columns(path)
    else:
        with _hdf5(path):
            pass


def blocks(path: Path, allowed: Range) -> Iterator[Block]:
    """The events of a file, sample by sample, in blocks; a sample without events is an empty block.

    Raises:
        DataError: the file is missing, or a line of it is not as it should be.
    """
    return _of_csv(path, allowed) if path.suffix == ".csv" else _of_hdf5(path, allowed)


def _of_csv(path: Path, allowed: Range) -> Iterator[Block]:
    with data_errors():
        columns, scale = _columns(path)
        sample, seen, name, label, last = -1, set[str](), "", -1, 0.0
        times, channels = list[float](), list[int]()
        for line, this, its_label, time, channel in _rows(path, columns):
            where = f"{path}, line {line}"
            number = _whole(where, "label", its_label, allowed.classes)
            if sample < 0 or this != name:
                if this in seen:
                    raise DataError(f"{where}: sample {this!r} goes on after another one; its lines stand together")
                if sample >= 0:
                    yield Block(sample, label, np.array(times) * scale, np.array(channels, np.int64))
                sample, name, label, last, times, channels = sample + 1, this, number, 0.0, [], []
                seen.add(this)
            if number != label:
                raise DataError(f"{where}: label {number} in sample {name!r}, whose label is {label}")
            if not time and not channel:
                continue
            last = _later(where, time, last)
            times.append(last)
            channels.append(_whole(where, "channel", channel, allowed.channels))
            if len(times) == BLOCK:
                yield Block(sample, label, np.array(times) * scale, np.array(channels, np.int64))
                times, channels = [], []
        if sample >= 0:
            yield Block(sample, label, np.array(times) * scale, np.array(channels, np.int64))


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The numbers of lines, and their values in some columns."""
    from hwsim.documents.table import blocks_of  # it loads pandas, which other tasks do without

    for block in blocks_of(path, dict.fromkeys(columns, "str"), BLOCK):
        yield from zip(block.index.tolist(), *(block[name].tolist() for name in columns), strict=True)


def _columns(path: Path) -> tuple[list[str], float]:
    """The columns of sample, label, time and channel, and the unit of time in seconds."""
    from hwsim.documents.table import header  # as above

    names = header(path)
    times = [name for name in names if name in UNITS]
    missing = [name for name in ("sample", "label", "channel") if names.count(name) != 1]
    if missing or len(times) != 1:
        raise DataError(
            f"{path}, line 1: columns are named there, each once: sample, label, channel, and one of "
            f"{', '.join(UNITS)}; found {', '.join(names)}"
        )
    return ["sample", "label", times[0], "channel"], UNITS[times[0]]


def _whole(where: str, what: str, text: str, count: int) -> int:
    """A number from 0 on that is less than `count`."""
    if not (text.isascii() and text.isdigit() and len(text) < 18 and int(text) < count):
        raise DataError(f"{where}: {what} {text!r}; allowed are 0 to {count - 1}, see task.{_KEYS[what]}")
    return int(text)


_KEYS = {"label": "classes", "channel": "channels"}


def _later(where: str, text: str, last: float) -> float:
    """A time that is not before the one above."""
    try:
        time = float(text)
    except ValueError:
        time = math.nan
    if not 0 <= time < math.inf:
        raise DataError(f"{where}: time {text!r}; a time since the start of the sample is a number from 0 on")
    if time < last:
        raise DataError(f"{where}: time {text} is before {last:g}, the one above; sort the events of a sample by time")
    return time


def _of_hdf5(path: Path, allowed: Range) -> Iterator[Block]:
    with _hdf5(path) as file:
        try:
            times, units, labels = file["spikes/times"], file["spikes/units"], np.asarray(file["labels"])
        except KeyError as error:
            raise DataError(f"{path}: spikes/times, spikes/units and labels are expected ({error.args[0]})") from None
        if not len(times) == len(units) == len(labels):
            raise DataError(f"{path}: {len(times)} arrays of times, {len(units)} of units, and {len(labels)} labels")
        if labels.dtype.kind not in "iu":
            raise DataError(f"{path}: labels are whole numbers; found {labels.dtype}")
        for sample, label in enumerate(labels.tolist()):
            where = f"{path}, sample {sample}"
            when, which = np.asarray(times[sample], np.float64), np.asarray(units[sample]).astype(np.int64)
            if when.shape != which.shape:
                raise DataError(f"{where}: {len(when)} times and {len(which)} units")
            if not np.all((when >= 0) & (when < math.inf)):
                raise DataError(f"{where}: times are seconds since the start of the sample, from 0 on")
            for what, values, count in (("channel", which, allowed.channels), ("label", label, allowed.classes)):
                if not np.all((np.asarray(values) >= 0) & (np.asarray(values) < count)):
                    found = int(np.max(values)) if np.max(values) >= count else int(np.min(values))
                    raise DataError(f"{where}: {what} {found}; allowed are 0 to {count - 1}, see task.{_KEYS[what]}")
            yield Block(sample, int(label), when, which)


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path}: to read HDF5, install hwsim with it: pip install 'hwsim[events]'") from None
    if not path.exists():
        raise DataError(missing(path))
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} cannot be read as HDF5 ({error})") from None
