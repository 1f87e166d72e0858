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
        smallest, largest: of its positive numbers.
        round: brings an array to the nearest values of the format, or is None if the array's type is the format.
    """

    name: str
    bits: int
    dtype: str
    arithmetic: str
    epsilon: float
    smallest: float
    largest: float
    round: Callable[[np.ndarray], np.ndarray] | None

    @property
    def least_divisor(self) -> float:
        """A number, as small as can be, by which numbers up to its own size can be divided.

        A floating-point unit multiplies by the reciprocal, which has to be in range: those of subnormal numbers are
        not. A fixed-point unit divides, since the reciprocals of most of its numbers are not numbers of the format.
        """
        return self.smallest if self.fixed else max(self.smallest, 2 / self.largest)

    def nearest(self, number: float) -> float:
        """The number of the format that is nearest to another one."""
        exact = np.array([number], self.dtype)
        return float((exact if self.round is None else self.round(exact))[0])

    @property
    def fixed(self) -> bool:
        """Whether the point is fixed."""
        return self.name.startswith("fixed")


def parse(name: str) -> Format:
    """The format that a name means.

    >>> parse("fixed<8,4>").round(np.array([0.03, 0.04, 100.0], np.float32))
    array([0.    , 0.0625, 7.9375], dtype=float32)

    Raises:
        ValueError: there is no such format.
    """
    if name in ("float64", "float32"):
        known = np.finfo(name)
        smallest, largest = float(known.smallest_subnormal), float(known.max)
        return Format(name, int(name[5:]), name, name, float(known.eps) / 2, smallest, largest, None)
    if name == "float16":
        return Format(name, 16, "float32", name, 2.0**-11, 2.0**-24, 65504.0, _half)
    if name == "bfloat16":
        return Format(name, 16, "float32", name, 2.0**-8, 2.0**-133, 2.0**128 - 2.0**120, _brain)
    match = _FIXED.match(name)
    if match:
        bits, fraction = int(match[1]), int(match[2])
        if 2 <= bits <= 32 and fraction < bits:
            dtype = "float32" if bits <= 24 else "float64"
            smallest, largest = 2.0**-fraction, (2 ** (bits - 1) - 1) * 2.0**-fraction
            epsilon, round_ = smallest / 2, _fixed(bits, fraction)
            return Format(name, bits, dtype, f"int{bits}", epsilon, smallest, largest, round_)
    raise ValueError(f"no number format {name!r}; allowed: {NAMES}, with 2 to 32 bits of which fewer are fraction bits")


def coarser(name: str) -> str | None:
    """The format with one fraction bit fewer; None if there is none, as for floating point.

    >>> coarser("fixed<16,12>")
    'fixed<15,11>'
    """
    match = _FIXED.match(name)
    bits, fraction = (int(match[1]), int(match[2])) if match else (0, 0)
    return f"fixed<{bits - 1},{fraction - 1}>" if bits > 2 and fraction > 0 else None


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
