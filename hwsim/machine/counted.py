"""Shapes that are counted: the bytes that arrays of these shapes would take, from when they are made until they go.

An array of a shape is an object like any other: rules, registers and signals refer to it for as long as they would to
a real one. So what is alive at any moment of a run on shapes is what would be alive in the run itself, and no rule,
cell or optimizer has to say how much memory its simulation takes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hwsim.formats import Format
from hwsim.machine.numerics import Numerics, Primitive
from hwsim.machine.shapes import Alike, Shapes, blank
from hwsim.operations import Operation, solve

WEIGHTS, SHOWN, TAPE, VALUES = "weights", "shown", "tape", "values"
"""What arrays are: of parameters; inputs and targets; entries of tapes; all else of sequences."""

HEADER = 128
"""Bytes of an array besides its numbers, as Python and NumPy keep it."""

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


class Counted(Shapes):
    """The shape of what each operation gives, counted by a gauge."""

    def __init__(self) -> None:
        super().__init__()
        self.gauge = Gauge()
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

    def computing(self, operation: Operation) -> Callable[..., Any]:
        make = self._counting(super().computing(operation))
        if operation is not solve:
            return make

        def solved(v: np.ndarray, w: np.ndarray) -> Any:
            made = make(v, w)
            self.gauge.pass_by(8 * v.size + 16 * w.size)  # operands and result in float64
            return made

        return solved

    def run(self, primitive: Primitive) -> Callable[..., Any]:
        make, passing = super().run(primitive), primitive.passing

        def counted(*words: Any) -> Any:
            made = make(*words)
            results = made if isinstance(made, tuple) else (made,)
            for result in _flat(results) if primitive.lasting else results[:1]:
                if isinstance(result, np.ndarray) and not result.flags.writeable:  # of a shape, not with values
                    self.gauge.count(result, WEIGHTS if primitive.lasting else None)
            if passing is not None:
                self.gauge.pass_by(passing(made, *words))
            return made

        return counted

    def alike(self, operation: Operation, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = np.broadcast_shapes(v.shape, w.shape)
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

    def rounding(self, format: Format, dtype: np.dtype) -> Any:  # noqa: A002
        return None if Numerics.rounding(self, format, dtype) is None else self.copy

    def generators(self, seed: int, chips: Sequence[int], *names: str) -> list[np.random.Generator]:
        self.gauge.pass_by(len(chips) * _STREAM)
        return []


_MAKE = (
    "zeros",
    "unknown",
    "copy",
    "flattened",
    "repeated",
    "shifted",
    "beside",
    "contiguous",
    "change",
    "changed",
)
"""The functions that make new arrays, and nothing besides."""


def _flat(results: tuple[Any, ...]) -> Iterator[Any]:
    """All results, also those that are within others."""
    for result in results:
        yield from _flat(result) if isinstance(result, tuple) else (result,)
