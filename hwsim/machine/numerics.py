"""What operations do to values. A machine holds one such set of functions; another set may work on shapes alone.

The tables map a record's kind to exact arithmetic on arrays; a machine rounds its result, or makes it imperfect.
Whatever touches the content of an array of a machine is here: the rest of a machine sees shapes only.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import numpy as np

from hwsim import kernels, streams
from hwsim.circuits import converters
from hwsim.circuits.bank import Bank, pairs
from hwsim.circuits.crossbar import Crossbar, Share, squares
from hwsim.circuits.formats import Format
from hwsim.circuits.noise import Moment, Source, perturb, perturb_each
from hwsim.initial import Initial
from hwsim.physics import DataSheet
from hwsim.records import Shape

Table = dict[str, Callable[..., np.ndarray]]
Rounding = Callable[[np.ndarray], np.ndarray]

UNARY: Table = {
    "scale": np.multiply,
    "offset": np.add,
    "at most": np.minimum,
    "at least": np.maximum,
    "negate": np.negative,
    "square": np.square,
    "sqrt": np.sqrt,
    "reciprocal": np.reciprocal,
    "exp": np.exp,
    "cos": np.cos,
    "sin": np.sin,
    "tanh": np.tanh,
    "tanh slope": lambda y: 1 - y * y,
    "relu": kernels.relu,
    "softmax": kernels.softmax,
}
BINARY: Table = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "larger": np.maximum,
    "hypot": np.hypot,
    "gate": kernels.gate,
    "complex multiply": kernels.complex_multiply,
    "conjugate multiply": kernels.conjugate_multiply,
}
COMPILED = ("gate", "complex multiply", "conjugate multiply")
"""Binary operations whose kernels take operands of one shape only."""
REDUCED: Table = {
    "sum": lambda v: v.sum(-1, keepdims=True),
    "largest": lambda v: np.abs(v).max(-1, keepdims=True),
    "norm": lambda v, share: share * np.sqrt(np.square(v).sum(-1, keepdims=True)),
}
PAIRED: Table = {
    "pair dot": kernels.pair_dot,
    "pair cross": kernels.pair_cross,
}
APPLIED: Table = {
    "bias": kernels.bias,
    "gain": kernels.gain,
    "mode gain": kernels.mode_gain,
    "diagonal": kernels.diagonal,
    "conjugate diagonal": kernels.conjugate_diagonal,
    "inverse diagonal": kernels.diagonal,
}

_NO_GAIN = np.empty((0, 0), np.float32)


class Numerics:
    """Arithmetic on the arrays of signals `(chips, batch, n)`, of bundles `(chips, batch, k, n)`, and of storages.

    Attributes:
        unary, binary, reduced, paired, applied: by kind of operation.
        exact: whether values are really computed; without them, equal steps of a pass are carried out a few times only.
    """

    unary, binary, reduced, paired, applied = UNARY, BINARY, REDUCED, PAIRED, APPLIED
    exact = True

    # ---- operations on signals -------------------------------------------------------------------------------

    matmul: Callable[..., np.ndarray] = staticmethod(np.matmul)
    standardise: Callable[..., tuple[np.ndarray, np.ndarray]] = staticmethod(kernels.standardise)
    standardise_error: Callable[..., np.ndarray] = staticmethod(kernels.standardise_error)
    solve: Callable[..., np.ndarray] = staticmethod(np.linalg.solve)

    def alike(self, kind: str, v: np.ndarray, w: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        """Operands that differ in shape as a binary operation can take them."""
        if kind in COMPILED:
            return tuple(np.ascontiguousarray(np.broadcast_to(part, shape)) for part in (v, w))  # type: ignore[return-value]
        return v, w

    def interleave(self, v: np.ndarray, w: np.ndarray, shape: Shape) -> np.ndarray:
        """Wires of v and w in turn."""
        return np.stack([v, w], -1).reshape(shape)

    def plus_identity(self, v: np.ndarray, factor: float) -> np.ndarray:
        """Square bundles with `factor` added on their diagonals."""
        return v + factor * np.eye(v.shape[-1], dtype=v.dtype)

    def spread(self, g: np.ndarray, x: np.ndarray) -> np.ndarray:
        """x_j g on the real wires of modes: `(chips, batch, k, 2N)` for g `(chips, 1, N)` and x `(chips, batch, k)`."""
        value = np.zeros((*x.shape, 2 * g.shape[-1]), x.dtype)
        value[..., ::2] = x[..., None] * g[:, :, None]
        return value

    def columns(self, weights: np.ndarray, batch: int) -> np.ndarray:
        """Weights `(chips, rows, columns)` as bundles of columns, the same for every sequence."""
        return np.repeat(weights.swapaxes(1, 2)[:, None], batch, 1)

    # ---- storages and parameters -----------------------------------------------------------------------------

    def zeros(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        return np.zeros(shape, dtype)

    def unknown(self, shape: Shape) -> np.ndarray:
        """Numbers that nobody has written yet."""
        return np.full(shape, np.nan)

    def copy(self, v: np.ndarray) -> np.ndarray:
        return v.copy()

    def beside(self, v: np.ndarray, chips: int) -> np.ndarray:
        """The same values for each chip, `(chips, *v.shape)`."""
        return np.repeat(v[None], chips, 0)

    def spend(self, v: np.ndarray) -> None:
        """Overwrite a value whose step has ended with NaN."""
        v.setflags(True)
        v.fill(np.nan)

    def contiguous(self, v: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
        """The values one after another in memory; what is so already is not copied."""
        return np.ascontiguousarray(v, dtype)

    def shown(self, inputs: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Inputs `(batch, steps, width)` as they are shown, `(steps, batch, width)`."""
        return np.ascontiguousarray(inputs.swapaxes(0, 1), dtype)

    def drawn(self, initial: Initial) -> np.ndarray:
        """Initial values."""
        return initial.draw()

    def largest(self, v: np.ndarray) -> float:
        """The largest absolute value."""
        return float(np.abs(v).max())

    def flattened(self, v: np.ndarray, chips: int, dtype: np.dtype) -> np.ndarray:
        """Parameters as one vector for each chip, `(chips, 1, values)`."""
        return np.broadcast_to(v.ravel().astype(dtype), (chips, 1, v.size)).copy()

    def repeated(
        self, initial: tuple[float, ...], width: int, bundle: int, lead: tuple[int, int], dtype: np.dtype
    ) -> np.ndarray:
        """What a register starts with: `initial` along the wires, or for a bundle that number times the identity."""
        if bundle:
            block = initial[0] * np.eye(bundle, width, dtype=dtype)
        else:
            block = np.resize(np.asarray(initial, dtype), width)
        return np.broadcast_to(block, (*lead, *block.shape)).copy()

    def shifted(self, line: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """A delay line `(chips, batch, length, width)` one step later."""
        return np.concatenate([line[:, :, 1:], stored[:, :, None]], 2)

    def recorded(self, value: np.ndarray) -> list[np.ndarray]:
        """Entries of a tape."""
        return list(value)

    def add(self, sums: np.ndarray, v: np.ndarray) -> None:
        """Add signals, summed over the batch, to sums `(chips, n)`, or bundles to `(chips, n, k)`."""
        if v.ndim == 3:
            kernels.add_rows(sums, v)
        else:
            sums += v.sum(1).swapaxes(1, 2)

    def add_outer(self, sums: np.ndarray, v: np.ndarray, w: np.ndarray) -> None:
        """Add outer products, summed over the batch, to sums `(chips, rows, columns)`."""
        sums += np.matmul(v.swapaxes(1, 2), w)

    def finite(self, v: np.ndarray) -> bool:
        flat = v.ravel()
        return isfinite(float(flat @ flat)) or bool(np.isfinite(v).all())

    def rounding(self, format: Format, dtype: np.dtype) -> Rounding | None:  # noqa: A002
        """What brings arrays of `dtype` to the values of a format; None if they have no others."""
        if format.round is None and format.dtype != dtype:
            return lambda x: x.astype(format.dtype).astype(dtype)
        return format.round

    # ---- analog circuits -------------------------------------------------------------------------------------

    convert: Callable[[np.ndarray, float, float], tuple[np.ndarray, int]] = staticmethod(converters.convert)
    spoil: Callable[[Bank, np.ndarray, float, Moment], int] = staticmethod(Bank.spoil)

    def perturb(self, values: np.ndarray, noise: float, limit: float, source: Source, moment: Moment) -> int:
        """Add noise to `(chips, vectors, n)`, in place; returns how many are beyond the limit, where they end."""
        return perturb(values, _NO_GAIN, noise, 0.0, limit, source.keys, moment)

    def rotated(self, matrices: Callable[[], np.ndarray], v: np.ndarray) -> np.ndarray:
        """A 2 by 2 matrix for each mode, `(chips, 4, N)`, applied to vectors `(chips, vectors, 2N)`."""
        return pairs(matrices(), v)

    def bank(
        self,
        seed: int,
        name: str,
        chips: int,
        instances: tuple[int, ...],
        errors: tuple[float, float, float],
        apply: bool,
    ) -> Bank:
        """Circuits with frozen gain errors; `errors` are mismatch, gain noise and noise."""
        return Bank(seed, name, chips, instances, *errors, apply=apply)

    def generators(self, seed: int, chips: int, *names: str) -> list[np.random.Generator]:
        """A stream for each chip."""
        return [streams.generator(seed, f"chip {chip}", *names) for chip in range(chips)]

    def crossbar(self, sheet: DataSheet, w_max: float, step: np.ndarray, devices: np.ndarray) -> Crossbar:
        """The devices of a matrix; `devices` are `(chips, 2, rows, columns)`."""
        return Crossbar(sheet, w_max, step, devices[:, 0], devices[:, 1])

    def tiles(
        self,
        array: Crossbar,
        share: Share,
        v: np.ndarray,
        scale: float,
        noise: float,
        limit: float,
        source: Source,
        moment: Moment,
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """What tiles give for inputs `(chips, vectors, n)` of full scale `scale`.

        Returns:
            Outputs, Σ (x / scale)² G on each chip, and how many outputs saturate.
        """
        squared, drawn = squares(v, share.conductance, scale)
        y = np.matmul(v, share.weights)
        if array.noisy:
            variance = np.matmul(squared, share.spread)
            return y, drawn, perturb_each(y, variance, noise, limit, source.keys, moment)
        return y, drawn, self.perturb(y, noise, limit, source, moment)


EXACT = Numerics()
