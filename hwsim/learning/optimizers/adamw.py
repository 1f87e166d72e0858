"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, algorithm 2)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwsim.learning.optimizers.adam import Adam
from hwsim.learning.optimizers.moments import DecayRate, MomentOptions
from hwsim.machine import Signal, Trainable


class Options(MomentOptions):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    beta2: Annotated[DecayRate, Field(description="decay rate of the mean square v")] = 0.999
    epsilon: Annotated[float, Field(gt=0, description="added to √v before dividing by it")] = 1e-8
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False, description="weight decay, times the learning rate")] = 0.0
    decay_recurrent: Annotated[bool, Field(description="whether recurrent parameters decay too")] = False


class AdamW(Adam):
    """m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², w ← w - η (m̂ / (√v̂ + ε) + decay w).

    m̂ and v̂ are m and v, corrected for their bias.
    """

    def updated(self, trainable: Trainable, gradient: Signal, rate: float) -> Signal:
        change = self.change(trainable, gradient)
        w = trainable.master.load()
        if self.decays(trainable):
            change = change + self.options.decay * w
        return w - rate * change
