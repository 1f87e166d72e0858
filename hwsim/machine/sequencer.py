"""The sequencer: shows inputs in order, step by step and pass by pass, and lets nothing but storage outlive a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np

from hwsim.accounts.journal import PASS, PHASE, Journal, Mark
from hwsim.accounts.memory import BUFFERS, TAPE, Holding, MemoryLedger, most_buffered
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, CausalityError
from hwsim.machine.leaps import Leaps, rounds
from hwsim.machine.numerics import Numerics
from hwsim.machine.step import Step
from hwsim.machine.storage import Register, Storage, Tape
from hwsim.records import GRADIENT, INFERENCE, Entry, Head, Trace

_MACHINES = count()
OUTSIDE = "operations happen within a step of a pass, or in a phase"


class Snapshot(NamedTuple):
    """All that a machine holds at the end of a step, and where it stands: enough to go on from there."""

    batch: int
    sweep: int
    step: int
    values: dict[str, np.ndarray]


class Heads(dict[Any, Head]):
    """The heads of operations in one layer and for one purpose, made as they are met."""

    def __init__(self, make: Callable[[Any], Head]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Head:
        head = self[key] = self._make(key)
        return head


class _NoEntries(list[Entry]):
    """The records between steps: there are none, and every operation that would add one is refused."""

    def _refuse(self, *_: object) -> NoReturn:
        raise CausalityError(OUTSIDE)

    __len__ = append = _refuse


_NO_ENTRIES = _NoEntries()


class Part:
    """What the operations of a `with` block serve; afterwards it is what it was before."""

    __slots__ = ("_before", "_machine", "_now")

    def __init__(self, machine: Sequencer, layer: str, purpose: str) -> None:
        self._machine, self._now = machine, (layer, purpose)

    def __enter__(self) -> None:
        self._before = self._machine.serves
        self._machine.serve(*self._now)

    def __exit__(self, *exc: object) -> None:
        self._machine.serve(*self._before)


class Sequencer(ABC):
    """Runs passes and phases, keeps the journal and the memory ledger, and enforces time's direction.

    Attributes:
        chips: independent instances, simulated side by side.
        numerics: what its operations do to values.
        strict: overwrite every value with NaN when its step ends, so that one smuggled out poisons what uses it.
        journal, memory: what was done, and what is held.
        storages: what is held, by name.
        layer, purpose: what the operations that follow serve; entered into their records.
        after_step: called at the end of every step of a pass that is carried out.
        back_in_time: whether the pass under way goes from later steps to earlier ones.
        leaps: whether passes leap over steps that are like those before them.
    """

    addressable = True
    """Whether it offers a tape, which can be read in another order than it was written."""
    exact = False
    """Whether it computes in float64 without error, so that what it holds and does is what was meant."""
    parallel = 1
    """Sequences that are worked on at the same time, each with its own state."""

    def __init__(self, *, chips: int, seed: int, dtype: str, strict: bool, numerics: Numerics) -> None:
        self.chips, self.seed, self.strict, self.numerics = chips, seed, strict, numerics
        self.dtype = np.dtype(dtype)
        self.journal, self.memory = Journal(chips), MemoryLedger()
        self.storages: dict[str, Storage] = {}
        self._layer, self._purpose = "network", INFERENCE
        self._contexts: dict[tuple[str, str, bool], Heads] = {}
        self._in_pass = False
        self._enter_context()
        self.finishes, self.leaps = strict, not numerics.exact
        self.after_step: Callable[[], None] | None = None
        self.batch_number = self.sweep_number = 0
        self.sweep_name, self.step_index = "", -1
        self._episode: Episode | None = None
        self._kept: dict[str, Storage] = {}
        self.back_in_time = False
        self._shown_up_to, self._kept_from, self._shown, self._open = 0, 0, False, False
        self._now, self._clock = -1, next(_MACHINES) << 40  # no two machines share a moment
        self._steps_made: list[tuple[int, str, range]] = []
        self._entries: list[Entry] = _NO_ENTRIES
        self._activities: list[np.ndarray] = []
        self._pending: list[tuple[Register, np.ndarray]] = []
        self._made: list[np.ndarray] = []
        self._buffered, self._waiting = 0, 0
        self._swept: dict[int, Trace] = {}  # the traces of the pass under way
        self._length = 0
        self._snapshot: Snapshot | None = None

    # ---- what operations serve -------------------------------------------------------------------------------

    @property
    def layer(self) -> str:
        """The part of the network that the operations that follow serve."""
        return self._layer

    @property
    def purpose(self) -> str:
        """What the operations that follow are for."""
        return self._purpose

    def part(self, layer: str | None = None, purpose: str | None = None) -> Part:
        """Enter a layer, a purpose or both into the records of a block: `with machine.part("loss"): …`."""
        return Part(self, layer or self._layer, purpose or self._purpose)

    @property
    def serves(self) -> tuple[str, str]:
        """Layer and purpose of the operations that follow."""
        return self._layer, self._purpose

    def serve(self, layer: str, purpose: str) -> None:
        """Have the operations that follow serve a layer and a purpose; rules say `with machine.part(…)`."""
        self._layer, self._purpose = layer, purpose
        self._enter_context()

    def _enter_context(self) -> None:
        context = self._layer, self._purpose, self._in_pass
        heads = self._contexts.get(context)
        if heads is None:
            heads = self._contexts[context] = Heads(self.head)
        self._heads = heads

    # ---- showing an episode ----------------------------------------------------------------------------------

    @contextmanager
    def showing(self, episode: Episode) -> Iterator[None]:
        """Work on one batch of sequences; what is done inside is entered into the journal as one batch."""
        self.batch_number += 1
        self.sweep_number = self._shown_up_to = 0
        self.memory.moment = (1, 0)
        self._steps_made.clear()
        self._episode = episode
        self._inputs = self.received(self.numerics.shown(episode.inputs, self.dtype))
        self._targets = self.numerics.contiguous(episode.targets.swapaxes(0, 1), self.dtype)
        try:
            yield
            if self._open:
                raise CausalityError(f"{self.sweep_name!r} was left before its last step; a pass cannot be broken off")
            self.journal.close_batch(episode.batch)
        finally:
            self._episode, self._snapshot = None, None
            del self._inputs, self._targets

    @property
    def episode(self) -> Episode:
        if self._episode is None:
            raise CausalityError("no episode is being shown: use `with machine.showing(episode)`")
        return self._episode

    @property
    def batch(self) -> int:
        return self.episode.batch

    # ---- passes, phases, steps -------------------------------------------------------------------------------

    def forward_pass(self, name: str, part: range | None = None) -> Iterator[Step]:
        """The only way to see the input: every step of the sequence in order, from the first to the last.

        Args:
            part: only these steps. They follow what has been shown, or are part of it, in which case the input is shown
                again. A pass that begins with the first step resets registers; the others go on from where they are.
        """
        order = self._within(name, part)
        self._shown = order.start < self._shown_up_to
        if order.stop > self._shown_up_to:
            if order.start != self._shown_up_to:
                raise CausalityError(
                    f"pass {name!r} is over steps {order.start} to {order.stop - 1}, and the first one that has not "
                    f"been shown yet is {self._shown_up_to}"
                )
            self._shown_up_to = order.stop
        self._require_inputs(name, order)
        yield from self._sweep(name, order)

    def backward_pass(self, name: str, part: range | None = None) -> Iterator[Step]:
        """Every step from the last to the first, which needs a machine with addressable memory.

        Args:
            part: only these steps, a range in the order of time; they have been shown in forward passes.
        """
        self.require_addressable(f"the backward pass {name!r}")
        order = self._within(name, part)
        if order.stop > self._shown_up_to:
            raise CausalityError(
                f"pass {name!r} is over steps {order.start} to {order.stop - 1}, and only {self._shown_up_to} of them "
                "have been shown in a forward pass"
            )
        self._shown = True
        self._require_inputs(name, order)
        yield from self._sweep(name, order[::-1])

    def take_as_shown(self) -> None:
        """Have backward passes begin where they like; for looking at a run from outside."""
        self._shown_up_to = self.episode.steps

    def _within(self, name: str, part: range | None) -> range:
        """The steps of a pass in the order of time."""
        whole = range(self.episode.steps)
        if part is None:
            return whole
        if part.step != 1 or not part or part[0] not in whole or part[-1] not in whole:
            raise CausalityError(
                f"pass {name!r} over {part}: a part of the {len(whole)} steps, in their order, it is not"
            )
        return part

    def _require_inputs(self, name: str, order: range) -> None:
        if self._shown and ("input" not in self._kept or order.start < self._kept_from):
            raise CausalityError(
                f"pass {name!r} shows the input again, but it was not kept; open the workspace with keep_inputs, and "
                "before the input is shown"
            )

    def phase(self, name: str) -> Iterator[None]:
        """One step outside passes, without input: `for _ in machine.phase("update"): ...`."""
        self.sweep_number += 1
        if self._snapshot and (self._episode is None or self.sweep_number <= self._snapshot.sweep):
            return  # it was over when the snapshot was taken; what it set is restored
        self._open_sweep(name, PHASE)
        self._steps_made.append((self._clock + 1, name, range(1)))
        self._begin_step(0, 0)
        yield
        self._end_step()
        self._close_sweep()

    def _sweep(self, name: str, order: range) -> Iterator[Step]:
        self.sweep_number += 1
        self.back_in_time = order.step < 0
        done = 0
        if self._snapshot and self.sweep_number <= self._snapshot.sweep:
            done = len(order) if self.sweep_number < self._snapshot.sweep else order.index(self._snapshot.step) + 1
        if done == len(order):
            return
        if order.start == 0 and not self.back_in_time and not done:
            for storage in self.storages.values():
                if isinstance(storage, Register) and storage.resets:
                    storage.value = storage.initial
        self._open_sweep(name, PASS)
        self._length = len(order)
        self._steps_made.append((self._clock + 1, name, order[done:]))
        leaps = Leaps(self, order) if self.leaps else None
        position = done
        while position < len(order):
            self._begin_step(order[position], position)
            step = self.step(order[position], position == 0)
            yield step
            self._end_step()
            if self.after_step is not None:
                self.after_step()
            position += 1 if leaps is None else leaps.after(step, position)
        self._close_sweep()

    def rounds(self, parts: Sequence[range]) -> Iterator[range]:
        """Parts of the sequence, in the order in which each gets the same passes."""
        yield from rounds(self, parts) if self.leaps else parts

    def repeat(self, growth: dict[str, int], times: int) -> None:
        """Enter so many more steps like the last one, each of which changes what is held by `growth`."""
        self.journal.repeat(times)
        self._grow(growth, times)
        self._clock += times

    def repeat_round(self, begun: Mark, growth: dict[str, int], parts: Sequence[range]) -> None:
        """Enter the passes since `begun` for other parts as well, which change what is held by `growth` each."""
        passes = self.journal.since(begun)
        self.journal.repeat_since(begun, len(parts))
        self._grow(growth, len(parts))
        self._shown_up_to = max(self._shown_up_to, *(part.stop for part in parts))
        self.sweep_number += len(passes) * len(parts)

    def _grow(self, growth: dict[str, int], times: int) -> None:
        self.memory.repeat(growth, times)
        for name, values in growth.items():
            storage = self.storages.get(name)
            if isinstance(storage, Tape):
                storage.leap(values * times // (prod(storage.size) * self.parallel))

    def when(self, clock: int) -> str:
        """The step that a signal was made in, in words."""
        for first, name, order in reversed(self._steps_made):
            if clock >= first:
                return f"step {order[clock - first]} of {name!r}"
        return "an earlier batch"

    def _open_sweep(self, name: str, kind: str) -> None:
        if self._open:
            raise CausalityError(f"{name!r} begins before {self.sweep_name!r} is over, in its step {self.step_index}")
        self.sweep_name, self._in_pass, self._open = name, kind == PASS, True
        self._swept = {}
        self.journal.open_sweep(name, kind)

    def _close_sweep(self) -> None:
        self.journal.close_sweep()
        self._open = False
        self.memory.moment = (self.sweep_number + 1, 0)

    def _begin_step(self, index: int, position: int) -> None:
        if self._now >= 0:
            raise CausalityError(f"step {self.step_index} of {self.sweep_name!r} has not ended; passes do not nest")
        self._clock += 1
        self._now, self.step_index = self._clock, index
        self._layer, self._purpose = "network", INFERENCE
        self._enter_context()
        self._entries = []
        self.memory.moment = (self.sweep_number, position)

    def _end_step(self) -> None:
        known = len(self.journal.traces)
        number = self.journal.step(self._entries, self.activities(), self.step_index)
        if number == known and self._in_pass:  # phases stream through their unit
            self._buffer(most_buffered(self.journal.traces[number]))
        if self._in_pass:
            self._await(number)
        for register, value in self._pending:
            register.value, register.pending = value, False
        self._pending.clear()
        self._now, self._entries = -1, _NO_ENTRIES
        for value in self._made:
            self.numerics.spend(value)
        self._made.clear()

    def _buffer(self, values: int) -> None:
        """Keep as many buffers as the step with the most values on wires needs."""
        if values > self._buffered:
            if not self._buffered:
                self.memory.allocate(Holding("wires", BUFFERS, 0, *self.held_as(BUFFERS), 0))
            self.memory.grow("wires", (values - self._buffered) * self.parallel)
            self._buffered = values

    def _await(self, trace: int) -> None:
        """Keep the operands that wait for those of other steps, once a pass has shown how its steps depend."""
        fresh, position = trace not in self._swept, self.memory.moment[1]
        if fresh:
            self._swept[trace] = self.journal.traces[trace]
        if position and (fresh or position == 1):
            values = self.waiting_operands(self._swept, self._length)
            if values > self._waiting:
                if not self._waiting:
                    self.memory.allocate(Holding("operands", BUFFERS, 0, *self.held_as(TAPE), 0))
                self.memory.grow("operands", (values - self._waiting) * self.parallel)
                self._waiting = values

    # ---- storage ---------------------------------------------------------------------------------------------

    def hold(self, storage: Storage) -> None:
        """Charge a storage to the memory ledger."""
        storage.port = self.port_of(storage)
        if storage.name in self.storages:
            raise CausalityError(f"{storage.name!r} exists already")
        bits, technology = self.held_as(storage.kind)
        values = 0 if isinstance(storage, Tape) else prod(storage.size) * (1 if storage.shared else self.parallel)
        self.memory.allocate(
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

    def let_go(self, storage: Storage) -> None:
        if self.storages.get(storage.name) is storage:
            del self.storages[storage.name]
            self.memory.release(storage.name)

    def release(self) -> None:
        """Give back all that is still held: weights, optimizer slots, buffers. Nothing can be done with it any more."""
        for storage in list(self.storages.values()):
            storage.release()
        for name in ("wires", "operands"):
            if name in self.memory.live:
                self.memory.release(name)
        self._buffered = self._waiting = 0

    def require_addressable(self, what: str) -> None:
        if not self.addressable:
            raise CapabilityError(
                f"{what} needs past values in another order than they were made, and this machine has no addressable "
                "memory for state (no tape); run the rule on a digital machine or with a chip in the loop"
            )

    def require_phase(self, what: str) -> None:
        """Refuse what is done between passes only.

        Raises:
            CausalityError: no phase is under way.
        """
        if self._in_pass or self._now < 0:
            where = "and none is under way" if self._now < 0 else f"not within {self.sweep_name!r}"
            raise CausalityError(f"{what} between passes, in a phase only, {where}")

    def require_step(self, index: int, what: str) -> None:
        """Refuse to show what belongs to another step than the one under way.

        Raises:
            CausalityError: it does.
        """
        if index != self.step_index or not self._in_pass:
            now = f"step {self.step_index} of" if self._in_pass else "the phase"
            raise CausalityError(
                f"the {what} of step {index} was asked for in {now} {self.sweep_name!r}; each step shows its own"
            )

    @abstractmethod
    def step(self, index: int, begins: bool) -> Step:
        """What a rule sees of the step that begins, and perhaps with it a pass."""

    # ---- what kinds of machines decide -----------------------------------------------------------------------

    def activities(self) -> np.ndarray | None:
        """The measured activities of the step that ends, `(activities, chips)`; None where nothing is measured."""
        return None

    def held_as(self, kind: str) -> tuple[int, str]:
        """Bits of one number of a class of memory, and the technology that holds it."""
        return 8 * self.dtype.itemsize, "ideal"

    def port_of(self, storage: Storage) -> str:
        """The unit that moves values in and out of a storage."""
        return storage.name

    def waiting_operands(self, traces: dict[int, Trace], steps: int) -> int:
        """Values that wait for those of other steps in a pass, on machines whose products take many steps at once.

        Args:
            traces: of the pass, by their number.
            steps: of the pass.
        """
        return 0

    def head(self, key: str | tuple[str, str]) -> Head:
        """The head of operations of a kind, or of a kind at a named port, in the present layer and purpose."""
        kind, unit = (key, "ideal") if isinstance(key, str) else key
        purpose = GRADIENT if kind in ("accumulate", "outer") else self.purpose
        return Head(kind, unit, self.layer, purpose, str(self.dtype))

    def received(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs as they arrive from outside."""
        return inputs

    @property
    def input_bits(self) -> int | None:
        """Bits of one number of the input where it is kept; None for those of any other number."""
        return None

    # ---- snapshots -------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A copy of all that the memory ledger lists, and of where the machine stands. For `after_step`."""
        values = {name: storage.saved.copy() for name, storage in self.storages.items()}
        return Snapshot(self.batch_number, self.sweep_number, self.step_index, values)

    def resume(self, snapshot: Snapshot) -> None:
        """Have a new machine go on where another one stood. Call it before anything is built on the machine.

        Storages find their values in the snapshot as they are made; passes that were done yield nothing, and the one
        that was under way goes on after its last step.
        """
        self._snapshot = snapshot._replace(values=dict(snapshot.values))
        self.batch_number = snapshot.batch - 1

    def restored(self, name: str, value: np.ndarray) -> np.ndarray:
        """The value that a storage starts with: its own, or the one that it had in the snapshot."""
        return self._snapshot.values.pop(name, value) if self._snapshot else value
