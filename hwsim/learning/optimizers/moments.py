"""What the family of Adam shares: the mean gradient, the correction of a mean that starts at zero, and weight decay."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from hwsim.learning.optimizers.optimizer import Optimizer
from hwsim.machine import Signal, Trainable

DecayRate = Annotated[float, Field(ge=0, lt=1)]


class MomentOptions(BaseModel, extra="forbid"):
    """The learning rate, and how long the gradient is averaged."""

    name: str
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="learning rate η")]
    beta1: Annotated[DecayRate, Field(description="decay rate of the mean gradient m")] = 0.9


class Moments(Optimizer):
    """m ← β₁m + (1 - β₁)g."""

    def mean(self, trainable: Trainable, gradient: Signal) -> Signal:
        """m, with this gradient in it."""
        beta = self.options.beta1
        mean: Signal = beta * self.slot(trainable, "m").load() + (1 - beta) * gradient
        return mean

    def corrected(self, mean: Signal, beta: float) -> Signal:
        """The mean of gradients, or of their squares, without its share of the zero that it started from."""
        return (1 / (1 - beta ** (self.iteration + 1))) * mean

    @property
    def least(self) -> float:
        """ε, or the least number that the format of updates can divide by, where that is larger."""
        return max(self.options.epsilon, self.numbers.least_divisor)

    def decays(self, trainable: Trainable) -> bool:
        """Whether weight decay acts on a parameter."""
        o = self.options
        return bool(o.decay) and (o.decay_recurrent or trainable.group != "recurrent")

    def with_penalty(self, trainable: Trainable, gradient: Signal) -> Signal:
        """The gradient of the loss plus decay ‖w‖²/2."""
        return gradient + self.options.decay * trainable.master.load() if self.decays(trainable) else gradient
