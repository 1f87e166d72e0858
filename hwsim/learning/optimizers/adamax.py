"""Adamax: Adam with the largest gradient in place of its mean square (Kingma and Ba, ICLR 2015, section 7.1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwsim.learning.optimizers.moments import DecayRate, MomentOptions, Moments
from hwsim.machine import Signal, Trainable
from hwsim.operations import at_least, larger


class Options(MomentOptions):
    """Adam with the largest gradient in place of its mean square."""

    name: Literal["adamax"]
    beta2: Annotated[DecayRate, Field(description="decay rate of the largest gradient u")] = 0.999
    epsilon: Annotated[float, Field(gt=0, description="least number that is divided by, where u is below it")] = 1e-8
    decay: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="decay w is added to the gradient, as in `adam`")
    ] = 0.0
    decay_recurrent: Annotated[bool, Field(description="whether recurrent parameters decay too")] = False


class Adamax(Moments):
    """m ← β₁m + (1 - β₁)g, u ← max(β₂u, |g|), w ← w - η m̂ / u, where g includes decay w.

    m̂ is m, corrected for its bias; u is not biased. The paper divides by u alone, which is zero for a parameter that
    never had a gradient; here u counts as ε where it is smaller.
    """

    slots = ("m", "u")

    def updated(self, trainable: Trainable, gradient: Signal, rate: float) -> Signal:
        o, slot_u = self.options, self.slot(trainable, "u")
        g = self.with_penalty(trainable, gradient)
        m, u = self.mean(trainable, g), larger(o.beta2 * slot_u.load(), larger(g, -g))
        self.slot(trainable, "m").store(m)
        slot_u.store(u)
        change = self.corrected(m, o.beta1) / at_least(u, self.least)
        return trainable.master.load() - rate * change
