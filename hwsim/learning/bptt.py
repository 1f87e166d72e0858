"""Backpropagation through time: the exact gradient, errors propagated backward in time along a tape."""

from __future__ import annotations

from math import isqrt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.rule import Rule
from hwsim.machine import Register, Signal, Step, Tape, Workspace
from hwsim.machine.storage import require_addressable
from hwsim.networks import Layer, Level, Network, States
from hwsim.records import ERROR

Distance = Annotated[int, Field(ge=1)]


class Options(BaseModel, extra="forbid"):
    """Backpropagation through time. It needs a machine with a tape."""

    name: Literal["bptt"]
    recall: Annotated[
        Literal["state", "input"],
        Field(
            description="how the backward pass gets the operating point of a step: from the states before and after, "
            "or by carrying the step out again"
        ),
    ] = "state"
    checkpoints: Annotated[
        Literal["none", "sqrt"] | Distance,
        Field(
            description="steps between kept states: `sqrt` is the root of the sequence's length, `none` keeps all; "
            "states in between are recomputed, in one more forward pass"
        ),
    ] = "none"


class BPTT(Rule):
    """δ_T = g_T, δ_t = J_tᵀ δ_{t+1} + g_t for t = T-1 … 1, dL/dθ = Σ_t F_tᵀ δ_t.

    The forward pass pushes each state before it is overwritten. The backward pass pops the states, recomputes the
    instantaneous readouts, and carries J_{t-1}ᵀ δ_t to the step before. The tape grows by one state per step, and
    inputs and targets are kept (Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78,
    1990).

    With checkpoints S steps apart, the tape holds one segment at a time. The states at the starts of segments are kept.
    Then, from the last segment to the first, each segment is run forward from its checkpoint, which fills the tape, and
    then backward. The last segment is on the tape after the forward pass, and the first starts from zero, so neither
    has a checkpoint. With S = ⌈√T⌉ fewer than 2√T states are held, for one more forward pass over all but the last
    segment (Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", arXiv:1604.06174, 2016;
    Gruslys et al., "Memory-efficient backpropagation through time", NeurIPS 2016, who show that fewer need more
    passes). The operations on values are the same, so on a machine without noise the gradient is the same to the last
    bit.
    """

    needs_tape = True

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"transposed"})

    def check(self, network: Network) -> None:
        require_addressable(network.machine, "backpropagation through time")

    @property
    def recalls_by(self) -> str:
        """How the backward pass gets operating points, see `Network.recall`."""
        return str(self.options.recall)

    def segments(self, steps: int) -> list[range]:
        """The segments of the sequence, each of which fits the tape."""
        distance = self.options.checkpoints
        if distance == "none":
            distance = steps
        elif distance == "sqrt":
            distance = isqrt(steps - 1) + 1  # rounded up
        return [range(start, min(start + distance, steps)) for start in range(0, steps, distance)]

    def recorded(self, steps: int) -> int:
        first, *others = self.segments(steps)
        if not others:
            return len(first)
        waiting = len(others) - 1  # checkpoints when the sequence gets to its last segment; each goes when it is used
        return max(waiting + len(others[-1]), max(waiting - 1, 0) + len(first))

    @property
    def shortest(self) -> int:
        distance = self.options.checkpoints
        return distance + 1 if isinstance(distance, int) else 2

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        return [{}, {"checkpoints": "sqrt"}] if steps > 3 else [{}]

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        return Keeps((Lags.up_to(steps),), backward=True)

    def gradients(self, network: Network) -> None:
        machine = network.machine
        segments = self.segments(machine.episode.steps)
        with machine.workspace(keep_inputs=True) as workspace:
            states, tapes = self.open(network, workspace, restarts=len(segments) > 1)
            checkpoints = tapes_of(states, workspace, "checkpoints") if len(segments) > 2 else []
            for segment in machine.rounds(segments[:-1]):
                for step in machine.forward_pass("advance", segment):
                    begins = step.begins and not step.first
                    network.step(states, step, checkpoints if begins else None)
            carried: dict[Layer, Register] = {}
            for segment in machine.rounds(segments[::-1]):
                again = segment is not segments[-1]
                for step in machine.forward_pass("forward", segment):
                    begins = step.begins and not step.first
                    network.step(states, step, tapes, checkpoints if begins and again else None)
                carried = carried or carried_errors(network, workspace)
                self.backward(network, states, tapes, carried, segment)
        network.finish_gradient()

    def open(self, network: Network, workspace: Workspace, restarts: bool = False) -> tuple[States, list[Tape]]:
        """Registers for the dynamics, and a tape for each."""
        states = network.states(workspace, restarts=restarts)
        return states, tapes_of(states, workspace)

    def backward(
        self, network: Network, states: States, tapes: list[Tape], carried: dict[Layer, Register], segment: range
    ) -> None:
        """The backward pass over a segment, along the states that the registers (the last ones) and the tapes hold."""
        machine = network.machine
        for step in machine.backward_pass("backward", segment):
            with machine.part(purpose=ERROR):
                output, seen = network.recall(states, step, tapes, self.recalls_by)
            for level in network.downward(network.loss_error(output, step), seen):
                later = carried[level.layer]
                delta = self.delta(step, level, later.load())
                drive = level.learn(delta)  # F_tᵀ δ_t
                later.store(level.cell.transposed(level.at, delta, drive))

    def delta(self, step: Step, level: Level, later: Signal) -> Signal:
        """δ_t = J_tᵀ δ_{t+1} + g_t."""
        return level.plus_g(later)


def tapes_of(states: States, workspace: Workspace, name: str = "tape") -> list[Tape]:
    """A tape per register of the dynamics."""
    return [workspace.tape(f"{state.name} {name}", *state.size) for state in states.all()]


def carried_errors(network: Network, workspace: Workspace) -> dict[Layer, Register]:
    """A register per layer for J_tᵀ δ_{t+1}, which is zero at T."""
    return {
        layer: workspace.register(f"{layer.name} carried error", layer.cell.width, LEARNING) for layer in network.layers
    }
