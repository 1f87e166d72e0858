"""The presenter: shows inputs and targets, one step at a time, and keeps those that are to be shown again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import numpy as np

from hwsim.accounts.memory import INPUT_REPLAY, TARGET_REPLAY
from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.machine.step import Beyond, Free, Landmarks, Step
from hwsim.machine.storage import Storage, Workspace
from hwsim.operations import moves
from hwsim.records import REPLAY


class _NothingShown:
    """Stands where an episode stands while one is shown."""

    def __getattr__(self, name: str) -> NoReturn:
        if name not in Episode.__dataclass_fields__ and not hasattr(Episode, name):
            raise AttributeError(name)
        raise CausalityError("no episode is being shown: use `with machine.showing(episode)`")


NOTHING_SHOWN = cast("Episode", _NothingShown())


class Presenter:
    """Shows an episode to a machine.

    Attributes:
        kept_from: the first step whose input is kept.
        landmarks: where its steps differ.
        again: whether the pass under way shows steps that have been shown.
        backward: whether it goes from later steps to earlier ones.
    """

    def __init__(self, machine: Stage) -> None:
        self._machine = machine
        self.kept_from, self.again, self.backward = 0, False, False
        self._most = 0
        self.landmarks: Landmarks
        self._kept: dict[str, Storage] = {}
        self._there: set[str] = set()  # what has been shown in this workspace, and kept if it is to be
        self._inputs = self._targets = self._masks = np.empty(0)

    @contextmanager
    def showing(self, episode: Episode) -> Iterator[None]:
        """Have steps show this episode."""
        machine, numerics = self._machine, self._machine.numerics
        machine.episode, self.landmarks = episode, Landmarks(episode)
        self._inputs = machine.received(numerics.shown(episode.inputs, machine.dtype))
        self._targets = numerics.contiguous(episode.targets.swapaxes(0, 1), machine.dtype)
        if episode.mask is not None:
            self._masks = numerics.contiguous(episode.mask.T[:, :, None], machine.dtype)
        try:
            yield
        finally:
            machine.episode = NOTHING_SHOWN
            self._inputs = self._targets = self._masks = np.empty(0)

    @contextmanager
    def workspace(self, *, keep_inputs: bool | int = False) -> Iterator[Workspace]:
        """Storage for one batch. To show the input in more than one pass it must be kept, and that is charged.

        Args:
            keep_inputs: True for all inputs; a number for the last so many of them.
        """
        machine, episode = self._machine, self._machine.episode
        with Workspace(machine) as workspace:
            if keep_inputs:
                self._most = episode.steps if keep_inputs is True else min(keep_inputs, episode.steps)
                self.kept_from = machine.sequencer.shown_up_to
                size, inputs = (self._most, episode.width), self._inputs[: self._most]
                self._kept["input"] = workspace.keep("input replay", INPUT_REPLAY, size, inputs, machine.input_bits)
                if episode.masked:
                    masks = self._masks[: self._most]
                    self._kept["mask"] = workspace.keep("mask replay", TARGET_REPLAY, (self._most, 1), masks, 1)
            if keep_inputs or not episode.target_per_step:
                words = 1 if episode.classes else episode.outputs
                bits = max(1, (episode.classes - 1).bit_length()) if episode.classes else None
                size = (self._most if episode.target_per_step else 1, words)
                targets = self._targets[: size[0]]
                self._kept["target"] = workspace.keep("target replay", TARGET_REPLAY, size, targets, bits)
            self._there.clear()
            try:
                yield workspace
            finally:
                self._kept.clear()

    @property
    def keeps(self) -> bool:
        """Whether inputs are kept, so that they can be shown again."""
        return "input" in self._kept

    def require_inputs(self, name: str, order: range) -> None:
        """Refuse a pass that shows inputs again which are not kept.

        Raises:
            CausalityError: they are not.
        """
        kept_from = max(self.kept_from, self._machine.sequencer.shown_up_to - self._most)
        if self.again and "input" in self._kept and self.kept_from <= order.start < kept_from:
            raise CausalityError(
                f"pass {name!r} shows step {order.start} again, and of the inputs only the last {self._most} are kept"
            )
        if self.again and ("input" not in self._kept or order.start < self.kept_from):
            raise CausalityError(
                f"pass {name!r} shows the input again, but it was not kept; open the workspace with keep_inputs, and "
                "before the input is shown"
            )

    def step(self, index: int, begins: bool, ends: bool) -> Step:
        """What a rule sees of the step that begins; a pass may begin with it, or end."""
        episode = self._machine.episode
        if index >= episode.steps:
            return Beyond(self, episode, index, ends)
        if episode.free_from is not None and index >= episode.free_from:
            return Free(self, episode, index, begins, ends)
        step = Step(self, episode, index, begins, ends)
        step.input = self.input(index)
        return step

    def input(self, index: int) -> Signal:
        """The input of the step under way."""
        self._machine.sequencer.require_step(index, "input")
        signal = self._present("input", moves.present_input, index, per_step=True)
        if self._machine.input_full_scale is not None:
            signal._full_scale = self._machine.input_full_scale
        return signal

    def target(self, index: int) -> Signal:
        """The target of the step under way, or the one of the sequence."""
        self._machine.sequencer.require_step(index, "target")
        return self._present("target", moves.present_target, index, self._machine.episode.target_per_step)

    def mask(self, index: int) -> Signal:
        """Which sequences have a loss in the step under way."""
        self._machine.sequencer.require_step(index, "mask")
        if not self._machine.episode.masked:
            raise CausalityError(
                "there is no mask, as all sequences have a loss in the same steps: see `episode.masked`"
            )
        return self._present("mask", moves.present_mask, index, per_step=True)

    def value(self, what: str, index: int) -> np.ndarray:
        """What is shown in a step, for each chip."""
        machine = self._machine
        if what == "target":
            value = self._targets[index if machine.episode.target_per_step else 0]
        else:
            value = (self._inputs if what == "input" else self._masks)[index]
        if value.ndim == 3:  # the input of each chip
            return machine.numerics.copy(value) if machine.strict else value
        alone = machine.chips == 1 and not machine.strict
        return value[None] if alone else machine.numerics.beside(value, machine.chips)

    def _present(self, what: str, operation: Any, index: int, per_step: bool) -> Signal:
        """Show a value from outside, keeping it if that was asked for, or again from where it is kept."""
        machine, kept, value = self._machine, self._kept.get(what), self.value(what, index)
        if kept is None:
            return machine.emit(machine.heads[operation, what], value, ())
        if self.backward and what != "input" and what not in self._there:
            kept.port.keep(kept, ())  # on the way forward, not looked at
            if not per_step:
                self._there.add(what)
        if self.again or (what in self._there and not per_step):
            with machine.part(purpose=REPLAY if self.again else None):
                return kept.port.replay(kept, value)
        self._there.add(what)
        signal = machine.emit(machine.heads[operation, what], value, (), kept.size[-1:])
        kept.port.keep(kept, (signal._slot,))
        return signal
