"""The loss: compares the outputs of a network with the targets, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from hwsim.episode import Episode
from hwsim.machine import Signal
from hwsim.operations import softmax


class Loss(ABC):
    """l_t = weight(t, T) l(scaled output, target) at each step that carries a loss.

    The machine computes the answer and the error, since learning needs them. The value of the loss is computed outside
    the machine, by `hwsim.experiments.losses`.

    Attributes:
        weight: gives the weight of a step, from its index and the length of the sequence; None if all weights are 1.
            Estimates carry out every step if there are weights.
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


def usual(episode: Episode) -> Loss:
    """Cross-entropy for classes, half the squared distance for values."""
    return CROSS_ENTROPY if episode.classes else HALF_SQUARE


CROSS_ENTROPY, HALF_SQUARE = CrossEntropy(), HalfSquare()
