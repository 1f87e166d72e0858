"""Operations that only connect wires: exact, free, and in the domain of their operands."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.operations.derivative import Linear, Node
from hwsim.operations.operation import Operation
from hwsim.records import Shape


def _interleave(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([v, w], -1).reshape(*v.shape[:-1], 2 * v.shape[-1])


def _taken(v: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.ascontiguousarray(v[..., start:stop])


def _padded(v: np.ndarray, before: int, after: int) -> np.ndarray:
    return np.pad(v, [(0, 0)] * (v.ndim - 1) + [(before, after)])


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


wire = Operation("wire", lambda v: v, wiring=True)
"""A second result of an operation, on wires of its own."""
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
