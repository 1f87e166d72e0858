"""The sequencer: goes through inputs in order, step by step and pass by pass; nothing but storage outlives a step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import numpy as np

from hwsim.accounts.journal import PASS, PHASE, Entered, Journal, Standing
from hwsim.accounts.memory import most_buffered
from hwsim.accounts.runs import Runs
from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine.captured import Aside
from hwsim.machine.holdings import OPERANDS, WIRES
from hwsim.machine.presenter import NOTHING_SHOWN, Presenter
from hwsim.machine.routines import Routines
from hwsim.machine.skipping import Skips, rounds
from hwsim.machine.stage import Stage
from hwsim.machine.step import Step
from hwsim.machine.storage import require_addressable
from hwsim.operations.noise import Moment, Source
from hwsim.records import Entry, Trace

_MACHINES = count()


class Draws:
    """Standard normal numbers from a named stream, at the step in which they are asked for; equal if the name is."""

    def __init__(self, sequencer: Sequencer, name: str) -> None:
        self._sequencer, self._name = sequencer, name

    def __call__(self, numbers: int) -> np.ndarray:
        """So many per chip."""
        source = self._sequencer.source(self._name)
        return source.draw(numbers, self._sequencer.moment(source))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Draws) and (self._sequencer, self._name) == (other._sequencer, other._name)

    def __hash__(self) -> int:
        return hash(self._name)


class Sequencer:
    """Runs passes and phases, keeps the journal, and enforces time's direction.

    Attributes:
        journal: what was done.
        clock: of the step under way, or of the last one; no two machines share one.
        batch_number, sweep_number: passes and phases of a batch are its sweeps; both count from 1.
        sweep_name, step_index: where it stands.
        in_pass: whether the step under way is one of a pass, not a phase.
        shown_up_to: steps of the sequence that have been shown.
        after_step: called at the end of every step of a pass that is carried out.
        skips: whether passes skip steps that are like those before them.
        done: the sweep, and the step in it, up to which all was done before; nothing of it is carried out again.
    """

    def __init__(self, machine: Stage, skips: bool) -> None:
        self._machine, self.skips = machine, skips
        self.journal = Journal(machine.chips)
        self.presenter, self.routines = Presenter(machine), Routines(machine)
        self.after_step: Callable[[], None] | None = None
        self.batch_number = self.sweep_number = self.shown_up_to = 0
        self.sweep_name, self.step_index = "", -1
        self.in_pass, self._open, self._inside = False, False, False
        self.clock = next(_MACHINES) << 40
        self.done: tuple[int, int] | None = None
        self._steps_made: list[tuple[int, str, range]] = []
        self._swept: dict[int, Trace] = {}  # the traces of the pass under way
        self._length = 0
        self._waiting: dict[tuple[int, ...], int] = {}  # operands, by the length of a pass and its traces so far
        self._sources: dict[str, Source] = {}

    # ---- an episode ------------------------------------------------------------------------------------------

    @contextmanager
    def showing(self, episode: Episode, routine: Hashable = None) -> Iterator[None]:
        """Work on one batch of sequences; what is done inside is entered into the journal as one batch.

        Args:
            routine: names what will be done. Batches of one routine are gone through in the same way, pass by pass and
                step by step, so most steps of later ones are carried out from the records of those before them.
        """
        self.batch_number += 1
        self.sweep_number = self.shown_up_to = 0
        self._machine.holdings.ledger.moment = (1, 0)
        self._steps_made.clear()
        kind = episode.masked, episode.carries, episode.continues, episode.free_from
        looks = routine, episode.steps, episode.loss_from, episode.batch, *kind
        captures = routine is not None and not self.skips and self.done is None
        self.routines.begin(looks if captures else None)
        try:
            with self.presenter.showing(episode):
                yield
                if self._open:
                    raise CausalityError(
                        f"{self.sweep_name!r} was left before its last step; a pass cannot be broken off"
                    )
                self.journal.close_batch(episode.batch)
                self.routines.end()
        finally:
            self.done = None

    @contextmanager
    def watching(self, look: Callable[[], None] | None) -> Iterator[None]:
        """While it is entered, `look` is called at the end of every step of a pass that is carried out."""
        before, self.after_step = self.after_step, look
        try:
            yield
        finally:
            self.after_step = before

    # ---- passes and phases -----------------------------------------------------------------------------------

    def forward_pass(self, name: str, part: range | None = None, beyond: int = 0) -> Iterator[Step]:
        """The only way to see the input: every step of the sequence in order, from the first to the last.

        Args:
            part: only these steps. They follow what has been shown, or are part of it, in which case the input is shown
                again. A pass that begins with the first step resets registers; the others go on from where they are.
            beyond: steps behind the end of the input, which have none: `step.beyond` says so.
        """
        order = self._within(name, part)
        self.presenter.again = order.start < self.shown_up_to
        if order.stop > self.shown_up_to:
            if order.start != self.shown_up_to:
                raise CausalityError(
                    f"pass {name!r} is over steps {order.start} to {order.stop - 1}, and the first one that has not "
                    f"been shown yet is {self.shown_up_to}"
                )
            self.shown_up_to = order.stop
        self.presenter.require_inputs(name, order)
        if beyond and (beyond < 0 or order.stop < self._machine.episode.steps):
            raise CausalityError(
                f"pass {name!r} ends with step {order.stop - 1} of {self._machine.episode.steps}; it cannot go on for "
                f"{beyond} steps beyond the input"
            )
        yield from self._sweep(name, order, beyond)

    def backward_pass(self, name: str, part: range | None = None) -> Iterator[Step]:
        """Every step from the last to the first, which needs a machine with addressable memory.

        Args:
            part: only these steps, a range in the order of time; they have been shown in forward passes.
        """
        require_addressable(self._machine, f"the backward pass {name!r}")
        order = self._within(name, part)
        if order.stop > self.shown_up_to:
            raise CausalityError(
                f"pass {name!r} is over steps {order.start} to {order.stop - 1}, and only {self.shown_up_to} of them "
                "have been shown in a forward pass"
            )
        self.presenter.again = True
        self.presenter.require_inputs(name, order)
        yield from self._sweep(name, order[::-1])

    def phase(self, name: str) -> Iterator[None]:
        """One step outside passes, without input: `for _ in machine.phase("update"): ...`."""
        self.sweep_number += 1
        if self.done and (self._machine.episode is NOTHING_SHOWN or self.sweep_number <= self.done[0]):
            return  # it was over when the snapshot was taken; what it set is restored
        self._open_sweep(name, PHASE)
        self._steps_made.append((self.clock + 1, name, range(1)))
        self._begin_step(0, 0)
        yield
        self._end_step()
        self._close_sweep()

    def rounds(self, parts: Sequence[range]) -> Iterator[range]:
        """Parts of the sequence, in the order in which each gets the same passes."""
        yield from rounds(self._machine, parts) if self.skips else parts

    def _within(self, name: str, part: range | None) -> range:
        """The steps of a pass in the order of time."""
        whole = range(self._machine.episode.steps)
        if part is None:
            return whole
        if part.step != 1 or not part or part[0] not in whole or part[-1] not in whole:
            raise CausalityError(
                f"pass {name!r} over {part}: a part of the {len(whole)} steps, in their order, it is not"
            )
        return part

    def _sweep(self, name: str, order: range, beyond: int = 0) -> Iterator[Step]:
        order = range(order.start, order.stop + beyond, order.step)
        self.sweep_number += 1
        self.presenter.backward = order.step < 0
        position = 0
        if self.done and self.sweep_number <= self.done[0]:
            position = len(order) if self.sweep_number < self.done[0] else order.index(self.done[1]) + 1
        if position == len(order):
            return
        if order.start == 0 and not self.presenter.backward and not position:
            self._machine.holdings.reset()
        self._open_sweep(name, PASS, beyond)
        self._length = len(order)
        self._steps_made.append((self.clock + 1, name, order[position:]))
        self.routines.open_pass(name, order)
        skips = Skips(self._machine, order) if self.skips else None
        while position < len(order):
            self._begin_step(order[position], position)
            step = self.presenter.step(order[position], position == 0, position == len(order) - 1)
            yield step
            entries, aside = self._end_step(), self._machine.aside
            if self.after_step is not None:
                self.after_step()
            position += self._capture(entries, aside, order, position) if skips is None else skips.after(step, position)
        self._close_sweep()

    def _open_sweep(self, name: str, kind: str, beyond: int = 0) -> None:
        if self._open:
            raise CausalityError(f"{name!r} begins before {self.sweep_name!r} is over, in its step {self.step_index}")
        self.sweep_name, self.in_pass, self._open = name, kind == PASS, True
        self._swept = {}
        self.journal.open_sweep(name, kind, beyond)

    def _close_sweep(self) -> None:
        self.journal.close_sweep()
        self._open = False
        self._machine.holdings.ledger.moment = (self.sweep_number + 1, 0)

    @property
    def length(self) -> int:
        """Steps of the pass under way."""
        return self._length

    @property
    def at_start(self) -> bool:
        """Whether the step under way is the first one of a pass."""
        return self.in_pass and self._machine.holdings.ledger.moment[1] == 0

    # ---- steps -----------------------------------------------------------------------------------------------

    def _begin_step(self, index: int, position: int) -> None:
        if self._inside:
            raise CausalityError(f"step {self.step_index} of {self.sweep_name!r} has not ended; passes do not nest")
        self.clock += 1
        self._inside, self.step_index = True, index
        self._machine.holdings.ledger.moment = (self.sweep_number, position)
        self._machine.aside = self.routines.aside() if self.in_pass else None
        self._machine.begin_step(self.clock)

    def _end_step(self) -> list[Entry]:
        holdings, known = self._machine.holdings, len(self.journal.traces)
        if self.in_pass and holdings.lines:
            holdings.shift()
        entries, activities = self._machine.records_of_step()
        number = self.journal.step(entries, activities, self.step_index)
        if self.in_pass:
            if number == known:  # phases stream through their unit
                values = most_buffered(self.journal.traces[number])
                holdings.buffer(WIRES[0], values, WIRES[1])
            self._await(number, holdings.ledger.moment[1])
        self._machine.end_step(holdings.settle())
        self._inside = False
        return entries

    def _capture(self, entries: list[Entry], aside: Aside | None, order: range, position: int) -> int:
        """Carry out the captured steps behind a position; how many steps further the pass goes on."""
        holdings, place = self._machine.holdings, position
        for captured in self.routines.after(entries, aside, position):
            self.clock, place = self.clock + 1, place + 1
            self.step_index = order[place]
            holdings.ledger.moment = self.sweep_number, place
            captured.run(self.step_index)
            _, activities = self._machine.records_of_step()
            self._await(self.journal.step(captured.entries, activities, self.step_index), place)
            self._machine.end_step(holdings.settle())
        return 1 + place - position

    def _await(self, trace: int, position: int) -> None:
        """Keep the operands that wait for those of other steps, once a pass has shown how its steps depend."""
        fresh = trace not in self._swept
        if fresh:
            self._swept[trace] = self.journal.traces[trace]
        if position and (fresh or position == 1):
            seen = self._length, *self._swept
            values = self._waiting.get(seen)
            if values is None:
                values = self._waiting[seen] = self._machine.waiting_operands(self._swept, self._length)
            self._machine.holdings.buffer(OPERANDS[0], values, OPERANDS[1])

    def draws(self, name: str) -> Draws:
        """Standard normal numbers from the named stream, at the step in which they are asked for."""
        return Draws(self, name)

    def source(self, name: str) -> Source:
        """The named stream."""
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = Source(self._machine.seed, name, self._machine.numbers)
        return source

    def moment(self, source: Source) -> Moment:
        """The point at which a stream of fresh noise stands."""
        return source.moment(self.clock, self.batch_number, self.sweep_number, self.step_index)

    # ---- what is like what was before ------------------------------------------------------------------------

    def leap(self, growth: dict[str, int], runs: Runs, steps: Sequence[tuple[Entered, int]]) -> None:
        """Enter steps that are like ones before them: their runs, and how often each that was entered is again.

        Args:
            growth: by how much all of them together change what is held.
        """
        self.journal.leap(runs, steps)
        self._machine.holdings.repeat(growth, 1)
        self.clock += sum(times for _, times in steps)

    def repeat_rounds(self, begun: Standing, growth: dict[str, int], parts: Sequence[range], times: int) -> None:
        """Enter the passes since `begun` so many times more, for other parts, each with this growth of what is held."""
        passes = self.journal.since(begun)
        self.journal.repeat_since(begun, times)
        self._machine.holdings.repeat(growth, times)
        self.shown_up_to = max(self.shown_up_to, *(part.stop for part in parts))
        self.sweep_number += len(passes) * times

    # ---- where it stands -------------------------------------------------------------------------------------

    def take_as_shown(self) -> None:
        """Have backward passes begin where they like; for looking at a run from outside."""
        self.shown_up_to = self._machine.episode.steps

    def when(self, clock: int) -> str:
        """The step that a signal was made in, in words."""
        for first, name, order in reversed(self._steps_made):
            if clock >= first:
                return f"step {order[clock - first]} of {name!r}"
        return "an earlier batch"

    def require_phase(self, what: str) -> None:
        """Refuse what is done between passes only.

        Raises:
            CausalityError: no phase is under way.
        """
        if self.in_pass or not self._inside:
            where = f"not within {self.sweep_name!r}" if self._inside else "and none is under way"
            raise CausalityError(f"{what} between passes, in a phase only, {where}")

    def require_step(self, index: int, what: str) -> None:
        """Refuse to show what belongs to another step than the one under way.

        Raises:
            CausalityError: it does.
        """
        if index != self.step_index or not self.in_pass:
            now = f"step {self.step_index} of" if self.in_pass else "the phase"
            raise CausalityError(
                f"the {what} of step {index} was asked for in {now} {self.sweep_name!r}; each step shows its own"
            )
