"""Real-time recurrent learning: sensitivities of the state to the parameters run forward with the state."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING
from hwsim.cells import Cell
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.sensitivities import ForwardRule, OwnTraces, Whole, exact
from hwsim.machine import Accumulator, Register, Signal, Workspace
from hwsim.networks import Layer, Network, Seen
from hwsim.networks.readout import Changes
from hwsim.operations import project
from hwsim.records import GRADIENT


class Options(BaseModel, extra="forbid"):
    """Real-time recurrent learning: a number per parameter for diagonal cells, N per parameter for all others."""

    name: Literal["rtrl"]
    across: Annotated[
        bool,
        Field(
            description="whether the sensitivities of a layer's parameters are carried through the layers above it, "
            "with N numbers per parameter in each: exact in all layers of a stack"
        ),
    ] = False


class RTRL(ForwardRule):
    """M_t = J_{t-1} M_{t-1} + F_t with M_0 = 0, and dL/dθ = Σ_t M_tᵀ g_t; one pass, strictly forward.

    (Williams and Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
    Computation 1, 1989.) Where J is diagonal, M has one entry per parameter, so the rule is affordable. Where it
    is dense, M has N of them, about N³ in all, and J M takes N⁴ multiplications per step. The rule is exact for one
    recurrent layer. In a stack the error that reaches a lower layer is that of the present step only, so there it is
    exact in the top layer alone (Zucchet et al., "Online learning of long-range dependencies", NeurIPS 2023).

    With `across`, M goes on through the layers above: for the parameters of a layer, and of its readout, layer l' above
    it has M^{l'}_t = J^{l'} M^{l'}_{t-1} + (∂f/∂x)^{l'} R^{l'-1} M^{l'-1}_t, with R the Jacobian of the readout below.
    Then dL/dθ = Σ_t (M^L_t)ᵀ g_t with the M and the g of the top layer, for all parameters.
    """

    def sensitivities(self, cell: Cell, workspace: Workspace) -> OwnTraces | Whole:
        return exact(cell, workspace)

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        return [{}, {"across": True}] if layers > 1 else [{}]

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        every = (Lags.up_to(steps),)
        return Keeps(every, sends=every if self.options.across else (Lags.up_to(1),), sensitivities=True)

    def gradients(self, network: Network) -> None:
        if self.options.across and len(network.layers) > 1:
            self._across(network)
        else:
            super().gradients(network)

    def _across(self, network: Network) -> None:
        """Sensitivities of each layer to the parameters of all layers up to it."""
        machine, top = network.machine, network.layers[-1]
        with machine.workspace() as workspace:
            states = network.states(workspace)
            stack = [Reached(network.layers[: number + 1], workspace) for number in range(len(network.layers))]
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                changes: Changes = []
                for reached, points in zip(stack, seen, strict=True):
                    with machine.part(reached.layer.name, GRADIENT):
                        changes = reached.advance(points, changes, onward=reached.layer is not top)
                for level in network.downward(network.loss_error(output, step), seen):
                    g = level.g() if level.layer is top else None
                    if g is not None:
                        with machine.part(purpose=GRADIENT):
                            stack[-1].learn(g)
        network.finish_gradient()


class Reached:
    """A layer's sensitivities to its own parameters, and to those of the layers below.

    Args:
        layers: the layer, which is the last of them, and those below it.
    """

    def __init__(self, layers: list[Layer], workspace: Workspace) -> None:
        *below, self.layer = layers
        self._own = exact(self.layer.cell, workspace)
        self._registers: dict[str, Register] = {}
        for sums in (each for layer in below for each in parameters(layer)):
            name = f"{self.layer.name} trace of {sums.name.removesuffix(' gradient')}"
            width = self.layer.cell.width
            self._registers[sums.name] = workspace.register(name, width, LEARNING, bundle=prod(sums.size))

    def advance(self, seen: Seen, changes: Changes, onward: bool) -> Changes:
        """M ← J M + F, kept for the next step; what the layer above gets of it if it goes onward.

        Args:
            changes: of the input, with the parameters of the layers below.
        """
        cell, at = self.layer.cell, seen.at
        self._carried: Changes = []
        for sums, change in changes:
            register = self._registers[sums.name]
            sensitivity = cell.along(at, register.load()) + cell.along_input(at, change)
            register.store(sensitivity)
            self._carried.append((sums, sensitivity))
        self._own.advance(at)
        return self.layer.readout.along(seen.readout, self._carried + self._own.changes()) if onward else []

    def learn(self, g: Signal) -> None:
        """Add Mᵀ g to the gradients."""
        for sums, sensitivity in self._carried:
            sums.add(project(sensitivity, g))
        self._own.learn(g)


def parameters(layer: Layer) -> list[Accumulator]:
    """The sums of the gradients of a layer's parameters."""
    return [*layer.cell.sums.values(), *(trainable.gradient for trainable in layer.readout.trainables)]
