"""Multipliers: programmed factors and biases, applied by analog circuits; those of a diagonal have errors inside."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge
from hwsim.accounts.memories import REGISTERS
from hwsim.accounts.memory import WEIGHTS
from hwsim.formats import Format
from hwsim.imperfection import Part
from hwsim.machine.holder import change_coefficients
from hwsim.machine.machine import vectors
from hwsim.machine.numerics import Primitive
from hwsim.machine.parameters import Coefficients
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Storage
from hwsim.operations import BY_KIND, Held, held
from hwsim.operations.kernels import compiled
from hwsim.records import Record
from hwsim.units.function import AnalogUnit, Bank, Circuits, Functions
from hwsim.units.unit import AnalogStage

# ---- options, and what an operation costs ------------------------------------------------------------------------


class Diagonals(BaseModel, extra="forbid"):
    """Multipliers by programmed factors, for diagonal recurrences: separate ones for λ, λ̄ and 1/λ̄."""

    forward: Annotated[AnalogUnit, Part("multipliers by λ"), Field(description="by λ")]
    transposed: Annotated[AnalogUnit, Part("multipliers by λ̄"), Field(description="by λ̄, the conjugate")]
    inverse: Annotated[AnalogUnit, Part("multipliers by 1/λ̄"), Field(description="by 1/λ̄")]


class Sharing(BaseModel, extra="forbid"):
    """Which multipliers of a diagonal recurrence are the same circuits, with the same frozen errors."""

    transposed: Annotated[Literal["own", "forward"], Field(description="λ̄: own, or those of λ read from behind")] = (
        "own"
    )
    inverse: Annotated[
        Literal["own", "transposed"], Field(description="1/λ̄: own, or those of λ̄ in a feedback loop")
    ] = "own"

    def multiplier(self, operation: Held) -> str:
        """The multipliers that carry out a diagonal operation."""
        shared = {"transposed": self.transposed, "inverse": self.inverse}.get(operation.multiplier or "", "own")
        if shared == "own":
            return operation.multiplier or ""
        return self.multiplier(held.conjugate_diagonal) if shared == "transposed" else shared


class MultiplierPrices:
    """What diagonal operations cost: four multiplications per mode by their multipliers, two additions."""

    def __init__(self, diagonals: Diagonals, functions: Functions, sharing: Sharing) -> None:
        self._diagonals, self._functions, self._sharing = diagonals, functions, sharing

    def charges(self, record: Record) -> list[Charge]:
        return self._functions.elementary(record, {"multiply": self._unit(record)})

    def seconds(self, record: Record) -> float:
        """All modes work at once, vectors one after another."""
        return prod(record.size[:-1]) * self._unit(record).time.value

    def _unit(self, record: Record) -> AnalogUnit:
        operation = BY_KIND[record.kind]
        assert isinstance(operation, Held)
        unit: AnalogUnit = getattr(self._diagonals, self._sharing.multiplier(operation))
        return unit


# ---- what it does to values --------------------------------------------------------------------------------------


@compiled
def pairs(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A 2 by 2 matrix for each mode: m `(chips, 4, N)` row by row, x `(chips, vectors, 2N)`."""
    chips, vectors, n = x.shape
    if m.shape != (chips, 4, n // 2) or n % 2:
        raise ValueError("coefficients do not match the signal")
    out = np.empty_like(x)
    for c in range(chips):
        for v in range(vectors):
            for i in range(n // 2):
                y, z = x[c, v, 2 * i], x[c, v, 2 * i + 1]
                out[c, v, 2 * i] = m[c, 0, i] * y + m[c, 1, i] * z
                out[c, v, 2 * i + 1] = m[c, 2, i] * y + m[c, 3, i] * z
    return out


ROTATE = Primitive(lambda matrices, v: pairs(matrices(), v), lambda expected, matrices, v: blank(v.shape, v.dtype))
"""A 2 by 2 matrix for each mode, applied to vectors `(chips, vectors, 2N)`."""


class Multipliers:
    """The circuits that apply coefficients, and the words that they multiply by or add.

    Attributes:
        owner: the coefficients whose circuits these are: their own, unless `sharing` says otherwise.
    """

    def __init__(
        self,
        machine: AnalogStage,
        coefficients: Coefficients,
        circuits: Circuits,
        options: tuple[Functions, Diagonals, Sharing],
        words: Format,
    ) -> None:
        self._machine, self._circuits, self._words = machine, circuits, words
        self._functions, self._diagonals, self._sharing = options
        self._of = coefficients
        self.owner = self._find_owner(coefficients)
        self._round = machine.numerics.rounding(words, machine.dtype)
        self._rotate = machine.numerics.run(ROTATE)
        self._known: tuple[np.ndarray, np.ndarray] | None = None
        if self.owner is coefficients:
            blank_words = machine.numerics.zeros((machine.chips, 1, coefficients.width), machine.dtype)
            name, width = coefficients.name, (coefficients.width,)
            coefficients.storage = Storage(
                machine, name, WEIGHTS, width, blank_words, shared=True, bits=words.bits, technology=REGISTERS
            )
        else:
            coefficients.storage = self.owner.storage

    def _find_owner(self, coefficients: Coefficients) -> Coefficients:
        partner, operation = coefficients.partner, coefficients.operation
        if partner is None or self._sharing.multiplier(operation) == operation.multiplier:
            return coefficients
        owner: Coefficients = partner.unit.owner
        return owner

    def program(self, coefficients: Coefficients, values: Signal | None) -> None:
        """Set the words that circuits multiply by, or add, in their own format."""
        if self.owner is not coefficients:
            return
        wanted = coefficients.trainable.master.load() if values is None else values
        coefficients.storage.port.overwrite(coefficients.storage, wanted, self._round)

    def pulse(self, coefficients: Coefficients, change: Signal, factor: float) -> None:
        """Change the master values at the end of the step, and set the words to them."""
        machine, words, trainable = self._machine, coefficients.storage, coefficients.trainable
        change_coefficients(coefficients, change, factor)

        def follow() -> None:
            new = trainable.master.value
            words.value = machine.numerics.copy(new) if self._round is None else self._round(new).astype(new.dtype)

        machine.note(machine.heads[words.port.stores], (0, 0, *words.size), (), words.name)
        machine.holdings.change_later(follow)

    takes_numbers = False
    """Whether operands that are numbers are given to it as such, for it to convert."""

    def wants(self, operation: Held, x: Signal) -> bool:
        """Whether it applies the coefficients to this signal; otherwise the digital unit does."""
        return operation is held.spread or x._analog or self.owner is not self._of

    def apply(self, operation: Held, coefficients: Coefficients, x: Signal) -> Signal:
        """The exact result of imperfect factors, or the other way round, made imperfect."""
        machine = self._machine
        head = machine.analog_heads[operation, self.owner.name]
        full_scale = machine.scales.of(head, (x,), coefficients.group)
        value = machine.compute(partial(self._values, operation, self.owner.unit.bank, full_scale), (x,))
        size = None if operation.size is None else operation.size(coefficients.shape, x._value.shape)
        return machine.emit_analog(head, value, (x._slot,), full_scale, size)

    def _values(self, operation: Held, bank: Bank, full_scale: Any, v: np.ndarray) -> np.ndarray:
        """The products of a signal, made imperfect by a bank of circuits."""
        if operation.multiplier is not None:
            value = self._rotate(self.mode_matrices, vectors(v)).reshape(v.shape)
        else:
            value = self._machine.functions[operation](self._of.storage.value, v)
        self._circuits.spoil(bank, value, full_scale)
        result: np.ndarray = value
        return result

    @property
    def bank(self) -> Bank:
        """The circuits; the frozen errors of a diagonal are inside its multipliers."""
        name, operation, width = self._of.name, self._of.operation, self._of.width
        bank = self._circuits.banks.get(name)
        if bank is not None:
            return bank
        if operation.multiplier is not None:
            return self._circuits.bank(
                name, name, (4, width // 2), getattr(self._diagonals, operation.multiplier), apply=False
            )
        assert operation.circuit is not None
        wires = width * (2 if operation is held.mode_gain else 1)
        return self._circuits.bank(name, name, (wires,), getattr(self._functions, operation.circuit))

    def mode_matrices(self) -> np.ndarray:
        """The 2 by 2 matrix that each mode's multipliers really apply, `(chips, 4, N)`."""
        words = self._of.storage.value
        if self._known is not None and self._known[0] is words:
            return self._known[1]
        m = np.ascontiguousarray(self._matrices(words), np.float32)
        self._known = words, m
        return m

    def _matrices(self, words: np.ndarray) -> np.ndarray:
        operation, of = self._of.operation, self._of.partner
        if self.owner is not self._of and of is not None:
            theirs: np.ndarray = of.unit.mode_matrices()
            if operation is held.conjugate_diagonal:
                return theirs[:, [0, 2, 1, 3]]
            a, b, c, d = theirs.swapaxes(0, 1)
            return np.stack([d, -b, -c, a], 1) / (a * d - b * c)[:, None]
        x, y = words[:, 0, ::2], words[:, 0, 1::2]
        y = -y if operation is held.conjugate_diagonal else y
        return np.stack([x, -y, y, x], 1) * self.bank.gains
