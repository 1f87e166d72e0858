"""Stochastic gradient descent, with momentum if wanted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.learning.optimizers.optimizer import Optimizer
from hwsim.machine import Signal, Trainable
from hwsim.networks import Network


class Options(BaseModel, extra="forbid"):
    """w ← w - η v with v ← μ v + g; without momentum v is g, and there are no slots."""

    name: Literal["sgd"]
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="learning rate η")]
    momentum: Annotated[float, Field(ge=0, lt=1, description="μ")] = 0.0


class SGD(Optimizer):
    """w ← w - η v, v ← μ v + g."""

    def __init__(self, options: Options, network: Network) -> None:
        self.slots = ("velocity",) if options.momentum else ()
        super().__init__(options, network)

    def updated(self, trainable: Trainable, gradient: Signal, rate: float) -> Signal:
        if self.options.momentum:
            velocity = self.slot(trainable, "velocity")
            gradient = self.options.momentum * velocity.load() + gradient
            velocity.store(gradient)
        return trainable.master.load() - rate * gradient
