"""What a learning rule is, and the simplest kind of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from hwsim.networks import Network


class Rule(ABC):
    """Turns the episode that the network's machine is showing into gradients.

    The contract: within a pass a rule sees the input in order, and keeps what is to survive a step in registers of the
    workspace that it opens; it may branch on the step, the pass and its options, never on values; it adds the gradient
    of the loss, summed over sequences and steps, to the accumulators of the network's parameters, and ends with
    `network.finish_gradient()`.
    """

    needs_tape = False
    """Whether it needs past values in another order than they were made."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    def uses(self) -> frozenset[str]:
        """What it needs of the cells' Jacobians, among `"transposed"` and `"inverse"`."""
        return frozenset()

    def recorded(self, steps: int) -> int:
        """The most past values of one register that it keeps on tapes, for sequences of so many steps."""
        return steps if self.needs_tape else 0

    @property
    def shortest(self) -> int:
        """Steps of a sequence that is long enough for all of its kinds of passes to occur."""
        return 1

    def passes(self, layers: int) -> int:
        """How often it shows the input to a network of so many layers."""
        return 1

    def check(self, network: Network) -> None:
        """Refuse a network or machine that the rule does not fit, before anything runs."""

    @abstractmethod
    def gradients(self, network: Network) -> None:
        """Add the gradient of the episode being shown."""


class Instantaneous(Rule):
    """Errors go back through the layers of one step only: δ_t = g_t. One pass, and no learning state.

    Attributes:
        recurrent: whether the recurrent factor gets its immediate gradient.
    """

    recurrent: bool

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace() as workspace:
            states = network.states(workspace)
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                for level in network.downward(network.loss_error(output, step), seen):
                    g = level.g()
                    if g is not None:
                        level.learn(g, self.recurrent)
        network.finish_gradient()
