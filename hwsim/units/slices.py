"""Weights whose bits are cut into slices: each cell holds some of the bits, on a column of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hwsim.errors import CapabilityError
from hwsim.imperfection import Imperfection
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import Expectations
from hwsim.physics import DataSheet
from hwsim.units.devices import BlankDevices, Devices
from hwsim.units.mapping import Mapping

FINEST = 24
"""The most bits of a weight: as many as the numbers that signals are simulated with have."""


STEPS = 50
"""Steps from zero to the largest weight of the machines that the default of `Expectations.written` was measured on."""


class Slices(BaseModel, extra="forbid"):
    """Cells of one weight on columns of their own, whose converted outputs are shifted and added."""

    cells: Annotated[int, Field(ge=2, description="of one weight, each on a column of its own")]
    bits: Annotated[int, Field(ge=1, description="of one cell; a cell has so many bits' states, evenly spaced")]
    full_scale: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="of the converter of a column where `tiles.inputs` are coded, in states of a cell whose input "
            "is at full scale; without this key the largest sum of a line, all of whose cells have their last state",
        ),
    ] = None

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Slices without such a key are what they were before there was one."""
        data: dict[str, Any] = written(self)
        if self.full_scale is None:
            data.pop("full_scale", None)
        return data

    @model_validator(mode="after")
    def _fits_a_number(self) -> Self:
        if self.cells * self.bits > FINEST:
            raise ValueError(f"{self.cells} cells of {self.bits} bits are more than {FINEST} bits of a weight")
        return self

    @property
    def most(self) -> int:
        """The largest step of a weight: 2^(cells · bits - 1) - 1."""
        return int(2 ** (self.cells * self.bits - 1)) - 1


def _finer(slices: Slices) -> Slices:
    return slices.model_copy(update={"cells": FINEST // slices.bits})


def _coarser(slices: Slices) -> Slices | None:
    return slices.model_copy(update={"cells": slices.cells - 1}) if slices.bits == 1 and slices.cells > 2 else None


STEPS_OF_WEIGHTS = Imperfection(
    "steps of weights in slices",
    _finer,
    _coarser,
    f"off: more cells, of at most {FINEST} bits together; doubled: one cell fewer, where cells have one bit",
)


@dataclass(frozen=True)
class Sliced(Mapping):
    """How weights are digits on cells, with an offset instead of a second device for negative ones.

    The step m of a weight, -M to M with M = 2^(nb - 1) - 1 for n cells of b bits, is held as m + 2^(nb - 1) = Σ_k d_k
    2^(bk). The cell of digit d_k conducts g_min + d_k s, with s the window of the sheet over 2^b - 1. Products with
    the offset are taken off as numbers (A. Shafiee et al., ISAAC, ISCA 2016, section V). With a `reach` beyond 1, the
    last cell has as many times the states.

    Attributes:
        slices: cells of a weight.
    """

    slices: Slices = field(kw_only=True)

    @property
    def levels(self) -> int:
        return self.slices.most

    @property
    def furthest(self) -> int:
        return max(1, floor(self.levels * self.reach))

    @property
    def offset(self) -> int:
        """What is added to the step of each weight."""
        return (self.levels + 1) * max(1, ceil(self.reach))

    @property
    def per_digit(self) -> float:
        """Conductance of one state of a cell, in siemens."""
        return self.sheet.window / (2**self.slices.bits - 1)

    @property
    def places(self) -> np.ndarray:
        """What a digit counts on each cell, in steps of the weight, from the least: 2^(bk)."""
        return 2.0 ** (self.slices.bits * np.arange(self.slices.cells))

    @property
    def step(self) -> float:
        """What one step of a weight is, in units of weights."""
        return self.w_max / self.levels

    def changed(self, change: float) -> float:
        """The share of cells whose digit changes, where steps of weights change by so much in the mean.

        A digit that counts p = 2^(bk) steps changes where a multiple of p is passed: with probability change / p. A
        change by many times p leaves each of the 2^b digits as likely: then the probability is 1 - 2^-b, the most.
        """
        return float(np.minimum(change / self.places, 1 - 2.0**-self.slices.bits).mean())

    def digits(self, steps: np.ndarray) -> np.ndarray:
        """The digits of weights at so many steps, `(cells, …)`."""
        code, bits = np.asarray(steps + self.offset, np.int64), self.slices.bits
        last = self.slices.cells - 1
        lower = [(code >> bits * k) & (2**bits - 1) for k in range(last)]
        return np.stack([*lower, code >> bits * last])

    def goal(self, part: np.ndarray) -> np.ndarray:
        """The target conductance of a cell with such digits, in siemens."""
        return np.asarray(self.sheet.conductance.min.value + part * self.per_digit)


class SlicedDevices(Devices):
    """The cells of one matrix on every chip, `(chips, cells, rows, columns)`, from the least digits to the greatest.

    Bits of inputs are applied one after another, and each column is converted before outputs are shifted and added.
    Where inputs are coded, that is carried out (`slice_reads`). Elsewhere converters are taken to resolve every sum of
    a column, as those of ISAAC do for ideal cells. Then the shifted sum is linear in what cells conduct,
    Σ_t 2^t Σ_k 2^(bk) Σ_j x_jt (g_kj - g_min) / s = Σ_j x_j Σ_k 2^(bk) (g_kj - g_min) / s,
    and one product with the composed weight has all of it. There, rounding of noisy sums to whole digits is left out,
    and noise of reads is that of one read of each cell, not of one for each bit of the inputs.
    """

    mapping: Sliced

    def _look(self) -> None:
        """There are no pairs."""

    def program(
        self, wanted: np.ndarray, before: np.ndarray, moved: np.ndarray, draws: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write the cells whose digit moved, the first time all of them; see `Devices.program`."""
        mapping, (chips, _, rows, columns) = self.mapping, self.conductance.shape
        steps = (np.rint(words.reshape(chips, rows, columns) / mapping.unit) for words in (wanted, before))
        wanted, before = steps
        first, digits = np.isnan(before), mapping.digits(wanted)
        changed = first | (digits != mapping.digits(np.where(first, 0, before)))
        changed = (changed & (moved.reshape(chips, rows, columns) != 0)).swapaxes(0, 1)
        digits = digits.swapaxes(0, 1)
        self._count_writes(changed)
        written, conductance = np.zeros(chips), np.zeros(chips)
        for chip, where in enumerate(changed):
            goal = self._reached(mapping.goal(digits[chip][where]), (chip, where))
            error = self._sheets[chip].programming_error(goal) * draws[chip].standard_normal(goal.size)
            self.conductance[chip][where] = np.maximum(goal + error, 0)
            self._rewritten((chip, where))
            written[chip], conductance[chip] = goal.size, goal.sum()
        self.refresh()
        return written, conductance

    def refresh(self) -> None:
        """Work out what a read needs, from the conductances."""
        if self.stuck is not None:
            self.stuck.hold(self.conductance, self.writes)
        mapping, least = self.mapping, self.mapping.sheet.conductance.min.value
        states = (self.conductance - least) / mapping.per_digit
        steps = np.einsum("k,ckij->cij", mapping.places, states) - mapping.offset
        self.weights = (steps * mapping.step).astype(np.float32)
        places = (mapping.places * mapping.step / mapping.per_digit) ** 2
        self.spread = np.einsum("k,ckij->cij", places, self.of_reads).astype(np.float32)
        self.noisy = bool(self.spread.any())
        self._seen = None
        total = self.conductance.sum(1)
        self._lines = {False: total.sum(1).astype(np.float32), True: total.sum(2).astype(np.float32)}

    @property
    def of_reads(self) -> np.ndarray:
        """The variance of each cell from one read to the next, in square siemens."""
        found = np.empty(self.conductance.shape)
        for chip, sheet in enumerate(self._sheets):
            chips = slice(chip, chip + 1)
            for cell in range(self.mapping.slices.cells):
                found[chips, cell] = self._read_error(sheet, chips, cell) ** 2
        return found

    def current(self, draws: Sequence[np.random.Generator]) -> np.ndarray:
        """Refused: one factor for outputs would scale the offset too.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(
            "deploy.compensation: one factor for all outputs does not undo the drift of weights in slices, whose "
            "offset does not drift; take `compensation: none`, or a machine without tiles.slices"
        )


class BlankSlicedDevices(BlankDevices):
    """Such cells, of which only the number is known, and what is expected of their digits."""

    mapping: Sliced

    def __init__(
        self, expected: Expectations, mapping: Sliced, conductance: np.ndarray, sheets: Sequence[DataSheet] = ()
    ) -> None:
        super().__init__(expected, mapping, conductance, sheets)
        self._typical = mapping.sheet.conductance.min.value + mapping.sheet.window / 2  # digits of either sign balance

    @property
    def _share(self) -> float:
        """How many of the cells an update writes.

        What is expected is the share in pairs of devices of `STEPS` steps. One device of a pair moves, so the weights
        change by 2 `written` of such steps in the mean.
        """
        return self.mapping.changed(2 * self.expected.written * self.mapping.levels / STEPS)


def no_pulses(matrix: str) -> CapabilityError:
    """Pulses of one device change one digit, which is not a step of the weight."""
    return CapabilityError(
        f"{matrix}: pulses that train devices in place change one digit of a weight, and weights here are in slices "
        "(tiles.slices); take `training.update: accumulate`, which programs them, or a machine without slices"
    )


def sliced(sheet: DataSheet, largest: float, weight_range: float, reach: float, slices: Slices) -> Sliced:
    """How cells hold weights up to `weight_range` times the largest; that one lies on a step."""
    steps = floor(slices.most / weight_range)
    most = slices.most / steps if steps else weight_range
    return Sliced(sheet, most * largest or 1.0, reach, slices=slices)


_PROGRAMMED = 50
"""Bytes that programming takes for a while, for each cell: digits, goals and errors, and what reads need."""

MAKE = Primitive(SlicedDevices, BlankSlicedDevices)
PROGRAM = Primitive(
    SlicedDevices.program,
    lambda expected, devices, *words: devices.program(*words),
    lambda written, devices, *words: _PROGRAMMED * devices.weights.size * devices.mapping.slices.cells,
)
