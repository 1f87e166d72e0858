"""Shapes instead of numbers: operations find the shape of their result and nothing else, so costs need no values.

Arrays are views of one zero, whatever their shape: they take no memory, and nothing can be written into them. What
costs depend on besides shapes, the activities of crossbar tiles, is expected rather than measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from hwsim.errors import MemoryEstimateError
from hwsim.formats import Format
from hwsim.initial import Initial
from hwsim.machine.numerics import Numerics, Primitive
from hwsim.operations import Operation
from hwsim.operations.sparse import Connected
from hwsim.records import Shape

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Expectations(BaseModel, extra="forbid", frozen=True):
    """What is expected of values, where energy depends on them.

    The defaults are assumed, after runs of the shipped machines in the middle of training: the digits and the adding
    task showed inputs of 0.20 to 0.23, states and errors of 0.0003 to 0.015, conductances of 0.11 to 0.17, and wrote
    1 to 7 % of the devices in an update. Products of errors and signals were 0.01 to 0.08 where devices are pulsed, and
    weights of fast arrays 0.1 to 0.2. Spikes are those of 10 Hz at steps of 1 ms, the rate that Bellec et al. (Nat.
    Commun. 11:3625, 2020) regularise towards.
    """

    input: Annotated[
        Fraction, Field(description="mean square of the inputs that tiles read, as a share of full scale squared")
    ] = 0.2
    input_size: Annotated[
        Fraction,
        Field(
            description="mean size of these inputs, as a share of full scale; it is from their mean square to the root "
            "of that, and taken to be the nearer of both if it is not"
        ),
    ] = 0.3
    signal: Annotated[Fraction, Field(description="mean square of all else that tiles read: states and errors")] = 0.004
    conductance: Annotated[Fraction, Field(description="mean conductance of devices, as a share of their range")] = 0.15
    written: Annotated[Fraction, Field(description="share of the devices that an update programs")] = 0.05
    outer: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="mean size of the products of an error and a signal that pulses of weights are made of, per "
            "weight and step, in the network's numbers",
        ),
    ] = 0.015
    outer_readout: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="the same for weights of readouts")
    ] = 0.08
    fast: Annotated[
        Fraction, Field(description="root mean square of the weights of fast arrays, as a share of their largest")
    ] = 0.15
    spikes: Annotated[Fraction, Field(description="share of spiking neurons that fire in a step")] = 0.01

    @property
    def mean_input(self) -> float:
        """The mean size of inputs, as far as their mean square allows it."""
        return min(max(self.input_size, self.input), self.input**0.5)

    @property
    def of_input(self) -> tuple[float, float]:
        """The largest input, and the share of inputs that are not 0, if these are uniform from 0 to the largest."""
        if not self.input:
            return 1.0, 0.0
        end = min(1.5 * self.input / self.mean_input, 1.0)
        return end, min(2 * self.mean_input / end, 1.0)


_ZERO = bytes(16)
_ARRAYS = np.ndarray, Connected


def blank(shape: Shape, dtype: Any = np.float32) -> np.ndarray:
    """An array of zeros that takes no memory and cannot be written.

    Raises:
        MemoryEstimateError: no array has so many entries.
    """
    try:
        return np.ndarray(shape, dtype, _ZERO, 0, (0,) * len(shape))
    except ValueError as error:
        if "too big" not in str(error):
            raise
        size = " by ".join(map(str, shape))
        raise MemoryEstimateError(f"values of {size} are larger than any memory; take a smaller network") from None


class Marked(np.ndarray):
    """An array of which more is known than its shape; views of it know the same.

    Attributes:
        levels: of either sign that its values are on, without 0; no others than the two ends if it is 0.
    """

    levels: int | None = None

    def __array_finalize__(self, of: Any) -> None:
        self.levels = getattr(of, "levels", None)


class Shown(Marked):
    """An array of inputs: of these other values are expected than of states and errors."""


def levels_of(v: np.ndarray) -> int | None:
    """The levels of either sign that values are on; None if that is not known."""
    return v.levels if isinstance(v, Marked) else None


def marked(array: np.ndarray, of: np.ndarray, levels: int | None = None) -> np.ndarray:
    """An array of which the same is known as of another one, or other levels."""
    if levels is None:
        levels = levels_of(of)
    kind = type(of) if isinstance(of, Marked) else Marked if levels is not None else np.ndarray
    found = array.view(kind)
    if isinstance(found, Marked):
        found.levels = levels
    return found


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


class Shapes(Numerics):
    """The shape of what each operation gives.

    Attributes:
        expected: what is expected of values, where energy depends on them.
    """

    exact = False

    def __init__(self, expected: Expectations | None = None) -> None:
        super().__init__()
        self.expected = expected or Expectations()

    def computing(self, operation: Operation) -> Callable[..., Any]:
        def shaped(*operands: Any) -> Any:
            dtype = next(operand.dtype for operand in reversed(operands) if isinstance(operand, _ARRAYS))
            results = tuple(blank(shape, dtype) for shape in operation.shapes(*operands))
            return results[0] if operation.second is None else results

        return shaped

    def run(self, primitive: Primitive) -> Callable[..., Any]:
        return partial(primitive.blank, self.expected)

    def alike(self, operation: Operation, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return v, w

    # ---- storages and parameters -----------------------------------------------------------------------------

    def zeros(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        return blank(shape, dtype)

    def unknown(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        return blank(shape, dtype)

    def copy(self, v: np.ndarray) -> np.ndarray:
        return blank(v.shape, v.dtype)

    def beside(self, v: np.ndarray, chips: int) -> np.ndarray:
        return marked(blank((chips, *v.shape), v.dtype), v)

    def spend(self, v: np.ndarray) -> None:
        pass

    def contiguous(self, v: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
        return marked(blank(v.shape, dtype or v.dtype), v)

    def shown(self, inputs: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return blank(inputs.swapaxes(0, 1).shape, dtype).view(Shown)

    def drawn(self, initial: Initial) -> np.ndarray:
        return blank(initial.shape, float)

    def largest(self, v: np.ndarray, initial: Initial) -> float:
        return 1.0 if initial.largest is None else initial.largest

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

    def add_sparse_outer(
        self, sums: np.ndarray, places: np.ndarray, v: np.ndarray, w: np.ndarray, columns: int
    ) -> None:
        pass

    def change(self, sums: np.ndarray, factor: float, pulses: Any) -> np.ndarray:
        return blank(sums.shape, sums.dtype)

    def changed(self, v: np.ndarray, change: np.ndarray, rounding: Any) -> np.ndarray:
        return blank(v.shape, v.dtype)

    def finite(self, v: np.ndarray) -> bool:
        return True

    def rounding(self, format: Format, dtype: np.dtype) -> None:  # noqa: A002
        return None

    def generators(self, seed: int, chips: Sequence[int], *names: str) -> list[np.random.Generator]:
        return []
