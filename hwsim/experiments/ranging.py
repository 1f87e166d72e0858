"""Calibrations of full scales: passes of a rule on some sequences, without learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hwsim.episode import Episode
from hwsim.experiments.saturation import uncounted
from hwsim.learning import Rule
from hwsim.learning.updates import resting
from hwsim.networks import Network


def calibrate(network: Network, rule: Rule | None, sequences: Episode) -> None:
    """Have each chip choose the full scales of its signals, for itself, if they are chosen at all.

    Each round shows the sequences and counts where values lie; then full scales are set. What the rule adds to
    gradients is cleared, and changes no weight. All of it is charged, but what saturates while scales settle is not
    counted as saturated.

    Args:
        rule: whose passes are carried out; None for inference alone.
        sequences: to show; they start from rest, and hand no state on.
    """
    machine, ranges = network.machine, network.machine.ranges
    if ranges is None:
        return
    episode = replace(sequences, lanes=0, continues=False)
    passes: Callable[[], None] = network.infer if rule is None else lambda: rule.gradients(network)
    with machine.probe.unwatched(), uncounted(machine), ranges.calibrating(), resting(network):
        for number in range(1, ranges.options.rounds + 1):
            with machine.showing(episode):
                passes()
                for _ in machine.phase("full scales"):
                    ranges.choose(last=number == ranges.options.rounds)
                    if rule is not None:
                        network.clear_gradients()
