"""Optimizers: one file each, found by its name. Their slots are in the memory ledger, their arithmetic is recorded."""

from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.learning.optimizers.optimizer import Optimizer
from hwsim.networks import Network

OPTIMIZERS = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(OPTIMIZERS)


def build(options: Any, network: Network) -> Optimizer:
    """The optimizer that `options` describe, with slots for the parameters of `network`."""
    optimizer: Optimizer = implementation(OPTIMIZERS[options.name], Optimizer)(options, network)
    return optimizer


__all__ = ["OPTIMIZERS", "AnyOptions", "Optimizer", "build"]
