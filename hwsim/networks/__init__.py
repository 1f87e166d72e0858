"""Networks: layers of a recurrent cell and an instantaneous readout, stacked, with pooling and a loss."""

from hwsim.networks.downward import Level
from hwsim.networks.loss import CrossEntropy, HalfSquare, Loss
from hwsim.networks.network import (
    Layer,
    LayerOptions,
    Network,
    Options,
    Seen,
    States,
    judged,
    parameters,
    stepped,
    traced,
)

__all__ = [
    "CrossEntropy",
    "HalfSquare",
    "Layer",
    "LayerOptions",
    "Level",
    "Loss",
    "Network",
    "Options",
    "Seen",
    "States",
    "judged",
    "parameters",
    "stepped",
    "traced",
]
