"""From gradients to new weights: clipping, learning rates, the optimizer, and programming."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.learning.optimizers import AnyOptions, Optimizer
from hwsim.machine import Signal, at_most, plus, reciprocal, sqrt, square, total
from hwsim.networks import Network
from hwsim.records import UPDATE


class Options(BaseModel, extra="forbid"):
    """How gradients change weights."""

    optimizer: Annotated[AnyOptions, Field(description="what makes steps of gradients")]
    clip: Annotated[
        float | None, Field(gt=0, description="largest norm of the gradient of all parameters together")
    ] = None
    schedule: Annotated[
        Literal["constant", "cosine"], Field(description="of the learning rate; cosine falls to zero at the end")
    ] = "constant"
    recurrent_factor: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="learning rate of recurrent parameters, relative to the others"),
    ] = 1.0


def rate(options: Options, done: float) -> float:
    """The learning rate when a share `done` of the training is over."""
    base: float = options.optimizer.rate
    return base * 0.5 * (1 + cos(pi * done)) if options.schedule == "cosine" else base


def update(network: Network, optimizer: Optimizer, options: Options, done: float, summed: int) -> None:
    """Bring all parameters one step further, and their units to the new values; the gradient starts again from zero.

    Args:
        done: share of the training that is over.
        summed: losses that the gradient is the sum over: it is divided by their number.
    """
    machine = network.machine
    for _ in machine.phase("update"):
        machine.purpose = UPDATE
        gradients = {trainable: (1 / summed) * trainable.gradient.load() for trainable in network.trainables}
        factor = _clipping(list(gradients.values()), options.clip) if options.clip else None
        for trainable, gradient in gradients.items():
            machine.layer = trainable.layer
            now = rate(options, done) * (options.recurrent_factor if trainable.group == "recurrent" else 1.0)
            clipped = gradient if factor is None else gradient * factor
            trainable.master.store(optimizer.updated(trainable, clipped, now))
        network.clear_gradients()
    optimizer.iteration += 1
    network.program()


def _clipping(gradients: list[Signal], bound: float) -> Signal:
    """min(1, bound / norm) of all gradients together (Pascanu, Mikolov and Bengio, ICML 2013, algorithm 1)."""
    squares = total(square(gradients[0]))
    for gradient in gradients[1:]:
        squares = squares + total(square(gradient))
    return at_most(bound * reciprocal(plus(sqrt(squares), 1e-30)), 1.0)
