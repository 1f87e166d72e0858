"""What a learning rule is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from hwsim.networks import Network


class Rule(ABC):
    """Turns the episode that the network's machine is showing into gradients.

    The contract: within a pass a rule sees the input in order, and keeps what is to survive a step in registers of the
    workspace that it opens; it may branch on the step, the pass and its options, never on values; it adds the gradient
    of the loss, summed over sequences and steps, to the accumulators of the network's parameters.

    Attributes:
        uses: what it needs of the cells' Jacobians, among `"transposed"` and `"inverse"`.
        passes: how often it shows the input to a network of so many layers.
    """

    uses: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def gradients(self, network: Network) -> None:
        """Add the gradient of the episode being shown."""

    def check(self, network: Network) -> None:
        """Refuse a network or machine that the rule does not fit, before anything runs."""
