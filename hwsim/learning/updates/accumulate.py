"""Sums of gradients and programming: the optimizer finds new weights, and devices are programmed to them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.learning.optimizers import Optimizer
from hwsim.learning.updates.scheme import Scheme
from hwsim.machine import Signal, Trainable


class Options(BaseModel, extra="forbid"):
    """Sum gradients in digital memory, then program the weights that the optimizer finds."""

    name: Literal["accumulate"] = "accumulate"


class Accumulate(Scheme):
    """w ← the optimizer's value for the summed gradient; devices whose target moved are programmed, and verified."""

    def change(self, trainable: Trainable, gradient: Signal, rate: float, optimizer: Optimizer) -> None:
        trainable.master.store(optimizer.updated(trainable, gradient, rate))
