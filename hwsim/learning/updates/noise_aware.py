"""Training that is aware of noise: gradients are taken at weights with noise, for weights that are written later on."""

from __future__ import annotations

from math import prod, sqrt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.learning.optimizers import Optimizer
from hwsim.learning.updates.scheme import Scheme, refuse
from hwsim.machine import Machine, Matrix, Signal, Trainable
from hwsim.networks import Network
from hwsim.operations import larger, norm


class Options(BaseModel, extra="forbid"):
    """Look at each batch with weights that have noise, as devices that they are written to later on will have it."""

    name: Literal["noise_aware"]
    deviation: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="of the noise, as a share of the largest weight of its matrix; Joshi et al. have 0.038, the "
            "programming error that they measured, as a share of the largest conductance",
        ),
    ]
    clip: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="after each update weights are clipped to so many times the root mean square of their matrix; "
            "without it they are not",
        ),
    ] = None


class NoiseAware(Scheme):
    """w ← the optimizer's value for ∂L/∂w at w + δ, δ ~ N(0, (σ max |w|)²); then |w| ≤ c √⟨w²⟩, for each matrix.

    δ is drawn for each batch, and all that reads a matrix meets the same, forward and back: the gradient is exact at
    w + δ, and changes w as if it were of w (straight through). Tests, and what the weights are written to, have w
    without δ. Biases, gains and coefficients of modes have no noise.

    Adding the noise is charged: a copy of the weights that products read, and for each weight a normal number, a
    multiplication and an addition in each batch.

    Source: Joshi et al., "Accurate deep neural network inference using computational phase-change memory", Nature
    Communications 11:2473, 2020. Their clipping is by the standard deviation of weights, which is √⟨w²⟩ where their
    mean is 0.
    """

    def check(self, machine: Machine, rule: Any, batch: int) -> None:
        if machine.devices is not None:
            refuse(
                "noise_aware adds noise to weights that are numbers, and devices of this machine have noise of their "
                "own; take it for a digital machine, as `references.NAME.update`, and write its weights to this one "
                "with the key `weights`"
            )
        if not rule.updates_once:
            refuse(
                f"noise_aware has one noise for each batch, and {rule.options.name} changes weights several times in "
                "it; take bptt, for instance"
            )

    def prepare(self, network: Network) -> None:
        for matrix in _matrices(network):
            matrix.unit.expect_noise(matrix)

    def show(self, network: Network) -> None:
        for _ in network.machine.phase("weight noise"):
            for matrix in _matrices(network):
                matrix.disturb(self.options.deviation)

    def change(self, trainable: Trainable, gradient: Signal, rate: float, optimizer: Optimizer) -> None:
        new = optimizer.updated(trainable, gradient, rate)
        if self.options.clip is not None and isinstance(trainable.holder, Matrix):
            bound = norm(new, self.options.clip / sqrt(prod(trainable.shape)))
            new = larger(-larger(-new, -bound), -bound)
        trainable.master.store(new)


def _matrices(network: Network) -> list[Matrix]:
    return [each.holder for each in network.trainables if isinstance(each.holder, Matrix)]
