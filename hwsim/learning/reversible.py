"""Reversible backpropagation through time: the exact gradient, along states that are reconstructed backward in time."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from hwsim.catalogue import implementation
from hwsim.cells import CELLS, Cell
from hwsim.errors import CapabilityError
from hwsim.learning.bptt import BPTT, carried_errors
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.machine import Signal, Step, Tape, Workspace
from hwsim.machine.storage import require_addressable
from hwsim.networks import Level, Network, States
from hwsim.operations import forget, zeros


class Options(BaseModel, extra="forbid"):
    """Reversible backpropagation through time. It needs a machine with a tape, and cells that can undo a step."""

    name: Literal["reversible"]


class Reversible(BPTT):
    """BPTT whose tape has what each step forgot of the state, not the state: h_{t-1} follows from h_t, x_t and that.

    The forward pass pushes a few bits for each wire of the state, as many as the cell says that it forgets at most. The
    backward pass pops them, undoes the step, and takes derivatives along what it came across on the way. Memory is that
    of one state, of T words of so few bits, and of the inputs; a step is worked out twice, as with checkpoints, but for
    the two products in fixed point. With exact units the reconstructed states are those of the forward pass to the
    last bit. With noisy ones, gates differ from those of the forward pass, and an error of a state grows as it goes
    back: up to twofold for each bit that a step may forget. The rule reports the error that is left at the start.

    (MacKay, Vicol, Ba and Grosse, "Reversible recurrent neural networks", NeurIPS 2018.)

    The mean of outputs, where the loss sees it, is on a tape as in BPTT.
    """

    compares = ("start",)

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        return [{}]

    @property
    def recalls_by(self) -> str:
        return "undoing"

    def check(self, network: Network) -> None:
        require_addressable(network.machine, "reversible backpropagation through time")
        fine = network.machine.errors(forget).rounding
        for layer in network.layers:
            cell = layer.cell
            if cell.forgets is None:
                able = [name for name, module in CELLS.items() if implementation(module, Cell).back is not Cell.back]
                raise CapabilityError(
                    f"{layer.name}: `reversible` takes cells that can undo a step: {', '.join(able)}, with `forgets`, "
                    "the most bits that a unit forgets in a step; `bptt` with checkpoints takes every cell"
                )
            if fine > 2.0 ** -(cell.fraction + 1):
                raise CapabilityError(
                    f"{layer.name}: `reversible` needs numbers that hold the {cell.fraction} fraction bits of the "
                    "state; give the cell fewer (`fraction`), or the machine a finer format"
                )

    def segments(self, steps: int) -> list[range]:
        return [range(steps)]

    @property
    def shortest(self) -> int:
        return 2

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace(keep_inputs=True) as workspace:
            states = network.states(workspace, restarts=False)
            tapes = self.forgotten(network, states, workspace)
            for step in machine.forward_pass("forward"):
                network.step(states, step, tapes, undoable=True)
            self.backward(network, states, tapes, carried_errors(network, workspace), range(machine.episode.steps))
        network.finish_gradient()

    def delta(self, step: Step, level: Level, later: Signal) -> Signal:
        machine = level.layer.machine
        if step.first and not machine.episode.continues:  # sequences start from zero
            machine.probe(f"{level.layer.name} start", level.at.h, zeros(machine, level.cell.width))
        return super().delta(step, level, later)

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        off = look.differences("start")
        if not off:
            return []
        worst = max(size for _, size in off.items())
        said = f"was off by {worst:.2g} in a layer" if worst else "was reached to the last bit"
        what = "norm of the states, of all sequences, that were reconstructed in place of zero at the start"
        verdict = f"in the last batch, going back from step to step, the start of sequences {said}"
        return [Diagnostic("start_error", "", what, off, verdict=verdict, good=not worst)]

    def forgotten(self, network: Network, states: States, workspace: Workspace) -> list[Tape]:
        """A tape per layer for what its steps forget, and one for the mean of outputs if the loss sees it."""
        cells = [layer.cell for layer in network.layers]
        tapes = [workspace.tape(f"{cell.name} forgotten bits", cell.width, cell.forgets) for cell in cells]
        pooled = states.pooled
        return tapes if pooled is None else [*tapes, workspace.tape(f"{pooled.name} tape", *pooled.size)]
