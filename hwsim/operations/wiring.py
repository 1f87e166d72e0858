"""Operations that only connect wires: exact, free, and in the domain of their operands."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import numpy as np

from hwsim.operations.derivative import Linear, Node
from hwsim.operations.operation import Operation
from hwsim.operations.sources import zeros
from hwsim.records import Shape


def _interleave(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([v, w], -1).reshape(*v.shape[:-1], 2 * v.shape[-1])


def _taken(v: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.ascontiguousarray(v[..., start:stop])


def _padded(v: np.ndarray, before: int, after: int) -> np.ndarray:
    width = v.shape[-1]
    value = np.zeros((*v.shape[:-1], before + width + after), v.dtype)
    value[..., before : before + width] = v
    return value


def _side_by_side(*shapes: Shape) -> Shape:
    return *shapes[0][:-1], sum(shape[-1] for shape in shapes)


def _place_of(node: Node, position: int) -> tuple[int, int]:
    """How many wires of a joined signal are before those of an operand, and how many behind them."""
    widths = [operand.width for operand in node.operands]
    return sum(widths[:position]), sum(widths[position + 1 :])


def _unjoined(node: Node, position: int, error: Any) -> Any:
    before, _ = _place_of(node, position)
    return take(error, before, before + node.operands[position].width)


def _untaken(node: Node, position: int, error: Any) -> Any:
    start, stop = node.constants
    return pad(error, start, node.operands[0].width - stop)


def _unpadded(node: Node, position: int, error: Any) -> Any:
    before, _ = node.constants
    return take(error, before, before + node.operands[0].width)


class Places:
    """Which wires of a signal something is connected to, fixed in design: a constant of operations.

    It is made once and kept: comparing two of them takes longer than comparing one with itself.

    Args:
        wires: their numbers, of wires or of rows of wires.
    """

    def __init__(self, wires: Sequence[int] | Sequence[Sequence[int]]) -> None:
        self.index = np.asarray(wires, dtype=np.intp)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Places) and np.array_equal(self.index, other.index))

    def __hash__(self) -> int:
        return hash(self.index.tobytes())

    def __pos__(self) -> Self:
        """Itself: machines put a sign before constants, which makes plain numbers of them."""
        return self


def _dispersed(v: np.ndarray, start: int, units: int, width: int) -> np.ndarray:
    own = v[:, :, None] if v.ndim == 3 else v  # (chips, batch, j, i)
    chips, batch, columns, rows = own.shape
    value, row = np.zeros((chips, batch, rows, columns, width), v.dtype), np.arange(rows)
    value[:, :, row, :, start + row % units] = np.moveaxis(own, 3, 0)
    return value.reshape(chips, batch, -1, width)


def _dispersed_modes(v: np.ndarray, real: bool) -> np.ndarray:
    own = v[:, :, None] if v.ndim == 3 else v
    width, mode = own.shape[-1], np.arange(own.shape[-1] // 2)
    value = np.zeros((*own.shape[:2], len(mode), 2, own.shape[2], width), v.dtype)  # mode, part of p, column, wire
    re, im = (np.moveaxis(own[..., part::2], 3, 0) for part in (0, 1))
    value[:, :, mode, 0, :, 2 * mode], value[:, :, mode, 0, :, 2 * mode + 1] = re, im
    value[:, :, mode, 1, :, 2 * mode], value[:, :, mode, 1, :, 2 * mode + 1] = -im, re  # i times it
    if real:
        value = value[:, :, :, :1]
    return np.ascontiguousarray(value.reshape(*own.shape[:2], -1, width))


def _vectors(v: Shape) -> int:
    """Numbers of a signal, or of a bundle."""
    return prod(v[2:])


def _picked(v: np.ndarray, places: Places) -> np.ndarray:
    picked: np.ndarray = np.take(v, places.index, -1)
    return picked


def _patched(v: np.ndarray, w: np.ndarray, places: Places) -> np.ndarray:
    patched = v.copy()
    patched[..., places.index] = w
    return patched


def _spread(node: Node, signal: Any, width: int) -> Any:
    """A signal on the listed wires of a node, and zero on all others."""
    (places,) = node.constants
    return patch(zeros(signal._machine, width), signal, places)


def _unpicked(node: Node, position: int, error: Any) -> Any:
    return _spread(node, error, node.operands[0].width)


def _unpatched(node: Node, position: int, error: Any) -> Any:
    (places,) = node.constants
    return pick(error, places) if position else patch(error, zeros(error._machine, places.index.size), places)


def _patched_along(node: Node, position: int, change: Any) -> Any:
    return _spread(node, change, node.result.width) if position else _unpatched(node, 0, change)


wire = Operation("wire", lambda v: v, wiring=True)
"""A second result of an operation, on wires of its own."""
chop = Operation("chop", lambda v, signs: np.where(signs < 0, -v, v), shape=lambda v, signs: v, wiring=True)
"""A signal whose differential pairs are swapped where a bit says so, the same ones for every sequence."""
interleave = Operation("interleave", _interleave, kind="wire", shape=lambda v, w: (*v[:-1], 2 * v[-1]), wiring=True)
"""The wires of a complex signal, from those of its real and its imaginary part."""
join = Operation(
    "join",
    lambda *parts: np.concatenate(parts, -1),
    kind="wire",
    shape=_side_by_side,
    wiring=True,
    derivative=Linear(_unjoined, lambda node, position, change: pad(change, *_place_of(node, position))),
)
"""The wires of several signals side by side: `join(x, y, z)`."""
take: Operation = Operation(
    "take",
    _taken,
    kind="wire",
    shape=lambda v, start, stop: (*v[:-1], len(range(v[-1])[start:stop])),
    wiring=True,
    derivative=Linear(_untaken, lambda node, position, change: take(change, *node.constants)),
)
"""Some wires of a signal: `take(x, start, stop)`."""
pad: Operation = Operation(
    "pad",
    _padded,
    kind="wire",
    shape=lambda v, before, after: (*v[:-1], before + v[-1] + after),
    wiring=True,
    derivative=Linear(_unpadded, lambda node, position, change: pad(change, *node.constants)),
)
"""A signal between so many wires of zero: `pad(x, before, after)`."""
singles = Operation("singles", lambda v: v[..., None], kind="wire", shape=lambda v: (*v, 1), wiring=True)
"""Each of n wires as a vector of its own: a bundle of n vectors on one wire."""
disperse = Operation(
    "disperse",
    _dispersed,
    kind="wire",
    shape=lambda v, start, units, width: (*v[:2], _vectors(v), width),
    wiring=True,
)
"""Each number of a signal, or of a bundle, on a wire of its own unit: `disperse(x, start, units, width)`.

Number i of vector j becomes vector (i, j), j fastest, which has it on wire start + i mod units, of `width` wires."""
disperse_modes = Operation(
    "disperse modes",
    _dispersed_modes,
    kind="wire",
    shape=lambda v, real: (*v[:2], _vectors(v) // (2 if real else 1), v[-1]),
    wiring=True,
)
"""The same for complex numbers, each on its own mode: x and i x, as a state changes with both parts of a parameter.

`disperse_modes(x, real)` gives x alone for real parameters."""
pick: Operation = Operation(
    "pick",
    _picked,
    kind="wire",
    shape=lambda v, places: (*v[:-1], *places.index.shape),
    wiring=True,
    derivative=Linear(_unpicked, lambda node, position, change: pick(change, *node.constants)),
)
"""Wires of a signal by number, some of them several times: `pick(x, Places(…))`; rows of numbers make a bundle.

Only what picks each wire once, and no rows, has a derivative."""
patch: Operation = Operation(
    "patch",
    _patched,
    kind="wire",
    shape=lambda v, w, places: v,
    wiring=True,
    derivative=Linear(_unpatched, _patched_along),
)
"""A signal in which those of another take the place of the listed wires: `patch(x, pick(y, places), places)`."""
flat = Operation(
    "flat",
    lambda v: v.reshape(*v.shape[:2], -1),
    kind="wire",
    shape=lambda v: (*v[:2], _vectors(v)),
    wiring=True,
)
"""The wires of a bundle's vectors side by side."""
