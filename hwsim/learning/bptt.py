"""Backpropagation through time: the exact gradient, errors propagated backward in time along a tape."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING
from hwsim.learning.rule import Rule
from hwsim.machine import Tape, Workspace
from hwsim.networks import Network, States
from hwsim.records import ERROR


class Options(BaseModel, extra="forbid"):
    """Backpropagation through time. It needs a machine with a tape."""

    name: Literal["bptt"]
    recall: Annotated[
        Literal["state", "input"],
        Field(
            description="how the backward pass finds the point of the derivatives: from the two states around a step, "
            "or by carrying the step out again"
        ),
    ] = "state"


class BPTT(Rule):
    """δ_T = g_T, δ_t = J_tᵀ δ_{t+1} + g_t for t = T-1 … 1, dL/dθ = Σ_t F_tᵀ δ_t.

    The forward pass pushes each state before it is overwritten; the backward pass pops them, recomputes the
    instantaneous readouts, and carries J_{t-1}ᵀ δ_t to the step before. The tape grows by one state a step, and inputs
    and targets are kept (Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78, 1990).
    """

    needs_tape = True

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"transposed"})

    def check(self, network: Network) -> None:
        network.machine.require_addressable("backpropagation through time")

    def gradients(self, network: Network) -> None:
        with network.machine.workspace(keep_inputs=True) as workspace:
            states, tapes = self.open(network, workspace)
            for step in network.machine.forward_pass("forward"):
                network.step(states, step, tapes)
            self.backward(network, workspace, states, tapes)
        network.finish_gradient()

    def open(self, network: Network, workspace: Workspace) -> tuple[States, list[Tape]]:
        """Registers for the dynamics, and a tape for each."""
        states = network.states(workspace)
        return states, [workspace.tape(f"{state.name} tape", *state.size) for state in states.all()]

    def backward(self, network: Network, workspace: Workspace, states: States, tapes: list[Tape]) -> None:
        """The backward pass, along the states that the registers (the last ones) and the tapes hold."""
        machine, layers = network.machine, network.layers
        carried = [workspace.register(f"{layer.name} carried error", layer.cell.width, LEARNING) for layer in layers]
        for step in machine.backward_pass("backward"):
            machine.purpose = ERROR
            output, seen = network.recall(states, step, tapes, self.options.recall)
            error = network.loss_error(output, step)
            for layer, (at, readout), later in reversed(list(zip(layers, seen, carried, strict=True))):
                machine.layer = layer.name
                delta = later.load()  # J_tᵀ δ_{t+1}, zero at T
                if error is not None:
                    delta = delta + layer.readout.back(readout, error, learn=True)  # + g_t
                drive = layer.cell.drive_error(at, delta)
                layer.cell.accumulate(at, delta, drive)  # F_tᵀ δ_t
                later.store(layer.cell.transposed(at, delta, drive))
                error = layer.cell.input_error(drive) if layer is not layers[0] else None
