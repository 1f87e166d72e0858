"""What a rule leaves out of the gradient by itself: its gradient in exact arithmetic, beside the exact gradient."""

from __future__ import annotations

import numpy as np

from hwsim import learning
from hwsim.config.experiment import Experiment
from hwsim.episode import Episode
from hwsim.experiments.alignment import Sums
from hwsim.experiments.settling import exact_network
from hwsim.learning import Rule

Group = tuple[str, str]
"""A layer, and a group of its parameters."""


class LeftOut:
    """Gradients of rules in exact arithmetic, along a few sequences, at the initial weights.

    Args:
        experiment: has the network and the seed of its weights.
        episode: the sequences.
    """

    def __init__(self, experiment: Experiment, episode: Episode) -> None:
        self._experiment, self._episode = experiment, episode
        self._exact: dict[Group, np.ndarray] | None = None

    def by(self, rule: Rule) -> dict[Group, Sums]:
        """⟨G̃, G⟩, |G̃|² and |G|² of each group of parameters, G̃ being the gradient of the rule and G the exact one.

        A gradient that is not finite has nothing in common with the exact one.

        Raises:
            HwsimError: the rule does not go with the network on an exact machine.
        """
        if self._exact is None:
            self._exact = self._gradient(learning.build(learning.options({"name": "bptt"})))
        mine = self._gradient(rule)
        return {group: _sums(mine[group], exact) for group, exact in self._exact.items()}

    def _gradient(self, rule: Rule) -> dict[Group, np.ndarray]:
        network = exact_network(self._experiment, rule.uses, self._episode, rule)
        try:
            with network.machine.showing(self._episode), np.errstate(all="ignore"):
                rule.gradients(network)
            found: dict[Group, list[np.ndarray]] = {}
            for each in network.trainables:
                found.setdefault((each.layer, each.group), []).append(each.gradient.value.astype(float).ravel())
            return {group: np.concatenate(parts) for group, parts in found.items()}
        finally:
            network.machine.release()


def _sums(mine: np.ndarray, exact: np.ndarray) -> Sums:
    power = float(exact @ exact)
    if not np.isfinite(mine).all():
        return Sums(0.0, np.inf, power)
    return Sums(float(mine @ exact), float(mine @ mine), power)
