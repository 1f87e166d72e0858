"""Real-time recurrent learning for diagonal cells: sensitivities of the state, one trace per parameter."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.errors import CapabilityError
from hwsim.learning.rule import Rule
from hwsim.networks import Network
from hwsim.records import GRADIENT


class Options(BaseModel, extra="forbid"):
    """Real-time recurrent learning, for cells with a diagonal Jacobian."""

    name: Literal["rtrl"]


class RTRL(Rule):
    """M_t = J_{t-1} M_{t-1} + F_t with M_0 = 0, and dL/dθ = Σ_t M_tᵀ g_t; one pass, strictly forward.

    (Williams and Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
    Computation 1, 1989.) Where J is diagonal, M has one entry per parameter, so the rule is affordable, and it is exact
    for one recurrent layer. In a stack, a lower layer gets only the error of the present step, so the gradient is exact
    in the top layer only (Zucchet et al., "Online learning of long-range dependencies", NeurIPS 2023).
    """

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if layer.cell.dense:
                raise CapabilityError(
                    f"rtrl is for cells with a diagonal Jacobian, such as lru; {layer.name} has a dense one, which "
                    "would take N³ sensitivities"
                )

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace() as workspace:
            states = network.states(workspace)
            traces = {layer: layer.cell.traces(workspace) for layer in network.layers}
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                for level in network.downward(network.loss_error(output, step), seen):
                    with machine.part(purpose=GRADIENT):
                        sensitivities = level.cell.advance(traces[level.layer], level.at)  # M_t
                    g = level.g()
                    if g is not None:
                        level.cell.accumulate_along(sensitivities, g)  # M_tᵀ g_t
                        level.send(g)
        network.finish_gradient()
