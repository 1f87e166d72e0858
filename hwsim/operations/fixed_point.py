"""Arithmetic of a state in fixed point that can be undone: rounding, and a product whose lost bits can be kept.

A number of `fraction` fraction bits is an integer h, in units of 2^-fraction. Multiplied by a gate below one it becomes
k = ⌊h z⌋, as do all numbers from ⌈k / z⌉ to the last one below (k + 1) / z. With z ≥ 2^-bits these are 2^bits numbers
at most, so that `bits` bits say which of them it was, whatever the values are. Gates have `GATE` fraction bits.

The numbers of a signal may be floating-point ones: all of these values are held exactly if the format has as many
significant bits as the state, which stays between -2 and 2.
"""

from __future__ import annotations

import numpy as np

from hwsim.operations.derivative import Elementwise
from hwsim.operations.operation import Operation, Unary, each

GATE = 10
"""Fraction bits of a gate."""


def _integers(x: np.ndarray, fraction: int) -> np.ndarray:
    """Numbers of so many fraction bits as integers, those nearest to them and between -2 and 2."""
    last = 2.0 ** (fraction + 1) - 1
    known = np.nan_to_num(np.clip(x, -2, 2).astype(np.float64))
    return np.clip(np.rint(known * 2.0**fraction), -last, last).astype(np.int64)


def _gates(z: np.ndarray, bits: int) -> np.ndarray:
    """Gates between 2^-bits and 1 as integers."""
    return np.clip(_integers(z, GATE), 1 << (GATE - bits), 1 << GATE)


def _numbers(integers: np.ndarray, fraction: int, *operands: np.ndarray) -> np.ndarray:
    """Integers as numbers again; where an operand is not finite, no number."""
    last = (1 << (fraction + 1)) - 1
    x = np.ldexp(np.clip(integers, -last, last).astype(np.float64), -fraction)
    known = np.logical_and.reduce([np.isfinite(operand) for operand in operands])
    return np.where(known, x, np.nan).astype(operands[0].dtype)


def _first(kept: np.ndarray, gates: np.ndarray) -> np.ndarray:
    """The smallest number whose product with the gate is this one, once it is rounded down."""
    return -((-kept << GATE) // gates)


def _forget(h: np.ndarray, z: np.ndarray, bits: int, fraction: int) -> np.ndarray:
    return _numbers((_integers(h, fraction) * _gates(z, bits)) >> GATE, fraction, h, z)


def _forgotten(h: np.ndarray, z: np.ndarray, kept: np.ndarray, bits: int, fraction: int) -> np.ndarray:
    index = _integers(h, fraction) - _first(_integers(kept, fraction), _gates(z, bits))
    return _numbers(np.clip(index, 0, (1 << bits) - 1), bits, h, z, kept)


def _remember(kept: np.ndarray, z: np.ndarray, forgotten: np.ndarray, bits: int, fraction: int) -> np.ndarray:
    index = np.clip(_integers(forgotten, bits), 0, (1 << bits) - 1)
    return _numbers(_first(_integers(kept, fraction), _gates(z, bits)) + index, fraction, kept, z, forgotten)


round_to = Unary(
    "round to",
    lambda x, fraction: np.rint(x * 2.0**fraction) / 2.0**fraction,
    work=each(add=1),
    derivative=Elementwise(1),
)
"""The nearest number of so many fraction bits: `round_to(x, 23)`; its slope counts as 1, as if nothing were rounded."""
forget = Operation(
    "forget",
    _forget,
    work=each(multiply=1),
    derivative=Elementwise(lambda node: node.operands[1], lambda node: node.operands[0]),
)
"""h z, rounded down to the fraction bits of h: `forget(h, z, bits, fraction)`, with z between 2^-bits and 1."""
forgotten = Operation("forgotten", _forgotten, work=each(divide=1, add=1))
"""What `forget` lost, in so many bits behind the point: `forgotten(h, z, kept, bits, fraction)`."""
remember = Operation("remember", _remember, work=each(divide=1, add=1))
"""h again, exactly, from what was kept of it and what was lost: `remember(kept, z, lost, bits, fraction)`."""
