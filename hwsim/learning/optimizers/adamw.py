"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, algorithm 2)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.learning.optimizers.optimizer import Optimizer
from hwsim.machine import Signal, Trainable
from hwsim.operations import plus, sqrt, square

DecayRate = Annotated[float, Field(ge=0, lt=1)]


class Options(BaseModel, extra="forbid"):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="learning rate η")]
    beta1: Annotated[DecayRate, Field(description="decay rate of the mean gradient m")] = 0.9
    beta2: Annotated[DecayRate, Field(description="decay rate of the mean square v")] = 0.999
    epsilon: Annotated[float, Field(gt=0, description="added to √v before dividing by it")] = 1e-8
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False, description="weight decay, times the learning rate")] = 0.0
    decay_recurrent: Annotated[bool, Field(description="whether recurrent parameters decay too")] = False


class AdamW(Optimizer):
    """m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², w ← w - η (m̂ / (√v̂ + ε) + decay w).

    m̂ and v̂ are m and v, corrected for their bias.
    """

    slots = ("m", "v")

    def updated(self, trainable: Trainable, gradient: Signal, rate: float) -> Signal:
        o, step = self.options, self.iteration + 1
        slot_m, slot_v = self.slot(trainable, "m"), self.slot(trainable, "v")
        m = o.beta1 * slot_m.load() + (1 - o.beta1) * gradient
        v = o.beta2 * slot_v.load() + (1 - o.beta2) * square(gradient)
        slot_m.store(m)
        slot_v.store(v)
        change = ((1 / (1 - o.beta1**step)) * m) / plus(sqrt((1 / (1 - o.beta2**step)) * v), o.epsilon)
        w = trainable.master.load()
        if o.decay and (o.decay_recurrent or trainable.group != "recurrent"):
            change = change + o.decay * w
        return w - rate * change
