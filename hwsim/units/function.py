"""Function circuits: analog arithmetic on signals, one instance per wire, with frozen gain errors and fresh noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Annotated, Any, Protocol

import numpy as np
from pydantic import BaseModel, Field

from hwsim import streams
from hwsim.accounts.energy import Charge, charge
from hwsim.imperfection import Part
from hwsim.machine.machine import vectors
from hwsim.machine.numerics import Primitive, meet
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.operations import BY_KIND, Binary, Operation
from hwsim.operations.noise import NO_GAIN, Moment, PerChip, Source, perturb
from hwsim.quantities import Constant, Energy, Time
from hwsim.records import Record
from hwsim.units.ranges import widest
from hwsim.units.unit import AnalogStage, Fraction, tally

# ---- options, and what an operation costs ------------------------------------------------------------------------


class AnalogUnit(BaseModel, extra="forbid"):
    """One kind of analog circuit, one instance for each wire."""

    energy: Annotated[Constant[Energy], Field(description="of one operation on one wire")]
    time: Annotated[Constant[Time], Field(description="until it has settled")]
    mismatch: Annotated[
        Fraction, Field(description="frozen: standard deviation of its gain from instance to instance")
    ] = 0.0
    gain_noise: Annotated[Fraction, Field(description="fresh: standard deviation of its gain from use to use")] = 0.0
    noise: Annotated[Fraction, Field(description="fresh: added to each output, as a share of full scale")] = 0.0


class Imperfect(Protocol):
    """What says how far circuits are off."""

    @property
    def mismatch(self) -> float: ...
    @property
    def gain_noise(self) -> float: ...
    @property
    def noise(self) -> float: ...


class Functions(BaseModel, extra="forbid", title="Function circuits"):
    """Analog circuits for arithmetic on signals."""

    add: Annotated[AnalogUnit, Part("adders"), Field(description="sums, differences and biases")]
    multiply: Annotated[AnalogUnit, Part("multipliers of signals"), Field(description="products and gains")]
    tanh: Annotated[AnalogUnit, Part("tanh circuits"), Field(description="tanh and its slope")]
    compare: Annotated[AnalogUnit, Part("comparators"), Field(description="relu, and what gates its errors")]

    def charges(self, record: Record) -> list[Charge]:
        """Counts of elementary operations, each by its own circuit."""
        return self.elementary(record, {})

    def elementary(self, record: Record, others: dict[str, AnalogUnit]) -> list[Charge]:
        """The same, where circuits of `others` carry some of the elementary operations out."""
        return [
            charge(f"analog {name}", count, (others.get(name) or getattr(self, name)).energy)
            for name, count in BY_KIND[record.kind].work(record.size).items()
        ]

    def seconds(self, record: Record) -> float:
        """All wires work at once, vectors one after another."""
        circuit = BY_KIND[record.kind].circuit
        if circuit is None:
            return 0.0
        unit: AnalogUnit = getattr(self, circuit)
        return prod(record.size[:-1]) * unit.time.value


class Wiring:
    """Wires of analog signals in another order, or the two of each differential pair swapped: exact, and free."""

    def __init__(self, machine: AnalogStage) -> None:
        self._machine = machine

    def carry_out(self, operation: Operation, operands: tuple[Signal, ...], constants: tuple[Any, ...]) -> Signal:
        machine = self._machine
        value = machine.compute(machine.functions[operation], operands, constants)
        full_scale = widest([x._full_scale for x in operands])
        reads = tuple(x._slot for x in operands)
        return machine.emit_analog(machine.analog_heads[operation], value, reads, full_scale)


# ---- what it does to values --------------------------------------------------------------------------------------


class Bank:
    """What leaves an analog circuit is off by a gain that is frozen, and by noise that is fresh at each use.

    Attributes:
        gains: frozen gain of each instance on each chip, `(chips, *instances)`; its stream has the name of the bank.
        source: streams of fresh noise.

    Args:
        mismatch: standard deviation of the frozen gains.
        gain_noise: standard deviation of the gain from use to use.
        noise: standard deviation of what is added, as a share of full scale.
        apply: whether the frozen gains are applied to the outputs; otherwise they are inside what makes them.
    """

    def __init__(
        self,
        seed: int,
        name: str,
        chips: int | Sequence[int],
        instances: tuple[int, ...],
        mismatch: PerChip,
        gain_noise: PerChip,
        noise: PerChip,
        apply: bool = True,
    ) -> None:
        numbers = streams.numbered(chips)
        self.gains = np.ones((len(numbers), *instances), np.float32)
        for place, deviation in enumerate(np.broadcast_to(mismatch, len(numbers)).tolist()):
            if deviation:
                draws = streams.generator(seed, f"chip {numbers[place]}", name, "frozen").standard_normal(instances)
                self.gains[place] = 1 + deviation * draws
        self.name, self.source = name, Source(seed, name, chips)
        self._gain = self.gains if apply and np.any(mismatch) else NO_GAIN
        self._gain_noise, self._noise = gain_noise, noise

    def spoil(self, values: np.ndarray, full_scale: Any, moment: Moment, reach: PerChip = 1.0) -> int:
        """Make outputs `(chips, vectors, n)` imperfect, in place; returns how many of them saturate.

        Args:
            reach: where they saturate, in multiples of full scale.
        """
        stream = self.source.keys, moment
        return perturb(values, self._gain, self._noise, self._gain_noise, reach, +full_scale, *stream)


class BlankBank:
    """A bank of which only the size is known."""

    def __init__(self, seed: int, name: str, chips: int | Sequence[int], instances: tuple[int, ...]) -> None:
        self.name, self.source = name, Source(seed, name, chips)
        self.gains = blank((len(streams.numbered(chips)), *instances))


_STREAM = 128
"""Bytes of a chip's draws besides their numbers."""


def _made(expected: Any, seed: int, name: str, chips: Any, instances: tuple[int, ...], *errors: Any) -> BlankBank:
    return BlankBank(seed, name, chips, instances)


MAKE_BANK = Primitive(Bank, _made)
SPOIL = Primitive(Bank.spoil, lambda expected, bank, *values: 0)
GAINS = Primitive(
    lambda bank: bank.gains,
    lambda expected, bank: bank.gains,
    # draws of one chip, and the same scaled, in float64
    lambda gains, bank: 4 * gains[0].nbytes + _STREAM,
    lasting=True,
)


class Circuits:
    """Banks of analog circuits of a machine, made when they are first used."""

    def __init__(self, machine: AnalogStage, seed: int) -> None:
        self._machine, self._seed = machine, seed
        self._make, self._gains = machine.numerics.run(MAKE_BANK), machine.numerics.run(GAINS)
        self._spoil = machine.numerics.run(SPOIL)
        self.banks: dict[Any, Bank] = {}

    def bank(self, key: Any, name: str, instances: tuple[int, ...], unit: Imperfect, apply: bool = True) -> Bank:
        """The bank of that key, or a new one with the errors of `unit`."""
        bank: Bank | None = self.banks.get(key)
        if bank is None:
            errors = unit.mismatch, unit.gain_noise, unit.noise
            bank = self._make(self._seed, name, self._machine.numbers, instances, *errors, apply)
            self._gains(bank)
            self.banks[key] = bank
        return bank

    def spoil(self, bank: Bank, values: np.ndarray, full_scale: Any) -> None:
        """Make outputs of a bank imperfect, in place."""
        machine = self._machine
        moment = machine.sequencer.moment(bank.source)
        beyond = self._spoil(bank, vectors(values), full_scale, moment, machine.reach)
        tally(machine, "analog", bank.name, values.size, beyond)


class FunctionCircuits:
    """Carries out elementwise operations in the analog circuits of the layer that asks for them."""

    def __init__(self, machine: AnalogStage, options: Functions, circuits: Circuits) -> None:
        self._machine, self._options, self._circuits = machine, options, circuits

    def carry_out(self, operation: Operation, operands: tuple[Signal, ...], constants: tuple[Any, ...]) -> Signal:
        """The exact result, made imperfect."""
        machine, circuit, layer = self._machine, operation.circuit, self._machine.layer
        assert circuit is not None
        width = max(x._value.shape[-1] for x in operands)
        bank = self._circuits.banks.get((layer, circuit, width))
        if bank is None:
            name, unit = f"{layer} {circuit} {width}", getattr(self._options, circuit)
            bank = self._circuits.bank((layer, circuit, width), name, (width,), unit)
        head = machine.analog_heads[operation, bank.name]
        full_scale = machine.scales.of(head, operands)
        value = machine.compute(partial(self._values, operation, bank, full_scale), operands, constants)
        return machine.emit_analog(head, value, tuple(x._slot for x in operands), full_scale)

    def _values(self, operation: Operation, bank: Bank, full_scale: Any, *operands: Any) -> np.ndarray:
        """The result, made imperfect by a bank of circuits."""
        machine = self._machine
        if len(operands) == 2 and isinstance(operation, Binary) and operands[0].shape != operands[1].shape:
            operands = meet(operation, *operands, machine.numerics)
        value: np.ndarray = machine.functions[operation](*operands)
        self._circuits.spoil(bank, value, full_scale)
        return value
