"""The instantaneous part of a layer: from the state to what the next layer, or the loss, sees in the same step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, Field

from hwsim import initial
from hwsim.cells.factor import Factor
from hwsim.machine import Accumulator, Bias, Gain, Machine, Matrix, Signal, Trainable
from hwsim.operations import gate, ones, pad, relu, standardise, standardise_error, take
from hwsim.operations.derivative import Node


class NormOptions(BaseModel, extra="forbid"):
    """A layer norm."""

    epsilon: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="added to the variance; where a state is almost zero, as at the start of many sequences, "
            "errors are multiplied by up to 1/√ε",
        ),
    ] = 1e-6


class Options(BaseModel, extra="forbid"):
    """A small multi-layer perceptron: project, normalise, then dense layers with relu between them."""

    project: Annotated[
        int | None, Field(ge=1, description="width of a linear map at the start; no such map if absent")
    ] = None
    norm: Annotated[bool | NormOptions, Field(description="whether a layer norm follows, or its options")] = False
    hidden: Annotated[list[Annotated[int, Field(ge=1)]], Field(description="widths of hidden relu layers")] = []
    width: Annotated[
        int | None, Field(ge=1, description="width of the output; the last layer's is given by the task")
    ] = None


Changes = list[tuple[Accumulator, Signal]]
"""A bundle with the change of a signal with each entry of a parameter, beside the sums of the parameter's gradient."""


class Block(ABC):
    """A memoryless map; `forward` also gives what `back` needs, which are signals of the same step."""

    trainables: list[Trainable]

    @abstractmethod
    def forward(self, x: Signal) -> tuple[Signal, Any]:
        """The output, and what `back` needs."""

    @abstractmethod
    def back(self, seen: Any, error: Signal, learn: bool, onward: bool) -> Signal | None:
        """Add to the gradient if `learn`; gives the error at the input if `onward`."""

    @abstractmethod
    def along(self, seen: Any, change: Signal) -> Signal:
        """The change of the output with a change of the input, for a vector, or for each vector of a bundle."""

    def factors(self, seen: Any) -> list[Factor]:
        """How its parameters enter the output."""
        return []

    def program(self) -> None:
        """Program the units to the master values; called in a phase."""


class Dense(Block):
    """W x + b."""

    def __init__(self, machine: Machine, name: str, inputs: int, outputs: int) -> None:
        self.W = Matrix(machine, name, "readout", initial.glorot(machine.seed, name, outputs, inputs))
        self.b = Bias.trained(machine, f"{name} b", "readout", initial.zeros(outputs))
        self.trainables = [self.W.trainable, self.b.trainable]

    def forward(self, x: Signal) -> tuple[Signal, Signal]:
        return self.W @ x + self.b, x

    def back(self, x: Signal, error: Signal, learn: bool, onward: bool) -> Signal | None:
        if learn:
            self.W.gradient.add_outer(error, x)
            self.b.gradient.add(error)
        return self.W.T @ error if onward else None

    def along(self, seen: Signal, change: Signal) -> Signal:
        return self.W @ change

    def factors(self, x: Signal) -> list[Factor]:
        one = ones(self.W.machine, self.b.width)
        entries = (self.W.trainable, x), (self.b.trainable, None)
        return [Factor(each.name, (one,), column, each.gradient) for each, column in entries]

    def program(self) -> None:
        self.W.program()
        self.b.program()


class Relu(Block):
    """max(x, 0). Errors pass where x, not the output, is positive: an analog output is never exactly zero."""

    def __init__(self) -> None:
        self.trainables = []

    def forward(self, x: Signal) -> tuple[Signal, Signal]:
        return relu(x), x

    def back(self, x: Signal, error: Signal, learn: bool, onward: bool) -> Signal | None:
        return gate(error, x) if onward else None

    def along(self, x: Signal, change: Signal) -> Signal:
        return gate(change, x)


class Norm(Block):
    """g (x - mean) / √(variance + ε) + b over the wires (Ba, Kiros and Hinton, arXiv:1607.06450, 2016)."""

    def __init__(self, machine: Machine, name: str, width: int, options: NormOptions) -> None:
        self._machine, self.epsilon = machine, options.epsilon
        self.g = Gain.trained(machine, name, "readout", initial.ones(width))
        self.b = Bias.trained(machine, f"{name} b", "readout", initial.zeros(width))
        self.trainables = [self.g.trainable, self.b.trainable]

    def forward(self, x: Signal) -> tuple[Signal, tuple[Signal, Signal]]:
        standard, scale = standardise(x, self.epsilon)
        return self.g * standard + self.b, (standard, scale)

    def back(self, seen: tuple[Signal, Signal], error: Signal, learn: bool, onward: bool) -> Signal | None:
        if learn:
            self.g.gradient.add(error * seen[0])
            self.b.gradient.add(error)
        return standardise_error(self.g * error, *seen) if onward else None

    def along(self, seen: tuple[Signal, Signal], change: Signal) -> Signal:
        return self.g * standardise_error(change, *seen)  # the Jacobian of `standardise` is symmetric

    def factors(self, seen: tuple[Signal, Signal]) -> list[Factor]:
        rows = (self.g.trainable, seen[0]), (self.b.trainable, ones(self._machine, seen[0].width))
        return [Factor(each.name, (row,), None, each.gradient) for each, row in rows]

    def program(self) -> None:
        self.g.program()
        self.b.program()


class Visible(Block):
    """The visible wires of a state, which are the first ones."""

    def __init__(self, width: int, visible: int) -> None:
        self._width, self.visible, self.trainables = width, visible, []

    def forward(self, x: Signal) -> tuple[Signal, None]:
        return take(x, 0, self.visible), None

    def back(self, seen: None, error: Signal, learn: bool, onward: bool) -> Signal | None:
        return pad(error, 0, self._width - self.visible) if onward else None

    def along(self, seen: None, change: Signal) -> Signal:
        return take(change, 0, self.visible)


class Emitted(Block):
    """What a cell emits, such as spikes, wire by wire of its units; errors go back to the state by its derivative."""

    def __init__(self, emitted: Callable[[Signal], Node]) -> None:
        self._emitted, self.trainables = emitted, []

    def forward(self, x: Signal) -> tuple[Signal, Node]:
        node = self._emitted(x)
        return node.result, node

    def back(self, seen: Node, error: Signal, learn: bool, onward: bool) -> Signal | None:
        if not onward:
            return None
        at_state: Signal = seen.operation.derivative.back(seen, 0, error)
        return at_state

    def along(self, seen: Node, change: Signal) -> Signal:
        changed: Signal = seen.operation.derivative.along(seen, 0, change)
        return changed


class Readout:
    """A chain of blocks: what a layer computes from its state without memory.

    Args:
        emitted: what the cell emits of a state; None if the first wires of the state are visible.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        options: Options,
        state: int,
        visible: int,
        outputs: int,
        emitted: Callable[[Signal], Node] | None = None,
    ) -> None:
        self.visible = visible
        self.blocks: list[Block] = []
        if emitted is not None:
            self.blocks.append(Emitted(emitted))
        elif visible != state:
            self.blocks.append(Visible(state, visible))
        width = visible
        if options.project is not None:
            self.blocks.append(Dense(machine, f"{name} C", width, options.project))
            width = options.project
        if options.norm:
            norm = NormOptions() if options.norm is True else options.norm
            self.blocks.append(Norm(machine, f"{name} norm", width, norm))
        for number, hidden in enumerate(options.hidden, 1):
            self.blocks += [Dense(machine, f"{name} V{number}", width, hidden), Relu()]
            width = hidden
        self.blocks.append(Dense(machine, f"{name} V{len(options.hidden) + 1}", width, outputs))
        self.trainables = [trainable for block in self.blocks for trainable in block.trainables]

    def forward(self, h: Signal) -> tuple[Signal, list[Any]]:
        """The output, and what `back` needs: signals of this step."""
        seen = []
        for block in self.blocks:
            h, kept = block.forward(h)
            seen.append(kept)
        return h, seen

    def back(self, seen: list[Any], error: Signal, learn: bool, onward: bool = True) -> Signal | None:
        """The error at the state, from the error at the output; adds to the gradient if `learn`."""
        current: Signal | None = error
        for position in range(len(self.blocks) - 1, -1, -1):
            assert current is not None
            current = self.blocks[position].back(seen[position], current, learn, onward or position > 0)
        return current

    def unseen(self, seen: list[Any], error: Signal) -> Signal:
        """The error at the state, from one at what the readout sees of it."""
        first = self.blocks[0]
        if not isinstance(first, Visible | Emitted):
            return error
        at_state = first.back(seen[0], error, learn=False, onward=True)
        assert at_state is not None, "it goes on to the state"
        return at_state

    def along(self, seen: list[Any], changes: Changes) -> Changes:
        """The changes of the output with changes of the state, and with the parameters of the readout itself."""
        for block, kept in zip(self.blocks, seen, strict=True):
            changes = [(sums, block.along(kept, change)) for sums, change in changes]
            changes += [(factor.sums, factor.dispersed(factor.own(0))) for factor in block.factors(kept)]
        return changes

    def program(self) -> None:
        for block in self.blocks:
            block.program()


def parameters(options: Options, inputs: int, outputs: int) -> int:
    """Number of parameters of a readout."""
    widths = [inputs, *([options.project] if options.project else []), *options.hidden, outputs]
    dense = sum((n + 1) * m for n, m in pairwise(widths))
    return dense + (2 * (options.project or inputs) if options.norm else 0)
