"""Captured steps: a step of a pass that is like one before it is carried out from that one's records.

A rule leaves the same records in many steps. A captured step is a list of functions, made from the records of a step
and from what these leave out. It calls the functions that the operations of the rule would call, in the same order, and
leaves the same records; it needs neither the rule nor signals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np

from hwsim.errors import SingularJacobianError
from hwsim.machine.numerics import meet
from hwsim.machine.port import Port
from hwsim.machine.stage import Stage
from hwsim.machine.step import OfStep
from hwsim.machine.storage import Register
from hwsim.operations import Binary, Held, Operation, moves, solve, sparse, wire
from hwsim.operations.sources import Random, Source
from hwsim.records import ANALOG, Entry


class Aside:
    """What the records of a step leave out.

    Attributes:
        does: the function by which an analog unit made a value, from the values of signals and constants; by the place
            of the record.
        given: the constants of an operation, or the holder of its weights or coefficients; by the place of the record.
            Operations that neither the machine itself carried out, nor a unit through `compute`, have no entry.
        shown: what was shown to probes: the place among the records, the name, and the slots of the signals.
    """

    __slots__ = ("_entries", "does", "given", "shown")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.does: dict[int, Callable[..., np.ndarray]] = {}
        self.given: dict[int, Any] = {}
        self.shown: list[tuple[int, str, tuple[int, ...]]] = []

    def begin(self, entries: list[Entry]) -> None:
        """The step begins, whose records these are going to be."""
        self._entries = entries

    def give(self, given: Any, does: Callable[..., np.ndarray] | None = None) -> None:
        """Keep what the next record leaves out."""
        self.given[len(self._entries)] = given
        if does is not None:
            self.does[len(self._entries)] = does

    def show(self, name: str, slots: tuple[int, ...]) -> None:
        """Keep what is shown before the next record."""
        self.shown.append((len(self._entries), name, slots))

    def alike(self) -> tuple[Any, ...]:
        """Equal for steps that can be captured from each other: constants may be the same function of the step."""
        return tuple((slot, _functions(given)) for slot, given in self.given.items()), tuple(self.shown)


def _of_step(constant: Any) -> bool:
    return isinstance(constant, OfStep)


def _functions(given: Any) -> Any:
    if not isinstance(given, tuple):
        return given
    return tuple(each.of if isinstance(each, OfStep) else each for each in given)


class Captured:
    """A step of the pass under way, ready to be carried out again.

    Its values are in cells; the cell of a value is used again when no later line needs the value, so that as few arrays
    are alive as in the step itself.

    Args:
        entries: the records of the step.
        aside: what they leave out.

    Attributes:
        entries: its records.
        possible: whether all of it can be carried out so.
    """

    _SCRAP, _INDEX = 0, 1
    """Cells of results that nobody reads, and of the step's index."""

    def __init__(self, machine: Stage, entries: list[Entry], aside: Aside) -> None:
        self._machine, self.entries, self._aside = machine, entries, aside
        self._cells: list[Any] = [None, None]
        self._free: list[int] = []
        self._cell: dict[int, int] = {}  # of the value of each slot
        self._pair = self._SCRAP  # the cell of both results of the latest operation that has two
        self._lines: list[tuple[Callable[..., Any], Callable[[list[Any]], Any], int]] = []
        self.possible = self._compile()

    def run(self, index: int) -> None:
        """Do what the rule would do in the step of this index."""
        cells = self._cells
        cells[self._INDEX] = index
        for function, operands, cell in self._lines:
            cells[cell] = function(*operands(cells))

    def _compile(self) -> bool:
        """Make the lines of all records, in order; False if one of them is of a kind that is not known here."""
        spent = self._spent()
        shows: dict[int, list[tuple[str, tuple[int, ...]]]] = {}
        for place, name, slots in self._aside.shown:
            shows.setdefault(place, []).append((name, slots))
        for place, entry in enumerate(self.entries):
            self._show(shows.get(place, ()))
            if not self._record(place, entry):
                return False
            self._free += [self._cell[slot] for slot in spent.get(place, ())]
        self._show(shows.get(len(self.entries), ()))
        return True

    def _spent(self) -> dict[int, list[int]]:
        """The slots whose values are needed for the last time, by the place of the record that needs them."""
        last = {place: place for place, entry in enumerate(self.entries) if entry[4] == place}
        for place, entry in enumerate(self.entries):
            last.update((slot, place) for slot in entry[3] if isinstance(slot, int))
        for place, _, slots in self._aside.shown:
            last.update((slot, max(place, last[slot])) for slot in slots)
        spent: dict[int, list[int]] = {}
        for slot, place in last.items():
            spent.setdefault(place, []).append(slot)
        return spent

    def _show(self, shown: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        for name, slots in shown:
            watcher = self._machine.probe.watchers.get(name)
            if watcher is not None:
                self._line(watcher, [self._cell[slot] for slot in slots], self._SCRAP)

    def _record(self, place: int, entry: Entry) -> bool:
        """Make the lines of one record."""
        head, _, _, reads, writes = entry
        operation, values = (
            self._machine.operations[id(head)],
            [self._cell[slot] for slot in reads if isinstance(slot, int)],
        )
        if writes != place:
            return self._write(operation, values, str(writes))
        cell = self._free.pop() if self._free else self._constant(None)
        self._cell[place] = cell
        made = self._made(operation, values, reads, place)
        if made is None:
            return False
        if operation.second is not None:
            self._pair = self._constant(None)
            self._line(*made, self._pair)
            made = itemgetter(0), [self._pair]
        self._line(*made, cell)
        if self._machine.finishes and head.format != ANALOG:
            self._line(partial(self._machine.finish, head), [cell], cell)
        return True

    def _write(self, operation: Operation, values: list[int], name: str) -> bool:
        """Make the line of a record that writes a storage."""
        if operation is moves.keep:
            return True
        machine, storage = self._machine, self._machine.storages[name]
        if not values:
            zeros = machine.numerics.zeros(storage.front.shape, machine.dtype)
            does, values = machine.holdings.settle_later, [self._constant(zeros)]
        elif operation in _WRITES:
            does = getattr(storage.port, _WRITES[operation])
        else:
            return False
        self._line(does, [self._constant(storage), *values], self._SCRAP)
        return True

    def _made(
        self, operation: Operation, values: list[int], reads: tuple[int | str, ...], place: int
    ) -> tuple[Callable[..., Any], list[int]] | None:
        """The function that makes the value of a record, and the cells of its operands; None if it is not known."""
        machine, does = self._machine, self._aside.does.get(place)
        given: Any = self._aside.given.get(place)
        if does is not None:
            return does, [*values, *map(self._constant_of_step, given)]
        if operation is moves.load:
            register = machine.storages[reads[0]]
            if not isinstance(register, Register):
                return None
            if not given and type(register.port).read is Port.read and type(register).front is Register.front:
                return attrgetter("value"), [self._constant(register)]
            return partial(register.port.read, register, *given or ()), []
        if operation in _TAKES:
            storage = machine.storages[reads[0]]
            return partial(storage.port.take, storage, _TAKES[operation]), []
        if operation in _SHOWN or operation is moves.replay:
            what = _SHOWN.get(operation) or str(reads[0]).removesuffix(" replay")
            return partial(machine.sequencer.presenter.value, what), [self._INDEX]
        if place and operation is wire and machine.operations[id(self.entries[place - 1][0])].second is not None:
            return itemgetter(1), [self._pair]
        if given is None:  # a unit that says nothing made it
            return None
        function = machine.functions[operation]
        if operation.lowered is not None and function is operation.values and not any(map(_of_step, given)):
            function, given = operation.lowered(*given)
        function = getattr(function, "compiled", function)
        if operation is solve:
            function = partial(solved, machine, self.entries[place][0].layer, function)
        if isinstance(operation, Held):
            if values:
                return function, [self._constant(given.holds(operation)), *values]
            return function, [self._constant(given.fetched), self._constant(machine.episode.batch)]
        if isinstance(operation, Source | Random):
            values = [self._constant(np.empty((machine.chips, machine.episode.batch, 0), machine.dtype))]
        elif isinstance(operation, Binary):
            shapes = {self.entries[slot][1] for slot in reads if isinstance(slot, int)}
            if len(shapes) > 1:
                function = partial(_met, operation, function, machine.numerics)
        return function, [*values, *map(self._constant_of_step, given)]

    def _constant_of_step(self, constant: Any) -> int:
        """The cell of a constant, which a line of its own may work out at each step."""
        cell = self._constant(constant)
        if isinstance(constant, OfStep):
            self._line(constant.of, [self._INDEX], cell)
        return cell

    def _constant(self, value: Any) -> int:
        """A new cell, which no value of the step is put into."""
        self._cells.append(value)
        return len(self._cells) - 1

    def _line(self, function: Callable[..., Any], operands: Sequence[int], cell: int) -> None:
        """A function of the values in some cells, whose result goes into a cell."""
        takes = itemgetter(*operands) if len(operands) > 1 else itemgetter(_only(operands))
        self._lines.append((function, takes, cell))


def solved(machine: Stage, layer: str, solve: Callable[..., np.ndarray], *system: np.ndarray) -> np.ndarray:
    """The solution of a linear system.

    Raises:
        SingularJacobianError: there is none.
    """
    try:
        return solve(*system)
    except np.linalg.LinAlgError:
        sequencer = machine.sequencer
        raise SingularJacobianError(
            f"{layer}: the Jacobian of step {sequencer.step_index} in {sequencer.sweep_name!r} has no inverse"
        ) from None


def _only(operands: Sequence[int]) -> slice:
    """What takes one operand, or none, out of the cells, as a list."""
    return slice(operands[0], operands[0] + 1) if operands else slice(0, 0)


def _met(operation: Operation, function: Callable[..., Any], numerics: Any, v: np.ndarray, w: np.ndarray) -> Any:
    return function(*meet(operation, v, w, numerics))


_WRITES = {
    moves.store: "settle",
    moves.hold: "settle",
    moves.push: "append",
    moves.put: "append",
    moves.accumulate: "sum",
    moves.outer: "sum_outer",
    sparse.outer: "sum_sparse_outer",
}
"""What a port does with values that go into a storage."""
_TAKES = {moves.pop: -1, moves.get: 0}
"""Which entry comes out of a tape or queue."""
_SHOWN = {moves.present_input: "input", moves.present_target: "target", moves.present_mask: "mask"}
"""What is shown."""
