"""Leaky integrate-and-fire neurons in discrete time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwsim.cells import spiking
from hwsim.cells.cell import Size
from hwsim.cells.spiking import MembraneOptions, Spiking


class Options(MembraneOptions, extra="forbid"):
    """Leaky integrate-and-fire neurons."""

    name: Annotated[Literal["lif"], Field(description="which cell")]


def size(options: Options, inputs: int) -> Size:
    """N wires of membranes, and N of each of: the leaky readout, the refractory time; W, U and b."""
    return spiking.size(options, inputs)


class LIF(Spiking):
    """v' = α v + W z + U x + b - θ z, with z = [v > θ] of the step before, unless refractory.

    Source: Bellec et al., Nature Communications 11:3625, 2020, equation 6, with spikes of step t from the membrane of
    step t, which act on that of step t + 1; this is the order of the authors' code.
    """
