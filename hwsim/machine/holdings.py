"""Holdings: all storages of a machine, by name, each charged to the memory ledger while it exists."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from hwsim.accounts.memory import BUFFERS, TAPE, Holding, MemoryLedger
from hwsim.errors import CausalityError
from hwsim.machine.port import Divergence
from hwsim.machine.stage import Stage
from hwsim.machine.storage import Accumulator, DelayLine, Entries, Register, Storage


class Holdings:
    """Charges storages from the moment they are made, and lets registers take what was stored at the end of a step.

    Attributes:
        storages: what is held, by name.
        lines: the delay lines among them.
        changes: how often a storage was made or given back.
        ledger: the memory ledger.
        divergence: where learning first failed, if it did.
        values: of storages that are to be made, by name, where a machine goes on from a snapshot.
    """

    def __init__(self, machine: Stage) -> None:
        self._machine = machine
        self.storages: dict[str, Storage] = {}
        self.lines: list[DelayLine] = []
        self.changes = 0
        self.ledger = MemoryLedger()
        self.divergence: Divergence | None = None
        self.values: dict[str, np.ndarray] = {}
        self._pending: list[tuple[Register, np.ndarray]] = []
        self._changes: list[Callable[[], None]] = []
        self._buffers = {"wires": 0, "operands": 0}
        self._registers: list[Register] | None = None

    def take(self, storage: Storage) -> None:
        """Charge a storage, and give it the port that moves its values.

        Raises:
            CausalityError: there is one of that name.
        """
        storage.port = self._machine.place_storage(storage)
        if storage.name in self.storages:
            raise CausalityError(f"{storage.name!r} exists already")
        bits, technology = self._machine.held_as(storage.kind)
        values = 0 if isinstance(storage, Entries) else prod(storage.size)
        if not storage.shared:
            values *= self._machine.parallel
        self.ledger.allocate(
            Holding(
                storage.name,
                storage.kind,
                values,
                storage.bits or bits,
                storage.technology or technology,
                values * storage.devices,
                storage.volatile,
            )
        )
        self.storages[storage.name] = storage
        self.changes, self._registers = self.changes + 1, None
        if isinstance(storage, DelayLine):
            self.lines.append(storage)

    def let_go(self, storage: Storage) -> None:
        """Give the memory of a storage back."""
        if self.storages.get(storage.name) is storage:
            del self.storages[storage.name]
            self.changes, self._registers = self.changes + 1, None
            if isinstance(storage, DelayLine):
                self.lines.remove(storage)
            self.ledger.release(storage.name)

    def restores(self, name: str) -> bool:
        """Whether a storage of this name, once it is made, has a value from a snapshot."""
        return name in self.values

    def restored(self, name: str, value: np.ndarray) -> np.ndarray:
        """The value that a storage starts with: its own, or the one that it had in a snapshot."""
        return self.values.pop(name, value)

    def accumulators(self) -> list[Accumulator]:
        """All sums that are held."""
        return [storage for storage in self.storages.values() if isinstance(storage, Accumulator)]

    def registers(self) -> list[Register]:
        """All registers that are held."""
        if self._registers is None:  # every step asks for them where they leak
            self._registers = [storage for storage in self.storages.values() if isinstance(storage, Register)]
        return self._registers

    # ---- from step to step -----------------------------------------------------------------------------------

    def settle_later(self, register: Register, value: np.ndarray) -> None:
        """Have `register` hold `value` from the end of this step."""
        register.pending = True
        self._pending.append((register, register.after(self._copied(value))))

    def change_later(self, change: Callable[[], None]) -> None:
        """Have weights change at the end of this step; one change after the other, in their order."""
        self._changes.append(change)

    def shift(self) -> None:
        """At the end of a step of a pass: zero goes into delay lines that nothing was stored into."""
        for line in self.lines:
            if not line.pending:
                line.clear()

    def _copied(self, value: np.ndarray) -> np.ndarray:
        return self._machine.numerics.copy(value) if self._machine.strict else value

    def settle(self) -> list[Register]:
        """At the end of a step: registers take what was stored into them; they are given back."""
        settled = []
        for register, value in self._pending:
            register.value, register.pending = value, False
            settled.append(register)
        self._pending.clear()
        for change in self._changes:
            change()
        self._changes.clear()
        return settled

    def reset(self) -> None:
        """At the start of the sequence: registers that reset hold their initial values."""
        for register in self.registers():
            if register.resets:
                register.value = register.initial

    def watch(self, register: Register, value: np.ndarray) -> None:
        """Note where a learning signal, a weight or an optimizer slot first becomes infinite or not a number."""
        machine = self._machine
        if self.divergence is None and not machine.numerics.finite(value):
            lost = ~np.isfinite(value)
            chips = tuple(int(chip) for chip in np.flatnonzero(lost.reshape(machine.chips, -1).any(1)))
            sequencer, wire = machine.sequencer, int(np.argwhere(lost)[0][-1])
            self.divergence = Divergence(sequencer.sweep_name, sequencer.step_index, register.name, wire, chips)

    # ---- what grows ------------------------------------------------------------------------------------------

    def grow(self, storage: Entries, entries: int) -> None:
        """Charge so many more entries of a tape or queue, or fewer."""
        values = entries * prod(storage.size) * self._machine.parallel
        (self.ledger.grow if values > 0 else self.ledger.shrink)(storage.name, abs(values))

    def repeat(self, growth: dict[str, int], times: int) -> None:
        """Charge what a step changed so many times more."""
        self.ledger.repeat(growth, times)
        for name, values in growth.items():
            storage = self.storages.get(name)
            if isinstance(storage, Entries):
                storage.leap(values * times // (prod(storage.size) * self._machine.parallel))

    def buffer(self, name: str, values: int, kind: str) -> None:
        """Keep as many buffers as the step that needs most of them.

        Args:
            name: `"wires"` for what is made and used within a step, `"operands"` for what waits for other steps.
            kind: a class of memory; buffers are held as that one is.
        """
        more = values - self._buffers[name]
        if more > 0:
            if not self._buffers[name]:
                self.ledger.allocate(Holding(name, BUFFERS, 0, *self._machine.held_as(kind), 0))
            self.ledger.grow(name, more * self._machine.parallel)
            self._buffers[name] = values

    def release(self) -> None:
        """Give back all that is still held: weights, optimizer slots, buffers."""
        for storage in list(self.storages.values()):
            storage.release()
        for name in self._buffers:
            if name in self.ledger.live:
                self.ledger.release(name)
            self._buffers[name] = 0


WIRES, OPERANDS = ("wires", BUFFERS), ("operands", TAPE)
"""Buffers, and the class of memory that each is held as."""
