"""A chip with a host attached: states are recorded through converters, and backward passes are the host's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.accounts.memories import memory_of
from hwsim.machine.port import Port
from hwsim.machine.signal import Signal
from hwsim.machine.step import Step
from hwsim.machine.storage import Register
from hwsim.machines.chip import Chip
from hwsim.units.register import AnalogRegister


class HostedRegister(AnalogRegister):
    """An analog register that the host takes over when a backward pass starts with it, or stores into it."""

    def load(self, register: Register, age: int | None = None) -> Signal:
        host: Any = self.machine
        if not host.on_host:
            return super().load(register, age)
        if register.value is register.initial:
            return host.take_over(register).load(register, age)
        return host.digital(super().load(register, age))

    def clear(self, register: Register) -> None:
        host: Any = self.machine
        if host.on_host:
            host.take_over(register).clear(register)
        else:
            super().clear(register)

    def store(self, register: Register, x: Signal) -> None:
        host: Any = self.machine
        if host.on_host:
            host.take_over(register).store(register, x)
        else:
            super().store(register, x)


class HostedChip(Chip):
    """In backward passes all is digital, with the host's own weights; registers that they need move to the host."""

    needs_copy = True
    register_type = HostedRegister

    def __init__(self, options: Any, **made: Any) -> None:
        super().__init__(options, **made)
        self._chip_goes_back, self.backward_pass = self.backward_pass, self._backward_pass

    def take_over(self, register: Register) -> Port:
        """From now on the host keeps this register; states of the dynamics until the backward pass is over."""
        register.port = Port(self, memory_of(register.kind))
        return register.port

    def _backward_pass(self, name: str, part: range | None = None) -> Iterator[Step]:
        registers, done = self.holdings.registers(), self.sequencer.done
        self.on_host = True
        if done is not None and done[0] > self.sequencer.sweep_number:
            for register in registers:  # goes on within this pass or behind it; its first step moved them all
                if register.port.analog:
                    self.take_over(register)
        yield from self._chip_goes_back(name, part)
        self.on_host = False
        for register in registers:
            if register.resets:
                register.port = self.place_storage(register)
