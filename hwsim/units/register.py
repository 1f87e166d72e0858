"""Analog registers: sample-and-hold circuits, with noise as they store and a leak as they hold."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, inf, log2, prod, sqrt
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge, charge
from hwsim.imperfection import Imperfection
from hwsim.machine.machine import vectors
from hwsim.machine.port import Port
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Register
from hwsim.operations import moves
from hwsim.operations.noise import PerChip
from hwsim.quantities import Constant, Energy, Time
from hwsim.records import Record
from hwsim.units.function import MAKE_BANK, SPOIL
from hwsim.units.unit import AnalogStage, Fraction, tally

LEAK = Imperfection(
    "leak",
    lambda retention: retention.model_copy(update={"value": inf}),
    lambda retention: retention.model_copy(update={"value": retention.value / 2}),
    "off: values are held for ever; doubled: half the retention",
    side_by_side=True,
)


class StateRegisters(BaseModel, extra="forbid"):
    """Analog sample-and-hold registers."""

    classes: Annotated[
        list[Literal["state", "learning state"]], Field(description="what is kept in them; the rest is digital")
    ] = ["state", "learning state"]
    energy: Annotated[Constant[Energy], Field(description="to store one value")]
    time: Annotated[Constant[Time], Field(description="to store one value")]
    noise: Annotated[Fraction, Field(description="fresh, at storing, as a share of full scale")] = 0.0
    retention: Annotated[
        Constant[Time] | None, LEAK, Field(description="time constant with which they leak; without one they do not")
    ] = None

    def charges(self, record: Record) -> list[Charge]:
        """One value per wire is stored; to load it costs nothing."""
        return [charge("analog registers", prod(record.size), self.energy)]

    def seconds(self, record: Record) -> float:
        """All wires at once, vectors one after another."""
        return prod(record.size[:-1]) * self.time.value


class Hold(NamedTuple):
    """How long values are held in a pass, in seconds: from step to step, and for each register from store to load."""

    period: float
    registers: Mapping[str, float]


class AnalogRegister(Port):
    """The circuits of one register: as many as it has values.

    Attributes:
        keeps_itself: whether the circuits that make a value keep it, such as neurons: then nothing is stored, and what
            they lose is what their equations say.
    """

    analog = True

    def __init__(
        self, machine: AnalogStage, register: Any, noise: PerChip, full_scale: Any, keeps_itself: bool = False
    ) -> None:
        super().__init__(machine, register.name)
        self.keeps_itself = keeps_itself
        if keeps_itself:
            self.stores = (moves.hold, register.name)
        self._machine, self._full_scale, run = machine, full_scale, machine.numerics.run
        self._bank = run(MAKE_BANK)(machine.seed, f"{register.name} store", machine.numbers, (), 0.0, 0.0, noise)
        self._spoil = run(SPOIL)

    @property
    def heads(self) -> Any:
        return self._machine.analog_heads

    def load(self, register: Register, age: int | None = None) -> Signal:
        machine, value = self._machine, self.read(register, age)
        if machine.strict:
            value = machine.numerics.copy(value)
        return machine.emit_analog(machine.analog_heads[self.loads], value, (register.name,), self._full_scale)

    def store(self, register: Register, x: Signal) -> None:
        super().store(register, self._machine.analog(x))

    def settle(self, register: Register, value: np.ndarray) -> None:
        """Have the register hold what its circuits make of a value."""
        machine = self._machine
        if self.keeps_itself:
            super().settle(register, value)
            return
        if register.watched:
            machine.holdings.watch(register, value)
        value, moment = machine.numerics.copy(value), machine.sequencer.moment(self._bank.source)
        beyond = self._spoil(self._bank, vectors(value), self._full_scale, moment, machine.reach)
        tally(machine, "analog", register.name, value.size, beyond)
        machine.holdings.settle_later(register, value)


def leak(registers: list[Register], settled: set[str], hold: Hold, retention: PerChip) -> None:
    """What analog registers lose from one step to the next.

    Args:
        settled: names of those that were stored in the step.
        retention: time constant, one for all chips or one for each.
    """
    times, left = np.atleast_1d(retention).tolist(), dict[float, np.ndarray]()
    for register in registers:
        if register.port.analog and not register.port.keeps_itself:
            held = hold.registers.get(register.name, hold.period) if register.name in settled else hold.period
            if held not in left:
                left[held] = np.array([exp(-held / each) for each in times], np.float32)
            register.value = register.value * left[held].reshape(-1, *[1] * (register.value.ndim - 1))


def effective_bits(noise: float) -> int | None:
    """The bits of an ideal quantiser that is as noisy: log2(2 / (σ √12)) for σ as a share of full scale.

    None without noise.
    """
    return round(log2(2 / (noise * sqrt(12)))) if noise else None
