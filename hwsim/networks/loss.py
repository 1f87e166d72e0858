"""The loss: compares the outputs of a network with the targets, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.machine import Signal
from hwsim.operations import softmax


class Options(BaseModel, extra="forbid"):
    """What the outputs are judged by."""

    name: Annotated[
        Literal["natural", "cross_entropy", "half_square"],
        Field(
            description="cross-entropy of the softmax, or half the squared distance, from one-hot targets where the "
            "task has classes; `natural` is the first for classes and the second for values"
        ),
    ] = "natural"
    weights: Annotated[
        Literal["equal", "rising"] | Annotated[float, Field(gt=0, le=1)],
        Field(
            description="of the losses of steps 1 to T: all 1; t / T; or a number γ, for γ^(T - t), so that the last "
            "step weighs 1"
        ),
    ] = "equal"


class Loss(ABC):
    """l_t = weight(t, T) l(scaled output, target) at each step that carries a loss.

    The machine computes the answer and the error, since learning needs them. The value of the loss is computed outside
    the machine, by `hwsim.experiments.losses`.

    Attributes:
        weight: gives the weight of a step, from its index and the length of the sequence; None if all weights are 1.
    """

    def __init__(self, weight: Callable[[int, int], float] | None = None) -> None:
        self.weight = weight

    @abstractmethod
    def answer(self, scaled: Signal) -> Signal:
        """The answer of the network, from its scaled output."""

    @abstractmethod
    def error(self, answer: Signal, target: Signal) -> Signal:
        """∂l/∂(scaled output), without the weight."""


class CrossEntropy(Loss):
    """-log softmax(output) at the target class; the error is softmax(output) - target."""

    def answer(self, scaled: Signal) -> Signal:
        return softmax(scaled)

    def error(self, answer: Signal, target: Signal) -> Signal:
        return answer - target


class HalfSquare(Loss):
    """Half the squared distance between output and target; the error is output - target."""

    def answer(self, scaled: Signal) -> Signal:
        return scaled

    def error(self, answer: Signal, target: Signal) -> Signal:
        return answer - target


def build(options: Options) -> Callable[[Episode], Loss]:
    """The loss that the outputs for an episode are judged by.

    Raises:
        ConfigError: from what is returned, where cross-entropy is asked for and the episode has no classes.
    """
    weight = _weight(options.weights)
    of_classes, of_values = CrossEntropy(weight), HalfSquare(weight)

    def loss_for(episode: Episode) -> Loss:
        if options.name == "half_square" or (options.name == "natural" and not episode.classes):
            return of_values
        if not episode.classes:
            raise ConfigError("network.loss.name: cross_entropy is for classes, and the task has values to predict")
        return of_classes

    return loss_for


def _weight(weights: str | float) -> Callable[[int, int], float] | None:
    if isinstance(weights, str):
        return None if weights == "equal" else lambda step, steps: (step + 1) / steps
    return lambda step, steps: weights ** (steps - 1 - step)
