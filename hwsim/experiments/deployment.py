"""Deployment: a network whose devices wait, and drift, is tested at each age."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.config.deploy import Deploy
from hwsim.episode import Episode
from hwsim.experiments.evaluation import Score, evaluate
from hwsim.experiments.gradient_check import outside
from hwsim.networks import Network


class Aged(NamedTuple):
    """A network at one age of its devices.

    Attributes:
        after: how long they have waited, in seconds.
        conductance: what is left of the conductance of all devices together, as a share, of each chip.
        plain: the test with the devices as they are.
        compensated: the test with a factor for each matrix; None if none was asked for.
    """

    after: float
    conductance: np.ndarray
    plain: Score
    compensated: Score | None


def deployed(network: Network, options: Deploy, test: Episode, size: int) -> list[Aged]:
    """Test a network at each age, and leave it as it is; nothing of this is charged.

    All ages have the same draws of read noise and of exponents, so that they differ by age alone.

    Args:
        size: sequences that are shown side by side.
    """
    found = []
    for after in options.after:
        plain, conductance = _tested(network, after, False, test, size)
        compensated = _tested(network, after, True, test, size)[0] if options.compensation == "global" else None
        found.append(Aged(after, conductance, plain, compensated))
    return found


def _tested(network: Network, after: float, compensated: bool, test: Episode, size: int) -> tuple[Score, np.ndarray]:
    """A test after a wait, and what is left of the conductance then."""
    chip = network.machine.devices
    before = _conductance(network)
    with outside(network), chip.aged(after, compensated):
        return evaluate(network, test, size), _conductance(network) / before


def _conductance(network: Network) -> np.ndarray:
    """Of all devices of each chip together."""
    arrays = network.machine.devices.arrays.values()
    return np.sum([devices.conductance.sum((1, 2, 3)) for devices in arrays], 0)
