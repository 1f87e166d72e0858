"""Random feedback local online learning: e-prop's traces in a network of leaky rate units."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.cells.leaky_tanh import LeakyTanh
from hwsim.errors import CapabilityError
from hwsim.learning.eprop import EProp, Feedback
from hwsim.networks import Network


class Options(BaseModel, extra="forbid"):
    """Random feedback local online learning, for leaky rate units."""

    name: Literal["rflo"]
    feedback: Feedback = "random"


class RFLO(EProp):
    """e_t = (1 - a) e_{t-1} + φ_t z_tᵀ with z = (h_{t-1}, x_t, 1), and dL/dθ ≈ Σ_t (B (y_t - y*_t)) e_t.

    For a network of leaky rate units, h_t = (1 - a) h_{t-1} + a tanh(v_t), where φ = a (1 - tanh² v). There it is
    e-prop to the last bit, with the same kinds of feedback; its own is random and fixed.

    Source: Murray, "Local online learning in recurrent networks with random feedback", eLife 8:e43299, 2019,
    equations 3 and 4.
    """

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if not isinstance(layer.cell, LeakyTanh):
                raise CapabilityError(
                    f"learning.name: rflo is for leaky rate units, which the cell leaky_tanh has, and {layer.name} has "
                    "others; `eprop` has traces of the same kind for all cells"
                )
        super().check(network)
