"""Calibrations of full scales: passes of a rule on some sequences, without learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hwsim.episode import Episode
from hwsim.experiments.saturation import uncounted
from hwsim.learning import Rule
from hwsim.learning.updates import resting
from hwsim.networks import Network


def calibrate(network: Network, rule: Rule | None, sequences: Episode, first: bool = True) -> None:
    """Have each chip choose the full scales of its signals, for itself, if they are chosen at all.

    Args:
        rule: whose passes are carried out; None for inference alone.
        sequences: to show; they start from rest, and hand no state on.
        first: whether full scales start from the numbers in the machine's file, and not near where they settle.
    """
    ranges = network.machine.ranges
    if ranges is not None:
        rounds = ranges.options.rounds if first else ranges.options.later
        with calibration(network, rule, sequences) as choose:
            for number in range(1, rounds + 1):
                choose(number == rounds)


@contextmanager
def calibration(network: Network, rule: Rule | None, sequences: Episode) -> Iterator[Callable[[bool], None]]:
    """A calibration on a chip that chooses full scales, round by round: each call is one, and knows the last.

    A round shows the sequences and counts where values lie; then full scales are set. What the rule adds to
    gradients is cleared, and changes no weight. All of it is charged, but what saturates while scales settle is not
    counted as saturated.
    """
    machine, ranges = network.machine, network.machine.ranges
    assert ranges is not None
    episode = replace(sequences, lanes=0, continues=False)

    def choose(last: bool) -> None:
        with machine.showing(episode):
            network.infer() if rule is None else rule.gradients(network)
            for _ in machine.phase("full scales"):
                ranges.choose(last)
                if rule is not None:
                    network.clear_gradients()

    with machine.probe.unwatched(), uncounted(machine), ranges.calibrating(), resting(network):
        yield choose
