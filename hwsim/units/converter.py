"""Converters between voltages and numbers, DAC and ADC: a uniform, mid-tread grid, clipped at its ends.

A converter adds no noise of its own: its errors are rounding, clipping and those of its circuit, in `levels.py`. The
unit that makes the signal has added its noise before: `output_noise` of tiles, `noise` of registers and of function
circuits.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hwsim.accounts.energy import Charge, charge
from hwsim.imperfection import Imperfection
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank, marked
from hwsim.machine.signal import Signal
from hwsim.operations import Operation, held, moves
from hwsim.operations.kernels import compiled
from hwsim.operations.noise import PerChip, of_chips
from hwsim.quantities import Constant, Energy, Time
from hwsim.records import Record
from hwsim.units.levels import Banks, Circuit
from hwsim.units.unit import AnalogStage, tally

# ---- options, and what a conversion costs ------------------------------------------------------------------------


def _whole(key: object) -> object:
    """Keys of documents are texts."""
    return int(key) if isinstance(key, str) and key.isdecimal() else key


Bits = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=24)]

FINEST = 24
"""The largest number of bits: steps are as fine as the numbers that signals are simulated with."""


def _coarser(bits: int) -> int | None:
    """The bits at which steps are twice as large."""
    return bits - 1 if bits > 2 else None


class Converter(BaseModel, extra="forbid"):
    """Digital-to-analog or analog-to-digital converters; each layer has a bank of them."""

    bits: Annotated[
        int,
        Imperfection("steps", lambda _: FINEST, _coarser, f"off: {FINEST} bits; doubled: one bit fewer", True),
        Field(ge=1, le=24, description="of its values; its time does not follow; 1 bit has the sign alone"),
    ]
    energy: Annotated[
        Constant[Energy] | None, Field(description="of one conversion; without it that of `energy_per_bits`")
    ] = None
    energy_per_bits: Annotated[
        dict[Bits, Constant[Energy]], Field(description="of one conversion, by the converter's bits")
    ] = {}
    time: Annotated[Constant[Time], Field(description="of one conversion")]
    shared_by: Annotated[int, Field(ge=1, description="wires that one converter serves, one after another")] = 1

    @model_validator(mode="after")
    def _has_an_energy(self) -> Self:
        if self.energy is None and self.bits not in self.energy_per_bits:
            listed = ", ".join(map(str, sorted(self.energy_per_bits))) or "none"
            raise ValueError(
                f"no energy is known of {self.bits} bits; energy_per_bits has {listed}; or give an energy of your own, "
                "with its source or assumed"
            )
        return self

    @property
    def conversion(self) -> Constant[Energy]:
        """The energy of one conversion."""
        return self.energy_per_bits[self.bits] if self.energy is None else self.energy

    def charges(self, record: Record) -> list[Charge]:
        """One conversion per wire."""
        return [charge(record.kind, prod(record.size), self.conversion)]

    def seconds(self, record: Record) -> float:
        """Wires that share a converter are converted one after another."""
        return prod(record.size[:-1]) * min(record.size[-1], self.shared_by) * self.time.value


class AnalogToDigital(Converter):
    """Analog-to-digital converters; each layer has a bank of them, and each side of tiles with their own."""

    circuit: Annotated[
        Circuit | None,
        Field(description="how converters differ from each other; without this key their levels are exact"),
    ] = None

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Exact converters are what they were before there was such a key."""
        data: dict[str, Any] = written(self)
        if self.circuit is None:
            data.pop("circuit", None)
        return data

    @model_validator(mode="after")
    def _circuit_fits(self) -> Self:
        if self.circuit is not None and self.circuit.kind == "ramp" and self.shared_by > 1:
            raise ValueError("a ramp serves all wires at once, with a comparator for each; take `shared_by: 1`")
        if self.circuit is not None and self.bits == 1 and self.circuit.mismatch:
            raise ValueError("converters of 1 bit are comparators: they have an offset, but no mismatch of levels")
        return self

    def seconds(self, record: Record) -> float:
        """Wires that share a converter come one after another; a ramp serves all wires."""
        if self.circuit is None or self.circuit.clock is None:
            return super().seconds(record)
        return prod(record.size[:-1]) * float(2**self.bits) * self.circuit.clock.value


# ---- what it does to values --------------------------------------------------------------------------------------


def step(bits: int | np.ndarray, full_scale: PerChip) -> PerChip:
    """The distance of neighbouring levels: 2^bits - 1 of them, symmetric about zero and including it.

    With the ends at levels, rounding before clipping and clipping before rounding give the same. One bit has the two
    ends alone.
    """
    if isinstance(bits, int) and bits == 1:
        return 2 * full_scale
    return 2 * full_scale / (2**bits - 2)


def convert(x: np.ndarray, delta: PerChip, full_scale: PerChip) -> tuple[np.ndarray, int]:
    """The nearest levels of a converter, and how many values lay beyond its ends.

    Args:
        x: an array of float32, whose first axis is that of chips if these differ.
        delta: the distance of levels.
        full_scale: the last level.
    """
    found: tuple[np.ndarray, int] = _convert(x, of_chips(delta), of_chips(full_scale))
    return found


@compiled
def _convert(x, delta, full_scale):  # type: ignore[no-untyped-def]
    out = np.empty(x.shape, x.dtype)  # in C order, whatever that of x is
    a, o, beyond = x.ravel(), out.ravel(), 0
    chips = max(delta.size, full_scale.size)
    share = a.size // chips
    for c in range(chips):
        step, last = delta[c % delta.size], full_scale[c % full_scale.size]
        inverse = np.float32(1) / step
        given, level = a[c * share : (c + 1) * share], o[c * share : (c + 1) * share]  # loops from 0 are vectorised
        for i in range(share):
            beyond += (given[i] > last) | (given[i] < -last)
            inside = min(max(given[i], -last), last)
            level[i] = min(max(np.rint(inside * inverse) * step, -last), last)  # the last level may round beyond
    return out, beyond


def signs(x: np.ndarray, full_scale: PerChip, reach: PerChip) -> tuple[np.ndarray, int]:
    """What converters of one bit give: full scale with the sign of each value, and that of zero is positive.

    Returns:
        Levels, and how many values lay beyond `reach` times full scale.
    """
    each, end = (np.asarray(number, x.dtype).reshape(-1, *[1] * (x.ndim - 1)) for number in (full_scale, reach))
    levels = np.where(np.isnan(x), x, np.where(x < 0, -each, each)).astype(x.dtype)
    return levels, int(np.count_nonzero(np.abs(x) > each * end))


def _expected(_: object, x: np.ndarray, delta: PerChip, full_scale: PerChip) -> tuple[np.ndarray, int]:
    levels = round(float(np.max(np.asarray(full_scale) / delta)))
    return marked(blank(x.shape, x.dtype), x, levels), 0


SIGNS = Primitive(signs, lambda _, x, *__: (marked(blank(x.shape, x.dtype), x, 0), 0))
CONVERT = Primitive(convert, _expected)


ADCS = moves.adc, moves.tile_adc, moves.part_adc


class Converters:
    """Brings signals into the other domain, once per step; the result is kept for the rest of the step."""

    def __init__(
        self,
        machine: AnalogStage,
        dac: int | np.ndarray,
        adc: int | np.ndarray,
        circuit: Circuit | None = None,
        shared_by: int = 1,
    ) -> None:
        self._banks = None if circuit is None else Banks(machine, circuit, adc, shared_by)
        self._machine, self._bits = machine, {moves.dac: dac} | dict.fromkeys(ADCS, adc)
        self._convert, self._signs = machine.numerics.run(CONVERT), machine.numerics.run(SIGNS)
        self._converted: list[Signal] = []

    def carry_out(self, operation: Operation, x: Signal, unit: str | None = None) -> Signal:
        """A signal in the other domain, by a converter of the layer, or by those of a tile."""
        if x._twin is not None:
            return x._twin
        machine, to_analog = self._machine, operation is moves.dac
        machine.see(x)  # refuses one of another step
        heads = machine.analog_heads if to_analog else machine.heads
        head = heads[operation if unit is None else (operation, unit)]
        full_scale = x._full_scale or machine.scales.of(head, (x,))
        shifts = not isinstance(full_scale, float)
        number = machine.one(moves.shift, x) if shifts and to_analog else x
        back = operation in ADCS[1:] and machine.head_of(x).kind == held.read_transposed.kind
        bank = f"{head.unit}, transposed" if back else head.unit
        value = machine.compute(partial(self._values, operation, head.unit, bank, full_scale), (number,))
        if to_analog:
            twin = machine.emit_analog(head, value, (number._slot,), full_scale)
            if machine.scales.measuring:
                machine.scales.look(number, full_scale)  # a number shows how far it is beyond full scale
        else:
            twin = machine.emit(head, value, (x._slot,))
            twin = machine.one(moves.shift, twin) if shifts else twin
        x._twin, twin._twin = twin, x
        self._converted.append(x)
        return twin

    def _values(self, operation: Operation, unit: str, bank: str, full_scale: Any, v: np.ndarray) -> np.ndarray:
        """Values on the levels of a converter."""
        limit, reach, bits = +full_scale, self._machine.reach, self._bits[operation]
        if self._banks is not None and operation is not moves.dac:
            value, beyond = self._banks.convert(bank, v, limit, reach)
        elif isinstance(bits, int) and bits == 1:
            value, beyond = self._signs(v, limit, reach)
        else:
            value, beyond = self._convert(v, step(bits, limit), reach * limit)
        tally(self._machine, "dac" if operation is moves.dac else "adc", unit, v.size, beyond)
        levels: np.ndarray = value
        return levels

    def voltages(self, v: np.ndarray, full_scale: Any) -> np.ndarray:
        """Numbers on the levels of a digital-to-analog converter."""
        bits, reach = self._bits[moves.dac], self._machine.reach
        if isinstance(bits, int) and bits == 1:
            found: np.ndarray = self._signs(v, full_scale, reach)[0]
        else:
            found = self._convert(v, step(bits, full_scale), reach * full_scale)[0]
        return found

    def received(self, inputs: np.ndarray, full_scale: float) -> np.ndarray:
        """Inputs on the levels of their converter, as they arrive from outside; of each chip if these differ.

        Args:
            inputs: `(steps, batch, n)`.

        Returns:
            The same, or `(steps, chips, batch, n)`.
        """
        bits, levels = np.atleast_1d(self._bits[moves.dac]).tolist(), dict[int, np.ndarray]()
        for each in bits:
            if each not in levels:
                one, ends = each == 1, (full_scale, 1.0) if each == 1 else (step(each, full_scale), full_scale)
                levels[each] = (self._signs if one else self._convert)(inputs, *ends)[0]
        return levels[bits[0]] if len(bits) == 1 else np.stack([levels[each] for each in bits], 1)

    def end_step(self) -> None:
        """Part signals from their twins: two that refer to each other would stay until garbage is collected."""
        for signal in self._converted:
            signal._twin = None
        self._converted.clear()


def better_digital(operands: tuple[Signal, ...]) -> bool:
    """Of two operands in different domains the one with fewer values is converted, the digital one if they are even."""
    if len(operands) != 2 or operands[0]._analog == operands[1]._analog:
        return False
    sizes = [x._value.size for x in operands]
    return sizes[0] < sizes[1] if operands[0]._analog else sizes[1] < sizes[0]
