"""From gradients to new weights: clipping, learning rates, the optimizer, and programming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import cos, pi, sqrt
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.errors import CapabilityError
from hwsim.formats import Format
from hwsim.learning import updates
from hwsim.learning.optimizers import AnyOptions, Optimizer
from hwsim.learning.updates import AnyOptions as AnyScheme
from hwsim.learning.updates import Scheme
from hwsim.learning.updates.accumulate import Options as Accumulated
from hwsim.machine import Signal, Trainable
from hwsim.networks import Network
from hwsim.operations import at_least, at_most, hypot, larger, largest, norm, reciprocal
from hwsim.records import UPDATE

Bound = Annotated[float, Field(gt=0)]


class Clip(BaseModel, extra="forbid"):
    """What gradients are clipped to; if both are given, first each number and then the norm."""

    norm: Annotated[Bound | None, Field(description="largest norm of the gradient of all parameters together")] = None
    value: Annotated[Bound | None, Field(description="largest size of each number of the gradient")] = None


class Options(BaseModel, extra="forbid"):
    """How gradients change weights."""

    optimizer: Annotated[AnyOptions, Field(description="turns gradients into changes of weights")]
    clip: Annotated[
        Bound | Clip | None,
        Field(
            description="largest norm of the gradient of all parameters together; `{norm: 1.0}` says the same, "
            "`{value: 0.5}` bounds each number of the gradient"
        ),
    ] = None
    schedule: Annotated[
        Literal["constant", "cosine"], Field(description="of the learning rate; cosine falls to zero at the end")
    ] = "constant"
    recurrent_factor: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="learning rate of recurrent parameters, relative to the others"),
    ] = 1.0
    update: Annotated[AnyScheme, Field(description="how gradients become weights")] = Accumulated()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        updates.of(self.update).accepts(self.optimizer, self.clip)
        return self

    @property
    def bounds(self) -> Clip:
        """What gradients are clipped to."""
        return self.clip if isinstance(self.clip, Clip) else Clip(norm=self.clip)


def rate(options: Options, done: float) -> float:
    """The learning rate when a fraction `done` of the training is over."""
    base: float = options.optimizer.rate
    return base * 0.5 * (1 + cos(pi * done)) if options.schedule == "cosine" else base


Regularise = Callable[[Trainable, Signal], Signal]
"""Replaces the gradient of a parameter, within the phase of an update, by operations of the machine."""


class Update:
    """One update of all parameters; a rule may call it several times per batch, between passes.

    Args:
        done: fraction of the training that is over.
        before: called before each change of the weights.
        scheme: how gradients become weights; without one, by programming what was accumulated.

    Attributes:
        network: whose parameters change.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        options: Options,
        done: float = 0.0,
        before: Callable[[], None] | None = None,
        scheme: Scheme | None = None,
    ) -> None:
        self.network, self._optimizer, self._options = network, optimizer, options
        self._done, self._before = done, before
        self._scheme = updates.build(options.update) if scheme is None else scheme
        self._scheme.begin(network, self._rate)

    def learn(self, rule: Any) -> None:
        """Have a rule learn from the episode that is shown, at the weights at which the scheme has it look."""
        self._scheme.show(self.network)
        rule.learn(self.network, self)

    def __call__(self, losses: int, regularise: Regularise | None = None, beside: Sequence[Trainable] = ()) -> None:
        """Update all parameters, program their units to the new values, and set the gradients to zero.

        Args:
            losses: number of losses in the sum that the gradient is of; the gradient is divided by it.
            regularise: replaces the divided gradient of each parameter, before clipping.
            beside: parameters of the rule that change in the same way, without counting in the norm that is clipped;
                the rule programs them.
        """
        if self._before is not None:
            self._before()
        network, optimizer, scheme = self.network, self._optimizer, self._scheme
        if scheme.pulses:
            network.renew()
        machine, clip, losses = network.machine, self._options.bounds, scheme.losses(losses)
        optimizer.include(beside)
        own = [trainable for trainable in network.trainables if scheme.sums(trainable)]
        if regularise is not None and len(own) < len(network.trainables):
            raise CapabilityError(
                f"training.update: {scheme.options.name} has changed the weights already when a rule wants to "
                "regularise its gradient; take `update: {name: accumulate}`"
            )
        for trainable in beside:
            trainable.require_master()
        summed = [*own, *beside]
        if not summed:
            optimizer.iteration += 1
            scheme.finish(network)
            return
        for _ in machine.phase("update"):
            with machine.part(purpose=UPDATE):
                gradients = {trainable: (1 / losses) * trainable.gradient.load() for trainable in summed}
            if regularise is not None:
                for trainable, gradient in gradients.items():
                    with machine.part(trainable.layer, UPDATE):
                        gradients[trainable] = regularise(trainable, gradient)
            if clip.value is not None:
                for trainable, gradient in gradients.items():
                    with machine.part(trainable.layer, UPDATE):
                        gradients[trainable] = _within(gradient, clip.value, machine.update)
            with machine.part(purpose=UPDATE):
                counted = [gradients[trainable] for trainable in own]
                factor = _clipping(counted, clip.norm, machine.update) if clip.norm and own else None
            for trainable, gradient in gradients.items():
                with machine.part(trainable.layer, UPDATE):
                    clipped = gradient if factor is None else gradient * factor
                    scheme.change(trainable, clipped, self._rate(trainable), optimizer)
            with machine.part(purpose=UPDATE):
                network.clear_gradients()
        optimizer.iteration += 1
        scheme.finish(network)
        network.program()

    def _rate(self, trainable: Trainable) -> float:
        factor = self._options.recurrent_factor if trainable.group == "recurrent" else 1.0
        return rate(self._options, self._done) * factor


def _within(gradient: Signal, bound: float, numbers: Format) -> Signal:
    """The gradient with each of its numbers between -bound and bound, a number of the format that is not zero."""
    limit = max(numbers.nearest(min(bound, numbers.largest)), numbers.smallest)
    return at_least(at_most(gradient, limit), -limit)


def _clipping(gradients: list[Signal], bound: float, numbers: Format) -> Signal:
    """min(1, bound / norm) of all gradients together (Pascanu, Mikolov and Bengio, ICML 2013, algorithm 1).

    As in nrm2 of BLAS, gradients are scaled before they are squared: by their largest element, or by a floor if all
    elements are below it. So no square overflows or underflows, and nothing is divided by zero. With that scale s,

        bound / norm = (share floor / s) / (norm(gradients / s) / unit),  share = bound / (unit floor).

    Floating-point units multiply by 1/s on both sides of the division, so that its rounding cancels.

    Args:
        numbers: the format that gradients are in.
    """
    values = sum(gradient.width for gradient in gradients)
    unit = max(1.0, sqrt(values) / numbers.largest)  # so large that no norm of as many values up to 1 is out of range
    floor = numbers.nearest(min(max(bound / unit, numbers.least_divisor), numbers.largest))
    share = min(bound, sqrt(values) * numbers.largest) / (unit * floor)
    scale = at_least(reduce(larger, map(largest, gradients)), floor)
    inverse = None if numbers.fixed else reciprocal(scale)

    def scaled(x: Signal) -> Signal:
        return x / scale if inverse is None else x * inverse

    size = reduce(hypot, (norm(scaled(gradient), 1 / unit) for gradient in gradients))
    reach = at_least(share * scaled(at_most(scale, floor)), numbers.smallest)
    return reach / larger(reach, size)
