"""What operations do to values. A machine holds one such set of functions; another set may work on shapes alone.

Whatever touches the content of an array of a machine is an operation, a primitive of a unit, or here: the rest of a
machine sees shapes only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from hwsim import streams
from hwsim.formats import Format
from hwsim.initial import Initial
from hwsim.operations import Operation, kernels
from hwsim.records import Shape

Rounding = Callable[[np.ndarray], np.ndarray]


class Primitive(NamedTuple):
    """What a unit does to arrays, with its twin for shapes alone.

    Attributes:
        values: carries it out.
        blank: the same where nothing is computed; its first argument is what is expected of values.
        passing: bytes that it takes for a while, from its results and arguments; None if they do not count.
        lasting: whether its result stays as long as the machine.
    """

    values: Callable[..., Any]
    blank: Callable[..., Any]
    passing: Callable[..., int] | None = None
    lasting: bool = False


class Pulses(NamedTuple):
    """Pulses of one size, which change weights.

    Attributes:
        step: what a pulse changes a weight by.
        most: pulses that a weight gets at most in one train.
        random: whether an outer product is made of random trains on the lines, rather than rounded.
        scaled: by what a digital unit multiplies what it makes whole pulses of. This and what follows is for estimates.
        waits: whether it sums that until it is a pulse.
        of_fast: whether what becomes pulses is read from a fast array, rather than products of errors and signals.
    """

    step: float
    most: int
    random: bool = False
    scaled: float = 1.0
    waits: bool = False
    of_fast: bool = False


class Functions(dict[Operation, Callable[..., Any]]):
    """The function that computes each operation, found when it is first needed."""

    def __init__(self, make: Callable[[Operation], Callable[..., Any]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, operation: Operation) -> Callable[..., Any]:
        function = self[operation] = self._make(operation)
        return function


def checked(functions: Functions) -> Functions:
    """The same functions, whose results have the shapes that operations declare: nothing is broadcast unseen.

    Raises:
        TypeError: a result has another shape.
    """

    def checking(operation: Operation) -> Callable[..., Any]:
        compute = functions[operation]

        def computed(*operands: Any) -> Any:
            made = compute(*operands)
            results, shapes = made if isinstance(made, tuple) else (made,), operation.shapes(*operands)
            if tuple(result.shape for result in results) != shapes:
                found = ", ".join(str(result.shape) for result in results)
                raise TypeError(f"{operation.name} made {found}, not {', '.join(map(str, shapes))}")
            return made

        return computed

    return Functions(checking)


class Numerics:
    """Arithmetic on the arrays of signals `(chips, batch, n)`, of bundles `(chips, batch, k, n)`, and of storages.

    Attributes:
        functions: what computes each operation.
        exact: whether values are really computed; without them, equal steps of a pass are carried out a few times only.
    """

    exact = True

    def __init__(self) -> None:
        self.functions = Functions(self.computing)

    def computing(self, operation: Operation) -> Callable[..., Any]:
        """The function that computes an operation."""
        return operation.values

    def run(self, primitive: Primitive) -> Callable[..., Any]:
        """The function that carries out a primitive of a unit."""
        return primitive.values

    def alike(self, operation: Operation, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Operands that differ in shape as an operation takes them that needs one shape."""
        shape = np.broadcast_shapes(v.shape, w.shape)
        return tuple(np.ascontiguousarray(np.broadcast_to(part, shape)) for part in (v, w))  # type: ignore[return-value]

    # ---- storages and parameters -----------------------------------------------------------------------------

    def zeros(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        return np.zeros(shape, dtype)

    def unknown(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        """Numbers that nobody has written yet."""
        return np.full(shape, np.nan, dtype)

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

    def largest(self, v: np.ndarray, initial: Initial) -> float:
        """The largest absolute value of what was drawn from `initial`."""
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
        """Add signals, summed over the batch, to sums `(chips, n)`; bundles, or n k wires, to `(chips, n, k)`."""
        if v.ndim == 3 and sums.ndim == 3:
            sums += v.sum(1).reshape(sums.shape)
        elif v.ndim == 3:
            kernels.add_rows(sums, v)
        else:
            sums += v.sum(1).swapaxes(1, 2)

    def add_outer(self, sums: np.ndarray, v: np.ndarray, w: np.ndarray) -> None:
        """Add outer products, summed over the batch, to sums `(chips, rows, columns)`."""
        sums += np.matmul(v.swapaxes(1, 2), w)

    def add_sparse_outer(
        self, sums: np.ndarray, places: np.ndarray, v: np.ndarray, w: np.ndarray, columns: int
    ) -> None:
        """Add outer products, summed over the batch, to sums at connections `(chips, rows, fan-in)`."""
        kernels.add_sparse_outer(sums, places, v, w, columns)

    def change(self, sums: np.ndarray, factor: float, pulses: Pulses | None) -> np.ndarray:
        """What sums times a factor change weights by: in whole pulses, to the nearest of them, or in graded ones."""
        change: np.ndarray = factor * sums
        if pulses is None:
            return change
        return np.clip(np.rint(change / pulses.step), -pulses.most, pulses.most) * pulses.step

    def changed(self, v: np.ndarray, change: np.ndarray, rounding: Rounding | None) -> np.ndarray:
        """Values after a change, in their format; values and change may differ in shape, not in order."""
        new = (v + change.reshape(v.shape)).astype(v.dtype)
        return new if rounding is None else rounding(new)

    def finite(self, v: np.ndarray) -> bool:
        flat = v.ravel()
        return isfinite(float(flat @ flat)) or bool(np.isfinite(v).all())

    def rounding(self, format: Format, dtype: np.dtype) -> Rounding | None:  # noqa: A002
        """What brings arrays of `dtype` to the values of a format; None if they have no others."""
        if format.round is None and format.dtype != dtype:
            return lambda x: x.astype(format.dtype).astype(dtype)
        return format.round

    def generators(self, seed: int, chips: Sequence[int], *names: str) -> list[np.random.Generator]:
        """A stream per chip, of these numbers."""
        return [streams.generator(seed, f"chip {chip}", *names) for chip in chips]


EXACT = Numerics()


def meet(operation: Operation, v: np.ndarray, w: np.ndarray, numerics: Numerics) -> tuple[np.ndarray, np.ndarray]:
    """Two values made to match: a single wire fans out, and a vector meets each vector of a bundle.

    Raises:
        TypeError: they do not match; nothing else is ever broadcast.
    """
    if v.ndim < w.ndim:
        v = v[:, :, None]
    elif w.ndim < v.ndim:
        w = w[:, :, None]
    if v.shape[-1] != w.shape[-1] and 1 not in (v.shape[-1], w.shape[-1]):
        raise TypeError(f"{operation.kind} of {v.shape[-1]} and {w.shape[-1]} wires")
    if v.shape[:2] != w.shape[:2]:
        raise TypeError(f"{operation.kind} of signals of {v.shape[:2]} and {w.shape[:2]} chips and sequences")
    return numerics.alike(operation, v, w) if operation.aligned else (v, w)
