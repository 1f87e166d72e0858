"""Shapes that are counted: the bytes that arrays of these shapes would take, from when they are made until they go.

An array of a shape is an object like any other: rules, registers and signals refer to it for as long as they would to
a real one. So what is alive at any moment of a run on shapes is what would be alive in the run itself, and no rule,
cell or optimizer has to say how much memory its simulation takes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.circuits.crossbar import Share
from hwsim.circuits.formats import Format
from hwsim.machine.numerics import COMPILED, Numerics
from hwsim.machine.shapes import Alike, BlankCrossbar, Expectations, Shapes, blank
from hwsim.physics import DataSheet
from hwsim.records import Shape

WEIGHTS, SHOWN, TAPE, VALUES = "weights", "shown", "tape", "values"
"""What arrays are: of parameters; inputs and targets; entries of tapes; all else of sequences."""

HEADER = 128
"""Bytes of an array besides its numbers, as Python and NumPy keep it."""

_PROGRAMMED = 72
"""Bytes that programming takes for a while, for each weight: targets, steps, goals and errors in float64."""

_STREAM = 600
"""Bytes of a stream of random numbers."""


class Gauge:
    """How many bytes are alive, and the most that ever were, by what they are.

    Attributes:
        kind: of the arrays that are made from now on.
        live: bytes that are alive, by kind.
        peak: the same at the moment at which the most were.
    """

    def __init__(self) -> None:
        self.kind = WEIGHTS
        self.live: dict[str, int] = dict.fromkeys((WEIGHTS, SHOWN, TAPE, VALUES), 0)
        self.peak = dict(self.live)
        self._total = self._most = 0
        self._known: dict[int, weakref.ref[np.ndarray]] = {}

    def restart(self) -> dict[str, int]:
        """The peak so far; from now on there is a new one."""
        peak, self.peak, self._most = self.peak, dict(self.live), self._total
        return peak

    def add(self, kind: str, size: int) -> None:
        """So many bytes more, or less."""
        self.live[kind] += size
        self._total += size
        if self._total > self._most:
            self._most, self.peak = self._total, dict(self.live)

    def pass_by(self, size: int) -> None:
        """So many bytes within an operation, which are gone when it is over."""
        self.add(self.kind, size)
        self.add(self.kind, -size)

    def count(self, value: np.ndarray, kind: str | None = None) -> np.ndarray:
        """Count an array until nothing refers to it; a view counts as what it is a view of."""
        owner = value
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        key, kind, size = id(owner), kind or self.kind, owner.nbytes + HEADER
        if key not in self._known:

            def gone(_: object) -> None:
                del self._known[key]
                self.add(kind, -size)

            self._known[key] = weakref.ref(owner, gone)
            self.add(kind, size)
        return value


class CountedTape(Alike):
    """Entries of a tape, all alike, of which each is counted."""

    def __init__(self, entries: int, gauge: Gauge) -> None:
        self._gauge, self._each, self._entries = gauge, 0, 0
        super().__init__(entries)

    @property
    def entries(self) -> int:
        return self._entries

    @entries.setter
    def entries(self, entries: int) -> None:
        self._gauge.add(TAPE, (entries - self._entries) * self._each)
        self._entries = entries

    def append(self, value: np.ndarray) -> None:
        self._each = value.nbytes + HEADER
        super().append(value)

    def pop(self, index: Any = -1) -> np.ndarray:
        return self._gauge.count(super().pop(index))

    def clear(self) -> None:
        super().clear()
        self.entries = 0


class CountedCrossbar(BlankCrossbar):
    """The devices of a matrix, with what a read needs of them."""

    def __init__(self, sheet: DataSheet, w_max: float, shape: Shape, expected: Expectations, gauge: Gauge) -> None:
        super().__init__(sheet, w_max, shape, expected)
        self._gauge = gauge
        chips, rows, columns = shape
        self._held = [
            gauge.count(blank(each, kind), WEIGHTS)
            for each, kind in (((chips, 2, rows, columns), np.uint16), (shape, np.float32), (shape, np.float32))
        ]  # writes, weights and their variances
        self._copies: dict[bool, list[np.ndarray]] = {}

    def program(self, targets: np.ndarray, draws: Any) -> tuple[np.ndarray, np.ndarray]:
        self._gauge.pass_by(_PROGRAMMED * int(np.prod(self.shape)))
        return super().program(targets, draws)

    def shares(self, transposed: bool, lines: int) -> list[Share]:
        if transposed not in self._copies:
            copies = [self._gauge.count(blank(self.shape), WEIGHTS) for _ in range(2)]
            self._copies[transposed] = copies
        return super().shares(transposed, lines)


class Counted(Shapes):
    """The shape of what each operation gives, counted by a gauge."""

    def __init__(self) -> None:
        super().__init__()
        self.gauge = Gauge()
        for table in ("unary", "binary", "reduced", "paired", "applied"):
            made = {kind: self._counting(function) for kind, function in getattr(Shapes, table).items()}
            setattr(self, table, made)
        for name in _MAKE:
            setattr(self, name, self._counting(getattr(self, name)))

    def _counting(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose results are counted."""
        count = self.gauge.count

        def counting(*words: Any) -> Any:
            made = make(*words)
            for value in made if isinstance(made, tuple) else (made,):
                if isinstance(value, np.ndarray):
                    count(value)
            return made

        return counting

    def alike(self, kind: str, v: np.ndarray, w: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        if kind not in COMPILED:
            return v, w
        copies = (part if part.shape == shape else self.gauge.count(blank(shape, part.dtype)) for part in (v, w))
        return tuple(copies)  # type: ignore[return-value]

    def shown(self, inputs: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return self.gauge.count(super().shown(inputs, dtype), SHOWN)

    def recorded(self, value: np.ndarray) -> list[np.ndarray]:
        return CountedTape(len(value), self.gauge)

    def drawn(self, initial: Any) -> np.ndarray:
        made = self.gauge.count(super().drawn(initial))
        self.gauge.pass_by(2 * made.nbytes)  # parts that it is put together from
        return made

    def add(self, sums: np.ndarray, v: np.ndarray) -> None:
        if v.ndim > 3:
            self.gauge.pass_by(sums.nbytes)

    def add_outer(self, sums: np.ndarray, v: np.ndarray, w: np.ndarray) -> None:
        self.gauge.pass_by(sums.nbytes)

    def solve(self, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        made = self.gauge.count(super().solve(v, w))
        self.gauge.pass_by(8 * v.size + 16 * w.size)  # operands and result in float64
        return made

    def rounding(self, format: Format, dtype: np.dtype) -> Any:  # noqa: A002
        return None if Numerics.rounding(self, format, dtype) is None else self.copy

    def bank(self, seed: int, name: str, chips: int, instances: tuple[int, ...], *words: Any) -> Any:
        made = super().bank(seed, name, chips, instances, *words)
        self.gauge.count(made.gains, WEIGHTS)
        self.gauge.pass_by(5 * made.gains.nbytes + chips * HEADER)  # draws of each chip, together, scaled, in float64
        return made

    def generators(self, seed: int, chips: int, *names: str) -> list[np.random.Generator]:
        self.gauge.pass_by(chips * _STREAM)
        return []

    def crossbar(self, sheet: DataSheet, w_max: float, step: np.ndarray, devices: np.ndarray) -> Any:
        return CountedCrossbar(sheet, w_max, step.shape, self.expected, self.gauge)

    def tiles(self, array: Any, share: Share, v: np.ndarray, *words: Any) -> tuple[np.ndarray, np.ndarray, int]:
        y, drawn, beyond = super().tiles(array, share, v, *words)
        self.gauge.count(y)
        self.gauge.pass_by(v.nbytes + y.nbytes)  # squares, and the variance that they give
        return y, drawn, beyond


_MAKE = (
    "matmul",
    "standardise",
    "standardise_error",
    "interleave",
    "plus_identity",
    "spread",
    "columns",
    "zeros",
    "unknown",
    "copy",
    "flattened",
    "repeated",
    "shifted",
    "beside",
    "contiguous",
    "convert",
    "rotated",
)
"""The functions that make new arrays, and nothing besides."""
