"""Real-time recurrent learning for diagonal cells: sensitivities of the state, one trace a parameter."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.errors import CapabilityError
from hwsim.learning.rule import Rule
from hwsim.networks import Network
from hwsim.records import ERROR, GRADIENT


class Options(BaseModel, extra="forbid"):
    """Real-time recurrent learning, for cells with a diagonal Jacobian."""

    name: Literal["rtrl"]


class RTRL(Rule):
    """M_t = J_{t-1} M_{t-1} + F_t with M_0 = 0, and dL/dθ = Σ_t M_tᵀ g_t; one pass, strictly forward.

    (Williams and Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
    Computation 1, 1989.) Where J is diagonal, M has one entry for each parameter, and the rule is affordable and exact
    for one recurrent layer. In a stack the error that reaches a lower layer is that of the present step only, so there
    it is exact in the top layer alone (Zucchet et al., "Online learning of long-range dependencies", NeurIPS 2023).
    """

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if layer.cell.dense:
                raise CapabilityError(
                    f"rtrl is for cells with a diagonal Jacobian, such as lru; {layer.name} has a dense one, which "
                    "would take N³ sensitivities"
                )

    def gradients(self, network: Network) -> None:
        machine, layers = network.machine, network.layers
        with machine.workspace() as workspace:
            states = network.states(workspace)
            traces = [layer.cell.traces(workspace) for layer in layers]
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                with machine.part(purpose=ERROR):
                    error = network.loss_error(output, step)
                for layer, (at, readout), trace in reversed(list(zip(layers, seen, traces, strict=True))):
                    with machine.part(layer.name, GRADIENT):
                        sensitivities = layer.cell.advance(trace, at)
                    if error is None:
                        continue
                    with machine.part(layer.name, ERROR):
                        g = layer.readout.back(readout, error, learn=True)
                        layer.cell.accumulate_along(sensitivities, g)
                        drive = layer.cell.drive_error(at, g)
                        error = layer.cell.input_error(drive) if layer is not layers[0] else None
        network.finish_gradient()
