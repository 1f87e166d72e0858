"""The loss: what the outputs of a network are judged by, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from hwsim.episode import Episode
from hwsim.machine import Signal
from hwsim.operations import softmax


class Loss(ABC):
    """l_t = weight(t, T) l(scaled output, target) at each step that carries a loss.

    A machine works out the answer and the error, since learning needs them. What the loss comes to is told by whoever
    looks at a run from outside: `hwsim.experiments.losses` has each loss in numbers.

    Attributes:
        weight: from a step, counted from 0, and the length of the sequence; None where all steps weigh 1. With weights
            that differ from step to step, costs are estimated by carrying all steps out.
    """

    def __init__(self, weight: Callable[[int, int], float] | None = None) -> None:
        self.weight = weight

    @abstractmethod
    def answer(self, scaled: Signal) -> Signal:
        """What the network says, from its scaled output."""

    @abstractmethod
    def error(self, answer: Signal, target: Signal) -> Signal:
        """∂l/∂(scaled output), without the weight."""


class CrossEntropy(Loss):
    """-log of the softmax at the class that is the target; its error is softmax - target."""

    def answer(self, scaled: Signal) -> Signal:
        return softmax(scaled)

    def error(self, answer: Signal, target: Signal) -> Signal:
        return answer - target


class HalfSquare(Loss):
    """Half the squared distance from the target; its error is output - target."""

    def answer(self, scaled: Signal) -> Signal:
        return scaled

    def error(self, answer: Signal, target: Signal) -> Signal:
        return answer - target


def usual(episode: Episode) -> Loss:
    """Cross-entropy for classes, half the squared distance for values."""
    return CROSS_ENTROPY if episode.classes else HALF_SQUARE


CROSS_ENTROPY, HALF_SQUARE = CrossEntropy(), HalfSquare()
