"""What a learning rule is, and the simplest kind of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any, Self

from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.horizon import Horizon
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.update import Update
from hwsim.networks import Network


class Rule(ABC):
    """A learning rule: computes gradients from the episode that the network's machine shows, and updates the weights.

    The contract: within a pass, a rule sees the input in order. What is to survive a step, it keeps in registers of the
    workspace that it opens. It may branch on the step, the pass and its options, never on values. It adds the gradient
    of the loss, summed over sequences and steps, to the accumulators of the network's parameters, and ends with
    `network.finish_gradient()`.

    A rule that defines `gradients` only makes one update per batch. The other methods are for rules that need more:
    `prepare` for what outlives a batch, `learn` for other updates, `at` for options that change during training,
    `horizon` and `diagnostics` for what reports say of the rule.
    """

    needs_tape = False
    """Whether the rule reads past values in another order than they were made in."""

    takes_errors = True
    """Whether errors go back through cells, for which those that fire need a surrogate slope."""

    in_place = False
    """Whether weights may change at the end of each step by what the rule adds to gradients in it: it goes forward
    once, and what it adds is final. The update scheme `in_situ` asks for that."""

    updates_once = True
    """Whether weights change once in a batch, when its gradient is known."""

    def __init__(self, options: Any) -> None:
        self.options = options

    compares: tuple[str, ...] = ()
    """Names of pairs of signals that should be equal. The rule shows a pair with
    `machine.probe(f"{layer.name} {name}", x, y)`; `Look.differences` gives its relative difference."""

    @property
    def uses(self) -> frozenset[str]:
        """The products with the cells' Jacobians that the rule uses: `"transposed"`, `"inverse"`, both or neither.

        With `"loop"` the inverse of a dense Jacobian is that of the chip's analog inverse solver.
        """
        return frozenset()

    def recorded(self, steps: int) -> int:
        """The largest number of past values of one register on a tape, for sequences of `steps` steps."""
        return steps if self.needs_tape else 0

    @property
    def routine(self) -> str:
        """What its passes depend on, besides the episode: its options."""
        return f"{type(self).__module__}.{type(self).__qualname__} {self.options!r}"

    @property
    def shortest(self) -> int:
        """Length of the shortest sequence in which every kind of pass of the rule occurs, in steps."""
        return 1

    def check(self, network: Network) -> None:
        """Refuse a network or a machine on which the rule cannot run; called before anything runs.

        Raises:
            HwsimError: the rule cannot run; the message says what it lacks, and what has it."""

    def fits(self, steps: int) -> None:
        """Refuse to learn from sequences of `steps` steps; called before anything runs.

        Raises:
            ConfigError: they are too short."""

    def prepare(self, network: Network) -> None:
        """Make what lives longer than a batch, such as averages of weights or fixed feedback matrices.

        Called once per network that learns: after its gradients are allocated, before its first episode. What is made
        here is charged until the machine is released; its values are set in phases.
        """

    def at(self, update: int, updates: int) -> Rule:
        """The rule at a stage of training.

        A pure function of both numbers, so that estimates compute the costs of equal stages once. Rules whose options
        change return `self.but(option=value)`. It is called anew for each network, on the rule that was prepared there.

        Args:
            update: number of batches that were learned from before this stage; 0 without training.
            updates: number of batches in the whole training; 0 without training.
        """
        return self

    @property
    def settles(self) -> bool:
        """Whether it wants to `settle`."""
        return False

    def settle(self, look: Look) -> Rule:
        """The rule for the network as it is, for all batches until the next report; by default the same rule.

        It is called before anything runs, with the initial weights, and then with each report. What it chooses goes by
        rates at which the network forgets and by the precision of the machine, never by values inside a pass; it has to
        be part of `routine`. Estimates settle at the initial weights alone.
        """
        return self

    def but(self, **options: Any) -> Self:
        """The same rule, with all that it prepared, but with other values of some options."""
        other = copy(self)
        other.options = self.options.model_copy(update=options)
        return other

    def learn(self, network: Network, update: Update) -> None:
        """Learn from the episode that is shown; by default compute the gradients, then update once."""
        losses = network.machine.episode.losses
        self.gradients(network)
        update(losses)

    def tested(self, network: Network) -> AbstractContextManager[None]:
        """While it is entered, the network holds the weights to be tested; by default those that it learns with.

        It changes weights in phases, programs the units, and leaves all as it was. It is not used before learning.
        """
        return nullcontext()

    def horizon(self, look: Look) -> Horizon | None:
        """How far the rule can carry errors forward in time on this machine.

        The rule states over how many steps it carries them, and which relative error it accepts at the end. None if it
        carries no errors forward, or if the weights or the exact errors are not finite.
        """
        return None

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        """Quantities that the rule reports of itself at each test; by default those of its horizon, if it has one."""
        horizon = self.horizon(look)
        return [] if horizon is None else horizon.diagnostics()

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        """Options besides the name that plans try, for sequences of `steps` steps and layers of a `width`."""
        return [{}]

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        """What it keeps of the exact gradient of a layer, in sequences of `steps` steps, or why that is not known.

        It goes by rates at which the network forgets, and by what the rule `settle`d on, never by values.
        """
        return f"what {self.options.name} keeps of the exact gradient has no closed form here"

    @abstractmethod
    def gradients(self, network: Network) -> None:
        """Add the gradient of the episode that is shown; the gradient check compares it with the exact one."""


class Instantaneous(Rule):
    """Errors go back through the layers of one step only: δ_t = g_t. One pass, and no learning state.

    Attributes:
        recurrent: whether the recurrent factor gets its immediate gradient.
    """

    recurrent: bool
    in_place = True

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        return Keeps((Lags.up_to(1),), jointly=True, recurrent=self.recurrent)

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
