"""E-prop: one eligibility trace per parameter, which meets a learning signal from the error at the output."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim import initial
from hwsim.cells import Cell
from hwsim.errors import CapabilityError
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.sensitivities import ForwardRule, OwnTraces
from hwsim.learning.update import Update
from hwsim.machine import Matrix, Signal, Workspace
from hwsim.networks import Layer, Level, Network
from hwsim.networks.readout import Dense
from hwsim.records import WEIGHT_WRITE

Feedback = Annotated[
    Literal["symmetric", "random", "adaptive"],
    Field(
        description="how errors reach the units: back through the readout and the layers above (`symmetric`), or from "
        "the output by matrices of their own, which are fixed (`random`) or, for a linear readout, learn as the "
        "readout does (`adaptive`)"
    ),
]


class Options(BaseModel, extra="forbid"):
    """Eligibility propagation: a number per parameter, and errors from the output."""

    name: Literal["eprop"]
    feedback: Feedback = "symmetric"


class EProp(ForwardRule):
    """e_t = d_t e_{t-1} + F_t within each unit, and dL/dθ ≈ Σ_t L_t e_t, with the learning signal L_t = B (y_t - y*_t).

    d is what a unit keeps of its state by itself: of the Jacobian, weights between units are left out, and weights from
    a unit to itself as well. In a diagonal cell nothing else takes a state from step to step, so there d is all of J.

    Feedback is `symmetric` if L_t = g_t, the error that comes back through the readout, and through the layers above,
    in the same step. `random` feedback is a fixed matrix B for each layer, from the error at the network's output to
    the wires of the state that its readout sees; below the top layer, another one brings that error to the output of
    the layer's readout. Inside a readout, errors go back through its own weights. `adaptive` feedback is for a top
    readout that is one linear map W_out: there B starts at random and gets the gradient of W_outᵀ, by the same
    optimizer, with the same decay, so that both come to agree; layers below have fixed matrices.

    Readouts have no memory here. Spiking cells may have a leaky one (κ in the paper) as a part of their state, whose
    trace is the filtered trace of the paper; they have its spikes, surrogate slopes and adapting thresholds.

    Source: Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein and Maass, "A solution to the learning dilemma for
    recurrent networks of spiking neurons", Nature Communications 11:3625, 2020, equations 1 to 4.
    """

    in_place = True

    def check(self, network: Network) -> None:
        if self.options.feedback == "adaptive" and linear(network.layers[-1]) is None:
            raise CapabilityError(
                "learning.feedback: adaptive feedback learns as the transpose of a linear readout does, and that of "
                f"{network.layers[-1].name} has more than one block; leave out project, norm and hidden there, or take "
                "`random`"
            )

    def prepare(self, network: Network) -> None:
        self.to_state: dict[Layer, Matrix] = {}
        self.to_output: dict[Layer, Matrix] = {}
        if self.options.feedback == "symmetric":
            return
        for layer in network.layers:
            with network.machine.part(layer.name):
                self.to_state[layer] = self._matrix(network, f"{layer.name} feedback", layer.readout.visible)
                if layer is not network.layers[-1]:
                    self.to_output[layer] = self._matrix(network, f"{layer.name} readout feedback", layer.outputs)
        if self.options.feedback == "adaptive":
            self.to_state[network.layers[-1]].trainable.begin_training()
        self._program(network, [*self.to_state.values(), *self.to_output.values()])

    def _matrix(self, network: Network, name: str, rows: int) -> Matrix:
        """A matrix of the same statistics as a readout's."""
        start = initial.glorot(network.machine.seed, name, rows, network.outputs)
        return Matrix(network.machine, name, "readout", start)

    def _program(self, network: Network, matrices: list[Matrix]) -> None:
        for _ in network.machine.phase("feedback"):
            for matrix in matrices:
                with network.machine.part(matrix.trainable.layer, WEIGHT_WRITE):
                    matrix.program()

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        if self.options.feedback != "symmetric":
            return Keeps((Lags.up_to(steps),), sends=(Lags.up_to(1),), sensitivities=True, aligned=False)
        if not directions.modes:
            return "what traces of a unit alone keep of a dense recurrence has no closed form here"
        return Keeps((Lags.up_to(steps),), sends=(Lags.up_to(1),), sensitivities=True)

    def sensitivities(self, cell: Cell, workspace: Workspace) -> OwnTraces:
        return OwnTraces(cell, workspace, recurrent=not cell.dense)

    def learn(self, network: Network, update: Update) -> None:
        if self.options.feedback != "adaptive":
            super().learn(network, update)
            return
        losses, adapted = network.machine.episode.losses, self.to_state[network.layers[-1]]
        self.gradients(network)
        update(losses, beside=[adapted.trainable])
        self._program(network, [adapted])

    def met(self, level: Level, error: Signal | None) -> Signal | None:
        if self.options.feedback == "symmetric":
            return super().met(level, error)
        return None if error is None else self._broadcast(level, error)

    def _broadcast(self, level: Level, error: Signal) -> Signal:
        """B times the error at the network's output; the readout of the layer learns from the error at its own."""
        layer, kept = level.layer, level.seen.readout
        mine = self.to_output[layer] @ error if layer in self.to_output else error
        layer.readout.back(kept, mine, learn=True, onward=False)
        matrix = self.to_state[layer]
        if self.options.feedback == "adaptive" and layer not in self.to_output:
            matrix.gradient.add_outer(kept[-1], error)  # of W_outᵀ: its input, and its error
        return layer.readout.unseen(kept, matrix @ error)


def linear(layer: Layer) -> Dense | None:
    """The only map of a layer's readout, if it is one."""
    *before, last = layer.readout.blocks
    if not isinstance(last, Dense):
        return None
    alone = last.W.shape[1] == layer.readout.visible and not any(block.trainables for block in before)
    return last if alone else None
