"""What an update scheme is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from hwsim.errors import ConfigError
from hwsim.learning.optimizers import Optimizer
from hwsim.machine import Machine, Matrix, Pulses, Signal, Trainable
from hwsim.networks import Network

Rate = Callable[[Trainable], float]
"""The learning rate of a parameter, in the batch under way."""


class Scheme:
    """How what rules add to gradients becomes weights.

    A scheme is made for each network that learns. It is asked, in this order: `check`, `place` before the network is
    made, `prepare` before gradients are allocated, `begin` and `show` at each batch, and `change` in the phase of each
    update, for each parameter whose gradient is summed; then `finish`.

    Attributes:
        options: those of the scheme.
    """

    pulses = False
    """Whether pulses change weights, rather than programming."""
    summed = True
    """Whether there are sums of all gradients, which can be looked at."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @classmethod
    def accepts(cls, optimizer: Any, clip: Any) -> None:
        """Refuse options of training that do not go with the scheme.

        Raises:
            ValueError: they do not.
        """

    def check(self, machine: Machine, rule: Any, batch: int) -> None:
        """Refuse a machine, a rule or a batch of so many sequences that do not go with the scheme.

        Raises:
            HwsimError: they do not; the message says what is allowed.
        """

    def place(self, machine: Machine) -> None:
        """Tell a machine how its weights will change, before a network is made on it."""
        machine.pulsed = self.pulses

    def prepare(self, network: Network) -> None:
        """Make what the scheme keeps of each parameter, before gradients are allocated."""

    def begin(self, network: Network, rate: Rate) -> None:
        """A batch begins, which has these learning rates. Initial weights are programmed by now."""

    def show(self, network: Network) -> None:
        """A batch is shown, and a rule is about to learn from it: set, in phases, the weights at which it looks."""

    def sums(self, trainable: Trainable) -> bool:
        """Whether the gradient of a parameter is summed, and changes it in the phase of an update."""
        return True

    def losses(self, losses: int) -> int:
        """What summed gradients are divided by: by default the number of losses that they are of."""
        return losses

    def finish(self, network: Network) -> None:
        """Do, in phases of its own, what an update takes besides; summed gradients have changed parameters by now."""

    def change(self, trainable: Trainable, gradient: Signal, rate: float, optimizer: Optimizer) -> None:
        """In the phase of an update: change a parameter, or what is kept of it; by default as the optimizer says."""
        trainable.master.store(optimizer.updated(trainable, gradient, rate))


@contextmanager
def resting(network: Network) -> Iterator[None]:
    """While it is entered, nothing that is added to a gradient changes a weight; as where circuits are calibrated."""
    sinks = [trainable.gradient for trainable in network.trainables if hasattr(trainable.gradient, "rate")]
    rates = [sink.rate for sink in sinks]
    for sink in sinks:
        sink.rate = 0.0
    try:
        yield
    finally:
        for sink, rate in zip(sinks, rates, strict=True):
            sink.rate = rate


def plain(name: str, optimizer: Any) -> None:
    """Refuse optimizers that keep values of their own.

    Raises:
        ValueError: it is one.
    """
    if optimizer.name != "sgd" or optimizer.momentum:
        raise ValueError(
            f"update: {name} takes plain gradient descent, `optimizer: {{name: sgd, rate: …}}` without momentum: "
            "pulses stand for -rate times the gradient, and an optimizer would need values beside the weights"
        )


def size_of_pulses(trainable: Trainable, levels: int | None, most: int) -> Pulses | None:
    """Pulses by which a unit changes a matrix; None if nothing says how large they are."""
    assert isinstance(trainable.holder, Matrix)
    step = trainable.holder.unit.pulse_of(levels, trainable.holder)
    return None if step is None else Pulses(step, most)


def refuse(what: str) -> NoReturn:
    """Raise a `ConfigError` on the key `training.update`."""
    raise ConfigError(f"training.update: {what}")
