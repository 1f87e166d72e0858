"""Shapes instead of numbers: operations find the shape of their result and nothing else, so costs need no values.

Arrays are views of one zero, whatever their shape: they take no memory, and nothing can be written into them. What
costs depend on besides shapes, the activities of crossbar tiles, is expected rather than measured.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from hwsim.circuits.bank import Bank
from hwsim.circuits.crossbar import Share, splits
from hwsim.circuits.formats import Format
from hwsim.circuits.noise import Moment, Source
from hwsim.initial import Initial
from hwsim.machine.numerics import APPLIED, BINARY, PAIRED, REDUCED, UNARY, Numerics
from hwsim.physics import DataSheet
from hwsim.records import Shape

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Expectations(BaseModel, extra="forbid", frozen=True):
    """What is expected of values, where energy depends on them.

    The defaults are assumed, after runs of the shipped machines in the middle of training: the digits and the adding
    task showed inputs of 0.20 to 0.23, states and errors of 0.0003 to 0.015, conductances of 0.11 to 0.17, and wrote
    1 to 7 % of the devices in an update.
    """

    input: Annotated[
        Fraction, Field(description="mean square of the inputs that tiles read, as a share of full scale squared")
    ] = 0.2
    signal: Annotated[Fraction, Field(description="the same for all else that tiles read: states and errors")] = 0.004
    conductance: Annotated[Fraction, Field(description="mean conductance of devices, as a share of their range")] = 0.15
    written: Annotated[Fraction, Field(description="share of the devices that an update writes")] = 0.05


_ZERO = bytes(16)


def blank(shape: Shape, dtype: Any = np.float32) -> np.ndarray:
    """An array of zeros that takes no memory and cannot be written."""
    return np.ndarray(shape, dtype, _ZERO, 0, (0,) * len(shape))


class Shown(np.ndarray):
    """An array of inputs: of these other values are expected than of states and errors."""


def _as_first(v: np.ndarray, *_: Any) -> np.ndarray:
    return blank(v.shape, v.dtype)


def _as_both(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return blank(v.shape if v.shape == w.shape else np.broadcast_shapes(v.shape, w.shape), v.dtype)


def _as_second(_: np.ndarray, x: np.ndarray) -> np.ndarray:
    return blank(x.shape, x.dtype)


def _on_one_wire(v: np.ndarray, *_: Any) -> np.ndarray:
    return blank((*v.shape[:-1], 1), v.dtype)


def _halved(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return blank((*v.shape[:-1], v.shape[-1] // 2), v.dtype)


def _product(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return blank((*v.shape[:-1], w.shape[-1]), v.dtype)


def _standardised(v: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    return blank(v.shape, v.dtype), blank((*v.shape[:-1], 1), v.dtype)


def _converted(v: np.ndarray, delta: float, full_scale: float) -> tuple[np.ndarray, int]:
    return blank(v.shape, v.dtype).view(type(v)), 0


def _whole(bank: Bank, values: np.ndarray, full_scale: float, moment: Moment) -> int:
    return 0


class Alike(list[np.ndarray]):
    """Entries of a tape, all alike, of which only the number is kept."""

    def __init__(self, entries: int) -> None:
        self.entries, self._latest = entries, blank(())

    def append(self, value: np.ndarray) -> None:
        self.entries, self._latest = self.entries + 1, value

    def pop(self, index: Any = -1) -> np.ndarray:
        self.entries -= 1
        return blank(self._latest.shape, self._latest.dtype)

    def __len__(self) -> int:
        return self.entries


class BlankBank:
    """A bank of circuits, as many as there are."""

    def __init__(self, seed: int, name: str, chips: int, gains: np.ndarray) -> None:
        self.name, self.source, self.gains = name, Source(seed, name, chips), gains


class BlankCrossbar:
    """The devices of a matrix, as many as there are."""

    noisy = False

    def __init__(self, sheet: DataSheet, w_max: float, shape: Shape, expected: Expectations) -> None:
        self.w_max, self.shape, self.expected = w_max, shape, expected
        self.plus = self.minus = self.weights = blank(shape)
        lowest, highest = sheet.conductance.min.value, sheet.conductance.max.value
        self.conductance = lowest + expected.conductance * (highest - lowest)
        self._programmed = False

    def program(self, targets: np.ndarray, draws: Any) -> tuple[np.ndarray, np.ndarray]:
        """As for real devices; the first time all of them are written."""
        chips, rows, columns = self.shape
        share = self.expected.written if self._programmed else 1.0
        self._programmed = True
        written = np.full(chips, share * 2 * rows * columns)
        return written, written * self.conductance

    def shares(self, transposed: bool, lines: int) -> list[Share]:
        """As for real devices, with the conductance that they are expected to have."""
        chips, rows, columns = self.shape
        inputs, outputs = (rows, columns) if transposed else (columns, rows)
        found = []
        for cut in splits(inputs, lines):
            weights = blank((chips, cut.stop - cut.start, outputs))
            found.append(Share(cut, weights, weights, np.full((chips, 1), 2 * outputs * self.conductance)))
        return found


class Shapes(Numerics):
    """The shape of what each operation gives."""

    exact = False
    unary = dict.fromkeys(UNARY, _as_first)
    binary = dict.fromkeys(BINARY, _as_both)
    reduced = dict.fromkeys(REDUCED, _on_one_wire)
    paired = dict.fromkeys(PAIRED, _halved)
    applied = dict.fromkeys(APPLIED, _as_second)

    def __init__(self, expected: Expectations | None = None) -> None:
        self.expected = expected or Expectations()

    # ---- operations on signals -------------------------------------------------------------------------------

    matmul = staticmethod(_product)
    standardise = staticmethod(_standardised)
    standardise_error = staticmethod(_as_first)
    solve = staticmethod(_as_second)

    def alike(self, kind: str, v: np.ndarray, w: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        return v, w

    def interleave(self, v: np.ndarray, w: np.ndarray, shape: Shape) -> np.ndarray:
        return blank(shape, v.dtype)

    def plus_identity(self, v: np.ndarray, factor: float) -> np.ndarray:
        return blank(v.shape, v.dtype)

    def spread(self, g: np.ndarray, x: np.ndarray) -> np.ndarray:
        return blank((*x.shape, 2 * g.shape[-1]), x.dtype)

    def columns(self, weights: np.ndarray, batch: int) -> np.ndarray:
        chips, rows, columns = weights.shape
        return blank((chips, batch, columns, rows), weights.dtype)

    # ---- storages and parameters -----------------------------------------------------------------------------

    def zeros(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        return blank(shape, dtype)

    def unknown(self, shape: Shape) -> np.ndarray:
        return blank(shape, float)

    def copy(self, v: np.ndarray) -> np.ndarray:
        return blank(v.shape, v.dtype)

    def beside(self, v: np.ndarray, chips: int) -> np.ndarray:
        return blank((chips, *v.shape), v.dtype).view(type(v))

    def spend(self, v: np.ndarray) -> None:
        pass

    def contiguous(self, v: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
        return blank(v.shape, dtype or v.dtype).view(type(v))

    def shown(self, inputs: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return blank(inputs.swapaxes(0, 1).shape, dtype).view(Shown)

    def drawn(self, initial: Initial) -> np.ndarray:
        return blank(initial.shape, float)

    def largest(self, v: np.ndarray) -> float:
        return 1.0

    def flattened(self, v: np.ndarray, chips: int, dtype: np.dtype) -> np.ndarray:
        return blank((chips, 1, v.size), dtype)

    def repeated(
        self, initial: tuple[float, ...], width: int, bundle: int, lead: tuple[int, int], dtype: np.dtype
    ) -> np.ndarray:
        return blank((*lead, bundle, width) if bundle else (*lead, width), dtype)

    def shifted(self, line: np.ndarray, stored: np.ndarray) -> np.ndarray:
        return blank(line.shape, line.dtype)

    def recorded(self, value: np.ndarray) -> list[np.ndarray]:
        return Alike(len(value))

    def add(self, sums: np.ndarray, v: np.ndarray) -> None:
        pass

    def add_outer(self, sums: np.ndarray, v: np.ndarray, w: np.ndarray) -> None:
        pass

    def finite(self, v: np.ndarray) -> bool:
        return True

    def rounding(self, format: Format, dtype: np.dtype) -> None:  # noqa: A002
        return None

    # ---- analog circuits -------------------------------------------------------------------------------------

    convert = staticmethod(_converted)
    spoil = staticmethod(_whole)

    def perturb(self, values: np.ndarray, noise: float, limit: float, source: Source, moment: Moment) -> int:
        return 0

    def rotated(self, matrices: Any, v: np.ndarray) -> np.ndarray:
        return blank(v.shape, v.dtype)

    def bank(
        self,
        seed: int,
        name: str,
        chips: int,
        instances: tuple[int, ...],
        errors: tuple[float, float, float],
        apply: bool,
    ) -> Any:
        return BlankBank(seed, name, chips, blank((chips, *instances)))

    def generators(self, seed: int, chips: int, *names: str) -> list[np.random.Generator]:
        return []

    def crossbar(self, sheet: DataSheet, w_max: float, step: np.ndarray, devices: np.ndarray) -> Any:
        return BlankCrossbar(sheet, w_max, step.shape, self.expected)

    def tiles(
        self,
        array: Any,
        share: Share,
        v: np.ndarray,
        scale: float,
        noise: float,
        limit: float,
        source: Source,
        moment: Moment,
    ) -> tuple[np.ndarray, np.ndarray, int]:
        chips, vectors, inputs = v.shape
        square = self.expected.input if isinstance(v, Shown) else self.expected.signal
        drawn = vectors * inputs * square * share.conductance[:, 0]
        return blank((chips, vectors, share.weights.shape[-1])), drawn, 0
