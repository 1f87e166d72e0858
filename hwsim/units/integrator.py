"""Integrators: switched capacitors that take one Euler step at a time, those of states apart from those of errors.

At each step an integrator passes on a share of its input, a = dt/τ, as the ratio of two capacitors. What is made
differs from instance to instance in that ratio: its time constant is τ/(1 + m) in place of τ, with an m that is frozen.
States and what is integrated beside them (errors, products of Jacobians) have integrators of their own, with errors of
their own: where both disagree, errors are run along other dynamics than those of the state.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge, charge
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.operations import Operation
from hwsim.quantities import Constant, Energy, Time
from hwsim.records import Record
from hwsim.units.function import AnalogUnit, Bank, Circuits
from hwsim.units.ranges import FORWARD
from hwsim.units.unit import AnalogStage, Fraction


class Integrators(BaseModel, extra="forbid"):
    """Switched-capacitor integrators, one for each wire of a state and one for each wire of its errors."""

    energy: Annotated[Constant[Energy], Field(description="of one Euler step on one wire")]
    time: Annotated[Constant[Time], Field(description="of one Euler step, until it has settled")]
    mismatch: Annotated[
        Fraction,
        Field(
            description="frozen: standard deviation of 1/τ from instance to instance, as a share of it; states and "
            "errors have instances of their own"
        ),
    ] = 0.0
    noise: Annotated[Fraction, Field(description="fresh: added at each Euler step, as a share of full scale")] = 0.0

    def charges(self, record: Record) -> list[Charge]:
        """One Euler step on each wire."""
        return [charge("integrators", prod(record.size), self.energy)]

    def seconds(self, record: Record) -> float:
        """All wires step at once, vectors one after another."""
        return prod(record.size[:-1]) * self.time.value


def _stepped(bank: Bank, exact: Any, x: np.ndarray, dx: np.ndarray, a: float) -> np.ndarray:
    """x + a (1 + m) dx, for signals `(chips, batch, n)` or bundles `(chips, batch, k, n)`."""
    rates = bank.gains.reshape(len(bank.gains), *(1,) * (x.ndim - 2), -1)
    value: np.ndarray = exact(x, rates * dx, a)
    return value


STEP = Primitive(_stepped, lambda expected, bank, exact, x, dx, a: blank(x.shape, x.dtype))
"""One Euler step by a bank of integrators, before noise."""


class IntegratorCircuits:
    """Carries out Euler steps in the integrators of the layer that asks for them."""

    def __init__(self, machine: AnalogStage, options: Integrators, circuits: Circuits) -> None:
        self._machine, self._circuits = machine, circuits
        self._made_like = AnalogUnit.model_construct(
            energy=options.energy, time=options.time, mismatch=options.mismatch, gain_noise=0.0, noise=options.noise
        )
        self._step = machine.numerics.run(STEP)

    def carry_out(self, operation: Operation, operands: tuple[Signal, ...], constants: tuple[Any, ...]) -> Signal:
        """The Euler step of imperfect time constants, made noisy."""
        machine, layer = self._machine, self._machine.layer
        whose, width = "state" if machine.purpose in FORWARD else "error", operands[0]._value.shape[-1]
        name = f"{layer} {whose} integrators {width}"
        bank = self._circuits.bank((layer, "integrate", whose, width), name, (width,), self._made_like, apply=False)
        head = machine.analog_heads[operation, name]
        full_scale = machine.scales.of(head, operands)

        def values(x: np.ndarray, dx: np.ndarray, a: float) -> np.ndarray:
            value: np.ndarray = self._step(bank, machine.functions[operation], x, dx, a)
            self._circuits.spoil(bank, value, full_scale)
            return value

        value = machine.compute(values, operands, constants)
        return machine.emit_analog(head, value, tuple(x._slot for x in operands), full_scale)
