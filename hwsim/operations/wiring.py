"""Operations that only connect wires: exact, free, and in the domain of their operands."""

import numpy as np

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


wire = Operation("wire", lambda v: v, wiring=True)
"""A second result of an operation, on wires of its own."""
interleave = Operation("interleave", _interleave, kind="wire", shape=lambda v, w: (*v[:-1], 2 * v[-1]), wiring=True)
"""The wires of a complex signal, from those of its real and its imaginary part."""
join = Operation("join", lambda *parts: np.concatenate(parts, -1), kind="wire", shape=_side_by_side, wiring=True)
"""The wires of several signals side by side: `join(x, y, z)`."""
take = Operation(
    "take", _taken, kind="wire", shape=lambda v, start, stop: (*v[:-1], len(range(v[-1])[start:stop])), wiring=True
)
"""Some wires of a signal: `take(x, start, stop)`."""
pad = Operation("pad", _padded, kind="wire", shape=lambda v, a, b: (*v[:-1], a + v[-1] + b), wiring=True)
"""A signal between so many wires of zero: `pad(x, before, after)`."""
singles = Operation("singles", lambda v: v[..., None], kind="wire", shape=lambda v: (*v, 1), wiring=True)
"""Each of n wires as a vector of its own: a bundle of n vectors on one wire."""
