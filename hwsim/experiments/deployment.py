"""Deployment: a network whose devices wait, and drift, is tested at each age."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.accounts.journal import Totals
from hwsim.config.deploy import Deploy
from hwsim.episode import Episode
from hwsim.experiments.evaluation import Score, evaluate
from hwsim.experiments.gradient_check import outside
from hwsim.networks import Network
from hwsim.records import INFERENCE


class Aged(NamedTuple):
    """A network at one age of its devices.

    Attributes:
        after: how long they have waited, in seconds.
        conductance: what is left of the conductance of all devices together, as a share, of each chip.
        plain: the test with the devices as they are.
        compensated: the test with a factor for each matrix; None if none was asked for.
        work: of the test, and of the compensated one with its reads of all devices.
        words: bits of what compensation keeps on each chip.
    """

    after: float
    conductance: np.ndarray
    plain: Score
    compensated: Score | None
    work: tuple[Totals, Totals]
    words: int = 0


def deployed(network: Network, options: Deploy, test: Episode, size: int) -> list[Aged]:
    """Test a network at each age, and leave it as it is; what tests take is told apart from the work of the run.

    All ages have the same draws of read noise and of exponents, so that they differ by age alone.

    Args:
        size: sequences that are shown side by side.
    """
    found = []
    for after in options.after:
        plain, conductance, work, _ = _tested(network, after, False, test, size)
        compensated, more, words = None, Totals(), 0
        if options.compensation == "global":
            compensated, _, more, words = _tested(network, after, True, test, size)
        found.append(Aged(after, conductance, plain, compensated, (work, more), words))
    return found


def _tested(
    network: Network, after: float, compensated: bool, test: Episode, size: int
) -> tuple[Score, np.ndarray, Totals, int]:
    """A test after a wait, what is left of the conductance then, what it takes, and bits that compensation keeps."""
    chip = network.machine.devices
    before = _conductance(network)
    with outside(network), network.machine.memory.unmeasured():
        if compensated:
            for array in chip.values():
                array.begin_compensation()
            _read_all(network, waited=False)
        with chip.aged(after, compensated):
            score, left = evaluate(network, test, size), _conductance(network) / before
            words = chip.words
            if compensated:
                _read_all(network, waited=True)
        return score, left, network.machine.journal.collect(), words


def _read_all(network: Network, waited: bool) -> None:
    """Charge one read of each matrix with all inputs at full scale: its factor is made of two of them."""
    machine = network.machine
    for _ in machine.phase("compensation"):
        for array in machine.devices.values():
            machine.serve(array.layer, INFERENCE)
            array.read_all(waited)
    machine.journal.close_batch(1)


def _conductance(network: Network) -> np.ndarray:
    """Of all devices of each chip together."""
    arrays = network.machine.devices.arrays.values()
    return np.sum([devices.conductance.sum((1, 2, 3)) for devices in arrays], 0)
