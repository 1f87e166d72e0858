"""Number formats of digital units, by rounding."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

_FIXED = re.compile(r"fixed<(\d+),(\d+)>\Z")
NAMES = "float64, float32, float16, bfloat16 or fixed<bits,fraction bits>"


@dataclass(frozen=True)
class Format:
    """A number format.

    Attributes:
        name: as documents write it.
        bits: of one number.
        dtype: the type of array in which its values are kept; it holds each of them exactly.
        arithmetic: the row of a table of energies that applies to it.
        epsilon: relative rounding error, at most; for fixed point that of a number of size one.
        round: brings an array to the nearest values of the format, or is None if the array's type is the format.
    """

    name: str
    bits: int
    dtype: str
    arithmetic: str
    epsilon: float
    round: Callable[[np.ndarray], np.ndarray] | None


def parse(name: str) -> Format:
    """The format that a name means.

    >>> parse("fixed<8,4>").round(np.array([0.03, 0.04, 100.0], np.float32))
    array([0.    , 0.0625, 7.9375], dtype=float32)

    Raises:
        ValueError: there is no such format.
    """
    if name in ("float64", "float32"):
        return Format(name, int(name[5:]), name, name, float(np.finfo(name).eps) / 2, None)
    if name == "float16":
        return Format(name, 16, "float32", name, 2.0**-11, _half)
    if name == "bfloat16":
        return Format(name, 16, "float32", name, 2.0**-8, _brain)
    match = _FIXED.match(name)
    if match:
        bits, fraction = int(match[1]), int(match[2])
        if 2 <= bits <= 32 and fraction < bits:
            dtype = "float32" if bits <= 24 else "float64"
            return Format(name, bits, dtype, f"int{bits}", 2.0 ** -(fraction + 1), _fixed(bits, fraction))
    raise ValueError(f"no number format {name!r}; allowed: {NAMES}, with 2 to 32 bits of which fewer are fraction bits")


def _valid(name: str) -> str:
    return parse(name).name


FormatName = Annotated[str, AfterValidator(_valid)]


def _half(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(x.dtype)


def _brain(x: np.ndarray) -> np.ndarray:
    """Round the last 16 bits of a float32 away, half to even; infinities and NaN stay."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(x), rounded.view(np.float32), x).astype(x.dtype, copy=False)


def _fixed(bits: int, fraction: int) -> Callable[[np.ndarray], np.ndarray]:
    scale, lowest, highest = 2.0**fraction, -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1

    def round(x: np.ndarray) -> np.ndarray:  # noqa: A001
        return np.clip(np.rint(x * scale), lowest, highest) / scale

    return round
