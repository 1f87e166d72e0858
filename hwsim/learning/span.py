"""The last steps of the dynamics on delay lines, and errors that go back along them within one step; no tape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hwsim.machine import DelayLine, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network, Seen
from hwsim.records import ERROR

Recall = Annotated[
    Literal["state", "input"],
    Field(
        description="how the operating point of an earlier step is found: from the states before and after, or by "
        "carrying the step out again"
    ),
]
"""An option of rules that go back."""


class Span:
    """The dynamics, of which the last steps are still known: states and inputs, and the errors of their losses.

    A delay line per layer holds the states before these steps. From a state before a step, its input, and the state
    behind it, which is that before the next one, `Cell.recall` gives the point that J and F are taken at. To carry
    products of Jacobians instead would take N² numbers per layer and step for a dense cell, where a state takes N, and
    a product of matrices per step. What a readout below the top one needs is computed again from the state.

    The errors that come back through the top readout are made once, when their step is shown, and kept on a delay line
    of their own, so targets are not kept.

    Args:
        steps: steps that are known, with the present one.
        losses: how many steps may have a loss, at most.
        recall: `"state"` or `"input"`, see `Network.recall`.
    """

    def __init__(self, network: Network, workspace: Workspace, steps: int, losses: int, recall: str) -> None:
        self.network, self.recall = network, recall
        self.states = network.states(workspace)
        self.top = network.layers[-1]
        self.before: list[DelayLine] = []
        self.inputs: DelayLine | None = None
        self.errors: DelayLine | None = None
        past, past_losses, line = steps - 1, min(steps, losses) - 1, workspace.delay_line
        if past:
            self.before = [line(f"{layer.name} h before", layer.cell.width, past) for layer in network.layers]
            self.inputs = line("inputs before", network.machine.episode.width, past)
        if past_losses:
            self.errors = line(f"{self.top.name} loss gradients", self.top.cell.width, past_losses)

    def advance(self, step: Step) -> tuple[Signal, list[Seen]]:
        """A step of the dynamics, see `Network.step`; what it starts from is known in the steps behind it."""
        if self.inputs is not None:
            self.inputs.store(step.input)
        return self.network.step(self.states, step, lines=self.before)

    def keep(self, error: Signal | None, seen: list[Seen]) -> None:
        """Let the top readout learn from the error at the output in this step, and keep what comes back through it."""
        for level in self.network.downward(error, seen):
            self._top_error(level)

    def back(self, error: Signal | None, seen: list[Seen], steps: int, learn_all: bool) -> None:
        """Carry errors back from this step, over so many steps with it: δ ← Jᵀ δ + g, in all layers.

        Args:
            error: at the output in this step.
            learn_all: whether F of each of the steps learns from its δ, rather than that of the earliest one alone.
        """
        carried: dict[Layer, Signal] = {}
        for age in range(steps):
            earliest = age == steps - 1
            for level in self.network.downward(error if not age else None, self._recalled(age) if age else seen):
                delta = _sum(carried.get(level.layer), self._error(level, age, learn_all or earliest))
                assert delta is not None, "this step has a loss"
                if learn_all or earliest:
                    level.learn(delta)
                else:
                    level.send(delta)
                    level.drive = level.cell.drive_error(level.at, delta)
                if not earliest:
                    carried[level.layer] = level.cell.transposed(level.at, delta, level.drive)

    def _error(self, level: Level, age: int, learn: bool) -> Signal | None:
        """g of a layer, so many steps ago."""
        if level.layer is not self.top:
            return level.g(learn)
        if not age:
            return self._top_error(level)
        return None if self.errors is None or age > self.errors.size[0] else self.errors.tap(age)

    def _top_error(self, level: Level) -> Signal | None:
        g = level.g()
        if g is not None and self.errors is not None:
            self.errors.store(g)
        return g

    def _recalled(self, age: int) -> list[Seen]:
        """The operating points of the step that was so many steps ago."""
        machine, seen = self.network.machine, list[Seen]()
        assert self.inputs is not None
        with machine.part(purpose=ERROR):
            x = self.inputs.tap(age)
            for layer, register, line in zip(self.network.layers, self.states.layers, self.before, strict=True):
                with machine.part(layer.name):
                    before, h = line.tap(age), register.load() if age == 1 else line.tap(age - 1)
                    at = layer.cell.recall(before, x, h) if self.recall == "state" else layer.cell.step(before, x)[1]
                    point, kept = x, list[Any]()
                    if layer is not self.top:
                        x, kept = layer.readout.forward(h)
                seen.append(Seen(at, kept, point))
        return seen


def _sum(x: Signal | None, y: Signal | None) -> Signal | None:
    if x is None or y is None:
        return x if y is None else y
    return x + y
