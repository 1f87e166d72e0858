"""Adam: steps of the mean gradient over the root of its mean square (Kingma and Ba, ICLR 2015, algorithm 1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwsim.learning.optimizers.moments import DecayRate, MomentOptions, Moments
from hwsim.machine import Signal, Trainable
from hwsim.operations import plus, sqrt, square


class Options(MomentOptions):
    """Adam."""

    name: Literal["adam"]
    beta2: Annotated[DecayRate, Field(description="decay rate of the mean square v")] = 0.999
    epsilon: Annotated[float, Field(gt=0, description="added to √v before dividing by it")] = 1e-8
    decay: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="decay w is added to the gradient; `adamw` decouples it")
    ] = 0.0
    decay_recurrent: Annotated[bool, Field(description="whether recurrent parameters decay too")] = False


class Adam(Moments):
    """m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², w ← w - η m̂ / (√v̂ + ε), where g includes decay w.

    m̂ and v̂ are m and v, corrected for their bias.
    """

    slots = ("m", "v")

    def updated(self, trainable: Trainable, gradient: Signal, rate: float) -> Signal:
        change = self.change(trainable, self.with_penalty(trainable, gradient))
        return trainable.master.load() - rate * change

    def change(self, trainable: Trainable, gradient: Signal) -> Signal:
        """m̂ / (√v̂ + ε)."""
        o, slot_v = self.options, self.slot(trainable, "v")
        m = self.mean(trainable, gradient)
        v = o.beta2 * slot_v.load() + (1 - o.beta2) * square(gradient)
        self.slot(trainable, "m").store(m)
        slot_v.store(v)
        return self.corrected(m, o.beta1) / plus(sqrt(self.corrected(v, o.beta2)), self.least)
