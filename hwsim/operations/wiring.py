"""Operations that only connect wires: exact, free, and in the domain of their operands."""

import numpy as np

from hwsim.operations.operation import Operation


def _interleave(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([v, w], -1).reshape(*v.shape[:-1], 2 * v.shape[-1])


wire = Operation("wire", lambda v: v, wiring=True)
"""A second result of an operation, on wires of its own."""
interleave = Operation("interleave", _interleave, kind="wire", shape=lambda v, w: (*v[:-1], 2 * v[-1]), wiring=True)
"""The wires of a complex signal, from those of its real and its imaginary part."""
