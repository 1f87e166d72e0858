"""What a learning rule is, and the simplest kind of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, Self

from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.horizon import Horizon
from hwsim.learning.update import Update
from hwsim.networks import Network


class Rule(ABC):
    """Turns the episode that the network's machine is showing into gradients, and these into updates.

    The contract: within a pass a rule sees the input in order, and keeps what is to survive a step in registers of the
    workspace that it opens; it may branch on the step, the pass and its options, never on values; it adds the gradient
    of the loss, summed over sequences and steps, to the accumulators of the network's parameters, and ends with
    `network.finish_gradient()`.

    A rule that gives `gradients` alone makes one update of each batch. The other methods are for rules that need more:
    `prepare` for what outlives a batch, `learn` for other updates, `at` for options that change while training goes on,
    `horizon` and `diagnostics` for what reports should say of it.
    """

    needs_tape = False
    """Whether it needs past values in another order than they were made."""

    def __init__(self, options: Any) -> None:
        self.options = options

    compares: tuple[str, ...] = ()
    """Names under which it shows pairs of signals that should be equal: `machine.probe(f"{layer.name} {name}", x, y)`;
    `Look.differences` then tells how far apart they were."""

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

    def prepare(self, network: Network) -> None:
        """Make what lives longer than a batch: averages of weights, fixed feedback matrices.

        Called once for each network that is to learn, before its first episode, when its gradients are allocated. What
        is made here is charged until the machine is given back; values are set in phases.
        """

    def at(self, update: int, updates: int) -> Rule:
        """The rule at a stage of training, for a batch before which so many of all `updates` batches were learned from.

        A pure function of both numbers, so that costs of equal stages are found once. Rules whose options change with
        them return `self.but(option=value)`. Without training both are 0. It is asked again for each network, and what
        learns on one has been prepared on it.
        """
        return self

    def but(self, **options: Any) -> Self:
        """The same rule, with all that it prepared, and other values of some options."""
        other = copy(self)
        other.options = self.options.model_copy(update=options)
        return other

    def learn(self, network: Network, update: Update) -> None:
        """Learn from the episode that is being shown: find gradients, and call `update`; here once, at the end."""
        losses = network.machine.episode.losses
        self.gradients(network)
        update(losses)

    def horizon(self, look: Look) -> Horizon | None:
        """How far it can carry errors forward in time on this machine; None if it carries none so, or has no number.

        It says itself over how many steps it does, and which relative error it accepts at their end.
        """
        return None

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        """What it reports of itself at a test, beside what is known of every rule; here its horizon, if it has one."""
        horizon = self.horizon(look)
        return [] if horizon is None else horizon.diagnostics()

    @abstractmethod
    def gradients(self, network: Network) -> None:
        """Add the gradient of the episode being shown. The gradient check compares it with the exact one."""


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
